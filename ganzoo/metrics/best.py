"""Score a model while it is trained, to keep its best weights. Test images are never used for this."""

from __future__ import annotations

import dataclasses
import functools
import math

from ganzoo.config.schema import ComponentConfig, Config
from ganzoo.data import Dataset
from ganzoo.errors import BadData, Incompatible
from ganzoo.metrics.evaluate import compute_score, default_components, fingerprint, first_extractor
from ganzoo.metrics.evidence import Evidence, Extractor, Metric
from ganzoo.metrics.score import Score
from ganzoo.model.gan import GAN
from ganzoo.registry.discovery import Registry


class BestMetric:
    """Score a GAN repeatedly by the metric that selects the best weights.

    Metrics that need held-out images get the validation images, if there are any. A feature extractor that is trained
    sees only the labels that the run may use.

    Args:
        config: The configuration of the run.
        metric: The metric.
        gan: The GAN that is scored.
        data: The images of the run.
        registry: Where metric and extractor are looked up.

    Raises:
        UnknownComponent: There is no such metric or extractor.
        BadOption: The metric does not have one of the options.
    """

    def __init__(self, config: Config, metric: ComponentConfig, gan: GAN, data: Dataset, registry: Registry) -> None:
        self.metric, self.gan, self.registry = metric, gan, registry
        self.extractor, self.number = config.extractor, config.best_metric_images
        kind: Metric = registry.create("metric", metric.name, options=metric.options)
        self.smaller_is_better = kind.smaller_is_better
        if self.extractor:
            registry.get("extractor", self.extractor.name)
        selection = dataclasses.replace(data, test=data.validation, test_labels=data.validation_labels)
        sha256 = fingerprint(selection if len(selection.test) else data)
        self.evidence = Evidence(
            gan, selection, self._extractor, self.number, sha256=sha256, held_out_split="validation"
        )

    @functools.cache  # noqa: B019  the object lives as long as its run
    def _extractor(self) -> tuple[str, Extractor]:
        names = [self.extractor] if self.extractor else default_components("extractor", self.registry)
        return first_extractor(names, self.evidence.data, self.gan.device, self.registry)

    def __call__(self) -> Score:
        """Score the GAN with its present weights.

        Raises:
            Incompatible: The metric does not apply to the GAN.
            BadData: There are too few images.
        """
        try:
            self.evidence.cache.pop("fake", None)  # made with earlier weights
            return compute_score(self.metric.name, self.metric.options, self.evidence.fresh(), self.registry)
        except (Incompatible, BadData) as error:
            raise type(error)(
                f"best_metric '{self.metric.name}' cannot be computed without test images, which must not select "
                f"weights ({error}); for other metrics see: ganzoo list metrics"
            ) from error

    def better(self, score: Score, than: Score | None) -> bool:
        """Return whether a score is better than another, by its first value.

        Args:
            score: The new score.
            than: The best score so far. None, a value that is not finite, or another stamp counts as worse.
        """
        new, old = (next(iter(s.values.values())) if s else math.nan for s in (score, than))
        if than is None or than.stamp != score.stamp or not math.isfinite(old):
            return math.isfinite(new)
        return new < old if self.smaller_is_better else new > old
