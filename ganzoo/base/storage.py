"""Files and folders on disk: written atomically, verified by SHA-256, and never pickled."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from ganzoo.errors import CannotWrite, CorruptFile

MANIFEST = "manifest.json"
LARGEST_HEADER = 2**23
"""Bytes of the largest safetensors header that is read."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert errors of the file system.

    Args:
        path: The file or folder that is written, for the message.

    Raises:
        CannotWrite: An OSError occurred.
    """
    try:
        yield
    except OSError as error:
        raise CannotWrite(
            f"cannot write {path} ({error.strerror}); what was saved before is kept. "
            "Make room or choose another folder with --out, then run the same command again"
        ) from error


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically: after a crash, it has either the old or the new content.

    Args:
        path: The file.
        content: Its new content.

    Raises:
        CannotWrite: The file cannot be written; the old content is kept.
    """
    temporary = path.with_name(f".{path.name}.partial")
    with writing(path):
        try:
            _write_synced(temporary, content)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files atomically: under another name first, which is then changed.

    Args:
        path: The folder; an old one is replaced.
        files: Contents by file name.

    Raises:
        CannotWrite: The folder cannot be written; the old one is kept.
    """
    temporary, old = path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.old")
    with writing(path):
        try:
            if temporary.is_file():
                temporary.unlink()
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for name, content in files.items():
                _write_synced(temporary / name, content)
            shutil.rmtree(old, ignore_errors=True)
            if path.exists():
                path.rename(old)
            temporary.rename(path)
            _sync(path.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            recover_folder(path)
            raise
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(path: Path) -> None:
    """Restore a folder whose replacement was interrupted between two renames."""
    old = path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        old.rename(path)


def with_manifest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Add a manifest with the SHA-256 of every file."""
    return {**files, MANIFEST: to_json({name: hashlib.sha256(content).hexdigest() for name, content in files.items()})}


def verify(folder: Path, names: Iterable[str]) -> None:
    """Verify all files of a folder by its manifest.

    Args:
        folder: The folder.
        names: Files that the manifest must list.

    Raises:
        CorruptFile: A file is missing or damaged.
    """
    manifest = read_json(folder / MANIFEST)
    if missing := sorted(set(names) - manifest.keys()):
        raise CorruptFile(f"{folder / MANIFEST} does not list {missing[0]}; the folder is damaged")
    for name, expected in manifest.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise CorruptFile(f"{path} is missing; the folder is damaged")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise CorruptFile(f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}")


def tensor_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return tensors as the content of a safetensors file.

    Args:
        tensors: Tensors by name.
        metadata: Metadata of the file.
    """
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    return safetensors.torch.save(plain, metadata=dict(metadata or {}))


def weights_sha256(module: nn.Module) -> str:
    """Return the SHA-256 of the weights of a module, as a safetensors file."""
    return hashlib.sha256(tensor_bytes(module.state_dict())).hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file.

    Raises:
        CorruptFile: The file is damaged.
    """
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise CorruptFile(f"{path} cannot be read as safetensors ({error})") from error


def read_header(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Read the header of a safetensors file.

    Returns:
        Type (`F32`, `I64`, …) and shape of each tensor by name.

    Raises:
        CorruptFile: The file is damaged.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
        if size > LARGEST_HEADER:
            raise CorruptFile(f"{path} has a header of {size:,} bytes; at most {LARGEST_HEADER:,} are read")
        with safetensors.safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (tensor.get_dtype(), tensor.get_shape()) for name, tensor in slices.items()}
    except (OSError, safetensors.SafetensorError) as error:
        raise CorruptFile(f"{path} cannot be read as safetensors ({error})") from error


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file.

    Raises:
        CorruptFile: The file is damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (OSError, safetensors.SafetensorError) as error:
        raise CorruptFile(f"{path} cannot be read as safetensors ({error})") from error


def to_json(value: Any) -> bytes:
    """Encode a value as the content of a JSON file."""
    return (json.dumps(value, indent=2) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object.

    Raises:
        CorruptFile: The file is missing or damaged, or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptFile(f"{path} cannot be read as JSON ({error})") from error
    if not isinstance(value, dict):
        raise CorruptFile(f"{path} does not hold a JSON object")
    return value


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy tensors into a module, after comparing all names and shapes.

    Args:
        module: The module.
        tensors: Tensors by name.
        where: Name of their file in messages.

    Raises:
        CorruptFile: Names or shapes differ.
    """
    own = module.state_dict()
    if missing := sorted(own.keys() - tensors.keys()):
        raise CorruptFile(f"{where} lacks the tensor '{missing[0]}' ({len(missing)} in all)")
    if surplus := sorted(tensors.keys() - own.keys()):
        raise CorruptFile(
            f"{where} has a tensor '{surplus[0]}' that this network does not have ({len(surplus)} in all)"
        )
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise CorruptFile(f"{where}: '{name}' has shape {list(tensors[name].shape)}, not {list(tensor.shape)}")
    module.load_state_dict(dict(tensors), strict=True)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
