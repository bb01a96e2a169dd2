"""Reads the tensors of a `torch.save` file without unpickling it."""

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
    """Read the tensors of a state dict, in either file layout of `torch.save`.

    The pickle in the file is only listed by `pickletools`, which creates no objects and calls nothing. Of its strings,
    only the names of tensors and the keys of their storages are used; the numbers are stored outside of the pickle.

    Args:
        path: The file.
        like: Tensors with the same names, shapes and types. Each fills a storage of its own, as in a state dict.

    Returns:
        The tensors by name.

    Raises:
        CorruptFile: The file cannot be read, or does not hold these tensors.
    """
    try:
        with path.open("rb") as file:
            raw = read_zip(file, like) if zipfile.is_zipfile(file) else read_legacy(file, like)
        return {
            name: torch.frombuffer(bytearray(raw[name]), dtype=x.dtype).reshape(x.shape).clone()
            for name, x in like.items()
        }
    except (OSError, ValueError, RuntimeError, LookupError, zipfile.BadZipFile) as error:
        raise CorruptFile(f"{path} cannot be read as the tensors of a network ({error!r})") from error


def read_zip(file: IO[bytes], like: Mapping[str, Tensor]) -> dict[str, bytes]:
    """Return the bytes of each tensor in a zip file with one member per storage (torch 1.6 and later).

    Args:
        file: The file.
        like: Tensors by name, see `read_checkpoint`.
    """
    with zipfile.ZipFile(file) as archive:
        top = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
        with archive.open(f"{top}data.pkl") as pickled:
            keys = names_by_storage(pickled_strings(pickled), like)
        return {name: archive.read(f"{top}data/{key}") for key, name in keys.items()}


def read_legacy(file: IO[bytes], like: Mapping[str, Tensor]) -> dict[str, bytes]:
    """Return the bytes of each tensor in a file of the layout before torch 1.6.

    Such a file is a sequence of pickles, followed by all storages, each of which is preceded by its length.

    Args:
        file: The file.
        like: Tensors by name, see `read_checkpoint`.
    """
    file.seek(0)
    for _ in range(3):  # the magic number, the version of the protocol, the system information
        pickled_strings(file)
    keys = names_by_storage(pickled_strings(file), like)
    raw = {}
    for key in filter(str.isdigit, pickled_strings(file)):
        count = int.from_bytes(file.read(8), "little")
        raw[keys[key]] = file.read(count * like[keys[key]].element_size())
    return raw


def pickled_strings(file: IO[bytes]) -> list[str]:
    """Return the strings of the next pickle of a file, in order."""
    return [argument for _, argument, _ in pickletools.genops(file) if isinstance(argument, str)]


def names_by_storage(strings: list[str], names: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the name of each tensor by the key of its storage.

    Args:
        strings: Strings of the pickle; a tensor's name precedes the key of its storage.
        names: Names of the tensors.
    """
    keys: dict[str, str] = {}
    name = ""
    for string in strings:
        if string in names:
            name = string
        elif name and string.isdigit():
            keys[string], name = name, ""
    return keys
