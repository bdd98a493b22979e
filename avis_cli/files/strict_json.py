"""Strict JSON of unknown origin, read value by value: whatever is wrong is an error that names the field.

``parse(text)`` gives a ``Node``, which knows where it stands (``tracks[2].score``); asking it for what the format
promises either gives that or raises ``AnnotationError``. Keys nobody asks for are ignored.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from avis_cli.errors import AnnotationError

LARGEST = 1e300  # magnitude of a number; what is larger is damage, and no float computes with it


@dataclass(frozen=True)
class Node:
    """A value inside a JSON document. ``name``: its path from the top, empty for the document itself."""

    value: Any
    name: str = ""
    file: str | os.PathLike[str] | None = None

    def refuse(self, expected: str, *, got: str | None = None, hint: str | None = None) -> NoReturn:
        """Raise the error that this value is not what was expected."""
        what = self.name or "the document"
        raise AnnotationError(f"{what} is {got or _show(self.value)}, expected {expected}", hint=hint, file=self.file)

    @property
    def is_null(self) -> bool:
        return self.value is None

    def has(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def key(self, key: str) -> Node:
        """A member that must be there."""
        if not isinstance(self.value, dict):
            self.refuse("an object")
        child = Node(self.value.get(key), f"{self.name}.{key}" if self.name else key, self.file)
        if key not in self.value:
            child.refuse("a value", got="missing")
        return child

    def items(self, length: int | None = None) -> Iterator[Node]:
        """The elements of a list, of exactly ``length`` elements if that is given."""
        if not isinstance(self.value, list):
            self.refuse("a list")
        if length is not None and len(self.value) != length:
            self.refuse(f"{length}", got=f"a list of {len(self.value)} elements")
        return (Node(value, f"{self.name}[{index}]", self.file) for index, value in enumerate(self.value))

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.refuse("text")
        return self.value

    def integer(self, low: int = 0, high: int = 2**53) -> int:
        """A whole number written as one, in low..high."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not low <= self.value <= high:
            self.refuse(f"a whole number from {low} to {high}")
        return self.value

    def number(self, low: float = 0.0, high: float = math.inf) -> float:
        """A finite number in low..high."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse("a number")
        if not (low <= value <= high and abs(value) <= LARGEST):
            self.refuse(
                f"a finite number, {low:g} or more" if high == math.inf else f"a number from {low:g} to {high:g}"
            )
        return float(value)


def parse(text: str, *, file: str | os.PathLike[str] | None = None) -> Node:
    """Strict JSON text -> its top node: no NaN, no infinity, no key twice in one object."""

    def no_constant(literal: str) -> NoReturn:
        raise AnnotationError(f"holds {literal}, which is not JSON", file=file)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise AnnotationError(f"the key {_show(twice)} stands twice in one object", file=file)
        return members

    try:
        return Node(json.loads(text, parse_constant=no_constant, object_pairs_hook=unique), "", file)
    except json.JSONDecodeError as error:
        cause = f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
    except RecursionError:
        cause = "not JSON that can be read: nested too deep"
    except ValueError:
        cause = "not JSON that can be read: a number has too many digits"
    raise AnnotationError(cause, file=file)


def _show(value: Any) -> str:
    """A value of any size in a few words, for a message."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)} elements"
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a number of more than 40 digits"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
