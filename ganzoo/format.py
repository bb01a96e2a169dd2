"""What a model folder says of itself, and how it is read when nobody vouches for it.

A folder holds `config.json`, one safetensors file a network, a card (`README.md`) and pictures. The configuration names
components and their options, never code; each file's sha256 stands in it.
"""

from __future__ import annotations

import hashlib
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import torch
from msgspec import Meta, Struct, ValidationError, convert, structs
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from ganzoo.component import ImageShape
from ganzoo.errors import CorruptFile, shown
from ganzoo.storage import read_header, read_json

FORMAT = 1
CONFIG, CARD, SAMPLES, CURVE = "config.json", "README.md", "samples.png", "curve.png"
LARGEST_TEXT = 2**20
"""Bytes of the largest `config.json` and card that are read."""
MOST_PARAMETERS = 20_000
"""Tensors of the largest network that is built for a file that came from elsewhere."""

DEEPEST = 20
"""Lists and objects within each other in the deepest `config.json` that is read."""

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TYPES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.bool: "BOOL", torch.complex64: "C64"}
TYPES |= {getattr(torch, f"int{bits}"): f"I{bits}" for bits in (8, 16, 32, 64)}
TYPES |= {getattr(torch, f"uint{bits}"): f"U{bits}" for bits in (8, 16, 32, 64)}
"""What a header calls a tensor's type."""

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
Scalar = bool | Annotated[int, Meta(ge=-(2**31), le=2**31)] | Annotated[float, Meta(ge=-1e300, le=1e300)] | Text | None
Flat = Scalar | Annotated[list[Scalar], Meta(max_length=1000)]
Option = Flat | Annotated[dict[Word, Flat], Meta(max_length=100)]
"""One dictionary deep: the options of a strategy within another."""


class Shape(Struct, frozen=True):
    """An ImageShape that can be."""

    channels: Literal[1, 3, 4]
    size: Annotated[int, Meta(ge=1, le=2**14)]
    classes: Annotated[int, Meta(ge=0, le=2**20)]


class ComponentFact(Struct, frozen=True):
    """A component of a model, and the package that it came from; empty where no package brought it."""

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
    """What a model folder's `config.json` holds, besides facts that a run adds."""

    library: Literal["ganzoo"]
    format: Annotated[int, Meta(ge=1, le=FORMAT)]
    version: Version
    shape: Shape
    class_names: Annotated[list[Text], Meta(max_length=2**20)]
    fit: Literal["crop", "pad", "stretch"]
    components: ComponentFacts
    sha256: Annotated[dict[Weights, Sha256], Meta(max_length=100)]
    dtype: Precision = "fp32"

    @property
    def images(self) -> ImageShape:
        """The images that the model was trained on."""
        return ImageShape(self.shape.channels, self.shape.size, self.shape.classes)


class MetricFacts(Struct, frozen=True):
    """How good a model is."""

    error: Annotated[float, Meta(ge=0, le=1)]
    held_out: Count
    weights: Text
    step: Count


class DataFacts(Struct, frozen=True):
    """What a model was trained on."""

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
    """The configuration of a run, as far as a card reads it."""

    generator: Named | None = None
    discriminator: Named | None = None
    loss: Named | None = None
    ssl: Named | None = None
    augment: Named | None = None
    penalties: dict[Text, Any] = {}
    data: Source = Source()
    batch: Count | None = None


class Facts(Struct, frozen=True):
    """What a run adds to a `config.json`, as far as a card reads it; what is empty is not said."""

    run: RunFacts | None = None
    data: DataFacts | None = None
    metrics: MetricFacts | None = None
    environment: dict[Text, dict[str, Any]] | None = None
    seconds: Annotated[float, Meta(ge=0, le=2**53)] | None = None
    step: Count | None = None
    split: Text | None = None
    license: Text | None = None


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
    if not shallow(config, DEEPEST):
        raise CorruptFile(f"{where}: {CONFIG} is nested more than {DEEPEST} levels deep; no model folder needs so many")
    try:
        told = convert(config, ModelFile)
        convert({name: fact for name, fact in config.items() if fact != {}}, Facts)
    except (ValidationError, UnicodeEncodeError) as error:  # the second: half of a character
        said, _, at = str(error).partition(" - at `$.")
        at = f"{at.rstrip('`')}: " if at else ""
        raise CorruptFile(f"{where}: {CONFIG} does not describe a model ({shown(at + said)[:300]})") from error
    if len(told.class_names) != told.shape.classes:
        raise CorruptFile(f"{where}: {CONFIG} names {len(told.class_names)} classes, and says {told.shape.classes}")
    return told, {k: v for k, v in config.items() if k not in ModelFile.__struct_fields__}


def shallow(value: Any, levels: int) -> bool:
    """Whether lists and dicts lie in each other at most so many levels deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(levels > 0 and shallow(v, levels - 1) for v in inner)


def check_weights(
    path: Path, sha256: str | None, like: Mapping[str, Tensor], where: str, dtype: Precision = "fp32"
) -> None:
    """Compare a file with the sha256 that its folder names, and its header with a network's tensors.

    dtype: of the file's fractional tensors. Nothing of its content is read into tensors. Raises CorruptFile.
    """
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise CorruptFile(f"{where} is missing or damaged: its sha256 is not the one in {CONFIG}")
    found = read_header(path)
    if missing := sorted(like.keys() - found.keys()):
        raise CorruptFile(f"{where} lacks the tensor '{missing[0]}' ({len(missing)} in all)")
    if surplus := sorted(found.keys() - like.keys()):
        raise CorruptFile(
            f"{where} has a tensor '{shown(surplus[0][:100])}' that this network does not ({len(surplus)} in all)"
        )
    for name, tensor in like.items():
        kind, shape = found[name]
        if shape != list(tensor.shape):
            raise CorruptFile(f"{where}: '{name}' has shape {shape}, not {list(tensor.shape)}")
        if kind != (wanted := TYPES.get(kept(tensor, dtype), "")):
            raise CorruptFile(f"{where}: '{name}' is of type {kind}, not {wanted}")


def kept(tensor: Tensor, dtype: Precision) -> torch.dtype:
    """Return the type that a tensor of a network has in a file."""
    return DTYPES[dtype] if tensor.is_floating_point() else tensor.dtype


FILLING = {Tensor.normal_, Tensor.uniform_, nn.functional.normalize, *filter(callable, vars(nn.init).values())}
"""Functions of torch that return their first argument with other values."""


def everywhere(func: Callable[..., Tensor], *args: Any) -> Tensor:
    """Return what a function returns whose value at one place depends on that place alone: something of the shape."""
    given = [a for a in args if isinstance(a, Tensor)]
    if not given or any(t.dtype != torch.float32 for t in given):
        return func(*args)
    return given[0].new_empty(torch.broadcast_tensors(*given)[0].shape)  # type: ignore[no-untyped-call]


def recurrent(x: Tensor, state: Any, *more: Any) -> tuple[Tensor, ...]:
    """Return what an LSTM returns, or the function itself where its input is packed."""
    if isinstance(state, Tensor):
        return cast(tuple[Tensor, ...], torch.lstm(x, state, *more))
    both = more[-2]
    return x.new_empty(*x.shape[:2], (1 + both) * state[0].shape[-1]), *state


SHAPES: dict[Any, Callable[..., Any]] = {
    torch.mv: lambda matrix, _: matrix[:, 0],
    torch.vdot: lambda vector, _: vector[0],
    torch.outer: lambda a, b: a[:, None].expand(-1, len(b)),
    torch.norm_except_dim: lambda v, _=2, dim=0: v.new_empty(
        [n ** (i == dim) for i, n in enumerate(v.shape)] * (dim >= 0)
    ),
    torch._weight_norm: lambda v, *_: v,
    torch.lstm: recurrent,  # of itself it does one step after the other, for nothing
    torch.randn: torch.empty,
}
"""What has the shape that some others return."""
SHAPES |= {
    getattr(t, f): partial(everywhere, getattr(t, f))
    for t in (torch, Tensor)
    for f in ("add", "sub", "mul", "div", "sqrt", "rsqrt")
}


class Outline(TorchFunctionMode):
    """Leaves out what is about the values of tensors alone, and knows which tensors without memory are left.

    The first is for speed. On the device "meta" each of these functions is one of many in Python, and the first of
    them imports torch's compiler, which takes seconds.
    """

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.thread = where, threading.get_ident()
        self.parameters = 0
        self.made: list[weakref.ref[Tensor]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, or return something of the shape that it returns."""
        if func in FILLING:
            return args[0] if args else next(iter((kwargs or {}).values()))
        made = SHAPES[func](*args) if func in SHAPES and not kwargs else func(*args, **(kwargs or {}))
        several = made if isinstance(made, tuple | list) else (made,)
        self.made += [weakref.ref(one) for one in several if isinstance(one, Tensor)]
        return made

    def register(self, module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        """Note a parameter. Raises CorruptFile when there are more than any file would fill."""
        if threading.get_ident() != self.thread:  # the hook is that of every thread
            return
        self.parameters += 1
        if self.parameters > MOST_PARAMETERS:
            raise CorruptFile(f"{self.where} describes a network of more than {MOST_PARAMETERS:,} tensors")
        if parameter is not None:
            self.made.append(weakref.ref(parameter))

    def left(self, unread: Iterable[nn.Module] = ()) -> bool:
        """Whether some tensor without memory is still in use, by others than the networks that were not read."""
        theirs = {id(tensor) for network in unread for tensor in (*network.parameters(), *network.buffers())}
        alive = [tensor for ref in self.made if (tensor := ref()) is not None]
        return any(tensor.is_meta and id(tensor) not in theirs for tensor in alive)


@contextmanager
def outlines(where: str) -> Iterator[Outline]:
    """Build networks without memory for their weights, and not more than any file would fill. Raises CorruptFile."""
    outline = Outline(where)
    handle = register_module_parameter_registration_hook(outline.register)
    try:
        with torch.device("meta"), outline:
            yield outline
    finally:
        handle.remove()
