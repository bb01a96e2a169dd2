"""The split of a data set: which images are held out, and which labels may be used. It is drawn once, by seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganzoo.base.storage import read_metadata, read_tensors, tensor_bytes
from ganzoo.errors import BadData, CorruptFile

SPLIT = "split.safetensors"
"""File name of the split in a run folder."""
Labels = np.ndarray[Any, np.dtype[np.int64]]
NONE: Labels = np.empty(0, dtype=np.int64)
Groups = list[tuple[str, Labels]]


@dataclass(frozen=True)
class Split:
    """Indices into the training table of a data set.

    Attributes:
        train: Images used for training `[N]`.
        labelled: Those of them whose labels may be used `[L]`.
        labels: Labels of the labelled images `[L]`.
        test: Images held out for testing; empty if the data set has a test table of its own.
        validation: Images held out of training by which the best weights may be selected; empty by default.
    """

    train: Labels
    labelled: Labels
    labels: Labels
    test: Labels
    validation: Labels = field(default_factory=lambda: NONE)

    @property
    def arrays(self) -> dict[str, Labels]:
        """Indices and labels by name; `validation` only if there are such images."""
        arrays = {"train": self.train, "labelled": self.labelled, "labels": self.labels, "test": self.test}
        return {**arrays, **({"validation": self.validation} if len(self.validation) else {})}

    @property
    def hash(self) -> str:
        """SHA-256 of all indices and labels."""
        digest = hashlib.sha256()
        for array in self.arrays.values():
            digest.update(np.int64(len(array)).tobytes() + np.ascontiguousarray(array, dtype="<i8").tobytes())
        return digest.hexdigest()

    def to_bytes(self, metadata: Mapping[str, str] | None = None) -> bytes:
        """Return the content of a safetensors file.

        Args:
            metadata: Entries of the file's metadata besides the hash.
        """
        tensors = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        return tensor_bytes(tensors, {"sha256": self.hash, **(metadata or {})})

    @staticmethod
    def metadata(path: Path) -> dict[str, str]:
        """Read the metadata of a file that `to_bytes` wrote.

        Raises:
            CorruptFile: The file is damaged.
        """
        split, metadata = Split.load(path), read_metadata(path)
        if metadata.get("sha256") != split.hash:
            raise CorruptFile(f"{path} is damaged: its SHA-256 does not match its content; restore the file")
        return metadata

    @classmethod
    def of(cls, location: str | Path, class_names: Sequence[str] | None = None) -> Split:
        """Read the split of a run folder, or a split file.

        Args:
            location: Run folder or file.
            class_names: Class names of the data; if given, they are compared with those of the split.

        Raises:
            BadData: There is no such file, or it was made for data with other classes.
            CorruptFile: The file is damaged.
        """
        path = Path(location) / SPLIT if Path(location).is_dir() else Path(location)
        if not path.is_file():
            raise BadData(f"there is no split {path}; give a run folder, or the {SPLIT} of one")
        classes = json.loads(cls.metadata(path).get("classes", "null"))
        if class_names is not None and classes not in (None, list(class_names)):
            raise BadData(
                f"the split {path} was made for other data: its classes are {classes}, not {list(class_names)}; give "
                "the split of a run on the same data"
            )
        return cls.load(path)

    def check(self, known: Labels, usable: Labels, class_names: Sequence[str], has_test_table: bool) -> None:
        """Check that this split fits a data set.

        Args:
            known: Label of every image of the training table `[N]`, -1 for none.
            usable: Indices of the images that can be read.
            class_names: Names of the classes.
            has_test_table: Whether the data set has test images of its own.

        Raises:
            BadData: The split was made for other data, or contradicts itself.
        """
        held_out = np.concatenate([self.test, self.validation])
        unknown = np.setdiff1d(np.concatenate([self.train, held_out]), usable)
        if len(unknown):
            raise BadData(
                f"the split was made for other data: its image {unknown[0]} is not one of the {len(usable)} usable "
                "images; give the split of a run on the same data"
            )
        if has_test_table and len(self.test):
            raise BadData(
                "the split was made for other data: it holds out training images, and this data has test images of "
                "its own"
            )
        if wrong := np.flatnonzero(known[self.labelled] != self.labels).tolist():
            i = wrong[0]
            raise BadData(
                f"the split was made for other data: image {self.labelled[i]} has class {known[self.labelled[i]]} in "
                f"the data, and class {self.labels[i]} in the split"
            )
        if len(np.setdiff1d(self.labelled, self.train)) or len(np.intersect1d(self.train, held_out)):
            raise BadData("the split contradicts itself: it holds out images that it labels or trains on")
        for k, name in enumerate(class_names):
            if k not in self.labels:
                raise BadData(f"class '{name}' has no labelled image in the split; add one, or use another split")

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read a file that `to_bytes` wrote, without comparing its hash.

        Raises:
            CorruptFile: The file is not a split.
        """
        tensors = read_tensors(path)
        try:
            return cls(**{name: tensor.numpy() for name, tensor in tensors.items()})
        except TypeError as error:
            raise CorruptFile(f"{path} is not a split; give a run folder, or the {SPLIT} of one") from error


@dataclass(frozen=True)
class SplitSettings:
    """How a split is drawn.

    Attributes:
        labels: Number of labels to use, or "all".
        split_seed: Seed of the choice of labels and of validation images.
        held_out: Fraction of the images to hold out for testing, in [0, 1]; 0 if the data set has test images.
        test_seed: Seed of the choice of test images.
        validation: Number of labelled images to hold out for validation.
    """

    labels: int | str
    split_seed: int
    held_out: float
    test_seed: int
    validation: int = 0


def make_split(known: Labels, class_names: Sequence[str], settings: SplitSettings) -> Split:
    """Draw a split that is balanced over the classes.

    A given number of labels is drawn before the validation images, so that the labels are the same with and without
    validation.

    Args:
        known: Label of every image `[N]`, -1 for none.
        class_names: Names of the classes.
        settings: Numbers and seeds.

    Raises:
        BadData: There are too few labelled images, or a class has none.
    """
    test = _hold_out(known, settings.held_out, np.random.default_rng([settings.test_seed, 1]))
    train = np.setdiff1d(np.arange(len(known)), test)
    labelled = validation = NONE
    if settings.labels != "all":
        rng = np.random.default_rng([settings.split_seed, 2])
        groups = _by_class(known, train, class_names)
        labelled = _draw_balanced(groups, int(settings.labels), rng, "labels", "--labels ")
    if settings.validation:
        rng = np.random.default_rng([settings.split_seed, 3])
        groups = _by_class(known, np.setdiff1d(train, labelled), class_names)
        noun, flag = "labels for validation", "--set data.validation="
        validation = _draw_balanced(groups, settings.validation, rng, noun, flag)
        train = np.setdiff1d(train, validation)
    if settings.labels == "all":
        labelled = train[known[train] >= 0]
    _by_class(known, labelled, class_names)
    return Split(train, labelled, known[labelled], test, validation)


def _by_class(known: Labels, members: Labels, class_names: Sequence[str]) -> Groups:
    """Group images by class. Images without a label are left out.

    Raises:
        BadData: A class has no image.
    """
    groups = [(name, members[known[members] == k]) for k, name in enumerate(class_names)]
    for name, group in groups:
        if not len(group):
            raise BadData(f"class '{name}' has no labelled training image; add one or remove the class")
    return groups


def _draw_balanced(groups: Groups, count: int, rng: np.random.Generator, noun: str, flag: str) -> Labels:
    """Draw labelled images, as many of each class.

    Args:
        groups: Name of each class, and indices of its labelled images.
        count: Number of images to draw.
        rng: Source of randomness.
        noun: What is drawn, for messages.
        flag: Flag or setting that gives the number, for messages.

    Returns:
        Indices in ascending order.

    Raises:
        BadData: There are too few images, or fewer are wanted than there are classes.
    """
    classes, sizes = len(groups), [len(group) for _, group in groups]
    if count < classes:
        raise BadData(f"{count} {noun} are too few for {classes} classes; use at least {flag}{classes}")
    if count > (available := sum(sizes)):
        raise BadData(f"{count} {noun} requested, but only {available} training images have one; use {flag}{available}")
    shares = _shares(count, sizes, rng)
    for (name, group), share in zip(groups, shares, strict=True):
        if share > len(group):
            raise BadData(
                f"class '{name}' has {len(group)} labelled training images, but {count} {noun} balanced over the "
                f"classes need {share} of it; use at most {flag}{min(sizes) * classes}"
            )
    chosen = [rng.permutation(group)[:share] for (_, group), share in zip(groups, shares, strict=True)]
    return np.sort(np.concatenate([*chosen, NONE]))


def _shares(count: int, sizes: list[int], rng: np.random.Generator) -> list[int]:
    """Divide a number evenly among classes; the remainder goes to classes drawn at random."""
    shares = np.full(len(sizes), count // max(len(sizes), 1))
    shares[rng.permutation(len(sizes))[: count % max(len(sizes), 1)]] += 1
    return [int(s) for s in shares]


def _hold_out(known: Labels, fraction: float, rng: np.random.Generator) -> Labels:
    """Draw a fraction of every class, or of the images without a label if no image has one."""
    if not fraction:
        return np.empty(0, dtype=np.int64)
    classes = [k for k in np.unique(known) if k >= 0] or [-1]
    drawn = []
    for k in classes:
        members = np.flatnonzero(known == k)
        drawn.append(rng.permutation(members)[: round(fraction * len(members))])
    return np.sort(np.concatenate(drawn).astype(np.int64))
