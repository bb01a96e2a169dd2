"""Checks of components against their contracts, one for each kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganzoo.config.resolve import configure
from ganzoo.config.schema import Config
from ganzoo.data.source import Source
from ganzoo.metrics import Evidence
from ganzoo.registry.component import Component, ImageShape
from ganzoo.registry.discovery import Registered, Registry, installed
from ganzoo.registry.options import options_of
from ganzoo.strategy.networks import draw_latents
from ganzoo.strategy.step import AdversarialLoss
from ganzoo.testing.tiny import CLASSES, TinyExtractor, registry_with
from ganzoo.training.assemble import assemble
from ganzoo.training.experiment import Experiment
from ganzoo.training.trainer import Trainer


def check_component(kind: str | Registered, name: str = "", **options: Any) -> None:
    """Check a component against its contract, and train it for two steps with tiny components of the other kinds.

    Args:
        kind: Kind of the component, as "generator"; or the component, as `ganzoo.list_components()` returns it.
        name: Name of the component, if `kind` is a kind.
        options: Options of the component.

    Raises:
        AssertionError: The component violates its contract; the message says how.
        GanzooError: The component cannot be created.
    """
    registered = kind if isinstance(kind, Registered) else installed().get(kind, name)
    component = registered.component
    target = component.load()
    assert component.summary, f"'{component.name}' has no summary: add one to its Component"
    if callable(target):
        undocumented = [o.name for o in options_of(target) if not o.meaning]
        assert not undocumented, f"'{component.name}': options are missing under Args of its docstring: {undocumented}"
    registry = installed() if registered.kind == "preset" else registry_with(registered)
    CHECKS[registered.kind](registered, registry, options)


def _train(registry: Registry, values: dict[str, Any]) -> Experiment:
    experiment = assemble(configure(values=values, registry=registry), registry)
    trainer = Trainer(experiment)
    for _ in range(experiment.config.steps):
        trainer.train_step()
    trainer._metrics()
    for name, network in trainer.averaged.networks.items():
        bad = [n for n, t in network.state_dict().items() if t.is_floating_point() and not bool(t.isfinite().all())]
        assert not bad, f"after two steps, these tensors of the {name} are not finite: {bad}"
    return experiment


def _config_of(registered: Registered, options: dict[str, Any]) -> dict[str, Any]:
    return {"name": registered.qualified, **options}


def _smallest_size(component: Component) -> int:
    return min(component.sizes, default=16)


def _check_generator(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    size = _smallest_size(r.component)
    for channels in (1, 3, 4):
        shape = ImageShape(channels, size, size, CLASSES)
        generator = registry.create("generator", r.qualified, (shape,), options)
        y = torch.arange(2) if getattr(generator, "conditional", False) else None
        z, again = (draw_latents(generator, 2, torch.Generator().manual_seed(0)) for _ in range(2))
        assert z.shape == (2, generator.z_dim), f"latents are {list(z.shape)}, not [2, z_dim={generator.z_dim}]"
        assert torch.equal(z, again), "latents are not drawn from `rng` alone: with the same one, others are drawn"
        x = generator(z, y)
        expected = [2, channels, size, size]
        assert list(x.shape) == expected, f"images are {list(x.shape)}, not {expected}"
        assert bool(x.isfinite().all()), "images are not finite"
        assert not torch.equal(x[0], x[1]), "different latents give the same image"
        _check_gradients(generator, x)
        _check_state(generator, registry.create("generator", r.qualified, (shape,), options), z, y)
        _check_evaluation(generator, z, y)
        if hasattr(generator, "map"):
            _check_mapping(generator, z, y)
    _train(registry, {"generator": _config_of(r, options), "data.options": {"size": size}})


@torch.no_grad()
def _check_evaluation(generator: nn.Module, z: Tensor, y: Tensor | None) -> None:
    before = torch.get_rng_state()
    together, alone = generator.eval()(z, y), generator(z[:1], None if y is None else y[:1])
    assert torch.equal(before, torch.get_rng_state()), "in evaluation mode, it draws random numbers"
    assert torch.allclose(together[:1], alone, atol=1e-4, rtol=1e-4), (
        "in evaluation mode, the image of a latent depends on its batch"
    )


@torch.no_grad()
def _check_mapping(generator: Any, z: Tensor, y: Tensor | None) -> None:
    w = generator.eval().map(z, y)
    assert torch.equal(generator.truncate(w, 1.0), w), "truncate(w, 1) does not equal w"
    centre = generator.truncate(w, 0.0)
    assert torch.equal(centre[0], centre[1]), "truncate(w, 0) is not the same for all w"
    images = generator.synthesize(w).clamp(-1, 1)
    assert torch.equal(images, generator(z, y)), "synthesize(map(z, y)) does not equal the output for z and y"


def _check_discriminator(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    size = _smallest_size(r.component)
    for channels in (1, 3, 4):
        shape = ImageShape(channels, size, size, CLASSES)
        trunk = registry.create("discriminator", r.qualified, (shape,), options)
        x = torch.rand(16, channels, size, size) * 2 - 1
        features = trunk(x)
        expected = [16, trunk.num_features]
        assert list(features.shape) == expected, f"features are {list(features.shape)}, not {expected}"
        _check_gradients(trunk, features)
        trunk.eval()
        alone, together = trunk(x[:1]), trunk(x)[:1]
        assert torch.allclose(alone, together, atol=1e-4, rtol=1e-4), (
            "in evaluation mode, the features of an image depend on its batch"
        )
        _check_state(trunk, registry.create("discriminator", r.qualified, (shape,), options), x)
    _train(registry, {"discriminator": _config_of(r, options), "data.options": {"size": size}})


def _check_loss(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    loss = registry.create("loss", r.qualified, options=options)
    assert isinstance(loss, AdversarialLoss), f"it returns a {type(loss).__name__}, not an AdversarialLoss"
    real, fake = (torch.linspace(a, b, 5, dtype=torch.float64, requires_grad=True) for a, b in ((-1, 2), (-2, 1)))
    for side in (loss.discriminator, loss.generator):
        assert side(real, fake).ndim == 0, "the loss of a player is not a scalar"
        assert torch.autograd.gradcheck(side, (real, fake)), "its gradient is wrong (gradcheck)"
    if not loss.relativistic:
        assert loss.discriminator(real, fake[:3]).ndim == 0, "it cannot take fewer generated images than real ones"
    high, low = torch.full((4,), 0.5), torch.full((4,), -0.5)
    assert loss.discriminator(high, low) < loss.discriminator(low, high), (
        "the discriminator's loss does not decrease when it is right"
    )
    assert loss.generator(low, high) < loss.generator(high, low), (
        "the generator's loss does not decrease when it fools the discriminator"
    )
    _train(registry, {"loss": _config_of(r, options)})


def _check_penalty(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    penalty = registry.create("penalty", r.qualified, options=options)
    assert penalty.every >= 1, "`every` is not a positive number of steps"
    assert isinstance(penalty.per_sample, bool), "`per_sample` is not a bool"
    experiment = _train(registry, {f"penalties.{r.qualified}": options, "ssl": "tiny/classifier"})
    player = next((p for p in experiment.players if p.name == penalty.player), None)
    assert player, f"its player '{penalty.player}' is not one of {[p.name for p in experiment.players]}"
    value = penalty(experiment.make_step(player, 0, 0))
    if value is None:
        assert callable(getattr(penalty, "after", None)), "it returns None, and has no method `after`"
        return
    assert math.isfinite(value.item()), "its value is not finite"
    parameters = [p for n in player.networks for p in experiment.gan.networks[n].parameters()]
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    assert any(g is not None and bool(g.abs().sum() > 0) for g in gradients), (
        f"it has no gradient for the {penalty.player}"
    )


def _check_augment(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    experiment = _train(registry, {"augment": _config_of(r, options)})
    augment, step = experiment.augment, experiment.make_step(experiment.players[0], 0, 0)
    assert augment
    for channels in (1, 3, 4):
        x = torch.rand(8, channels, 16, 16, requires_grad=True)
        augmented = augment(x, "real", step)
        assert augmented.shape == x.shape, f"it changes the shape to {list(augmented.shape)}"
        gradient = torch.autograd.grad(augmented.sum(), x)[0]
        assert bool(gradient.isfinite().all()), "its gradient is not finite"


def _check_ssl(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    generator = {"name": "tiny/tiny", "conditional": r.component.load().needs_conditional}
    experiment = _train(registry, {"ssl": _config_of(r, options), "generator": generator})
    gan = experiment.gan.copy()
    logits = gan.strategy.classify(gan.networks, torch.zeros(2, 1, 16, 16))
    assert logits is None or list(logits.shape) == [2, CLASSES], "class logits are not [B, classes]"
    names = [p.name for p in experiment.players]
    assert len(set(names)) == len(names), f"two players have the same name: {names}"


def _check_dataset(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    if "download" in r.component.tags:  # checks download nothing
        return
    source = registry.create("dataset", r.qualified, options=options)
    assert isinstance(source, Source), f"it returns a {type(source).__name__}, not a Source"
    for table in (source.train, source.test) if source.test else (source.train,):
        labels = np.asarray(table.labels)
        assert labels.shape == (len(table),) != (0,), "there is not exactly one label for each image"
        assert (labels.dtype, labels.min() >= -1) == (np.int64, True), "labels are not int64, with -1 for none"
        assert labels.max() < len(source.class_names), "a label has no class name"
        assert all((table.image(0).size[0], table.where(0))), "an image has no pixels, or no name for messages"


def _check_extractor(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    if "download" in r.component.tags and not options:  # checks download nothing
        return
    extractor = registry.create("extractor", r.qualified, options=options)
    for channels in (1, 3, 4):
        if fit := getattr(extractor, "fit", None):
            fit(_train(registry, {"data.options": {"channels": channels}}).data, torch.device("cpu"))
        images = torch.randint(0, 256, (3, channels, 16, 16), dtype=torch.uint8)
        (features, logits), (again, _) = extractor(images), extractor(images)
        assert features.shape == (3, features.shape[-1]), f"features are {list(features.shape)}, not [3, D]"
        assert torch.equal(features, again), "it is not deterministic"
        assert logits is None or len(logits) == len(images) != logits.ndim, "class logits are not [B, K]"
    assert len(bytes.fromhex(extractor.sha256)) == 32, "its sha256 is not a SHA-256"
    assert extractor.resize, "`resize` does not say how images are brought to its input size"


def _check_metric(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    metric = registry.create("metric", r.qualified, options=options)
    assert metric.smaller_is_better in (True, False), "`smaller_is_better` is not a bool"
    components = {"ssl": "tiny/classifier", "generator": {"name": "tiny/tiny", "conditional": True}}
    experiment = _train(registry, {**components, "data.options": {"n": 180}})
    values = metric(Evidence(experiment.averaged, experiment.data, lambda: ("tiny", TinyExtractor()), 120))
    assert values, "it returns no value"
    assert all(math.isfinite(value) for value in values.values()), f"values are not finite: {values}"


def _check_preset(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    config = configure(preset=r.qualified, registry=registry)
    assert Config.parse(config.to_dict()) == config, "it changes when it is written and read again"


def _check_gradients(network: nn.Module, out: Tensor) -> None:
    parameters = {n: p for n, p in network.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(out.square().mean(), list(parameters.values()), allow_unused=True)
    unused = [n for n, g in zip(parameters, gradients, strict=True) if g is None]
    assert not unused, f"these parameters are unused, they get no gradient: {unused}"


def _check_state(network: nn.Module, other: nn.Module, *inputs: Tensor | None) -> None:
    other.load_state_dict(network.state_dict(), strict=True)
    with torch.no_grad():
        equal = torch.equal(network.eval()(*inputs), other.eval()(*inputs))
    assert equal, "its state_dict is incomplete: a copy with the same state has another output"


CHECKS: dict[str, Callable[[Registered, Registry, dict[str, Any]], None]] = {
    "generator": _check_generator,
    "discriminator": _check_discriminator,
    "loss": _check_loss,
    "penalty": _check_penalty,
    "augment": _check_augment,
    "ssl": _check_ssl,
    "dataset": _check_dataset,
    "extractor": _check_extractor,
    "metric": _check_metric,
    "preset": _check_preset,
}
