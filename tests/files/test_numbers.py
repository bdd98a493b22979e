"""Numbers in text: exact, few digits, and read in one place."""

from __future__ import annotations

import ast
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import avis_cli
from avis_cli.files.numbers import clock, decimal, ratio, whole_number

PACKAGE = Path(avis_cli.__file__).parent
ROOMS = (
    "files", "media", "results", "datasets", "hub", "evaluate", "writers", "export", "batch", "train", "inference",
    "models", "nn", "cli", "segment.py", "options.py",
)  # fmt: skip
"""All but what reads the system's own tables (memory.py)."""
EXEMPT = {
    "media/container.py: int(av.__version__.partition('.')[0])",
    # as many digits as an expression allows that has been matched before
    "cli/synth.py: int(match[1])", "cli/synth.py: int(match[2])",
    "hub/weights_file.py: int(asked[1])",
    "evaluate/track_files.py: int(stem)",
    "inference/devices.py: int(index or 0)", "inference/devices.py: int(match['major'])",
    "inference/devices.py: int(match['minor'])",
    "options.py: Fraction(text)",
    "options.py: Fraction(match[3])", "options.py: Fraction(rest)", "options.py: int(hours or 0)",
    "options.py: int(minutes or 0)", "options.py: Fraction(value.strip())",
    # the environment that torchrun makes
    "train/run.py: int(os.environ.get('RANK', '0'))",
    "train/distributed.py: int(os.environ.get('WORLD_SIZE', '1'))",
    "train/distributed.py: int(os.environ.get('LOCAL_RANK', '0'))",
}  # fmt: skip
NUMBERS = {"Fraction", "Decimal", "int", "float"}
MATCHES, ROWS = {"match", "found", "asked"}, {"row", "line", "document", "entry", "metadata"}
OF_TEXT = {"split", "rsplit", "strip", "partition", "group", "groups", "get", "removeprefix", "removesuffix", "text"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00:05.000000000", Fraction(5)),
        ("100:59:59.999999999", 100 * 3600 + 59 * 60 + Fraction("59.999999999")),
        ("1:02.5", Fraction("62.5")),
        ("7", Fraction(7)),
    ],
)
def test_clock(text: str, seconds: Fraction) -> None:
    assert clock(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "00:00:1e999999999", "00:00:1/0", "1e9999999", "-1", "+1", "1_0", " 1", "1\n", "٣", "nan", "inf", ".5", "5.",
     "1:2:3:4", "0x10", "1" * 30, "1." + "1" * 30, "00:00:" + "9" * 5000],
)  # fmt: skip
def test_anything_else_is_no_number_and_takes_no_time(text: str) -> None:
    began = time.process_time()
    assert clock(text) is decimal(text) is ratio(text) is whole_number(text) is None
    assert time.process_time() - began < 1


@given(st.integers(0, 10**18 - 1), st.integers(1, 10**18 - 1))
def test_ratios_and_whole_numbers_are_exact(above: int, below: int) -> None:
    assert ratio(f"{above}/{below}") == Fraction(above, below)
    assert whole_number(str(above)) == above
    assert ratio(f"{above}/0") is None


@given(st.decimals(0, 10**12 - 1, places=9))
def test_decimals_are_exact(value: object) -> None:
    assert decimal(f"{value:f}") == Fraction(str(value))


def _conversions_of_text(path: Path) -> set[str]:
    """Calls such as ``Fraction(text)`` whose argument is text as far as the function around it shows."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for scope in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))):
        texts = set()
        if isinstance(scope, ast.FunctionDef):
            texts = {item.arg for item in (*scope.args.args, *scope.args.kwonlyargs) if _means_text(item.annotation)}
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and _is_text(node.value, texts):
                texts |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            if isinstance(node, ast.comprehension | ast.For) and _is_text(node.iter, texts):
                texts |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
        for node in ast.walk(scope):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in NUMBERS
                and len(node.args) == 1
                and _is_text(node.args[0], texts)
            ):
                found.add(f"{path.relative_to(PACKAGE).as_posix()}: {ast.unparse(node)}")
    return found


def _means_text(annotation: ast.expr | None) -> bool:
    return annotation is not None and "str" in ast.unparse(annotation).split(" | ")


def _is_text(node: ast.expr, texts: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in texts
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in OF_TEXT
    if isinstance(node, ast.ListComp):
        return _is_text(node.elt, texts)
    if isinstance(node, ast.Subscript):
        return _is_text(node.value, {*texts, *MATCHES, *ROWS})
    if isinstance(node, ast.BoolOp):
        return any(_is_text(value, texts) for value in node.values)
    return isinstance(node, ast.Attribute) and ast.unparse(node).endswith(("source.frame_rate", ".stem"))


def _python_files(room: Path) -> list[Path]:
    return [room] if room.suffix else list(room.rglob("*.py"))


def test_numbers_in_text_are_read_in_one_place() -> None:
    files = {path for room in ROOMS for path in _python_files(PACKAGE / room)} - {PACKAGE / "files" / "numbers.py"}
    assert len(files) > 50
    found = set().union(*map(_conversions_of_text, files))
    assert found - EXEMPT == set()
    assert EXEMPT - found == set(), "what is no longer there needs no exemption"


def test_the_search_for_such_calls_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.py").write_text(
        "def f(text: str | None, match, stream, result):\n"
        "    hours, minutes, seconds = (text or '').split(':')\n"
        "    return [Fraction(seconds), int(hours), float(text), int(match[1]), Fraction(stream.metadata.get('D')),\n"
        "        Fraction(result.source.frame_rate), int(result.count)]\n"
        "def g(names, table):\n"
        "    stems = [PurePath(name).stem for name in names]\n"
        "    return [int(stem) for stem in stems], [float(row['x']) for row in table], [int(i) for i in range(3)]\n"
    )
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    assert len(_conversions_of_text(tmp_path / "x.py")) == 8
