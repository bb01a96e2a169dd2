"""Codes of images: those of seeds, and those that an inversion found and a file keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganzoo.errors import CorruptFile, Incompatible
from ganzoo.latents import images_at, space_of
from ganzoo.model import GAN
from ganzoo.storage import read_tensors, tensor_bytes, write_file, writing


@dataclass(frozen=True)
class Codes:
    """Codes `[N, D]` in a generator's space (`ganzoo.latents.Space`), and the classes `[N]` told with them, or None."""

    codes: Tensor
    labels: Tensor | None

    @classmethod
    def of_seeds(cls, gan: GAN, seeds: Sequence[int], y: int | None = None) -> Codes:
        """Return the codes that `gan.sample(1, y, seed)` makes its images of, bit for bit.

        Raises Incompatible when the model has no generator, or no class y.
        """
        space, label = space_of(gan.network("generator")), gan.labels(1, y)
        told = None if label is None else label.to(gan.device)
        with torch.no_grad():
            codes = [space.codes(gan.latents(1, seed).to(gan.device), told) for seed in seeds]
        return cls(torch.cat(codes).cpu(), None if label is None else label.repeat(len(seeds)))

    @classmethod
    def read(cls, path: Path, gan: GAN) -> Codes:
        """Read what `write` wrote, for a model. Raises CorruptFile, or Incompatible when it is not for this model."""
        tensors, one = read_tensors(path), cls.of_seeds(gan, [0])
        codes, labels = tensors.get("codes"), tensors.get("labels")
        if codes is None or codes.ndim != 2 or not len(codes) or not codes.is_floating_point():
            raise CorruptFile(f"{path} holds no latents; ganzoo project MODEL IMAGE --latents FILE writes such a file")
        if not bool(codes.isfinite().all()):
            raise CorruptFile(f"{path} has latents that are no finite numbers")
        if codes.shape[1] != one.codes.shape[1]:
            found, own = codes.shape[1], one.codes.shape[1]
            raise Incompatible(f"{path} has latents of {found} numbers, and this model's have {own}: another model's")
        if (labels is None) != (one.labels is None):
            has, does = ("no classes", "needs") if labels is None else ("classes", "is told no")
            raise Incompatible(f"{path} has latents with {has}, and this model's generator {does} classes")
        if labels is not None and (labels.shape != codes.shape[:1] or labels.dtype != torch.int64):
            raise CorruptFile(f"{path} has no class for each latent")
        return cls(codes.float(), gan.labels(len(codes), labels))

    def write(self, path: Path) -> None:
        """Write a safetensors file. Raises CannotWrite."""
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        known = {"codes": self.codes} | ({} if self.labels is None else {"labels": self.labels})
        write_file(path, tensor_bytes(known))

    def images(self, gan: GAN, truncation: float = 1.0) -> Iterator[Tensor]:
        """Return their images, some at a time."""
        return images_at(gan.network("generator"), self.codes, self.labels, truncation)

    def pick(self, numbers: Sequence[int]) -> Codes:
        """Return some of them, by their numbers from 0 on. Raises Incompatible for one that there is not."""
        if absent := [n for n in numbers if not 0 <= n < len(self.codes)]:
            raise Incompatible(f"there is no latent {absent[0]}: the file has {len(self.codes)}, numbered from 0")
        some = torch.tensor(numbers)
        return Codes(self.codes[some], None if self.labels is None else self.labels[some])
