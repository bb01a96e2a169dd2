"""What metrics compare: features of real and generated images, computed once, on first access."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from ganzoo.base.device import Backend
from ganzoo.base.pictures import to_uint8
from ganzoo.data import Dataset
from ganzoo.data.images import Images
from ganzoo.errors import BadData
from ganzoo.metrics.moments import Moments
from ganzoo.metrics.score import Stamp
from ganzoo.model.gan import GAN

BATCH = 128


class Extractor(Protocol):
    """Maps images to the features that metrics compare. It is deterministic.

    If an extractor has a method `fit(data, device)`, it is called first, to train the extractor on the data or to move
    it to the device.

    Attributes:
        sha256: SHA-256 of its weights.
        resize: How images are brought to its input size, in words.
    """

    sha256: str
    resize: str

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Extract features.

        Args:
            images: uint8 images `[B, C, H, W]` with 1, 3 or 4 channels.

        Returns:
            Features `[B, D]`, and class logits `[B, K]` or None.
        """


@dataclass(frozen=True)
class Features:
    """Features of images, in fp32 on the CPU.

    Attributes:
        features: Features `[N, D]`.
        logits: Class logits of the extractor `[N, K]`, if it has any.
        labels: Labels `[N]`, if there are any.
    """

    features: Tensor
    logits: Tensor | None = None
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def moments(self) -> Moments:
        """Mean and covariance of the features."""
        return Moments.of(self.features)


@dataclass
class Evidence:
    """A model, a data set and a feature extractor: what a metric is computed from.

    Several processes share the work, and all get all features.

    Attributes:
        gan: The model.
        data: The images.
        extractor: Returns name and extractor; called when features are first needed.
        number: Number of generated images, and largest number of real ones of each split.
        real_split: Real images that generated ones are compared with: "train" or "test".
        seed: Seed of the latents, and of the choice of real images.
        backend: The processes that share the work, if there are several.
        sha256: SHA-256 that identifies the real images.
        held_out_split: Name of the held-out images in stamps and messages: "test" or "validation".
        warnings: Warnings about the score that is computed.
        used: Number of images that the score depends on, by "train", "test" or "fake".
        compared: Whether the score depends on features.
        cache: Features by "train", "test" or "fake".
    """

    gan: GAN
    data: Dataset
    extractor: Callable[[], tuple[str, Extractor]]
    number: int
    real_split: str = "train"
    seed: int = 0
    backend: Backend | None = None
    sha256: str = ""
    held_out_split: str = "test"
    warnings: list[str] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)
    compared: bool = False
    cache: dict[str, Features] = field(default_factory=dict, repr=False)

    def fresh(self, warnings: Sequence[str] = ()) -> Evidence:
        """Return the evidence for another metric. Computed features are shared.

        Args:
            warnings: Warnings that apply to every metric.
        """
        return replace(self, warnings=[*warnings], used={}, compared=False)

    @property
    def real(self) -> Features:
        """Features of the real images that generated ones are compared with.

        Raises:
            BadData: There is no such image.
        """
        return self._real(self.real_split)

    @property
    def train(self) -> Features:
        """Features of the training images."""
        return self._real("train")

    @property
    def test(self) -> Features:
        """Features of the held-out images.

        Raises:
            BadData: No image is held out.
        """
        return self._real("test")

    @property
    def fake(self) -> Features:
        """Features of generated images. A conditional generator makes the classes in turn.

        Raises:
            Incompatible: The model has no generator.
        """
        return self._once("fake", lambda: self.extract(self.generated, torch.arange(self.number), self.classes))

    @property
    def conditional(self) -> bool:
        """Whether the generator is conditional.

        Raises:
            Incompatible: The model has no generator.
        """
        return bool(getattr(self.gan.network("generator"), "conditional", False))

    @property
    def classes(self) -> Tensor | None:
        """Class of each generated image `[number]`; None for an unconditional generator."""
        return self.gan.labels(self.number) if self.conditional else None

    def generated(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Generate images of the seed, the same as `GAN.sample`.

        Args:
            batches: Numbers of the images of each batch `[B]`, in 0 … number - 1.

        Yields:
            uint8 images `[B, C, H, W]`, rounded as in a PNG file.
        """
        self.used["fake"] = self.number
        for batch in batches:
            yield to_uint8(self.gan.sample(batch, seed=self.seed))

    def held_out(self) -> Tensor:
        """Return the positions `[N]` of all held-out images that have a label.

        Raises:
            BadData: No labelled image is held out.
        """
        known = (self.data.test_labels >= 0).nonzero().flatten()
        if not len(known):
            raise self._not_held_out("labelled image")
        self.used["test"] = len(known)
        return known

    def extract(
        self, images: Callable[[Sequence[Tensor]], Iterator[Tensor]], numbers: Tensor, labels: Tensor | None = None
    ) -> Features:
        """Extract the features of images.

        Args:
            images: Maps batches of numbers `[B]` to uint8 images `[B, C, H, W]`.
            numbers: Numbers of the images `[N]`.
            labels: Labels of the images `[N]`.

        Returns:
            The features.
        """
        batches = torch.split(numbers, BATCH)
        backend = self.backend if self.backend and len(batches) >= self.backend.world else None
        if backend:
            first, last = (len(batches) * n // backend.world for n in (backend.rank, backend.rank + 1))
            batches = batches[first:last]
        _, extractor = self.extractor()
        outputs = [extractor(batch) for batch in images(batches)]
        gather = backend.gather if backend else Tensor.cpu
        features = gather(torch.cat([x.float().cpu() for x, _ in outputs]))
        logits = [x.float().cpu() for _, x in outputs if x is not None]
        return Features(features, gather(torch.cat(logits)) if logits else None, labels)

    def stamp(self, metric: str, options: Mapping[str, Any]) -> Stamp:
        """Return the stamp of a score that was computed from this evidence.

        Args:
            metric: Qualified name of the metric.
            options: Its options.
        """
        name, extractor = self.extractor() if self.compared else ("", None)
        named = {self.held_out_split if name == "test" else name: count for name, count in self.used.items()}
        real = {name: count for name, count in named.items() if name != "fake"}
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

    def _real(self, split: str) -> Features:
        images, labels = (self.data.train, None) if split == "train" else (self.data.test, self.data.test_labels)
        if not len(images):
            raise self._not_held_out("image")
        numbers = choose_indices(len(images), self.number, self.seed)
        known = None if labels is None else labels[numbers]
        return self._once(split, lambda: self.extract(lambda batches: read_batches(images, batches), numbers, known))

    def _not_held_out(self, noun: str) -> BadData:
        """Return the error for missing held-out images, with the setting that provides them."""
        key = "validation" if self.held_out_split == "validation" else "test_fraction"
        return BadData(f"no {noun} of '{self.data.name}' is held out for {self.held_out_split}; see --set data.{key}")

    def _once(self, name: str, compute: Callable[[], Features]) -> Features:
        if name not in self.cache:
            self.cache[name] = compute()
        self.used[name], self.compared = len(self.cache[name]), True
        return self.cache[name]


class Metric(Protocol):
    """Measures the quality of a model.

    Attributes:
        smaller_is_better: Whether a smaller first value is better.
    """

    smaller_is_better: bool

    def __call__(self, evidence: Evidence) -> dict[str, float]:
        """Compute the metric.

        Args:
            evidence: Model, data and features. Warnings about the values are appended to its `warnings`.

        Returns:
            Named values; the first one ranks models.

        Raises:
            Incompatible: The metric does not apply to the model.
            BadData: There are too few images.
        """


def choose_indices(count: int, most: int, seed: int) -> Tensor:
    """Choose images at random.

    Args:
        count: Number of images.
        most: Largest number of images to choose.
        seed: Seed of the choice.

    Returns:
        Sorted positions `[min(count, most)]`.
    """
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most].sort().values


def read_batches(images: Images, batches: Sequence[Tensor]) -> Iterator[Tensor]:
    """Read images in batches, on the CPU.

    Args:
        images: The images.
        batches: Positions of the images of each batch `[B]`.

    Yields:
        uint8 images `[B, C, H, W]`.
    """
    for batch in images.batches(iter(batches)):
        yield batch.cpu()
