"""What goes wrong while a GAN trains, in words, with what to try.

`Diagnostics` follows the rows of a run's metrics: the same rows give the same warnings, so that a run that continues
goes on from the rows that it has written. It never stops a run.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, TypeAlias

from ganzoo.registry.discovery import installed
from ganzoo.run.rows import is_term

Row: TypeAlias = Mapping[str, float]

ROWS, STEPS = 5, 250
"""How many rows in a row, over at least how many steps, must show a sign before it is reported."""
FLAT = 0.02
"""Slope of a loss, relative to where all logits are 0, below which its player learns next to nothing: for a loss of
logits this is where a probability comes within 1 % of certainty."""
COPIES = 0.1
"""Diversity below which generated images are near copies of each other."""
IDENTICAL = 1e-3
"""Diversity below which they are one image. Only then is a generator reported that matches nothing but features."""
LOGIT_SWING, AUC_SWING = 10.0, 0.25
"""How far the mean logit, and the discriminator's AUC, go up and down from row to row when the players do not settle.
An AUC that alternates between 0 and 1 swings by 0.5 each way."""
LARGE_LOGIT = 1e3
"""Mean logit that no healthy discriminator reaches: a confident one has 5 or 10, an unbounded one drifts to 100."""
VANISHED, EXPLODED = 1e-3, 1e3
"""Multiple of its first size that a gradient has shrunk to when it vanishes, and that it, or a term, has grown to when
training diverges."""
GRADIENT = "gradient_norm_"
"""What the norm of a player's gradient is called in the metrics, before the player's name."""


@dataclass(frozen=True)
class Diagnosis:
    """A warning about the training.

    Attributes:
        step: Step at which it was noticed.
        name: What it is called, as "mode collapse".
        message: What shows it.
        remedy: What to try.
    """

    step: int
    name: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name} at step {self.step}: {self.message}. Try {self.remedy}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


class Window:
    """The last rows of a run, as many as a diagnosis needs, and typical sizes of the first such rows.

    Attributes:
        rows: (step, row) pairs, oldest first.
        start: The first row of the run.
        first: Typical size of each value over the first full window.
    """

    def __init__(self) -> None:
        self.rows: deque[tuple[int, Row]] = deque()
        self.start: Row = {}
        self.first: dict[str, float] = {}

    def add(self, step: int, row: Row) -> bool:
        """Add a row. Returns whether the window is full."""
        self.start = self.start or row
        self.rows.append((step, row))
        while len(self.rows) > ROWS and step - self.rows[1][0] >= STEPS:
            self.rows.popleft()
        full = len(self.rows) >= ROWS and step - self.rows[0][0] >= STEPS
        if full and not self.first:
            self.first = {name: self.typical(name) for name in row}
        return full

    def values(self, name: str) -> list[float]:
        """Return the values of a name, oldest first."""
        return [row[name] for _, row in self.rows if name in row]

    def typical(self, name: str, rows: int = 0) -> float:
        """Return the median absolute value of a name, over all rows or the last few."""
        return median(map(abs, self.values(name)[-rows:] or [0.0]))

    def swing(self, name: str) -> float:
        """Return the mean rise, or the mean fall if that is less, of a value from row to row."""
        values = self.values(name)
        changes = [b - a for a, b in itertools.pairwise(values)]
        return min(sum(c for c in changes if c > 0), -sum(c for c in changes if c < 0)) / max(len(changes), 1)

    def has(self, name: str) -> bool:
        """Return whether every row has that name."""
        return len(self.values(name)) == len(self.rows)

    def low(self, name: str, limit: float) -> bool:
        """Return whether every row has that name and its typical values, also the latest ones, are below a limit."""
        return self.has(name) and max(self.typical(name), self.typical(name, ROWS)) < limit

    @property
    def adversarial(self) -> bool:
        """Whether the generator follows the discriminator's logits; one that only matches features does not."""
        return self.has("generator_loss_slope")


@dataclass(frozen=True)
class Diagnostic:
    """A kind of diagnosis.

    Attributes:
        name: What it is called; components that remedy it have this name among their tags.
        sign: What shows it, in words.
        shows: Returns how a window shows it, or an empty string.
        settings: Settings to try.
    """

    name: str
    sign: str
    shows: Callable[[Window], str]
    settings: str

    @property
    def remedy(self) -> str:
        """What to try: settings, and components that have its name for a tag."""
        helping = [r for r in installed().components if self.name in r.component.tags]
        return ", ".join([self.settings, *(f"--{r.kind} {r.component.name}" for r in helping)])


def _vanishing(window: Window) -> str:
    if window.low("generator_loss_slope", FLAT) and window.typical("discriminator_auc") > 0.5:
        percent = 100 * window.typical("generator_loss_slope")
        return (
            f"the discriminator is so confident that {percent:.1g} % of the gradient of an undecided one reaches the "
            "generator"
        )
    for name, before in window.first.items():
        if name.startswith(GRADIENT) and 0 < (now := window.typical(name)) < VANISHED * before:
            return f"{name} has fallen from {before:.3g} to {now:.3g}"
    return ""


def _too_strong(window: Window) -> str:
    if not (window.adversarial and window.low("discriminator_loss_slope", FLAT)):
        return ""
    return "it tells generated images from real ones with certainty, and has nothing left to learn"


def _collapse(window: Window) -> str:
    if not window.low("diversity", COPIES if window.adversarial else IDENTICAL):
        return ""
    return (
        f"generated images are {window.typical('diversity'):.2g} times as far from each other as real ones: near copies"
    )


def _no_convergence(window: Window) -> str:
    if (by := window.swing("mean_logit")) > LOGIT_SWING:
        return f"the discriminator's mean logit goes up and down by {by:.3g} from row to row"
    if (by := window.swing("discriminator_auc")) > AUC_SWING:
        return f"the discriminator's AUC goes up and down by {by:.2g}: the players overtake each other"
    return ""


def _divergence(window: Window) -> str:
    for player in ("discriminator", "generator"):
        name, slope = f"{GRADIENT}{player}", f"{player}_loss_slope"
        if window.has(slope) and not window.low(slope, FLAT) and window.has(name) and not window.typical(name):
            return f"{name} is 0, though its loss has a slope: units of the discriminator are dead, and stay so"
    sizes = {name: max(abs(value), 1.0) for name, value in window.start.items() if is_term(name)}
    sizes |= {name: before for name, before in window.first.items() if name.startswith(GRADIENT)}
    for name, before in sizes.items():
        if before and (now := window.typical(name, ROWS)) > EXPLODED * before:
            return f"{name} has grown from {before:.3g} to {now:.3g}"
    if (now := window.typical("mean_logit", ROWS)) > LARGE_LOGIT:
        return f"the discriminator's mean logit has grown to {now:.3g}"
    return ""


WEAKER = "a smaller --set players.discriminator.lr, fewer players.discriminator.updates_per_step"
DIVERGENCE = Diagnostic(
    "divergence",
    f"`mean_logit` beyond {LARGE_LOGIT:g}, a term or a `{GRADIENT}…` of more than {EXPLODED:g} times its first "
    f"size, a `{GRADIENT}…` of 0 where the loss has a slope; and, at once, a term or weight that is not finite, "
    "which ends the run",
    _divergence,
    "a smaller --set optimizer.lr, --precision fp32",
)
"""Also what a run is told that a value which is not finite ends."""
DIAGNOSTICS = (
    Diagnostic(
        "vanishing generator gradient",
        f"`generator_loss_slope` below {FLAT}, or a `{GRADIENT}…` below {VANISHED:g} of what it was at first",
        _vanishing,
        WEAKER,
    ),
    Diagnostic(
        "discriminator too strong",
        f"`discriminator_loss_slope` below {FLAT}",
        _too_strong,
        WEAKER,
    ),
    Diagnostic(
        "mode collapse",
        f"`diversity` below {COPIES}; below {IDENTICAL:g} where the generator only matches features",
        _collapse,
        "a larger --set gen.z_dim where it is small, a smaller --set players.generator.lr, "
        "a discriminator that compares the images of a batch, as --set disc.minibatch=16",
    ),
    Diagnostic(
        "no convergence",
        f"`mean_logit` goes up and down by more than {LOGIT_SWING:g} from row to row, or `discriminator_auc` by more "
        f"than {AUC_SWING}",
        _no_convergence,
        "a smaller --set optimizer.lr, --set optimizer.beta1=0, a larger --set ema",
    ),
    DIVERGENCE,
)


class Diagnostics:
    """Follows the rows of a run's metrics, and reports what begins to go wrong: once, until it has passed.

    Attributes:
        window: The last rows.
        active: Names of what is going wrong.
    """

    def __init__(self) -> None:
        self.window = Window()
        self.active: set[str] = set()

    def __call__(self, step: int, row: Row) -> list[Diagnosis]:
        """Take a row, and return the warnings that the rows before did not give."""
        if not self.window.add(step, row):
            return []
        messages = {d: d.shows(self.window) for d in DIAGNOSTICS}
        new = [
            Diagnosis(step, d.name, message, d.remedy)
            for d, message in messages.items()
            if message and d.name not in self.active
        ]
        self.active = {d.name for d, message in messages.items() if message}
        return new
