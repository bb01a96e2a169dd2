"""Which images are held out, and whose labels may be seen: decided once, by seed, and kept with its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganzoo.errors import BadData, CorruptFile
from ganzoo.storage import read_metadata, read_tensors, tensor_bytes

SPLIT = "split.safetensors"
"""What the split is called in a run folder."""
Labels = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Split:
    """Indices into a data set's train table.

    train: images used for training. labelled: those whose label may be seen, a part of `train`; labels: their labels.
    test: images held out of the train table; empty where the data set has a test table of its own.
    """

    train: Labels
    labelled: Labels
    labels: Labels
    test: Labels

    @property
    def hash(self) -> str:
        """sha256 over every index and label."""
        digest = hashlib.sha256()
        for array in (self.train, self.labelled, self.labels, self.test):
            digest.update(np.int64(len(array)).tobytes() + np.ascontiguousarray(array, dtype="<i8").tobytes())
        return digest.hexdigest()

    def to_bytes(self, facts: Mapping[str, str] | None = None) -> bytes:
        """Return the content of a safetensors file, with the hash and further facts in its metadata."""
        arrays = {"train": self.train, "labelled": self.labelled, "labels": self.labels, "test": self.test}
        return tensor_bytes({k: torch.from_numpy(v) for k, v in arrays.items()}, {"sha256": self.hash, **(facts or {})})

    @staticmethod
    def facts(path: Path) -> dict[str, str]:
        """Return the facts in the metadata of a file that `to_bytes` wrote. Raises CorruptFile."""
        split, facts = Split.load(path), read_metadata(path)
        if facts.get("sha256") != split.hash:
            raise CorruptFile(f"{path} is damaged: its hash is not that of its content")
        return facts

    @classmethod
    def of(cls, place: str | Path, class_names: Sequence[str] | None = None) -> Split:
        """Read the split of a run folder, or of a file. Raises CorruptFile, or BadData when its classes are others."""
        path = Path(place) / SPLIT if Path(place).is_dir() else Path(place)
        if not path.is_file():
            raise BadData(f"there is no split {path}; give a run folder, or the {SPLIT} of one")
        theirs = json.loads(cls.facts(path).get("classes", "null"))
        if class_names is not None and theirs not in (None, list(class_names)):
            raise BadData(f"the split is of other data: its classes are {theirs}, and not {list(class_names)}")
        return cls.load(path)

    def check(self, known: Labels, usable: Labels, class_names: Sequence[str], own_test: bool) -> None:
        """Raise BadData unless this split is one of the data whose labels are `known`, its images `usable`."""
        odd = np.setdiff1d(np.concatenate([self.train, self.test]), usable)
        if len(odd):
            raise BadData(f"the split is of other data: its image {odd[0]} is not among the {len(usable)} usable ones")
        if own_test and len(self.test):
            raise BadData("the split holds out training images, and this data has a test part of its own")
        if wrong := np.flatnonzero(known[self.labelled] != self.labels).tolist():
            i = wrong[0]
            raise BadData(
                f"the split is of other data: image {self.labelled[i]} is of class {known[self.labelled[i]]} here, and "
                f"of class {self.labels[i]} there"
            )
        if len(np.setdiff1d(self.labelled, self.train)) or len(np.intersect1d(self.train, self.test)):
            raise BadData("the split labels or trains on images that it holds out")
        for k, name in enumerate(class_names):
            if k not in self.labels:
                raise BadData(f"class '{name}' has no labelled image in the split; give it one, or use another split")

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what `to_bytes` wrote. Raises CorruptFile."""
        tensors = read_tensors(path)
        try:
            return cls(**{name: tensor.numpy() for name, tensor in tensors.items()})
        except TypeError as error:
            raise CorruptFile(f"{path} is not a label split") from error


def make_split(
    known: Labels,
    class_names: Sequence[str],
    labels: int | str,
    split_seed: int,
    held_out: float,
    test_seed: int,
) -> Split:
    """Hold out a part of the images, and choose whose labels may be seen, both balanced over the classes.

    known: the label of every image, -1 where there is none. labels: how many to keep, or "all".
    held_out: part of the images to hold out, by `test_seed`; 0 where there is a test set already.
    Raises BadData when there are not that many labels, or a class would have none.
    """
    test = _hold_out(known, held_out, np.random.default_rng([test_seed, 1]))
    train = np.setdiff1d(np.arange(len(known)), test)
    by_class = [train[known[train] == k] for k in range(len(class_names))]
    available = sum(map(len, by_class))
    wanted = available if labels == "all" else int(labels)
    if class_names:
        if empty := [str(c) for c, members in zip(class_names, by_class, strict=True) if not len(members)]:
            raise BadData(f"class '{empty[0]}' has no labelled training image; give it one or remove the class")
        if wanted < len(class_names):
            raise BadData(
                f"{wanted} labels cannot give each of {len(class_names)} classes one; use --labels all or more"
            )
    if wanted > available:
        raise BadData(f"{wanted} labels asked for, but only {available} training images have one: --labels {available}")
    rng = np.random.default_rng([split_seed, 2])
    counts = (
        [len(m) for m in by_class] if labels == "all" else _shares(wanted, [len(m) for m in by_class], class_names, rng)
    )
    chosen = [np.sort(rng.permutation(m)[:n]) for m, n in zip(by_class, counts, strict=True)]
    labelled = np.sort(np.concatenate([*chosen, np.empty(0, dtype=np.int64)]).astype(np.int64))
    return Split(train, labelled, known[labelled], test)


def _shares(wanted: int, sizes: list[int], names: Sequence[str], rng: np.random.Generator) -> list[int]:
    """Share `wanted` labels evenly; what does not divide goes to classes drawn at random."""
    if not sizes:
        return []
    shares = np.full(len(sizes), wanted // len(sizes))
    shares[rng.permutation(len(sizes))[: wanted % len(sizes)]] += 1
    for name, share, size in zip(names, shares, sizes, strict=True):
        if share > size:
            most = min(sizes) * len(sizes)
            raise BadData(
                f"class '{name}' has {size} labelled training images, not the {share} of a balanced "
                f"{wanted}; --labels {most} at most, or --labels all"
            )
    return [int(s) for s in shares]


def _hold_out(known: Labels, part: float, rng: np.random.Generator) -> Labels:
    """Draw a part of every class (and of the images without a class, where there are no others)."""
    if not part:
        return np.empty(0, dtype=np.int64)
    classes = [k for k in np.unique(known) if k >= 0] or [-1]
    drawn = []
    for k in classes:
        members = np.flatnonzero(known == k)
        drawn.append(rng.permutation(members)[: round(part * len(members))])
    return np.sort(np.concatenate(drawn).astype(np.int64))
