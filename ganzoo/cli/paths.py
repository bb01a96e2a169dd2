"""Paths as command line options have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class UserPath(click.ParamType[Any]):
    """A path whose leading `~` is the user's home: shells do not expand it in `--out=~/run`.

    Args:
        as_text: Return the path as text.
    """

    name = "path"

    def __init__(self, as_text: bool = False) -> None:
        self.as_text = as_text

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises:
            click.UsageError: There is no such user.
        """
        try:
            path = Path(value).expanduser()
        except RuntimeError:
            self.fail(f"the home folder in '{value}' is not known", param, ctx)
        return str(path) if self.as_text else path
