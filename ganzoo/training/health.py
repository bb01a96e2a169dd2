"""Health metrics of a step, from which diagnostics recognise training that goes wrong.

They are computed from what a step has at hand anyway, only in steps that are logged, and stay on the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ganzoo.strategy.networks import DiscOutput
from ganzoo.strategy.step import Step

NEIGHBOURS_AMONG = 64
"""Images of each kind among which nearest neighbours are searched."""


def health_metrics(step: Step) -> dict[str, Tensor]:
    """Return health metrics of an update as scalars on its device.

    When the discriminator is updated and has seen real and generated images:
        mean_logit: Mean adversarial logit of both.
        discriminator_auc: How often a real image has a larger logit than a generated one, in [0, 1]; 0.5 is chance.
        discriminator_loss_slope: Mean slope of the discriminator's loss in the logits, relative to where they are all
            0: how much it has left to learn.
        diversity: Mean distance of a generated image to the nearest other one of its batch, relative to that of real
            images.

    When the generator is updated and the adversarial loss is among its terms:
        generator_loss_slope: The same slope of the generator's loss: how much of the discriminator reaches it.

    Args:
        step: The step, after the player's terms have been computed.
    """
    real, fake = step.cached_output("real"), step.cached_output("fake")
    if "generator" in step.updating and step.used_generator_loss and fake:
        return {"generator_loss_slope": loss_slope(step.generator_loss, fake)}
    found: dict[str, Tensor] = {}
    if "discriminator" not in step.updating:
        return found
    if real and fake:
        found["mean_logit"] = (real.adv.detach().mean() + fake.adv.detach().mean()) / 2
        ahead = real.adv.detach()[:, None] - fake.adv.detach()
        found["discriminator_auc"] = (ahead.sign().mean() + 1) / 2
        found["discriminator_loss_slope"] = loss_slope(step.discriminator_loss, real, fake)
    one, two = step.cached_images("real"), step.cached_images("fake")
    if one is not None and two is not None and (n := min(len(one), len(two), NEIGHBOURS_AMONG)) > 1:
        found["diversity"] = spread(two[:n]) / spread(one[:n]).clamp_min(1e-3)
    return found


def loss_slope(loss: Callable[..., Tensor], *outputs: DiscOutput) -> Tensor:
    """Return Σ |∂ loss / ∂ logit| at a discriminator's outputs, relative to its value where all logits are 0."""
    sizes = []
    for scale in (1, 0):
        adv = [(scale * out.adv.detach()).requires_grad_() for out in outputs]
        value = loss(*(out._replace(adv=a) for out, a in zip(outputs, adv, strict=True)))
        sizes.append(torch.stack([g.abs().sum() for g in torch.autograd.grad(value, adv)]).sum())
    return sizes[0] / sizes[1].clamp_min(1e-6)


def spread(images: Tensor) -> Tensor:
    """Return the mean distance of images `[B, C, H, W]` to the nearest other one."""
    x = images.detach().float().flatten(1)
    return torch.cdist(x, x).fill_diagonal_(math.inf).min(1).values.mean()
