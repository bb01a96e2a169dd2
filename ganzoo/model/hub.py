"""Models on the Hugging Face Hub, through its client. A model is read from one commit and published as one commit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ganzoo.errors import BadData, CorruptFile, HubError
from ganzoo.model.format import CARD, CONFIG, CURVE, SAMPLES, read_model_file
from ganzoo.model.hub_client import COMMIT, TIMEOUT, cached, check_size, list_files, retry
from ganzoo.model.hub_errors import hub_errors, was_reached

REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
PLACEHOLDER = "ORG/NAME"
"""Name of a model in its card until it is published."""


class Folder(Protocol):
    """A model folder on this machine or on the Hub. Its string is its name in messages."""

    @property
    def commit(self) -> str:
        """The commit; empty for a local folder."""

    @property
    def address(self) -> str:
        """Path or `org/name@commit`, by which the folder can be found again."""

    def file(self, name: str) -> Path:
        """Return the local path of a file, which is downloaded if necessary.

        Raises:
            CorruptFile: The file is missing or too large.
            HubError: The file cannot be downloaded.
        """

    def forget(self, name: str) -> None:
        """Discard the cached copy of a damaged file."""

    def sizes(self) -> dict[str, int]:
        """Return the size of every file in bytes."""


@dataclass(frozen=True)
class Local:
    """A model folder on this machine.

    Attributes:
        path: The folder.
        commit: Empty.
    """

    path: Path
    commit: str = ""

    def __str__(self) -> str:
        return str(self.path)

    @property
    def address(self) -> str:
        """Absolute path of the folder."""
        return str(self.path.resolve())

    def file(self, name: str) -> Path:
        """Return the path of a file.

        Raises:
            CorruptFile: The file is missing.
        """
        if not (self.path / name).is_file():
            raise CorruptFile(f"{self.path / name} is missing or damaged, but {CONFIG} lists it; restore the folder")
        return self.path / name

    def forget(self, name: str) -> None:
        """Do nothing: a local file belongs to the user."""

    def sizes(self) -> dict[str, int]:
        """Return the size of every file in bytes."""
        return {p.name: p.stat().st_size for p in sorted(self.path.iterdir()) if p.is_file()}


@dataclass(frozen=True)
class Remote:
    """A model folder on the Hub, at one commit of its repository.

    Attributes:
        repo: Name of the repository, `org/name`.
        commit: Hash of the commit.
        token: Token of the Hub, as its client takes it.
    """

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
    def files(self) -> Mapping[str, int | None]:
        """Sizes in bytes of the files on the Hub or, if it cannot be reached, in the cache.

        Raises:
            HubError: Neither is available.
        """
        try:
            return list_files(self.repo, self.commit, self.token)[1]
        except HubError as error:
            path = None if was_reached(error) else cached(self.repo, self.commit, CONFIG)
            if path is None:
                raise
            return {file.name: file.stat().st_size for file in path.parent.iterdir() if file.is_file()}

    def file(self, name: str) -> Path:
        """Return the path of a file in the cache, after downloading it if necessary.

        Raises:
            HubError: The file cannot be downloaded.
            CorruptFile: The file is too large.
        """
        if path := cached(self.repo, self.commit, name):
            return path
        from huggingface_hub import hf_hub_download

        check_size(self.repo, name, self.files.get(name))
        with hub_errors(self.repo, self.commit, name):
            return Path(retry(lambda: hf_hub_download(self.repo, name, revision=self.commit, token=self.token)))

    def forget(self, name: str) -> None:
        """Remove a file and the configuration that lists it from the cache; both are downloaded again."""
        for file in {name, CONFIG}:
            if path := cached(self.repo, self.commit, file):
                path.resolve().unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    def sizes(self) -> dict[str, int]:
        """Return the size of every file in bytes."""
        return {name: size or 0 for name, size in self.files.items()}


def find(model: str | Path, revision: str | None = None, token: str | bool | None = None) -> Folder:
    """Find a model folder by path or by name on the Hub.

    Args:
        model: Run folder, model folder, or `org/name` or `org/name@revision`, with `hub:` in front if a folder has the
            same name.
        revision: Branch, tag or commit of a name on the Hub. It is resolved to a commit once.
        token: Token of the Hub, as its client takes it.

    Returns:
        The model folder.

    Raises:
        BadData: There is no such folder, or it has no finished model.
        HubError: The Hub has no such model, or cannot be reached.
        CorruptFile: The configuration of the model is damaged.
    """
    name, path = str(model).removeprefix("hub:"), Path(model)
    if str(model) == name and path.is_dir():
        folder = path / "model" if (path / "model" / CONFIG).is_file() else path
        if not (folder / CONFIG).is_file() or (folder / "checkpoints").exists():
            raise BadData(f"{path} has no finished model; continue its run with: ganzoo train --out {path}")
        return Local(folder)
    name, _, at = name.partition("@")
    if not REPO.fullmatch(name):
        raise BadData(f"there is no run or model folder {model}; train a model with: ganzoo train --out {model}")
    return resolve(name, revision or at or None, token)


def resolve(repo: str, revision: str | None, token: str | bool | None) -> Remote:
    """Resolve a revision to a commit, by the Hub or, if it cannot be reached, by the cache.

    The Hub is not asked if the revision is a commit whose configuration is in the cache.

    Args:
        repo: Name of the repository, `org/name`.
        revision: Branch, tag or commit; default: main.
        token: Token of the Hub, as its client takes it.

    Returns:
        The model folder at that commit.

    Raises:
        HubError: There is no such model or revision, or the Hub cannot be reached.
        CorruptFile: The configuration is damaged; it is removed from the cache.
    """
    from huggingface_hub import constants

    use_cache = constants.HF_HUB_OFFLINE or COMMIT.fullmatch(revision or "")
    path = (use_cache and cached(repo, revision or "main", CONFIG)) or fetch_config(repo, revision, token)
    folder = Remote(repo, path.parent.name, token)
    try:
        read_model_file(path, str(folder))
    except CorruptFile:
        folder.forget(CONFIG)
        raise
    return folder


def fetch_config(repo: str, revision: str | None, token: str | bool | None) -> Path:
    """Download the configuration of a revision, or take it from the cache if the Hub cannot be reached.

    Args:
        repo: Name of the repository, `org/name`.
        revision: Branch, tag or commit; default: main.
        token: Token of the Hub, as its client takes it.

    Returns:
        Its path in the cache; the folder is named after the commit.

    Raises:
        HubError: There is no such model or revision, or the Hub cannot be reached and the cache has no copy.
        CorruptFile: The configuration is too large.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    local = False
    try:
        with hub_errors(repo, revision, CONFIG):
            url = hf_hub_url(repo, CONFIG, revision=revision)
            size = retry(lambda: get_hf_file_metadata(url, token=token, timeout=TIMEOUT)).size
        check_size(repo, CONFIG, size)
    except HubError as error:
        if was_reached(error):
            raise
        local = True
    with hub_errors(repo, revision, CONFIG):
        return retry(
            lambda: Path(hf_hub_download(repo, CONFIG, revision=revision, token=token, local_files_only=local))
        )


def upload(
    folder: Path,
    repo: str,
    private: bool | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    message: str = "Publish a ganzoo model",
) -> str:
    """Publish a model folder as one commit.

    Files of an earlier model that this one does not have are deleted; other files are not changed. If somebody else
    commits at the same time, nothing is published.

    Args:
        folder: The model folder.
        repo: Name of the repository, `org/name`; it is created if it does not exist.
        private: Make a new repository private; default: as the organisation decides.
        revision: Branch to publish to; it is created if it does not exist. Default: main.
        token: Token of the Hub, as its client takes it.
        message: Commit message.

    Returns:
        The address of the model.

    Raises:
        HubError: The Hub refuses, or cannot be reached.
        CorruptFile: The repository has a model of another library, or the folder is damaged.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, files = HfApi(token=token), contents(folder, repo)
    with hub_errors(repo, revision):
        new = not retry(lambda: api.repo_exists(repo))
        retry(lambda: api.create_repo(repo, private=private, exist_ok=True))
    with report_new_repository(repo, new):
        with hub_errors(repo, revision):
            if revision:
                api.create_branch(repo, branch=revision, exist_ok=True)
        commit, existing = list_files(repo, revision, token)
        stale: set[str] = set()
        if CONFIG in existing:
            old = Remote(repo, commit, token).file(CONFIG)
            model, _ = read_model_file(old, f"{repo}, which would be overwritten,")
            stale = set(model.sha256) & set(existing) - set(files)
        changes: list[Any] = [CommitOperationAdd(name, content) for name, content in files.items()]
        changes += [CommitOperationDelete(name) for name in sorted(stale)]
        with hub_errors(repo, revision):
            info = api.create_commit(repo, changes, commit_message=message, revision=revision, parent_commit=commit)
    return f"{info.repo_url}/tree/{revision}" if revision else str(info.repo_url)


@contextmanager
def report_new_repository(repo: str, new: bool) -> Iterator[None]:
    """Add to an error that a repository was created before it occurred. Only its owner may delete it.

    Args:
        repo: Name of the repository.
        new: Whether the repository was created just now.

    Raises:
        HubError: The error, with the addition.
    """
    try:
        yield
    except HubError as error:
        if not new:
            raise
        raise HubError(
            f"{error}. The repository was created and may be empty; publish again, or delete it: hf repos delete {repo}"
        ) from error


def contents(folder: Path, repo: str) -> dict[str, bytes | str]:
    """Return the files of a model folder that are published.

    Args:
        folder: The model folder.
        repo: Name of the repository, for the card.

    Returns:
        Path or content of each file by name.

    Raises:
        CorruptFile: The folder is damaged.
    """
    model, _ = read_model_file(folder / CONFIG, str(folder))
    pictures = [name for name in (SAMPLES, CURVE) if (folder / name).is_file()]
    files: dict[str, bytes | str] = {name: str(Local(folder).file(name)) for name in [CONFIG, *model.sha256, *pictures]}
    if (folder / CARD).is_file():
        files[CARD] = (folder / CARD).read_bytes().replace(PLACEHOLDER.encode(), repo.encode())
    return files
