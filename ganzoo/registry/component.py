"""What a plugin says about a component: a plain description that imports nothing until it is asked to."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from ganzoo.errors import BrokenPlugin

BASE = 4
"""Smaller side of the smallest grid that networks double to an image."""
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class ImageShape(NamedTuple):
    """The shape of the images of a run, and the number of their classes.

    Attributes:
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        height: Height in pixels.
        width: Width in pixels.
        classes: Number of classes; 0 if there are no labels.
    """

    channels: int
    height: int
    width: int
    classes: int

    @property
    def dimensions(self) -> tuple[int, int, int]:
        """(channels, height, width), the shape of one image as a tensor."""
        return self.channels, self.height, self.width

    @property
    def pixels(self) -> int:
        """Number of values of one image: channels · height · width."""
        return self.channels * self.height * self.width

    @property
    def size(self) -> str:
        """Height and width in words, as `64×96`."""
        return f"{self.height}×{self.width}"


@dataclass(frozen=True, slots=True)
class Component:
    """The description of a generator, discriminator, loss, penalty, augmentation, strategy, data set or preset.

    Args:
        name: Lower-case letters, digits and `. _ -`.
        target: `"package.module:attribute"`; imported only by `load()`. What it must be is documented at its hook.
        summary: One line.
        paper: arXiv id or citation.
        origin: What it was checked against, or its licence and source.
        sizes: Sides in pixels of the square images that a network can generate or take; empty means any.
        rectangular: Which other image sizes it can do: "no"; "doubling" (a base grid whose smaller side is 4 to 7,
            doubled as often as for one of `sizes`, so that 64×96 is 4×6 doubled four times); or "any".
        defaults: Options that the target is given unless the user sets them.
        tags: Words that programs read: "download" (using it fetches something), "default" (metrics and extractors that
            are tried when none is named), and the name of a diagnosis (see `ganzoo.run.diagnostics`) that it remedies.
        caution: What its user should know first, as that its paper's numbers have not been reproduced.
        weight_options: Options about the weights that training starts from, as `pretrained`. A trained model has its
            own weights, and is created without these options.
        family: For a target that stands for many, the option that takes what follows `name/`, as in `timm/resnet18`.
            The target then has a static method `members(pattern) -> list[str]` that lists what may follow.
        former_names: Names that it had in earlier versions, as runs and models of these versions call it.

    Raises:
        ValueError: The name or the target is malformed.
    """

    name: str
    target: str
    summary: str = ""
    paper: str = ""
    origin: str = ""
    sizes: tuple[int, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    caution: str = ""
    family: str = ""
    weight_options: tuple[str, ...] = ()
    rectangular: Literal["no", "doubling", "any"] = "no"
    former_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise ValueError(f"component name {self.name!r} is not lower-case letters, digits and '. _ -'")
        module, _, attribute = self.target.partition(":") if isinstance(self.target, str) else ("", "", "")
        if not (module and attribute):
            raise ValueError(f"component {self.name!r}: target {self.target!r} is not of the form 'module:attribute'")

    def load(self) -> Any:
        """Import and return the target.

        Raises:
            BrokenPlugin: The import fails.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:
            raise BrokenPlugin(
                f"component '{self.name}' cannot be imported from {self.target} ({describe(error)}); see: ganzoo doctor"
            ) from error

    def supports(self, height: int, width: int) -> bool:
        """Return whether it can do images of this size."""
        if height == width and (not self.sizes or height in self.sizes):
            return True
        if self.rectangular == "doubling":
            smaller = min(height, width)
            unit = 1 << max((smaller // BASE).bit_length() - 1, 0)
            least, most = min(self.sizes, default=BASE), 2 * max(self.sizes, default=smaller) - 1
            return least <= smaller <= most and height % unit == 0 and width % unit == 0
        return self.rectangular == "any" and not self.sizes

    @property
    def supported_sizes(self) -> str:
        """The image sizes that it can do, in words."""
        squares = ", ".join(map(str, self.sizes))
        if self.rectangular == "doubling":
            return f"{squares}, and sides between or beside them that halve evenly, as 48 or 64×96"
        if self.rectangular == "any":
            return "any"
        return f"{squares}, square" if squares else "any, square"

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain JSON values."""
        return asdict(self)


def describe(error: BaseException) -> str:
    """Return an exception as `Type: first line of its message`."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
