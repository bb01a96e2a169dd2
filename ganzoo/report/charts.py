"""Curves of a run as geometry; the page draws it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganzoo.watch import GRADIENT

WIDTH, HEIGHT = 400, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 28
POINTS = 300
WIDE = 8.0
LEFT_OUT = ("step", "images_per_second")
ERROR, RAW, SLOPE = "error", "_raw", "_slope"


@dataclass(frozen=True)
class Line:
    """One curve: its name, an SVG path, and its ends in words."""

    name: str
    path: str
    first: str
    last: str


@dataclass(frozen=True)
class Chart:
    """Curves with one scale. Ticks are (place, label)."""

    title: str
    lines: list[Line]
    x: list[tuple[float, str]]
    y: list[tuple[float, str]]
    words: str


def charts(rows: Sequence[Mapping[str, object]]) -> list[Chart]:
    """Return a chart for each player's terms, one for the held-out error, and one for every other value of a run.

    rows: of metrics; values that are no finite numbers are left out.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in LEFT_OUT and isinstance(value, int | float) and math.isfinite(value):
                curves.setdefault(name, []).append((float(str(row["step"])), float(value)))
    groups: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, points in curves.items():
        group, label = place_of(name)
        groups.setdefault(group, {})[label] = points
    order = sorted(groups, key=lambda group: group != ERROR)  # what decides first
    return [chart("held-out error" if g == ERROR else g, groups[g], g == ERROR) for g in order]


def place_of(name: str) -> tuple[str, str]:
    """Return the chart of a logged value, and what it is called there."""
    player, slash, term = name.partition("/")
    if slash:
        return player, term
    if name.removesuffix(RAW) == ERROR:
        return ERROR, "averaged weights" if name == ERROR else "raw weights"
    if name.startswith(GRADIENT):
        return "gradient norm", name.removeprefix(GRADIENT)
    if name.endswith(SLOPE):
        return "slope of the loss", name.removesuffix(SLOPE)
    return name, name


def chart(title: str, curves: Mapping[str, Sequence[tuple[float, float]]], percent: bool = False) -> Chart:
    """Return a chart of curves: (step, value) pairs by name. Large values are drawn on a logarithmic scale."""
    factor = 100.0 if percent else 1.0
    curves = {name: [(x, y * factor) for x, y in thin(points)] for name, points in curves.items()}
    values = [y for points in curves.values() for _, y in points]
    steps = [x for points in curves.values() for x, _ in points]
    scaled = squeezed if max(map(abs, values)) > WIDE and not percent else float
    least = min(values)  # where all are large, the axis begins near them, and else at 0
    bottom = 10.0 ** math.floor(math.log10(least)) if scaled is squeezed and least > 1 else min(0.0, least)
    top = max(0.0, *values)
    low, high = scaled(bottom), scaled(top)
    high = high if high > low else low + 1
    end = max(steps) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = x / end, (scaled(y) - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    lines = [
        Line(
            name,
            " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(place(*p) for p in points)),
            shown(points[0][1], percent),
            shown(points[-1][1], percent),
        )
        for name, points in curves.items()
    ]
    words = "; ".join(f"{line.name} from {line.first} to {line.last}" for line in lines)
    heights = decades(bottom, top) if scaled is squeezed else ticks(low, high)
    return Chart(
        title,
        lines,
        [(place(x, 0)[0], f"{x:,.0f}") for x in ticks(0, end)],
        [(place(0, y)[1], shown(y, percent)) for y in heights],
        f"{title} over {end:,.0f} steps: {words}.",
    )


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most so many points as can be told apart, the last one among them."""
    every = math.ceil(len(points) / POINTS)
    return [*points[:-1:every], points[-1]]


def squeezed(value: float) -> float:
    """Return a value as it is up to 1, and 1 + log10 beyond, on both sides of 0."""
    return value if abs(value) <= 1 else math.copysign(1 + math.log10(abs(value)), value)


def ticks(low: float, high: float) -> list[float]:
    """Return about four round numbers from low to high."""
    raw = (high - low) / 4
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * n for n in (1, 2, 5, 10) if size * n >= raw)
    return [step * i for i in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Return 0, and powers of ten from 1 on, on both sides of 0, as far as values go."""
    powers = [p for p in (10.0**i for i in range(0, 13)) if low <= p <= high or low <= -p <= high]
    powers = powers[:: math.ceil(len(powers) / 4)]
    return sorted(x for x in (0.0, *powers, *(-p for p in powers)) if low <= x <= high)


def shown(value: float, percent: bool = False) -> str:
    """Return a number in few digits."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} %" if percent else text
