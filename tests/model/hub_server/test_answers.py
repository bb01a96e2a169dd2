"""The loopback Hub answers the real client as the Hub does: repositories, commits, files, users."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
)
from huggingface_hub.errors import (
    BadRequestError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.hub import Fault, Hub
from tests.model.hub_server.support import FILES, README, WEIGHTS, commit, download, snapshot


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
