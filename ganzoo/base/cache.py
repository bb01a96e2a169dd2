"""The folder of what can be made again: prepared images, weights of extractors."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """Return the folder of one kind of cached files; it need not exist.

    Args:
        kind: Name of the folder in `ganzoo` in the user's cache, which is `~/.cache` or `$XDG_CACHE_HOME`.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ganzoo" / kind
