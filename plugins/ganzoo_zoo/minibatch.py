"""Layers through which an image meets the others of its batch, so that a discriminator can see too little variety."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

MOMENTUM = 0.1


class BatchStatistic(nn.Module):
    """The base of both: in training they speak of the batch; in evaluation, of the running mean of what batches were.

    So an image that is scored alone is scored as in any company. As with batch norm, `track_running_stats` says whether
    a pass in training moves that mean.

    values: how many numbers it is about.
    """

    mixes_batch: ClassVar[bool] = True
    running: Tensor

    def __init__(self, values: int) -> None:
        super().__init__()
        self.track_running_stats = True
        self.register_buffer("running", torch.zeros(values))

    def remember(self, found: Tensor) -> None:
        """Move the running mean towards what was found, `[N, values]`."""
        if self.track_running_stats:
            with torch.no_grad():
                self.running.lerp_(found.mean(0).to(self.running.dtype), MOMENTUM)


class MinibatchStd(BatchStatistic):
    """Appends a map that tells how different the images of a group are. Karras et al. 2018, arXiv:1710.10196, §3.

    Its value is the standard deviation over the group, averaged over channels and places. Where a batch is no multiple
    of `group`, its groups have the next larger size that divides it: 6 images make one group of 6, and not two of 3.
    The next smaller size would be 1 for a batch of 7 or 61, and a single image says nothing.

    group: images that are compared; all, where the batch has fewer.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__(1)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C + 1, H, W]`."""
        spread = self.running.expand(len(x), 1)
        if self.training:
            groups = next(n for n in range(max(len(x) // self.group, 1), 0, -1) if len(x) % n == 0)
            variance = precise(x).reshape(groups, -1, *x.shape[1:]).var(1, correction=0)  # [groups, C, H, W]
            found = variance.add(1e-8).sqrt().mean((1, 2, 3))[:, None]
            self.remember(found)
            spread = found.repeat_interleave(len(x) // groups, 0)
        return torch.cat([x, spread[:, :, None, None].to(x.dtype).expand(-1, -1, *x.shape[2:])], dim=1)

    def extra_repr(self) -> str:
        """Show the size of a group."""
        return str(self.group)


class MinibatchDiscrimination(BatchStatistic):
    """Appends how close an image is to the others of its batch. Salimans et al. 2016, arXiv:1606.03498, §3.2.

    M = f·T, a matrix of kernels × dims for each image; o_b(x_i) = Σ_j exp(-‖M_ib - M_jb‖₁), j = i included, as the
    paper writes it. T ~ N(0, σ) with σ = 1 / (dims √inputs): for features of variance 1 the norm is then about 1, where
    the exponential is not flat. The differences take B² · kernels · dims numbers.

    inputs: length of the features f. kernels: numbers appended. dims: length of a row that is compared.
    """

    def __init__(self, inputs: int, kernels: int = 100, dims: int = 5) -> None:
        super().__init__(kernels)
        self.shape = kernels, dims
        self.T = nn.Parameter(torch.randn(inputs, kernels * dims) / (dims * math.sqrt(inputs)))

    def forward(self, f: Tensor) -> Tensor:
        """Map features `[B, inputs]` to `[B, inputs + kernels]`."""
        closeness = self.running.expand(len(f), -1)
        if self.training:
            m = precise(f @ self.T).reshape(-1, *self.shape)
            closeness = (m[:, None] - m[None]).abs().sum(3).neg().exp().sum(1)
            self.remember(closeness)
        return torch.cat([f, closeness.to(f.dtype)], dim=1)

    def extra_repr(self) -> str:
        """Show kernels and dims."""
        return f"{len(self.T)}, kernels={self.shape[0]}, dims={self.shape[1]}"


def precise(x: Tensor) -> Tensor:
    """Return x in fp32 at least: differences of nearly equal numbers do not survive bf16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
