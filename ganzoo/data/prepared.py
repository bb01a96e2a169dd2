"""Folders that `ganzoo prepare` wrote, as data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL.Image import Image

from ganzoo.base.pictures import to_pil
from ganzoo.data import store
from ganzoo.data.identity import Keys
from ganzoo.data.source import Facts, Source
from ganzoo.errors import BadData


@dataclass(frozen=True)
class PreparedTable:
    """Decoded images with the keys of their originals.

    Attributes:
        part: The images.
        root: The folder, for messages.
        signature: Text that changes whenever the images do.
    """

    part: store.Part
    root: Path
    signature: str

    @property
    def labels(self) -> Keys:
        """Labels `[N]`, -1 for none."""
        return self.part.labels

    @property
    def keys(self) -> Keys:
        """Keys of the original images `[N]`."""
        return self.part.keys

    def __len__(self) -> int:
        return len(self.part.labels)

    def image(self, index: int) -> Image:
        """Return one image.

        Raises:
            BadData: The original could not be read.
        """
        if index in self.part.reasons:
            raise BadData(self.part.reasons[index])
        return to_pil(torch.from_numpy(self.part.pixels([index])[0]))

    def where(self, index: int) -> str:
        """Return the path that one image had when it was prepared."""
        return f"{self.root}: {self.part.paths[index]}"


def is_prepared(folder: Path) -> bool:
    """Return whether `ganzoo prepare` wrote a folder."""
    return (folder / store.FILE).is_file()


def prepared_source(folder: Path, /) -> Source:
    """Open a folder that `ganzoo prepare` wrote.

    Args:
        folder: The folder.

    Returns:
        The data set.

    Raises:
        CorruptFile: The folder is damaged, or was written by a later version.
    """
    stored = store.read_description(folder)
    tables = {
        name: PreparedTable(store.open_part(folder, stored, name), folder, " ".join(file.sha256 for file in files))
        for name, files in stored.parts.items()
    }
    return Source(stored.name, tables["train"], tables.get("test"), stored.class_names, tuple(stored.notes), folder)


def sides_of(folder: Path) -> tuple[int, int]:
    """Return height and width of the images in a prepared folder."""
    _, height, width = store.read_description(folder).preparation["shape"]
    return height, width


def facts_of(folder: Path) -> Facts:
    """Return the kind and size of the images in a prepared folder."""
    channels, height, width = store.read_description(folder).preparation["shape"]
    kind = {1: "grey", 3: "colour", 4: "colour with transparency"}[channels]
    return Facts({kind: 1}, min(height, width))
