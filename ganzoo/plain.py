"""Plain values, as JSON has them, against annotations.

pydantic does more, and takes longer to import than a small network to be read: it is for what has to be converted.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints


class Misfit(ValueError):
    """A value is not of an annotation; says where, and what it has to be."""


class Rule(NamedTuple):
    """What a value has to be besides its type, within `Annotated`: in words, and whether it is."""

    words: str
    holds: Callable[[Any], object]


def matching(pattern: str) -> Rule:
    """Return the rule that all of a string has to match a regular expression."""
    return Rule(f"of the form {pattern}", re.compile(pattern).fullmatch)


def within(least: float, most: float) -> Rule:
    """Return the rule that a number has to lie between two, both included."""
    return Rule(f"{least:,} to {most:,}", lambda value: least <= value <= most)


def at_most(most: int) -> Rule:
    """Return the rule that a string, list or dict has no more elements."""
    return Rule(f"at most {most:,} long", lambda value: len(value) <= most)


def read(value: Any, annotation: Any, at: str = "") -> Any:
    """Return a value that is of an annotation, dataclasses made of dicts. Nothing else is converted: True is no int.

    Of a dataclass, keys that it does not have are left out. at: what the value is called in messages.
    Raises Misfit; also for an annotation of any other sort.
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is Any or (origin is None and type(value) is (annotation or NoneType)):
        return value
    if origin is Annotated and all(isinstance(rule, Rule) for rule in args[1:]):
        value = read(value, args[0], at)
        if broken := next((rule for rule in args[1:] if not rule.holds(value)), None):
            raise Misfit(f"{at}: it has to be {broken.words}")
        return value
    if origin in (Union, UnionType):
        return _read_one(value, args, at)
    if origin is Literal and any(type(value) is type(a) and value == a for a in args):
        return value
    if origin is list and isinstance(value, list):
        return [read(v, args[0], f"{at}.{i}") for i, v in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {read(k, args[0], where := f"{at}.{k!s:.100}"): read(v, args[1], where) for k, v in value.items()}
    if is_dataclass(annotation) and isinstance(value, dict):
        return _read_fields(value, annotation, at)
    raise Misfit(f"{at}: it has to be {words(annotation)}")


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value is of an annotation, as it is."""
    try:
        read(value, annotation)
    except Misfit:
        return False
    return True


def words(annotation: Any) -> str:
    """Return an annotation as a message has it."""
    if get_origin(annotation) is Annotated:
        return words(get_args(annotation)[0])
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def shallow(value: Any, levels: int) -> bool:
    """Whether lists and dicts lie in each other at most so many levels deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(levels > 0 and shallow(v, levels - 1) for v in inner)


def _read_one(value: Any, annotations: tuple[Any, ...], at: str) -> Any:
    errors = []
    for annotation in annotations:
        try:
            return read(value, annotation, at)
        except Misfit as error:
            errors.append(error)
    raise Misfit(f"{at}: it has to be {' or '.join(dict.fromkeys(map(words, annotations)))}") from errors[-1]


def _read_fields(value: dict[str, Any], annotation: Any, at: str) -> Any:
    hints, given = _hints(annotation), {}
    for field in fields(annotation):
        where = f"{at}.{field.name}".lstrip(".")
        if field.name in value:
            given[field.name] = read(value[field.name], hints[field.name], where)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise Misfit(f"{where}: it is missing")
    return annotation(**given)


@functools.cache
def _hints(annotation: Any) -> dict[str, Any]:
    return get_type_hints(annotation, include_extras=True)
