"""The code in README.md and docs/ works: Python blocks run, commands exist with the options they are given.

A block after ``<!-- needs: NAME -->`` is run only where NAME can be imported, one after ``<!-- not run: WHY -->`` only
has to parse. Lines of sh blocks that begin with ``avis`` are parsed; after ``<!-- run -->`` they are run.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from docs_pages import ROOT, Block, blocks, pages
from typer.main import get_command

from avis_cli.cli import console
from avis_cli.cli.main import app, main
from avis_cli.errors import UsageError

RUN = "run"
KNOWN_NOTES = re.compile(r"(needs: \w+|not run: .+|run|ci: .+|)")


def _where(page: Path, block: Block) -> str:
    return f"{page.relative_to(ROOT)}:{block.line}"


def _of(language: str) -> list[Any]:
    """A parameter for each page that has such blocks."""
    return [pytest.param(page, id=page.name) for page in pages() if any(b.language == language for b in blocks(page))]


def _noted(note: str) -> list[Any]:
    """A parameter for each page that has a block under such a comment."""
    return [pytest.param(page, id=page.name) for page in pages() if any(b.note == note for b in blocks(page))]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in that has what a clone has for the examples to read."""
    (tmp_path / "samples").symlink_to(ROOT / "samples", target_is_directory=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "data").symlink_to(ROOT / "tests" / "data", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", _of("python"))
def test_python_blocks_parse(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            ast.parse("\n" * (block.line - 1) + block.text, str(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", _of("python"))
def test_python_blocks_run(page: Path, clone: Path) -> None:
    """One after another in one namespace, as a reader would who goes through the page."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language != "python" or block.is_not_run:
            continue
        if block.needs is not None and importlib.util.find_spec(block.needs) is None:
            continue
        # as many empty lines before it as the page has, so that a traceback names the page's own line
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)


def _commands(text: str) -> Iterator[list[str]]:
    """The words of every line that calls avis; a backslash at its end goes on with the next line."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("avis "):
            yield shlex.split(line, comments=True)[1:]


def _refusal(words: list[str]) -> str | None:
    """Why avis does not understand a command line, None if it does; nothing is run."""
    command: Any = _root()
    name = "avis"
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            return f"there is no command {name!r}"
        command = command.commands[name]
    if hasattr(command, "commands"):
        known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
        return None if words and set(words) <= known else "a command is missing"
    try:
        command.make_context(name, words)
    except UsageError as error:
        return str(error)
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's own have it
            raise
        return str(error.format_message())
    finally:
        console.reset()  # --quiet and --debug take effect when they are read
    return None


@lru_cache
def _root() -> Any:
    return get_command(app)


@pytest.mark.parametrize("page", _of("sh"))
def test_commands_parse(page: Path) -> None:
    for block in blocks(page):
        if block.language == "sh":
            for words in _commands(block.text):
                assert _refusal(words) is None, f"{_where(page, block)}: avis {shlex.join(words)}"


@pytest.mark.parametrize(
    "line", ["segmnt a.mp4", "segment", "segment a.mp4 --colour", "synth out --seed x", "export a --to psd", "weights"]
)
def test_a_wrong_command_line_is_noticed(line: str) -> None:
    assert _refusal(line.split()) is not None


@pytest.mark.slow
@pytest.mark.parametrize("page", _noted(RUN))
def test_commands_run(page: Path, clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One after another in one folder; nothing but lines of avis can be run everywhere."""
    for block in blocks(page):
        if block.note != RUN:
            continue
        lines = [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]
        calls = list(_commands(block.text))
        assert len(calls) == len(lines), f"{_where(page, block)}: every line has to call avis"
        for words in calls:
            code = main(words)
            assert code == 0, f"{_where(page, block)}: avis {shlex.join(words)}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in pages()])
def test_what_stands_above_a_block_is_known(page: Path) -> None:
    """A misspelt comment would leave a block unrun, or run one that cannot be."""
    for block in blocks(page):
        assert KNOWN_NOTES.fullmatch(block.note), f"{_where(page, block)}: <!-- {block.note} -->"
