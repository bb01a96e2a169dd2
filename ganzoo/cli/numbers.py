"""Numbers as command line options have them."""

from __future__ import annotations

from typing import Any

import click

SEED = click.IntRange(0, 2**63 - 1)


class NumberRange(click.ParamType[Any]):
    """A count N, which means 0 to N - 1, or a range A-B, which contains B. Its value is a `range`."""

    name = "N|A-B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the range.

        Raises:
            click.UsageError: The text is neither, or nothing lies in the range.
        """
        first, dash, last = str(value).partition("-")
        try:
            numbers = range(int(first), int(last) + 1) if dash else range(int(first))
        except ValueError:
            numbers = range(0)
        if not numbers:
            self.fail(f"give a number, as 64, or a range, as 64-127, not '{value}'", param, ctx)
        return numbers
