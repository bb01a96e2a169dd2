"""What a model folder says of itself, and how it is read when nobody vouches for it.

A folder holds `config.json`, one safetensors file a network, a card (`README.md`) and pictures. The configuration names
components and their options, never code; each file's sha256 stands in it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from ganzoo.component import ImageShape
from ganzoo.config import Part
from ganzoo.errors import CorruptFile
from ganzoo.storage import read_json, read_shapes

FORMAT = 1
CONFIG, CARD, SAMPLES, CURVE = "config.json", "README.md", "samples.png", "curve.png"
LARGEST_TEXT = 2**20
"""Bytes of the largest `config.json` and card that are read."""
MOST_PARAMETERS = 20_000
"""Tensors of the largest network that is built for a file that came from elsewhere."""

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

PLAIN = r"[a-z0-9][a-z0-9._-]{0,99}"
Word = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
Qualified = Annotated[str, Field(pattern=rf"^{PLAIN}/{PLAIN}(/[A-Za-z0-9][A-Za-z0-9._-]{{0,99}})?$")]
Package = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)?$")]
VERSION = r"[0-9A-Za-z.+!-]{0,60}"
Version = Annotated[str, Field(pattern=rf"^{VERSION}$")]
Weights = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}\.safetensors$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=-(2**31), le=2**31)]
Scalar = bool | Number | Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=1000)] | None
Option = Scalar | Annotated[list[Scalar], Field(max_length=1000)]


class Checked(BaseModel):
    """Values that came from elsewhere."""

    model_config = ConfigDict(strict=True, frozen=True)


class Shape(Checked):
    """An ImageShape that can be."""

    channels: Literal[1, 3, 4]
    size: Annotated[int, Field(ge=1, le=2**14)]
    classes: Annotated[int, Field(ge=0, le=2**20)]


class ComponentFact(Checked):
    """A component of a model, and the package that it came from."""

    name: Qualified
    options: Annotated[dict[Word, Option], Field(max_length=100)]
    package: Package
    version: Version


class ComponentFacts(Checked):
    """The components of a model."""

    generator: ComponentFact
    discriminator: ComponentFact
    ssl: ComponentFact


class ModelFile(Checked):
    """What a model folder's `config.json` holds, besides facts that a run adds."""

    library: Literal["ganzoo"]
    format: Annotated[int, Field(ge=1)]
    version: Version
    shape: Shape
    class_names: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=2**20)]
    fit: Literal["crop", "pad", "stretch"]
    dtype: Precision = "fp32"
    components: ComponentFacts
    sha256: Annotated[dict[Weights, Sha256], Field(max_length=100)]

    @property
    def images(self) -> ImageShape:
        """The images that the model was trained on."""
        return ImageShape(self.shape.channels, self.shape.size, self.shape.classes)

    def part(self, kind: str) -> Part:
        """Return a component and its options, as a configuration holds them."""
        fact: ComponentFact = getattr(self.components, kind)
        return Part(**{**fact.options, "name": fact.name})


def read_model_file(path: Path, where: str) -> tuple[ModelFile, dict[str, Any]]:
    """Read a model folder's `config.json`. Returns what it says, and the facts that its run added.

    where: what the folder is called in messages. Raises CorruptFile.
    """
    if path.stat().st_size > LARGEST_TEXT:
        raise CorruptFile(f"{where}: {CONFIG} has more than {LARGEST_TEXT:,} bytes; no model folder needs so many")
    config = read_json(path)
    if config.get("library") != "ganzoo":
        raise CorruptFile(f"{where} is not a ganzoo model folder")
    if isinstance(config.get("format"), int) and config["format"] > FORMAT:
        version = config.get("version")
        if not (isinstance(version, str) and re.fullmatch(VERSION, version)):  # it would stand in a command
            raise CorruptFile(f"{where} was written by a later ganzoo; install it: pip install --upgrade torch-ganzoo")
        raise CorruptFile(
            f"{where} was written by ganzoo {version}; install that version: pip install 'torch-ganzoo>={version}'"
        )
    try:
        told = ModelFile.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise CorruptFile(
            f"{where}: {CONFIG} does not describe a model ({shown(at[:100])}: {first['msg']:.200})"
        ) from error
    if len(told.class_names) != told.shape.classes:
        raise CorruptFile(f"{where}: {CONFIG} names {len(told.class_names)} classes, and says {told.shape.classes}")
    return told, {k: v for k, v in config.items() if k not in ModelFile.model_fields}


def shown(text: str, keep: str = "") -> str:
    """Return text that came from elsewhere as a terminal may have it: without control characters, but those to keep."""
    return "".join(c if c in keep or unicodedata.category(c) not in ("Cc", "Cs") else "\ufffd" for c in text)


def check_weights(path: Path, sha256: str | None, like: Mapping[str, Tensor], where: str) -> None:
    """Compare a file with the sha256 that its folder names, and its header with a network's tensors.

    Nothing of its content is read into tensors. Raises CorruptFile.
    """
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise CorruptFile(f"{where} is missing or damaged: its sha256 is not the one in {CONFIG}")
    found = read_shapes(path)
    if missing := sorted(like.keys() - found.keys()):
        raise CorruptFile(f"{where} lacks the tensor '{missing[0]}' ({len(missing)} in all)")
    if surplus := sorted(found.keys() - like.keys()):
        raise CorruptFile(
            f"{where} has a tensor '{shown(surplus[0][:100])}' that this network does not ({len(surplus)} in all)"
        )
    for name, tensor in like.items():
        if list(tensor.shape) != found[name]:
            raise CorruptFile(f"{where}: '{name}' has shape {found[name]}, not {list(tensor.shape)}")


FILLING = {Tensor.normal_, Tensor.uniform_, nn.functional.normalize, *filter(callable, vars(nn.init).values())}
"""Functions of torch that return their first argument with other values."""
EVERYWHERE = {getattr(t, f) for t in (torch, Tensor) for f in ("add", "sub", "mul", "div", "sqrt", "rsqrt")}
"""Functions of torch whose value at one place depends on that place alone."""
SHAPES: dict[Any, Callable[..., Tensor]] = {
    torch.mv: lambda matrix, _: matrix.new_empty(len(matrix)),
    torch.vdot: lambda vector, _: vector.new_empty(()),
    torch.outer: lambda a, b: a.new_empty(len(a), len(b)),
    torch.norm_except_dim: lambda v, _=2, dim=0: v.new_empty(
        [n ** (i == dim) for i, n in enumerate(v.shape)] * (dim >= 0)
    ),
    torch._weight_norm: lambda v, *_: v,
    torch.randn: torch.empty,
}
"""What has the shape that some others return."""


class Unfilled(TorchFunctionMode):
    """Leaves out what is about values alone: without memory there are none.

    It is for speed. On the device "meta" each of these functions is one of many in Python, and the first of them
    imports torch's compiler, which takes seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, or return something of the shape that it returns."""
        kwargs = kwargs or {}
        if func in FILLING:
            return args[0] if args else next(iter(kwargs.values()))
        given = [a for a in args if isinstance(a, Tensor)]
        if kwargs or any(t.dtype != torch.float32 for t in given):
            return func(*args, **kwargs)
        if func in EVERYWHERE and given:
            sizes = zip_longest(*(reversed(t.shape) for t in given), fillvalue=1)
            return given[0].new_empty([next((n for n in ns if n != 1), 1) for ns in sizes][::-1])
        return SHAPES.get(func, func)(*args)


@contextmanager
def outlines(where: str) -> Iterator[None]:
    """Build networks without memory for their weights, and not more than any file would fill. Raises CorruptFile."""
    count = 0

    def register(_: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        count += 1
        if count > MOST_PARAMETERS:
            raise CorruptFile(f"{where} describes a network of more than {MOST_PARAMETERS:,} tensors")

    handle = register_module_parameter_registration_hook(register)
    try:
        with torch.device("meta"), Unfilled():
            yield
    finally:
        handle.remove()
