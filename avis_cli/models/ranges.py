"""Whether a description that came with a file is one of a network: the type and the range of every field of it.

A configuration is a frozen dataclass. Its annotations say of what type a field is, its ``RANGES`` and those of the
classes above it between which bounds a number lies. What is in no table may be from 0 to 65536.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from avis_cli.errors import WeightsError

Range = tuple[float, float]
"""The least and the largest value."""

ELSE: Range = (0, 65_536)
MOST_ITEMS = 10_000  # of a list; the categories are the longest
MOST_CHARACTERS = 1_000  # of a text


def check(config: object) -> None:
    """Raise WeightsError that names the first field of ``config`` whose type or value cannot be meant."""
    ranges = {name: bounds for kind in type(config).__mro__[::-1] for name, bounds in _ranges(kind).items()}
    kinds = get_type_hints(type(config))
    for field in fields(config):  # type: ignore[arg-type]
        _check(field.name, getattr(config, field.name), kinds[field.name], ranges.get(field.name, ELSE))


def check_relations(relations: Iterable[tuple[bool, str]]) -> None:
    """Raise WeightsError that says the first of ``relations`` between fields that does not hold."""
    for holds, expected in relations:
        if not holds:
            raise WeightsError(f"model description not understood: expected {expected}", hint="get the file again")


def _ranges(kind: type) -> dict[str, Range]:
    found: dict[str, Range] = vars(kind).get("RANGES", {})
    return found


def _check(name: str, value: Any, kind: Any, bounds: Range) -> None:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        _check_union(name, value, parts, bounds)
    elif origin is tuple:
        _check_tuple(name, value, parts, bounds)
    elif origin is Literal:
        if not isinstance(value, str) or value not in parts:
            _refuse(name, value, " or ".join(map(str, parts)))
    elif kind is bool:
        if not isinstance(value, bool):
            _refuse(name, value, "true or false")
    elif kind in (int, float):
        _check_number(name, value, kind, bounds)
    elif kind is str:
        _check_text(name, value)
    elif is_dataclass(kind) and type(value) is kind:
        check(value)
    else:
        _refuse(name, value, getattr(kind, "__name__", str(kind)))


def _check_union(name: str, value: Any, parts: tuple[Any, ...], bounds: Range) -> None:
    if value is None and NoneType in parts:
        return
    others = [part for part in parts if part is not NoneType]
    _check(name, value, next((part for part in others if type(value) is part), others[0]), bounds)


def _check_tuple(name: str, value: Any, parts: tuple[Any, ...], bounds: Range) -> None:
    if not isinstance(value, tuple):
        _refuse(name, value, "a list")
    if parts[-1] is Ellipsis:
        if not 1 <= len(value) <= MOST_ITEMS:
            _refuse(name, value, f"1 to {MOST_ITEMS} elements")
        parts = (parts[0],) * len(value)
    elif len(value) != len(parts):
        _refuse(name, value, f"{len(parts)} elements")
    for index, (item, part) in enumerate(zip(value, parts, strict=True)):
        _check(f"{name}[{index}]", item, part, bounds)


def _check_number(name: str, value: Any, kind: type, bounds: Range) -> None:
    low, high = bounds
    fits = isinstance(value, int) or (kind is float and isinstance(value, float) and math.isfinite(value))
    if isinstance(value, bool) or not fits or not low <= value <= high:
        _refuse(name, value, f"a {'whole ' if kind is int else ''}number from {low} to {high}")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= MOST_CHARACTERS:
        _refuse(name, value, f"text of 1 to {MOST_CHARACTERS} characters")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        _refuse(name, value, "text without halves of surrogate pairs")


def _refuse(name: str, value: Any, expected: str) -> NoReturn:
    raise WeightsError(
        f"model description not understood: {name} is {shown(value)}, expected {expected}", hint="get the file again"
    )


def shown(value: Any) -> str:
    """A value of any size in a few words, for a message."""
    if isinstance(value, dict) or is_dataclass(value):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)} elements"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return "a number of more than 40 digits"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
