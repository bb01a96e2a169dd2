"""The run folder: everything a run depends on and everything it made, whole at every moment."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch

from ganzoo.component import describe
from ganzoo.config import FILE as CONFIG
from ganzoo.config import Config, differences
from ganzoo.data import SPLIT, Dataset, Split
from ganzoo.errors import CannotWrite, CorruptFile, RunMismatch
from ganzoo.registry import Registry
from ganzoo.storage import read_json, recover_folder, to_json, verify, with_manifest, write_file, write_folder, writing
from ganzoo.trackers import ALWAYS, start_trackers
from ganzoo.watch import Trouble

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker
    from torch.utils.tensorboard.writer import SummaryWriter

STATE_FILES = ("weights.safetensors", "averaged.safetensors", "optimizers.safetensors", "state.json")
METRICS, TROUBLES, ENVIRONMENT = "metrics.jsonl", "troubles.jsonl", "environment.json"
MODEL, BEST = "model", "best"
"""The model folders of a run: of its last step, and of the step with the best score."""


class Run:
    """A run folder.

    config.json: the configuration. split.safetensors: which labels were seen, with their hash. environment.json:
    versions of the library and of every component's package, and the machine. metrics.jsonl: a row every few steps.
    troubles.jsonl: what went wrong, in words, if anything did. samples/: grids of the same latents. checkpoints/:
    states to continue from. model/: the averaged networks. best/: those of the step with the best score, where one is
    asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._board: SummaryWriter | None = None
        self._trackers: dict[str, GeneralTracker] = {}
        self._lock: IO[bytes] | None = None

    @classmethod
    def open(cls, path: Path, config: Config, registry: Registry) -> Run:
        """Make a run folder, or return to one. Raises RunMismatch with the differences, or CannotWrite."""
        run = cls(path)
        if (path / CONFIG).is_file():
            old = run.config()
            if rows := differences(old.to_dict(), config.to_dict()):
                listed = "\n  ".join(rows)
                raise RunMismatch(
                    f"{path} is a run of another configuration:\n  {listed}\n"
                    "Continue it as it was, or choose another folder with --out"
                )
            run.locked()
            recover_folder(path / MODEL)
            recover_folder(path / BEST)
            with writing(path):
                (path / "samples").mkdir(exist_ok=True)
                (path / "checkpoints").mkdir(exist_ok=True)
            if (path / MODEL).exists() and not run.checkpoints():
                raise RunMismatch(f"{path} has a model but no checkpoint to go on from; choose another folder")
            return run
        begun = {"samples", "checkpoints", ENVIRONMENT}  # a start that was cut short
        if path.exists() and (not path.is_dir() or any(p.name not in begun for p in path.iterdir())):
            raise CannotWrite(f"{path} exists and is not a run folder; choose another with --out")
        with writing(path):
            (path / "samples").mkdir(parents=True, exist_ok=True)
            (path / "checkpoints").mkdir(exist_ok=True)
        write_file(path / ENVIRONMENT, to_json(environment(config, registry)))
        write_file(path / CONFIG, config.to_json().encode())
        return run.locked()

    def locked(self) -> Run:
        """Keep other processes out of the folder while this one lives. Raises RunMismatch when one is in it."""
        if fcntl:
            self._lock = (self.path / CONFIG).open("rb")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunMismatch(
                    f"another process is training in {self.path}; wait for it, or choose another folder with --out"
                ) from error
        return self

    def config(self) -> Config:
        """Return the run's configuration. Raises CorruptFile."""
        return Config.parse(read_json(self.path / CONFIG))

    def keep_split(self, data: Dataset) -> None:
        """Keep the label split and hashes of what it is about, or check that they are the same. Raises RunMismatch."""
        path = self.path / SPLIT
        now = {
            "split": data.split.hash,
            "classes": json.dumps(list(data.class_names)),
            "pixels": data.train.fingerprint(),
        }
        if not path.is_file() and self.checkpoints():
            raise RunMismatch(f"{path} is missing, so nothing says which labels were seen; choose another folder")
        if not path.is_file():
            write_file(path, data.split.to_bytes(now))
            return
        kept = Split.facts(path)
        names = {"split": "number of images, or their labels,", "classes": "class names", "pixels": "images"}
        if changed := [what for what in names if kept.get(what) != now[what]]:
            raise RunMismatch(
                f"the {names[changed[0]]} of the data have changed since {self.path} began; "
                "restore the data, or choose another folder with --out"
            )

    def checkpoints(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        found = (self.path / "checkpoints").glob("[0-9]*")
        return sorted((p for p in found if p.is_dir() and p.name.isdigit()), key=lambda p: int(p.name))

    def save_checkpoint(self, step: int, files: dict[str, bytes], keep: int) -> None:
        """Write a checkpoint; older ones than the newest `keep` are deleted last. Raises CannotWrite."""
        write_folder(self.path / "checkpoints" / f"{step:06d}", with_manifest(files))
        for old in self.checkpoints()[:-keep]:
            shutil.rmtree(old, ignore_errors=True)

    def latest_checkpoint(self) -> Path | None:
        """Return the newest checkpoint, verified, or None. Raises CorruptFile saying how to go on without it."""
        found = self.checkpoints()
        if not found:
            return None
        try:
            verify(found[-1], STATE_FILES)
        except CorruptFile as error:
            before = f"from step {int(found[-2].name)}" if len(found) > 1 else "from the start"
            raise CorruptFile(
                f"{error}. Delete {found[-1]} and run the same command again to go on {before}"
            ) from error
        return found[-1]

    def truncate_metrics(self, step: int) -> None:
        """Drop rows after `step`, of metrics and of troubles: those steps will be taken again."""
        for path in (self.path / METRICS, self.path / TROUBLES):
            if path.is_file():
                rows = [line for line in path.read_text(errors="replace").splitlines() if _step_of(line) <= step]
                write_file(path, "".join(f"{row}\n" for row in rows).encode())

    def track(self, names: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Tell trackers what will be logged, and of which run. Raises BadConfig when one does not start."""
        self._trackers = start_trackers([n for n in names if n != ALWAYS], self.path, settings)

    def log(self, step: int, values: Mapping[str, float]) -> list[Trouble]:
        """Append a row of metrics, and the same to TensorBoard's events and to trackers.

        Returns which of these failed; they are told no more.
        """
        with writing(self.path / METRICS), (self.path / METRICS).open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._board is None:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._board = SummaryWriter(str(self.path), purge_step=step)
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        lost = []
        for name, tracker in list(self._trackers.items()):
            try:
                tracker.log(dict(values), step=step)
            except Exception as error:  # whatever its client raises; a run does not end for it
                del self._trackers[name]
                said = f"it failed ({describe(error)}), and is told nothing more of this run"
                lost.append(Trouble(step, f"tracker {name}", said, f"{self.path / METRICS}, which has every row"))
        self.note(*lost)
        return lost

    def note(self, *troubles: Trouble) -> None:
        """Append what goes wrong."""
        if troubles:
            with writing(self.path / TROUBLES), (self.path / TROUBLES).open("a") as file:
                file.writelines(json.dumps(trouble.to_dict()) + "\n" for trouble in troubles)

    def troubles(self) -> list[dict[str, Any]]:
        """Return what went wrong: `step`, `name`, `said` and `remedy` of each."""
        return _rows(self.path / TROUBLES)

    def close(self) -> None:
        """Write out what TensorBoard's writer still holds, and let others into the folder."""
        if self._board:
            self._board.close()
            self._board = None
        for tracker in self._trackers.values():
            with suppress(Exception):  # what it was told is in the folder too
                tracker.finish()
        self._trackers = {}
        if self._lock:
            fcntl.flock(self._lock, fcntl.LOCK_UN)  # else a forked worker would keep it
            self._lock.close()
            self._lock = None

    def metrics(self) -> list[dict[str, Any]]:
        """Return the rows of metrics."""
        return _rows(self.path / METRICS)

    def best(self) -> dict[str, Any] | None:
        """Return what the model folder of the best step says of itself, or None where there is none."""
        path = self.path / BEST / CONFIG
        return read_json(path) if path.is_file() else None

    def environment(self) -> dict[str, Any]:
        """Return versions and machine, as they were when the run began."""
        facts = read_json(self.path / ENVIRONMENT)
        return {name: facts.get(name, {}) for name in ("versions", "machine")}

    def save_picture(self, step: int, content: bytes) -> Path:
        """Write a sample grid."""
        path = self.path / "samples" / f"{step:06d}.png"
        write_file(path, content)
        return path


def new_folder(root: Path, name: str) -> Path:
    """Make and return `root/name-N` for the first N that is free. Raises CannotWrite."""
    with writing(root):
        root.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            try:
                (root / f"{name}-{number}").mkdir()
                return root / f"{name}-{number}"
            except FileExistsError:
                number += 1


def environment(config: Config, registry: Registry) -> dict[str, Any]:
    """Return what a result depends on besides its configuration."""
    parts = [(kind, getattr(config, kind).name) for kind in ("generator", "discriminator", "loss", "ssl")]
    parts += [("augment", config.augment.name)] if config.augment else []
    parts += [("penalty", name) for name in config.penalties]
    plugins = [(kind, name, registry.get(kind, name).plugin) for kind, name in parts]
    return {
        "components": [
            {"kind": kind, "name": name, "package": p.distribution, "version": p.version} for kind, name, p in plugins
        ],
        "versions": {
            "ganzoo": version("torch-ganzoo"),
            "torch": torch.__version__,
            "accelerate": version("accelerate"),
        },
        "python": platform.python_version(),
        "machine": {"system": platform.system(), "processor": platform.machine(), "threads": torch.get_num_threads()},
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file that has one in each line; a line that was cut short is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        with suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a row cut short by a crash
        return float("inf")
