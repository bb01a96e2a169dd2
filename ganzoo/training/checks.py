"""Reasons not to train, found before the first step: components that do not fit, and a rehearsal of every player."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from ganzoo.base.device import seed_everything
from ganzoo.config.schema import Config
from ganzoo.data.batches import seed_of
from ganzoo.errors import GanzooError, Incompatible
from ganzoo.model.build import NamedComponent
from ganzoo.model.gan import GAN
from ganzoo.registry.component import describe
from ganzoo.strategy.networks import HeadedNetwork, draw_latents
from ganzoo.strategy.players import Penalty, Terms
from ganzoo.training.experiment import Experiment


def check_compatible(config: Config, gan: GAN, penalties: Mapping[str, Penalty]) -> None:
    """Raise Incompatible if the configuration, the players and the penalties do not fit each other."""
    ssl, names = config.ssl.name, [p.name for p in gan.strategy.players()]
    if len(set(names)) < len(names):
        raise Incompatible(f"ssl '{ssl}' has two players of one name ({', '.join(names)}): a fault of that plugin")
    if unknown := sorted(set(config.players) - set(names)):
        raise Incompatible(f"no player is called '{unknown[0]}'; ssl '{ssl}' has: {', '.join(names)}")
    discriminator = gan.networks.get("discriminator")
    for name, penalty in penalties.items():
        if penalty.player not in names:
            raise Incompatible(
                f"penalty '{name}' is for a player called '{penalty.player}', and ssl '{ssl}' with these "
                f"options has: {', '.join(names)}"
            )
        if penalty.every < 1:
            raise Incompatible(f"penalty '{name}' cannot be evaluated every {penalty.every} steps; 1 is every step")
        if penalty.per_sample and isinstance(discriminator, HeadedNetwork) and discriminator.batch_norm:
            raise Incompatible(
                f"penalty '{name}' differentiates with respect to single images, and batch norm in discriminator "
                f"'{config.discriminator.name}' mixes them; choose one without it, as with --set disc.norm=none"
            )


@torch.no_grad()
def check_contracts(gan: GAN) -> None:
    """Raise Incompatible if a network does not return what its contract says for images of this shape."""
    images = [2, *gan.shape.dimensions]
    networks = gan.networks
    for network in networks.values():
        network.eval()
        if trunk := cast(Any, getattr(network, "trunk", None)):
            made = partial(trunk, torch.zeros(images))
            check_output("discriminator", gan.components.discriminator, made, [2, trunk.num_features])
    for what, expected in (("classify", [2, gan.shape.classes]), ("reconstruct", images)):
        try:
            out = getattr(gan.strategy, what)(networks, torch.zeros(images))
        except Exception as error:  # whatever a plugin raises
            raise Incompatible(f"`{what}` of ssl '{gan.components.ssl.name}' fails ({describe(error)})") from error
        if out is not None and list(out.shape) != expected:
            raise Incompatible(f"`{what}` of ssl '{gan.components.ssl.name}' returns {list(out.shape)}, not {expected}")
    if generator := networks.get("generator"):
        y = torch.zeros(2, dtype=torch.int64) if getattr(generator, "conditional", False) else None
        check_output("generator", gan.components.generator, lambda: generator(draw_latents(generator, 2), y), images)
    for network in networks.values():
        network.train()


def check_output(kind: str, component: NamedComponent, run: Callable[[], Tensor], expected: list[Any]) -> None:
    """Raise Incompatible if `run` fails or returns another shape than expected."""
    where = f"{kind} '{component.name}' with options {component.options}"
    try:
        found = list(run().shape)
    except Exception as error:  # whatever a network raises, it cannot do these images with these options
        raise Incompatible(f"{where} fails ({describe(error)})") from error
    if found != expected:
        raise Incompatible(f"{where} returns {found}, not {expected}")


def rehearse(experiment: Experiment) -> None:
    """Compute the terms of every player as in the first step and as at the end, with copies of all that learns.

    Raises Incompatible if a player cannot train.
    """
    config, ssl = experiment.config, experiment.config.ssl.name
    networks = {name: copy.deepcopy(network).train() for name, network in experiment.gan.networks.items()}
    before = copy.deepcopy(experiment.adaptive.state_dict())
    for player in experiment.players:
        terms: Terms = {}
        seed_everything(seed_of(config.seed, "rehearsal"))
        try:
            with experiment.backend.autocast():
                for iteration in (0, config.steps):
                    terms |= player.terms(experiment.make_step(player, 0, iteration, networks))
            check_terms(terms)
        except GanzooError:
            raise
        except Exception as error:  # whatever components raise together, they cannot train
            raise Incompatible(
                f"player '{player.name}' of ssl '{ssl}' cannot take a step with these components and a batch of "
                f"{config.batch_size} ({describe(error)})"
            ) from error
        if not terms:
            raise Incompatible(
                f"player '{player.name}' of ssl '{ssl}' has no loss to minimise: with these options it has no term"
            )
    experiment.adaptive.load_state_dict(before)


def check_terms(terms: Terms) -> None:
    """Raise ValueError if a term is not a finite scalar, or if none depends on a network."""
    for term, value in terms.items():
        if value.ndim or not bool(value.isfinite()):
            raise ValueError(f"its term '{term}' is {value.tolist()!r:.40}, not a finite number")
    if terms and not any(value.requires_grad for value in terms.values()):
        raise ValueError("no term depends on a network")
