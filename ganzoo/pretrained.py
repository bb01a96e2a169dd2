"""How a model folder that nobody vouches for is opened: described, built, its files compared before they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs, to_builtins
from torch import nn

from ganzoo.component import describe
from ganzoo.contracts import Part
from ganzoo.errors import CorruptFile, GanzooError, Incompatible, UnknownComponent
from ganzoo.format import CARD, CONFIG, ComponentFacts, ModelFile, check_weights, read_model_file
from ganzoo.hub import Folder
from ganzoo.registry import Registry, distributions
from ganzoo.storage import read_tensors

Built = TypeVar("Built")


class OnePart(dict[str, nn.Module]):
    """The one network that was read of a model. Raises Incompatible for every other."""

    def __missing__(self, name: str) -> nn.Module:
        raise Incompatible(f"this model was read without its {name} (part='{next(iter(self))}'); read it whole")


@dataclass(frozen=True)
class Inspection:
    """What a model says of itself, without its weights: where it is, its `config.json`, card, and files' bytes."""

    name: str
    commit: str
    config: dict[str, Any]
    card: str
    sizes: dict[str, int]


def inspect(folder: Folder) -> Inspection:
    """Return what a folder says of itself. Raises CorruptFile or HubError."""
    told, facts = read_model_file(folder.file(CONFIG), str(folder))
    sizes = folder.sizes()
    card = folder.file(CARD).read_text(encoding="utf-8", errors="replace") if CARD in sizes else ""
    return Inspection(str(folder), folder.commit, {**to_builtins(told), **facts}, card, sizes)


def weights(folder: Folder, told: ModelFile, name: str, outline: nn.Module) -> Path:
    """Return the file of a network's weights, compared with its sha256 and with the outline of the network.

    Raises CorruptFile; a damaged copy in the cache is then forgotten.
    """
    file = f"{name}.safetensors"
    path = folder.file(file)
    try:
        check_weights(path, told.sha256.get(file), outline.state_dict(), f"{folder}: {file}", told.dtype)
    except CorruptFile:
        folder.forget(file)
        raise
    return path


def fill(network: nn.Module, path: Path, outline: bool) -> nn.Module:
    """Return a network with the tensors of a file, which has been compared with it.

    outline: whether the network has no memory; then it takes copies of them for its own.
    """
    tensors = read_tensors(path)
    if outline:
        like = network.state_dict()
        tensors = {name: tensor.to(like[name].dtype, copy=True) for name, tensor in tensors.items()}
    network.load_state_dict(tensors, assign=outline)
    return network.requires_grad_(False).eval()


def restored(build: Callable[[], Built], told: ModelFile, folder: Folder) -> Built:
    """Build what a file describes. What it asks for in vain, or wrongly, is the file's fault."""
    try:
        return build()
    except UnknownComponent as error:
        raise UnknownComponent(f"{folder}: {error}{wanted(told)}") from error
    except GanzooError:
        raise
    except Exception as error:  # a component met options, or a shape, that its author did not foresee
        raise CorruptFile(f"{folder}: {CONFIG} describes networks that cannot be made ({describe(error)})") from error


def trained(kind: str, part: Part, registry: Registry) -> dict[str, Any]:
    """Return a part's options but those about the weights that training starts from: a trained one has its own."""
    start = registry.get(kind, part.name).component.start
    return {name: value for name, value in part.options.items() if name not in start}


def started(facts: ComponentFacts, registry: Registry) -> ComponentFacts:
    """Return the components of a trained model, without such options."""
    found = facts.by_kind().items()
    return ComponentFacts(**{kind: structs.replace(f, options=trained(kind, f, registry)) for kind, f in found})


def wanted(told: ModelFile) -> str:
    """Return which packages a model says that it needs, and this machine lacks."""
    facts = told.components.by_kind().values()
    named = sorted({f.package for f in facts if f.package} - set(distributions()))
    if not named:
        return ""
    return f" The model says that it needs the package {', '.join(named)}: look at it, then pip install {named[0]}"
