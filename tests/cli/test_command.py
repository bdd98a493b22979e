"""What a command's help looks like, and the examples in it."""

from __future__ import annotations

import ast
import shlex
from typing import Any, TypeGuard

import pytest
from paths import ROOT
from typer.main import get_command

from avis_cli.cli.command import GENERAL, ONLY, panels_of
from avis_cli.cli.main import app, main
from avis_cli.options import CLUSTER, FOLDERS, FOUND, INPUT, LOOK, NETWORK, WRITTEN, SegmentOptions, declarations

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
WITH_EXAMPLES = [name for name, command in COMMANDS.items() if command.epilog]


def help_of(*words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERMINAL_WIDTH", str(width))
    assert main([*words, "--help"]) == 0
    return capsys.readouterr().out


def headings(text: str) -> list[str]:
    return [line.removesuffix(":") for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]


def test_the_options_of_segment_stand_in_panels(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = help_of("segment", capsys=capsys, monkeypatch=monkeypatch, width=80)
    panels = [INPUT, FOUND, WRITTEN, LOOK, FOLDERS, NETWORK, CLUSTER]
    assert headings(text) == ["Arguments", *panels, GENERAL, "Examples"]
    assert "\n  --threshold 0..1 " in text.split(f"\n{FOUND}:")[1].split(f"\n{WRITTEN}:")[0]
    assert "\n  -o, --output DIR " in text.split(f"\n{WRITTEN}:")[1].split(f"\n{LOOK}:")[0]
    assert "\n  -h, --help " in text.split(f"\n{GENERAL}:")[1]
    sizes = {name: len(found) for name, found in panels_of(COMMANDS["segment"], COMMANDS["segment"].params).items()}
    assert max(sizes.values()) <= 10, "a panel that is a list of its own again"


def test_few_options_need_no_panels(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert headings(help_of("doctor", capsys=capsys, monkeypatch=monkeypatch, width=80)) == [ONLY]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_fits_its_width_and_begins_in_one_column(
    name: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = help_of(name, capsys=capsys, monkeypatch=monkeypatch, width=width)
    assert max(map(len, text.splitlines())) <= width
    columns = {len(line) - len(line.lstrip()) for line in text.splitlines() if line.startswith(" " * 12)}
    assert len(columns) <= 1, "texts begin in different columns"
    for words in ("list[", "<int>", "{INPUT", "x>=", "None", "_NAME"):
        assert words not in text


def test_every_setting_says_what_holds_without_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(help_of("segment", capsys=capsys, monkeypatch=monkeypatch, width=120).split())
    for words in ("0.3", "avis_out", "--labels", "overlay,masks,tracks,report", "the model's"):
        assert f"[default: {words}]" in text


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_are_command_lines(name: str) -> None:
    text = COMMANDS[name].epilog.replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    assert len(lines) >= 2
    for line in lines:
        program, command, *arguments = shlex.split(line.split(" | ")[-1])
        assert (program, command) == ("avis", name)
        context = COMMANDS[name].make_context(name, arguments)
        given: dict[str, Any] = {n: context.params[n] for n, _, _ in declarations() if n in context.params}
        SegmentOptions(**given)


def test_commands_of_many_options_have_examples() -> None:
    assert set(WITH_EXAMPLES) >= {name for name, command in COMMANDS.items() if len(command.params) > 8}


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_the_version_has_two_flags(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    import avis_cli

    assert main([flag]) == 0
    assert capsys.readouterr() == (f"avis-cli {avis_cli.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["segment", "x.mp4", "--model", "avism-tny"], "no model called 'avism-tny'; is avism-tiny meant?"),
        (["weights", "path", "AVISM-R50-COC"], "is avism-r50-coco meant?"),
        (["train", "--data", "d", "--out", "o", "--steps", "1", "--preset", "avsm-tiny"], "is avism-tiny meant?"),
        (["train", "--data", "d", "--out", "o", "--steps", "1", "--without", "audo"], "is audio meant?"),
        (["export", "t.json", "--to", "coc"], "is coco meant?"),
        (["segment", "x.mp4", "--style", "spotligt"], "is spotlight meant?"),
        (["segment", "x.mp4", "--palette", "pastle"], "is pastel meant?"),
        (["segment", "x.mp4", "--only", "overlay,mask"], "is masks meant?"),
        (["evaluate", "--format", "jsn"], "is json meant?"),
        (["synth", "o", "--split", "tset"], "is test meant?"),
        (["segmnt"], "Did you mean 'segment'"),
        (["segment", "--threshhold", "1"], "--threshold"),
    ],
)
def test_a_misspelt_name_is_told_the_nearest(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from media_factory import make_clip

    monkeypatch.chdir(tmp_path)
    if "x.mp4" in arguments:
        make_clip("x.mp4", size=(64, 48), fps=5, seconds=1, audio="tone")
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_name_that_is_like_none_is_told_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "path", "yolo"]) == 2
    err = capsys.readouterr().err
    assert "no model called 'yolo'; there are avism-tiny, " in err
    assert "meant" not in err


def test_every_option_says_its_name() -> None:
    """Typer 0.27 names an option that says none after its metavar: ``--DEVICE``."""
    for command in COMMANDS.values():
        for parameter in getattr(command, "params", []):
            for name in (*parameter.opts, *parameter.secondary_opts):
                assert name == name.lower() or len(name) == 2, f"{command.name}: {name}"
    files = sorted((ROOT / "avis_cli" / "cli").glob("*.py"))
    made = [call for file in files for call in ast.walk(ast.parse(file.read_text("utf-8"))) if _makes_option(call)]
    assert len(made) > 50
    assert not [ast.unparse(call) for call in made if not call.args]


def _makes_option(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.Option"
