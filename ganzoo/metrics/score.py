"""Scores, and the stamps that record their protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ganzoo.errors import Incompatible


@dataclass(frozen=True)
class Stamp:
    """The protocol of a score. Scores are comparable if their stamps are equal.

    Attributes:
        metric: Metric, as `plugin/name`.
        options: Options of the metric.
        extractor: Feature extractor, as `plugin/name`; empty if none was used.
        extractor_sha256: SHA-256 of its weights.
        resize: How images were brought to its input size.
        real: Data set and split of the real images; empty if none was used.
        real_sha256: SHA-256 that identifies the real images.
        real_count: Number of real images.
        fake_count: Number of generated images.
        weights: Weights of the model: "averaged" or "raw".
        precision: Precision of the arithmetic.
    """

    metric: str
    options: Mapping[str, Any] = field(default_factory=dict)
    extractor: str = ""
    extractor_sha256: str = ""
    resize: str = ""
    real: str = ""
    real_sha256: str = ""
    real_count: int = 0
    fake_count: int = 0
    weights: str = "averaged"
    precision: str = "fp32"

    def differences(self, other: Stamp) -> list[str]:
        """Return the differences from another stamp, as `key: this and that`."""
        mine, theirs = asdict(self), asdict(other)
        return [f"{name}: {mine[name]} and {theirs[name]}" for name in mine if mine[name] != theirs[name]]


@dataclass(frozen=True)
class Score:
    """The result of a metric.

    Attributes:
        values: Named values; the first one ranks models.
        stamp: The protocol.
        warnings: Warnings about the values.
        versions: Versions of the packages that computed it. They are recorded, but not compared.
    """

    values: Mapping[str, float]
    stamp: Stamp
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Convert the score to plain JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Score:
        """Restore a score from what `to_dict` returned."""
        return cls(
            dict(values["values"]),
            Stamp(**values["stamp"]),
            tuple(values.get("warnings", ())),
            dict(values.get("versions", {})),
        )


def rank(scores: Mapping[str, Score], value: str, smaller_is_better: bool = True) -> list[str]:
    """Rank scores from best to worst.

    Args:
        scores: Scores by name.
        value: Name of the value to rank by.
        smaller_is_better: Whether a smaller value is better.

    Returns:
        The names, best first.

    Raises:
        Incompatible: The stamps differ.
    """
    names = list(scores)
    for name in names[1:]:
        if differences := scores[names[0]].stamp.differences(scores[name].stamp):
            raise Incompatible(
                f"{value} of {names[0]} and {name} cannot be compared: {'; '.join(differences)}. Compute both with the "
                "same options of: ganzoo evaluate"
            )
    return sorted(names, key=lambda name: scores[name].values[value] * (1 if smaller_is_better else -1))
