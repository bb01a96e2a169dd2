"""The folder of trained and downloaded weights of extractors."""

from pathlib import Path

from ganzoo.base.cache import cache_folder


def weights_folder(chosen: str = "") -> Path:
    """Return the folder of extractors' weights.

    Args:
        chosen: Another folder than `ganzoo/extractors` in the user's cache.
    """
    return Path(chosen).expanduser() if chosen else cache_folder("extractors")
