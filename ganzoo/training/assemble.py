"""The only place where names become objects: from a configuration to an experiment that is ready to train."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from ganzoo.base.device import Backend, make_backend, seed_everything
from ganzoo.base.preparation import Preparation
from ganzoo.config.resolve import choose_size
from ganzoo.config.schema import Config
from ganzoo.data.batches import Batches, seed_of
from ganzoo.data.cache import known_facts
from ganzoo.data.identity import NONE
from ganzoo.data.locate import open_source
from ganzoo.data.prepare import Dataset, prepare_data
from ganzoo.data.prepared import sides_of
from ganzoo.data.source import Source
from ganzoo.data.split import SavedSplit, trained_on
from ganzoo.errors import Incompatible
from ganzoo.metrics.best import BestMetric
from ganzoo.model.gan import GAN
from ganzoo.registry.component import ImageShape
from ganzoo.registry.discovery import Registry, installed
from ganzoo.run.trackers import check_trackers
from ganzoo.strategy.players import Penalty, with_adaptation, with_penalties
from ganzoo.strategy.step import AdversarialLoss, Augment
from ganzoo.training.checks import check_compatible, check_contracts, rehearse
from ganzoo.training.experiment import Experiment
from ganzoo.training.initialise import initialise_from_data, initialise_from_model
from ganzoo.training.provenance import data_facts, public_config


@dataclass
class Built:
    """Components as objects, before data and device."""

    gan: GAN
    loss: AdversarialLoss
    penalties: dict[str, Penalty]
    augment: Augment | None


def assemble(
    config: Config, registry: Registry | None = None, split: SavedSplit | None = None, resuming: bool = False
) -> Experiment:
    """Create the objects of a run. Every reason not to train is found here.

    Args:
        config: The configuration.
        registry: Where component names are looked up; default: what is installed.
        split: The label split to use instead of what the configuration says.
        resuming: Whether a checkpoint will replace all weights, so that none are loaded from elsewhere.

    Raises:
        BadDevice: The device or precision is not available.
        BadData: Images or labels are missing, damaged or too few.
        BadOption: A component does not have an option, or a value is invalid.
        UnknownComponent: A name is not registered.
        Incompatible: The components do not fit each other or the images.
    """
    registry = registry or installed()
    check_trackers(config.trackers)
    backend = make_backend(config.device, config.precision)
    source, shape = find_images(config, registry)
    built = build(config, shape, source, registry, resuming)
    data = read_images(config, source, shape, built.gan, backend, split)
    experiment = place(config, built, data, backend)
    rehearse(experiment)
    if config.best_metric:
        experiment.best_metric = BestMetric(config, config.best_metric, experiment.averaged, data, registry)
        if backend.main and not resuming:
            experiment.best_metric()
    return experiment


def find_images(config: Config, registry: Registry) -> tuple[Source, ImageShape]:
    """Return the data set of a run, and the shape that its images are given."""
    source = open_source(config.data, registry)
    facts = known_facts(source, config.data.skip_corrupt)
    prepared = sides_of(source.folder) if source.folder and not config.data.sides else None
    height, width = prepared or choose_size(config, facts.side, registry)
    source = replace(source, facts=facts)
    return source, ImageShape(config.data.channels or facts.channels, height, width, len(source.class_names))


def build(config: Config, shape: ImageShape, source: Source, registry: Registry, resuming: bool) -> Built:
    """Create the components of a run on the CPU."""
    seed_everything(seed_of(config.seed, "weights"))
    preparation = Preparation(config.data.fit, config.data.range)
    gan = GAN.build(config, shape, registry, class_names=list(source.class_names), preparation=preparation)
    if config.init_from and not resuming:
        gan.metadata["start"] = initialise_from_model(gan, config.init_from)
    penalties = {n: registry.create("penalty", n, options=options) for n, options in config.penalties.items()}
    loss, augment = config.loss, config.augment
    built = Built(
        gan,
        registry.create("loss", loss.name, options=loss.options),
        penalties,
        registry.create("augment", augment.name, options=augment.options) if augment else None,
    )
    check_compatible(config, gan, penalties)
    check_contracts(gan)
    return built


def read_images(
    config: Config, source: Source, shape: ImageShape, gan: GAN, backend: Backend, split: SavedSplit | None
) -> Dataset:
    """Decode, hold out and split the images of a run."""
    if config.data.shift >= min(shape.height, shape.width):
        raise Incompatible(f"images of {shape.size} cannot be shifted by {config.data.shift} pixels: see data.shift")
    if split is None and config.data.split:
        split = SavedSplit.of(config.data.split, source.class_names)
    trained = trained_on(config.init_from) if config.init_from else NONE
    data = prepare_data(source, config.data, shape, backend.device, split, trained)
    if gan.strategy.needs_labels and not len(data.labelled):
        raise Incompatible(f"ssl '{config.ssl.name}' needs labelled images, and none is left for it; see --labels")
    return data


def place(config: Config, built: Built, data: Dataset, backend: Backend) -> Experiment:
    """Put networks and batches on the device, and let layers initialise themselves from real images."""
    gan = built.gan
    layout = torch.channels_last if backend.channels_last else torch.contiguous_format
    for network in gan.networks.values():
        network.to(device=backend.device, memory_format=layout)  # type: ignore[call-overload]
    others = {**{f"penalty {name}": p for name, p in built.penalties.items()}, "augment": built.augment}
    adaptive = nn.ModuleDict({n.replace(".", "_"): p for n, p in others.items() if isinstance(p, nn.Module)})
    adaptive.to(backend.device)
    batches = Batches(data, config, backend)
    initialise_from_data(gan, data, seed_of(config.seed, "initialise"))
    for view in gan.strategy.views if gan.strategy.views != ("labelled",) else ():
        batches.augmented(torch.zeros(1, *gan.shape.dimensions, dtype=torch.uint8), view)
    gan.metadata |= {
        "split": data.split.hash,
        "run": public_config(config),
        "data": data_facts(data, config),
    }
    players = [
        with_adaptation(with_penalties(player, built.penalties), built.augment) for player in gan.strategy.players()
    ]
    return Experiment(config, backend, data, gan, gan.copy(), players, built.loss, built.augment, adaptive, batches)
