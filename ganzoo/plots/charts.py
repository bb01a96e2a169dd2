"""Curves of a run as SVG geometry, for the page of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganzoo.run.diagnostics import GRADIENT
from ganzoo.run.rows import BALANCED_ERROR, ERROR, MACRO_F1, RAW, RECALL, balance_matters

WIDTH, HEIGHT = 400, 220
"""Size of a chart in SVG units."""
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 28
"""Margins of a chart."""
POINTS = 300
"""Most points of a curve."""
LOGARITHMIC = 8.0
"""Absolute value beyond which a chart has a logarithmic scale."""
EXCLUDED = ("step", "images_per_second")
SLOPE = "_slope"
HELD_OUT = {
    ERROR: "held-out error",
    BALANCED_ERROR: "balanced held-out error",
    MACRO_F1: "macro F1 of held-out images",
    RECALL: "recall of held-out images by class",
}
"""Titles of the charts that show how held-out images are classified, in per cent. They come first."""


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        name: Name in the legend.
        path: SVG path.
        first: First value, formatted.
        last: Last value, formatted.
    """

    name: str
    path: str
    first: str
    last: str


@dataclass(frozen=True)
class Chart:
    """Curves that share their axes.

    Attributes:
        title: Title.
        lines: The curves.
        x: Ticks of the horizontal axis, as (SVG coordinate, label).
        y: Ticks of the vertical axis, as (SVG coordinate, label).
        description: Description for readers who cannot see the chart.
    """

    title: str
    lines: list[Line]
    x: list[tuple[float, str]]
    y: list[tuple[float, str]]
    description: str


def charts(rows: Sequence[Mapping[str, object]]) -> list[Chart]:
    """Draw the metrics of a run: a chart for the terms of each player, for the held-out error, and for other values.

    Args:
        rows: Rows of metrics. Values that are not finite numbers are left out, and so are balanced error and macro F1
            where classes are so even that they say the same as the error.

    Returns:
        The charts; that of the held-out error comes first.
    """
    redundant = () if balance_matters(rows) else (BALANCED_ERROR, MACRO_F1)
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in EXCLUDED and isinstance(value, int | float) and math.isfinite(value):
                curves.setdefault(name, []).append((float(str(row["step"])), float(value)))
    groups: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, points in curves.items():
        group, label = chart_of(name)
        groups.setdefault(group, {})[label] = points
    order = [*HELD_OUT, *(group for group in groups if group not in HELD_OUT)]  # the most important ones first
    shown = [group for group in order if group in groups and group not in redundant]
    return [chart(HELD_OUT.get(group, group), groups[group], group in HELD_OUT) for group in shown]


def chart_of(name: str) -> tuple[str, str]:
    """Return the chart that shows a metric, by a key of `HELD_OUT` or its title, and the name of its curve."""
    if name.startswith(RECALL):
        return RECALL, name.removeprefix(RECALL)
    player, slash, term = name.partition("/")
    if slash:
        return player, term
    if name.removesuffix(RAW) in HELD_OUT:
        return name.removesuffix(RAW), "raw weights" if name.endswith(RAW) else "averaged weights"
    if name.startswith(GRADIENT):
        return "gradient norm", name.removeprefix(GRADIENT)
    if name.endswith(SLOPE):
        return "slope of the loss", name.removesuffix(SLOPE)
    return name, name


def chart(title: str, curves: Mapping[str, Sequence[tuple[float, float]]], percent: bool = False) -> Chart:
    """Draw curves into one chart. Large values have a logarithmic scale.

    Args:
        title: Title of the chart.
        curves: (step, value) pairs by name.
        percent: Show fractions as percentages.
    """
    factor = 100.0 if percent else 1.0
    curves = {name: [(x, y * factor) for x, y in thin(points)] for name, points in curves.items()}
    values = [y for points in curves.values() for _, y in points]
    steps = [x for points in curves.values() for x, _ in points]
    scaled = symlog if max(map(abs, values)) > LOGARITHMIC and not percent else float
    least = min(values)  # a logarithmic axis of large values begins near the least one, any other axis at 0
    bottom = 10.0 ** math.floor(math.log10(least)) if scaled is symlog and least > 1 else min(0.0, least)
    top = max(0.0, *values)
    low, high = scaled(bottom), scaled(top)
    high = high if high > low else low + 1
    end = max(steps) or 1.0

    def coordinates(x: float, y: float) -> tuple[float, float]:
        across, up = x / end, (scaled(y) - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    lines = [
        Line(
            name,
            " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(coordinates(*p) for p in points)),
            format_value(points[0][1], percent),
            format_value(points[-1][1], percent),
        )
        for name, points in curves.items()
    ]
    summary = "; ".join(f"{line.name} from {line.first} to {line.last}" for line in lines)
    heights = decades(bottom, top) if scaled is symlog else ticks(low, high)
    return Chart(
        title,
        lines,
        [(coordinates(x, 0)[0], f"{x:,.0f}") for x in ticks(0, end)],
        [(coordinates(0, y)[1], format_value(y, percent)) for y in heights],
        f"{title} over {end:,.0f} steps: {summary}.",
    )


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Reduce points to at most about `POINTS`, including the last one."""
    every = math.ceil(len(points) / POINTS)
    return [*points[:-1:every], points[-1]]


def symlog(value: float) -> float:
    """Scale a value: linearly in [-1, 1], logarithmically (base 10) beyond."""
    return value if abs(value) <= 1 else math.copysign(1 + math.log10(abs(value)), value)


def ticks(low: float, high: float) -> list[float]:
    """Return about four round numbers between low and high."""
    raw = (high - low) / 4
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * n for n in (1, 2, 5, 10) if size * n >= raw)
    return [step * i for i in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Return 0 and powers of ten from ±1 on, between low and high."""
    powers = [p for p in (10.0**i for i in range(0, 13)) if low <= p <= high or low <= -p <= high]
    powers = powers[:: math.ceil(len(powers) / 4)]
    return sorted(x for x in (0.0, *powers, *(-p for p in powers)) if low <= x <= high)


def format_value(value: float, percent: bool = False) -> str:
    """Format a number with three significant digits, or as an integer if it is large."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} %" if percent else text
