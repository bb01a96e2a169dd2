"""Tensors of a file that `torch.save` wrote, read without unpickling it."""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from ganzoo.errors import CorruptFile


def read_checkpoint(path: Path, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a state dict by name, in both layouts that `torch.save` has had. Raises CorruptFile.

    like: tensors of the same names, shapes and types; each lies whole in a storage of its own, as those of a state dict
    do. The pickle in the file is listed by `pickletools`, which makes no object and calls nothing: of its words, a
    tensor's name and then the key of its storage are all that is wanted. The numbers themselves lie outside of it.
    """
    try:
        with path.open("rb") as file:
            raw = zipped(file, like) if zipfile.is_zipfile(file) else plain(file, like)
        return {
            name: torch.frombuffer(bytearray(raw[name]), dtype=x.dtype).reshape(x.shape).clone()
            for name, x in like.items()
        }
    except (OSError, ValueError, RuntimeError, LookupError, zipfile.BadZipFile) as error:
        raise CorruptFile(f"{path} cannot be read as the tensors of a network ({error!r})") from error


def zipped(file: IO[bytes], like: Mapping[str, Tensor]) -> dict[str, bytes]:
    """Return the bytes of each tensor, of a zip with a member for each storage (torch 1.6 and later)."""
    with zipfile.ZipFile(file) as archive:
        top = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
        with archive.open(f"{top}data.pkl") as pickled:
            keys = storages(words(pickled), like)
        return {name: archive.read(f"{top}data/{key}") for key, name in keys.items()}


def plain(file: IO[bytes], like: Mapping[str, Tensor]) -> dict[str, bytes]:
    """Return the bytes of each tensor, of pickles with all storages behind them, each after its length (before 1.6)."""
    file.seek(0)
    for _ in range(3):  # a magic number, the version of the layout, the machine
        words(file)
    keys = storages(words(file), like)
    found = {}
    for key in filter(str.isdigit, words(file)):
        count = int.from_bytes(file.read(8), "little")
        found[keys[key]] = file.read(count * like[keys[key]].element_size())
    return found


def words(file: IO[bytes]) -> list[str]:
    """Return the words in the next pickle of a file, in their order."""
    return [word for _, word, _ in pickletools.genops(file) if isinstance(word, str)]


def storages(words: list[str], names: Mapping[str, Tensor]) -> dict[str, str]:
    """Return each tensor's name by the key of its storage."""
    keys: dict[str, str] = {}
    name = ""
    for word in words:
        if word in names:
            name = word
        elif name and word.isdigit():
            keys[word], name = name, ""
    return keys
