"""Score a model while it is trained, so that its best weights can be kept. Test images have no part in it."""

from __future__ import annotations

import dataclasses
import functools
import math

from ganzoo.config import Config, Part
from ganzoo.contracts import Extractor, Metric
from ganzoo.data import Dataset
from ganzoo.errors import BadData, Incompatible
from ganzoo.metrics.evaluate import fingerprint, first, scored, usual
from ganzoo.metrics.evidence import Evidence
from ganzoo.metrics.score import Score
from ganzoo.model import GAN
from ganzoo.registry import Registry


class Judge:
    """Scores one GAN again and again, by the metric that a configuration calls `best`.

    Where a metric looks at held-out images, it finds those for validation, and none if there are none. An extractor
    that learns sees the labels that the run may see. Raises UnknownComponent or BadOption for a metric that there is
    not.
    """

    def __init__(self, config: Config, metric: Part, gan: GAN, data: Dataset, registry: Registry) -> None:
        self.metric, self.gan, self.registry = metric, gan, registry
        self.wanted, self.number = config.features, config.best_images
        kind: Metric = registry.create("metric", metric.name, options=metric.options)
        self.smaller_is_better = kind.smaller_is_better
        if self.wanted:
            registry.get("extractor", self.wanted.name)
        seen = dataclasses.replace(data, test=data.validation, test_labels=data.validation_labels)
        sha256 = fingerprint(seen if len(seen.test) else data)
        self.evidence = Evidence(gan, seen, self._extractor, self.number, sha256=sha256, held_out_part="validation")

    @functools.cache  # noqa: B019  a judge lives as long as its run
    def _extractor(self) -> tuple[str, Extractor]:
        names = [self.wanted] if self.wanted else usual("extractor", self.registry)
        return first(names, self.evidence.data, self.gan.device, self.registry)

    def __call__(self) -> Score:
        """Return the score of the GAN as it is now. Raises Incompatible or BadData when it cannot be had."""
        try:
            self.evidence.kept.pop("fake", None)  # of other weights
            return scored(self.metric.name, self.metric.options, self.evidence.anew(), self.registry)
        except (Incompatible, BadData) as error:
            raise type(error)(
                f"best '{self.metric.name}' cannot be had, as test images choose no weights ({error}); others: ganzoo "
                "list metrics"
            ) from error

    def better(self, score: Score, than: Score | None) -> bool:
        """Whether a score's first value beats that of another. One of another protocol, or of no number, is beaten."""
        new, old = (next(iter(s.values.values())) if s else math.nan for s in (score, than))
        if than is None or than.stamp != score.stamp or not math.isfinite(old):
            return math.isfinite(new)
        return new < old if self.smaller_is_better else new > old
