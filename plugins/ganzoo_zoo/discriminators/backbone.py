"""Image models of timm as trunks, and the features of Projected GAN. Sauer et al. 2021, arXiv:2111.01007."""

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
from ganzoo.base.torch_private import padding_of
from ganzoo.errors import BadOption, nearest

SIDE = 4
"""Side of the maps that the layers of each scale end with."""


class Discriminator(nn.Module):
    """The pooled features of a timm model, or the multi-scale features of Projected GAN.

    With `projected` (§3.2 and §4.1 of the paper) the backbone is frozen and meant to be pretrained. Its maps at four
    scales are mixed across channels and scales by random convolutions that are frozen too, and each scale has small
    trainable layers of its own. The adversarial logit is then a sum over scales, where the paper has one loss for each.

    Args:
        shape: Shape of the images.
        backbone: Name of a timm model; `--disc timm/resnet18` is short for it.
        pretrained: Start from published weights, which are downloaded on first use.
        frozen: Freeze the backbone, including the statistics of its batch norm.
        projected: Use Projected GAN's features of several scales; implies `frozen`.
        width: Channels of the projected maps.

    Raises:
        BadOption: timm has no such model, or cannot build it for these images.
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
        self.backbone = create_model(backbone, pretrained, shape, options)
        mean, deviation = (self.statistics(backbone, kind, shape.channels) for kind in ("mean", "std"))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)
        self.frozen = frozen or projected
        if self.frozen:
            self.backbone = fixed_statistics(self.backbone).requires_grad_(False).eval()
        self.scales = Scales(self.backbone, shape, width) if projected else None
        with torch.no_grad(), padding_before(self.backbone):
            self.num_features = self.eval()(torch.zeros(1, *shape.dimensions)).shape[1]
        self.train()

    mean: Tensor
    deviation: Tensor

    @staticmethod
    def members(pattern: str) -> list[str]:
        """List the timm models whose names match a pattern with `*`."""
        return list(timm.list_models(pattern))

    @staticmethod
    def statistics(backbone: str, kind: str, channels: int) -> Tensor:
        """Return the mean or standard deviation by which a model normalises pixels in [0, 1].

        Args:
            backbone: Name of the model.
            kind: "mean" or "std".
            channels: Channels of the images. If the model has another number, the average over its channels is used.

        Returns:
            `[1, C, 1, 1]`.
        """
        known = torch.tensor(getattr(timm.get_pretrained_cfg(backbone), kind))
        values = known if channels == len(known) else known.mean().repeat(channels)
        return values.reshape(1, -1, 1, 1)

    def train(self, mode: bool = True) -> Discriminator:
        """Set training mode, except for a frozen backbone."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[B, C, H, W]` in [-1, 1] to features `[B, num_features]`."""
        out = self.backbone(((x + 1) / 2 - self.mean) / self.deviation)
        features: Tensor = out if self.scales is None else self.scales(out)
        return features


@contextmanager
def padding_before(model: nn.Module) -> Iterator[None]:
    """Pad separately before each convolution whose input is smaller than its stride.

    The result is the same, except for a bug of oneDNN in bf16 (as of torch 2.15): the gradients of weights that see
    only padding are left uninitialised.

    Args:
        model: Model whose convolutions are changed by the forward passes inside the `with` block.
    """

    def inspect(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
        convolution = cast(nn.Conv2d, module)
        padding = padding_of(convolution)
        large = min(inputs[0].shape[2:]) >= max(convolution.stride)
        if large or convolution.padding_mode != "zeros" or not any(padding):
            return None
        convolution.padding = (0, 0)
        convolution.register_forward_pre_hook(pad_first := partial(pad, padding))
        return pad_first(convolution, inputs)

    hooks = [m.register_forward_pre_hook(inspect) for m in model.modules() if isinstance(m, nn.Conv2d)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def pad(sides: list[int], _: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """Pad the input of a convolution with zeros.

    Args:
        sides: Numbers of zeros at the left, right, top and bottom.
        _: The convolution.
        inputs: Its input `[B, C, H, W]`, in a tuple.
    """
    return (F.pad(inputs[0], sides),)


def fixed_statistics(model: nn.Module) -> nn.Module:
    """Return a model whose batch norm layers are replaced by fixed affine maps."""
    fixed: nn.Module = cast(Any, timm_layers).freeze_batch_norm_2d(model)
    return fixed


def create_model(backbone: str, pretrained: bool, shape: ImageShape, options: dict[str, Any]) -> nn.Module:
    """Create a timm model for images of a given shape.

    Args:
        backbone: Name of the model.
        pretrained: Load published weights.
        shape: Shape of the images.
        options: Further arguments of `timm.create_model`.

    Raises:
        BadOption: timm has no such model, or cannot build it.
    """
    name, _, _ = backbone.partition(".")
    if not timm.is_model(name):
        raise BadOption(
            f"timm has no model '{backbone}'{nearest(name, timm.list_models())} See them: ganzoo list --timm '*'"
        )
    if pretrained:
        options = options | {"pretrained_cfg_overlay": {"file": fetch_weights(backbone)}}
    sides = shape.height if shape.height == shape.width else (shape.height, shape.width)
    sizes: list[dict[str, Any]] = [{"img_size": sides}, {}]  # transformers need the image size
    for size in sizes:
        more = {"in_chans": shape.channels, **options, **size}
        try:
            model: nn.Module = timm.create_model(backbone, pretrained=pretrained, **more)
        except TypeError as error:
            if not size:
                raise BadOption(f"timm cannot build '{backbone}' for these images: {error}") from error
        except Exception as error:  # timm raises many types, as without a connection or for an unsupported size
            raise BadOption(f"timm cannot build '{backbone}' for these images: {error}") from error
        else:
            return model
    raise AssertionError


def fetch_weights(backbone: str) -> str:
    """Download the published weights of a model and return their path.

    Only safetensors files of the Hugging Face Hub are used, because timm's other formats have to be unpickled.

    Args:
        backbone: Name of the model.

    Raises:
        BadOption: There are no published weights, or they cannot be downloaded.
    """
    name = getattr(timm.get_pretrained_cfg(backbone), "hf_hub_id", None)
    if not name:
        raise BadOption(f"timm's '{backbone}' has no published weights; try: --set disc.pretrained=false")
    try:
        return hf_hub_download(name, "model.safetensors")
    except Exception as error:  # of the connection, the Hub or the disk
        first = str(error).strip().splitlines()[0]
        raise BadOption(f"the weights of timm's '{backbone}' cannot be fetched from {name}: {first}") from error


class Scales(nn.Module):
    """Maps of several scales, mixed by frozen random convolutions, with small trainable layers for each scale. §3.2.

    Args:
        backbone: Maps images to a list of maps, from large to small; the last four are used.
        shape: Shape of the images.
        width: Channels of the mixed maps.
    """

    def __init__(self, backbone: nn.Module, shape: ImageShape, width: int) -> None:
        super().__init__()
        with torch.no_grad():
            maps = backbone(torch.zeros(1, *shape.dimensions))[-4:]
        self.channels = nn.ModuleList(nn.Conv2d(m.shape[1], width, 1) for m in maps).requires_grad_(False)
        self.mix = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in maps).requires_grad_(False)
        for layer in (*self.channels, *self.mix):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.own = nn.ModuleList(head(width, min(m.shape[2:])) for m in maps)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map the backbone's maps, from large to small, to features `[B, F]`."""
        features: list[Tensor] = []
        smaller: Tensor | None = None
        layers = zip(maps[-4:], self.channels, self.mix, self.own, strict=True)
        for x, channels, mix, own in reversed([*layers]):
            mixed = channels(x)
            if smaller is not None:
                mixed = mixed + F.interpolate(smaller, size=mixed.shape[2:], mode="bilinear", align_corners=False)
            smaller = mix(mixed)
            features.append(own(smaller).flatten(1))
        return torch.cat(features, 1)


def head(width: int, side: int) -> nn.Sequential:
    """Return the trainable layers of one scale: spectrally normalised, halving the side until it is at most 4.

    Args:
        width: Number of channels.
        side: Smaller side of the maps.
    """
    layers: list[nn.Module] = []
    while side > SIDE:
        layers += [spectral_norm(nn.Conv2d(width, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        side //= 2
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, width, 1)), nn.LeakyReLU(0.2))
