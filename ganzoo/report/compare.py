"""Compare runs: scores by metric, and samples of the same latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ganzoo.base.pictures import grid, png
from ganzoo.errors import BadData, BrokenPlugin, Incompatible, UnknownComponent
from ganzoo.metrics.score import Score, rank
from ganzoo.metrics.scores_file import read_scores
from ganzoo.model.gan import GAN
from ganzoo.registry.discovery import Registry, installed

SAMPLES, WIDTH, LINE = 8, 640, 22


@dataclass(frozen=True)
class Comparison:
    """The scores of runs by one metric.

    Attributes:
        metric: Qualified name of the metric.
        value: Name of the value by which runs are ranked.
        scores: Scores by run: best first if they can be ranked, else in the given order.
        differences: Why the scores cannot be ranked; empty if they can.
    """

    metric: str
    value: str
    scores: Mapping[str, Score]
    differences: Sequence[str] = ()


def compare_scores(runs: Sequence[str], registry: Registry | None = None) -> list[Comparison]:
    """Compare runs by every metric that at least one of them has a score of.

    Where runs have several scores of a metric, the newest stamp that all of them share is compared. If no stamp is
    shared, the newest score of each run is listed without a rank.

    Args:
        runs: Run folders.
        registry: Where metrics are looked up; default: the installed components.

    Returns:
        A comparison for each metric.

    Raises:
        BadData: A run folder does not exist.
        CorruptFile: The scores of a run cannot be read.
    """
    if missing := [run for run in runs if not Path(run).is_dir()]:
        raise BadData(f"there is no run folder {missing[0]}; train a run with: ganzoo train --out {missing[0]}")
    scores_of = {run: read_scores(Path(run)) for run in runs}
    names = dict.fromkeys(score.stamp.metric for scores in scores_of.values() for score in scores)
    return [compare_by(name, scores_of, registry or installed()) for name in names]


def compare_by(metric: str, scores_of: Mapping[str, Sequence[Score]], registry: Registry) -> Comparison:
    """Compare runs by one metric.

    Args:
        metric: Qualified name of the metric.
        scores_of: Scores by run, oldest first; runs without a score of the metric are left out.
        registry: Where the metric is looked up.

    Returns:
        The comparison.
    """
    newest = {run: [s for s in reversed(scores) if s.stamp.metric == metric] for run, scores in scores_of.items()}
    newest = {run: scores for run, scores in newest.items() if scores}
    first = next(iter(newest.values()))
    shared = [s.stamp for s in first if all(any(s.stamp == o.stamp for o in scores) for scores in newest.values())]
    chosen = {run: next(s for s in scores if not shared or s.stamp == shared[0]) for run, scores in newest.items()}
    value = next(iter(first[0].values))
    try:
        smaller = bool(registry.get("metric", metric).component.load().smaller_is_better)
        order = rank(chosen, value, smaller)
    except (Incompatible, UnknownComponent, BrokenPlugin) as error:
        return Comparison(metric, value, chosen, [str(error)])
    return Comparison(metric, value, {run: chosen[run] for run in order})


def samples(runs: Sequence[str], device: str = "cpu") -> tuple[bytes, list[str]]:
    """Draw a row of samples for each run, from the same latents and classes.

    Args:
        runs: Run folders or model folders.
        device: Device to compute the samples on.

    Returns:
        The content of a PNG file, and warnings about it.

    Raises:
        Incompatible: None of the runs has a generator.
        CorruptFile: A model cannot be read.
    """
    rows: list[tuple[str, Image.Image]] = []
    messages, latents = [], {}
    for run in runs:
        gan = GAN.from_pretrained(run, device=device)
        if "generator" not in gan.networks:
            messages.append(f"{run} has no generator and is left out of the samples")
            continue
        latents[run] = getattr(gan.networks["generator"], "z_dim", 0)
        strip = grid(gan.sample(SAMPLES, seed=0), SAMPLES)
        rows.append((run, strip.resize((WIDTH, strip.height * WIDTH // strip.width), Image.Resampling.NEAREST)))
    if not rows:
        raise Incompatible("none of these runs has a generator to sample from")
    if len(set(latents.values())) > 1:
        dimensions = ", ".join(f"{n} in {run}" for run, n in latents.items())
        messages.append(f"samples are not of the same latents, whose dimensions differ: {dimensions}")
    sheet = Image.new("RGB", (WIDTH, sum(strip.height + LINE for _, strip in rows)), "white")
    canvas, top, font = ImageDraw.Draw(sheet), 0, ImageFont.load_default(14)
    for run, strip in rows:
        canvas.text((4, top + 3), run, fill="black", font=font)
        sheet.paste(strip.convert("RGB"), (0, top + LINE))
        top += strip.height + LINE
    return png(sheet), messages
