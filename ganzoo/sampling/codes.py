"""Codes of generated images: of seeds, or found by projection and saved in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganzoo.base.storage import read_tensors, tensor_bytes, write_file, writing
from ganzoo.errors import CorruptFile, Incompatible
from ganzoo.model.classes import ClassLabel
from ganzoo.model.gan import GAN
from ganzoo.model.latents import images_at, space_of


@dataclass(frozen=True)
class Codes:
    """Codes in the latent space of a generator (see `ganzoo.model.latents.Space`).

    Attributes:
        codes: Codes `[N, D]`.
        labels: Classes `[N]`; None for an unconditional generator.
    """

    codes: Tensor
    labels: Tensor | None

    @classmethod
    def of_seeds(cls, gan: GAN, seeds: Sequence[int], y: ClassLabel | None = None) -> Codes:
        """Return the codes from which `gan.sample(1, y, seed)` generates its images, bit for bit.

        Args:
            gan: The model.
            seeds: N seeds.
            y: Class by number or name, for a conditional generator.

        Raises:
            Incompatible: The model has no generator, or no class y.
        """
        space, label = space_of(gan.network("generator")), gan.labels(1, y)
        y_device = None if label is None else label.to(gan.device)
        with torch.no_grad():
            codes = [space.codes(gan.latents(1, seed).to(gan.device), y_device) for seed in seeds]
        return cls(torch.cat(codes).cpu(), None if label is None else label.repeat(len(seeds)))

    @classmethod
    def read(cls, path: Path, gan: GAN) -> Codes:
        """Read a file that `write` wrote.

        Args:
            path: The file.
            gan: The model that the codes are for.

        Raises:
            CorruptFile: The file is damaged, or holds no codes.
            Incompatible: The codes are those of another model.
        """
        tensors, example = read_tensors(path), cls.of_seeds(gan, [0])
        codes, labels = tensors.get("codes"), tensors.get("labels")
        if codes is None or codes.ndim != 2 or not len(codes) or not codes.is_floating_point():
            raise CorruptFile(f"{path} has no latents; write some with: ganzoo project MODEL IMAGE --latents FILE")
        if not bool(codes.isfinite().all()):
            raise CorruptFile(f"{path} has latents that are not finite numbers; write it again with: ganzoo project")
        if codes.shape[1] != example.codes.shape[1]:
            raise Incompatible(
                f"{path} has latents of {codes.shape[1]} dimensions, but those of this model have "
                f"{example.codes.shape[1]}; use the model that they were found for"
            )
        if (labels is None) != (example.labels is None):
            kind, other = ("conditional", "no classes") if labels is None else ("unconditional", "classes")
            raise Incompatible(
                f"{path} has latents with {other}, but the generator of this model is {kind}; use the model that they "
                "were found for"
            )
        if labels is not None and (labels.shape != codes.shape[:1] or labels.dtype != torch.int64):
            raise CorruptFile(f"{path} does not have one class for each latent; write it again with: ganzoo project")
        return cls(codes.float(), gan.labels(len(codes), labels))

    def write(self, path: Path) -> None:
        """Write the codes to a safetensors file. Missing folders are created.

        Raises:
            CannotWrite: The file cannot be written.
        """
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        known = {"codes": self.codes} | ({} if self.labels is None else {"labels": self.labels})
        write_file(path, tensor_bytes(known))

    def images(self, gan: GAN, truncation: float = 1.0) -> Iterator[Tensor]:
        """Generate the images of the codes.

        Args:
            gan: The model.
            truncation: Factor in [0, 1] by which codes are moved towards their centre.

        Yields:
            Images `[B, C, H, W]` in [-1, 1], a chunk at a time.
        """
        return images_at(gan.network("generator"), self.codes, self.labels, truncation)

    def pick(self, numbers: Sequence[int]) -> Codes:
        """Select codes by their numbers, from 0.

        Raises:
            Incompatible: There is no code of that number.
        """
        if absent := [n for n in numbers if not 0 <= n < len(self.codes)]:
            raise Incompatible(
                f"there is no latent {absent[0]}: the file has {len(self.codes)} latents, numbered from 0"
            )
        index = torch.tensor(numbers)
        return Codes(self.codes[index], None if self.labels is None else self.labels[index])
