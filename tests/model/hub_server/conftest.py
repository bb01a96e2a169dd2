"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import (
    HfApi,
)

from tests.hub import Hub
from tests.model.hub_server.support import FILES


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub({"hf_alice": "alice", "hf_bob": "bob"}) as hub:
        hub.adopt(monkeypatch, tmp_path / "cache")
        hub.add("alice/gan", FILES)
        yield hub


@pytest.fixture
def alice(hub: Hub) -> HfApi:
    return HfApi(hub.url, token="hf_alice")


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client wants to wait between its attempts, instead of waiting."""
    seconds: list[float] = []
    for module in ("utils._http", "file_download"):
        monkeypatch.setattr(f"huggingface_hub.{module}.time", SimpleNamespace(sleep=seconds.append))
    return seconds
