"""What goes wrong while a GAN trains: its signs as numbers of a step, and what they mean in words, with what to try.

`signs` are read off what a step has computed anyway, in the steps that are logged, and stay on their device until the
terms are fetched too. `Watch` follows the rows of a run's metrics: the same rows make the same warnings, so that a run
which continues goes on from those that it has written. It never stops a run.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ganzoo.contracts import DiscOutput
from ganzoo.registry import installed
from ganzoo.step import Step

Row: TypeAlias = Mapping[str, float]

LOOKED_AT = 64
"""Images of each side that neighbours are looked for among."""
READINGS, STEPS = 5, 250
"""How many rows in a row, over how many steps at least, must show a sign before it is spoken of."""
SURE = 0.02
"""Slope of a loss, relative to where nothing is known, below which its player learns next to nothing: with logits it is
where a probability comes within 1 % of certainty."""
ALIKE = 0.1
"""Diversity below which generated images are copies of each other."""
SAME = 1e-3
"""Diversity below which they are one image: then whatever moves the generator, its latents do not."""
WIDE, TURNS = 10.0, 0.25
"""How far realness, and the part of images that the discriminator gets right, go up and down from row to row when the
players do not settle. Realness has the unit of logits; a part that goes from 0 to 1 and back goes by 0.5 each way."""
FAR = 1e3
"""Realness that no discriminator means: a certain one says 5 or 10, and one without bounds drifts to 100."""
FEW, MANY = 1e-3, 1e3
"""Times its first size that a gradient has fallen to when it vanishes, and that it, or a term, has grown to when
training diverges."""


# --- signs ------------------------------------------------------------------------------------------------------------


GRADIENT = "gradient_norm_"


def signs(step: Step) -> dict[str, Tensor]:
    """Return what a step shows of the game between the players, scalars on its device, where it has seen both sides.

    When the discriminator moves:
    realness: mean of what the discriminator says of both. separation: how often a real image seems more real than a
    generated one, in [0, 1]; 0.5 is a guess. discriminator_slope: mean slope of its loss in the realness of the images,
    relative to where it is 0 for all: how much is left to learn. diversity: mean distance of a generated image to the
    nearest other one of its batch, relative to that of real ones.

    When the generator moves, and the adversarial loss is among what moves it:
    generator_slope: the same slope of its loss: how much of the discriminator it hears.
    """
    real, fake = step.seen("real"), step.seen("fake")
    if "generator" in step.moving and step.fools and fake:
        return {"generator_slope": slope(step.generator_loss, fake)}
    found: dict[str, Tensor] = {}
    if "discriminator" not in step.moving:
        return found
    if real and fake:
        found["realness"] = (real.adv.detach().mean() + fake.adv.detach().mean()) / 2
        ahead = real.adv.detach()[:, None] - fake.adv.detach()
        found["separation"] = (ahead.sign().mean() + 1) / 2
        found["discriminator_slope"] = slope(step.discriminator_loss, real, fake)
    one, two = step.shown("real"), step.shown("fake")
    if one is not None and two is not None and (n := min(len(one), len(two), LOOKED_AT)) > 1:
        found["diversity"] = spread(two[:n]) / spread(one[:n]).clamp_min(1e-3)
    return found


def slope(loss: Callable[..., Tensor], *said: DiscOutput) -> Tensor:
    """Return Σ |∂ loss / ∂ realness| at what a discriminator said, over the same where it says 0 of everything."""
    sizes = []
    for scale in (1, 0):
        adv = [(scale * out.adv.detach()).requires_grad_() for out in said]
        value = loss(*(out._replace(adv=a) for out, a in zip(said, adv, strict=True)))
        sizes.append(torch.stack([g.abs().sum() for g in torch.autograd.grad(value, adv)]).sum())
    return sizes[0] / sizes[1].clamp_min(1e-6)


def spread(images: Tensor) -> Tensor:
    """Return the mean distance of images `[B, C, H, W]` to the nearest other one."""
    x = images.detach().float().flatten(1)
    return torch.cdist(x, x).fill_diagonal_(math.inf).min(1).values.mean()


# --- what they mean ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong: the step when it was noticed, its name, what shows it, and what to try."""

    step: int
    name: str
    said: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name} at step {self.step}: {self.said}. Try {self.remedy}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class Window:
    """The last rows of a run, as many as it takes to say something; its first row; and usual sizes in those first."""

    def __init__(self) -> None:
        self.rows: deque[tuple[int, Row]] = deque()
        self.start: Row = {}
        self.first: dict[str, float] = {}

    def add(self, step: int, row: Row) -> bool:
        """Add a row. Returns whether there are rows enough."""
        self.start = self.start or row
        self.rows.append((step, row))
        while len(self.rows) > READINGS and step - self.rows[1][0] >= STEPS:
            self.rows.popleft()
        enough = len(self.rows) >= READINGS and step - self.rows[0][0] >= STEPS
        if enough and not self.first:
            self.first = {name: self.usual(name) for name in row}
        return enough

    def of(self, name: str) -> list[float]:
        """Return the values of a name, oldest first."""
        return [row[name] for _, row in self.rows if name in row]

    def usual(self, name: str, rows: int = 0) -> float:
        """Return the median size of the values of a name, of all rows or of the last few."""
        return median(map(abs, self.of(name)[-rows:] or [0.0]))

    def swing(self, name: str) -> float:
        """Return how far the values of a name go up, or down if that is less, from row to row on average."""
        values = self.of(name)
        steps = [b - a for a, b in itertools.pairwise(values)]
        return min(sum(s for s in steps if s > 0), -sum(s for s in steps if s < 0)) / max(len(steps), 1)

    def has(self, name: str) -> bool:
        """Whether every row has that name."""
        return len(self.of(name)) == len(self.rows)

    def low(self, name: str, limit: float) -> bool:
        """Whether every row has that name, mostly with a value below the limit, and the last few still so."""
        return self.has(name) and max(self.usual(name), self.usual(name, READINGS)) < limit

    @property
    def game(self) -> bool:
        """Whether the generator is moved by what the discriminator says; one that matches features alone is not."""
        return self.has("generator_slope")


@dataclass(frozen=True)
class Kind:
    """A kind of trouble: its sign, a function that says how the last rows show it or an empty text, and what to set."""

    name: str
    sign: str
    shows: Callable[[Window], str]
    settings: str

    @property
    def remedy(self) -> str:
        """What to try: settings, and the components that have its name for a tag."""
        helping = [r for r in installed().components if self.name in r.component.tags]
        return ", ".join([self.settings, *(f"--{r.kind} {r.component.name}" for r in helping)])


def _vanishes(window: Window) -> str:
    if window.low("generator_slope", SURE) and window.usual("separation") > 0.5:
        return (
            f"the discriminator is so sure that the generator hears {100 * window.usual('generator_slope'):.1g} % of "
            "what an undecided one would tell it"
        )
    for name, before in window.first.items():
        if name.startswith(GRADIENT) and 0 < (now := window.usual(name)) < FEW * before:
            return f"{name} has fallen from {before:.3g} to {now:.3g}"
    return ""


def _too_strong(window: Window) -> str:
    if not (window.game and window.low("discriminator_slope", SURE)):
        return ""
    return "it tells generated images from real ones with certainty, and has nothing left to learn"


def _collapses(window: Window) -> str:
    if not window.low("diversity", ALIKE if window.game else SAME):
        return ""
    return (
        f"generated images are {window.usual('diversity'):.2g} times as far from each other as real ones: near copies"
    )


def _swings(window: Window) -> str:
    if (by := window.swing("realness")) > WIDE:
        return f"what the discriminator says of images goes up and down by {by:.3g} from row to row"
    if (by := window.swing("separation")) > TURNS:
        return (
            f"the part that the discriminator gets right goes up and down by {by:.2g}: the players overtake each other"
        )
    return ""


def _explodes(window: Window) -> str:
    for player in ("discriminator", "generator"):
        name, heard = f"{GRADIENT}{player}", f"{player}_slope"
        if window.has(heard) and not window.low(heard, SURE) and window.has(name) and not window.usual(name):
            return f"{name} is 0, though its loss has a slope: units of the discriminator are dead, and stay so"
    sizes = {name: max(abs(value), 1.0) for name, value in window.start.items() if "/" in name}
    sizes |= {name: before for name, before in window.first.items() if name.startswith(GRADIENT)}
    for name, before in sizes.items():
        if before and (now := window.usual(name, READINGS)) > MANY * before:
            return f"{name} has grown from {before:.3g} to {now:.3g}"
    if (now := window.usual("realness", READINGS)) > FAR:
        return f"what the discriminator says of images has grown to {now:.3g}"
    return ""


KINDS = (
    Kind(
        "vanishing generator gradient",
        f"`generator_slope` below {SURE}, or a `{GRADIENT}…` below {FEW:g} of what it was at first",
        _vanishes,
        "a smaller --set players.discriminator.lr, fewer players.discriminator.moves",
    ),
    Kind(
        "discriminator too strong",
        f"`discriminator_slope` below {SURE}",
        _too_strong,
        "a smaller --set players.discriminator.lr, fewer players.discriminator.moves",
    ),
    Kind(
        "mode collapse",
        f"`diversity` below {ALIKE}; below {SAME:g} where the generator matches features alone",
        _collapses,
        "a larger --set gen.z_dim where it is small, a smaller --set players.generator.lr, "
        "a discriminator that compares the images of a batch, as --set disc.minibatch=16",
    ),
    Kind(
        "no convergence",
        f"`realness` goes up and down by more than {WIDE:g} from row to row, or `separation` by more than {TURNS}",
        _swings,
        "a smaller --set optimizer.lr, --set optimizer.beta1=0, a larger --set ema",
    ),
    Kind(
        "divergence",
        f"`realness` beyond {FAR:g}, a term or a `{GRADIENT}…` of more than {MANY:g} times its first size, a "
        f"`{GRADIENT}…` of 0 where the loss has a slope; and, at once, a term or weight that is not a number, which "
        "ends the run",
        _explodes,
        "a smaller --set optimizer.lr, --precision fp32",
    ),
)
DIVERGED = KINDS[-1]


class Watch:
    """Follows the rows of a run's metrics, and says what goes wrong when it begins to; once, until it has passed."""

    def __init__(self) -> None:
        self.window = Window()
        self.going: set[str] = set()

    def __call__(self, step: int, row: Row) -> list[Trouble]:
        """Take a row, and return what it shows that the ones before did not."""
        if not self.window.add(step, row):
            return []
        said = {kind: kind.shows(self.window) for kind in KINDS}
        new = [Trouble(step, k.name, text, k.remedy) for k, text in said.items() if text and k.name not in self.going]
        self.going = {k.name for k, text in said.items() if text}
        return new
