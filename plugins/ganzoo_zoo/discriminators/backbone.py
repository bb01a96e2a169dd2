"""Any image model of timm as a trunk, and Projected GAN's features of it. Sauer et al. 2021, arXiv:2111.01007."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import timm
import torch
import torch.nn.functional as F
from huggingface_hub import hf_hub_download
from timm import layers as timm_layers
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganzoo import ImageShape
from ganzoo.errors import BadOption, nearest

SIDE = 4  # of the maps that a scale's own layers end with


class Discriminator(nn.Module):
    """A backbone's pooled features; with `projected`, features of several scales, mixed by fixed random weights.

    Projected GAN (§3.2 and §4.1): the backbone is pretrained and stands still; its maps at four scales are mixed over
    channels and over scales by random convolutions that stand still too, and each scale has small layers of its own.
    Realness is then a sum over scales, where the paper has a loss for each.

    Raises BadOption for a backbone that timm has not, or cannot make so.

    Args:
        backbone: name of a model of timm; `--disc timm/resnet18` says it too.
        pretrained: start from published weights, which are fetched when first used.
        frozen: let the backbone stand still, its batch norm among it.
        projected: features of several scales; stands still, and means something when it is pretrained.
        width: channels of the projected maps.
    """

    def __init__(
        self,
        shape: ImageShape,
        backbone: str,
        pretrained: bool = False,
        frozen: bool = False,
        projected: bool = False,
        width: int = 64,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"features_only": True} if projected else {"num_classes": 0}
        self.backbone = make(backbone, pretrained, shape, options)
        mean, deviation = (self.statistics(backbone, kind, shape.channels) for kind in ("mean", "std"))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)
        self.still = frozen or projected
        if self.still:
            self.backbone = fixed_statistics(self.backbone).requires_grad_(False).eval()
        self.scales = Scales(self.backbone, shape, width) if projected else None
        with torch.no_grad(), padding_before(self.backbone):
            self.num_features = self.eval()(torch.zeros(1, shape.channels, shape.size, shape.size)).shape[1]
        self.train()

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def members(pattern: str) -> list[str]:
        """Return the names of timm's models that match a pattern with `*`."""
        return list(timm.list_models(pattern))

    @staticmethod
    def statistics(backbone: str, kind: str, channels: int) -> Tensor:
        """Return what a model's pixels in [0, 1] are normalised by, `[1, C, 1, 1]`; the mean colour for others."""
        known = torch.tensor(getattr(timm.get_pretrained_cfg(backbone), kind))
        values = known if channels == len(known) else known.mean().repeat(channels)
        return values.reshape(1, -1, 1, 1)

    def train(self, mode: bool = True) -> Discriminator:
        """Put all but a backbone that stands still in training mode."""
        super().train(mode)
        if self.still:
            self.backbone.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        out = self.backbone(((x + 1) / 2 - self.mean) / self.deviation)
        features: Tensor = out if self.scales is None else self.scales(out)
        return features


@contextmanager
def padding_before(model: nn.Module) -> Iterator[None]:
    """Have convolutions whose maps turn out smaller than their stride pad these before, instead of by themselves.

    It is the same, but where oneDNN computes in bf16 (as of torch 2.15): there the gradients of weights that see
    nothing but padding are left as the memory was, and may be anything.
    """

    def look(convolution: nn.Module, given: tuple[Tensor]) -> tuple[Tensor] | None:
        one = cast(nn.Conv2d, convolution)
        padding = one._reversed_padding_repeated_twice
        if min(given[0].shape[2:]) >= max(one.stride) or one.padding_mode != "zeros" or not any(padding):
            return None
        one.padding = (0, 0)
        one.register_forward_pre_hook(before := partial(pad, padding))
        return before(one, given)

    looking = [m.register_forward_pre_hook(look) for m in model.modules() if isinstance(m, nn.Conv2d)]
    try:
        yield
    finally:
        for handle in looking:
            handle.remove()


def pad(sides: list[int], _: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
    """Return what a convolution is given, with zeros at its sides: left, right, top, bottom."""
    return (F.pad(given[0], sides),)


def fixed_statistics(model: nn.Module) -> nn.Module:
    """Return a model whose batch norm is a fixed map of each image."""
    fixed: nn.Module = cast(Any, timm_layers).freeze_batch_norm_2d(model)
    return fixed


def make(backbone: str, pretrained: bool, shape: ImageShape, options: dict[str, Any]) -> nn.Module:
    """Return a model of timm for images of this shape. Raises BadOption."""
    name, _, _ = backbone.partition(".")
    if not timm.is_model(name):
        raise BadOption(
            f"timm has no model '{backbone}'{nearest(name, timm.list_models())} See them: ganzoo list --timm '*'"
        )
    if pretrained:
        options = options | {"pretrained_cfg_overlay": {"file": weights(backbone)}}
    sizes: list[dict[str, Any]] = [{"img_size": shape.size}, {}]  # transformers have to be told
    for size in sizes:
        more = {"in_chans": shape.channels, **options, **size}
        try:
            model: nn.Module = timm.create_model(backbone, pretrained=pretrained, **more)
        except TypeError as error:
            if not size:
                raise BadOption(f"timm's '{backbone}' cannot be made so: {error}") from error
        except Exception as error:  # whatever it raises: without the network, or for a size it cannot do
            raise BadOption(f"timm's '{backbone}' cannot be made so: {error}") from error
        else:
            return model
    raise AssertionError


def weights(backbone: str) -> str:
    """Fetch a model's published weights, and return their path. Raises BadOption.

    From the Hub and as safetensors alone: what else timm could load has to be unpickled.
    """
    name = getattr(timm.get_pretrained_cfg(backbone), "hf_hub_id", None)
    if not name:
        raise BadOption(f"timm's '{backbone}' has no published weights; try: --set disc.pretrained=false")
    try:
        return hf_hub_download(name, "model.safetensors")
    except Exception as error:  # of the network, of the Hub, of the disk
        first = str(error).strip().splitlines()[0]
        raise BadOption(f"the weights of timm's '{backbone}' cannot be fetched from {name}: {first}") from error


class Scales(nn.Module):
    """Maps of several scales, mixed by fixed random convolutions, and small layers for each. §3.2."""

    def __init__(self, backbone: nn.Module, shape: ImageShape, width: int) -> None:
        super().__init__()
        with torch.no_grad():
            maps = backbone(torch.zeros(1, shape.channels, shape.size, shape.size))[-4:]
        self.channels = nn.ModuleList(nn.Conv2d(m.shape[1], width, 1) for m in maps).requires_grad_(False)
        self.mix = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in maps).requires_grad_(False)
        for layer in (*self.channels, *self.mix):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.own = nn.ModuleList(head(width, m.shape[-1]) for m in maps)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map the backbone's maps, large to small, to features `[B, F]`."""
        found: list[Tensor] = []
        above: Tensor | None = None
        layers = zip(maps[-4:], self.channels, self.mix, self.own, strict=True)
        for x, channels, mix, own in reversed([*layers]):
            here = channels(x)
            if above is not None:
                here = here + F.interpolate(above, size=here.shape[2:], mode="bilinear", align_corners=False)
            above = mix(here)
            found.append(own(above).flatten(1))
        return torch.cat(found, 1)


def head(width: int, side: int) -> nn.Sequential:
    """Return the layers of one scale: spectrally normalised, halving the side while it is larger than 4."""
    layers: list[nn.Module] = []
    while side > SIDE:
        layers += [spectral_norm(nn.Conv2d(width, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        side //= 2
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, width, 1)), nn.LeakyReLU(0.2))
