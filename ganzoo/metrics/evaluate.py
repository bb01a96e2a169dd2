"""Score a model with metrics, on a data set and with a feature extractor."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from ganzoo.base.device import make_backend
from ganzoo.config.schema import FILE, ComponentConfig, Config, DataConfig
from ganzoo.data.cache import known_facts
from ganzoo.data.identity import NONE
from ganzoo.data.locate import open_source
from ganzoo.data.prepare import Dataset, data_to_judge
from ganzoo.data.source import Source
from ganzoo.data.split import SPLIT, SavedSplit, trained_on
from ganzoo.errors import BadData, Incompatible, NoSuchData
from ganzoo.metrics.evidence import Evidence, Extractor, Metric
from ganzoo.metrics.score import Score
from ganzoo.metrics.scores_file import save_scores
from ganzoo.model.format import public_source
from ganzoo.model.gan import GAN
from ganzoo.registry.discovery import Registry, installed
from ganzoo.run.folder import BEST, MODEL

LISTED = 3
"""Most unreadable images that a warning lists."""
DEFAULT_TAG = "default"
"""Tag of the metrics and extractors that are used, in their order, when none is named."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How a model is scored.

    Attributes:
        number: Number of generated images, and largest number of real ones.
        real: Real images that generated ones are compared with: "train" or "test".
        seed: Seed of the latents, and of the choice of real images.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        skip_corrupt: Leave out images that cannot be read, with a warning.
    """

    number: int = 10_000
    real: Literal["train", "test"] = "train"
    seed: int = 0
    device: str = "auto"
    skip_corrupt: bool = False


def evaluate(
    model: str | Path,
    data: DataConfig | None = None,
    metrics: Mapping[str, Mapping[str, Any]] | None = None,
    extractor: ComponentConfig | None = None,
    settings: EvaluationSettings | None = None,
    registry: Registry | None = None,
) -> dict[str, Score]:
    """Score a model with metrics. The scores of a run are saved in its `scores.json`.

    Under torchrun, the processes share the work, and all return the same scores.

    Args:
        model: Run folder, model folder, or `org/name`. Scores of the best weights of a run are saved in
            its folder `best/`.
        data: Images to compare with; default: the data of the model's run, split as in the run.
        metrics: Options of metrics by name; default: the default metrics that apply to the model.
        extractor: Feature extractor; default: the first default one for which the data suffice.
        settings: Number of images, seed and device.
        registry: Where components are looked up; default: the installed ones.

    Returns:
        Scores with their stamps, by metric.

    Raises:
        Incompatible: A metric does not apply to the model. Scores that were computed before it are saved.
        BadData: Images are missing, damaged or too few.
    """
    settings, registry = settings or EvaluationSettings(), registry or installed()
    backend = make_backend(settings.device, "fp32")
    gan = GAN.from_pretrained(model, device=backend.device)
    run = run_of(Path(model))
    warnings: list[str] = []
    dataset = read_images(gan, data, run, registry, warnings, settings.skip_corrupt)

    @functools.cache
    def chosen_extractor() -> tuple[str, Extractor]:
        if not backend.main:
            backend.wait()  # the main process trains the extractor, the others find it in the cache
        try:
            candidates = [extractor] if extractor else default_components("extractor", registry)
            return first_extractor(candidates, dataset, backend.device, registry)
        finally:
            if backend.main:
                backend.wait()

    evidence = Evidence(
        gan, dataset, chosen_extractor, settings.number, settings.real, settings.seed, backend, fingerprint(dataset)
    )
    defaults = {c.name: c.options for c in default_components("metric", registry)} if metrics is None else {}
    scores = {}
    try:
        for name, options in (defaults if metrics is None else metrics).items():
            try:
                scores[name] = compute_score(name, options, evidence.fresh(warnings), registry)
            except (Incompatible, BadData) as error:
                if metrics is not None:  # default metrics that do not apply to the model are left out
                    raise type(error)(f"metric '{name}': {error}") from error
    finally:  # keep the scores that precede an error
        if scores and run and backend.main:
            save_scores(run / BEST if Path(model).resolve() == run / BEST else run, scores)
    if not scores:
        raise Incompatible(f"no default metric applies to {model}; choose one with --metrics, see: ganzoo list metrics")
    return scores


def run_of(model: Path) -> Path | None:
    """Return the run folder of a model.

    Args:
        model: Run folder, or folder of its last or best weights.

    Returns:
        The run folder; None for any other path.
    """
    path = model.resolve()
    run = path.parent if path.name in (MODEL, BEST) and (path.parent / SPLIT).is_file() else path
    return run if (run / FILE).is_file() and (run / MODEL).is_dir() else None


def fingerprint(data: Dataset) -> str:
    """Return a SHA-256 that identifies the training and test images, without reading them again."""
    return hashlib.sha256(f"{data.train.fingerprint()} {data.test.fingerprint()}".encode()).hexdigest()


def compute_score(name: str, options: Mapping[str, Any], evidence: Evidence, registry: Registry) -> Score:
    """Compute the score of one metric.

    Args:
        name: Name of the metric.
        options: Its options.
        evidence: Model, data and features.
        registry: Where the metric is looked up.

    Raises:
        Incompatible: The metric does not apply to the model.
        BadData: There are too few images.
    """
    metric: Metric = registry.create("metric", name, options=dict(options))
    values = metric(evidence)
    stamp = evidence.stamp(registry.get("metric", name).qualified, options)
    return Score(values, stamp, tuple(evidence.warnings), {p: version(p) for p in ("torch", "torch-ganzoo")})


def default_components(kind: str, registry: Registry) -> list[ComponentConfig]:
    """Return the components of a kind that are used when none is named."""
    registered = [r for r in registry.components if r.kind == kind and DEFAULT_TAG in r.component.tags]
    return [ComponentConfig(name=r.qualified) for r in registered]


def first_extractor(
    candidates: list[ComponentConfig], data: Dataset, device: torch.device, registry: Registry
) -> tuple[str, Extractor]:
    """Return the first of several feature extractors for which the data suffice.

    Args:
        candidates: Extractors in order of preference.
        data: Data to train the extractor on, if it is one that is trained.
        device: Device of the extractor.
        registry: Where extractors are looked up.

    Returns:
        Qualified name and extractor.

    Raises:
        BadData: The data suffice for none; this is the error of the last one.
        Incompatible: There is no candidate.
    """
    for number, candidate in enumerate(candidates, 1):
        try:
            extractor: Extractor = registry.create("extractor", candidate.name, options=candidate.options)
            if hasattr(extractor, "fit"):
                extractor.fit(data, device)
        except BadData:
            if number == len(candidates):
                raise
        else:
            return registry.get("extractor", candidate.name).qualified, extractor
    raise Incompatible("no default extractor is installed; choose one with --extractor, see: ganzoo list extractors")


def read_images(
    gan: GAN,
    config: DataConfig | None,
    run: Path | None,
    registry: Registry,
    warnings: list[str],
    skip_corrupt: bool = False,
) -> Dataset:
    """Read the images to compare a model with, in the shape and on the device of the model.

    Args:
        gan: The model.
        config: The images; default: the data of its run.
        run: The model's run folder, if any.
        registry: Where data sets are looked up.
        warnings: Warnings about the images are appended to it.
        skip_corrupt: Leave out images that cannot be read.

    Raises:
        BadData: Images are missing or damaged, or neither `config` nor `run` is given.
        Incompatible: The images have other classes than the model.
    """
    split = None
    if config is None:
        if run is None:
            raise BadData(
                "a model folder outside of its run does not record its data; give images to compare with by --data"
            )
        config = Config.load(run / FILE).data
        split = SavedSplit.of(run / SPLIT)
    config = config.model_copy(
        update={"skip_corrupt": config.skip_corrupt or skip_corrupt, "fit": gan.fit, "range": gan.preparation.range}
    )
    try:
        source = open_source(config, registry)
    except NoSuchData as error:
        moved = "; if the data of the run were moved, name them with --data" if split else ""
        raise NoSuchData(f"{str(error).rstrip('.')}{moved}") from error
    _check_source(gan, source, config, warnings)
    if run and split is None and (run / SPLIT).is_file() and not SavedSplit.of(run / SPLIT).keyed:
        warnings.append(
            "the split of this run was written by an earlier version, so images that the model was trained on are not "
            "recognised"
        )
    shape = gan.shape._replace(classes=len(source.class_names))
    dataset = data_to_judge(source, config, shape, gan.device, split, trained_on(run) if run else NONE)
    warnings += dataset.notes
    if dataset.corrupt:
        warnings.append(
            f"{len(dataset.corrupt):,} of {len(source.train) + len(source.test or ()):,} images cannot be read and are "
            f"left out: {', '.join(dataset.corrupt[:LISTED])}{', …' * (len(dataset.corrupt) > LISTED)}"
        )
    return dataset


def _check_source(gan: GAN, source: Source, config: DataConfig, warnings: list[str]) -> None:
    """Compare the shape and classes of a data set with those of a model.

    Args:
        gan: The model.
        source: The data set.
        config: Its configuration.
        warnings: A warning about images of another shape is appended.

    Raises:
        Incompatible: The data set has other classes.
    """
    facts = known_facts(source, config.skip_corrupt)
    if facts.channels != gan.shape.channels or facts.side != min(gan.shape.height, gan.shape.width):
        warnings.append(
            f"images with a smaller side of {facts.side} pixels and {facts.channels} channels are converted to the "
            f"shape of the model: {gan.shape.size} pixels, {gan.shape.channels} channels"
        )
    if gan.class_names and source.class_names and list(source.class_names) != list(gan.class_names):
        raise Incompatible(
            f"'{public_source(config.source)}' has the classes {', '.join(source.class_names):.80}, but the model has "
            f"{', '.join(gan.class_names):.80}; give images of the same classes with --data"
        )
