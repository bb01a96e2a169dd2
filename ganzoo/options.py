"""What options a target has, read from its own signature and docstring; and whether given ones fit."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import ValidationError, convert

from ganzoo.errors import BadOption, brief, nearest


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a target: its name, annotation, default (None with `required`) and meaning."""

    name: str
    annotation: Any
    default: Any
    required: bool
    meaning: str = ""

    @property
    def type(self) -> str:
        """The annotation as it is written."""
        if isinstance(self.annotation, type) and not hasattr(self.annotation, "__args__"):
            return self.annotation.__name__
        return str(self.annotation).replace("typing.", "")


def options_of(target: Callable[..., Any]) -> list[Option]:
    """Return the options of `target`: every parameter but `shape` that can be given by name, in order of definition.

    Meanings come from the docstring of the target or, for a class, also of its `__init__` and its bases.
    """
    meanings = _meanings(target)
    return [replace(o, meaning=meanings.get(o.name, "")) for o in _unexplained(target)]


def check_options(target: Callable[..., Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return `given` converted to the types of the target's signature.

    `where` names the component in messages, as in `generator 'dcgan'`.
    Raises BadOption for an unknown option, a missing one, or a value of another type.
    """
    known = {o.name: o for o in _unexplained(target)}
    for name in given:
        if name not in known:
            valid = ", ".join(known) or "none"
            raise BadOption(f"{where} has no option '{name}'{nearest(name, known)} Its options: {valid}")
    for name, value in given.items():
        if isinstance(value, bool) and known[name].annotation in (int, float):
            raise BadOption(f"{where}: option '{name}' is {known[name].type}, not {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise BadOption(f"{where}: option '{name}' cannot be {value}")
    if missing := next((o for o in known.values() if o.required and o.name not in given), None):
        raise BadOption(f"{where} needs the option '{missing.name}' ({missing.type})")
    return {name: _converted(known[name], value, where) for name, value in given.items()}


def _converted(option: Option, value: Any, where: str) -> Any:
    try:
        return _fitted(value, option.annotation)
    except (ValidationError, UnicodeEncodeError) as error:  # the second: half of a character
        said = str(error)
        raise BadOption(
            f"{where}: option '{option.name}' is {option.type}, not {brief(value)} ({said[:1].lower()}{said[1:]})"
        ) from error


def _fitted(value: Any, annotation: Any) -> Any:
    """Return a plain value as an annotation has it. Raises ValidationError."""
    try:
        return convert(value, annotation, strict=False)
    except TypeError:  # it says nothing of plain values, or is a union of two that JSON has one form for
        members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    refused: list[ValidationError] = []
    for member in members:
        try:
            return _fitted(value, member)
        except ValidationError as error:
            refused.append(error)
    if refused:
        raise refused[0]
    return value  # leave that one unchecked


def _unexplained(target: Callable[..., Any]) -> list[Option]:
    """Return the options of `target` without their meanings."""
    hints = _hints(target)
    return [
        Option(
            name=p.name,
            annotation=hints.get(p.name, Any if p.annotation is p.empty else p.annotation),
            default=None if p.default is p.empty else p.default,
            required=p.default is p.empty,
        )
        for p in inspect.signature(target).parameters.values()
        if p.name != "shape" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for owner in (target, getattr(target, "__init__", None)):
        try:
            hints |= get_type_hints(owner)
        except (NameError, TypeError, AttributeError):  # a name known to type checkers only: leave that one unchecked
            continue
    return hints


def _meanings(target: Callable[..., Any]) -> dict[str, str]:
    from docstring_parser import parse

    owners = (
        [*reversed(inspect.getmro(target)), vars(target).get("__init__", target)]
        if isinstance(target, type)
        else [target]
    )
    return {
        p.arg_name: " ".join((p.description or "").split())
        for owner in owners
        if owner is not object and owner.__doc__
        for p in parse(owner.__doc__).params
    }
