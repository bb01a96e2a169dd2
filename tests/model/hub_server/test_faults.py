"""The loopback Hub fails as the Hub does: refusals, lost connections, wrong bytes, silence."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import (
    HfApi,
    hf_hub_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.conftest import python
from tests.hub import Fault, Hub
from tests.model.hub_server.support import ALWAYS, CALLS, EXHAUSTED, WEIGHTS, commit, download, snapshot

LOCAL = LocalEntryNotFoundError

REFUSALS = {
    (401, ""): (HfHubHTTPError, HfHubHTTPError, HfHubHTTPError, HfHubHTTPError),
    (401, "RepoNotFound"): (RepositoryNotFoundError,) * 4,
    (403, ""): (HfHubHTTPError, LOCAL, LOCAL, HfHubHTTPError),
    (403, "GatedRepo"): (GatedRepoError,) * 4,
    (404, ""): (HfHubHTTPError, LOCAL, LOCAL, HfHubHTTPError),
    (404, "RepoNotFound"): (RepositoryNotFoundError,) * 4,
    (404, "RevisionNotFound"): (RevisionNotFoundError,) * 4,
    (404, "EntryNotFound"): (RemoteEntryNotFoundError, RemoteEntryNotFoundError, LOCAL, RemoteEntryNotFoundError),
    (412, ""): (HfHubHTTPError, LOCAL, LOCAL, HfHubHTTPError),
    (429, ""): (HfHubHTTPError, LOCAL, LOCAL, HfHubHTTPError),
    (500, ""): (HfHubHTTPError, LOCAL, LOCAL, HfHubHTTPError),
}


@pytest.mark.parametrize(
    ("call", "status", "code", "error"),
    [(call, *why, e) for why, errors in REFUSALS.items() for call, e in zip(CALLS, errors, strict=True)],
)
def test_refusals(
    hub: Hub, alice: HfApi, naps: list[float], call: str, status: int, code: str, error: type[Exception]
) -> None:
    hub.faults.append(Fault(".*", "", times=ALWAYS, status=status, code=code, message="because"))
    with pytest.raises(error) as raised:
        CALLS[call](hub, alice)
    assert type(raised.value) is error
    refused = raised.value if isinstance(raised.value, HfHubHTTPError) else raised.value.__cause__
    assert isinstance(refused, HfHubHTTPError)
    assert refused.response.status_code == status
    assert "because" in str(refused)
    retries = status in (429, 500) and call in ("download", "commit")
    assert naps == (EXHAUSTED if retries else [])


@pytest.mark.parametrize("status", [429, 500])
def test_what_is_tried_again(hub: Hub, alice: HfApi, naps: list[float], status: int) -> None:
    tried = {"/preupload/": "POST", "/objects/batch": "POST", "/upload/": "PUT", "/tree/": "GET", "/api/models$": "GET"}
    hub.faults += [Fault(method, path, status=status) for path, method in tried.items()]
    commit(alice)
    assert list(alice.list_repo_tree("alice/gan"))
    assert list(alice.list_models())
    assert naps == [1] * len(tried)


@pytest.mark.parametrize("status", [400, 403, 429, 500])
def test_what_happens_to_a_commit_is_not_tried_again(hub: Hub, alice: HfApi, naps: list[float], status: int) -> None:
    hub.faults.append(Fault("POST", "/commit/", status=status))
    with pytest.raises(HfHubHTTPError):
        commit(alice)
    assert not naps
    assert len(hub.repos["alice/gan"].commits) == 2
    commit(alice)
    assert hub.count("PUT", "/upload/") == 1  # the object of the first attempt was still there


def test_a_refused_object_hides_its_cause(hub: Hub, alice: HfApi, naps: list[float]) -> None:
    hub.faults.append(Fault("PUT", "/upload/", status=503, times=ALWAYS))
    with pytest.raises(RuntimeError, match="Error while uploading") as failed:
        commit(alice)
    assert isinstance(failed.value.__cause__, HfHubHTTPError)
    assert naps == EXHAUSTED


def test_retry_after_is_kept_and_a_second_added(hub: Hub, alice: HfApi, naps: list[float]) -> None:
    hub.faults.append(Fault("POST", "/preupload/", status=429, headers={"Retry-After": "7"}))
    commit(alice)
    assert naps == [8]
    hub.faults.append(Fault("GET", "/api/models/", status=429, headers={"Retry-After": "7"}))
    with pytest.raises(HfHubHTTPError, match="429 Too Many Requests"):
        alice.model_info("alice/gan")
    assert naps == [8]


@pytest.mark.parametrize(("status", "waits"), [(401, []), (403, []), (404, []), (412, []), (429, EXHAUSTED), (500, [])])
def test_a_refusal_between_look_and_fetch(hub: Hub, naps: list[float], status: int, waits: list[int]) -> None:
    hub.faults.append(Fault("GET", "/resolve/", times=ALWAYS, status=status))
    with pytest.raises(HfHubHTTPError) as refused:
        download(hub)
    assert type(refused.value) is HfHubHTTPError
    assert naps == waits


@pytest.mark.parametrize("code", ["RepoNotFound", "GatedRepo", ""])
def test_what_is_in_the_cache_is_served_whatever_the_hub_says(hub: Hub, naps: list[float], code: str) -> None:
    found = snapshot(hub)
    hub.faults.append(Fault(".*", "", times=ALWAYS, status=403 if code else 500, code=code))
    assert download(hub) == WEIGHTS
    assert snapshot(hub) == found
    assert not naps


@pytest.mark.parametrize("call", CALLS)
def test_a_dropped_connection(hub: Hub, alice: HfApi, naps: list[float], call: str) -> None:
    hub.faults.append(Fault(".*", "", times=ALWAYS, drop=True))
    with pytest.raises(httpx2.RemoteProtocolError, match="Server disconnected without sending a response") as raised:
        CALLS[call](hub, alice)
    assert not isinstance(raised.value, OSError)
    assert naps == (EXHAUSTED if call == "commit" else [])


def test_a_connection_dropped_at_the_look_is_an_error_in_spite_of_the_cache(hub: Hub) -> None:
    download(hub)
    hub.faults.append(Fault("HEAD", "/resolve/", drop=True))
    with pytest.raises(httpx2.RemoteProtocolError):
        download(hub)


def test_a_commit_whose_answer_is_lost_happened(hub: Hub, alice: HfApi) -> None:
    hub.faults.append(Fault("POST", "/commit/", drop=True, done=True))
    with pytest.raises(httpx2.RemoteProtocolError):
        commit(alice)
    assert "new.json" in hub.repos["alice/gan"].commits[hub.repos["alice/gan"].branches["main"]]


def test_a_short_body_is_fetched_again_and_at_last_an_error(hub: Hub, naps: list[float]) -> None:
    hub.faults.append(Fault("GET", "/resolve/", cut=100))
    assert download(hub) == WEIGHTS
    assert naps == [1]
    assert [headers["Range"] for headers in hub.headers] == [None, None, None]  # a small file from its beginning
    hub.faults.append(Fault("GET", "/resolve/", cut=100, times=ALWAYS))
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending complete message body"):
        download(hub, "model.safetensors", force_download=True)
    assert naps == [1] * 6


def test_a_large_file_goes_on_where_it_stopped(hub: Hub, naps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)
    hub.faults.append(Fault("GET", "/resolve/", cut=5000))
    assert download(hub) == WEIGHTS
    assert hub.headers[-1]["Range"] == "bytes=4096-"


@pytest.mark.parametrize("body", [b"short", WEIGHTS + b"x"])
def test_a_body_of_another_length_is_an_error(hub: Hub, body: bytes, tmp_path: Path) -> None:
    hub.faults.append(Fault("GET", "/resolve/", body=body))
    with pytest.raises(OSError, match=f"Consistency check failed: file should be of size {len(WEIGHTS)}"):
        download(hub)
    assert not list(tmp_path.glob("cache/hub/*/blobs/*"))


def test_wrong_bytes_of_the_right_length_are_not_noticed_and_stay(hub: Hub) -> None:
    hub.faults.append(Fault("GET", "/resolve/", garble=True))
    wrong = download(hub)
    assert len(wrong) == len(WEIGHTS)
    assert wrong != WEIGHTS
    assert download(hub) == wrong
    assert (snapshot(hub) / "model.safetensors").read_bytes() == wrong
    assert download(hub, force_download=True) == WEIGHTS


def test_a_wrong_etag_is_believed(hub: Hub) -> None:
    hub.faults.append(Fault("HEAD", "/resolve/", etag="0" * 64))
    path = Path(hf_hub_download("alice/gan", "model.safetensors", endpoint=hub.url))
    assert path.read_bytes() == WEIGHTS
    assert path.resolve().name == "0" * 64


def test_slow_answers(hub: Hub, naps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.25)
    hub.faults.append(Fault("GET", "/resolve/", pause=0.5))
    assert download(hub) == WEIGHTS
    assert naps == [1]
    hub.faults.append(Fault("GET", "/resolve/", pause=0.08, times=ALWAYS))
    assert download(hub, force_download=True) == WEIGHTS  # the limit is for each piece, not for all of them
    assert naps == [1]
    hub.faults = [Fault("GET", "/resolve/", pause=0.5, times=ALWAYS)]
    with pytest.raises(httpx2.ReadTimeout):
        download(hub, force_download=True)
    assert naps == [1] * 6


def test_slow_looks(hub: Hub, alice: HfApi) -> None:
    hub.before("HEAD", "/resolve/", lambda: time.sleep(0.5))
    assert download(hub, etag_timeout=0.2) == WEIGHTS
    assert [method for method, _ in hub.requests] == ["HEAD", "HEAD", "GET"]
    hub.before("HEAD", "/resolve/", lambda: time.sleep(0.5))
    assert download(hub, etag_timeout=0.2) == WEIGHTS
    assert hub.count("HEAD", "/resolve/") == 3
    hub.before("GET", "/api/models/", lambda: time.sleep(0.5))
    with pytest.raises(httpx2.ReadTimeout):
        alice.model_info("alice/gan", timeout=0.2)


def test_a_hub_that_is_gone_and_comes_back(hub: Hub, alice: HfApi, naps: list[float]) -> None:
    found = snapshot(hub)
    hub.stop()
    with pytest.raises(httpx2.ConnectError) as raised:
        alice.model_info("alice/gan")
    assert not isinstance(raised.value, OSError)
    assert snapshot(hub) == found
    assert download(hub) == WEIGHTS
    for call in (download, snapshot):
        with pytest.raises(LocalEntryNotFoundError):
            call(hub, revision="other")
    hub.start()
    assert alice.model_info("alice/gan").id == "alice/gan"


def test_offline(hub: Hub, alice: HfApi, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot(hub, allow_patterns="*.safetensors")
    asked = len(hub.requests)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert download(hub) == WEIGHTS
    with pytest.raises(LocalEntryNotFoundError) as raised:
        download(hub, "config.json")
    assert isinstance(raised.value.__cause__, OfflineModeIsEnabled)
    with pytest.raises(IncompleteSnapshotError, match=r"4 file\(s\) are missing"):
        snapshot(hub)
    with pytest.raises(LocalEntryNotFoundError, match="HF_HUB_OFFLINE=0"):
        snapshot(hub, revision="other")
    for call in (lambda: alice.model_info("alice/gan"), lambda: commit(alice), lambda: list(alice.list_models())):
        with pytest.raises(OfflineModeIsEnabled, match="Cannot reach http"):
            call()
    assert len(hub.requests) == asked


def test_faults_happen_in_the_order_of_their_list(hub: Hub, alice: HfApi, naps: list[float]) -> None:
    hub.faults += [Fault("GET", "/tree/", status=500), Fault("GET", "/tree/", times=2, status=429)]
    assert list(alice.list_repo_tree("alice/gan"))
    assert naps == [1, 2, 4]
    assert hub.count("GET", "/tree/") == 4


def test_this_process_can_be_given_the_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos["alice/gan"].private = True
    with pytest.raises(RepositoryNotFoundError, match="401 Client Error"):
        huggingface_hub.model_info("alice/gan")
    hub.adopt(monkeypatch, tmp_path / "mine", "hf_alice")
    assert huggingface_hub.model_info("alice/gan").sha == hub.repos["alice/gan"].branches["main"]
    assert Path(hf_hub_download("alice/gan", "config.json")).is_relative_to(tmp_path / "mine")
    assert hub.headers[-1]["Authorization"] == "Bearer hf_alice"


PROCESS = """
import json, sys
from huggingface_hub import constants, hf_hub_download, model_info, upload_file, whoami
upload_file(path_or_fileobj=b"x" * 9, path_in_repo="new.bin", repo_id="alice/gan")
path = hf_hub_download("alice/gan", "new.bin")
json.dump([whoami()["name"], model_info("alice/gan").sha, path, open(path).read()], sys.stdout)
"""


def test_another_process(hub: Hub, tmp_path: Path) -> None:
    done = python("-c", PROCESS, cwd=tmp_path, **hub.env(tmp_path / "its", "hf_alice"))
    assert done.returncode == 0, done.stderr
    name, sha, path, text = json.loads(done.stdout)
    assert (name, sha, text) == ("alice", hub.repos["alice/gan"].branches["main"], "x" * 9)
    assert Path(path).is_relative_to(tmp_path / "its")
    assert hub.count("PUT", "/upload/") == 1
    assert hub.count(".*", "agent-harnesses") == 0
