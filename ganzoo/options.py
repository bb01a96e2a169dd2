"""What options a target has, read from its own signature and docstring; and whether given ones fit."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

from ganzoo.errors import BadOption, brief, nearest
from ganzoo.plain import fits


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
    if all(fits(value, known[name].annotation) for name, value in given.items()):
        return dict(given)
    return _converted(target, given, known, where)


def _converted(
    target: Callable[..., Any], given: Mapping[str, Any], known: Mapping[str, Option], where: str
) -> dict[str, Any]:
    from pydantic import ValidationError

    try:
        checked = _model(target).model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise BadOption(
            f"{where}: option '{name}' is {known[name].type}, not {brief(first['input'])} ({first['msg'].lower()})"
        ) from error
    return {name: getattr(checked, name) for name in given}


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


@functools.cache
def _model(target: Callable[..., Any]) -> Any:
    from pydantic import ConfigDict, PydanticSchemaGenerationError, PydanticUserError, create_model

    make: Callable[..., Any] = create_model
    fields: dict[str, Any] = {o.name: (o.annotation, ... if o.required else o.default) for o in _unexplained(target)}
    config = ConfigDict(extra="forbid", protected_namespaces=())
    try:
        return make("Options", __config__=config, **fields)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return make("Options", __config__=config, **{n: (Any, default) for n, (_, default) in fields.items()})


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
