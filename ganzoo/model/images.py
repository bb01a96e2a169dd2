"""Images as users have them: tensors, PIL images and paths, prepared as the networks take them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from PIL.Image import Image
from torch import Tensor

from ganzoo.base.opening import open_picture
from ganzoo.base.pictures import from_uint8, to_uint8
from ganzoo.base.preparation import Preparation
from ganzoo.errors import BadData, GanzooError, Notice
from ganzoo.registry.component import ImageShape

Pictures: TypeAlias = "Tensor | Image | str | Path | Sequence[Image | str | Path]"
"""Images as users have them: a tensor in [-1, 1] or uint8, a PIL image or path, or several of these."""
TOLERANCE = 1e-3
"""How far from [-1, 1] rounding may bring a value."""


def as_sequence(images: Any) -> Sequence[Any]:
    """Return one image or several as a sequence; tensors are sequences of images."""
    if isinstance(images, Tensor):
        return images  # type: ignore[return-value]
    return images if isinstance(images, Sequence) and not isinstance(images, str) else [images]


def prepare_images(images: Pictures, shape: ImageShape, preparation: Preparation) -> Tensor:
    """Return images as float `[B, C, H, W]` in [-1, 1], of a model's shape.

    Args:
        images: A tensor of that shape, or PIL images or paths of any size.
        shape: Shape of the model's images.
        preparation: How pictures are brought to it.

    Raises:
        BadData: An image cannot be read, or a tensor has another shape, dtype or range.
    """
    if not isinstance(images, Tensor):
        read = [_read(image, shape, preparation) for image in as_sequence(images)]
        return from_uint8(torch.stack(read)) if read else torch.empty(0, *shape.dimensions)
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise BadData(f"images are uint8 in 0 … 255 or float in [-1, 1], not {images.dtype}")
    if tuple(images.shape[1:]) != shape.dimensions:
        raise BadData(
            f"images of shape {list(images.shape)} given; this model takes [B, {', '.join(map(str, shape.dimensions))}]"
        )
    return from_uint8(images) if images.dtype == torch.uint8 else check_range(images.float())


def check_range(images: Tensor) -> Tensor:
    """Return float images, if they can be meant to be in [-1, 1].

    Args:
        images: Images `[B, C, H, W]`.

    Raises:
        BadData: A value is outside [-1, 1], or not a finite number.
    """
    if not images.numel():
        return images
    low, high = map(float, images.detach().aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BadData("images have values that are not finite numbers; float images are in [-1, 1]")
    if max(-low, high) > 1 + TOLERANCE:
        range_, formula = ("[0, 1]", "x * 2 - 1") if high < 2 else ("[0, 255]", "x / 127.5 - 1")
        hint = f"from {range_}, {formula} converts them" if low >= 0 and high <= 255 else "scale them, or clamp them"
        raise BadData(f"float images are in [-1, 1], and these have values from {low:.4g} to {high:.4g}; {hint}")
    if low >= 0 and not torch.allclose(from_uint8(to_uint8(images)), images.detach().cpu(), atol=TOLERANCE):
        # Bright images of 8 bits are no reason to warn: their values in [-1, 1] are spaced otherwise than in [0, 1].
        warnings.warn(
            "float images are in [-1, 1], and no value of these is negative; from [0, 1], x * 2 - 1 converts them",
            Notice,
            stacklevel=2,
        )
    return images


def check_mask(known: Tensor, images: Tensor) -> Tensor:
    """Return a mask of undamaged pixels on the device of its images.

    Args:
        known: `[B, 1, H, W]` bool.
        images: Images `[B, C, H, W]`.

    Raises:
        BadData: The mask has another shape or dtype.
    """
    expected = (len(images), 1, *images.shape[2:])
    if known.dtype != torch.bool or known.shape != expected:
        raise BadData(f"`known` is {known.dtype} {list(known.shape)}, not bool {list(expected)}")
    return known.to(images.device)


def _read(image: Image | str | Path, shape: ImageShape, preparation: Preparation) -> Tensor:
    if not isinstance(image, str | Path | Image):
        raise BadData(
            f"images are a tensor [B, C, H, W], PIL images or paths, not {type(image).__name__}; convert an array with "
            "torch.from_numpy, and a list of tensors with torch.stack"
        )
    try:
        picture = image if isinstance(image, Image) else open_picture(image)
        return torch.from_numpy(preparation(picture, shape))
    except GanzooError as error:
        raise type(error)(f"image {image}: {error}") from error
    except Exception as error:  # decoders raise anything from OSError to SyntaxError
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise BadData(f"image {image} cannot be read ({reason})") from error
