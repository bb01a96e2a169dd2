"""Score a model: data, an extractor and metrics by name, to stamped scores."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ganzoo.backend import make_backend
from ganzoo.card import public_source
from ganzoo.config import Config, DataConfig, Part
from ganzoo.contracts import Extractor, Metric
from ganzoo.data import SPLIT, Dataset, Split, open_source, prepare_data
from ganzoo.data.prepare import look
from ganzoo.errors import BadData, Incompatible
from ganzoo.metrics.evidence import Evidence
from ganzoo.metrics.score import Score, Stamp
from ganzoo.model import GAN
from ganzoo.registry import Registry, installed
from ganzoo.storage import to_json, write_file

SCORES = "scores.json"
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
    registry: Registry | None = None,
) -> dict[str, Score]:
    """Return the stamped scores of a model, by metric; those of a run folder are kept in its `scores.json`.

    model: run folder, model folder, or `org/name`. data: images to compare with; default: the run's own, held out as
    it held them out. metrics: options by name; default: the usual ones that are about such a model. features: the
    extractor; default: the first usual one that the data suffice for. number: of generated images, and the most real
    ones. real: `train` or `test`.

    Raises Incompatible or BadData for what cannot be scored.
    """
    registry = registry or installed()
    backend = make_backend(device, "fp32")
    gan = GAN.from_pretrained(model, device=backend.device)
    run = Path(model) if (Path(model) / "config.json").is_file() and (Path(model) / "model").is_dir() else None
    warnings: list[str] = []
    dataset = read(gan, data, run, registry, warnings, backend.device)
    names = [features] if features else usual("extractor", registry)
    part, extractor = first(names, dataset, backend.device, registry)
    evidence = Evidence(gan, dataset, extractor, number, real, seed)
    wanted = metrics if metrics is not None else {p.name: p.options for p in usual("metric", registry)}
    scores = {}
    for name, options in wanted.items():
        evidence.warnings = list(warnings)
        try:
            scores[name] = scored(Part(name=name, **options), evidence, part, registry)
        except (Incompatible, BadData):
            if metrics is not None:
                raise
            continue  # it is not about such a model, and nobody asked for it
    if not scores:
        raise Incompatible(f"no usual metric is about {model}; choose one: ganzoo list metrics")
    if run:
        keep(run, scores)
    return scores


def scored(metric: Part, evidence: Evidence, features: Part, registry: Registry) -> Score:
    """Return what a metric says of evidence, with the stamp. Raises Incompatible or BadData."""
    judge: Metric = registry.create("metric", metric.name, options=metric.options)
    values = judge(evidence)
    data, part = evidence.data, evidence.real_part
    stamp = Stamp(
        metric=registry.get("metric", metric.name).qualified,
        options=metric.options,
        extractor=registry.get("extractor", features.name).qualified,
        extractor_sha256=evidence.extractor.sha256,
        resize=evidence.extractor.resize,
        real=f"{data.name}, {part}",
        real_sha256=hashlib.sha256(data.train.fingerprint().encode()).hexdigest(),
        real_count=min(evidence.number, len(data.train if part == "train" else data.test)),
        fake_count=evidence.number,
    )
    return Score(values, stamp, tuple(evidence.warnings), {p: version(p) for p in ("torch", "torch-ganzoo")})


def usual(kind: str, registry: Registry) -> list[Part]:
    """Return the components of a kind that are tried when none is named."""
    return [Part(name=r.qualified) for r in registry.components if r.kind == kind and USUAL in r.component.tags]


def first(parts: list[Part], data: Dataset, device: torch.device, registry: Registry) -> tuple[Part, Extractor]:
    """Return the first of several extractors that can be had for these data. Raises what the last one raises."""
    for number, part in enumerate(parts, 1):
        try:
            extractor: Extractor = registry.create("extractor", part.name, options=part.options)
            if hasattr(extractor, "fit"):
                extractor.fit(data, device)
        except BadData:
            if number == len(parts):
                raise
        else:
            return part, extractor
    raise Incompatible("no extractor is installed that would be used unasked; choose one: ganzoo list extractors")


def read(
    gan: GAN, config: DataConfig | None, run: Path | None, registry: Registry, warnings: list[str], device: torch.device
) -> Dataset:
    """Return the data to compare with, in the model's shape. Raises BadData or Incompatible."""
    split = None
    if config is None:
        if run is None:
            raise BadData("a model folder does not hold the images that it was trained on; say which: --data")
        config = Config.load(run / "config.json").data
        split = Split.of(run / SPLIT) if (run / SPLIT).is_file() else None
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
    return prepare_data(source, plain, gan.shape.channels, gan.shape.size, device, split)


def keep(run: Path, scores: Mapping[str, Score]) -> None:
    """Add scores to those of a run; one with an equal stamp takes the old one's place."""
    path = run / SCORES
    new = list(scores.values())
    old = kept(run)
    stay = [score for score in old if all(score.stamp != s.stamp for s in new)]
    write_file(path, to_json([score.to_dict() for score in [*stay, *new]]))


def kept(run: Path) -> list[Score]:
    """Return the scores of a run, oldest first."""
    path = run / SCORES
    return [Score.of(values) for values in json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []
