"""The format of a model folder, and how it is read without trusting its source.

A folder has `config.json`, a safetensors file for each network, a card (`README.md`) and pictures. The configuration
names components and their options, never code, and the SHA-256 of each file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from msgspec import Meta, Struct, ValidationError, convert, structs
from torch import Tensor

from ganzoo.base.preparation import Preparation
from ganzoo.base.storage import read_header, read_json
from ganzoo.config.migrate import FORMAT, migrate_values
from ganzoo.errors import CorruptFile, printable
from ganzoo.registry.component import ImageShape

CONFIG, CARD, SAMPLES, CURVE = "config.json", "README.md", "samples.png", "curve.png"
LARGEST_TEXT = 2**20
"""Size in bytes of the largest `config.json` or card that is read."""
DEEPEST = 20
"""Nesting depth of the deepest `config.json` that is read."""

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.bool: "BOOL", torch.complex64: "C64"}
TYPES |= {getattr(torch, f"int{bits}"): f"I{bits}" for bits in (8, 16, 32, 64)}
TYPES |= {getattr(torch, f"uint{bits}"): f"U{bits}" for bits in (8, 16, 32, 64)}
"""Names of dtypes in the header of a safetensors file."""

PLAIN = r"[a-z0-9][a-z0-9._-]{0,99}"
VERSION = r"[0-9A-Za-z.+!-]{0,60}"
Word = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}\Z")]
Qualified = Annotated[str, Meta(pattern=rf"^{PLAIN}/{PLAIN}(/[A-Za-z0-9][A-Za-z0-9._-]{{0,99}})?\Z")]
Package = Annotated[str, Meta(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)?\Z")]
Version = Annotated[str, Meta(pattern=rf"^{VERSION}\Z")]
Weights = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}\.safetensors\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Text = Annotated[str, Meta(max_length=1000)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]
Scalar = bool | Annotated[int, Meta(ge=-(2**31), le=2**31)] | Finite | Text | None
Flat = Scalar | Annotated[list[Scalar], Meta(max_length=1000)]
Option = Flat | Annotated[dict[Word, Flat], Meta(max_length=100)]
"""Options may be nested once: those of a strategy within another."""


class Shape(Struct, frozen=True):
    """A valid ImageShape."""

    channels: Literal[1, 3, 4]
    height: Annotated[int, Meta(ge=1, le=2**14)]
    width: Annotated[int, Meta(ge=1, le=2**14)]
    classes: Annotated[int, Meta(ge=0, le=2**20)]


class ComponentFact(Struct, frozen=True):
    """A component of a model, and its package.

    Attributes:
        name: Name as `plugin/name`.
        options: Options.
        package: Name of the package that provides it; empty if there is none.
        version: Version of the package.
    """

    name: Qualified
    options: Annotated[dict[Word, Option], Meta(max_length=100)]
    package: Package
    version: Version


class ComponentFacts(Struct, frozen=True):
    """The components of a model."""

    generator: ComponentFact
    discriminator: ComponentFact
    ssl: ComponentFact

    def by_kind(self) -> dict[str, ComponentFact]:
        """Return the components by kind."""
        return structs.asdict(self)


class ModelFile(Struct, frozen=True):
    """The `config.json` of a model folder, without the metadata that a run adds.

    Attributes:
        library: "ganzoo".
        format: Version of the format.
        version: Version of ganzoo that wrote the folder.
        shape: Shape of the images.
        class_names: Names of the classes.
        fit: How images of another aspect ratio are fitted.
        components: The components.
        sha256: SHA-256 of each file of weights.
        dtype: Type of the weights.
        range: Values that become black and white in images deeper than 8 bits; by default, their header or type says.
    """

    library: Literal["ganzoo"]
    format: Annotated[int, Meta(ge=1, le=FORMAT)]
    version: Version
    shape: Shape
    class_names: Annotated[list[Text], Meta(max_length=2**20)]
    fit: Literal["crop", "pad", "stretch"]
    components: ComponentFacts
    sha256: Annotated[dict[Weights, Sha256], Meta(max_length=100)]
    dtype: Precision = "fp32"
    range: tuple[Finite, Finite] | None = None

    def __post_init__(self) -> None:
        if self.range and self.range[0] >= self.range[1]:
            raise ValueError("the range does not ascend")

    @property
    def preparation(self) -> Preparation:
        """How images are brought to the shape."""
        return Preparation(self.fit, self.range)

    @property
    def images(self) -> ImageShape:
        """Shape of the images."""
        return ImageShape(self.shape.channels, self.shape.height, self.shape.width, self.shape.classes)


class MetricFacts(Struct, frozen=True):
    """How a model classifies held-out images. Earlier versions knew only the error.

    Attributes:
        error: Fraction that is classified wrongly.
        held_out: Number of held-out images.
        weights: Weights that were measured.
        step: Step at which they were measured.
        balanced_error: 1 - mean recall of the classes that have held-out images.
        macro_f1: Mean of the F1 scores of the classes.
        recall: Recall of each class, in the order of `class_names`; None for a class without held-out images.
        support: Number of held-out images of each class.
    """

    error: Fraction
    held_out: Count
    weights: Text
    step: Count
    balanced_error: Fraction | None = None
    macro_f1: Fraction | None = None
    recall: Annotated[list[Fraction | None], Meta(max_length=2**20)] = []
    support: Annotated[list[Count], Meta(max_length=2**20)] = []


class DataFacts(Struct, frozen=True):
    """The data that a model was trained on."""

    train: Count
    labelled: Count
    held_out: Count
    validation: Count = 0
    name: Text | None = None
    hub: Text | None = None


class Named(Struct, frozen=True):
    """A component in the configuration of a run."""

    name: Text


class Source(Struct, frozen=True):
    """The data in the configuration of a run."""

    source: Text = ""


class RunFacts(Struct, frozen=True):
    """The configuration of a run, as far as a card needs it."""

    generator: Named | None = None
    discriminator: Named | None = None
    loss: Named | None = None
    ssl: Named | None = None
    augment: Named | None = None
    penalties: dict[Text, Any] = {}
    data: Source = Source()
    batch_size: Count | None = None


class Facts(Struct, frozen=True):
    """The metadata that a run adds to `config.json`, as far as a card needs it; empty values are left out."""

    run: RunFacts | None = None
    data: DataFacts | None = None
    metrics: MetricFacts | None = None
    environment: dict[Text, dict[str, Any]] | None = None
    seconds: Annotated[float, Meta(ge=0, le=2**53)] | None = None
    step: Count | None = None
    split: Text | None = None
    license: Text | None = None


def read_model_file(path: Path, where: str) -> tuple[ModelFile, dict[str, Any]]:
    """Read and validate the `config.json` of a model folder.

    Args:
        path: The file.
        where: Name of the folder in messages.

    Returns:
        The description of the model, and the metadata that its run added.

    Raises:
        CorruptFile: The file is damaged, or does not describe a model.
    """
    if path.stat().st_size > LARGEST_TEXT:
        raise CorruptFile(f"{where}: {CONFIG} has more than {LARGEST_TEXT:,} bytes, and is not read")
    config = read_json(path)
    if config.get("library") != "ganzoo":
        raise CorruptFile(f"{where} is not a ganzoo model folder")
    if isinstance(config.get("format"), int) and config["format"] > FORMAT:
        version = config.get("version")
        if not (isinstance(version, str) and re.fullmatch(VERSION, version)):  # it is not safe in a command
            raise CorruptFile(
                f"{where} was written by a later version of ganzoo; install it: pip install --upgrade torch-ganzoo"
            )
        raise CorruptFile(
            f"{where} was written by ganzoo {version}; install that version: pip install 'torch-ganzoo>={version}'"
        )
    if not shallow(config, DEEPEST):
        raise CorruptFile(f"{where}: {CONFIG} is nested more than {DEEPEST} levels deep, and is not read")
    config = migrated(config)
    try:
        model = convert(config, ModelFile)
        convert({name: value for name, value in config.items() if value != {}}, Facts)
    except (ValidationError, UnicodeEncodeError) as error:  # UnicodeEncodeError: a lone surrogate
        reason, _, key = str(error).partition(" - at `$.")
        key = f"{key.rstrip('`')}: " if key else ""
        raise CorruptFile(f"{where}: {CONFIG} does not describe a model ({printable(key + reason)[:300]})") from error
    if (count := len(model.class_names)) != model.shape.classes:
        raise CorruptFile(f"{where}: {CONFIG} names {count} classes, but its shape has {model.shape.classes}")
    return model, {k: v for k, v in config.items() if k not in ModelFile.__struct_fields__}


def migrated(config: dict[str, Any]) -> dict[str, Any]:
    """Convert a configuration of format 1 to format 2; any other is returned unchanged."""
    if config.get("format") != 1:
        return config
    config, shape, run = {**config, "format": FORMAT}, config.get("shape"), config.get("run")
    if isinstance(shape, dict) and "size" in shape:
        side = shape["size"]
        rest = {key: value for key, value in shape.items() if key not in ("size", "channels")}
        config["shape"] = {"channels": shape.get("channels"), "height": side, "width": side, **rest}
    if isinstance(run, dict):
        config["run"] = migrate_values(run, 1)
    return config


def public_source(source: str) -> str:
    """Return the public name of data or of a model: of a local path only the last component."""
    path = Path(source).expanduser()
    return path.resolve().name if path.exists() else source


def shallow(value: Any, levels: int) -> bool:
    """Return whether lists and dicts are nested at most `levels` deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(levels > 0 and shallow(v, levels - 1) for v in inner)


def check_weights(
    path: Path, sha256: str | None, like: Mapping[str, Tensor], where: str, dtype: Precision = "fp32"
) -> None:
    """Verify a file of weights by its SHA-256 and its header. Its content is not read into tensors.

    Args:
        path: The file.
        sha256: SHA-256 according to `config.json`.
        like: Tensors of the network by name.
        where: Name of the file in messages.
        dtype: Type of the floating-point tensors in the file.

    Raises:
        CorruptFile: The file is damaged, or does not fit the network.
    """
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise CorruptFile(
                f"{where} is missing or damaged: its SHA-256 is not the one in {CONFIG}; download or copy it again"
            )
    header = read_header(path)
    if missing := sorted(like.keys() - header.keys()):
        raise CorruptFile(
            f"{where} lacks the tensor '{missing[0]}' ({len(missing)} in all), so it fits another network"
        )
    if surplus := sorted(header.keys() - like.keys()):
        name = printable(surplus[0][:100])
        raise CorruptFile(f"{where} has a tensor '{name}' that this network does not have ({len(surplus)} in all)")
    for name, tensor in like.items():
        kind, shape = header[name]
        if shape != list(tensor.shape):
            raise CorruptFile(f"{where}: '{name}' has shape {shape}, not {list(tensor.shape)}")
        if kind != (expected := TYPES.get(stored_dtype(tensor, dtype), "")):
            raise CorruptFile(f"{where}: '{name}' is of type {kind}, not {expected}")


def stored_dtype(tensor: Tensor, dtype: Precision) -> torch.dtype:
    """Return the type in which a tensor of a network is stored."""
    return DTYPES[dtype] if tensor.is_floating_point() else tensor.dtype
