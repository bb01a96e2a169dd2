"""What a plugin says about a part: a plain description that imports nothing until it is asked to."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ganzoo.errors import BrokenPlugin

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class ImageShape(NamedTuple):
    """The images of a run: `channels` (1, 3 or 4) × `size` × `size` pixels, in `classes` classes (0: no labels)."""

    channels: int
    size: int
    classes: int


@dataclass(frozen=True, slots=True)
class Component:
    """A generator, discriminator, loss, penalty, augment, SSL strategy, data set or preset, described.

    name: lower-case letters, digits and `. _ -`.
    target: `"package.module:attribute"`; imported only by `load()`. What it must be is said by its hook.
    summary: one line. paper: arXiv id or citation. origin: what it was checked against, or its licence and source.
    sizes: image sizes in pixels that it can do; empty means any.
    defaults: options given to the target unless the user says otherwise.
    tags: words for programs; `download` says that using it fetches something, the name of a trouble (ganzoo.watch) that
        it helps against it.
    caution: what its user should know first, as that nobody else has reproduced its paper's numbers.
    start: options about the weights that training starts from, as `pretrained`; a trained model has its own, and is
        made without them.
    family: the option that takes what follows `name/`, for a target that stands for many, as `timm/resnet18`. The
        target then has a static method `members(pattern) -> list[str]`, which lists what may follow.

    Raises ValueError when the name or the target is not of that form.
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
    start: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise ValueError(f"component name {self.name!r} is not lower-case letters, digits and '. _ -'")
        module, _, attribute = self.target.partition(":") if isinstance(self.target, str) else ("", "", "")
        if not (module and attribute):
            raise ValueError(f"component {self.name!r}: target {self.target!r} is not of the form 'module:attribute'")

    def load(self) -> Any:
        """Import and return the target. Raises BrokenPlugin when that fails."""
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (Exception, SystemExit) as error:
            raise BrokenPlugin(
                f"component '{self.name}' cannot be imported from {self.target} ({describe(error)}); see: ganzoo doctor"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain JSON values."""
        return asdict(self)


def describe(error: BaseException) -> str:
    """Return an exception as `Type: first line of its message`."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
