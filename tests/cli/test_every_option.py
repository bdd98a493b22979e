"""Every option of every command: what it cannot take, and where it would be without effect, is refused in one line."""

from __future__ import annotations

import importlib
import io
import shutil
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from media_factory import make_clip, numbered_image
from option_table import MODES, ROWS
from PIL import Image
from typer.main import get_command

from avis_cli.cli.main import app, main

OTHERS_WORDS = ("Value error", "Input should", "Invalid value", "valid integer", "unable to parse", "Traceback", "\\n")
ALL = [(command, name) for command, rows in ROWS.items() for name in rows]


def commands() -> Iterator[tuple[str, Any]]:
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {below}", found) for below, found in inner.items())


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the words of the table stand for."""
    folder = tmp_path_factory.mktemp("material")
    (folder / "videos").mkdir()
    (folder / "frames").mkdir()
    make_clip(folder / "videos" / "clip.mp4", size=(64, 48), fps=5, seconds=1, audio="tone")
    shutil.copy(folder / "videos" / "clip.mp4", folder / "clip.mp4")
    for number in range(3):
        Image.fromarray(numbered_image(number, (64, 48))).save(folder / "frames" / f"{number}.png")
    for name in ("gt.json", "pred.json", "tracks.json", "videos/there.json"):
        (folder / name).write_text("[]")
    names = {"CLIP": "clip.mp4", "SOUND": "clip.mp4", "VIDEOS": "videos", "FRAMES": "frames", "GT": "gt.json"}
    (folder / "maps").mkdir()
    names |= {"LABELS": "gt.json", "MAPS": "maps"}
    names |= {"PRED": "pred.json", "TRACKS": "tracks.json", "OUT": "out", "OUT.mp4": "out.mp4", "OUT.json": "out.json"}
    return {word: str(folder / name) for word, name in names.items()}


@pytest.fixture
def _idle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands do everything but their work."""

    def nothing(*_: Any, **__: Any) -> Any:
        return tmp_path

    def no_pictures(*_: Any) -> Any:
        return SimpleNamespace(categories={})

    def module(name: str) -> Any:
        return importlib.import_module(f"avis_cli.{name}")

    result = SimpleNamespace(source=SimpleNamespace(width=64, height=48, exact_rate=Fraction(5), file="clip.mp4"))
    report = SimpleNamespace(failed=0, total=1, summary=list)
    monkeypatch.setattr(module("results.reader"), "read_clip_result", lambda *_: result)
    segment, synth, hub = module("cli.segment"), module("cli.synth"), module("hub.lookup")
    for home, name in (
        (segment, "_one"), (synth, "_write"), (synth, "_write_maps"), (synth, "_write_preview"),
        (synth, "_print_stats"), (synth, "_write_stills"),
        (module("writers.overlay"), "overlay_clip"), (module("outputs"), "drawn_result"),
        (module("cli.export"), "_write"), (module("cli.evaluate"), "score_files"),
        (module("cli.evaluate"), "score_map_files"), (module("cli.evaluate_maps"), "score_model"),
        (module("batch.model_choice"), "load"), (module("cli.weights"), "_record"),
        (module("train.run"), "train"), (module("cli.vpo"), "_build"), (module("datasets.vpo_catalogue"), "read_map"),
        (module("hub.publish"), "export"), (module("cli.stream"), "_run"),
        (module("cli.collect"), "write_run_index"),
    ):  # fmt: skip
        monkeypatch.setattr(home, name, nothing)
    monkeypatch.setattr(module("datasets.vpo_catalogue"), "read_pictures", no_pictures)
    monkeypatch.setattr(module("cli.evaluate_data").DataRun, "is_semantic", lambda run: run.data.name == "maps")
    monkeypatch.setattr(segment, "_several", lambda *_: report)
    monkeypatch.setattr(segment, "write_run_index", nothing)
    collected = module("batch.collect").Collected([], [], 1, [])
    monkeypatch.setattr(module("cli.collect"), "collect_records", lambda *_: collected)
    monkeypatch.setattr(segment, "_dry_run", lambda *_: 0)
    imported = SimpleNamespace(name="x", has_audio=True, path="x")
    monkeypatch.setattr(module("hub.convert"), "import_released", lambda *_, **__: imported)
    monkeypatch.setattr(
        hub, "resolve", lambda *_, **__: SimpleNamespace(name="x", sha256="0", path="x", note=None, preset=None)
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a clip")))
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def run(words: list[str], material: dict[str, str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main([material.get(word, word) for word in words])
    return code, capfd.readouterr().err


def complaint(words: list[str], material: dict[str, str], capfd: pytest.CaptureFixture[str]) -> str:
    """The one line of a usage error."""
    code, err = run(words, material, capfd)
    lines = err.splitlines()
    assert (code, len(lines)) == (2, 1), (words, code, err)
    assert lines[0].startswith("avis: ")
    assert not any(word in err for word in OTHERS_WORDS), err
    return lines[0]


def with_option(words: list[str], name: str, value: str | None) -> list[str]:
    return [*words, name] if value is None else [*words, name, value]


@pytest.mark.parametrize(("command", "declared"), list(commands()), ids=[name for name, _ in commands()])
def test_every_option_has_a_row(command: str, declared: Any) -> None:
    options = [p for p in declared.params if p.opts[0].startswith("-")]
    names = {max(p.opts, key=len) for p in options} | {name for p in options for name in p.secondary_opts}
    assert names == set(ROWS[command])
    assert MODES[command]


@pytest.mark.parametrize(("command", "name"), ALL)
@pytest.mark.usefixtures("_idle")
def test_an_option_is_used_or_refused(
    command: str, name: str, material: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    row = ROWS[command][name]
    for mode, words in MODES[command].items():
        words = with_option(words, name, row.value)
        if row.modes is None or mode in row.modes:
            code, err = run(words, material, capfd)
            assert code == 0, (mode, err)
        else:
            assert name in complaint(words, material, capfd), mode


@pytest.mark.parametrize(("command", "name"), [(c, n) for c, n in ALL if ROWS[c][n].wrong])
def test_a_value_that_cannot_be_meant_is_told_with_what_can(
    command: str,
    name: str,
    material: dict[str, str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    row = ROWS[command][name]
    words = next(
        words for mode, words in MODES[command].items() if row.modes is None or mode in row.modes or not row.modes
    )
    for value in row.wrong:
        line = complaint(with_option(words, name, value), material, capfd)
        got = value.split(",") if name == "--only" else [value]
        assert any(repr(part) in line or (part and part in line) for part in got), line
        assert "expected " in line or "there are " in line, line
        assert name in line or name.strip("-") in line, line
        assert list(tmp_path.iterdir()) == [], "something was written"
        assert not Path(material["OUT"]).exists(), "something was written"


@pytest.mark.parametrize(("command", "declared"), list(commands()), ids=[name for name, _ in commands()])
def test_a_flag_takes_no_value_and_others_need_one(
    command: str, declared: Any, material: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    words = next(iter(MODES[command].values()))
    for option in declared.params:
        name = max(option.opts, key=len)
        if option.opts[0].startswith("-"):
            extra = f"{name}=1" if option.is_flag else name
            line = complaint([*words, extra], material, capfd)
            assert f"{name} " in line
            assert "takes no value" in line if option.is_flag else "needs a value" in line


def test_a_choice_that_is_missing_is_told_with_what_there_is(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "tracks.json"]) == 2
    err = capfd.readouterr().err
    assert err.startswith("avis: --to is missing, expected one of ytvis, coco, davis, ")
    assert err.count("\n") == 1
    assert main(["train", "--out", "x"]) == 2
    assert capfd.readouterr().err == "avis: --data is missing, expected DIR; see `avis train --help`\n"
