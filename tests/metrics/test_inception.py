"""The extractor `inception`: against torch-fidelity's own on the same weights, which are random here; and its weights'
way from a server, without unpickling them."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from ganzoo_zoo.extractors import inception
from ganzoo_zoo.extractors.checkpoint import read_checkpoint
from torch import Tensor, nn

import ganzoo
from ganzoo.errors import BadOption, CorruptFile, MissingExtra

LAYOUTS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@LAYOUTS
def test_tensors_are_read_without_unpickling(zipped: bool, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(300, 5))
    network(torch.randn(2, 3, 8, 302))
    state, trap = network.state_dict(), tmp_path / "trap"
    torch.save({**state, "more": Touch(trap)}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "w.pth", state)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], x) and found[name].dtype == x.dtype for name, x in state.items())
    assert not trap.exists()
    assert int(found["1.num_batches_tracked"]) == 1
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert trap.exists()  # it was one


@LAYOUTS
def test_what_is_not_such_a_file_is_refused(zipped: bool, tmp_path: Path) -> None:
    state, path = nn.Linear(300, 50).state_dict(), tmp_path / "w.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    wrong: dict[str, Any] = {
        "cut short": whole[: len(whole) // 2],
        "another thing": pickle.dumps({"weight": [1.0]}),
        "text": b"<html>not found</html>",
        "nothing": b"",
    }
    for content in wrong.values():
        path.write_bytes(content)
        with pytest.raises(CorruptFile, match="cannot be read as the tensors of a network"):
            read_checkpoint(path, state)
    path.write_bytes(whole)
    with pytest.raises(CorruptFile, match="gamma"):
        read_checkpoint(path, {**state, "gamma": torch.ones(1)})
    with pytest.raises(CorruptFile, match="cannot be read"):
        read_checkpoint(path, {**state, "bias": torch.ones(51)})


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Random weights, whose activations neither vanish nor grow."""
    torch.manual_seed(0)
    made = inception.build_network()
    for module in made.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return made.state_dict()


@pytest.fixture
def published(weights: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server on loopback with random weights in place of the published ones; yields the addresses asked for."""
    (tmp_path / "server").mkdir()
    file = tmp_path / "server" / "weights.pth"
    torch.save(weights, file, _use_new_zipfile_serialization=False)
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(file.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(inception, "URL", f"http://127.0.0.1:{server.server_port}/weights.pth")
        monkeypatch.setattr(inception, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield asked
        server.shutdown()


def test_features_and_logits_are_those_of_torch_fidelity(
    published: list[str], weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: weights)
    reference = theirs.FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])
    found: Any = ganzoo.create("extractor", "inception")
    images = torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for ours, wanted in zip(found(images), reference(images), strict=True):
        assert ours.std() > 1e-3  # it is about something
        torch.testing.assert_close(ours, wanted)
    grey = images[:1, :1]
    torch.testing.assert_close(found(grey)[0], reference(grey.expand(-1, 3, -1, -1))[0])
    assert found.sha256 == inception.SHA256
    ganzoo.create("extractor", "inception")
    assert published == ["/weights.pth"]  # the second one is made of what the first one fetched


def test_evaluate_with_inception(published: list[str], cli: Callable[..., Result], tmp_path: Path) -> None:
    ganzoo.train({"gen.width": 4, "disc.width": 4, "data.size": 16, "batch_size": 8, "steps": 1}, tmp_path / "r")
    words = ["--extractor", "inception", "--metrics", "kid,is", "--set", "is.splits=2", "--json"]
    done = cli("evaluate", "r", "-n", 4, *words)
    assert done.exit_code == 0, done.output
    stamp = json.loads(done.stdout)["kid"]["stamp"]
    assert (stamp["extractor"], stamp["extractor_sha256"]) == ("zoo/inception", inception.SHA256)
    assert stamp["resize"] == "bilinear as in TensorFlow 1, to 299×299"


def test_weights_that_cannot_be_had_are_one_sentence(
    published: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "cache" / "ganzoo" / "extractors"
    (tmp_path / "server" / "weights.pth").write_bytes(b"an error page")
    with pytest.raises(BadOption, match=r"cannot be downloaded \(invalid hash value .* --set extractor.weights=FILE"):
        inception.Inception()
    assert not any(kept.iterdir())  # nothing of it stays
    monkeypatch.setattr(inception, "URL", "http://127.0.0.1:9/weights.pth")
    with pytest.raises(BadOption, match="refused"):
        inception.Inception()
    (kept / "weights.pth").write_bytes(b"cut short")
    with pytest.raises(CorruptFile, match=r"weights.pth does not hold the published weights: .* delete it"):
        inception.Inception()
    with pytest.raises(CorruptFile, match="cannot be read from nowhere"):
        inception.Inception(weights="nowhere")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(MissingExtra, match=r"pip install 'torch-ganzoo\[fidelity\]'"):
        inception.Inception()
