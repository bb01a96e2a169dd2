"""The split of a data set: which images are held out, and which labels may be used. It is drawn once, by seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganzoo.base.storage import read_metadata, read_tensors, tensor_bytes
from ganzoo.data.identity import NONE, find, first_copy, sha256_of
from ganzoo.errors import BadData, CorruptFile

SPLIT = "split.safetensors"
"""File name of the split in a run folder."""
Labels = np.ndarray[Any, np.dtype[np.int64]]
Groups = list[tuple[str, Labels]]
ARRAYS = ("train", "labelled", "labels", "test", "validation")
KEYED = "2"
"""Version of split files that identify images by their keys; before, they were known by their positions."""


@dataclass(frozen=True)
class Split:
    """Indices into the training table of a data set.

    Attributes:
        train: Images used for training `[N]`.
        labelled: Those of them whose labels may be used `[L]`.
        labels: Labels of the labelled images `[L]`.
        test: Images held out for testing; empty if the data set has a test table of its own.
        validation: Images held out of training by which the best weights may be selected; empty by default.
        keys: Keys of all images of the table, by which they are known when the data are moved or renamed.
    """

    train: Labels
    labelled: Labels
    labels: Labels
    test: Labels
    validation: Labels
    keys: Labels

    @property
    def positions(self) -> Labels:
        """Positions of the labelled images in `train` `[L]`."""
        order = np.argsort(self.train, kind="stable")
        return order[np.searchsorted(self.train[order], self.labelled)]

    @property
    def stored(self) -> SavedSplit:
        """The split as a file keeps it: by the keys of its images."""
        by_key = {name: self.keys[getattr(self, name)] for name in ("train", "test", "validation")}
        return SavedSplit(labelled=self.positions, labels=self.labels, keyed=True, **by_key)

    @property
    def hash(self) -> str:
        """SHA-256 of the keys of all images, and of the labels."""
        return self.stored.hash

    def check(self, known: Labels, class_names: Sequence[str], has_test_table: bool) -> None:
        """Check that this split fits a data set.

        Args:
            known: Label of every image of the training table `[N]`, -1 for none.
            class_names: Names of the classes.
            has_test_table: Whether the data set has test images of its own.

        Raises:
            BadData: The split was made for other data, or contradicts itself.
        """
        held_out = np.concatenate([self.test, self.validation])
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


@dataclass(frozen=True)
class SavedSplit:
    """A split as a file keeps it.

    Attributes:
        train: Keys of the images used for training `[N]`.
        labelled: Positions in `train` of the images whose labels may be used `[L]`.
        labels: Labels of these images `[L]`.
        test: Keys of the images held out for testing.
        validation: Keys of the images held out for validation.
        keyed: Whether images are identified by keys. In files of earlier versions, `train`, `labelled`, `test` and
            `validation` are positions in the training table.
        path: The file, for messages.
    """

    train: Labels
    labelled: Labels
    labels: Labels
    test: Labels
    validation: Labels = field(default_factory=lambda: NONE)
    keyed: bool = False
    path: Path = Path(SPLIT)

    @property
    def arrays(self) -> dict[str, Labels]:
        """Arrays by name; `validation` only if there are such images."""
        arrays: dict[str, Labels] = {name: getattr(self, name) for name in ARRAYS}
        return {name: array for name, array in arrays.items() if name != "validation" or len(array)}

    @property
    def hash(self) -> str:
        """SHA-256 of all arrays."""
        return sha256_of(*self.arrays.values())

    @property
    def trained(self) -> Labels:
        """Keys of the images that a model was trained on, or selected by; none in files of earlier versions."""
        return np.concatenate([self.train, self.validation]) if self.keyed else NONE

    def to_bytes(self, metadata: Mapping[str, str] | None = None) -> bytes:
        """Return the content of a safetensors file.

        Args:
            metadata: Entries of the file's metadata besides the hash.
        """
        tensors = {name: torch.from_numpy(array) for name, array in self.arrays.items()}
        format_ = {"format": KEYED} if self.keyed else {}
        return tensor_bytes(tensors, {"sha256": self.hash, **format_, **(metadata or {})})

    @staticmethod
    def metadata(path: Path) -> dict[str, str]:
        """Read the metadata of a file that `to_bytes` wrote.

        Raises:
            CorruptFile: The file is damaged.
        """
        split, metadata = SavedSplit.load(path), read_metadata(path)
        if metadata.get("sha256") != split.hash:
            raise CorruptFile(f"{path} is damaged: its SHA-256 does not match its content; restore the file")
        return metadata

    @classmethod
    def of(cls, location: str | Path, class_names: Sequence[str] | None = None) -> SavedSplit:
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

    @classmethod
    def load(cls, path: Path) -> SavedSplit:
        """Read a file that `to_bytes` wrote, without comparing its hash.

        Raises:
            CorruptFile: The file is not a split.
        """
        tensors, keyed = read_tensors(path), read_metadata(path).get("format") == KEYED
        try:
            return cls(**{name: tensor.numpy() for name, tensor in tensors.items()}, keyed=keyed, path=path)
        except TypeError as error:
            raise CorruptFile(f"{path} is not a split; give a run folder, or the {SPLIT} of one") from error

    def match(self, keys: Labels, readable: Labels) -> Split:
        """Find the images of the split in a data set, wherever they lie and whatever they are called there.

        Args:
            keys: Keys of all images of the training table `[N]`.
            readable: Numbers of the images that can be read.

        Raises:
            BadData: Images are missing.
        """
        found = {name: getattr(self, name) for name in ("train", "test", "validation")}
        if self.keyed:
            places = find(np.concatenate([*found.values()]), keys[readable])
            places = np.where(places < 0, -1, np.append(readable, -1)[places])
            sizes = np.cumsum([len(array) for array in found.values()])[:-1]
            found = dict(zip(found, np.split(places, sizes), strict=True))
        everywhere = np.concatenate([*found.values()])
        if missing := int((~np.isin(everywhere, readable)).sum()):
            raise BadData(
                f"the images of the data have changed since {self.path} was written: {missing:,} of its "
                f"{len(everywhere):,} images are not among the readable ones; restore them, or name the place where "
                "they are now with --data"
            )
        labelled = found["train"][self.labelled] if self.keyed else self.labelled
        return Split(labelled=labelled, labels=self.labels, keys=keys, **found)


def trained_on(model: str | Path) -> Labels:
    """Return the keys of the images that a run was trained on; none if a model is not in its run folder."""
    folders = Path(model), Path(model).parent
    paths = [folder / SPLIT for folder in folders if (folder / SPLIT).is_file()]
    return SavedSplit.of(paths[0]).trained if paths else NONE


@dataclass(frozen=True)
class SplitSettings:
    """How a split is drawn.

    Attributes:
        labels: Number of labels to use, "per-class=N" or "all".
        split_seed: Seed of the choice of labels and of validation images.
        held_out: Fraction of the images to hold out for testing, in [0, 1]; 0 if the data set has test images.
        test_seed: Seed of the choice of test images.
        validation: Number of labelled images to hold out for validation.
        natural: Draw labels as the classes are distributed; by default as many of each class, as far as it has them.
    """

    labels: int | str
    split_seed: int
    held_out: float
    test_seed: int
    validation: int = 0
    natural: bool = False


@dataclass(frozen=True)
class Candidates:
    """The images among which a split is drawn.

    Attributes:
        labels: Label of every image of the table `[N]`, -1 for none.
        keys: Keys of all images of the table `[N]`.
        hashes: Hashes by which exact copies are found `[N]`.
        members: Numbers of the images that may be used.
        trained: Whether a model from which the run begins was trained on an image `[N]`; these are not held out.
    """

    labels: Labels
    keys: Labels
    hashes: Labels
    members: Labels
    trained: np.ndarray[Any, np.dtype[np.bool_]]


def make_split(images: Candidates, class_names: Sequence[str], settings: SplitSettings) -> Split:
    """Draw a split that is balanced over the classes.

    A given number of labels is drawn before the validation images, so that the labels are the same with and without
    validation. Exact copies of an image are held out with it, or not at all.

    Args:
        images: The images.
        class_names: Names of the classes.
        settings: Numbers and seeds.

    Raises:
        BadData: There are too few labelled images, or a class has none.
    """
    members, known, copies = images.members, images.labels[images.members], first_copy(images.hashes[images.members])
    rng = np.random.default_rng([settings.test_seed, 1])
    test = _with_copies(_hold_out(known, settings.held_out, rng, images.trained[members]), copies)
    train = np.setdiff1d(np.arange(len(known)), test)
    labelled = validation = NONE
    if settings.labels != "all":
        rng = np.random.default_rng([settings.split_seed, 2])
        groups = _by_class(known, train, class_names)
        labelled = _draw(groups, _shares_of(settings, groups, rng), rng)
    if settings.validation:
        rng = np.random.default_rng([settings.split_seed, 3])
        groups = _by_class(known, np.setdiff1d(train, labelled), class_names)
        shares = _balanced(settings.validation, groups, rng, "labels for validation", "--set data.validation=")
        validation = np.setdiff1d(_with_copies(_draw(groups, shares, rng), copies), labelled)
        train = np.setdiff1d(train, validation)
    if settings.labels == "all":
        labelled = train[known[train] >= 0]
    _by_class(known, labelled, class_names)
    return Split(members[train], members[labelled], known[labelled], members[test], members[validation], images.keys)


def _with_copies(drawn: Labels, copies: Labels) -> Labels:
    """Return the images of whose copies the first one was drawn, in ascending order.

    Args:
        drawn: Numbers of images.
        copies: Number of the first copy of each image `[N]`.
    """
    chosen = np.zeros(len(copies), dtype=bool)
    chosen[drawn] = True
    return np.flatnonzero(chosen[copies])


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


def _draw(groups: Groups, shares: Sequence[int], rng: np.random.Generator) -> Labels:
    """Draw some images of each class, and return their numbers in ascending order."""
    chosen = [rng.permutation(group)[:share] for (_, group), share in zip(groups, shares, strict=True)]
    return np.sort(np.concatenate([*chosen, NONE]))


def _shares_of(settings: SplitSettings, groups: Groups, rng: np.random.Generator) -> list[int]:
    """Return how many labels of each class are used."""
    sizes = [len(group) for _, group in groups]
    if isinstance(settings.labels, str):
        return [min(int(settings.labels.partition("=")[2]), size) for size in sizes]
    if not settings.natural:
        return _balanced(settings.labels, groups, rng, "labels", "--labels ")
    _check_count(settings.labels, groups, "labels", "--labels ")
    exact = np.maximum(settings.labels * np.array(sizes) / max(sum(sizes), 1), 1)
    exact *= settings.labels / exact.sum()
    shares = np.maximum(np.floor(exact).astype(int), 1)
    for k in np.argsort(shares - exact, kind="stable")[: max(settings.labels - int(shares.sum()), 0)]:
        shares[k] += 1
    return [int(share) for share in shares]


def _check_count(count: int, groups: Groups, noun: str, flag: str) -> None:
    """Compare a number of labels with what there is.

    Raises:
        BadData: There are too few images, or fewer are wanted than there are classes.
    """
    classes, available = len(groups), sum(len(group) for _, group in groups)
    if count < classes:
        raise BadData(f"{count} {noun} are too few for {classes} classes; use at least {flag}{classes}")
    if count > available:
        raise BadData(f"{count} {noun} requested, but only {available} training images have one; use {flag}{available}")


def _balanced(count: int, groups: Groups, rng: np.random.Generator, noun: str, flag: str) -> list[int]:
    """Divide a number as evenly among classes as their sizes allow; the remainder goes to classes drawn at random.

    Args:
        count: Number of images to draw.
        groups: Name of each class, and numbers of its labelled images.
        rng: Source of randomness.
        noun: What is drawn, for messages.
        flag: Flag or setting that gives the number, for messages.

    Raises:
        BadData: There are too few images, or fewer are wanted than there are classes.
    """
    _check_count(count, groups, noun, flag)
    sizes = np.array([len(group) for _, group in groups])
    shares = np.zeros(len(sizes), dtype=int)
    while left := count - int(shares.sum()):
        room = np.flatnonzero(shares < sizes)
        shares[room] += left // len(room)
        shares[room[rng.permutation(len(room))[: left % len(room)]]] += 1
        shares = np.minimum(shares, sizes)
    return [int(share) for share in shares]


def _hold_out(
    known: Labels, fraction: float, rng: np.random.Generator, trained: np.ndarray[Any, np.dtype[np.bool_]]
) -> Labels:
    """Draw a fraction of every class, or of the images without a label if no image has one.

    Args:
        known: Label of every image `[N]`, -1 for none.
        fraction: Fraction in [0, 1).
        rng: Source of randomness.
        trained: Which images must not be drawn `[N]`.
    """
    if not fraction:
        return NONE
    classes = [k for k in np.unique(known) if k >= 0] or [-1]
    drawn = []
    for k in classes:
        members = rng.permutation(np.flatnonzero(known == k))
        drawn.append(members[~trained[members]][: round(fraction * len(members))])
    return np.sort(np.concatenate(drawn).astype(np.int64))
