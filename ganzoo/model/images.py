"""Images as users have them: tensors, PIL images and paths, prepared as the networks take them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from ganzoo.base.pictures import from_uint8, prepare
from ganzoo.errors import BadData
from ganzoo.registry.component import ImageShape

if TYPE_CHECKING:
    from PIL.Image import Image

Pictures: TypeAlias = "Tensor | Image | str | Path | Sequence[Image | str | Path]"
"""Images as users have them: a tensor in [-1, 1] or uint8, a PIL image or path, or several of these."""


def as_sequence(images: Any) -> Sequence[Any]:
    """Return one image or several as a sequence; tensors are sequences of images."""
    if isinstance(images, Tensor):
        return images  # type: ignore[return-value]
    return images if isinstance(images, Sequence) and not isinstance(images, str) else [images]


def prepare_images(images: Pictures, shape: ImageShape, fit: str) -> Tensor:
    """Return images as float `[B, C, H, W]` in [-1, 1], of a model's shape.

    Args:
        images: A tensor of that shape, or PIL images or paths of any size.
        shape: Shape of the model's images.
        fit: How other aspect ratios are brought to it: "crop", "pad" or "stretch".

    Raises:
        BadData: An image cannot be read, or a tensor has another shape or dtype.
    """
    if not isinstance(images, Tensor):
        return from_uint8(torch.stack([_read(image, shape, fit) for image in as_sequence(images)]))
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise BadData(f"images are uint8 in 0 … 255 or float in [-1, 1], not {images.dtype}")
    if tuple(images.shape[1:]) != shape.dimensions:
        raise BadData(
            f"images of shape {list(images.shape)} given; this model takes [B, {', '.join(map(str, shape.dimensions))}]"
        )
    return from_uint8(images) if images.dtype == torch.uint8 else images.float()


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


def _read(image: Image | str | Path, shape: ImageShape, fit: str) -> Tensor:
    from PIL import Image

    try:
        picture = Image.open(image) if isinstance(image, str | Path) else image
        return torch.from_numpy(prepare(picture, *shape.dimensions, fit))
    except Exception as error:  # decoders raise anything from OSError to SyntaxError
        raise BadData(f"image {image} cannot be read ({error})") from error
