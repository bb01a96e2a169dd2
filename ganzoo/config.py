"""What a run is, as data: every value that decides its result, and nothing else. JSON and YAML, exactly both ways."""

from __future__ import annotations

import json
import re
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_serializer, model_validator

from ganzoo.errors import BadConfig, nearest

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
FILE = "config.json"
"""What the configuration is called in a run folder."""


def _path(value: Any) -> Any:
    return str(value) if isinstance(value, PathLike) else value


def _names(value: Any) -> Any:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class Part(BaseModel):
    """A component and its options, written `name` or `{name: dcgan, width: 64}`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """The options, without the name."""
        return dict(self.model_extra or {})


class Strict(BaseModel):
    """Unknown keys are errors; values do not change after creation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Strict):
    """Which images, at which size, and whose labels may be seen."""

    source: Annotated[str, BeforeValidator(_path)] = Field(
        description="a data set's name, a folder, a zip file, or hf:<name on the Hub>"
    )
    options: dict[str, Any] = Field(default={}, description="options of that data set")
    size: Count | None = Field(None, description="pixels a side; default: what fits the images and the networks")
    channels: Literal[1, 3, 4] | None = Field(None, description="1 grey, 3 RGB, 4 RGBA; default: as the images are")
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="how other aspect ratios are made square")
    split: Annotated[str | None, BeforeValidator(_path)] = Field(
        None, min_length=1, description="run folder or split file whose held-out images and labels to use again"
    )
    labels: Count | Literal["all"] = Field(
        "all", description="training images whose label may be seen; with `split`, its own"
    )
    split_seed: Natural = Field(0, description="which of them, balanced over the classes")
    test_fraction: Fraction = Field(0.2, description="held out where the data set has no test part")
    test_seed: Natural = Field(
        0, description="which images that is; apart from split_seed, so that splits stay comparable"
    )
    validation: Natural = Field(
        0, description="labelled images left out of training, which `best` may look at; by split_seed, balanced"
    )
    labelled_in_unlabelled: bool = Field(True, description="whether labelled images are also used without their label")
    flip: bool = Field(False, description="mirror training images left-right at random")
    shift: Natural = Field(0, description="shift training images by up to so many pixels")
    strength: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="of the strong view, which strategies with two views use"
    )
    zoom: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="stretch the strong view each way by a factor of up to e^zoom"
    )
    elastic: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="displace the strong view smoothly: standard deviation at 5×5 places, in halves of the side"
    )
    skip_corrupt: bool = Field(False, description="leave out images that cannot be read, and list them")
    memory: Count = Field(2**31, description="bytes up to which decoded images are held in memory; more are streamed")
    workers: Natural = Field(2, description="processes that decode streamed images")


class Optimizer(Strict):
    """Adam of one player, and its learning-rate schedule over the run."""

    lr: Positive = Field(2e-4, description="learning rate")
    beta1: Fraction = Field(0.5, description="decay of Adam's first moment")
    beta2: Fraction = Field(0.999, description="decay of Adam's second moment")
    eps: Positive = Field(1e-8, description="Adam's epsilon")
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="decoupled weight decay (AdamW)"
    )
    schedule: Literal["constant", "linear", "cosine"] = Field("constant", description="learning rate over the run")
    hold: Fraction = Field(0.0, description="part of the run before the schedule begins to lower the rate")
    until: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="part of the run after which it rests at its end; at a rate of 0 the player stands still"
    )
    final: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="part of the rate at which the schedule ends")
    beta2_final: Fraction | None = Field(None, description="beta2 at the schedule's end, reached along the same curve")
    moves: Count = Field(1, description="optimizer steps in each iteration (n_critic of WGAN)")

    @model_validator(mode="after")
    def _schedule_has_length(self) -> Optimizer:
        if self.until <= self.hold:
            raise ValueError(f"until {self.until} is not after hold {self.hold}")
        return self


class Config(Strict):
    """A run. `save` and `load` are inverse to each other."""

    generator: Part = Field(description="latents to images")
    discriminator: Part = Field(description="images to features; the strategy adds the head")
    loss: Part = Field(description="adversarial loss")
    ssl: Part = Field(description="semi-supervised strategy")
    penalties: dict[str, dict[str, Any]] = Field(
        default={}, description="penalties by name, with their options; null leaves one out"
    )
    augment: Part | None = Field(None, description="what the discriminator sees is changed by it")
    data: DataConfig = Field(description="images and labels")
    steps: Count = Field(1000, description="iterations")
    batch: Count = Field(64, description="images of each sort in an iteration, over all processes")
    labelled_batch: Count | None = Field(None, description="labelled images in an iteration; default: as `batch`")
    accumulate: Count = Field(1, description="parts that a batch is computed in, to save memory")
    optimizer: Optimizer = Field(default=Optimizer(), description="of every player")
    players: dict[str, dict[str, Any]] = Field(default={}, description="what differs for one player's optimizer")
    ema: Fraction | None = Field(None, description="decay of the averaged weights; default: 1 - 10/steps")
    start: Annotated[str | None, BeforeValidator(_path)] = Field(
        None,
        min_length=1,
        description="run, model folder or org/name[@revision] whose weights to start from, as far as they fit",
    )
    seed: Natural = Field(0, description="of weights, latents and batches")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description="of the networks' arithmetic")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    best: Part | None = Field(
        None,
        description="metric by whose score, against training images, the best weights are kept beside the last",
    )
    features: Part | None = Field(None, description="extractor that `best` judges with; default: as `ganzoo evaluate`")
    best_images: Annotated[int, Field(ge=2, strict=True)] = Field(
        2000, description="generated images that `best` judges, and the most training images it compares them with"
    )
    evaluate_every: Count | None = Field(
        None, description="steps between held-out errors, and scores of `best`; default: a tenth of the run"
    )
    sample_every: Count | None = Field(None, description="steps between sample grids; default: a tenth of the run")
    checkpoint_every: Count | None = Field(None, description="steps between checkpoints; default: a tenth of the run")
    log_every: Count = Field(50, description="steps between rows of metrics")
    keep_checkpoints: Count = Field(2, description="newest checkpoints kept")
    trackers: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        (), description="where metrics also go, by accelerate's names, as `wandb,mlflow`; TensorBoard's events always"
    )

    @field_serializer("penalties", "players")
    def _plain(self, value: dict[str, Any]) -> dict[str, Any]:
        return dict(value)

    @model_validator(mode="before")
    @classmethod
    def _empty_blocks(cls, value: Any) -> Any:
        if isinstance(value, dict):
            value = dict(value)
            penalties = value.get("penalties")
            if isinstance(penalties, dict):
                value["penalties"] = {n: options for n, options in penalties.items() if options is not None}
        return value

    @model_validator(mode="after")
    def _players_are_optimizers(self) -> Config:
        for name in self.players:
            try:
                self.optimizer_of(name)
            except ValidationError as error:
                raise BadConfig(_sentence(Optimizer, error, f"players.{name}.")) from error
        return self

    @model_validator(mode="after")
    def _features_are_for_best(self) -> Config:
        if self.features and not self.best:
            raise BadConfig("configuration key 'features' is what `best` judges with, and that is not said; see --best")
        return self

    def optimizer_of(self, player: str) -> Optimizer:
        """Return the optimizer of a player: `optimizer`, with what `players` says differs for it."""
        return Optimizer.model_validate(self.optimizer.model_dump() | self.players.get(player, {}))

    def every(self, what: Literal["evaluate", "sample", "checkpoint"]) -> int:
        """Return the steps between two evaluations, sample grids or checkpoints."""
        return getattr(self, f"{what}_every") or max(self.steps // 10, 1)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Config:
        """Make a configuration of plain values. Raises BadConfig with one sentence."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise BadConfig(_sentence(cls, error)) from error

    @classmethod
    def load(cls, path: str | Path) -> Config:
        """Read a JSON or YAML file. Raises BadConfig."""
        return cls.parse(read_values(Path(path)))

    @classmethod
    def of_run(cls, folder: str | PathLike[str]) -> Config | None:
        """Return the configuration of a run folder, or None where there is none. Raises BadConfig."""
        path = Path(folder) / FILE
        return cls.load(path) if path.is_file() else None

    def save(self, path: str | Path) -> None:
        """Write a JSON or (by suffix `.yaml`) YAML file."""
        Path(path).write_text(self.to_yaml() if Path(path).suffix in (".yaml", ".yml") else self.to_json())

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """Return the text of a JSON file."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def to_yaml(self) -> str:
        """Return the text of a YAML file."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-4` as text, JSON and people as a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str) -> Any:
    """Read YAML or JSON, without ever making objects of it. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)


def read_values(path: Path) -> dict[str, Any]:
    """Read the plain values of a JSON or YAML file. Raises BadConfig."""
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConfig(f"configuration {path} cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfig(f"configuration {path} is neither JSON nor YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(values, dict):
        raise BadConfig(f"configuration {path} holds no keys and values")
    return values


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return `key: old → new` for every value that differs between two configurations."""
    rows: list[str] = []
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            rows += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            rows.append(f"{prefix}{key}: {a} → {b}")
    return rows


def _sentence(model: type[BaseModel], error: ValidationError, prefix: str = "") -> str:
    errors = error.errors()
    within, owner = _locate(model, errors[0]["loc"])
    where = prefix + within
    if errors[0]["type"] == "extra_forbidden":
        known, name = list(owner.model_fields), str(errors[0]["loc"][-1])
        full = f"{where}.{name}" if within else f"{prefix}{name}"
        return f"no configuration key is called '{full}'{nearest(name, known)} Known here: {', '.join(known)}"
    if errors[0]["type"] == "missing":
        return f"configuration key '{'.'.join(map(str, errors[0]['loc']))}' is missing"
    reasons = dict.fromkeys(e["msg"].lower() for e in errors if _locate(model, e["loc"])[0] == within)
    return f"configuration key '{where}' cannot be {errors[0]['input']!r} ({', or '.join(reasons)})"


def _locate(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, type[BaseModel]]:
    """Return the dotted key of an error (without the names that pydantic gives to alternatives) and its owner."""
    keys: list[str] = []
    for part in loc:
        if str(part) not in model.model_fields:
            break
        keys.append(str(part))
        annotation = model.model_fields[str(part)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return ".".join(keys), model
