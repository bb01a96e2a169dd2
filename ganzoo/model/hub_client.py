"""Requests to the Hugging Face Hub, and files in the cache of its client."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ganzoo.errors import CorruptFile
from ganzoo.model.format import CARD, CONFIG, LARGEST_TEXT
from ganzoo.model.hub_errors import hub_errors

TAG = "ganzoo"
"""Tag of all models on the Hub."""
COMMIT = re.compile(r"[0-9a-f]{40}")
MOST_BYTES = 2**35
"""Size of the largest file that is downloaded."""
TIMEOUT = 30.0
"""Seconds to wait for an answer of the Hub."""
PAUSES = (1.0, 2.0)
"""Seconds to wait before the second and the third attempt."""
T = TypeVar("T")


def cached(repo: str, revision: str, name: str) -> Path | None:
    """Return the path of a file in the cache, or None if it is not there.

    This follows huggingface.co/docs/huggingface_hub/guides/manage-cache. The client has a function for it, but takes
    longer to import than a model to load.

    Args:
        repo: Name of the repository, `org/name`.
        revision: Branch, tag or commit.
        name: Name of the file.
    """
    from huggingface_hub import constants

    root = Path(constants.HF_HUB_CACHE, f"models--{repo.replace('/', '--')}")
    ref = root / "refs" / revision
    commit = ref.read_text().strip() if ref.is_file() else revision
    path = root / "snapshots" / commit / name
    return path if COMMIT.fullmatch(commit) and path.is_file() else None


def list_files(repo: str, revision: str | None, token: str | bool | None) -> tuple[str, dict[str, int | None]]:
    """List the files of a revision.

    Args:
        repo: Name of the repository, `org/name`.
        revision: Branch, tag or commit; default: main.
        token: Token of the Hub, as its client takes it.

    Returns:
        The commit, and the size of each file in bytes.

    Raises:
        HubError: There is no such model or revision, or the Hub cannot be reached.
    """
    from huggingface_hub import HfApi

    with hub_errors(repo, revision):
        info = retry(
            lambda: HfApi(token=token).model_info(repo, revision=revision, files_metadata=True, timeout=TIMEOUT)
        )
    return str(info.sha), {f.rfilename: f.size for f in info.siblings or []}


def check_size(repo: str, name: str, size: int | None) -> None:
    """Check that a file is not too large to be downloaded.

    Args:
        repo: Name of the repository, for the message.
        name: Name of the file.
        size: Its size in bytes, if it is known.

    Raises:
        CorruptFile: It is too large.
    """
    most = LARGEST_TEXT if name in (CONFIG, CARD) else MOST_BYTES
    if size and size > most:
        raise CorruptFile(f"{repo}: {name} has {size:,} bytes; at most {most:,} are downloaded")


def list_models(author: str | None = None, most: int = 50) -> list[dict[str, Any]]:
    """List the newest models on the Hub that have the tag `ganzoo`.

    Args:
        author: User or organisation; default: all.
        most: Largest number of models.

    Returns:
        `name`, `downloads`, `likes`, `updated` (ISO 8601) and `private` of each model.

    Raises:
        HubError: The Hub cannot be reached.
    """
    from huggingface_hub import HfApi

    with hub_errors(author or "the list of models"):
        models = HfApi().list_models(filter=TAG, author=author, sort="last_modified", limit=most)
        return [
            {
                "name": m.id,
                "downloads": m.downloads,
                "likes": m.likes,
                "updated": m.last_modified.isoformat() if m.last_modified else None,
                "private": bool(m.private),
            }
            for m in models
        ]


def retry(request: Callable[[], T]) -> T:
    """Send a request to the Hub, up to three times if it has an internal error. The client itself retries only some."""
    from huggingface_hub.errors import HfHubHTTPError

    for pause in PAUSES:
        try:
            return request()
        except HfHubHTTPError as error:
            if error.response is None or error.response.status_code < 500:
                raise
            time.sleep(pause)
    return request()
