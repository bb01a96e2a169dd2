"""The only place where names become objects: a configuration in, an experiment ready to be moved out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from ganzoo.backend import Backend, make_backend, seed_everything
from ganzoo.card import public_source
from ganzoo.component import ImageShape, describe
from ganzoo.config import Config
from ganzoo.contracts import AdversarialLoss, Augment, Networks, Part, Penalty, Player, Terms
from ganzoo.critic import Critic, frozen_statistics
from ganzoo.data import Batches, Dataset, Draw, Split, open_source, prepare_data
from ganzoo.data.batches import seed_of
from ganzoo.data.prepare import look
from ganzoo.errors import GanzooError, Incompatible
from ganzoo.metrics.judge import Judge
from ganzoo.model import GAN
from ganzoo.pictures import from_uint8
from ganzoo.recipes import choose_size
from ganzoo.registry import Registry, installed
from ganzoo.step import Step, latent
from ganzoo.trackers import check_trackers

INITIALISED_FROM = 500


@dataclass
class Experiment:
    """Everything that a run moves: the parts of a configuration as objects, on their device.

    parts: augmentation and penalties that learn from the run; checkpoints keep their buffers. judge: what says which
    weights are the best, if anything does.
    """

    config: Config
    backend: Backend
    data: Dataset
    gan: GAN
    averaged: GAN
    players: list[Player]
    loss: AdversarialLoss
    augment: Augment | None
    parts: nn.ModuleDict
    batches: Batches
    judge: Judge | None = None

    def step(self, player: Player, draw: int, iteration: int, networks: Networks | None = None) -> Step:
        """Return what a player sees when it moves: draw number `draw` of its batches."""
        return Step(
            batch=Draw(self.batches, player.name, draw),
            networks=networks or self.gan.networks,
            averaged=self.averaged.networks,
            moving=player.networks,
            loss=self.loss,
            augment=self.augment,
            shape=self.gan.shape,
            size=self.batches.sizes["unlabelled"] // self.backend.world,
            real_view=player.real or self.gan.strategy.views[0],
            iteration=iteration,
            progress=iteration / self.config.steps,
            device=self.backend.device,
            world=self.backend.world,
        )


def assemble(
    config: Config, registry: Registry | None = None, split: Split | None = None, begun: bool = False
) -> Experiment:
    """Make the objects of a run. Every reason not to train is found here.

    split: whose labels may be seen, instead of what the configuration says. begun: whether a checkpoint will take the
    place of all weights, so that none are to be had from elsewhere.

    Raises BadDevice, BadData, BadOption, UnknownComponent or Incompatible, each with what mends it.
    """
    registry = registry or installed()
    check_trackers(config.trackers)
    backend = make_backend(config.device, config.precision)
    source = open_source(config.data, registry)
    channels, native = look(source, config.data.skip_corrupt)
    size = choose_size(config, native, registry)
    shape = ImageShape(config.data.channels or channels, size, len(source.class_names))

    seed_everything(seed_of(config.seed, "weights"))
    gan = GAN.build(config, shape, registry, class_names=list(source.class_names), fit=config.data.fit)
    started = begin(gan, config.start) if config.start and not begun else {}
    loss = registry.create("loss", config.loss.name, options=config.loss.options)
    penalties = {n: registry.create("penalty", n, options=options) for n, options in config.penalties.items()}
    augment = (
        registry.create("augment", config.augment.name, options=config.augment.options) if config.augment else None
    )
    players = [add_adaptation(add_penalties(p, penalties), augment) for p in gan.strategy.players()]
    check_compatible(config, gan, players, penalties)
    check_contracts(gan)

    if config.data.shift >= size:
        raise Incompatible(f"images of {size}×{size} cannot be shifted by {config.data.shift} pixels: see data.shift")
    if split is None and config.data.split:
        split = Split.of(config.data.split, source.class_names)
    data = prepare_data(source, config.data, channels, size, backend.device, split)
    if gan.strategy.needs_labels and not len(data.labelled):
        raise Incompatible(f"ssl '{config.ssl.name}' needs labelled images, and none is left for it; see --labels")
    layout = torch.channels_last if backend.channels_last else torch.contiguous_format
    for network in gan.networks.values():
        network.to(device=backend.device, memory_format=layout)  # type: ignore[call-overload]
    others = {**{f"penalty {name}": p for name, p in penalties.items()}, "augment": augment}
    learning = nn.ModuleDict({n.replace(".", "_"): p for n, p in others.items() if isinstance(p, nn.Module)})
    learning.to(backend.device)
    parts = config.accumulate
    labelled_batch = config.labelled_batch or config.batch
    if config.batch % parts or labelled_batch % parts:
        raise Incompatible(f"batches of {config.batch} and {labelled_batch} cannot be computed in {parts} equal parts")
    batches = Batches(
        data,
        config.data,
        config.batch // parts,
        labelled_batch // parts,
        config.seed,
        backend.device,
        backend.channels_last,
        backend.rank,
        backend.world,
    )
    show_real_images(gan, data, seed_of(config.seed, "initialise"))
    for view in gan.strategy.views if gan.strategy.views != ("labelled",) else ():
        batches.see(torch.zeros(1, shape.channels, size, size, dtype=torch.uint8), view)
    gan.facts = {"split": data.split.hash, "run": public(config.to_dict()), "data": facts_of(data, config), **started}
    experiment = Experiment(config, backend, data, gan, gan.copy(), players, loss, augment, learning, batches)
    rehearse(experiment)
    if config.best:
        experiment.judge = Judge(config, config.best, experiment.averaged, data, registry)
        if backend.main and not begun:
            experiment.judge()
    return experiment


def begin(gan: GAN, model: str) -> dict[str, Any]:
    """Start from a model's weights, as far as they fit. Returns the facts of it. Raises Incompatible when none fits."""
    other = GAN.from_pretrained(model)
    taken = {}
    for name, network in gan.networks.items():
        own, given = network.state_dict(), other.networks[name].state_dict() if name in other.networks else {}
        fit = {key: given[key] for key, tensor in own.items() if key in given and given[key].shape == tensor.shape}
        network.load_state_dict(fit, strict=False)
        left = [key for key in own if key not in fit]
        taken[name] = f"{len(fit)} of {len(own)} tensors" + (f", not {', '.join(left[:3])}" if left else "")
        taken[name] += f" and {len(left) - 3} more" if len(left) > 3 else ""
    if all(words.startswith("0 of") for words in taken.values()):
        raise Incompatible(f"nothing of {model} fits these networks; see what it is with: ganzoo card {model}")
    return {"start": {"model": public_source(model), "taken": taken}}


def public(run: dict[str, Any]) -> dict[str, Any]:
    """Return a run's configuration as others may see it: paths of this machine by their last part alone."""
    paths = {key: run["data"][key] for key in ("source", "split") if run["data"][key]}
    data = run["data"] | {key: public_source(path) for key, path in paths.items()}
    return {**run, "data": data, "start": run["start"] and public_source(run["start"])}


def facts_of(data: Dataset, config: Config) -> dict[str, Any]:
    """Return what a card says of the data."""
    source = public_source(config.data.source)
    return {
        "name": source.removeprefix("hf:"),
        "hub": source.removeprefix("hf:") if source.startswith("hf:") else None,
        "train": len(data.train),
        "labelled": len(data.labelled),
        "held_out": len(data.test),
        "validation": len(data.validation),
        "labelled_in_unlabelled": config.data.labelled_in_unlabelled,
    }


def rehearse(experiment: Experiment) -> None:
    """Let every player look at a batch as in the first step and as at the end, with copies of all that learns.

    Raises Incompatible when one cannot train.
    """
    networks = {name: copy.deepcopy(network).train() for name, network in experiment.gan.networks.items()}
    before = copy.deepcopy(experiment.parts.state_dict())
    for player in experiment.players:
        terms: Terms = {}
        seed_everything(seed_of(experiment.config.seed, "rehearsal"))
        try:
            with experiment.backend.autocast():
                for iteration in (0, experiment.config.steps):
                    terms |= player.terms(experiment.step(player, 0, iteration, networks))
            for term, value in terms.items():
                if value.ndim or not bool(value.isfinite()):
                    raise ValueError(f"its term '{term}' is {value.tolist()!r:.40}, not a finite number")
            if terms and not any(value.requires_grad for value in terms.values()):
                raise ValueError("no term depends on a network")
        except GanzooError:
            raise
        except Exception as error:  # whatever parts raise together, they cannot train
            raise Incompatible(
                f"player '{player.name}' of ssl '{experiment.config.ssl.name}' cannot take a step with these parts and "
                f"a batch of {experiment.config.batch} ({describe(error)})"
            ) from error
        if not terms:
            raise Incompatible(
                f"player '{player.name}' of ssl '{experiment.config.ssl.name}' has nothing to make small: "
                "with these options it has no term"
            )
    experiment.parts.load_state_dict(before)


def check_compatible(config: Config, gan: GAN, players: list[Player], penalties: dict[str, Penalty]) -> None:
    """Raise Incompatible when these parts mean nothing together."""
    names = [p.name for p in players]
    if len(set(names)) < len(names):
        raise Incompatible(f"ssl '{config.ssl.name}' has two players of one name ({', '.join(names)}): a fault of it")
    if unknown := sorted(set(config.players) - set(names)):
        raise Incompatible(f"no player is called '{unknown[0]}'; ssl '{config.ssl.name}' has: {', '.join(names)}")
    critic = gan.networks.get("discriminator")
    for name, penalty in penalties.items():
        if penalty.player not in names:
            raise Incompatible(
                f"penalty '{name}' is for a player called '{penalty.player}', and ssl '{config.ssl.name}' with these "
                f"options has: {', '.join(names)}"
            )
        if penalty.every < 1:
            raise Incompatible(f"penalty '{name}' cannot be taken every {penalty.every} steps; 1 is every step")
        if penalty.per_sample and isinstance(critic, Critic) and critic.batch_norm:
            raise Incompatible(
                f"penalty '{name}' is about single images, and batch norm in discriminator "
                f"'{config.discriminator.name}' mixes them; choose one without it, as with --set disc.norm=none"
            )


@torch.no_grad()
def check_contracts(gan: GAN) -> None:
    """Raise Incompatible when a network does not keep its contract for images of this shape."""
    images = [2, gan.shape.channels, gan.shape.size, gan.shape.size]
    networks = gan.networks
    for network in networks.values():
        network.eval()
        if trunk := cast(Any, getattr(network, "trunk", None)):
            made = partial(trunk, torch.zeros(images))
            probe("discriminator", gan.parts.discriminator, made, [2, trunk.num_features])
    for what, wanted in (("classify", [2, gan.shape.classes]), ("reconstruct", images)):
        try:
            out = getattr(gan.strategy, what)(networks, torch.zeros(images))
        except Exception as error:  # whatever a plugin raises
            raise Incompatible(f"`{what}` of ssl '{gan.parts.ssl.name}' fails ({describe(error)})") from error
        if out is not None and list(out.shape) != wanted:
            raise Incompatible(f"`{what}` of ssl '{gan.parts.ssl.name}' returns {list(out.shape)}, not {wanted}")
    if generator := networks.get("generator"):
        y = torch.zeros(2, dtype=torch.int64) if getattr(generator, "conditional", False) else None
        probe("generator", gan.parts.generator, lambda: generator(latent(generator, 2), y), images)
    for network in networks.values():
        network.train()


@torch.no_grad()
def show_real_images(gan: GAN, data: Dataset, seed: int) -> None:
    """Pass one batch of real images through each trunk in training mode: some layers initialise from data.

    It is the same batch in every process. Running statistics stay as they are.
    """
    rng = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(data.train), generator=rng)[:INITIALISED_FROM]
    (images,) = data.train.batches(iter([some]))
    torch.manual_seed(seed)
    for network in gan.networks.values():
        if hasattr(network, "trunk"):
            with frozen_statistics(network):
                network.train()(from_uint8(images.to(gan.device)))


def probe(kind: str, part: Part, run: Callable[[], Tensor], wanted: list[Any]) -> None:
    """Raise Incompatible when `run` fails or returns another shape than `wanted`."""
    try:
        found = list(run().shape)
    except Exception as error:  # whatever a network raises, it cannot do these images with these options
        raise Incompatible(f"{kind} '{part.name}' with options {part.options} fails ({describe(error)})") from error
    if found != wanted:
        raise Incompatible(f"{kind} '{part.name}' with options {part.options} returns {found}, not {wanted}")


def add_penalties(player: Player, penalties: dict[str, Penalty]) -> Player:
    """Return a player whose terms include its penalties, each every so many steps and as many times as strong."""
    own = {n: p for n, p in penalties.items() if p.player == player.name}
    if not own:
        return player
    terms: Callable[[Step], Terms] = player.terms

    def with_penalties(s: Step) -> Terms:
        total = terms(s)
        for name, penalty in own.items() if total else ():
            if s.iteration % penalty.every == 0:
                try:
                    value = penalty(s)
                except Incompatible as error:
                    raise Incompatible(f"penalty '{name}': {error}") from error
                if value is not None:
                    bare = name.rpartition("/")[2]
                    total = total | {name if bare in total else bare: penalty.every * value}
        return total

    after = tuple(cast(Any, p).after for p in own.values() if hasattr(p, "after"))
    return replace(player, terms=with_penalties, after=player.after + after)


def add_adaptation(player: Player, augment: Augment | None) -> Player:
    """Return the discriminator so that an augmentation whose strength follows the run sees every one of its steps."""
    if player.name != "discriminator" or not hasattr(augment, "adapt"):
        return player
    terms: Callable[[Step], Terms] = player.terms

    def with_adaptation(s: Step) -> Terms:
        total = terms(s)
        cast(Any, s.augment).adapt(s)
        return total

    return replace(player, terms=with_adaptation)
