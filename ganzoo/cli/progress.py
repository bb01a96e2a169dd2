"""Display the progress of a training run: a header, then a progress bar in a terminal or plain lines elsewhere."""

from __future__ import annotations

import shlex
import sys
from types import TracebackType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from ganzoo.metrics.classification import uneven
from ganzoo.model.build import count_parameters

if TYPE_CHECKING:
    from ganzoo.data import Dataset
    from ganzoo.run.folder import Run
    from ganzoo.training.experiment import Experiment
    from ganzoo.training.trainer import Progress

MAX_CLASSES = 12  # that are listed with their labels
COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}


def headline(experiment: Experiment) -> str:
    """Describe an experiment: its data and labels, its components and their sizes, and the device."""
    data, config, gan = experiment.data, experiment.config, experiment.gan
    classes = data.shape.classes
    labelled = len(data.labelled)
    each = (
        f", {labelled // classes} per class"
        if classes and labelled % classes == 0 and labelled < len(data.train)
        else ""
    )
    summary = [
        f"{data.name}",
        f"{len(data.train):,} train ({labelled:,} labelled{each}, split {data.split.hash[:8]}…)",
        f"{len(data.test):,} held out",
        *([f"{len(data.validation):,} for validation"] if len(data.validation) else []),
        f"{data.shape.size} {COLOURS[data.shape.channels]}",
    ]
    components = [
        f"{name} {_bare(getattr(config, name, config.ssl).name)} {count_parameters(network) / 1e6:.2f}M"
        for name, network in gan.networks.items()
    ]
    components += [f"loss {_bare(config.loss.name)}"] if "generator" in gan.networks else []
    components += [f"ssl {_bare(config.ssl.name)}", *(f"penalty {_bare(name)}" for name in config.penalties)]
    components += [f"augment {_bare(config.augment.name)}"] if config.augment else []
    lines = [
        f"data     {' · '.join(summary)}",
        *([f"classes  {_count_classes(data)}"] if classes else []),
        f"setup    {' · '.join(components)}",
        f"device   {experiment.backend}",
    ]
    start = gan.metadata.get("start", {"taken": {}})
    lines += [f"start    {name}: {taken} of {start['model']}" for name, taken in start["taken"].items()]
    lines += [f"note     {note}" for note in data.notes]
    if data.corrupt:
        lines.append(f"skipped  {len(data.corrupt)} images that cannot be read:")
        lines += [f"         {path}" for path in data.corrupt]
    return "\n".join(lines)


def _count_classes(data: Dataset) -> str:
    counts = data.labels.bincount(minlength=data.shape.classes).tolist()
    shown = [f"{name} {count:,}" for name, count in zip(data.class_names, counts, strict=True)]
    return " · ".join(shown[:MAX_CLASSES]) + (f" · … {len(shown)} in all" if len(shown) > MAX_CLASSES else "")


def _bare(name: str) -> str:
    return name.rpartition("/")[2]


class Display:
    """Show the progress of a run. Its methods `on_start` and `on_progress` are callbacks of `ganzoo.train`.

    Args:
        quiet: Print nothing.

    Attributes:
        main: Whether this process prints; one of several does.
        folder: Path of the run folder.
        world: Number of processes.
        unmeasured: Whether the run trains a classifier and has no held-out label to measure it with.
        uneven: Whether some classes have many more held-out images than others.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.main, self.folder, self.world = quiet, True, "", 1
        self.unmeasured = self.uneven = False
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

    def on_start(self, experiment: Experiment, run: Run) -> None:
        """Print the header and open the progress bar."""
        held_out = experiment.data.test_labels[experiment.data.test_labels >= 0]
        self.unmeasured = experiment.gan.strategy.needs_labels and not len(held_out)
        support = held_out.bincount(minlength=experiment.data.shape.classes).tolist()
        self.uneven = len(held_out) > 0 and uneven(support)
        self.main, self.folder, self.world = experiment.backend.main, str(run.path), experiment.backend.world
        self.quiet = self.quiet or not self.main
        if self.quiet:
            return
        click.echo(headline(experiment))
        click.echo(f"run      {run.path}")
        sys.stdout.flush()
        if self._console.is_terminal:
            columns = BarColumn(bar_width=16), MofNCompleteColumn(), TextColumn("{task.fields[status]}")
            self._bar = Bar(*columns, console=self._console)
            self._bar.add_task("", total=experiment.config.steps, status="")
            self._bar.start()

    def on_progress(self, progress: Progress) -> None:
        """Update the progress bar, or print a line after every tenth of the run."""
        if self.quiet:
            return
        for warning in progress.warnings:
            (self._bar.console.print if self._bar else click.echo)(f"warning  {warning}")
        terms = [
            f"{name.replace('discriminator', 'd').replace('generator', 'g')} {value:.2f}"
            for name, value in progress.terms.items()
        ]
        error = [] if progress.error is None else [f"error {100 * progress.error:.1f} %"]
        if error and self.uneven and progress.balanced_error is not None:
            error = [f"{error[0]} (balanced {100 * progress.balanced_error:.1f} %)"]
        left = f"{duration(progress.seconds_left)} left"
        status = " · ".join([f"{progress.images_per_second:,.0f} img/s", *terms, *error, left])
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=progress.step, status=status)
        elif (mark := 10 * progress.step // progress.steps) > self._marks:
            self._marks = mark
            click.echo(f"step {progress.step}/{progress.steps} · {status}")


def duration(seconds: float) -> str:
    """Format seconds as `h:mm:ss` or `m:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
