"""Which images are held out, and whose labels may be seen: decided once, by seed, and kept with its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganzoo.errors import BadData, CorruptFile
from ganzoo.storage import read_metadata, read_tensors, tensor_bytes

SPLIT = "split.safetensors"
"""What the split is called in a run folder."""
Labels = np.ndarray[Any, np.dtype[np.int64]]
NONE: Labels = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Split:
    """Indices into a data set's train table.

    train: images used for training. labelled: those whose label may be seen, a part of `train`; labels: their labels.
    test: images held out of the train table; empty where the data set has a test table of its own. validation: images
    that are held out of training too, and may choose weights; none unless asked for.
    """

    train: Labels
    labelled: Labels
    labels: Labels
    test: Labels
    validation: Labels = field(default_factory=lambda: NONE)

    @property
    def arrays(self) -> dict[str, Labels]:
        """The indices and labels by name; `validation` where there is some."""
        arrays = {"train": self.train, "labelled": self.labelled, "labels": self.labels, "test": self.test}
        return {**arrays, **({"validation": self.validation} if len(self.validation) else {})}

    @property
    def hash(self) -> str:
        """sha256 over every index and label."""
        digest = hashlib.sha256()
        for array in self.arrays.values():
            digest.update(np.int64(len(array)).tobytes() + np.ascontiguousarray(array, dtype="<i8").tobytes())
        return digest.hexdigest()

    def to_bytes(self, facts: Mapping[str, str] | None = None) -> bytes:
        """Return the content of a safetensors file, with the hash and further facts in its metadata."""
        tensors = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        return tensor_bytes(tensors, {"sha256": self.hash, **(facts or {})})

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
        held_out = np.concatenate([self.test, self.validation])
        odd = np.setdiff1d(np.concatenate([self.train, held_out]), usable)
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
        if len(np.setdiff1d(self.labelled, self.train)) or len(np.intersect1d(self.train, held_out)):
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
    validation: int = 0,
) -> Split:
    """Hold out a part of the images, and choose whose labels may be seen, both balanced over the classes.

    known: the label of every image, -1 where there is none. labels: how many to keep, or "all".
    held_out: part of the images to hold out, by `test_seed`; 0 where there is a test set already.
    validation: labelled images to leave out of training besides, by `split_seed`. A number of labels is chosen before
    them, so that it is of the same images with and without.
    Raises BadData when there are not that many labels, or a class would have none.
    """
    test = _hold_out(known, held_out, np.random.default_rng([test_seed, 1]))
    train = np.setdiff1d(np.arange(len(known)), test)
    labelled = NONE
    if labels != "all":
        rng = np.random.default_rng([split_seed, 2])
        labelled = _balanced(known, train, class_names, int(labels), rng, "labels", "--labels ")
    kept = NONE
    if validation:
        rng, left = np.random.default_rng([split_seed, 3]), np.setdiff1d(train, labelled)
        flag = "--set data.validation="
        kept = _balanced(known, left, class_names, validation, rng, "labels for validation", flag)
        train = np.setdiff1d(train, kept)
    if labels == "all":
        labelled = train[known[train] >= 0]
    for k, name in enumerate(class_names):
        if k not in known[labelled]:
            raise BadData(f"class '{name}' has no labelled training image; give it one or remove the class")
    return Split(train, labelled, known[labelled], test, kept)


def _balanced(
    known: Labels,
    members: Labels,
    class_names: Sequence[str],
    wanted: int,
    rng: np.random.Generator,
    what: str,
    flag: str,
) -> Labels:
    """Choose so many of the members that have a label, as many of each class. Raises BadData when there are too few."""
    by_class = [members[known[members] == k] for k in range(len(class_names))]
    for name, own in zip(class_names, by_class, strict=True):
        if not len(own):
            raise BadData(f"class '{name}' has no labelled training image; give it one or remove the class")
    if wanted < len(by_class):
        raise BadData(
            f"{wanted} {what} cannot give each of {len(by_class)} classes one; {flag}{len(by_class)} at least"
        )
    if wanted > (available := sum(map(len, by_class))):
        raise BadData(f"{wanted} {what} asked for, but only {available} training images have one: {flag}{available}")
    shares = _shares(wanted, [len(own) for own in by_class], rng)
    for name, share, own in zip(class_names, shares, by_class, strict=True):
        if share > len(own):
            most = min(map(len, by_class)) * len(by_class)
            raise BadData(
                f"class '{name}' has {len(own)} labelled training images, not the {share} of a balanced {wanted}; "
                f"{flag}{most} at most"
            )
    chosen = [rng.permutation(own)[:share] for own, share in zip(by_class, shares, strict=True)]
    return np.sort(np.concatenate([*chosen, NONE]))


def _shares(wanted: int, sizes: list[int], rng: np.random.Generator) -> list[int]:
    """Share `wanted` evenly; what does not divide goes to classes drawn at random."""
    shares = np.full(len(sizes), wanted // max(len(sizes), 1))
    shares[rng.permutation(len(sizes))[: wanted % max(len(sizes), 1)]] += 1
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
