"""Tables in Markdown, and values as code."""

from __future__ import annotations

import re
from collections.abc import Iterable

NOT_CODE = re.compile(r"`[^`]*`|[<|]")


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    head = list(header)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(plain(' '.join(cell.split())) for cell in line)} |" for line in lines)


def plain(text: str) -> str:
    """Return text in which `<` and `|` mean themselves, outside of code too."""
    return NOT_CODE.sub(lambda found: {"<": "&lt;", "|": "&#124;"}.get(found[0], found[0]), text)


def code(value: object) -> str:
    """Return a value as code, as YAML would have it; nothing for none."""
    if value is None or value == "":
        return ""
    shown = str(value).lower() if isinstance(value, bool) else list(value) if isinstance(value, tuple) else value
    return f"`{shown}`"
