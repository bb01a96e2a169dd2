"""The Hub of the tests behaves as the real client expects, and what the client makes of every fault."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    BadRequestError,
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


# What the Hub does


def test_a_repository_is_created_once(hub: Hub, alice: HfApi) -> None:
    assert alice.create_repo("alice/new", private=True) == f"{hub.url}/alice/new"
    assert hub.repos["alice/new"].private
    with pytest.raises(HfHubHTTPError, match="You already created this model repo") as refused:
        alice.create_repo("alice/new")
    assert refused.value.response.status_code == 409
    assert alice.create_repo("alice/new", exist_ok=True).repo_id == "alice/new"
    with pytest.raises(HfHubHTTPError, match="don't have the rights"):
        alice.create_repo("bob/new")
    alice.delete_repo("alice/new")
    assert "alice/new" not in hub.repos
    with pytest.raises(RepositoryNotFoundError):
        alice.delete_repo("alice/new")


def test_what_is_told_of_a_repository(hub: Hub, alice: HfApi) -> None:
    repo = hub.repos["alice/gan"]
    first = repo.branches["main"]
    repo.tags["v1"] = first
    repo.commit({"config.json": None})
    info = alice.model_info("alice/gan", revision="v1", files_metadata=True)
    assert (info.sha, info.author, info.library_name) == (first, "alice", "ganzoo")
    assert info.tags == ["ganzoo", "gan", "mnist", "license:mit"]
    files = {file.rfilename: file for file in info.siblings or []}
    assert {*FILES, ".gitattributes"} == set(files)
    assert files["config.json"].lfs is None
    assert files["config.json"].size == len(FILES["config.json"])
    assert files["model.safetensors"].lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()  # type: ignore[union-attr]
    assert "config.json" not in {file.rfilename for file in alice.model_info("alice/gan").siblings or []}
    assert alice.repo_info("alice/gan", revision=first).sha == first


def test_the_tree(alice: HfApi) -> None:
    top = {entry.path for entry in alice.list_repo_tree("alice/gan")}
    assert top == {"README.md", "config.json", "model.safetensors", "samples", ".gitattributes"}
    assert [entry.path for entry in alice.list_repo_tree("alice/gan", "samples")] == ["samples/0.png"]
    assert "samples/0.png" in alice.list_repo_files("alice/gan")
    with pytest.raises(RemoteEntryNotFoundError):
        list(alice.list_repo_tree("alice/gan", "nothing"))


def test_the_listing(hub: Hub, alice: HfApi) -> None:
    hub.add("bob/gan", {"README.md": README})
    hub.add("bob/bert", {"README.md": b"---\ntags:\n- text\n---\n"})
    hub.add("bob/secret", {"README.md": README}, private=True)
    assert {info.id for info in alice.list_models(filter="ganzoo")} == {"alice/gan", "bob/gan"}
    assert {info.id for info in alice.list_models(author="bob")} == {"bob/gan", "bob/bert"}
    assert {info.id for info in HfApi(hub.url, token="hf_bob").list_models(search="SECRET")} == {"bob/secret"}
    assert [info.id for info in alice.list_models(filter=["ganzoo", "gan"], limit=1)] == ["alice/gan"]
    brief, full = (next(iter(alice.list_models(author="alice", full=full))) for full in (False, True))
    assert (brief.sha, brief.siblings) == (None, None)
    assert full.sha == hub.repos["alice/gan"].branches["main"]


def test_a_commit_brings_regular_and_lfs_files(hub: Hub, alice: HfApi, tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_bytes(b"x" * ((10 << 20) + 1))
    new: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd("config.json", b"{}"),
        CommitOperationAdd("big.txt", tmp_path / "big.txt"),
        CommitOperationAdd("empty.bin", b""),
        CommitOperationDelete("samples/", is_folder=True),
    ]
    sha = alice.create_commit("alice/gan", new, commit_message="change").oid
    files = hub.repos["alice/gan"].commits[sha]
    assert set(files) == {".gitattributes", "README.md", "config.json", "model.safetensors", "big.txt", "empty.bin"}
    assert (files["config.json"], files["empty.bin"], len(files["big.txt"])) == (b"{}", b"", (10 << 20) + 1)
    assert hub.count("PUT", "^/upload/alice/gan/") == 1
    with pytest.raises(RemoteEntryNotFoundError, match="A file with this name doesn't exist"):
        alice.delete_file("nothing", "alice/gan")


def test_a_folder_is_uploaded_and_its_card_checked(hub: Hub, alice: HfApi, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "README.md").write_bytes(README)
    (folder / "model.pt").write_bytes(WEIGHTS[1:])
    sha = alice.upload_folder(repo_id="alice/gan", folder_path=folder, delete_patterns="*.safetensors").oid
    assert hub.repos["alice/gan"].commits[sha]["model.pt"] == WEIGHTS[1:]
    assert "model.safetensors" not in hub.repos["alice/gan"].commits[sha]
    (folder / "README.md").write_text("no metadata")
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        alice.upload_folder(repo_id="alice/gan", folder_path=folder)
    hub.faults.append(Fault("POST", "/api/validate-yaml", status=400))
    with pytest.raises(ValueError, match=r"Invalid metadata in README\.md"):
        alice.upload_folder(repo_id="alice/gan", folder_path=folder)


def test_nothing_new_is_neither_sent_nor_committed(hub: Hub, alice: HfApi) -> None:
    first = commit(alice)
    assert hub.count("PUT", "/upload/") == 1
    assert commit(alice) == first
    alice.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="copy.safetensors", repo_id="alice/gan")
    assert hub.count("PUT", "/upload/") == 1
    assert hub.count("POST", "/commit/") == 2


def test_bytes_that_are_not_those_promised_are_refused(hub: Hub, alice: HfApi, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"before")
    hub.before("POST", "/objects/batch", lambda: file.write_bytes(b"after!"))
    with pytest.raises(RuntimeError, match="Error while uploading") as failed:
        alice.upload_file(path_or_fileobj=file, path_in_repo="model.bin", repo_id="alice/gan")
    assert isinstance(failed.value.__cause__, BadRequestError)
    assert hub.count("POST", "/commit/") == 0


def test_somebody_elses_commit_is_a_conflict(hub: Hub, alice: HfApi) -> None:
    repo = hub.repos["alice/gan"]
    head = repo.branches["main"]
    hub.before("POST", "/commit/", lambda: repo.commit({"theirs": b"1"}))
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as refused:
        commit(alice, parent_commit=head)
    assert refused.value.response.status_code == 412
    assert "new.json" not in repo.commits[repo.branches["main"]]
    sha = commit(alice, parent_commit=repo.branches["main"][:9])
    assert {"theirs", "new.json"} <= set(repo.commits[sha])
    assert commit(alice, parent_commit=head) == sha  # the client commits nothing, and so checks nothing


def test_branches(hub: Hub, alice: HfApi) -> None:
    main = hub.repos["alice/gan"].branches["main"]
    alice.create_branch("alice/gan", branch="run/1")
    sha = commit(alice, revision="run/1")
    assert download(hub, "new.json", revision="run/1") == b"{}"
    assert (alice.model_info("alice/gan").sha, alice.model_info("alice/gan", revision="run/1").sha) == (main, sha)
    alice.create_branch("alice/gan", branch="run/1", exist_ok=True)
    with pytest.raises(HfHubHTTPError, match="Reference already exists"):
        alice.create_branch("alice/gan", branch="run/1")
    for revision in ("nothing", main):
        with pytest.raises(RevisionNotFoundError):
            commit(alice, revision=revision)


def test_a_pull_request_is_refused_and_not_taken_for_a_commit(hub: Hub, alice: HfApi) -> None:
    with pytest.raises(HfHubHTTPError, match="no pull requests"):
        commit(alice, create_pr=True)


def test_files_are_fetched_once_and_named_by_their_content(hub: Hub, tmp_path: Path) -> None:
    path = Path(hf_hub_download("alice/gan", "model.safetensors", endpoint=hub.url))
    assert path.read_bytes() == WEIGHTS
    assert path.resolve().name == hashlib.sha256(WEIGHTS).hexdigest()
    assert path.is_relative_to(tmp_path / "cache")
    assert [method for method, _ in hub.requests] == ["HEAD", "GET"]
    download(hub)
    download(hub, revision=hub.repos["alice/gan"].branches["main"])
    assert [method for method, _ in hub.requests] == ["HEAD", "GET", "HEAD"]
    assert download(hub, "config.json") == FILES["config.json"]


def test_a_snapshot(hub: Hub) -> None:
    found = snapshot(hub)
    assert {str(file.relative_to(found)) for file in found.rglob("*") if file.is_file()} == {*FILES, ".gitattributes"}
    asked = len(hub.requests)
    assert snapshot(hub) == found
    assert hub.requests[asked:] == [("GET", "/api/models/alice/gan/revision/main")]
    hub.repos["alice/gan"].commit({"config.json": b"{}"})
    assert (snapshot(hub) / "config.json").read_bytes() == b"{}"


def test_users(hub: Hub, alice: HfApi) -> None:
    assert alice.whoami()["name"] == "alice"
    stranger = HfApi(hub.url, token="hf_mallory")
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        stranger.whoami()
    with pytest.raises(HfHubHTTPError, match="Invalid credentials in Authorization header") as refused:
        stranger.model_info("alice/gan")
    assert type(refused.value) is HfHubHTTPError
    with pytest.raises(HfHubHTTPError, match="403 Forbidden: Authorization error"):
        commit(HfApi(hub.url, token="hf_bob"))
    with pytest.raises(RepositoryNotFoundError, match="401 Client Error"):
        commit(HfApi(hub.url, token=False))


@pytest.mark.parametrize(("token", "status"), [("hf_bob", 404), (False, 401)])
def test_a_private_repository_is_not_there_for_others(hub: Hub, alice: HfApi, token: str | bool, status: int) -> None:
    hub.repos["alice/gan"].private = True
    for call in (lambda: HfApi(hub.url, token=token).model_info("alice/gan"), lambda: download(hub, token=token)):
        with pytest.raises(RepositoryNotFoundError, match=f"{status} Client Error"):
            call()
    assert download(hub, token="hf_alice") == WEIGHTS


@pytest.mark.parametrize(("token", "status"), [("hf_bob", 403), (False, 401)])
def test_a_gated_repository_shows_its_names_but_not_its_files(hub: Hub, token: str | bool, status: int) -> None:
    hub.repos["alice/gan"].gated = True
    assert HfApi(hub.url, token=token).model_info("alice/gan").gated == "auto"
    for call in (lambda: download(hub, token=token), lambda: snapshot(hub, token=token)):
        with pytest.raises(GatedRepoError, match="Access to model alice/gan is restricted") as refused:
            call()
        assert refused.value.response.status_code == status
    hub.repos["alice/gan"].readers.add("bob")
    assert download(hub, token="hf_bob") == WEIGHTS


def test_what_is_missing(hub: Hub, alice: HfApi, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError, match="404 Client Error"):
        alice.model_info("alice/nothing")
    with pytest.raises(RevisionNotFoundError, match="Invalid rev id: nothing"):
        alice.model_info("alice/gan", revision="nothing")
    for call in (download, snapshot):
        with pytest.raises(RevisionNotFoundError):
            call(hub, revision="nothing")
    with pytest.raises(RemoteEntryNotFoundError, match="Entry Not Found"):
        download(hub, "nothing")
    assert list(tmp_path.glob("cache/hub/*/.no_exist/*/nothing"))  # the client knows at which commit
    with pytest.raises(HfHubHTTPError, match="the Hub of the tests has no GET"):
        alice.list_repo_refs("alice/gan")


def test_what_the_client_would_forgive(hub: Hub) -> None:
    hub.add("bob/gan")
    assert len(httpx2.get(f"{hub.url}/api/models", params={"limit": 1}).json()) == 1
    file = f"{hub.url}/alice/gan/resolve/main/model.safetensors"
    part, rest, none = (httpx2.get(file, headers={"Range": f"bytes={of}"}) for of in ("2-5", "16380-", "16384-"))
    assert (part.status_code, part.content, rest.content) == (206, WEIGHTS[2:6], WEIGHTS[-4:])
    assert part.headers["Content-Range"] == f"bytes 2-5/{len(WEIGHTS)}"
    assert none.status_code == 416


# What the client makes of a refusal


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


# What the client makes of broken connections and wrong bytes


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


# This process and another


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
