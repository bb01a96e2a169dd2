"""A score, and the stamp that says what it can be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ganzoo.errors import Incompatible


@dataclass(frozen=True)
class Stamp:
    """The protocol of a score. Scores are comparable when their stamps are equal.

    metric: `plugin/name`, with its options. extractor: likewise, with the sha256 of its weights. resize: how images
    were brought to its size. real: data set, part of it, and how many images. fake: how many generated images.
    weights: averaged or raw. precision: of the arithmetic.
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
        """Return what is not the same, one sentence each."""
        mine, theirs = asdict(self), asdict(other)
        return [f"{name}: {mine[name]} and {theirs[name]}" for name in mine if mine[name] != theirs[name]]


@dataclass(frozen=True)
class Score:
    """What a metric said: named values, what is to be minded about them, and the stamp.

    versions: of the packages that made it; they are told, and not compared.
    """

    values: Mapping[str, float]
    stamp: Stamp
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Score:
        """Return a score from what `to_dict` made."""
        return cls(
            dict(values["values"]),
            Stamp(**values["stamp"]),
            tuple(values.get("warnings", ())),
            dict(values.get("versions", {})),
        )


def rank(scores: Mapping[str, Score], value: str, smaller_is_better: bool = True) -> list[str]:
    """Return names from best to worst by one value. Raises Incompatible when the stamps differ."""
    names = list(scores)
    for name in names[1:]:
        if found := scores[names[0]].stamp.differences(scores[name].stamp):
            raise Incompatible(
                f"{value} of {names[0]} and {name} cannot be compared: {'; '.join(found)}. Score both alike: "
                "ganzoo evaluate"
            )
    return sorted(names, key=lambda name: scores[name].values[value] * (1 if smaller_is_better else -1))
