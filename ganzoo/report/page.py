"""The page: what a run folder, its model and its data say, through one template."""

from __future__ import annotations

import functools
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
import yaml
from PIL import Image

import ganzoo
from ganzoo.card import command
from ganzoo.component import describe
from ganzoo.data import SPLIT, Dataset, Split
from ganzoo.errors import BadData, GanzooError, Notice
from ganzoo.metrics.evaluate import kept, read
from ganzoo.model import GAN, KINDS, parameters
from ganzoo.registry import installed
from ganzoo.report.charts import charts
from ganzoo.report.judged import confusion, neighbours
from ganzoo.report.pictures import frames, native, sheet
from ganzoo.run import Run
from ganzoo.sampling import by_class, interpolate
from ganzoo.storage import read_json, write_file

if TYPE_CHECKING:
    from jinja2 import Template

REPORT = "report.html"
EACH, CLASSES, TRIES, WAY = 8, 20, 8, 12


def write_report(run: str | Path, gan: GAN | None = None, data: Dataset | None = None) -> Path:
    """Write `report.html` into a run folder, and return its path. It is one file, and asks for no other.

    gan: the run's model, and data: its images; both are read from where the run has them when not given. What cannot
    be shown is left out, and the page says why: a run whose images are gone, or that diverged, has a report too.
    Raises BadData when the folder is no run, CannotWrite.
    """
    folder = Run(Path(run))
    if not (folder.path / "config.json").is_file() or not (folder.path / "checkpoints").is_dir():
        raise BadData(f"{run} is no run folder; ganzoo train makes one")
    write_file(folder.path / REPORT, render(facts(folder, gan, data)).encode())
    return folder.path / REPORT


def after_training(run: Path, gan: GAN | None, data: Dataset) -> str:
    """Write the report of a run that has ended, and return its path; or, with a warning, an empty string.

    Nothing that goes wrong with it may cost a run that is trained and saved.
    """
    try:
        return str(write_report(run, gan, data))
    except Exception as error:
        warnings.warn(f"the run has no report ({describe(error)}); try: ganzoo report {run}", Notice, stacklevel=2)
        return ""


def render(told: Mapping[str, Any]) -> str:
    """Return the page. Everything told is escaped: class names and options may be anybody's."""
    return template().render(told)


@functools.cache
def template() -> Template:
    """Return the page's template."""
    from jinja2 import ChainableUndefined, Environment

    drawn = Environment(undefined=ChainableUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return drawn.from_string(files("ganzoo.report").joinpath("page.html.jinja").read_text(encoding="utf-8"))


def facts(run: Run, gan: GAN | None, data: Dataset | None) -> dict[str, Any]:
    """Return what the template is told. `missing` says what could not be had, by name."""
    missing: dict[str, str] = {}

    def attempt(name: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except Exception as error:  # one thing that cannot be shown must not take the others with it
            missing[name] = str(error) if isinstance(error, GanzooError) else describe(error)
            return None

    gan = gan or attempt("model", lambda: GAN.from_pretrained(run.path))
    data = data or (attempt("data", lambda: images_of_run(gan, run)) if gan else None)
    rows = attempt("curves", run.metrics) or []
    config = gan.facts.get("run") if gan else attempt("config", lambda: read_json(run.path / "config.json"))
    makes, tells = bool(gan and "generator" in gan.networks), bool(gan and gan.shape.classes)
    shown: dict[str, Callable[[], Any]] = {
        "frames": lambda: frames(samples(run, gan)),
        "charts": lambda: charts(rows),
        "scores": lambda: kept(run.path),
        "split": lambda: label_split(run, gan, data),
        "environment": lambda: read_json(run.path / "environment.json"),
        "troubles": run.troubles,
        "confusion": lambda: confusion(gan, data) if gan and data and tells else None,
        "neighbours": lambda: neighbours(gan, data) if gan and data and makes else None,
        "classes": lambda: class_sheet(gan) if gan and tells and makes else None,
        "way": lambda: way(gan) if gan and makes else None,
    }
    return {
        **{name: attempt(name, make) for name, make in shown.items()},
        "name": run.path.resolve().name,
        "version": ganzoo.__version__,
        "gan": gan,
        "data": data,
        "facts": gan.facts if gan else {},
        "config": yaml.safe_dump(config or {}, sort_keys=False, allow_unicode=True).rstrip(),
        "command": command(gan.facts) if gan else "",
        "parts": {kind: getattr(gan.parts, kind).name.rpartition("/")[2] for kind in KINDS} if gan else {},
        "counts": {name: parameters(network) for name, network in gan.networks.items()} if gan else {},
        "speed": median(speeds)
        if (speeds := [r["images_per_second"] for r in rows if "images_per_second" in r])
        else None,
        "steps": (config or {}).get("steps"),
        "batch": (config or {}).get("batch"),
        "done": max((int(r["step"]) for r in rows), default=0),
        "missing": missing,
    }


def images_of_run(gan: GAN, run: Run) -> Dataset:
    """Return the images that a run was trained on, held out as it held them out. Raises BadData."""
    return read(gan, None, run.path, installed(), [], torch.device("cpu"), skip_corrupt=False)


def samples(run: Run, gan: GAN | None) -> list[tuple[int, Image.Image]]:
    """Return (step, grid) pairs, each pixel once, oldest first."""
    paths = sorted((p for p in (run.path / "samples").glob("*.png") if p.stem.isdigit()), key=lambda p: int(p.stem))
    return [(int(p.stem), native(Image.open(p), gan.shape.size) if gan else Image.open(p)) for p in paths]


def label_split(run: Run, gan: GAN | None, data: Dataset | None) -> dict[str, Any] | None:
    """Return how many images of each class are labelled, and held out."""
    if not (run.path / SPLIT).is_file():
        return None
    split = Split.of(run.path)
    labelled = Counter(split.labels.tolist())
    held_out = Counter(data.test_labels.tolist()) if data else Counter()
    names = list(gan.class_names) if gan else []
    return {
        "hash": split.hash,
        "train": len(split.train),
        "labelled": len(split.labelled),
        "held_out": len(data.test) if data else len(split.test),
        "validation": len(split.validation),
        "classes": [(name, labelled[k], held_out[k]) for k, name in enumerate(names)],
    }


def class_sheet(gan: GAN) -> dict[str, Any]:
    """Return a picture with a row for each class, or for each of the first ones, and their names."""
    names = list(gan.class_names)[:CLASSES]
    found = by_class(gan, EACH, classes=range(len(names)), tries=TRIES)
    blank = torch.ones(EACH, *found[0].shape[1:])
    images = torch.cat([torch.cat([x, blank[len(x) :]]) for x in found])
    words = f"Generated images, a row for each class: {', '.join(names)}"
    return {"picture": sheet(images, EACH, words), "names": names, "all": len(gan.class_names)}


def way(gan: GAN) -> dict[str, Any]:
    """Return a picture of the way between the images of two seeds."""
    words = "The image of one latent becomes that of another, from left to right"
    return {"picture": sheet(interpolate(gan, (0, 1), torch.linspace(0, 1, WAY)), WAY // 2, words)}
