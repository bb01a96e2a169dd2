"""Where extractors keep what they trained or fetched."""

import os
from pathlib import Path


def folder(chosen: str = "") -> Path:
    """Return a folder that was chosen, or `ganzoo/extractors` in the user's cache."""
    usual = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "ganzoo" / "extractors"
    return Path(chosen or usual).expanduser()
