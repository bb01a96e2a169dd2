"""Images that are decoded when a batch needs them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ganzoo.data.decode import Decoder
from ganzoo.data.identity import Keys, sha256_of
from ganzoo.data.images import Uint8
from ganzoo.data.source import Table
from ganzoo.errors import BadData


@dataclass(frozen=True)
class Streamed:
    """Images that worker processes decode from disk when a batch needs them.

    Attributes:
        table: The stored images.
        members: Indices of the N images in the table.
        keys: Keys of these images.
        decode: Decoder of the images.
        workers: Number of worker processes.
    """

    table: Table
    members: Keys
    keys: Keys
    decode: Decoder
    workers: int

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> Uint8 | BadData:
        try:
            return self.decode.one(self.table, int(self.members[index]))
        except BadData as error:  # raised in a worker, it would arrive wrapped in a traceback
            return error

    def fingerprint(self) -> str:
        """Return the SHA-256 of the keys of the images."""
        return hashlib.sha256(f"streamed {sha256_of(self.keys)}".encode()).hexdigest()

    def batches(self, indices: Iterator[Tensor]) -> Iterator[Tensor]:
        """Return batches of images, decoded ahead by worker processes.

        Raises:
            BadData: An image cannot be read, or a process died.
        """
        loader: DataLoader[Uint8 | BadData] = DataLoader(
            self,  # type: ignore[arg-type]
            batch_sampler=(index.tolist() for index in indices),
            num_workers=self.workers,
            generator=torch.Generator(),  # starting workers must not advance the global generator
            collate_fn=stack,
        )
        try:
            for batch in loader:
                if isinstance(batch, BadData):
                    raise batch
                yield torch.from_numpy(batch)
        except RuntimeError as error:
            raise BadData(
                f"a process that decodes images died ({str(error).splitlines()[0]}), most likely because memory ran "
                "out; continue with fewer processes: --set data.workers=0"
            ) from error


def stack(items: Sequence[Uint8 | BadData]) -> Uint8 | BadData:
    """Stack images `[C, H, W]` into `[B, C, H, W]`, or return the first error among them.

    Arrays come from other processes through pipes. Tensors would need shared memory, of which containers have little.
    """
    errors = [item for item in items if isinstance(item, BadData)]
    return errors[0] if errors else np.stack([item for item in items if not isinstance(item, BadData)])
