"""Every message that docs/troubleshooting.md quotes is one that the code can say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
from docs_pages import ROOT

from avis_cli.cli.parameters import flag
from avis_cli.options import OptionError, SegmentOptions

PAGE = ROOT / "docs" / "troubleshooting.md"
VARIES = "…"  # what stands in a quoted message for a name or number
WRONG: list[dict[str, Any]] = [
    {"start": "soon"}, {"start": 2, "end": 1}, {"fps": "often"}, {"fps": 5000}, {"threshold": 2}, {"only": "poem"},
    {"window": 0}, {"max_gap": -1}, {"alpha": 2}, {"palette": "rainbow"},
]  # fmt: skip
QUOTE = re.compile(r"^\| `(?P<message>[^`]+)`", re.MULTILINE)


def _quoted() -> list[str]:
    return [match["message"].replace("\\|", "|") for match in QUOTE.finditer(PAGE.read_text(encoding="utf-8"))]


def _texts(node: ast.AST) -> Iterator[str]:
    """Every text in a module, with ``VARIES`` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else VARIES for part in node.values)
    else:
        for inner in ast.iter_child_nodes(node):
            yield from _texts(inner)


def _complaint(settings: dict[str, Any]) -> str:
    """What the command line says of settings that cannot be meant."""
    with pytest.raises(OptionError) as caught:
        SegmentOptions(**settings)
    return OptionError(dict.fromkeys(caught.value.given, VARIES), caught.value.expected).renamed(flag).cause


@pytest.fixture(scope="module")
def said() -> set[str]:
    files = sorted((ROOT / "avis_cli").rglob("*.py"))
    texts = {text for file in files for text in _texts(ast.parse(file.read_text(encoding="utf-8")))}
    return texts | {_complaint(settings) for settings in WRONG}


def test_there_is_something_to_find() -> None:
    quoted = _quoted()
    assert len(quoted) > 80
    assert len(quoted) == len(set(quoted))


@pytest.mark.parametrize("message", _quoted())
def test_the_message_is_in_the_source(message: str, said: set[str]) -> None:
    assert message in said, "the code says this no longer; look for what it says now"
