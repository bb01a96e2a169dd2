"""What metrics are given: features of real and generated images, made once, when a metric first asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ganzoo.backend import Backend
from ganzoo.contracts import Extractor
from ganzoo.data import Dataset
from ganzoo.data.prepare import Images
from ganzoo.errors import BadData
from ganzoo.metrics.moments import Moments
from ganzoo.metrics.score import Stamp
from ganzoo.model import GAN
from ganzoo.pictures import to_uint8

BATCH = 128


@dataclass(frozen=True)
class Features:
    """Features `[N, D]` of images in fp32 on the CPU, their class scores `[N, K]` and labels `[N]`, if any."""

    features: Tensor
    logits: Tensor | None = None
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def moments(self) -> Moments:
        """Mean and covariance."""
        return Moments.of(self.features)


@dataclass
class Evidence:
    """A model, a data set, and the extractor of features.

    extractor: returns its name and itself; called when features are asked for. number: generated images, and at most
    so many real ones of each part. real_part: `train` or `test`, what generated images are compared with. seed: of
    the latents, and of which real images. sha256: of the real images. held_out_part: what the held-out images are, in
    words. Several processes share the images, and all are given the features of all.

    warnings: what is to be minded about a score. used: how many images of which part it is about. compared: whether by
    their features.
    """

    gan: GAN
    data: Dataset
    extractor: Callable[[], tuple[str, Extractor]]
    number: int
    real_part: str = "train"
    seed: int = 0
    backend: Backend | None = None
    sha256: str = ""
    held_out_part: str = "test"
    warnings: list[str] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)
    compared: bool = False
    kept: dict[str, Features] = field(default_factory=dict, repr=False)

    def anew(self, warnings: Sequence[str] = ()) -> Evidence:
        """Return the same evidence for another metric; features that were made are shared."""
        return replace(self, warnings=[*warnings], used={}, compared=False)

    @property
    def real(self) -> Features:
        """Real images of the part that generated ones are compared with."""
        return self._part(self.real_part)

    @property
    def train(self) -> Features:
        """Real images that the model may have seen."""
        return self._part("train")

    @property
    def test(self) -> Features:
        """Real images that it has not seen. Raises BadData when none is held out."""
        return self._part("test")

    @property
    def fake(self) -> Features:
        """Generated images; of a conditional generator as many of each class. Raises Incompatible without one."""
        return self._once("fake", lambda: self.extract(self.generated, torch.arange(self.number), self.classes))

    @property
    def conditional(self) -> bool:
        """Whether the generator is told classes. Raises Incompatible without a generator."""
        return bool(getattr(self.gan.network("generator"), "conditional", False))

    @property
    def classes(self) -> Tensor | None:
        """The class `[number]` that each generated image is made for."""
        return torch.arange(self.number) % self.gan.shape.classes if self.conditional else None

    def generated(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Return generated images by their numbers as uint8, rounded as a PNG file would."""
        self.used["fake"] = self.number
        classes = self.classes
        for some in batches:
            y = None if classes is None else classes[some]
            yield to_uint8(self.gan.sample(len(some), y, seed=self.seed * 1_000_003 + int(some[0])))

    def held_out(self) -> Tensor:
        """Return the numbers of all held-out images that have a label. Raises BadData when there is none."""
        known = (self.data.test_labels >= 0).nonzero().flatten()
        if not len(known):
            raise self._none("labelled image")
        self.used["test"] = len(known)
        return known

    def extract(
        self, images: Callable[[Sequence[Tensor]], Iterator[Tensor]], numbers: Tensor, labels: Tensor | None = None
    ) -> Features:
        """Return the features of images by their numbers `[N]`.

        images: maps batches of numbers to uint8 images `[B, C, H, W]`. labels: theirs, `[N]`.
        """
        batches = torch.split(numbers, BATCH)
        backend = self.backend if self.backend and len(batches) >= self.backend.world else None
        if backend:
            first, last = (len(batches) * n // backend.world for n in (backend.rank, backend.rank + 1))
            batches = batches[first:last]
        _, extractor = self.extractor()
        found = [extractor(batch) for batch in images(batches)]
        gather = backend.gather if backend else Tensor.cpu
        features = gather(torch.cat([x.float().cpu() for x, _ in found]))
        logits = [x.float().cpu() for _, x in found if x is not None]
        return Features(features, gather(torch.cat(logits)) if logits else None, labels)

    def stamp(self, metric: str, options: Mapping[str, Any]) -> Stamp:
        """Return the stamp of a score of what was used."""
        name, extractor = self.extractor() if self.compared else ("", None)
        real = {self.held_out_part if part == "test" else part: n for part, n in self.used.items() if part != "fake"}
        return Stamp(
            metric=metric,
            options=dict(options),
            extractor=name,
            extractor_sha256=extractor.sha256 if extractor else "",
            resize=extractor.resize if extractor else "",
            real=f"{self.data.name}, {' and '.join(sorted(real, reverse=True))}" if real else "",
            real_sha256=self.sha256 if real else "",
            real_count=sum(real.values()),
            fake_count=self.used.get("fake", 0),
        )

    def _part(self, name: str) -> Features:
        images, labels = (self.data.train, None) if name == "train" else (self.data.test, self.data.test_labels)
        if not len(images):
            raise self._none("image")
        some = chosen(len(images), self.number, self.seed)
        return self._once(
            name, lambda: self.extract(lambda own: uint8(images, own), some, None if labels is None else labels[some])
        )

    def _none(self, what: str) -> BadData:
        """Return the error that none is held out, with the setting that mends it."""
        key = "validation" if self.held_out_part == "validation" else "test_fraction"
        return BadData(f"no {what} of '{self.data.name}' is held out for {self.held_out_part}; see --set data.{key}")

    def _once(self, name: str, make: Callable[[], Features]) -> Features:
        if name not in self.kept:
            self.kept[name] = make()
        self.used[name], self.compared = len(self.kept[name]), True
        return self.kept[name]


def chosen(count: int, most: int, seed: int) -> Tensor:
    """Return the sorted positions of `most` of `count` images, the same for the same seed."""
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most].sort().values


def uint8(images: Images, batches: Sequence[Tensor]) -> Iterator[Tensor]:
    """Return images at places, in batches on the CPU."""
    for batch in images.batches(iter(batches)):
        yield batch.cpu()
