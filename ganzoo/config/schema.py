"""What a run is, as data: every value that decides its result, and nothing else."""

from __future__ import annotations

import json
import re
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    model_validator,
)

from ganzoo.config.files import read_values
from ganzoo.config.keys import COMPONENT_KEYS
from ganzoo.config.migrate import FORMAT, migrate_values, renamed_key
from ganzoo.errors import BadConfig, nearest

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Finite = Annotated[float, Field(ge=-1e300, le=1e300, strict=True)]
SIZE = r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$"
PER_CLASS = r"^per-class=[1-9][0-9]{0,8}$"
FILE = "config.json"
"""Name of the configuration file in a run folder."""


def _path(value: Any) -> Any:
    return str(value) if isinstance(value, PathLike) else value


def _size(value: Any) -> Any:
    """Return a size of equal sides as one number, as in `32x32`."""
    text = value.replace("×", "x") if isinstance(value, str) else value
    if isinstance(text, str) and re.fullmatch(SIZE, text):
        height, _, width = text.partition("x")
        return int(height) if height == width else text
    return int(text) if isinstance(text, str) and text.isdecimal() else text


def _ascending(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError("the first number has to be below the second")
    return value


def _names(value: Any) -> Any:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class ComponentConfig(BaseModel):
    """A component and its options, written `dcgan` or `{name: dcgan, width: 64}`."""

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
    level: Count | None = Field(
        None, description="depth of the folders that are classes, as 2 for `animals/birds/1.png`; default: 1"
    )
    size: Annotated[Count | Annotated[str, Field(pattern=SIZE)] | None, BeforeValidator(_size)] = Field(
        None, description="pixels a side, or height × width as `64x96`; default: what fits the images and the networks"
    )
    channels: Literal[1, 3, 4] | None = Field(None, description="1 grey, 3 RGB, 4 RGBA; default: as the images are")
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="how other aspect ratios are made square")
    range: Annotated[tuple[Finite, Finite], AfterValidator(_ascending)] | None = Field(
        None,
        description="values that become black and white in images deeper than 8 bits, as `[0, 4095]`; those beyond are "
        "clipped; default: by header or type",
    )
    split: Annotated[str | None, BeforeValidator(_path)] = Field(
        None, min_length=1, description="run folder or split file whose held-out images and labels to use again"
    )
    labels: Count | Literal["all"] | Annotated[str, Field(pattern=PER_CLASS)] = Field(
        "all", description="training images whose label may be seen: a number, `per-class=10`; with `split`, its own"
    )
    label_distribution: Literal["balanced", "natural"] = Field(
        "balanced", description="of a number of labels over the classes: as even as possible, or as in the data"
    )
    split_seed: Natural = Field(0, description="which of them")
    test_fraction: Fraction | None = Field(
        None, description="held out where the data set has no test part; default: 0.2, or 0 where labels are scarce"
    )
    test_seed: Natural = Field(
        0, description="which images that is; apart from split_seed, so that splits stay comparable"
    )
    validation: Natural = Field(
        0, description="labelled images left out of training, which `best` may look at; by split_seed, balanced"
    )
    labelled_in_unlabelled: bool = Field(True, description="whether labelled images are also used without their label")
    label_sampling: Literal["uniform", "balanced"] = Field(
        "uniform", description="labelled images of a batch: each image as often, or each class as often"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="of the labelled images in the loss: none, or inverse to the number of labels of a class"
    )
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
    cache: bool = Field(True, description="keep decoded images for later runs; see `ganzoo cache`")
    memory: Count = Field(
        2**31, description="bytes up to which images are held in the memory of a GPU, or decoded without the cache"
    )
    workers: Natural = Field(2, description="processes that decode streamed images")

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width in pixels, if they are set."""
        if isinstance(self.size, str):
            height, _, width = self.size.partition("x")
            return int(height), int(width)
        return (self.size, self.size) if self.size else None


class Optimizer(Strict):
    """Adam, and its learning-rate schedule over the run."""

    lr: Positive = Field(2e-4, description="learning rate")
    beta1: Fraction = Field(0.5, description="decay of Adam's first moment")
    beta2: Fraction = Field(0.999, description="decay of Adam's second moment")
    eps: Positive = Field(1e-8, description="Adam's epsilon")
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="decoupled weight decay (AdamW)"
    )
    schedule: Literal["constant", "linear", "cosine"] = Field("constant", description="learning rate over the run")
    decay_start: Fraction = Field(0.0, description="fraction of the run after which the learning rate begins to decay")
    decay_end: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="fraction of the run after which the decay is complete; at a rate of 0 updates are skipped"
    )
    final_lr_ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="learning rate at the end of the decay, as a fraction of `lr`"
    )
    final_beta2: Fraction | None = Field(
        None, description="beta2 at the end of the decay, reached along the same curve"
    )
    updates_per_step: Count = Field(1, description="optimizer updates in each step (n_critic of WGAN)")

    @model_validator(mode="after")
    def _schedule_has_length(self) -> Optimizer:
        if self.decay_end <= self.decay_start:
            raise ValueError(f"decay_end {self.decay_end} is not after decay_start {self.decay_start}")
        return self


class Config(Strict):
    """The configuration of a run. `save` and `load` are inverse to each other."""

    generator: ComponentConfig = Field(description="latents to images")
    discriminator: ComponentConfig = Field(description="trunk that maps images to features; the strategy adds the head")
    loss: ComponentConfig = Field(description="adversarial loss")
    ssl: ComponentConfig = Field(description="semi-supervised strategy")
    penalties: dict[str, dict[str, Any]] = Field(
        default={}, description="penalties by name, with their options; null removes one"
    )
    augment: ComponentConfig | None = Field(None, description="augmentation of the discriminator's input")
    data: DataConfig = Field(description="images and labels")
    steps: Count = Field(1000, description="iterations")
    batch_size: Count = Field(
        64, description="unlabelled, and generated, images in a step, over all processes and micro-batches"
    )
    labelled_batch_size: Count | None = Field(None, description="labelled images in a step; default: as `batch_size`")
    gradient_accumulation_steps: Count = Field(
        1, description="micro-batches that a batch is divided into, to save memory"
    )
    optimizer: Optimizer = Field(default=Optimizer(), description="optimizer settings of every player")
    players: dict[str, dict[str, Any]] = Field(
        default={}, description="optimizer settings that differ for one player, by its name"
    )
    ema: Fraction | None = Field(None, description="decay of the averaged weights; default: 1 - 10/steps")
    init_from: Annotated[str | None, BeforeValidator(_path)] = Field(
        None,
        min_length=1,
        description="run, model folder or org/name[@revision] whose weights initialise the networks where shapes match",
    )
    seed: Natural = Field(0, description="seed of weights, latents and batches")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description="arithmetic of the networks")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    best_metric: ComponentConfig | None = Field(
        None,
        description="metric whose score, computed on training images, selects the best weights, kept beside the last",
    )
    extractor: ComponentConfig | None = Field(
        None, description="feature extractor of `best_metric`; default: as `ganzoo evaluate`"
    )
    best_metric_images: Annotated[int, Field(ge=2, strict=True)] = Field(
        2000, description="generated images, and at most so many training images, that `best_metric` compares"
    )
    evaluate_every: Count | None = Field(
        None, description="steps between evaluations of error and `best_metric`; default: a tenth of the run"
    )
    sample_every: Count | None = Field(None, description="steps between sample grids; default: a tenth of the run")
    checkpoint_every: Count | None = Field(None, description="steps between checkpoints; default: a tenth of the run")
    log_every: Count = Field(50, description="steps between rows of metrics")
    keep_checkpoints: Count = Field(2, description="number of checkpoints that are kept, the newest ones")
    trackers: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        (), description="trackers by accelerate's names, as `wandb,mlflow`; TensorBoard events are always written"
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
    def _extractor_needs_metric(self) -> Config:
        if self.extractor and not self.best_metric:
            raise BadConfig("configuration key 'extractor' is used by `best_metric` only; set that too: --best-metric")
        return self

    def optimizer_of(self, player: str) -> Optimizer:
        """Return the optimizer settings of a player: those of `optimizer`, overridden by `players`."""
        return Optimizer.model_validate(self.optimizer.model_dump() | self.players.get(player, {}))

    def every(self, what: Literal["evaluate", "sample", "checkpoint"]) -> int:
        """Return the number of steps between two evaluations, sample grids or checkpoints."""
        return getattr(self, f"{what}_every") or max(self.steps // 10, 1)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Config:
        """Create a configuration from plain values.

        Args:
            values: Nested values, as a YAML file holds them.

        Raises:
            BadConfig: A key is unknown or missing, or a value is invalid.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise BadConfig(_sentence(cls, error)) from error

    @classmethod
    def load(cls, path: str | Path) -> Config:
        """Read a JSON or YAML file that `save` or a user wrote.

        Raises:
            BadConfig: The file cannot be read, or is no configuration.
        """
        return cls.restore(read_values(Path(path)), Path(path).name == FILE)

    @classmethod
    def restore(cls, values: dict[str, Any], own: bool = True) -> Config:
        """Create a configuration from values that this or an earlier version of the library stored.

        Args:
            values: Values with the key `format`, which says how keys are called; without it, format 1.
            own: Whether the library wrote them. Values of users without `format` are of the present format.

        Raises:
            BadConfig: The values are invalid, or of a later version.
        """
        values = dict(values)
        found = values.pop("format", 1 if own else FORMAT)
        return cls.parse(migrate_values(values, found))

    @classmethod
    def of_run(cls, folder: str | PathLike[str]) -> Config | None:
        """Return the configuration of a run folder, or None if there is none.

        Raises:
            BadConfig: The file is damaged.
        """
        path = Path(folder) / FILE
        return cls.load(path) if path.is_file() else None

    def save(self, path: str | Path) -> None:
        """Write a JSON file, or a YAML file if the suffix is `.yaml` or `.yml`."""
        Path(path).write_text(self.to_yaml() if Path(path).suffix in (".yaml", ".yml") else self.to_json())

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return self.model_dump(mode="json")

    def stored(self) -> dict[str, Any]:
        """Return plain JSON values with the format, as `restore` reads them."""
        return {"format": FORMAT, **self.to_dict()}

    def components(self) -> list[tuple[str, str]]:
        """Return (kind, name) of every component that the configuration names, data sets included."""
        named = {key: getattr(self, key) for key in COMPONENT_KEYS}
        found = [(COMPONENT_KEYS[key], component.name) for key, component in named.items() if component]
        return [*found, *(("penalty", name) for name in self.penalties), ("dataset", self.data.source)]

    def to_json(self) -> str:
        """Return the text of a JSON file."""
        return json.dumps(self.stored(), indent=2) + "\n"

    def to_yaml(self) -> str:
        """Return the text of a YAML file."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


def _sentence(model: type[BaseModel], error: ValidationError, prefix: str = "") -> str:
    errors = error.errors()
    within, owner = _locate(model, errors[0]["loc"])
    where = prefix + within
    if errors[0]["type"] == "extra_forbidden":
        known, name = list(owner.model_fields), str(errors[0]["loc"][-1])
        full = f"{where}.{name}" if within else f"{prefix}{name}"
        if new := renamed_key(full):
            return f"configuration key '{full}' is now called '{new}'"
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
