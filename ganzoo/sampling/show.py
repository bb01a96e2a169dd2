"""Images of every class, and between two latents."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import torch
from PIL.Image import Image
from torch import Tensor

from ganzoo.errors import Incompatible, MissingExtra
from ganzoo.latents import images_at, images_of, space_of
from ganzoo.model import GAN
from ganzoo.pictures import TILE, to_pil, to_uint8
from ganzoo.sampling.codes import Codes

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
    gan: GAN, ends: tuple[int, int] | Codes, t: Tensor, y: int | None = None, truncation: float = 1.0
) -> Tensor:
    """Return the images `[len(t), C, H, W]` on the way between two seeds or two codes, at t in [0, 1].

    At t = 0 and 1 they are those of the ends, bit for bit: of a seed, `gan.sample(1, y, seed, truncation)`.
    Raises Incompatible when the model has no generator, is told no class, or for codes of two classes.
    """
    two = ends if isinstance(ends, Codes) else Codes.of_seeds(gan, ends, y)
    generator, label = gan.network("generator"), None if two.labels is None else two.labels[:1]
    if two.labels is not None and two.labels[0] != two.labels[1]:
        names = " and ".join(gan.class_names[int(k)] for k in two.labels)
        raise Incompatible(f"the ends are of classes {names}; a way is within one class")
    one, other = two.codes
    way = space_of(generator).between(one, other, t)
    # One by one: in batches of another size the same latent gives an image that differs in its last bits.
    return torch.cat([image for code in way for image in images_at(generator, code[None], label, truncation)])


def there_and_back(n: int) -> Tensor:
    """Return n places t on the way to the other end and back, without the last one, so that it can be repeated."""
    t = torch.arange(n) * 2 / n
    return torch.where(t > 1, 2 - t, t)


def gif(images: Tensor) -> bytes:
    """Return the content of a GIF file that shows images `[N, C, H, W]` in turn, again and again; small ones larger."""
    first, *others = frames(images)
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=FRAME, loop=0)
    return buffer.getvalue()


def mp4(images: Tensor) -> bytes:
    """Return the content of an MP4 file (H.264) that shows images `[N, C, H, W]` in turn; small ones larger.

    Raises MissingExtra when PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra("an .mp4 file wants PyAV: pip install 'torch-ganzoo[video]'") from error
    buffer = io.BytesIO()
    pictures = frames(images)
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=Fraction(1000, FRAME), options={"crf": "12"})
        stream.width, stream.height = (side - side % 2 for side in pictures[0].size)  # its colours are of 2×2 pixels
        for picture in pictures:
            film.mux(stream.encode(av.VideoFrame.from_image(picture.convert("RGB"))))
        film.mux(stream.encode())
    return buffer.getvalue()


def frames(images: Tensor) -> list[Image]:
    """Return images `[N, C, H, W]` in [-1, 1] as pictures, small ones with larger pixels."""
    scale = max(1, 2 * TILE // images.shape[-1])
    return [to_pil(tile) for tile in to_uint8(images.repeat_interleave(scale, 2).repeat_interleave(scale, 3))]
