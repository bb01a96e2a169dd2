"""What can go wrong for a user: one small tree, each message a sentence that ends with what mends it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GanzooError(Exception):
    """Something the user can mend. The command line prints it as one sentence and exits with `exit_code`."""

    exit_code = 1


class Notice(UserWarning):
    """Something the user should know. The command line prints it as one sentence."""


class UnknownComponent(GanzooError):
    """No installed plugin offers a component of that kind and name."""


class NameClash(GanzooError):
    """Two plugins offer the same name, so it has to be written `plugin/name`."""


class BrokenPlugin(GanzooError):
    """A plugin could not be discovered, or its component could not be imported."""


class BadOption(GanzooError):
    """A component was given an option that it does not have, or a value of the wrong type."""


class BadConfig(GanzooError):
    """A run's configuration does not say what a configuration can say."""


class BadData(GanzooError):
    """The images or labels are missing, damaged or too few."""


class Incompatible(GanzooError):
    """These parts cannot be put together; the message says why and what can."""


class BadDevice(GanzooError):
    """The device or precision asked for is not on this machine."""


class RunMismatch(GanzooError):
    """The run folder was made by another configuration or on another label split."""


class CorruptFile(GanzooError):
    """A checkpoint or model folder is damaged, or was not written by ganzoo."""


class CannotWrite(GanzooError):
    """A file could not be written (full disk, missing permission); what was there before is kept."""


class HubError(GanzooError):
    """The Hugging Face Hub refused, has no such thing, or cannot be reached."""


class Diverged(GanzooError):
    """A loss is no longer a number."""


class MissingExtra(GanzooError):
    """Something optional is not installed; the message says how to install it."""


class Interrupted(GanzooError):
    """The run was stopped by a signal; its state is saved and the same command continues it."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name nearest to `name`, or a full stop."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else "."


def brief(value: object, most: int = 200) -> str:
    """Return a value as a message has it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


def shown(text: str, keep: str = "") -> str:
    """Return text that came from elsewhere as a terminal may have it: without control characters, but those to keep."""
    import unicodedata

    return "".join(c if c in keep or unicodedata.category(c) not in ("Cc", "Cs") else "\ufffd" for c in text)
