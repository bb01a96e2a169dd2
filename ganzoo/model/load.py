"""How a model folder that nobody vouches for is opened: described, built, its files compared before they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from msgspec import structs, to_builtins
from torch import nn

from ganzoo.base.preparation import Preparation
from ganzoo.base.storage import read_tensors
from ganzoo.errors import CorruptFile, GanzooError, Incompatible, UnknownComponent
from ganzoo.model.build import NamedComponent
from ganzoo.model.format import CARD, CONFIG, ComponentFacts, ModelFile, check_weights, read_model_file
from ganzoo.model.hub import Folder
from ganzoo.model.outline import outlines
from ganzoo.registry.component import ImageShape, describe
from ganzoo.registry.discovery import Registry, distributions, installed

Built = TypeVar("Built")


class OneNetwork(dict[str, nn.Module]):
    """The only network of a model that was loaded. Raises Incompatible for every other name."""

    def __missing__(self, name: str) -> nn.Module:
        raise Incompatible(f"this model was loaded without its {name} (network='{next(iter(self))}'); load all of it")


@dataclass(frozen=True)
class Inspection:
    """What a model says of itself, without its weights.

    Attributes:
        name: Where it is.
        commit: Its commit on the Hub, or an empty string.
        config: Its `config.json`.
        card: Text of its card.
        sizes: Bytes of its files by name.
    """

    name: str
    commit: str
    config: dict[str, Any]
    card: str
    sizes: dict[str, int]


@dataclass(frozen=True)
class LoadedModel:
    """What a model folder describes: all that its networks are built from."""

    components: ComponentFacts
    shape: ImageShape
    class_names: list[str]
    preparation: Preparation
    metadata: dict[str, Any]


class HasNetworks(Protocol):
    """A model whose networks are still to be filled."""

    networks: dict[str, nn.Module]

    def network(self, name: str) -> nn.Module:
        """Return a network by name. Raises Incompatible."""


Model = TypeVar("Model", bound=HasNetworks)


def load(folder: Folder, build: Callable[[LoadedModel], Model], network: str | None = None) -> Model:
    """Build a model of a folder, and give its networks the weights of the folder's files.

    Args:
        folder: Where the model is.
        build: Creates the untrained model.
        network: The only network to load; default: all.

    Raises:
        CorruptFile: The folder is damaged, or describes networks that cannot be built.
        UnknownComponent: A plugin that the model needs is not installed.
        Incompatible: There is no network of that name.
    """
    described, metadata = read_model_file(folder.file(CONFIG), str(folder))
    components = rebuilt(lambda: without_weight_options(described.components, installed()), described, folder)
    loaded = LoadedModel(components, described.images, described.class_names, described.preparation, metadata)
    with outlines(str(folder)) as outline:
        model = rebuilt(lambda: build(loaded), described, folder)
    names = [network] if network else [*model.networks]
    files = {name: checked_weights(folder, described, name, model.network(name)) for name in names}

    def filled(model: Model, outline: bool) -> Model:
        networks = {name: fill(model.networks[name], file, outline) for name, file in files.items()}
        model.networks = OneNetwork(networks) if network else networks
        return model

    unread = [module for name, module in model.networks.items() if name not in names]
    model = filled(model, outline=True)
    if outline.left(unread):  # something that no file holds, as a constant: such networks are built with memory
        with torch.random.fork_rng(devices=[]):
            model = filled(rebuilt(lambda: build(loaded), described, folder), outline=False)
    return model


def inspect(folder: Folder) -> Inspection:
    """Return what a folder says of itself. Raises CorruptFile or HubError."""
    described, metadata = read_model_file(folder.file(CONFIG), str(folder))
    sizes = folder.sizes()
    card = folder.file(CARD).read_text(encoding="utf-8", errors="replace") if CARD in sizes else ""
    return Inspection(str(folder), folder.commit, {**to_builtins(described), **metadata}, card, sizes)


def checked_weights(folder: Folder, described: ModelFile, name: str, outline: nn.Module) -> Path:
    """Return the file of a network's weights, compared with its SHA-256 and with the outline of the network.

    Raises CorruptFile; a damaged copy in the cache is then forgotten.
    """
    file = f"{name}.safetensors"
    path = folder.file(file)
    try:
        check_weights(path, described.sha256.get(file), outline.state_dict(), f"{folder}: {file}", described.dtype)
    except CorruptFile:
        folder.forget(file)
        raise
    return path


def fill(network: nn.Module, path: Path, outline: bool) -> nn.Module:
    """Return a network with the tensors of a file that has been compared with it.

    Args:
        network: The network.
        path: The file.
        outline: Whether the network has no memory of its own; it is then given copies of the tensors.
    """
    tensors = read_tensors(path)
    if outline:
        like = network.state_dict()
        tensors = {name: tensor.to(like[name].dtype, copy=True) for name, tensor in tensors.items()}
    network.load_state_dict(tensors, assign=outline)
    return network.requires_grad_(False).eval()


def rebuilt(build: Callable[[], Built], described: ModelFile, folder: Folder) -> Built:
    """Build what a file describes. Names that are unknown, and options that do not fit, are the file's fault."""
    try:
        return build()
    except UnknownComponent as error:
        raise UnknownComponent(f"{folder}: {error}{missing_packages(described)}") from error
    except GanzooError:
        raise
    except Exception as error:  # a component met options, or a shape, that its author did not foresee
        raise CorruptFile(f"{folder}: {CONFIG} describes networks that cannot be built ({describe(error)})") from error


def trained_options(kind: str, component: NamedComponent, registry: Registry) -> dict[str, Any]:
    """Return the options of a component without those about initial weights: a trained network has its own."""
    ignored = registry.get(kind, component.name).component.weight_options
    return {name: value for name, value in component.options.items() if name not in ignored}


def provenance(kind: str, component: NamedComponent, registry: Registry) -> dict[str, Any]:
    """Return what a model folder says of a component: its name and options, and the package that it comes from."""
    plugin = registry.get(kind, component.name).plugin
    package, version = ("" if fact == "?" else fact for fact in (plugin.distribution, plugin.version))
    options = trained_options(kind, component, registry)
    return {"name": component.name, "options": options, "package": package, "version": version}


def without_weight_options(components: ComponentFacts, registry: Registry) -> ComponentFacts:
    """Return the components of a trained model without options about initial weights."""
    found = components.by_kind().items()
    return ComponentFacts(**{kind: structs.replace(c, options=trained_options(kind, c, registry)) for kind, c in found})


def missing_packages(described: ModelFile) -> str:
    """Return a sentence that names the packages that a model needs and that are not installed, or nothing."""
    components = described.components.by_kind().values()
    named = sorted({c.package for c in components if c.package} - set(distributions()))
    if not named:
        return ""
    return f" The model says that it needs the package {', '.join(named)}: look at it, then pip install {named[0]}"
