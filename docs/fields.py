"""Show what docstrings say of arguments and attributes as lists.

Our docstrings say `name: meaning.` in running text. Where the names are those of the object, this makes a list of it.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

SAYS = re.compile(r"(?:^|(?<=[.?] ))((?:[a-z_]+, )*[a-z_]+): ")
SENTENCE = re.compile(r"(?<=[.?])\n *(?=[A-Z])")
"""Where a line of prose follows the fields."""


class Fields(griffe.Extension):
    """Rewrites docstrings once all objects are known."""

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Rewrite a class's docstring."""
        rewrite(cls, {*cls.all_members, *(p.name for p in cls.parameters)})

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        """Rewrite a function's docstring."""
        rewrite(func, {p.name for p in func.parameters})


def rewrite(obj: griffe.Object, names: set[str]) -> None:
    """Make lists of the paragraphs that are about `names`."""
    if obj.docstring and not obj.is_alias:
        paragraphs = obj.docstring.value.split("\n\n")
        obj.docstring.value = "\n\n".join([paragraphs[0], *(listed(p, names) for p in paragraphs[1:])])


def listed(paragraph: str, names: set[str]) -> str:
    """Return a paragraph `a: one. b: two.` as a list, what follows as a paragraph, and any other unchanged."""
    text, *rest = SENTENCE.split(paragraph, maxsplit=1)
    text = " ".join(text.split())
    starts = [m for m in SAYS.finditer(text) if set(m[1].split(", ")) <= names]
    if not starts or starts[0].start():
        return paragraph
    ends = [m.start() for m in starts[1:]] + [len(text)]
    heads = [", ".join(f"`{name}`" for name in m[1].split(", ")) for m in starts]
    items = [f"- {head}: {text[m.end() : end].strip()}" for head, m, end in zip(heads, starts, ends, strict=True)]
    return "\n\n".join(["\n".join(items), *rest])
