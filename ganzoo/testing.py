"""One checker for every component: our own test suite's, `ganzoo plugins --check`'s and a plugin author's.

    from ganzoo.testing import check_component
    def test_mine():
        check_component("generator", "swishgan")

A component is tried beside tiny partners, through the same assembly and loop as any run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ganzoo.assemble import Experiment, assemble
from ganzoo.component import Component, ImageShape
from ganzoo.config import Config
from ganzoo.contracts import AdversarialLoss, Source
from ganzoo.critic import last_layer
from ganzoo.metrics import Evidence
from ganzoo.options import options_of
from ganzoo.recipes import configure
from ganzoo.registry import Plugin, Registered, Registry, installed
from ganzoo.step import latent
from ganzoo.strategy import Strategy
from ganzoo.trainer import Trainer

HERE = "ganzoo.testing"
CLASSES = 3


class TinyGenerator(nn.Module):
    """One linear layer, any shape."""

    def __init__(self, shape: ImageShape, conditional: bool = False) -> None:
        super().__init__()
        self.z_dim, self.shape, self.conditional = 4, shape, conditional
        self.label = nn.Embedding(max(shape.classes, 1), 4)
        self.layer = nn.Linear(4, shape.channels * shape.size**2)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map z `[B, 4]` to images."""
        soft = y if y is None or y.ndim == 2 else nn.functional.one_hot(y, len(self.label.weight)).to(z.dtype)
        x: Tensor = self.layer(z if soft is None else z + soft @ self.label.weight).tanh()
        return x.reshape(-1, self.shape.channels, self.shape.size, self.shape.size)


class TinyTrunk(nn.Module):
    """One linear layer and dropout, any shape."""

    num_features = 8

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.layer, self.dropout = nn.Linear(shape.channels * shape.size**2, 8), nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images to features `[B, 8]`."""
        features: Tensor = self.dropout(self.layer(x.flatten(1)).tanh())
        return features


class TinyHead(nn.Module):
    """Class logits, and their sum as realness."""

    def __init__(self, trunk: nn.Module, shape: ImageShape) -> None:
        super().__init__()
        self.classes = last_layer(trunk, shape.classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map features `[B, 8]` to (adv [B], class logits)."""
        logits = self.classes(features)
        return logits.sum(1), logits


class TinyClassifier(Strategy):
    """A GAN whose discriminator has class logits."""

    def head(self, trunk: nn.Module, shape: ImageShape) -> nn.Module:
        """Return a head with classes."""
        return TinyHead(trunk, shape)


class TinyExtractor:
    """Means of quarters as features, and as class logits."""

    sha256, resize = "0" * 64, "none"

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map images to features `[B, 4 C]`."""
        features = nn.functional.adaptive_avg_pool2d(images.float() / 255, 2).flatten(1)
        return features, features


def tiny_loss() -> AdversarialLoss:
    """Return a mean difference that saturates."""
    return AdversarialLoss(
        lambda real, fake: fake.tanh().mean() - real.tanh().mean(), lambda real, fake: -fake.tanh().mean()
    )


class TinyTable:
    """Noise whose brightness is its class."""

    def __init__(self, n: int, channels: int, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.labels = np.arange(n, dtype=np.int64) % CLASSES
        base = self.labels.reshape(-1, 1, 1, 1) * 80
        self.pixels = (base + rng.integers(0, 60, (n, size, size, channels))).astype(np.uint8)

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image.Image:
        """Return one image."""
        pixels = self.pixels[index]
        return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)

    def where(self, index: int) -> str:
        """Return the number of one image."""
        return f"tiny {index}"


def tiny_data(channels: int = 1, size: int = 16, n: int = 60) -> Source:
    """Return images of three classes that a linear classifier can tell apart."""
    return Source(
        "tiny", TinyTable(n, channels, size, 0), TinyTable(n // 2, channels, size, 1), ["dark", "grey", "light"]
    )


TINY: dict[str, Any] = {
    "generator": "tiny/tiny", "discriminator": "tiny/tiny", "loss": "tiny/tiny", "ssl": "tiny/tiny",
    "data": {"source": "tiny/tiny", "labels": 9}, "steps": 2, "batch": 6, "ema": 0.9,
    "precision": "fp32", "device": "cpu",
}  # fmt: skip


def registry_with(*registered: Registered) -> Registry:
    """Return a registry of tiny partners, a `default` preset made of them, and the components given."""
    plugin = Plugin("tiny", None)
    targets = {"generator": "TinyGenerator", "discriminator": "TinyTrunk", "loss": "tiny_loss", "dataset": "tiny_data"}
    own = [Registered(kind, plugin, Component("tiny", f"{HERE}:{target}")) for kind, target in targets.items()]
    own.append(Registered("ssl", plugin, Component("tiny", "ganzoo.strategy:Strategy")))
    own.append(Registered("ssl", plugin, Component("classifier", f"{HERE}:TinyClassifier")))
    own.append(Registered("preset", plugin, Component("default", f"{HERE}:TINY")))
    return Registry([plugin, *{r.plugin.name: r.plugin for r in registered}.values()], [*own, *registered])


def check_component(kind: str | Registered, name: str = "", **options: Any) -> None:
    """Check one component against its contract, and train two steps with it beside tiny partners.

    Given `"generator", "name"` or what `ganzoo.list_components()` returns, and options of the component.
    Raises AssertionError saying what is wrong, or the GanzooError of a component that cannot be made.
    """
    registered = kind if isinstance(kind, Registered) else installed().get(kind, name)
    component = registered.component
    target = component.load()
    assert component.summary, f"'{component.name}' has no summary: give its Component one"
    if callable(target):
        unexplained = [o.name for o in options_of(target) if not o.meaning]
        assert not unexplained, f"'{component.name}': its docstring does not explain under Args: {unexplained}"
    registry = installed() if registered.kind == "preset" else registry_with(registered)
    CHECKS[registered.kind](registered, registry, options)


def _train(registry: Registry, values: dict[str, Any]) -> Experiment:
    experiment = assemble(configure(values=values, registry=registry), registry)
    trainer = Trainer(experiment)
    for _ in range(experiment.config.steps):
        trainer.iterate()
    trainer._terms()
    for name, network in trainer.averaged.networks.items():
        bad = [n for n, t in network.state_dict().items() if t.is_floating_point() and not bool(t.isfinite().all())]
        assert not bad, f"after two steps these of the {name} are not finite: {bad}"
    return experiment


def _part(registered: Registered, options: dict[str, Any]) -> dict[str, Any]:
    return {"name": registered.qualified, **options}


def _sizes(component: Component) -> int:
    return min(component.sizes, default=16)


def _check_generator(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    size = _sizes(r.component)
    for channels in (1, 3, 4):
        shape = ImageShape(channels, size, CLASSES)
        made = registry.create("generator", r.qualified, (shape,), options)
        y = torch.arange(2) if getattr(made, "conditional", False) else None
        z = latent(made, 2, torch.Generator().manual_seed(0))
        assert z.shape == (2, made.z_dim), f"latents are {list(z.shape)}, not [2, z_dim={made.z_dim}]"
        x = made(z, y)
        wanted = [2, channels, size, size]
        assert list(x.shape) == wanted, f"images are {list(x.shape)}, not {wanted}"
        assert bool(x.isfinite().all()), "images are not finite"
        assert not torch.equal(x[0], x[1]), "different latents give the same image"
        _check_gradients(made, x)
        again = registry.create("generator", r.qualified, (shape,), options)
        _check_state(made, again, z, y)
        if hasattr(made, "map"):
            _check_mapping(made, z, y)
    _train(registry, {"generator": _part(r, options), "data.options": {"size": size}})


@torch.no_grad()
def _check_mapping(made: Any, z: Tensor, y: Tensor | None) -> None:
    w = made.eval().map(z, y)
    assert torch.equal(made.truncate(w, 1.0), w), "truncate(w, 1) is not w"
    centre = made.truncate(w, 0.0)
    assert torch.equal(centre[0], centre[1]), "truncate(w, 0) is not the same for all"
    assert torch.equal(made.synthesize(w).clamp(-1, 1), made(z, y)), "synthesize(map(z, y)) is not what it makes of z"


def _check_discriminator(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    size = _sizes(r.component)
    for channels in (1, 3, 4):
        shape = ImageShape(channels, size, CLASSES)
        made = registry.create("discriminator", r.qualified, (shape,), options)
        x = torch.rand(16, channels, size, size) * 2 - 1
        features = made(x)
        wanted = [16, made.num_features]
        assert list(features.shape) == wanted, f"features are {list(features.shape)}, not {wanted}"
        _check_gradients(made, features)
        made.eval()
        alone, together = made(x[:1]), made(x)[:1]
        assert torch.allclose(alone, together, atol=1e-4, rtol=1e-4), (
            "in evaluation an image's features depend on its batch"
        )
        _check_state(made, registry.create("discriminator", r.qualified, (shape,), options), x)
    _train(registry, {"discriminator": _part(r, options), "data.options": {"size": size}})


def _check_loss(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    loss = registry.create("loss", r.qualified, options=options)
    assert isinstance(loss, AdversarialLoss), f"it makes a {type(loss).__name__}, not an AdversarialLoss"
    real, fake = (torch.linspace(a, b, 5, dtype=torch.float64, requires_grad=True) for a, b in ((-1, 2), (-2, 1)))
    for side in (loss.discriminator, loss.generator):
        assert side(real, fake).ndim == 0, "a side of the loss is not a scalar"
        assert torch.autograd.gradcheck(side, (real, fake)), "its gradient is wrong"
    if not loss.relativistic:
        assert loss.discriminator(real, fake[:3]).ndim == 0, "it cannot take fewer generated images than real ones"
    high, low = torch.full((4,), 0.5), torch.full((4,), -0.5)
    assert loss.discriminator(high, low) < loss.discriminator(low, high), (
        "the discriminator is not rewarded for being right"
    )
    assert loss.generator(low, high) < loss.generator(high, low), "the generator is not rewarded for fooling"
    _train(registry, {"loss": _part(r, options)})


def _check_penalty(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    penalty = registry.create("penalty", r.qualified, options=options)
    assert penalty.every >= 1, "`every` is not a positive number of steps"
    assert isinstance(penalty.per_sample, bool), "`per_sample` is neither true nor false"
    experiment = _train(registry, {f"penalties.{r.qualified}": options, "ssl": "tiny/classifier"})
    player = next((p for p in experiment.players if p.name == penalty.player), None)
    assert player, f"its player '{penalty.player}' is none of {[p.name for p in experiment.players]}"
    value = penalty(experiment.step(player, 0, 0))
    if value is None:
        assert callable(getattr(penalty, "after", None)), "it has neither a term nor a method `after`"
        return
    assert math.isfinite(value.item()), "it is not a finite scalar"
    moved = [p for n in player.networks for p in experiment.gan.networks[n].parameters()]
    gradients = torch.autograd.grad(value, moved, allow_unused=True)
    assert any(g is not None and bool(g.abs().sum() > 0) for g in gradients), (
        f"it gives the {penalty.player} no gradient"
    )


def _check_augment(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    experiment = _train(registry, {"augment": _part(r, options)})
    augment, step = experiment.augment, experiment.step(experiment.players[0], 0, 0)
    assert augment
    for channels in (1, 3, 4):
        x = torch.rand(8, channels, 16, 16, requires_grad=True)
        changed = augment(x, "real", step)
        assert changed.shape == x.shape, f"it changes the shape to {list(changed.shape)}"
        assert bool(torch.autograd.grad(changed.sum(), x)[0].isfinite().all()), "no finite gradient passes through it"


def _check_ssl(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    generator = {"name": "tiny/tiny", "conditional": r.component.load().needs_conditional}
    experiment = _train(registry, {"ssl": _part(r, options), "generator": generator})
    gan = experiment.gan.copy()
    logits = gan.strategy.classify(gan.networks, torch.zeros(2, 1, 16, 16))
    assert logits is None or list(logits.shape) == [2, CLASSES], "class logits are not [B, classes]"
    names = [p.name for p in experiment.players]
    assert len(set(names)) == len(names), f"two players are called alike: {names}"


def _check_dataset(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    if "download" in r.component.tags:  # nothing is fetched by a check
        return
    source = registry.create("dataset", r.qualified, options=options)
    assert isinstance(source, Source), f"it makes a {type(source).__name__}, not a Source"
    for table in (source.train, source.test) if source.test else (source.train,):
        labels = np.asarray(table.labels)
        assert labels.shape == (len(table),) != (0,), "it has not one label for each image"
        assert (labels.dtype, labels.min() >= -1) == (np.int64, True), "labels are not int64, -1 for none"
        assert labels.max() < len(source.class_names), "a label has no class name"
        assert all((table.image(0).size[0], table.where(0))), "an image cannot be shown or named"


def _check_extractor(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    if "download" in r.component.tags and not options:  # nothing is fetched by a check
        return
    extractor = registry.create("extractor", r.qualified, options=options)
    for channels in (1, 3, 4):
        if fit := getattr(extractor, "fit", None):
            fit(_train(registry, {"data.options": {"channels": channels}}).data, torch.device("cpu"))
        images = torch.randint(0, 256, (3, channels, 16, 16), dtype=torch.uint8)
        (features, logits), (again, _) = extractor(images), extractor(images)
        assert features.shape == (3, features.shape[-1]), f"features are {list(features.shape)}, not [3, D]"
        assert torch.equal(features, again), "the same images have other features"
        assert logits is None or len(logits) == len(images) != logits.ndim, "class logits are not [B, K]"
    assert len(bytes.fromhex(extractor.sha256)) == 32, "its sha256 is none"
    assert extractor.resize, "it does not say how it brings images to its size"


def _check_metric(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    metric = registry.create("metric", r.qualified, options=options)
    assert metric.smaller_is_better in (True, False), "it does not say how its value is read"
    parts = {"ssl": "tiny/classifier", "generator": {"name": "tiny/tiny", "conditional": True}}
    experiment = _train(registry, {**parts, "data.options": {"n": 180}})
    values = metric(Evidence(experiment.averaged, experiment.data, lambda: ("tiny", TinyExtractor()), 120))
    assert values, "it says nothing"
    assert all(math.isfinite(value) for value in values.values()), f"values are not finite: {values}"


def _check_preset(r: Registered, registry: Registry, options: dict[str, Any]) -> None:
    config = configure(preset=r.qualified, registry=registry)
    assert Config.parse(config.to_dict()) == config, "it does not survive being written and read"


def _check_gradients(network: nn.Module, out: Tensor) -> None:
    parameters = {n: p for n, p in network.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(out.square().mean(), list(parameters.values()), allow_unused=True)
    unused = [n for n, g in zip(parameters, gradients, strict=True) if g is None]
    assert not unused, f"these parameters take no part, they get no gradient: {unused}"


def _check_state(network: nn.Module, other: nn.Module, *inputs: Tensor | None) -> None:
    other.load_state_dict(network.state_dict(), strict=True)
    with torch.no_grad():
        same = torch.equal(network.eval()(*inputs), other.eval()(*inputs))
    assert same, "its state_dict does not hold everything: a copy with the same state gives another result"


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
