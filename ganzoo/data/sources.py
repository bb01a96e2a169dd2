"""From the word after `--data` to a data set."""

from __future__ import annotations

import warnings
from pathlib import Path

from ganzoo.config import DataConfig
from ganzoo.contracts import Source
from ganzoo.data.files import folder_source, zip_source
from ganzoo.data.hub import hub_source
from ganzoo.errors import BadData, Notice, UnknownComponent
from ganzoo.options import check_options
from ganzoo.registry import Registry

PATH_MAX = 250


def open_source(data: DataConfig, registry: Registry) -> Source:
    """Return the data set of a folder, a zip file, `hf:<name>` or a registered name.

    A registered name is that data set wherever one stands, so that a run's configuration says what it said when it was
    made: a folder that has such a name is written `./name`.

    Raises BadData, or BadOption for an option that the data set does not have.
    """
    name, path = data.source, Path(data.source).expanduser()
    if name.startswith("hf:"):
        return hub_source(name.removeprefix("hf:"), **check_options(hub_source, data.options, f"data '{name}'"))
    if not name or len(name) > PATH_MAX:
        raise BadData(f"--data takes a folder, a zip file, hf:<name> or a data set's name, not '{name:.40}'")
    try:
        registry.get("dataset", name)
    except UnknownComponent as error:
        if not path.exists():
            raise BadData(f"there is no folder or file {name}{'' if '/' in name else f', and {error}'}") from error
        return local_source(path, data)
    if path.is_dir():
        warnings.warn(
            f"'{name}' is the data set of that name; the folder that lies here is ./{name}", Notice, stacklevel=2
        )
    source = registry.create("dataset", name, options=data.options)
    if not isinstance(source, Source):
        raise BadData(f"data set '{name}' is not a ganzoo Source but {type(source).__name__}")
    return source


def local_source(path: Path, data: DataConfig) -> Source:
    """Return the data set of a zip file, a folder of images, or one of parquet files. Raises BadData or BadOption."""
    name = data.source
    if path.is_file():
        if path.suffix.lower() != ".zip":
            raise BadData(f"{name} is a file; --data takes a folder, a zip file, hf:<name> or a data set's name")
        return zip_source(path, **check_options(zip_source, data.options, f"data '{name}'"))
    if next(path.glob("**/*.parquet"), None):
        return hub_source(str(path), **check_options(hub_source, data.options, f"data '{name}'"))
    return folder_source(path, **check_options(folder_source, data.options, f"data '{name}'"))
