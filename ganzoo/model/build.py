"""Build the untrained networks of a model from the names of its components."""

from __future__ import annotations

from typing import Any, Protocol

from torch import nn

from ganzoo.errors import Incompatible
from ganzoo.registry.component import ImageShape
from ganzoo.registry.discovery import Registry
from ganzoo.strategy.base import NetworkBuilder, Strategy


class NamedComponent(Protocol):
    """The name of a component and its options: an entry of a configuration or of a model folder."""

    @property
    def name(self) -> str:
        """`plugin/name`."""

    @property
    def options(self) -> dict[str, Any]:
        """The options by name."""


class ModelComponents(Protocol):
    """The components that a model consists of: a `Config`, or what a model folder names."""

    @property
    def generator(self) -> NamedComponent:
        """The generator."""

    @property
    def discriminator(self) -> NamedComponent:
        """The discriminator's trunk."""

    @property
    def ssl(self) -> NamedComponent:
        """The strategy."""


def build_networks(
    components: ModelComponents, shape: ImageShape, registry: Registry
) -> tuple[Strategy, dict[str, nn.Module]]:
    """Create a strategy and its untrained networks.

    Args:
        components: Names and options of generator, discriminator and strategy.
        shape: Shape of the images.
        registry: Where the names are looked up.

    Returns:
        The strategy, and its networks by name.

    Raises:
        UnknownComponent: A name is not registered.
        BadOption: An option does not exist or has the wrong type.
        Incompatible: The components do not fit each other or the images.
    """
    ssl = components.ssl.name
    strategy: Strategy = registry.create("ssl", ssl, options=components.ssl.options)
    if strategy.needs_labels and not shape.classes:
        raise Incompatible(
            f"ssl '{ssl}' needs labelled images, and the data has none; "
            "sort some into class folders, or choose one that needs none: ganzoo list ssl"
        )
    if strategy.needs_labels and shape.classes < 2:
        raise Incompatible(f"ssl '{ssl}' tells classes apart, and the data has only one")
    networks = strategy.networks(
        NetworkBuilder(
            shape,
            trunk=lambda: _create("discriminator", components.discriminator, shape, registry),
            generator=lambda: _create("generator", components.generator, shape, registry),
        )
    )
    _check_generator(components, strategy, networks, shape)
    _check_ownership(ssl, strategy, networks)
    return strategy, networks


def _check_generator(
    components: ModelComponents, strategy: Strategy, networks: dict[str, nn.Module], shape: ImageShape
) -> None:
    if "generator" not in networks:
        return
    conditional, name = getattr(networks["generator"], "conditional", False), components.generator.name
    if conditional and not shape.classes:
        raise Incompatible(f"generator '{name}' is conditional, and the data has no classes")
    if strategy.needs_conditional and not conditional:
        raise Incompatible(
            f"ssl '{components.ssl.name}' needs a class-conditional generator, and '{name}' with these options is "
            "unconditional; try: --set gen.conditional=true"
        )


def _check_ownership(ssl: str, strategy: Strategy, networks: dict[str, nn.Module]) -> None:
    """Raise Incompatible unless every network has parameters and exactly the players' networks exist."""
    if bad := [n for n, m in networks.items() if not (n.isidentifier() and any(True for _ in m.parameters()))]:
        raise Incompatible(
            f"ssl '{ssl}': network '{bad[0]}' has no parameters, or its name is no identifier: a fault of that plugin"
        )
    updated = {name for player in strategy.players() for name in player.networks}
    if odd := sorted(updated ^ networks.keys()):
        does = "updates a network '{}' that it does not create" if odd[0] in updated else "never updates network '{}'"
        raise Incompatible(f"ssl '{ssl}' {does.format(odd[0])}: a fault of that plugin")


def _create(kind: str, component: NamedComponent, shape: ImageShape, registry: Registry) -> nn.Module:
    registered = registry.get(kind, component.name).component
    if not registered.supports(shape.height, shape.width):
        raise Incompatible(
            f"{kind} '{component.name}' cannot do images of {shape.size}; it can do {registered.supported_sizes}: "
            "see --size"
        )
    network: nn.Module = registry.create(kind, component.name, (shape,), component.options)
    return network


def count_parameters(network: nn.Module) -> int:
    """Return the number of parameters of a network."""
    return sum(p.numel() for p in network.parameters())
