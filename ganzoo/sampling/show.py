"""Images of every class, and between two latents."""

from __future__ import annotations

import io
from collections.abc import Sequence

import torch
from torch import Tensor

from ganzoo.errors import Incompatible
from ganzoo.latents import between, images_of
from ganzoo.model import GAN
from ganzoo.pictures import TILE, to_pil, to_uint8

TRIES = 40
MOST = 20_000
SOME = 64
FRAME = 60


def by_class(
    gan: GAN,
    each: int,
    seed: int = 0,
    truncation: float = 1.0,
    classes: Sequence[int] | None = None,
    tries: int = TRIES,
) -> list[Tensor]:
    """Return up to `each` generated images `[n, C, H, W]` of every class, or of some.

    A conditional generator is told the classes, and all have the same latents. Of another, those images are taken
    that the model's own classifier says to be of the class: the first of at most `tries` for each, and 20,000 in all.
    Raises Incompatible when the model neither is told classes nor tells them apart.
    """
    if not gan.shape.classes:
        raise Incompatible("this model was trained on images without classes")
    generator, wanted = gan.network("generator"), list(range(gan.shape.classes) if classes is None else classes)
    if gan.conditional:
        z = gan.latents(each, seed).repeat(len(wanted), 1)
        y = torch.tensor(wanted).repeat_interleave(each)
        return [*torch.split(torch.cat([*images_of(generator, z, y, truncation)]), each)]
    found: dict[int, list[Tensor]] = {k: [] for k in wanted}
    tried = gan.latents(min(tries * each * len(wanted), MOST), seed)
    for z in torch.split(tried, SOME):
        images = torch.cat([*images_of(generator, z, None, truncation)])
        for image, k in zip(images, gan.classify(images).argmax(1).tolist(), strict=True):
            if len(found.get(k, ())) < each and k in found:
                found[k].append(image)
        if all(len(images) == each for images in found.values()):
            break
    empty = torch.empty(0, gan.shape.channels, gan.shape.size, gan.shape.size)
    return [torch.stack(images) if images else empty for images in found.values()]


def interpolate(
    gan: GAN,
    seeds: tuple[int, int],
    n: int,
    y: int | None = None,
    truncation: float = 1.0,
    back: bool = False,
    only: Sequence[int] | None = None,
) -> Tensor:
    """Return n images `[n, C, H, W]` on the way between the samples of two seeds; the ends are these, bit for bit.

    An end is `gan.sample(1, y, seed, truncation)`. back: the way there and back again, without the end it comes to, so
    that it can be repeated. only: the numbers of the images to make, instead of all n.
    Raises Incompatible when the model has no generator, or is told no class.
    """
    one, other = (gan.latents(1, seed)[0] for seed in seeds)
    generator, label = gan.network("generator"), gan.labels(1, y)
    t = (torch.arange(n) * 2 / n) if back else torch.linspace(0, 1, n)
    way = between(generator, one, other, torch.where(t > 1, 2 - t, t)[slice(None) if only is None else list(only)])
    # One by one: in batches of another size the same latent gives an image that differs in its last bits.
    return torch.cat([image for z in way for image in images_of(generator, z[None], label, truncation)])


def animation(images: Tensor) -> bytes:
    """Return the content of a GIF file that shows images `[N, C, H, W]` in turn, again and again; small ones larger."""
    scale = max(1, 2 * TILE // images.shape[-1])
    frames = [to_pil(tile) for tile in to_uint8(images.repeat_interleave(scale, 2).repeat_interleave(scale, 3))]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:], duration=FRAME, loop=0)
    return buffer.getvalue()
