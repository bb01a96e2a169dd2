"""The card of a model: what it is, how to use it, and how it was trained."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ganzoo.base.storage import write_file
from ganzoo.config.keys import COMPONENT_KEYS
from ganzoo.errors import CorruptFile, GanzooError
from ganzoo.model.hub import PLACEHOLDER
from ganzoo.model.hub_client import TAG
from ganzoo.registry.component import Component, describe
from ganzoo.registry.discovery import installed

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

UNSTATED = "The publisher has not stated a licence; ask before you use the model."
FORMER_UNSTATED = "Its publisher has not said; ask before you use it."
"""Sentences of a card without a licence, now and in earlier versions."""
COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}


def render(config: Mapping[str, Any], repo: str = PLACEHOLDER, pictures: Sequence[str] = ()) -> str:
    """Render the card of a model.

    Args:
        config: Content of the `config.json` of the model folder.
        repo: Name of the model on the Hub, if it is known.
        pictures: Names of the pictures beside the card.

    Returns:
        The card as Markdown with a YAML header.
    """
    import yaml
    from huggingface_hub import ModelCardData
    from jinja2 import ChainableUndefined, Environment

    run, metrics = config.get("run") or {}, config.get("metrics") or {}
    values = {
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
        "by_class": [*zip(config["class_names"], metrics.get("recall", ()), metrics.get("support", ()), strict=False)],
        "components": {kind: c["name"].rpartition("/")[2] for kind, c in config["components"].items()},
        "command": training_command(config),
        "recipe": yaml.safe_dump(dict(run), sort_keys=False, allow_unicode=True).rstrip(),
        "papers": [*papers(run)],
        "licence": f"{config['license']}." if config.get("license") else UNSTATED,
        "pictures": pictures,
    }
    header = ModelCardData(
        library_name="ganzoo",
        pipeline_tag="unconditional-image-generation" if values["generates"] else "image-classification",
        tags=[TAG, "gan", *(["semi-supervised-learning"] if metrics else []), values["components"]["generator"]],
        datasets=[name] if (name := values["data"].get("hub")) else None,
        model_name=repo,
        license=config.get("license"),
        eval_results=held_out_results(values["data"], metrics, config),
    )
    template = files("ganzoo.model").joinpath("card.md.jinja").read_text(encoding="utf-8")
    environment = Environment(
        undefined=ChainableUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(template).render(**values, header=header.to_yaml())


def held_out_results(
    data: Mapping[str, Any], metrics: Mapping[str, Any], config: Mapping[str, Any]
) -> list[EvalResult] | None:
    """Return the accuracy, balanced accuracy and macro F1 of held-out images as entries of the Hub's `model-index`.

    Args:
        data: Description of the data.
        metrics: Measures, number of held-out images, weights and step; empty if there is no classifier.
        config: Content of `config.json`.
    """
    from huggingface_hub import EvalResult

    if not metrics:
        return None
    split = (config.get("split") or "unknown")[:8]
    name = str(data.get("name") or "images")
    values = {("accuracy", "accuracy"): 1 - metrics["error"]}
    if (balanced_error := metrics.get("balanced_error")) is not None:
        values["balanced_accuracy", "balanced accuracy"] = 1 - balanced_error
    if (macro_f1 := metrics.get("macro_f1")) is not None:
        values["f1", "macro F1"] = macro_f1
    return [
        EvalResult(
            task_type="image-classification",
            dataset_type=str(data.get("hub") or name),
            dataset_name=f"{name} ({metrics['held_out']:,} held-out images)",
            dataset_split="held out",
            metric_type=kind,
            metric_name=f"{label}, {metrics['weights']} weights, step {metrics['step']}, split {split}",
            metric_value=round(value, 6),
        )
        for (kind, label), value in values.items()
    ]


def set_licence(card: Path, licence: str) -> None:
    """Write a licence into the header and the text of a card. The rest is not changed.

    Args:
        card: Path of the card.
        licence: Name of the licence, as the Hub calls it.

    Raises:
        CorruptFile: The header of the card is damaged.
    """
    document = open_card(card)
    cast("ModelCardData", document.data).license = licence
    text = str(document)
    for sentence in (UNSTATED, FORMER_UNSTATED):
        text = text.replace(sentence, f"{licence}.")
    write_file(card, text.encode())


def open_card(card: Path) -> ModelCard:
    """Read a card and parse its header.

    Raises:
        CorruptFile: The header cannot be parsed.
    """
    import yaml
    from huggingface_hub import ModelCard

    try:
        return ModelCard(card.read_text(encoding="utf-8"), ignore_metadata_errors=False)
    except (ValueError, yaml.YAMLError) as error:
        raise CorruptFile(f"the header of {card} cannot be parsed ({describe(error)}); correct it by hand") from error


def training_command(config: Mapping[str, Any]) -> str:
    """Return the command that trains a model again, given its configuration as `run.yaml`."""
    source = (config.get("run") or {}).get("data", {}).get("source", "")
    return f"ganzoo train --config run.yaml{f' --data {shlex.quote(source)}' if source else ''}"


def papers(run: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """List the papers of the components of a run that are installed.

    Args:
        run: Configuration of the run.

    Yields:
        (kind, name, paper) of each component that has a paper.
    """
    named = [(kind, (run.get(key) or {}).get("name")) for key, kind in COMPONENT_KEYS.items()]
    for kind, name in [*named, *(("penalty", name) for name in run.get("penalties", {}))]:
        if name and (component := _component(kind, name)) and component.paper:
            yield kind, name.partition("/")[2] or name, component.paper


def _component(kind: str, name: str) -> Component | None:
    try:
        return installed().get(kind, name).component
    except GanzooError:  # for example, two plugins now have a component of that name
        return None
