"""What a model folder says of the run that made it."""

from __future__ import annotations

from typing import Any

from ganzoo.config.schema import Config
from ganzoo.data.prepare import Dataset
from ganzoo.model.format import public_source


def public_config(config: Config) -> dict[str, Any]:
    """Return a configuration as it may be published: paths of this machine reduced to their last component."""
    run = config.to_dict()
    paths = {key: run["data"][key] for key in ("source", "split") if run["data"][key]}
    data = run["data"] | {key: public_source(path) for key, path in paths.items()}
    return {**run, "data": data, "init_from": run["init_from"] and public_source(run["init_from"])}


def data_facts(data: Dataset, config: Config) -> dict[str, Any]:
    """Return what a card says of the data."""
    source = public_source(config.data.source)
    return {
        "name": source.removeprefix("hf:"),
        "hub": source.removeprefix("hf:") if source.startswith("hf:") else None,
        "train": len(data.train),
        "labelled": len(data.labelled),
        "held_out": len(data.test),
        "validation": len(data.validation),
        "labelled_in_unlabelled": config.data.labelled_in_unlabelled,
    }
