"""The report of a run: one page, rendered from the run folder, its model and its data."""

from __future__ import annotations

import functools
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import yaml
from PIL import Image

from ganzoo.base.storage import read_json, write_file
from ganzoo.config.keys import MODEL_KEYS
from ganzoo.data import SPLIT, Dataset, SavedSplit
from ganzoo.errors import BadData, GanzooError, Notice
from ganzoo.metrics.evaluate import read_images
from ganzoo.metrics.scores_file import read_scores
from ganzoo.model.build import count_parameters
from ganzoo.model.card import training_command
from ganzoo.model.gan import GAN
from ganzoo.plots.charts import charts
from ganzoo.registry.component import describe
from ganzoo.registry.discovery import installed
from ganzoo.report.examples import confusion, neighbours
from ganzoo.report.pictures import frames, native, sheet
from ganzoo.run.folder import Run
from ganzoo.sampling import by_class, interpolate

if TYPE_CHECKING:
    from jinja2 import Template

T = TypeVar("T")
REPORT = "report.html"
EACH, CLASSES, TRIES = 8, 20, 8
"""Images of each class, most classes, and most images generated for each that is shown."""
STEPS = 12
"""Images of an interpolation."""


def write_report(run: str | Path, gan: GAN | None = None, data: Dataset | None = None) -> Path:
    """Write `report.html` into a run folder. It is a single file that refers to no other.

    Sections that cannot be shown are left out, and the page says why. So a run whose images are gone, or that diverged,
    has a report too.

    Args:
        run: The run folder.
        gan: The model of the run; default: it is read from the folder.
        data: The images of the run; default: they are read again.

    Returns:
        The path of the report.

    Raises:
        BadData: The folder is not a run folder.
        CannotWrite: The file cannot be written.
    """
    folder = Run(Path(run))
    if not (folder.path / "config.json").is_file() or not (folder.path / "checkpoints").is_dir():
        raise BadData(f"{run} is not a run folder; train a run with: ganzoo train --out {run}")
    write_file(folder.path / REPORT, render(context(folder, gan, data)).encode())
    return folder.path / REPORT


def after_training(run: Path, gan: GAN | None, data: Dataset) -> str:
    """Write the report of a run that has just ended. An error becomes a warning, since the run is trained and saved.

    Args:
        run: The run folder.
        gan: The model of the run.
        data: The images of the run.

    Returns:
        The path of the report; empty if it could not be written.
    """
    try:
        return str(write_report(run, gan, data))
    except Exception as error:
        warnings.warn(
            f"the report could not be written ({describe(error)}); try again with: ganzoo report {run}",
            Notice,
            stacklevel=2,
        )
        return ""


def render(values: Mapping[str, Any]) -> str:
    """Render the page. All values are escaped, because class names and options may come from anywhere."""
    return template().render(values)


@functools.cache
def template() -> Template:
    """Return the template of the page."""
    from jinja2 import ChainableUndefined, Environment

    environment = Environment(undefined=ChainableUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files("ganzoo.report").joinpath("page.html.jinja").read_text(encoding="utf-8"))


class Attempts:
    """Computes the sections of a page; an error in one does not affect the others.

    Attributes:
        missing: Why sections could not be computed, by name.
    """

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}

    def __call__(self, name: str, compute: Callable[[], T]) -> T | None:
        """Compute a section. Returns None if that fails."""
        try:
            return compute()
        except Exception as error:
            self.missing[name] = str(error) if isinstance(error, GanzooError) else describe(error)
            return None


def context(run: Run, gan: GAN | None, data: Dataset | None) -> dict[str, Any]:
    """Collect the values of the template.

    Args:
        run: The run folder.
        gan: The model of the run; default: it is read from the folder.
        data: The images of the run; default: they are read again.
    """
    attempt = Attempts()
    gan = gan or attempt("model", lambda: GAN.from_pretrained(run.path))
    model, images = gan, data
    if data is None and model is not None:
        images = attempt("data", lambda: images_of_run(model, run))
    rows = attempt("curves", run.metrics) or []
    config = gan.metadata.get("run") if gan else attempt("config", lambda: run.config().to_dict())
    speeds = [row["images_per_second"] for row in rows if "images_per_second" in row]
    return {
        **{name: attempt(name, compute) for name, compute in sections(run, rows, gan, images).items()},
        "name": run.path.resolve().name,
        "version": version("torch-ganzoo"),
        "gan": gan,
        "data": images,
        "metadata": gan.metadata if gan else {},
        "config": yaml.safe_dump(config or {}, sort_keys=False, allow_unicode=True).rstrip(),
        "command": training_command(gan.metadata) if gan else "",
        "components": {k: getattr(gan.components, k).name.rpartition("/")[2] for k in MODEL_KEYS} if gan else {},
        "counts": {name: count_parameters(network) for name, network in gan.networks.items()} if gan else {},
        "speed": median(speeds) if speeds else None,
        "steps": (config or {}).get("steps"),
        "batch_size": (config or {}).get("batch_size"),
        "done": max((int(row["step"]) for row in rows), default=0),
        "missing": attempt.missing,
    }


def sections(
    run: Run, rows: list[dict[str, Any]], gan: GAN | None, data: Dataset | None
) -> dict[str, Callable[[], Any]]:
    """Return functions that compute the sections of the page, by name.

    Args:
        run: The run folder.
        rows: Rows of its metrics.
        gan: The model, if there is one.
        data: The images, if they could be read.
    """
    generates, classifies = bool(gan and "generator" in gan.networks), bool(gan and gan.shape.classes)
    return {
        "frames": lambda: frames(samples(run, gan)),
        "charts": lambda: charts(rows),
        "scores": lambda: read_scores(run.path),
        "split": lambda: label_split(run, gan, data),
        "environment": lambda: read_json(run.path / "environment.json"),
        "warnings": run.warnings,
        "confusion": lambda: confusion(gan, data) if gan and data and classifies else None,
        "neighbours": lambda: neighbours(gan, data) if gan and data and generates else None,
        "classes": lambda: class_sheet(gan) if gan and classifies and generates else None,
        "way": lambda: interpolation(gan) if gan and generates else None,
    }


def images_of_run(gan: GAN, run: Run) -> Dataset:
    """Read the images that a run was trained on, split as in the run.

    Raises:
        BadData: Images are missing or damaged.
    """
    return read_images(gan, None, run.path, installed(), [])


def samples(run: Run, gan: GAN | None) -> list[tuple[int, Image.Image]]:
    """Read the sample grids of a run, as (step, grid) pairs, oldest first."""
    paths = sorted((p for p in (run.path / "samples").glob("*.png") if p.stem.isdigit()), key=lambda p: int(p.stem))
    return [(int(p.stem), native(Image.open(p), gan.shape.height) if gan else Image.open(p)) for p in paths]


def label_split(run: Run, gan: GAN | None, data: Dataset | None) -> dict[str, Any] | None:
    """Count the labelled and the held-out images of each class, with its recall; None if the run has no split yet."""
    if not (run.path / SPLIT).is_file():
        return None
    split = SavedSplit.of(run.path)
    labelled = Counter(split.labels.tolist())
    names = list(gan.class_names) if gan else []
    measured = gan.metadata.get("metrics", {}) if gan else {}
    recall = measured.get("recall") or [None] * len(names)
    counted = Counter(data.test_labels.tolist()) if data else Counter(dict(enumerate(measured.get("support", ()))))
    return {
        "hash": split.hash,
        "train": len(split.train),
        "labelled": len(split.labelled),
        "held_out": len(data.test) if data else len(split.test),
        "validation": len(split.validation),
        "classes": [(name, labelled[k], counted[k], recall[k]) for k, name in enumerate(names)],
        "recall": any(share is not None for share in recall),
    }


def class_sheet(gan: GAN) -> dict[str, Any]:
    """Draw generated images with a row for each of the first classes, with their names."""
    names = list(gan.class_names)[:CLASSES]
    by_number = by_class(gan, EACH, classes=range(len(names)), tries=TRIES)
    blank = torch.ones(EACH, *by_number[0].shape[1:])
    images = torch.cat([torch.cat([x, blank[len(x) :]]) for x in by_number])
    alt = f"Generated images, a row for each class: {', '.join(names)}"
    return {"picture": sheet(images, EACH, alt), "names": names, "all": len(gan.class_names)}


def interpolation(gan: GAN) -> dict[str, Any]:
    """Draw an interpolation between the images of two seeds."""
    alt = "An interpolation between the images of two latents, from left to right"
    return {"picture": sheet(interpolate(gan, (0, 1), torch.linspace(0, 1, STEPS)), STEPS // 2, alt)}
