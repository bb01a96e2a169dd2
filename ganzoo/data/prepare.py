"""Prepare a data set for training: decode it once, hold images out, and keep only the labels of the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ganzoo.base.preparation import Preparation
from ganzoo.config.schema import DataConfig
from ganzoo.data.cache import known_facts, open_or_prepare
from ganzoo.data.decode import Decoder, identify, unreadable
from ganzoo.data.identity import NONE, Keys
from ganzoo.data.images import Images, InMemory, Mapped, Shards
from ganzoo.data.parallel import chunks, map_ranges
from ganzoo.data.source import Facts, Source, Table
from ganzoo.data.split import Candidates, SavedSplit, Split, SplitSettings, make_split
from ganzoo.data.store import Part
from ganzoo.data.stream import Streamed
from ganzoo.errors import BadData
from ganzoo.registry.component import ImageShape

SHARE = 0.2
"""Fraction of the images that is held out by default."""
SCARCE = 25
"""Labels per class below which labels are scarce, if most images have none: then none is held out by default."""


@dataclass(frozen=True)
class Dataset:
    """A data set that is ready for training.

    Attributes:
        name: Name of the data set.
        shape: Shape of the images and number of classes.
        class_names: Names of the classes.
        train: The N training images, in the order of `split.train`.
        labelled: Positions in `train` of the images whose labels may be used `[L]`.
        labels: Labels of these images `[L]`.
        unlabelled: Positions in `train` of the images that are used without a label `[U]`.
        test: The T test images.
        test_labels: Labels of the test images `[T]`, -1 for none.
        split: The split.
        validation: The V images by which the best weights may be selected; none by default.
        validation_labels: Labels of these images `[V]`.
        corrupt: Locations of the images that were left out because they cannot be read.
        notes: What was found in the data and what was left out, in sentences.
    """

    name: str
    shape: ImageShape
    class_names: Sequence[str]
    train: Images
    labelled: Tensor
    labels: Tensor
    unlabelled: Tensor
    test: Images
    test_labels: Tensor
    split: Split
    validation: Images
    validation_labels: Tensor
    corrupt: Sequence[str] = field(default=())
    notes: Sequence[str] = field(default=())


@dataclass(frozen=True)
class ReadTable:
    """A table and its decoded images.

    Attributes:
        table: The stored images.
        part: The decoded images; without pixels if they are to be streamed.
        decode: Decoder of the images.
    """

    table: Table
    part: Part
    decode: Decoder

    @property
    def corrupt(self) -> list[str]:
        """Locations of the images that cannot be read."""
        return [self.table.where(i) for i in sorted(self.part.reasons)]

    def images(self, members: Keys, config: DataConfig, device: torch.device) -> Images:
        """Return some images of the table.

        Args:
            members: Numbers of the images.
            config: How much memory they may take, and how many processes decode streamed ones.
            device: Device that holds them in memory, if they fit.
        """
        shards, part = self.part.shards, self.part
        if shards is None:
            return Streamed(self.table, members, part.keys[members], self.decode, config.workers)
        if device.type != "cpu" and shards.nbytes <= config.memory:
            return InMemory(torch.from_numpy(shards.take(members)).to(device), part.hashes[members])
        return Mapped(shards, members, part.hashes[members])


@dataclass(frozen=True)
class ReadSource:
    """A data set with its decoded images, before images are held out.

    Attributes:
        source: The data set.
        train: Its training images.
        test: Its test images, if it has any of its own.
        shape: Shape of the decoded images and number of classes.
        notes: What was found, in sentences.
    """

    source: Source
    train: ReadTable
    test: ReadTable | None
    shape: ImageShape
    notes: Sequence[str]


def prepare_data(
    source: Source,
    config: DataConfig,
    shape: ImageShape,
    device: torch.device,
    saved: SavedSplit | None = None,
    trained: Keys = NONE,
) -> Dataset:
    """Decode and split a data set.

    Args:
        source: The data set.
        config: How images are decoded, held out and labelled.
        shape: Shape of the images and number of classes.
        device: Device of the images that are kept in memory.
        saved: Split to use; default: a new one.
        trained: Keys of images that a model from which the run begins was trained on. These are not held out.

    Returns:
        The data set, ready for training.

    Raises:
        BadData: An image cannot be read, there are too few labels, or `saved` was made for other data.
    """
    read = read_source(source, config, shape)
    if saved is not None:
        split, notes = _saved_split(read, saved)
    else:
        split, notes = _new_split(read, config, trained)
    test_members, left_out = split.test, list[str]()
    if read.test:
        test_members, left_out = _judged(read.test.part, read.test.part.readable, trained)
    return make_dataset(read, config, split, test_members, device, [*notes, *left_out])


def data_to_judge(
    source: Source,
    config: DataConfig,
    shape: ImageShape,
    device: torch.device,
    saved: SavedSplit | None,
    trained: Keys,
) -> Dataset:
    """Decode a data set to evaluate a model with. All labels are used, and nothing is drawn.

    The test images are those of the test part, those that the model's run held out, or, in another data set without
    parts, all images. Images that the model was trained on are never among them.

    Args:
        source: The data set.
        config: How images are decoded.
        shape: Shape of the images and number of classes.
        device: Device of the images that are kept in memory.
        saved: Split of the model's run, if these are its data.
        trained: Keys of the images that the model was trained on.

    Raises:
        BadData: An image cannot be read, or the model was trained on all of them.
    """
    read = read_source(source, config, shape)
    part, notes = read.train.part, list[str]()
    if saved is not None:
        split, notes = _saved_split(read, saved)
    else:
        split = Split(part.readable, NONE, NONE, NONE, NONE, part.keys)
    if read.test:
        members, left_out = _judged(read.test.part, read.test.part.readable, trained)
    elif saved is not None:
        members, left_out = split.test, []
    else:
        members, left_out = _judged(part, part.readable, trained)
        split = replace(split, test=members)
    labelled = split.train[part.labels[split.train] >= 0]
    split = replace(split, labelled=labelled, labels=part.labels[labelled])
    return make_dataset(read, config, split, members, device, [*notes, *left_out])


def read_source(source: Source, config: DataConfig, shape: ImageShape) -> ReadSource:
    """Decode a data set, or open the images that were decoded before.

    Args:
        source: The data set.
        config: How images are decoded, and how much memory they may take.
        shape: Shape of the images and number of classes.

    Raises:
        BadData: An image cannot be read.
    """
    decode = Decoder(shape, Preparation(config.fit, config.range))
    facts = known_facts(source, config.skip_corrupt)
    parts = open_or_prepare(source, decode, facts, config.skip_corrupt) if config.cache else None
    if parts is None:
        fits = sum(map(len, source.parts.values())) * shape.pixels <= config.memory
        read = decode_part if fits else identify_part
        parts = {name: read(table, decode, config.skip_corrupt) for name, table in source.parts.items()}
    for name, table in source.parts.items():
        for index, reason in parts[name].reasons.items():
            if not config.skip_corrupt:
                raise unreadable(table.where(index), reason)
    tables = {name: ReadTable(table, parts[name], decode) for name, table in source.parts.items()}
    return ReadSource(source, tables["train"], tables.get("test"), shape, [*source.notes, *_mixture(facts, shape)])


def _mixture(facts: Facts, shape: ImageShape) -> list[str]:
    """Say how images of several kinds are read."""
    kind = {1: "grey", 3: "RGB", 4: "RGBA"}[shape.channels]
    return [f"images of several kinds are read as {kind}: {facts.mixture}"] if facts.mixture else []


def decode_part(table: Table, decode: Decoder, skip_corrupt: bool) -> Part:
    """Decode a table into memory."""
    pixels = np.zeros((len(table), *decode.shape.dimensions), dtype=np.uint8)
    keys, hashes = np.zeros((2, len(table)), dtype=np.int64)
    reasons: dict[int, str] = {}
    ranges = chunks(len(table))
    decoded = map_ranges(lambda numbers: decode.several(table, numbers, skip_corrupt), ranges)
    for numbers, some in zip(ranges, decoded, strict=True):
        rows = slice(numbers.start, numbers.stop)
        pixels[rows], keys[rows], hashes[rows] = some.pixels, some.keys, some.hashes
        reasons |= some.reasons
    return Part(Shards([pixels]), np.asarray(table.labels), keys, hashes, _others(len(table), reasons), reasons)


def identify_part(table: Table, decode: Decoder, skip_corrupt: bool) -> Part:
    """Find the keys of the images of a table that will be streamed; decode them only to find unreadable ones."""

    def work(numbers: range) -> tuple[Keys, dict[int, str]]:
        if skip_corrupt:
            some = decode.several(table, numbers, skip_corrupt)
            return some.keys, some.reasons
        return np.array([identify(table, i)[0] for i in numbers], dtype=np.int64), {}

    keys, reasons = [NONE], dict[int, str]()
    for some_keys, some_reasons in map_ranges(work, chunks(len(table))):
        keys.append(some_keys)
        reasons |= some_reasons
    known = np.concatenate(keys)
    return Part(None, np.asarray(table.labels), known, known, _others(len(table), reasons), reasons)


def _others(count: int, reasons: dict[int, str]) -> Keys:
    return np.setdiff1d(np.arange(count), sorted(reasons))


def make_dataset(
    read: ReadSource,
    config: DataConfig,
    split: Split,
    test_members: Keys,
    device: torch.device,
    notes: Sequence[str],
) -> Dataset:
    """Create a data set from its parts.

    Args:
        read: The decoded images.
        config: How much memory they may take, and whether labelled images are also used without their label.
        split: The split of the training table.
        test_members: Numbers of the test images, in the test table if there is one.
        device: Device of the images that are kept in memory.
        notes: What was found or left out besides `read.notes`.
    """
    train, test = read.train, read.test or read.train
    labelled, unlabelled = torch.from_numpy(split.positions), torch.arange(len(split.train))
    if not config.labelled_in_unlabelled:
        unlabelled = unlabelled[~torch.isin(unlabelled, labelled)]
    return Dataset(
        name=read.source.name,
        shape=read.shape,
        class_names=list(read.source.class_names),
        train=train.images(split.train, config, device),
        labelled=labelled,
        labels=torch.from_numpy(split.labels),
        unlabelled=unlabelled,
        test=test.images(test_members, config, device),
        test_labels=torch.from_numpy(test.part.labels[test_members]),
        split=split,
        validation=train.images(split.validation, config, device),
        validation_labels=torch.from_numpy(train.part.labels[split.validation]),
        corrupt=[path for table in (train, read.test) if table for path in table.corrupt],
        notes=[*read.notes, *notes],
    )


def _saved_split(read: ReadSource, saved: SavedSplit) -> tuple[Split, list[str]]:
    """Find the images of a saved split in the data; images that it does not know are left out."""
    part = read.train.part
    split = saved.match(part.keys, part.readable)
    split.check(part.labels, read.source.class_names, read.test is not None)
    used = len(split.train) + len(split.test) + len(split.validation)
    if not saved.keyed or used == len(part.readable):
        return split, []
    return split, [f"{_images(len(part.readable) - used)} not in the split {saved.path} and left out"]


def _new_split(read: ReadSource, config: DataConfig, trained: Keys) -> tuple[Split, list[str]]:
    """Draw a split of the readable images that are not copies of test images."""
    part, members, notes = read.train.part, read.train.part.readable, _contradictions(read)
    if read.test:
        copied = np.isin(part.hashes[members], read.test.part.hashes[read.test.part.readable])
        if copied.any():
            notes.append(
                f"{_images(int(copied.sum()), 'training ')} exact copies of test images and left out of training"
            )
        members = members[~copied]
    held_out, reason = _held_out(read, config, members)
    seeds = {"split_seed": config.split_seed, "test_seed": config.test_seed}
    natural = config.label_distribution == "natural"
    settings = SplitSettings(config.labels, held_out=held_out, validation=config.validation, natural=natural, **seeds)
    images = Candidates(part.labels, part.keys, part.hashes, members, np.isin(part.keys, trained))
    try:
        split = make_split(images, read.source.class_names, settings)
    except BadData as error:
        raise BadData("; ".join([str(error), *notes])) from error
    if trained.size and not read.test:
        seen = int(np.isin(part.keys[members], trained).sum())
        notes += [f"{_images(seen)} known to the model from which the run begins, and not held out"] if seen else []
    return split, [*notes, *reason]


def _held_out(read: ReadSource, config: DataConfig, members: Keys) -> tuple[float, list[str]]:
    """Return the fraction of the images to hold out, and say why if none is."""
    if read.test:
        return 0.0, []
    if config.test_fraction is not None:
        return config.test_fraction, []
    labelled = int((read.train.part.labels[members] >= 0).sum())
    if labelled < min(SCARCE * len(read.source.class_names), len(members) / 2):
        return 0.0, [
            f"only {labelled:,} of {len(members):,} images are labelled, so all of them are trained on and the error "
            "is not measured; to measure it, add a folder test/ of labelled images, or hold some out with --set "
            "data.test_fraction=0.2"
        ]
    return SHARE, []


def _judged(part: Part, members: Keys, trained: Keys) -> tuple[Keys, list[str]]:
    """Return the images that a model was not trained on, and say how many it was.

    Raises:
        BadData: There is no other image.
    """
    seen = np.isin(part.keys[members], trained)
    if len(members) and seen.all():
        raise BadData(
            f"the model was trained on all {len(members):,} images that it would be tested with; give other images"
        )
    count = int(seen.sum())
    return members[~seen], [
        f"the model was trained on {count:,} of {len(members):,} test images; these are left out"
    ] if count else []


def _contradictions(read: ReadSource) -> list[str]:
    """Name copies of one image that have different labels."""
    part = read.train.part
    members = part.readable[part.labels[part.readable] >= 0]
    order = members[np.lexsort((part.labels[members], part.hashes[members]))]
    differ = (np.diff(part.hashes[order]) == 0) & (np.diff(part.labels[order]) != 0)
    if not differ.any():
        return []
    first = int(np.flatnonzero(differ)[0])
    one, other = (read.train.table.where(int(order[first + i])) for i in (0, 1))
    return [f"{_images(int(differ.sum()))} in two classes, such as {one} and {other}"]


def _images(count: int, which: str = "") -> str:
    return f"{count:,} {which}image{'s are' if count != 1 else ' is'}"
