"""Errors that a user can fix. Each message is one sentence that says what is wrong and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GanzooError(Exception):
    """An error that the user can fix. The command line prints it in one line and exits with `exit_code`."""

    exit_code = 1


class Notice(UserWarning):
    """A warning for the user. The command line prints it in one line."""


class UnknownComponent(GanzooError):
    """No installed plugin provides a component of this kind and name."""


class NameClash(GanzooError):
    """Several plugins provide a component of this name, so it has to be written as `plugin/name`."""


class BrokenPlugin(GanzooError):
    """A plugin could not be discovered, or its component could not be imported."""


class BadOption(GanzooError):
    """A component does not have an option, or the value has the wrong type."""


class BadConfig(GanzooError):
    """The configuration of a run is invalid."""


class BadData(GanzooError):
    """Images or labels are missing, damaged or too few."""


class NoSuchData(BadData):
    """There is no data set, folder or file of the given name."""


class Incompatible(GanzooError):
    """Components, options or data cannot be combined. The message says why, and what can be combined."""


class BadDevice(GanzooError):
    """This machine does not have the requested device or precision."""


class RunMismatch(GanzooError):
    """The run folder has another configuration or another split."""


class CorruptFile(GanzooError):
    """A file is damaged, or was not written by ganzoo."""


class CannotWrite(GanzooError):
    """A file could not be written, for example because the disk is full. Its earlier content is kept."""


class HubError(GanzooError):
    """The Hugging Face Hub refused a request, does not have a file, or cannot be reached."""


class Diverged(GanzooError):
    """Training has diverged: a loss or a weight is not finite."""


class MissingExtra(GanzooError):
    """An optional package is not installed. The message says how to install it."""


class Interrupted(GanzooError):
    """The run was stopped by a signal. Its state is saved, and the same command continues it."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a suggestion for a name that is unknown.

    Args:
        name: The unknown name.
        known: The known names.

    Returns:
        `; did you mean 'x'?` with the most similar name, or a full stop if none is similar.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else "."


def brief(value: object, most: int = 200) -> str:
    """Return the `repr` of a value for a message.

    Args:
        value: The value.
        most: Number of characters after which it is cut.
    """
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}…"


def printable(text: str, keep: str = "") -> str:
    """Replace control characters in text from an untrusted source, so that it can be printed to a terminal.

    Args:
        text: The text.
        keep: Control characters to keep.
    """
    import unicodedata

    return "".join(c if c in keep or unicodedata.category(c) not in ("Cc", "Cs") else "\ufffd" for c in text)
