"""Find the data set that `data.source` names."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganzoo.config.schema import DataConfig
from ganzoo.data.files import folder_source, label_file_source, zip_source
from ganzoo.data.hub import has_images, hub_source
from ganzoo.data.layout import image_suffixes
from ganzoo.data.prepared import is_prepared, prepared_source
from ganzoo.data.shards import shard_source
from ganzoo.data.source import Source
from ganzoo.data.tables import SUFFIXES
from ganzoo.errors import BadData, NoSuchData, Notice, UnknownComponent
from ganzoo.registry.discovery import Registry
from ganzoo.registry.options import check_options

PATH_MAX = 250


def open_source(data: DataConfig, registry: Registry) -> Source:
    """Open the data set of a folder, a zip file, `hf:<name>` or a registered name.

    A registered name has precedence over a folder of the same name in the working directory, so that the configuration
    of a run means the same everywhere; write such a folder as `./name`.

    Args:
        data: The data configuration.
        registry: Where registered data sets are looked up.

    Returns:
        The data set.

    Raises:
        BadData: There is no such data set, or it cannot be read.
        BadOption: The data set does not have one of the options.
    """
    name, path = data.source, Path(data.source).expanduser()
    if name.startswith("hf:"):
        return hub_source(name.removeprefix("hf:"), **check_options(hub_source, data.options, f"data '{name}'"))
    if not name or len(name) > PATH_MAX:
        raise BadData(f"--data takes a folder, a zip file, hf:<name> or the name of a data set, not '{name:.40}'")
    try:
        registry.get("dataset", name)
    except UnknownComponent as error:
        if name.endswith(".tar"):
            return shard_source(str(path), **check_options(shard_source, data.options, f"data '{name}'"))
        if not path.exists():
            raise NoSuchData(f"there is no folder or file {name}{'' if '/' in name else f', and {error}'}") from error
        return local_source(path, data)
    if path.is_dir():
        warnings.warn(
            f"'{name}' is the registered data set; to use the folder of that name, write ./{name}",
            Notice,
            stacklevel=2,
        )
    source = registry.create("dataset", name, options=data.options)
    if not isinstance(source, Source):
        raise BadData(f"data set '{name}' is a {type(source).__name__}, not a ganzoo.data.Source")
    return source


def local_source(path: Path, data: DataConfig) -> Source:
    """Open a zip file of images, a folder of images, or a folder of parquet files.

    Args:
        path: The file or folder.
        data: The data configuration.

    Raises:
        BadData: It cannot be read.
        BadOption: The data set does not have one of the options.
    """
    name = data.source
    open_it, words = _opener(path, name)
    options = data.options | ({"level": data.level} if data.level else {})
    return open_it(words, **check_options(open_it, options, f"data '{name}'"))


def _opener(path: Path, name: str) -> tuple[Callable[..., Source], Any]:
    """Return the function that opens a file or folder, and its argument.

    Raises:
        BadData: It is a file of no known kind.
    """
    if path.is_file():
        if path.suffix.lower() == ".zip":
            return zip_source, path
        if path.suffix.lower() in SUFFIXES:
            return label_file_source, path
        raise BadData(
            f"{name} is a file; --data takes a folder, a zip or tar file, a table of paths and labels, hf:<name> or "
            "the name of a data set"
        )
    if is_prepared(path):
        return prepared_source, path
    if next(path.glob("*.tar"), None):
        return shard_source, str(path)
    tables = list(path.glob("**/*.parquet"))
    suffixes = image_suffixes()
    if tables and (has_images(tables[0]) or not any(file.suffix.lower() in suffixes for file in path.rglob("*"))):
        return hub_source, str(path)
    return folder_source, path
