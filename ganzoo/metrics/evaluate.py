"""Score a model: data, an extractor and metrics by name, to stamped scores."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ganzoo.backend import make_backend
from ganzoo.card import public_source, tell_scores
from ganzoo.config import FILE, Config, DataConfig, Part
from ganzoo.contracts import Extractor, Metric
from ganzoo.data import SPLIT, Dataset, Split, open_source, prepare_data
from ganzoo.data.prepare import look
from ganzoo.errors import BadData, CorruptFile, Incompatible
from ganzoo.format import CARD, CONFIG
from ganzoo.metrics.evidence import Evidence
from ganzoo.metrics.score import Score
from ganzoo.model import GAN
from ganzoo.registry import Registry, installed
from ganzoo.run import BEST, MODEL
from ganzoo.storage import read_json, to_json, write_file

SCORES, NAMED = "scores.json", 3
USUAL = "usual"
"""Tag of the metrics and extractors that are tried, in their order, when none is named."""


def evaluate(
    model: str | Path,
    data: DataConfig | None = None,
    metrics: Mapping[str, Mapping[str, Any]] | None = None,
    features: Part | None = None,
    number: int = 10_000,
    real: str = "train",
    seed: int = 0,
    device: str = "auto",
    skip_corrupt: bool = False,
    registry: Registry | None = None,
) -> dict[str, Score]:
    """Return the stamped scores of a model, by metric; those of a run are kept in its `scores.json`.

    model: run folder, model folder, or `org/name`. Scores of a run's best weights are kept beside these, in `best/`.
    data: images to compare with; default: those of the run that the model is of, held out as it held them out.
    metrics: options by name; default: the usual ones that are about such a model. features: the extractor; default: the
    first usual one that the data suffice for. number: of generated images, and the most real ones. real: `train` or
    `test`. skip_corrupt: leave out images that cannot be read, and say which.

    Under torchrun, processes share the images, and all return the same scores.

    Raises Incompatible or BadData for what cannot be scored; scores of a run that were made before that are kept.
    """
    registry = registry or installed()
    backend = make_backend(device, "fp32")
    gan = GAN.from_pretrained(model, device=backend.device)
    run = run_of(Path(model))
    warnings: list[str] = []
    dataset = read(gan, data, run, registry, warnings, backend.device, skip_corrupt)

    @functools.cache
    def extractor() -> tuple[str, Extractor]:
        if not backend.main:
            backend.wait()  # others find in the cache what the first one made
        try:
            return first([features] if features else usual("extractor", registry), dataset, backend.device, registry)
        finally:
            if backend.main:
                backend.wait()

    evidence = Evidence(gan, dataset, extractor, number, real, seed, backend, fingerprint(dataset))
    wanted = metrics if metrics is not None else {p.name: p.options for p in usual("metric", registry)}
    scores = {}
    try:
        for name, options in wanted.items():
            try:
                scores[name] = scored(name, options, evidence.anew(warnings), registry)
            except (Incompatible, BadData) as error:
                if metrics is not None:  # else it is not about such a model, and nobody asked for it
                    raise type(error)(f"metric '{name}': {error}") from error
    finally:  # a metric that is refused does not lose those before it
        if scores and run and backend.main:
            keep(run / BEST if Path(model).resolve() == run / BEST else run, scores)
    if not scores:
        raise Incompatible(f"no usual metric is about {model}; choose one: ganzoo list metrics")
    return scores


def run_of(model: Path) -> Path | None:
    """Return the run folder that a path is, or whose last or best weights lie there; None for others."""
    path = model.resolve()
    run = path.parent if path.name in (MODEL, BEST) and (path.parent / SPLIT).is_file() else path
    return run if (run / FILE).is_file() and (run / MODEL).is_dir() else None


def fingerprint(data: Dataset) -> str:
    """Return a sha256 of the images of both parts, as far as they are known without reading them all again."""
    return hashlib.sha256(f"{data.train.fingerprint()} {data.test.fingerprint()}".encode()).hexdigest()


def scored(name: str, options: Mapping[str, Any], evidence: Evidence, registry: Registry) -> Score:
    """Return the stamped score of a metric by name."""
    metric: Metric = registry.create("metric", name, options=dict(options))
    values = metric(evidence)
    stamp = evidence.stamp(registry.get("metric", name).qualified, options)
    return Score(values, stamp, tuple(evidence.warnings), {p: version(p) for p in ("torch", "torch-ganzoo")})


def usual(kind: str, registry: Registry) -> list[Part]:
    """Return the components of a kind that are tried when none is named."""
    return [Part(name=r.qualified) for r in registry.components if r.kind == kind and USUAL in r.component.tags]


def first(parts: list[Part], data: Dataset, device: torch.device, registry: Registry) -> tuple[str, Extractor]:
    """Return the name of the first of several extractors that can be had for these data, and itself.

    Raises what the last one raises.
    """
    for number, part in enumerate(parts, 1):
        try:
            extractor: Extractor = registry.create("extractor", part.name, options=part.options)
            if hasattr(extractor, "fit"):
                extractor.fit(data, device)
        except BadData:
            if number == len(parts):
                raise
        else:
            return registry.get("extractor", part.name).qualified, extractor
    raise Incompatible("no extractor is installed that would be used unasked; choose one: ganzoo list extractors")


def read(
    gan: GAN,
    config: DataConfig | None,
    run: Path | None,
    registry: Registry,
    warnings: list[str],
    device: torch.device,
    skip_corrupt: bool,
) -> Dataset:
    """Return the data to compare with, in the model's shape. Raises BadData or Incompatible."""
    split = None
    if config is None:
        if run is None:
            raise BadData(
                "a model folder outside of its run does not say which images it is compared with; say it: --data"
            )
        config = Config.load(run / FILE).data
        split = Split.of(run / SPLIT) if (run / SPLIT).is_file() else None
    config = config.model_copy(update={"skip_corrupt": config.skip_corrupt or skip_corrupt})
    source = open_source(config, registry)
    channels, size = look(source, config.skip_corrupt)
    if (channels, size) != gan.shape[:2]:
        warnings.append(
            f"images of {size}×{size} with {channels} channels are made {gan.shape.size}×{gan.shape.size} with "
            f"{gan.shape.channels}, as the model's are"
        )
    if gan.class_names and source.class_names and list(source.class_names) != list(gan.class_names):
        raise Incompatible(
            f"'{public_source(config.source)}' has the classes {', '.join(source.class_names):.80}, and the model "
            f"{', '.join(gan.class_names):.80}"
        )
    if split is not None:  # held out as in the run; the extractor may see every label of the rest
        labels = source.train.labels[split.train]
        split = dataclasses.replace(split, labelled=split.train[labels >= 0], labels=labels[labels >= 0])
    plain = config.model_copy(update={"channels": gan.shape.channels, "fit": gan.fit, "split": None, "labels": "all"})
    dataset = prepare_data(source, plain, gan.shape.channels, gan.shape.size, device, split)
    if dataset.corrupt:
        warnings.append(
            f"{len(dataset.corrupt):,} of {len(source.train) + len(source.test or ()):,} images cannot be read and are "
            f"left out: {', '.join(dataset.corrupt[:NAMED])}{', …' * (len(dataset.corrupt) > NAMED)}"
        )
    return dataset


def keep(run: Path, scores: Mapping[str, Score]) -> None:
    """Add scores to those of a run, and to its card; one with an equal stamp takes the old one's place."""
    new = list(scores.values())
    stay = [score for score in kept(run) if all(score.stamp != s.stamp for s in new)]
    write_file(run / SCORES, to_json([{"model": weights(run), **score.to_dict()} for score in [*stay, *new]]))
    if (card := folder(run) / CARD).is_file():
        tell_scores(card, [*stay, *new])


def kept(run: Path) -> list[Score]:
    """Return the scores of a run's present weights, oldest first. Raises CorruptFile."""
    path = run / SCORES
    if not path.is_file():
        return []
    try:
        present = weights(run)
        return [Score.of(row) for row in json.loads(path.read_bytes()) if row.get("model", present) == present]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CorruptFile(f"{path} cannot be read as scores ({error}); delete it, and score the run again") from error


def folder(run: Path) -> Path:
    """Return the model folder of a run; that of its best weights is one itself."""
    return run / MODEL if (run / MODEL).is_dir() else run


def weights(run: Path) -> str:
    """Return a sha256 that tells a run's weights from those that it had before it went on; empty where it has none."""
    config = folder(run) / CONFIG
    return hashlib.sha256(to_json(read_json(config).get("sha256"))).hexdigest() if config.is_file() else ""
