"""Runs side by side: scores by what they are about, curves, and samples of the same latents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ganzoo.errors import BadData, BrokenPlugin, Incompatible, UnknownComponent
from ganzoo.metrics.evaluate import kept
from ganzoo.metrics.score import Score, rank
from ganzoo.model import GAN
from ganzoo.pictures import grid, png
from ganzoo.registry import Registry, installed
from ganzoo.run import METRICS, Run

SAMPLES, WIDTH, LINE = 8, 640, 22


@dataclass(frozen=True)
class Comparison:
    """Scores of runs by one metric: best first, or in the order given and `differ`, which says why not."""

    metric: str
    value: str
    scores: Mapping[str, Score]
    differ: Sequence[str] = ()


def compare_scores(runs: Sequence[str], registry: Registry | None = None) -> list[Comparison]:
    """Return a comparison for each metric that any of the runs has a score of. Raises BadData or CorruptFile.

    A run with several scores of a metric is compared by the newest whose stamp all the others have; where there is
    none, the newest of each are told, and not ranked.
    """
    if missing := [run for run in runs if not Path(run).is_dir()]:
        raise BadData(f"there is no run folder {missing[0]}")
    found = {run: kept(Path(run)) for run in runs}
    names = dict.fromkeys(score.stamp.metric for scores in found.values() for score in scores)
    return [compared(name, found, registry or installed()) for name in names]


def compared(metric: str, found: Mapping[str, Sequence[Score]], registry: Registry) -> Comparison:
    """Return the comparison of runs by one metric, of those that have it."""
    own = {run: [s for s in reversed(scores) if s.stamp.metric == metric] for run, scores in found.items()}
    own = {run: scores for run, scores in own.items() if scores}
    first = next(iter(own.values()))
    shared = [s.stamp for s in first if all(any(s.stamp == o.stamp for o in scores) for scores in own.values())]
    chosen = {run: next(s for s in scores if not shared or s.stamp == shared[0]) for run, scores in own.items()}
    value = next(iter(first[0].values))
    try:
        smaller = bool(registry.get("metric", metric).component.load().smaller_is_better)
        order = rank(chosen, value, smaller)
    except (Incompatible, UnknownComponent, BrokenPlugin) as error:
        return Comparison(metric, value, chosen, [str(error)])
    return Comparison(metric, value, {run: chosen[run] for run in order})


def samples(runs: Sequence[str], device: str = "cpu") -> tuple[bytes, list[str]]:
    """Return a PNG with a row of samples of each run, of the same latents and classes, and what is to be minded.

    Raises what reading a model raises, and Incompatible when none of the runs has a generator.
    """
    rows: list[tuple[str, Image.Image]] = []
    said, latents = [], {}
    for run in runs:
        gan = GAN.from_pretrained(run, device=device)
        if "generator" not in gan.networks:
            said.append(f"{run} has no generator, and no row of samples")
            continue
        latents[run] = getattr(gan.networks["generator"], "z_dim", 0)
        strip = grid(gan.sample(SAMPLES, seed=0), SAMPLES)
        rows.append((run, strip.resize((WIDTH, strip.height * WIDTH // strip.width), Image.Resampling.NEAREST)))
    if not rows:
        raise Incompatible("none of these runs has a generator to sample from")
    if len(set(latents.values())) > 1:
        said.append(
            f"the latents are not the same, of {', '.join(f'{n} dimensions in {r}' for r, n in latents.items())}"
        )
    sheet = Image.new("RGB", (WIDTH, sum(strip.height + LINE for _, strip in rows)), "white")
    drawn, top, font = ImageDraw.Draw(sheet), 0, ImageFont.load_default(14)
    for run, strip in rows:
        drawn.text((4, top + 3), run, fill="black", font=font)
        sheet.paste(strip.convert("RGB"), (0, top + LINE))
        top += strip.height + LINE
    return png(sheet), said


def curves(runs: Sequence[str]) -> bytes:
    """Return a PNG with a panel for each logged term, and for the held-out error, and a line in it for each run.

    Raises BadData when no run has a log.
    """
    from io import BytesIO

    from matplotlib.figure import Figure

    logs = {run: Run(Path(run)).metrics() for run in runs}
    names = [*dict.fromkeys(n for rows in logs.values() for row in rows for n in row if "/" in n or n == "error")]
    if not names:
        raise BadData(f"none of these runs has curves: {METRICS} is missing or empty")
    columns = min(3, len(names))
    lines = math.ceil(len(names) / columns)
    figure = Figure(figsize=(4 * columns, 0.4 + 2.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for name, panel in zip(names, panels, strict=False):
        for number, (run, rows) in enumerate(logs.items()):
            points = [(row["step"], 100 * row[name] if name == "error" else row[name]) for row in rows if name in row]
            if points:
                panel.plot(
                    *zip(*points, strict=True), label=run, lw=1, marker="." * (len(points) == 1), color=f"C{number}"
                )
        panel.set_title("held-out error (%)" if name == "error" else name, fontsize=9)
        panel.grid(alpha=0.3)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    legend = {label: line for panel in panels for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend([*legend.values()], [*legend], loc="outside upper left", fontsize=8, ncols=columns)
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    return drawn.getvalue()
