"""Options of a component, read from the signature and docstring of its target, and validation of their values."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from msgspec import ValidationError, convert

from ganzoo.errors import BadOption, brief, nearest
from ganzoo.registry.component import ImageShape


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a component.

    Attributes:
        name: Name of the parameter.
        annotation: Its type annotation.
        default: Its default; None if it is required.
        required: Whether it has no default.
        meaning: Its description in the docstring.
    """

    name: str
    annotation: Any
    default: Any
    required: bool
    meaning: str = ""

    @property
    def type(self) -> str:
        """The annotation as a string."""
        if isinstance(self.annotation, type) and not hasattr(self.annotation, "__args__"):
            return self.annotation.__name__
        return str(self.annotation).replace("typing.", "").replace("collections.abc.", "")


def options_of(target: Callable[..., Any]) -> list[Option]:
    """Return the options of a component: all parameters that can be given by name, except the shape of the images.

    Descriptions are taken from the docstring of the target and, for a class, of its `__init__` and its bases.

    Args:
        target: Class or function of the component.

    Returns:
        The options in the order of their definition.
    """
    meanings = _read_docstrings(target)
    return [replace(o, meaning=meanings.get(o.name, "")) for o in _read_signature(target)]


def check_options(target: Callable[..., Any], given: Mapping[str, Any], where: str, context: int = 0) -> dict[str, Any]:
    """Validate options, and convert their values to the types in the signature.

    Args:
        target: Class or function of the component.
        given: Values of options by name.
        where: Name of the component in messages, as `generator 'dcgan'`.
        context: Number of positional arguments that the target gets besides its options.

    Returns:
        The converted values by name.

    Raises:
        BadOption: An option is unknown or missing, or its value has another type.
    """
    known = {o.name: o for o in _read_signature(target, context)}
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
    return {name: _convert_option(known[name], value, where) for name, value in given.items()}


def _convert_option(option: Option, value: Any, where: str) -> Any:
    try:
        return _convert(value, option.annotation)
    except (ValidationError, UnicodeEncodeError) as error:  # UnicodeEncodeError: a lone surrogate
        reason = str(error)
        raise BadOption(
            f"{where}: option '{option.name}' is {option.type}, not {brief(value)} ({reason[:1].lower()}{reason[1:]})"
        ) from error


def _convert(value: Any, annotation: Any) -> Any:
    """Convert a plain value to the type of an annotation; unchanged if msgspec does not support the annotation.

    Raises:
        ValidationError: The value has another type.
    """
    try:
        return convert(value, annotation, strict=False)
    except TypeError:  # not a type of plain values, or a union whose members msgspec cannot distinguish
        members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
    errors: list[ValidationError] = []
    for member in members:
        try:
            return _convert(value, member)
        except ValidationError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return value


def _read_signature(target: Callable[..., Any], context: int = 0) -> list[Option]:
    """Return the options of a target without descriptions, and without its first `context` arguments."""
    hints = _type_hints(target)
    return [
        Option(
            name=p.name,
            annotation=hints.get(p.name, Any if p.annotation is p.empty else p.annotation),
            default=None if p.default is p.empty else p.default,
            required=p.default is p.empty,
        )
        for number, p in enumerate(inspect.signature(target).parameters.values())
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and not (number < context or p.name == "shape" or hints.get(p.name) is ImageShape)
    ]


def _type_hints(target: Callable[..., Any]) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for owner in (target, getattr(target, "__init__", None)):
        try:
            hints |= get_type_hints(owner)
        except (NameError, TypeError, AttributeError):  # a name that is imported for type checkers only
            continue
    return hints


def _read_docstrings(target: Callable[..., Any]) -> dict[str, str]:
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
