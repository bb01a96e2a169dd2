"""Images of every class, interpolations between two latents, and animations."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import torch
from PIL.Image import Image
from torch import Tensor

from ganzoo.base.pictures import TILE, to_pil, to_uint8
from ganzoo.errors import Incompatible, MissingExtra
from ganzoo.model.classes import ClassLabel, class_number
from ganzoo.model.gan import GAN
from ganzoo.model.latents import images_at, space_of
from ganzoo.sampling.codes import Codes

TRIES = 40
"""Most images that are generated for each image that is wanted of a class."""
MOST = 20_000
"""Most images that are generated in all."""
CHUNK = 64
FRAME = 60
"""Duration of a frame of an animation, in milliseconds."""


def by_class(
    gan: GAN,
    each: int,
    seed: int = 0,
    truncation: float = 1.0,
    classes: Sequence[ClassLabel] | None = None,
    tries: int = TRIES,
) -> list[Tensor]:
    """Generate images of every class.

    A conditional generator gets the same latents for each class. The images of an unconditional generator are sorted
    by the model's own classifier, until there are enough of each class or `tries` images were generated for each that
    is wanted (at most 20,000 in all).

    Args:
        gan: The model.
        each: Images of each class.
        seed: Seed of the latents.
        truncation: Factor in [0, 1] by which latents are moved towards their centre.
        classes: Numbers or names of the classes; default: all.
        tries: Most images to generate for each image that is wanted, if the generator is unconditional.

    Returns:
        Images `[n, C, H, W]` in [-1, 1] for each class, where n = `each` or, if fewer were found, less.

    Raises:
        Incompatible: The model has no generator or no such class, or neither a conditional generator nor a classifier.
    """
    if not gan.shape.classes:
        raise Incompatible("this model was trained on images without classes")
    chosen = range(gan.shape.classes) if classes is None else classes
    numbers = [class_number(k, gan.class_names) for k in chosen]
    if gan.conditional:
        y = torch.tensor(numbers).repeat_interleave(each)
        return [*torch.split(gan.sample(torch.arange(each).repeat(len(numbers)), y, seed, truncation), each)]
    by_number: dict[int, list[Tensor]] = {k: [] for k in numbers}
    for candidates in torch.split(torch.arange(min(tries * each * len(numbers), MOST)), CHUNK):
        images = gan.sample(candidates, None, seed, truncation)
        for image, k in zip(images, gan.classify(images).argmax(1).tolist(), strict=True):
            if len(by_number.get(k, ())) < each and k in by_number:
                by_number[k].append(image)
        if all(len(images) == each for images in by_number.values()):
            break
    empty = torch.empty(0, *gan.shape.dimensions)
    return [torch.stack(images) if images else empty for images in by_number.values()]


def interpolate(
    gan: GAN, ends: tuple[int, int] | Codes, t: Tensor, y: ClassLabel | None = None, truncation: float = 1.0
) -> Tensor:
    """Generate the images between two seeds or two codes.

    At t = 0 and t = 1 the images equal those of the ends bit for bit; for a seed, `gan.sample(1, y, seed, truncation)`.

    Args:
        gan: The model.
        ends: Two seeds, or two codes.
        t: Positions `[N]` in [0, 1].
        y: Class by number or name, for seeds of a conditional generator.
        truncation: Factor in [0, 1] by which codes are moved towards their centre.

    Returns:
        Images `[N, C, H, W]` in [-1, 1].

    Raises:
        Incompatible: The model has no generator or no such class, or the codes are of two classes.
    """
    codes = ends if isinstance(ends, Codes) else Codes.of_seeds(gan, ends, y)
    generator, label = gan.network("generator"), None if codes.labels is None else codes.labels[:1]
    if codes.labels is not None and codes.labels[0] != codes.labels[1]:
        names = " and ".join(gan.class_names[int(k)] for k in codes.labels)
        raise Incompatible(f"cannot interpolate between the classes {names}; choose two latents of one class")
    one, other = codes.codes
    path = space_of(generator).between(one, other, t)
    # One by one, since the last bits of an image depend on the size of its batch.
    return torch.cat([image for code in path for image in images_at(generator, code[None], label, truncation)])


def there_and_back(n: int) -> Tensor:
    """Return n positions in [0, 1] that go from 0 to 1 and back; 0 is not repeated, so that an animation can loop."""
    t = torch.arange(n) * 2 / n
    return torch.where(t > 1, 2 - t, t)


def gif(images: Tensor) -> bytes:
    """Encode images `[N, C, H, W]` in [-1, 1] as a GIF file that loops; small images are enlarged."""
    first, *others = frames(images)
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=FRAME, loop=0)
    return buffer.getvalue()


def mp4(images: Tensor) -> bytes:
    """Encode images as an MP4 file (H.264); small images are enlarged.

    Args:
        images: Images `[N, C, H, W]` in [-1, 1].

    Returns:
        The content of the file.

    Raises:
        MissingExtra: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra("an .mp4 file requires PyAV: pip install 'torch-ganzoo[video]'") from error
    buffer = io.BytesIO()
    pictures = frames(images)
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=Fraction(1000, FRAME), options={"crf": "12"})
        stream.width, stream.height = (
            side - side % 2 for side in pictures[0].size
        )  # colours have half the resolution, so sides are even
        for picture in pictures:
            film.mux(stream.encode(av.VideoFrame.from_image(picture.convert("RGB"))))
        film.mux(stream.encode())
    return buffer.getvalue()


def frames(images: Tensor) -> list[Image]:
    """Convert images `[N, C, H, W]` in [-1, 1] to pictures; small images get larger pixels."""
    scale = max(1, 2 * TILE // images.shape[-1])
    return [to_pil(tile) for tile in to_uint8(images.repeat_interleave(scale, 2).repeat_interleave(scale, 3))]
