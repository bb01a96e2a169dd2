"""What the tests of the loopback Hub share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    HfApi,
    hf_hub_download,
    snapshot_download,
)

from tests.hub import Hub

README = b"---\nlibrary_name: ganzoo\nlicense: mit\ntags:\n- gan\n- mnist\n---\n# A generator\n"

WEIGHTS = bytes(range(256)) * 64

FILES = {
    "README.md": README,
    "config.json": b'{"width": 4}',
    "model.safetensors": WEIGHTS,
    "samples/0.png": b"\x89PNG\0",
}

ALWAYS = float("inf")

EXHAUSTED = [1, 2, 4, 8, 8]


def download(hub: Hub, name: str = "model.safetensors", **more: Any) -> bytes:
    return Path(hf_hub_download("alice/gan", name, endpoint=hub.url, **more)).read_bytes()


def snapshot(hub: Hub, **more: Any) -> Path:
    return Path(snapshot_download("alice/gan", endpoint=hub.url, max_workers=1, **more))


def commit(api: HfApi, **more: Any) -> str:
    new = [CommitOperationAdd("new.json", b"{}"), CommitOperationAdd("new.safetensors", WEIGHTS[:99])]
    done: CommitInfo = api.create_commit("alice/gan", new, commit_message="new", **more)
    return done.oid


CALLS: dict[str, Callable[[Hub, HfApi], object]] = {
    "model_info": lambda hub, api: api.model_info("alice/gan"),
    "download": lambda hub, api: download(hub),
    "snapshot": lambda hub, api: snapshot(hub),
    "commit": lambda hub, api: commit(api),
}
