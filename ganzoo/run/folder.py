"""The run folder: everything that a run depends on and produces. It is consistent at every moment."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ganzoo.base.storage import (
    read_json,
    recover_folder,
    to_json,
    verify,
    with_manifest,
    write_file,
    write_folder,
    writing,
)
from ganzoo.config.files import differences
from ganzoo.config.resolve import qualify
from ganzoo.config.schema import FILE as CONFIG
from ganzoo.config.schema import Config
from ganzoo.data import SPLIT, Dataset, SavedSplit
from ganzoo.data.images import pixels_sha256
from ganzoo.data.stream import Streamed
from ganzoo.errors import CannotWrite, CorruptFile, GanzooError, RunMismatch
from ganzoo.registry.component import describe
from ganzoo.registry.discovery import Registry
from ganzoo.run.diagnostics import Diagnosis
from ganzoo.run.environment import describe_environment
from ganzoo.run.trackers import ALWAYS, start_trackers

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker
    from torch.utils.tensorboard.writer import SummaryWriter

STATE_FILES = ("weights.safetensors", "averaged.safetensors", "optimizers.safetensors", "state.json")
LOCK = ".lock"
METRICS, WARNINGS, ENVIRONMENT = "metrics.jsonl", "warnings.jsonl", "environment.json"
FORMER_WARNINGS, FORMER_KEYS = "troubles.jsonl", {"said": "message"}
FORMER_METRICS = {
    "realness": "mean_logit",
    "separation": "discriminator_auc",
    "discriminator_slope": "discriminator_loss_slope",
    "generator_slope": "generator_loss_slope",
}
"""Names in run folders of format 1: of the file of warnings, its keys, and metrics."""
MODEL, BEST = "model", "best"
"""Model folders of a run: of its last step, and of the step with the best score."""


class Run:
    """A run folder.

    - `config.json`: the configuration.
    - `split.safetensors`: held-out images and labels, with a hash.
    - `environment.json`: versions of the library and of the packages of all components, and the machine.
    - `metrics.jsonl`: a row of metrics every few steps.
    - `warnings.jsonl`: warnings about the training, if there were any.
    - `samples/`: grids of samples, from the same latents.
    - `checkpoints/`: states from which training continues.
    - `model/`: model folder with the averaged networks of the last step.
    - `best/`: model folder of the step with the best score, if `best_metric` is set.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._board: SummaryWriter | None = None
        self._trackers: dict[str, GeneralTracker] = {}
        self._lock: IO[bytes] | None = None
        self._moved: Config | None = None

    @classmethod
    def open(cls, path: Path, config: Config, registry: Registry) -> Run:
        """Create a run folder, or open an existing one to continue the run. The folder is locked for this process.

        Args:
            path: The folder.
            config: The configuration of the run.
            registry: Where components are looked up.

        Raises:
            RunMismatch: The folder has a run with another configuration, or another process is training in it.
            CannotWrite: The folder exists and is not a run folder, or cannot be written.
        """
        run = cls(path)
        if (path / CONFIG).is_file():
            run._reopen(config, registry)
            return run
        leftovers = {"samples", "checkpoints", ENVIRONMENT, LOCK}  # of a start that was interrupted
        if path.exists() and (not path.is_dir() or any(p.name not in leftovers for p in path.iterdir())):
            raise CannotWrite(f"{path} exists and is not a run folder; choose another with --out")
        with writing(path):
            (path / "samples").mkdir(parents=True, exist_ok=True)
            (path / "checkpoints").mkdir(exist_ok=True)
        write_file(path / ENVIRONMENT, to_json(describe_environment(config, registry)))
        write_file(path / CONFIG, config.to_json().encode())
        run.lock()
        return run

    def _reopen(self, config: Config, registry: Registry) -> None:
        """Lock and repair an existing run folder, after comparing its configuration."""
        path, old = self.path, canonical(self.config(), registry)
        if config.data.source != old.data.source:  # the split says whether these are the same data
            self._moved, old = config, replace_source(old, config.data.source)
        if rows := differences(old.to_dict(), config.to_dict()):
            listed = "\n  ".join(rows)
            raise RunMismatch(
                f"{path} has a run with another configuration:\n  {listed}\n"
                "Continue it with the same configuration, or choose another folder with --out"
            )
        self.lock()
        recover_folder(path / MODEL)
        recover_folder(path / BEST)
        with writing(path):
            (path / "samples").mkdir(exist_ok=True)
            (path / "checkpoints").mkdir(exist_ok=True)
        if (path / MODEL).exists() and not self.checkpoints():
            raise RunMismatch(
                f"{path} has a model but no checkpoint to continue from; choose another folder with --out"
            )

    def lock(self) -> None:
        """Lock the folder for this process, until the Run is closed or the process ends.

        Raises:
            RunMismatch: Another process has locked it.
        """
        if fcntl:
            self._lock = (self.path / LOCK).open("ab")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunMismatch(
                    f"another process is training in {self.path}; wait for it, or choose another folder with --out"
                ) from error

    def config(self) -> Config:
        """Read the configuration of the run.

        Raises:
            CorruptFile: The file is damaged.
        """
        return Config.restore(read_json(self.path / CONFIG))

    def keep_split(self, data: Dataset) -> None:
        """Save the split with hashes of the data, or check that they have not changed.

        Args:
            data: The data set of the run.

        Raises:
            RunMismatch: The data have changed since the run began, or the split is missing.
        """
        path = self.path / SPLIT
        classes = json.dumps(list(data.class_names))
        if not path.is_file() and self.checkpoints():
            raise RunMismatch(
                f"{path} is missing, so it is unknown which labels were used; restore it, or choose another folder "
                "with --out"
            )
        if not path.is_file():
            write_file(path, data.split.stored.to_bytes({"classes": classes}))
        saved = SavedSplit.metadata(path)
        former = saved.get("pixels")  # in split files of earlier versions, which know images by their positions
        if changed := [
            *(["class names"] if saved.get("classes") != classes else []),
            *(
                ["images"]
                if former and not isinstance(data.train, Streamed) and former != pixels_sha256(data.train)
                else []
            ),
        ]:
            raise RunMismatch(
                f"the {changed[0]} of the data have changed since {self.path} began; "
                "restore the data, or choose another folder with --out"
            )
        if self._moved:
            write_file(self.path / CONFIG, self._moved.to_json().encode())

    def checkpoints(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        checkpoints = (self.path / "checkpoints").glob("[0-9]*")
        return sorted((p for p in checkpoints if p.is_dir() and p.name.isdigit()), key=lambda p: int(p.name))

    def save_checkpoint(self, step: int, files: dict[str, bytes], keep: int) -> None:
        """Write a checkpoint, then delete old ones.

        Args:
            step: The step.
            files: Contents by file name.
            keep: Number of checkpoints to keep.

        Raises:
            CannotWrite: The checkpoint cannot be written.
        """
        write_folder(self.path / "checkpoints" / f"{step:06d}", with_manifest(files))
        for old in self.checkpoints()[:-keep]:
            shutil.rmtree(old, ignore_errors=True)

    def latest_checkpoint(self) -> Path | None:
        """Return the newest checkpoint after verifying it, or None if there is none.

        Raises:
            CorruptFile: It is damaged. The message says how to continue without it.
        """
        checkpoints = self.checkpoints()
        if not checkpoints:
            return None
        try:
            verify(checkpoints[-1], STATE_FILES)
        except CorruptFile as error:
            before = f"from step {int(checkpoints[-2].name)}" if len(checkpoints) > 1 else "from the start"
            raise CorruptFile(
                f"{error}. Delete {checkpoints[-1]} and run the same command again to continue {before}"
            ) from error
        return checkpoints[-1]

    def truncate_metrics(self, step: int) -> None:
        """Remove rows of metrics and warnings after a step, since those steps will be repeated."""
        for path in (self.path / name for name in (METRICS, WARNINGS, FORMER_WARNINGS)):
            if path.is_file():
                rows = [line for line in path.read_text(errors="replace").splitlines() if _step_of(line) <= step]
                write_file(path, "".join(f"{row}\n" for row in rows).encode())

    def track(self, names: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Start trackers.

        Args:
            names: Names of the trackers.
            settings: Configuration of the run.

        Raises:
            BadConfig: A tracker cannot be started.
        """
        self._trackers = start_trackers([n for n in names if n != ALWAYS], self.path, settings)

    def log(self, step: int, values: Mapping[str, float]) -> list[Diagnosis]:
        """Log a row of metrics to the run folder, to TensorBoard and to the trackers.

        Args:
            step: The step.
            values: Values by name.

        Returns:
            A warning for each tracker that failed; it gets no more rows.

        Raises:
            CannotWrite: The row cannot be written to the run folder.
        """
        with writing(self.path / METRICS), (self.path / METRICS).open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._board is None:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._board = SummaryWriter(str(self.path), purge_step=step)
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        failures = []
        for name, tracker in list(self._trackers.items()):
            try:
                tracker.log(dict(values), step=step)
            except Exception as error:  # an error of a tracker must not end the run
                del self._trackers[name]
                message = f"it failed ({describe(error)}) and gets no more metrics of this run"
                remedy = f"{self.path / METRICS}, which has every row"
                failures.append(Diagnosis(step, f"tracker {name}", message, remedy))
        self.add_warnings(*failures)
        return failures

    def add_warnings(self, *warnings: Diagnosis) -> None:
        """Append warnings about the training to `warnings.jsonl`.

        Raises:
            CannotWrite: They cannot be written.
        """
        if warnings:
            with writing(self.path / WARNINGS), (self.path / WARNINGS).open("a") as file:
                file.writelines(json.dumps(warning.to_dict()) + "\n" for warning in warnings)

    def warnings(self) -> list[dict[str, Any]]:
        """Read the warnings about the training: `step`, `name`, `message` and `remedy` of each."""
        rows = [row for name in (FORMER_WARNINGS, WARNINGS) for row in _rows(self.path / name)]
        return [{FORMER_KEYS.get(key, key): value for key, value in row.items()} for row in rows]

    def close(self) -> None:
        """Flush TensorBoard, finish the trackers, and unlock the folder."""
        if self._board:
            self._board.close()
            self._board = None
        for tracker in self._trackers.values():
            with suppress(Exception):  # the metrics are in the run folder too
                tracker.finish()
        self._trackers = {}
        if self._lock:
            fcntl.flock(
                self._lock, fcntl.LOCK_UN
            )  # closing is not enough: a forked worker may still have the file open
            self._lock.close()
            self._lock = None

    def metrics(self) -> list[dict[str, Any]]:
        """Read the rows of metrics."""
        return [{FORMER_METRICS.get(k, k): v for k, v in row.items()} for row in _rows(self.path / METRICS)]

    def best(self) -> dict[str, Any] | None:
        """Read the `config.json` of the best weights; None if there are none."""
        path = self.path / BEST / CONFIG
        return read_json(path) if path.is_file() else None

    def environment(self) -> dict[str, Any]:
        """Read the versions and the machine, as recorded when the run began.

        Raises:
            CorruptFile: The file is damaged.
        """
        environment = read_json(self.path / ENVIRONMENT)
        return {name: environment.get(name, {}) for name in ("versions", "machine")}

    def save_picture(self, step: int, content: bytes) -> Path:
        """Write a grid of samples.

        Args:
            step: The step.
            content: Content of a PNG file.

        Returns:
            The path of the file.

        Raises:
            CannotWrite: It cannot be written.
        """
        path = self.path / "samples" / f"{step:06d}.png"
        write_file(path, content)
        return path


def replace_source(config: Config, source: str) -> Config:
    """Return a configuration with its data in another place."""
    return config.model_copy(update={"data": config.data.model_copy(update={"source": source})})


def new_folder(root: Path, name: str) -> Path:
    """Create the folder `root/name-N` for the smallest N that is free.

    Args:
        root: Parent folder; it is created if it does not exist.
        name: Start of the name.

    Returns:
        The new folder.

    Raises:
        CannotWrite: The folder cannot be created.
    """
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            try:
                (root / f"{name}-{number}").mkdir()
                return root / f"{name}-{number}"
            except FileExistsError:
                number += 1


def canonical(config: Config, registry: Registry) -> Config:
    """Return a configuration with the present names of all components; unchanged if one is not installed."""
    try:
        return qualify(config, registry)
    except GanzooError:
        return config


def _rows(path: Path) -> list[dict[str, Any]]:
    """Read a file with a JSON object in each line; incomplete lines are left out."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        with suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # the row is incomplete because of a crash
        return float("inf")
