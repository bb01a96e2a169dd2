"""The folder of trained and downloaded weights of extractors."""

import os
from pathlib import Path


def cache_folder(chosen: str = "") -> Path:
    """Return the folder of extractors' weights.

    Args:
        chosen: Another folder than `ganzoo/extractors` in the user's cache.
    """
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "ganzoo" / "extractors"
    return Path(chosen or default).expanduser()
