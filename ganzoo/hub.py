"""The Hugging Face Hub: a thin layer over its client. One commit is read, and one is written."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ganzoo.component import describe
from ganzoo.errors import BadData, CorruptFile, GanzooError, HubError
from ganzoo.format import CARD, CONFIG, CURVE, LARGEST_TEXT, SAMPLES, read_model_file

TAG = "ganzoo"
REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
COMMIT = re.compile(r"[0-9a-f]{40}")
PLACEHOLDER = "ORG/NAME"
"""Stands in a card for a model's name until it has one."""
MOST_BYTES = 2**35
"""Of one file that is fetched."""
PATIENCE = 30.0
"""Seconds until a question to the Hub is given up."""
PAUSES = (1.0, 2.0)
"""Seconds to wait before the second and third try."""
Answer = TypeVar("Answer")
LOGIN = "log in with: hf auth login"


class Folder(Protocol):
    """A model folder, here or elsewhere. As a string: what it is called in messages."""

    @property
    def commit(self) -> str:
        """The commit that it is of; empty where there is none."""

    @property
    def address(self) -> str:
        """What finds this folder, and this commit of it, again."""

    def file(self, name: str) -> Path:
        """Return where a file of it lies on this machine. Raises CorruptFile or HubError."""

    def forget(self, name: str) -> None:
        """Do not use a damaged copy of a file again."""

    def sizes(self) -> dict[str, int]:
        """Return the bytes of every file."""


@dataclass(frozen=True)
class Local:
    """A model folder on this machine."""

    path: Path
    commit: str = ""

    def __str__(self) -> str:
        return str(self.path)

    @property
    def address(self) -> str:
        """The folder's path."""
        return str(self.path.resolve())

    def file(self, name: str) -> Path:
        """Return a file's path. Raises CorruptFile when it is missing."""
        if not (self.path / name).is_file():
            raise CorruptFile(f"{self.path / name} is missing or damaged: {CONFIG} names it")
        return self.path / name

    def forget(self, name: str) -> None:
        """Leave the file: it is the user's."""

    def sizes(self) -> dict[str, int]:
        """Return the bytes of every file."""
        return {p.name: p.stat().st_size for p in sorted(self.path.iterdir()) if p.is_file()}


@dataclass(frozen=True)
class Remote:
    """One commit of a repository; every file that is asked for is of that commit."""

    repo: str
    commit: str
    token: str | bool | None = None

    def __str__(self) -> str:
        return f"{self.repo} ({self.commit[:8]})"

    @property
    def address(self) -> str:
        """`org/name@commit`."""
        return f"{self.repo}@{self.commit}"

    @cached_property
    def listed(self) -> Mapping[str, int | None]:
        """The files with their bytes: as the Hub says, or where it cannot be reached the cache. Raises HubError."""
        try:
            return look(self.repo, self.commit, self.token)[1]
        except HubError as error:
            path = None if answered(error) else cached(self.repo, self.commit, CONFIG)
            if path is None:
                raise
            return {file.name: file.stat().st_size for file in path.parent.iterdir() if file.is_file()}

    def file(self, name: str) -> Path:
        """Take a file from the cache, or fetch it. Raises HubError, or CorruptFile when it is too large."""
        if path := cached(self.repo, self.commit, name):
            return path
        from huggingface_hub import hf_hub_download

        check_size(self.repo, name, self.listed.get(name))
        with plainly(self.repo, self.commit, name):
            return Path(patiently(lambda: hf_hub_download(self.repo, name, revision=self.commit, token=self.token)))

    def forget(self, name: str) -> None:
        """Remove a file from the cache, and the configuration that it was compared with: both are fetched again."""
        for one in {name, CONFIG}:
            if path := cached(self.repo, self.commit, one):
                path.resolve().unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    def sizes(self) -> dict[str, int]:
        """Return the bytes of every file, as the Hub lists them."""
        return {name: size or 0 for name, size in self.listed.items()}


def find(model: str | Path, revision: str | None = None, token: str | bool | None = None) -> Folder:
    """Return the model folder of a path (a run's or its own) or of a name on the Hub: `org/name`, `org/name@revision`.

    revision: branch, tag or commit, of a name on the Hub; it is looked up once.
    Raises BadData when there is none, or HubError.
    """
    name, path = str(model).removeprefix("hub:"), Path(model)
    if str(model) == name and path.is_dir():
        folder = path / "model" if (path / "model" / CONFIG).is_file() else path
        if not (folder / CONFIG).is_file() or (folder / "checkpoints").exists():
            raise BadData(f"{path} holds no finished model; continue its run with: ganzoo train --out {path}")
        return Local(folder)
    name, _, at = name.partition("@")
    if not REPO.fullmatch(name):
        raise BadData(f"there is no run or model folder {model}; ganzoo train makes one")
    return resolve(name, revision or at or None, token)


def resolve(repo: str, revision: str | None, token: str | bool | None) -> Remote:
    """Ask the Hub, or where it cannot be reached the cache, which commit a revision is.

    A commit that the cache holds is not asked for. Raises HubError, or CorruptFile when its configuration is none; it
    is then not kept in the cache.
    """
    from huggingface_hub import constants

    certain = constants.HF_HUB_OFFLINE or COMMIT.fullmatch(revision or "")
    path = (certain and cached(repo, revision or "main", CONFIG)) or fetch_config(repo, revision, token)
    folder = Remote(repo, path.parent.name, token)
    try:
        read_model_file(path, str(folder))
    except CorruptFile:
        folder.forget(CONFIG)
        raise
    return folder


def cached(repo: str, revision: str, name: str) -> Path | None:
    """Return where the cache holds a file, or None.

    The layout is that of huggingface.co/docs/huggingface_hub/guides/manage-cache; the client says the same, but takes
    longer to import than a model to be read.
    """
    from huggingface_hub import constants

    place = Path(constants.HF_HUB_CACHE, f"models--{repo.replace('/', '--')}")
    ref = place / "refs" / revision
    commit = ref.read_text().strip() if ref.is_file() else revision
    path = place / "snapshots" / commit / name
    return path if COMMIT.fullmatch(commit) and path.is_file() else None


def fetch_config(repo: str, revision: str | None, token: str | bool | None) -> Path:
    """Return where the configuration of a revision lies, in the folder of its commit; the newest that can be had."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    here = False
    try:
        with plainly(repo, revision, CONFIG):
            url = hf_hub_url(repo, CONFIG, revision=revision)
            size = patiently(lambda: get_hf_file_metadata(url, token=token, timeout=PATIENCE)).size
        check_size(repo, CONFIG, size)
    except HubError as error:
        if answered(error):
            raise
        here = True
    with plainly(repo, revision, CONFIG):
        return patiently(
            lambda: Path(hf_hub_download(repo, CONFIG, revision=revision, token=token, local_files_only=here))
        )


def answered(error: HubError) -> bool:
    """Whether the Hub was reached; without an answer, the cache may know."""
    from huggingface_hub.errors import HfHubHTTPError

    return isinstance(error.__cause__, HfHubHTTPError)


def look(repo: str, revision: str | None, token: str | bool | None) -> tuple[str, dict[str, int | None]]:
    """Return the commit that a revision is, and its files with their bytes. Raises HubError."""
    from huggingface_hub import HfApi

    with plainly(repo, revision):
        info = patiently(
            lambda: HfApi(token=token).model_info(repo, revision=revision, files_metadata=True, timeout=PATIENCE)
        )
    return str(info.sha), {f.rfilename: f.size for f in info.siblings or []}


def check_size(repo: str, name: str, size: int | None) -> None:
    """Raise CorruptFile when a file is larger than any that is fetched."""
    most = LARGEST_TEXT if name in (CONFIG, CARD) else MOST_BYTES
    if size and size > most:
        raise CorruptFile(f"{repo}: {name} has {size:,} bytes; at most {most:,} are fetched")


def upload(
    folder: Path,
    repo: str,
    private: bool | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    message: str = "Publish a ganzoo model",
) -> str:
    """Publish a model folder as one commit, and return its address.

    Files of an earlier model that this one lacks are deleted; other files are left alone. The commit is made on the one
    that was looked at: if somebody else's came in between, nothing is changed.
    Raises HubError, or CorruptFile when the repository holds a model of another library.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, files = HfApi(token=token), contents(folder, repo)
    with plainly(repo, revision):
        new = not patiently(lambda: api.repo_exists(repo))
        patiently(lambda: api.create_repo(repo, private=private, exist_ok=True))
    with left_behind(repo, new):
        with plainly(repo, revision):
            if revision:
                api.create_branch(repo, branch=revision, exist_ok=True)
        commit, listed = look(repo, revision, token)
        stale: set[str] = set()
        if CONFIG in listed:
            before = Remote(repo, commit, token).file(CONFIG)
            told, _ = read_model_file(before, f"{repo}, which would be overwritten,")
            stale = set(told.sha256) & set(listed) - set(files)
        changes: list[Any] = [CommitOperationAdd(name, content) for name, content in files.items()]
        changes += [CommitOperationDelete(name) for name in sorted(stale)]
        with plainly(repo, revision):
            done = api.create_commit(repo, changes, commit_message=message, revision=revision, parent_commit=commit)
    return f"{done.repo_url}/tree/{revision}" if revision else str(done.repo_url)


@contextmanager
def left_behind(repo: str, new: bool) -> Iterator[None]:
    """Say of an error that a repository was made before it. It is left there: to delete one is its owner's to do."""
    try:
        yield
    except HubError as error:
        if not new:
            raise
        raise HubError(
            f"{error}. The repository was made and may still be empty: publish again, or: hf repos delete {repo}"
        ) from error


def contents(folder: Path, repo: str) -> dict[str, bytes | str]:
    """Return what is published of a model folder: contents, or paths, by name. Raises CorruptFile."""
    told, _ = read_model_file(folder / CONFIG, str(folder))
    pictures = [name for name in (SAMPLES, CURVE) if (folder / name).is_file()]
    files: dict[str, bytes | str] = {name: str(Local(folder).file(name)) for name in [CONFIG, *told.sha256, *pictures]}
    if (folder / CARD).is_file():
        files[CARD] = (folder / CARD).read_bytes().replace(PLACEHOLDER.encode(), repo.encode())
    return files


def listing(author: str | None = None, most: int = 50) -> list[dict[str, Any]]:
    """Return the newest models of the Hub that ganzoo made: their names, downloads and times. Raises HubError."""
    from huggingface_hub import HfApi

    with plainly(author or "the list of models"):
        found = HfApi().list_models(filter=TAG, author=author, sort="last_modified", limit=most)
        return [
            {
                "name": m.id,
                "downloads": m.downloads,
                "likes": m.likes,
                "updated": m.last_modified.isoformat() if m.last_modified else None,
                "private": bool(m.private),
            }
            for m in found
        ]


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask the Hub, three times when it has a fault: of itself the client asks some things only once."""
    from huggingface_hub.errors import HfHubHTTPError

    for pause in PAUSES:
        try:
            return ask()
        except HfHubHTTPError as error:
            if error.response is None or error.response.status_code < 500:
                raise
            time.sleep(pause)
    return ask()


@contextmanager
def plainly(repo: str, revision: str | None = None, name: str = "") -> Iterator[None]:
    """Turn whatever the Hub's client raises into HubError: one sentence, and what mends it."""
    try:
        yield
    except GanzooError:
        raise
    except Exception as error:  # of its HTTP library too, which it lets through
        root = refusal(error)
        raise HubError(f"'{repo}' {meaning(root, revision, name)}") from root


def refusal(error: BaseException) -> BaseException:
    """Return what the Hub answered, where the client hides it behind an error of its own."""
    from huggingface_hub.errors import HfHubHTTPError

    cause = error.__cause__
    return cause if isinstance(cause, HfHubHTTPError) and not isinstance(error, HfHubHTTPError) else error


def meaning(error: BaseException, revision: str | None, name: str) -> str:
    """Return what an error of the client means, as what follows the name of a repository."""
    from huggingface_hub import errors

    meanings: list[tuple[type[BaseException], str]] = [
        (errors.GatedRepoError, f"is gated: ask for access on its page, and {LOGIN}"),
        (errors.RevisionNotFoundError, f"has no revision '{revision}'; its page lists branches, tags and commits"),
        (
            errors.RepositoryNotFoundError,
            f"is no folder here, and no repository of the Hub that you may see; check the name, or {LOGIN}",
        ),
        (
            errors.LocalEntryNotFoundError,
            f"has no {name} in the cache, and the Hub cannot be reached; go online, unset HF_HUB_OFFLINE, or give a "
            "model folder",
        ),
        (errors.EntryNotFoundError, f"has no file {name}: it holds no ganzoo model, or not this part of one"),
        (
            errors.OfflineModeIsEnabled,
            "cannot be had: HF_HUB_OFFLINE is set; unset it",
        ),
        (errors.HFValidationError, "is no name of a model on the Hub; write org/name"),
    ]
    for kind, words in meanings:
        if isinstance(error, kind):
            return words
    code = error.response.status_code if isinstance(error, errors.HfHubHTTPError) and error.response is not None else 0
    if code >= 500:
        return f"cannot be had: the Hub has a fault just now ({code}); try again later"
    if code:
        return CODES.get(code, f"cannot be had: the Hub answered {code} ({describe(error)})")
    return f"cannot be had: the Hub cannot be reached, or broke off ({describe(error)}); try again"


CODES = {
    401: f"cannot be had: the Hub does not know you; {LOGIN}",
    403: "is not yours to read or change in that way; ask its owner, or use a token that may",
    412: "was changed by somebody else in the meantime, and nothing was published; look at it, then publish again",
    413: "does not take so large a file",
    429: "cannot be had: the Hub is asked too often; wait some minutes, then try again",
}
