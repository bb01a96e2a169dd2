"""The card of a model: what it is, how to use it, and the facts of its making."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from ganzoo.component import Component, describe
from ganzoo.errors import CorruptFile, GanzooError
from ganzoo.hub import PLACEHOLDER, TAG
from ganzoo.registry import installed
from ganzoo.storage import write_file

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    from ganzoo.metrics import Score

UNSAID = "Its publisher has not said; ask before you use it."
COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}


def render(config: Mapping[str, Any], repo: str = PLACEHOLDER, pictures: Sequence[str] = ()) -> str:
    """Return the text of a card.

    config: what a model folder's `config.json` holds. repo: what the model is called on the Hub, when that is known.
    pictures: those that lie beside the card.
    """
    from huggingface_hub import ModelCardData
    from jinja2 import ChainableUndefined, Environment

    run, metrics = config.get("run") or {}, config.get("metrics") or {}
    facts = {
        "repo": repo,
        "config": config,
        "run": run,
        "metrics": metrics,
        "data": config.get("data") or {},
        "environment": config.get("environment") or {},
        "seconds": config.get("seconds"),
        "step": config.get("step"),
        "colours": COLOURS[config["shape"]["channels"]],
        "conditional": run.get("generator", {}).get("conditional", False),
        "generates": "generator.safetensors" in config["sha256"],
        "classifies": bool(metrics),
        "parts": {kind: part["name"].rpartition("/")[2] for kind, part in config["components"].items()},
        "command": command(config),
        "recipe": yaml.safe_dump(dict(run), sort_keys=False, allow_unicode=True).rstrip(),
        "papers": [*papers(run)],
        "licence": f"{config['license']}." if config.get("license") else UNSAID,
        "pictures": pictures,
    }
    known = ModelCardData(
        library_name="ganzoo",
        pipeline_tag="unconditional-image-generation" if facts["generates"] else "image-classification",
        tags=[TAG, "gan", *(["semi-supervised-learning"] if metrics else []), facts["parts"]["generator"]],
        datasets=[named] if (named := facts["data"].get("hub")) else None,
        model_name=repo,
        license=config.get("license"),
        eval_results=results(facts["data"], metrics, config),
    )
    template = files("ganzoo").joinpath("card.md.jinja").read_text(encoding="utf-8")
    drawn = Environment(undefined=ChainableUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return drawn.from_string(template).render(**facts, header=known.to_yaml())


def results(data: Mapping[str, Any], metrics: Mapping[str, Any], config: Mapping[str, Any]) -> list[Any] | None:
    """Return the held-out accuracy as the Hub's `model-index` has it, with what it was measured on."""
    from huggingface_hub import EvalResult

    if not metrics:
        return None
    split = (config.get("split") or "unknown")[:8]
    name = str(data.get("name") or "images")
    return [
        EvalResult(
            task_type="image-classification",
            dataset_type=str(data.get("hub") or name),
            dataset_name=f"{name} ({metrics['held_out']:,} held-out images)",
            dataset_split="held out",
            metric_type="accuracy",
            metric_name=f"accuracy, {metrics['weights']} weights, step {metrics['step']}, split {split}",
            metric_value=round(1 - metrics["error"], 6),
        )
    ]


def tell_licence(card: Path, licence: str) -> None:
    """Put a licence into the header and the text of a card, and leave the rest as it is. Raises CorruptFile."""
    read = opened(card)
    cast("ModelCardData", read.data).license = licence
    write_file(card, str(read).replace(UNSAID, f"{licence}.").encode())


def opened(card: Path) -> ModelCard:
    """Return a card, its header read. Raises CorruptFile when that cannot be read."""
    from huggingface_hub import ModelCard

    try:
        return ModelCard(card.read_text(encoding="utf-8"), ignore_metadata_errors=False)
    except (ValueError, yaml.YAMLError) as error:
        raise CorruptFile(f"the header of {card} cannot be read ({describe(error)}); mend it by hand") from error


def tell_scores(card: Path, scores: Sequence[Score]) -> None:
    """Put scores into the header of a card, as `model-index` with their stamps, for those that it had of this kind.

    What else the card says stays as it is. Raises CorruptFile for a header that cannot be read.
    """
    read = opened(card)
    told = cast("ModelCardData", read.data)
    others = [result for result in told.eval_results or [] if not result.metric_args]
    told.model_name = told.model_name or PLACEHOLDER
    told.eval_results = [*others, *(result for score in scores for result in stamped(score))]
    write_file(card, str(read).encode())


def stamped(score: Score) -> Iterator[EvalResult]:
    """Return the values of a score as the Hub's `model-index` has them, its stamp as arguments of the metric."""
    from huggingface_hub import EvalResult

    stamp = asdict(score.stamp)
    by = f"{stamp['extractor']} {stamp['extractor_sha256'][:8]}" if stamp["extractor"] else ""
    fake = f"{stamp['fake_count']:,} generated" if stamp["fake_count"] else ""
    told = [part for part in (by, fake, f"{stamp['real_count']:,} real", f"{stamp['weights']} weights") if part]
    for name, value in score.values.items():
        if "/" not in name:  # those of one class are in scores.json
            yield EvalResult(
                task_type="unconditional-image-generation" if fake else "image-classification",
                dataset_type=stamp["real"].partition(",")[0],
                dataset_name=stamp["real"],
                metric_type=name,
                metric_name=f"{name} ({', '.join(told)})",
                metric_value=round(value, 6),
                metric_args=stamp,
            )


def command(config: Mapping[str, Any]) -> str:
    """Return a command that trains with the whole configuration of a model's run, which it writes to a file first."""
    source = (config.get("run") or {}).get("data", {}).get("source", "")
    return f"ganzoo train --config run.yaml{f' --data {shlex.quote(source)}' if source else ''}"


def papers(run: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Return (kind, name, paper) of every component of a run that has a paper and is installed."""
    named = [
        (kind, (run.get(kind) or {}).get("name")) for kind in ("generator", "discriminator", "loss", "ssl", "augment")
    ]
    for kind, name in [*named, *(("penalty", name) for name in run.get("penalties", {}))]:
        if name and (component := _component(kind, name)) and component.paper:
            yield kind, name.partition("/")[2] or name, component.paper


def _component(kind: str, name: str) -> Component | None:
    try:
        return installed().get(kind, name).component
    except GanzooError:  # as where two plugins now offer that name
        return None


def public_source(source: str) -> str:
    """Return how data are called in public: a folder of this machine by its last part alone."""
    path = Path(source).expanduser()
    return path.resolve().name if path.exists() else source


def curve(rows: Sequence[Mapping[str, float]]) -> bytes:
    """Return a picture of a run's metrics: its terms, and below them the held-out error where there is one."""
    from io import BytesIO

    from matplotlib.figure import Figure

    names = [*dict.fromkeys(name for row in rows for name in row if "/" in name)]
    errors = any("error" in row for row in rows)
    figure = Figure(figsize=(7, 5 if errors else 3), layout="constrained")
    axes = figure.subplots(1 + errors, 1, sharex=True, squeeze=False)[:, 0]
    axes[0].set_yscale("symlog", linthresh=1)  # terms of a hundred and of a hundredth are both to be seen
    for name in names:
        axes[0].plot(*zip(*((row["step"], row[name]) for row in rows if name in row), strict=True), label=name, lw=1)
    for name, label in (("error", "averaged weights"), ("error_raw", "raw weights")) if errors else ():
        axes[1].plot(*zip(*((r["step"], 100 * r[name]) for r in rows if name in r), strict=True), ".-", label=label)
        axes[1].set_ylabel("held-out error (%)")
    for axis in axes:
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=7)
    axes[-1].set_xlabel("step")
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()
