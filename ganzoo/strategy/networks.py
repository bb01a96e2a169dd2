"""What generators and discriminators promise, and a trunk with its head as one network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

import torch
from torch import Tensor, nn

from ganzoo.base.torch_private import BatchNorm

Networks: TypeAlias = Mapping[str, nn.Module]
"""The networks of a run by name."""


class Generator(Protocol):
    """An `nn.Module` that maps latents to images. Created as `factory(shape, **options)`.

    A generator whose latents are not drawn from N(0, 1) has a method `latent(n, rng) -> z`, which draws from `rng`
    alone. A class-conditional generator has an attribute `conditional` that is true; it is then always given `y`.

    In evaluation mode, an image depends on its own latent and class alone: not on its batch, and on no random numbers.
    Noise that is to differ between generated images is part of the latent.

    Attributes:
        z_dim: Length of the latent vector.
    """

    z_dim: int

    def __call__(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Generate images.

        Args:
            z: Latents `[B, z_dim]`.
            y: Classes, `[B]` int64 or `[B, K]` probabilities; None for an unconditional generator.

        Returns:
            Images `[B, C, H, W]` in [-1, 1].
        """


class MappingGenerator(Generator, Protocol):
    """A generator that first maps its latents to other codes, as StyleGAN does.

    Its images are `synthesize(map(z, y))`. Truncation, projection and directions act on the mapped codes `w [B, D]`.
    In evaluation mode the values of `synthesize` may leave [-1, 1]; they are clamped by the caller.
    """

    def map(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Map latents `[B, z_dim]` and classes to codes w `[B, D]`."""

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Move codes towards their mean: ψ = 1 returns them bit for bit, ψ = 0 returns the mean for all."""

    def synthesize(self, w: Tensor) -> Tensor:
        """Map codes `[B, D]` to images `[B, C, H, W]`."""


class Trunk(Protocol):
    """An `nn.Module` that maps images to features: a discriminator without its last layer.

    Created as `factory(shape, **options)`. A trunk whose last layer is not a plain linear layer has a method
    `last_layer(outputs) -> nn.Module` that maps features `[B, num_features]` to `[B, outputs]`. A layer that
    initialises itself from data does so in its first forward pass in training mode: before training, every trunk is
    given one batch of real images.

    Attributes:
        num_features: Length of the feature vector.
    """

    num_features: int

    def __call__(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""


class DiscOutput(NamedTuple):
    """The output of a discriminator.

    Attributes:
        adv: Adversarial (real/fake) logits `[B]`, larger for real images.
        features: Features `[B, F]` that the logits are computed from.
        logits: Class logits `[B, K]`, or None if the head has no classes.
    """

    adv: Tensor
    features: Tensor
    logits: Tensor | None = None


class HeadedNetwork(nn.Module):
    """A trunk and a head: every discriminator, and every classifier made of a discriminator's trunk.

    The head runs in fp32, because log-sum-exp and softplus of its logits lose too much precision in bf16.

    Args:
        trunk: Maps images to features; see `Trunk`.
        head: Maps features to (adversarial logits, class logits or None).

    Attributes:
        batch_norm: Whether the network contains batch normalisation.
        batch_statistics: Whether the output for an image depends on the other images of its batch, through batch
            normalisation or a module with a true attribute `mixes_batch`.
        conditional: Whether the head is given class labels.
    """

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head
        self.batch_norm = any(isinstance(m, BatchNorm) for m in self.modules())
        self.batch_statistics = self.batch_norm or any(getattr(m, "mixes_batch", False) for m in self.modules())
        self.conditional: bool = getattr(head, "conditional", False)

    def forward(self, x: Tensor, y: Tensor | None = None) -> DiscOutput:
        """Compute logits and features.

        Args:
            x: Images `[B, C, H, W]` in [-1, 1].
            y: Classes `[B]` int64, -1 where unknown; used by a conditional head only.

        Returns:
            Adversarial logits, features and class logits, all fp32.
        """
        features = self.trunk(x)
        with torch.autocast(x.device.type, enabled=False):
            features = features.float()
            adv, logits = self.head(features, y) if self.conditional else self.head(features)
        return DiscOutput(adv, features, logits)


def last_layer(trunk: nn.Module, outputs: int) -> nn.Module:
    """Return the last layer that a trunk asks for, or a linear layer if it asks for none.

    Args:
        trunk: See `Trunk`.
        outputs: Length of the layer's output.

    Returns:
        A module that maps features `[B, F]` to `[B, outputs]`.
    """
    if hasattr(trunk, "last_layer"):
        return cast(Callable[[int], nn.Module], trunk.last_layer)(outputs)
    return nn.Linear(cast(Trunk, trunk).num_features, outputs)


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Normalise by the statistics of the batch without updating the running statistics.

    Generated images in the running mean of a discriminator ruin its predictions for real images in evaluation mode.

    Args:
        module: Module whose batch normalisation layers are frozen inside the `with` block.
    """
    norms = [cast(Any, m) for m in module.modules() if getattr(m, "track_running_stats", False)]
    for m in norms:
        m.track_running_stats = False
    try:
        yield
    finally:
        for m in norms:
            m.track_running_stats = True


class _HasLatent(Protocol):
    latent: Callable[[int, torch.Generator | None], Tensor]


def draw_latents(generator: nn.Module, n: int, rng: torch.Generator | None = None) -> Tensor:
    """Draw latents from the prior of a generator: N(0, 1), or the generator's own `latent` method.

    Args:
        generator: See `Generator`.
        n: Number of latents.
        rng: Random number generator of the CPU; default: torch's global one.

    Returns:
        Latents `[n, z_dim]` on the CPU, so that they are the same on every device.
    """
    if hasattr(generator, "latent"):
        return cast(_HasLatent, generator).latent(n, rng)
    return torch.randn(n, cast(Generator, generator).z_dim, generator=rng)


class FollowsProgress(Protocol):
    """A module that changes over a run, as progressive growing does.

    `set_progress` is called before each update of each player, whatever the strategy. The module keeps what it is told
    in a buffer, so that checkpoints and averaged copies hold it too.
    """

    def set_progress(self, progress: float) -> None:
        """Note the fraction of the run that is done, in [0, 1]."""


def progress_followers(networks: Networks) -> list[FollowsProgress]:
    """Return the modules of networks that have a method `set_progress`."""
    found = (m for network in networks.values() for m in network.modules() if hasattr(m, "set_progress"))
    return cast(list[FollowsProgress], [*found])
