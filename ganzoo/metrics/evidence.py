"""What metrics are given: features of real and generated images, made once, when a metric first asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ganzoo.contracts import Extractor
from ganzoo.data import Dataset
from ganzoo.data.prepare import Images
from ganzoo.errors import BadData, Incompatible
from ganzoo.metrics.moments import Moments
from ganzoo.model import GAN
from ganzoo.pictures import to_uint8

BATCH = 128


@dataclass(frozen=True)
class Features:
    """Features `[N, D]` of images in fp32 on the CPU, their moments, class scores `[N, K]` and labels `[N]`, if any."""

    features: Tensor
    moments: Moments
    logits: Tensor | None
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.features)


@dataclass
class Evidence:
    """A model, a data set and an extractor.

    number: generated images, and at most so many real ones. real_part: `train` or `test`, what generated images are
    compared with. seed: of the latents, and of which real images.
    """

    gan: GAN
    data: Dataset
    extractor: Extractor
    number: int
    real_part: str = "train"
    seed: int = 0
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def real(self) -> Features:
        """Real images of the part that generated ones are compared with."""
        return self.part(self.real_part)

    @cached_property
    def train(self) -> Features:
        """Real images that the model may have seen."""
        return self.real if self.real_part == "train" else self.part("train")

    @cached_property
    def test(self) -> Features:
        """Real images that it has not seen. Raises BadData when none is held out."""
        return self.real if self.real_part == "test" else self.part("test")

    @cached_property
    def fake(self) -> Features:
        """Generated images; of a conditional generator as many of each class. Raises Incompatible without one."""
        self.gan.network("generator")
        labels = torch.arange(self.number) % self.data.shape.classes if self.conditional else None
        return self.gather(self.generated(labels), labels)

    @property
    def conditional(self) -> bool:
        """Whether the generator is told classes."""
        return bool(getattr(self.gan.network("generator"), "conditional", False))

    def generated(self, labels: Tensor | None) -> Iterator[Tensor]:
        """Return `number` generated images as uint8, rounded as a PNG file would."""
        for start in range(0, self.number, BATCH):
            count = min(BATCH, self.number - start)
            y = None if labels is None else labels[start : start + count]
            yield to_uint8(self.gan.sample(count, y, seed=self.seed * 1_000_003 + start))

    def part(self, name: str) -> Features:
        """Return features of `number` images of a part of the data set, or of all where it has no more."""
        images, labels = (self.data.train, None) if name == "train" else (self.data.test, self.data.test_labels)
        if not len(images):
            raise BadData(f"no image is held out as {name}; see --set data.test_fraction")
        some = chosen(len(images), self.number, self.seed)
        return self.gather(uint8(images, some), None if labels is None else labels[some])

    def gather(self, images: Iterator[Tensor], labels: Tensor | None) -> Features:
        """Return the features of uint8 images `[B, C, H, W]`."""
        features, logits = [], []
        total: Moments | None = None
        for batch in images:
            found, scores = self.extractor(batch)
            found = found.float().cpu()
            features.append(found)
            part = Moments.of(found)
            total = part if total is None else total + part
            if scores is not None:
                logits.append(scores.float().cpu())
        if total is None:
            raise Incompatible("no image to be judged")
        return Features(torch.cat(features), total, torch.cat(logits) if logits else None, labels)


def chosen(count: int, most: int, seed: int) -> Tensor:
    """Return the sorted positions of `most` of `count` images, the same for the same seed."""
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most].sort().values


def uint8(images: Images, places: Tensor) -> Iterator[Tensor]:
    """Return images at places, in batches on the CPU."""
    for batch in images.batches(iter(torch.split(places, BATCH))):
        yield batch.cpu()
