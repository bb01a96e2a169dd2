"""What a training run tells while it goes: a header, then a bar in a terminal and plain lines elsewhere."""

from __future__ import annotations

import shlex
import sys
from types import TracebackType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from ganzoo.cli.train import duration
from ganzoo.model import parameters

if TYPE_CHECKING:
    from ganzoo.assemble import Experiment
    from ganzoo.run import Run
    from ganzoo.trainer import Progress

COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}


def headline(experiment: Experiment) -> str:
    """Return three lines: data and labels, parts and their sizes, device."""
    data, config, gan = experiment.data, experiment.config, experiment.gan
    size, classes = data.shape.size, data.shape.classes
    labelled = len(data.labelled)
    each = (
        f", {labelled // classes} per class"
        if classes and labelled % classes == 0 and labelled < len(data.train)
        else ""
    )
    facts = [
        f"{data.name}",
        f"{len(data.train):,} train ({labelled:,} labelled{each}, split {data.split.hash[:8]}…)",
        f"{len(data.test):,} held out",
        *([f"{len(data.validation):,} for validation"] if len(data.validation) else []),
        f"{size}×{size} {COLOURS[data.shape.channels]}",
    ]
    parts = [
        f"{name} {_bare(getattr(config, name, config.ssl).name)} {parameters(network) / 1e6:.2f}M"
        for name, network in gan.networks.items()
    ]
    parts += [f"loss {_bare(config.loss.name)}"] if "generator" in gan.networks else []
    parts += [f"ssl {_bare(config.ssl.name)}", *(f"penalty {_bare(name)}" for name in config.penalties)]
    parts += [f"augment {_bare(config.augment.name)}"] if config.augment else []
    lines = [f"data     {' · '.join(facts)}", f"parts    {' · '.join(parts)}", f"device   {experiment.backend}"]
    start = gan.facts.get("start", {"taken": {}})
    lines += [f"start    {name}: {taken} of {start['model']}" for name, taken in start["taken"].items()]
    if data.corrupt:
        lines.append(f"skipped  {len(data.corrupt)} images that cannot be read:")
        lines += [f"         {where}" for where in data.corrupt]
    return "\n".join(lines)


def _bare(name: str) -> str:
    return name.rpartition("/")[2]


class Display:
    """Follows a run: `started` and `report` are given to `ganzoo.train`."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.main, self.folder, self.world = quiet, True, "", 1
        self.unmeasured = False
        self._console = Console(highlight=False)
        self._bar: Bar | None = None
        self._marks = -1

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    @property
    def command(self) -> str:
        """The command that continues the run."""
        return f"ganzoo train --out {shlex.quote(self.folder)}" if self.world == 1 else "run the same command again"

    def started(self, experiment: Experiment, run: Run) -> None:
        """Print the header."""
        self.unmeasured = experiment.gan.strategy.needs_labels and not bool((experiment.data.test_labels >= 0).any())
        self.main, self.folder, self.world = experiment.backend.main, str(run.path), experiment.backend.world
        self.quiet = self.quiet or not self.main
        if self.quiet:
            return
        click.echo(headline(experiment))
        click.echo(f"run      {run.path}")
        sys.stdout.flush()
        if self._console.is_terminal:
            columns = BarColumn(bar_width=16), MofNCompleteColumn(), TextColumn("{task.fields[said]}")
            self._bar = Bar(*columns, console=self._console)
            self._bar.add_task("", total=experiment.config.steps, said="")
            self._bar.start()

    def report(self, progress: Progress) -> None:
        """Show how far the run is."""
        if self.quiet:
            return
        for trouble in progress.troubles:
            (self._bar.console.print if self._bar else click.echo)(f"warning  {trouble}")
        terms = [
            f"{name.replace('discriminator', 'd').replace('generator', 'g')} {value:.2f}"
            for name, value in progress.terms.items()
        ]
        error = [] if progress.error is None else [f"error {100 * progress.error:.1f} %"]
        left = f"{duration(progress.seconds_left)} left"
        said = " · ".join([f"{progress.images_per_second:,.0f} img/s", *terms, *error, left])
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=progress.step, said=said)
        elif (mark := 10 * progress.step // progress.steps) > self._marks:
            self._marks = mark
            click.echo(f"step {progress.step}/{progress.steps} · {said}")
