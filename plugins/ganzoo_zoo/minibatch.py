"""Layers that compare the images of a batch, so that a discriminator can detect a lack of variety."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

MOMENTUM = 0.1


class BatchStatistic(nn.Module):
    """Base of layers that append statistics of the batch to their input.

    In training mode the statistics are those of the batch. In evaluation mode they are running means, so that the
    output for an image does not depend on the other images of its batch. As with batch norm, `track_running_stats`
    decides whether a forward pass in training mode updates the running means.

    Args:
        values: Number of statistics.
    """

    mixes_batch: ClassVar[bool] = True
    running: Tensor

    def __init__(self, values: int) -> None:
        super().__init__()
        self.track_running_stats = True
        self.register_buffer("running", torch.zeros(values))

    def update_running(self, statistics: Tensor) -> None:
        """Move the running means towards statistics `[N, values]` of a batch."""
        if self.track_running_stats:
            with torch.no_grad():
                self.running.lerp_(statistics.mean(0).to(self.running.dtype), MOMENTUM)


class MinibatchStd(BatchStatistic):
    """Minibatch standard deviation, appended as one more channel. Karras et al. 2018, arXiv:1710.10196, §3.

    The value is the standard deviation over a group of images, averaged over channels and positions. If the batch size
    is not a multiple of `group`, the groups have the next larger size that divides it: a batch of 6 forms one group of
    6 rather than two of 3. The next smaller size would be 1 for a batch of 7 or 61, and the standard deviation of one
    image is 0.

    Args:
        group: Number of images in a group; a smaller batch forms one group.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__(1)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, H, W]` to `[B, C + 1, H, W]`."""
        spread = self.running.expand(len(x), 1)
        if self.training:
            groups = next(n for n in range(max(len(x) // self.group, 1), 0, -1) if len(x) % n == 0)
            variance = at_least_fp32(x).reshape(groups, -1, *x.shape[1:]).var(1, correction=0)  # [groups, C, H, W]
            deviation = variance.add(1e-8).sqrt().mean((1, 2, 3))[:, None]
            self.update_running(deviation)
            spread = deviation.repeat_interleave(len(x) // groups, 0)
        return torch.cat([x, spread[:, :, None, None].to(x.dtype).expand(-1, -1, *x.shape[2:])], dim=1)

    def extra_repr(self) -> str:
        """Return the group size as text."""
        return str(self.group)


class MinibatchDiscrimination(BatchStatistic):
    """Minibatch discrimination: appended similarities to the other images of the batch.

    M = f·T is a matrix of kernels × dims for each image, and o_b(x_i) = Σ_j exp(-‖M_ib - M_jb‖₁), j = i included, as in
    the paper (Salimans et al. 2016, arXiv:1606.03498, §3.2). T ~ N(0, σ²) with σ = 1 / (dims √inputs): the norm is then
    about 1 for features of variance 1, where the exponential has a useful slope. The differences take B² · kernels ·
    dims numbers of memory.

    Args:
        inputs: Length of the features f.
        kernels: Number of similarities that are appended.
        dims: Length of the vectors that are compared.
    """

    def __init__(self, inputs: int, kernels: int = 100, dims: int = 5) -> None:
        super().__init__(kernels)
        self.shape = kernels, dims
        self.T = nn.Parameter(torch.randn(inputs, kernels * dims) / (dims * math.sqrt(inputs)))

    def forward(self, f: Tensor) -> Tensor:
        """Map features `[B, inputs]` to `[B, inputs + kernels]`."""
        similarity = self.running.expand(len(f), -1)
        if self.training:
            m = at_least_fp32(f @ self.T).reshape(-1, *self.shape)
            similarity = (m[:, None] - m[None]).abs().sum(3).neg().exp().sum(1)
            self.update_running(similarity)
        return torch.cat([f, similarity.to(f.dtype)], dim=1)

    def extra_repr(self) -> str:
        """Return kernels and dims as text."""
        return f"{len(self.T)}, kernels={self.shape[0]}, dims={self.shape[1]}"


def at_least_fp32(x: Tensor) -> Tensor:
    """Return x in fp32 or better; bf16 is too coarse for differences of nearly equal numbers."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
