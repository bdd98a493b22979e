"""Names, places and surroundings that are out of the ordinary: results are whole all the same, or a line says why."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip

from avis_cli.batch.inputs import collect
from avis_cli.cli.main import main
from avis_cli.results.clip import ClipResult

Run = Callable[..., tuple[int, str, str]]

NOTHING_FOUND = "avis: nothing found that sounds; a lower --threshold finds less certain objects\n"  # of random weights


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, size=(64, 48), fps=5, seconds=1, audio="tone")
    return path


@pytest.fixture
def run(tiny_model: Any, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs ``avis segment`` with a network that is loaded already; gives exit code, stdout and stderr."""
    from avis_cli import hub
    from avis_cli.inference import loading

    found = hub.resolve(tiny_weights)
    monkeypatch.setattr(hub, "resolve", lambda *_, **__: found)
    monkeypatch.setattr(loading, "load", lambda *_: tiny_model)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(["segment", "--model", str(tiny_weights), "--mask-fps", "1", *map(str, arguments)])
        return code, *capfd.readouterr()

    return call


def tree(folder: Path) -> dict[str, str]:
    """Relative path -> hash of every file below a folder, hidden ones too."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def targets(*inputs: str) -> list[str]:
    """Where ``inputs``, which need not exist, have their results."""
    found = collect(map(Path, inputs), Path("out"), recursive=True, note=pytest.fail)
    return [job.place(Path("out")) for job in found.jobs]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("CON", "_CON"),
        ("aux.mp4", "_aux.mp4"),
        ("Nul.tar.gz", "_Nul.tar.gz"),
        ("prn .mp4", "_prn .mp4"),
        ("COM1.mp4", "_COM1.mp4"),
        ("lpt9", "_lpt9"),
        ("com\u00b2.mp4", "_com\u00b2.mp4"),
        ("conout$", "_conout$"),
        ("clip.mp4.", "clip.mp4._"),
        ("clip ", "clip _"),
        ("NUL.", "_NUL._"),
    ],
)
def test_names_that_windows_gives_another_meaning_are_changed(name: str, folder: str) -> None:
    assert targets(name) == [folder]


@pytest.mark.parametrize(
    "name",
    ["clip.mp4", "console.mp4", "com0.mp4", "COM10", "my aux.mp4", "aux_.mp4", " x", ".hidden", "a:b?.mp4", "a..b"],
)
def test_all_other_names_stay(name: str) -> None:
    assert targets(name) == [name]


def test_changed_names_never_meet_and_differ_in_more_than_case() -> None:
    assert targets("aux.mp4", "_aux.mp4", "x/AUX.mp4", "clip.", "clip._", "X.mp4", "x/x.mp4") == [
        "_aux.mp4", "_aux.mp4.2", "_AUX.mp4.3", "clip._", "clip._.2", "X.mp4", "x.mp4.2",
    ]  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="elsewhere there are no such names")
def test_folders_below_have_safe_names_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("videos/aux/a.mp4", "videos/end./com1.mp4", "videos/usual/a.mp4"):
        Path(place).parent.mkdir(parents=True)
        Path(place).touch()
    assert targets("videos") == ["_aux/a.mp4", "end._/_com1.mp4", "usual/a.mp4"]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere there are no such names")
def test_results_of_such_a_name_are_whole_and_found_again(run: Run, clip: Path, tmp_path: Path) -> None:
    source, out = Path(shutil.copy(clip, tmp_path / "aux.mp4.")), tmp_path / "out"
    target = out / "_aux.mp4._"
    assert run(source, "-o", out) == (0, f"{target}\n", NOTHING_FOUND)
    assert ClipResult.read(target / "tracks.json").source.file == "aux.mp4."
    assert "skipped" in run(source, "-o", out, "--skip-existing")[2]


def test_a_name_as_long_as_can_be(run: Run, clip: Path, tmp_path: Path) -> None:
    name = "x" * 251 + ".mp4"  # 255 bytes
    try:
        source = Path(shutil.copy(clip, tmp_path / name))
    except OSError:
        pytest.skip("this file system takes no such name")
    out = tmp_path / "out"
    assert run(source, "-o", out) == (0, f"{out / name}\n", NOTHING_FOUND)
    (tmp_path / "other").mkdir()
    second = shutil.copy(clip, tmp_path / "other" / name)
    code, printed, _ = run(source, second, "-o", out, "--overwrite")
    shorter = "x" * 251 + ".m.2"  # there is no room for a number behind its name
    assert (code, printed) == (0, f"{out / name}\n{out / shorter}\n")
    assert set(os.listdir(out)) == {name, shorter, "run.json", "index.html"}


def test_outputs_with_names_too_long_are_refused_in_a_line(
    run: Run, clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(clip, "-o", tmp_path / "out", "--only", "tracks")[0] == 0
    tracks = tmp_path / "out" / "clip.mp4" / "tracks.json"
    for name, arguments in (
        ("x" * 300, ["segment", str(clip)]),
        ("x" * 300 + ".mp4", ["render", str(tracks), str(clip)]),
        ("x" * 300 + ".csv", ["export", str(tracks), "--to", "csv"]),
        ("x" * 300, ["export", str(tracks), "--to", "davis"]),
    ):
        assert main([*arguments, "-o", str(tmp_path / name)]) == 1
        printed, err = capfd.readouterr()
        assert (printed, err.count("\n")) == ("", 1)
        assert f"cannot be written: {os.strerror(errno.ENAMETOOLONG)}; choose another place with -o" in err
    assert os.listdir(tmp_path) == ["out"]


def test_a_path_longer_than_a_name_may_be(run: Run, clip: Path, tmp_path: Path) -> None:
    place = tmp_path.joinpath(*["d" * 200] * 6)
    try:
        place.mkdir(parents=True)
    except OSError:
        pytest.skip("this system takes no such path")
    source = shutil.copy(clip, place / "clip.mp4")
    code, printed, err = run(source, "-o", place / "out")
    assert (code, printed, err) == (0, f"{place / 'out' / 'clip.mp4'}\n", NOTHING_FOUND)
    assert (place / "out" / "clip.mp4" / "overlay.mp4").stat().st_size > 0


def test_a_dash_in_front_of_a_name_is_a_name_behind_a_dot(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, "-x.mp4")
    assert main(["info", "./-x.mp4"]) == 0
    assert main(["info", "--", "-x.mp4"]) == 0
    assert capsys.readouterr().err == ""


def test_a_link_is_read_through_and_gives_its_own_name(run: Run, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(clip)
    before = clip.read_bytes()
    assert run(tmp_path / "link.mp4", "-o", tmp_path / "out", "--only", "tracks")[0] == 0
    assert os.listdir(tmp_path / "out") == ["link.mp4"]
    assert clip.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and sockets of POSIX")
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("command", ["segment", "model", "import", "render", "gt"])
def test_what_is_no_file_is_refused_and_never_waited_for(
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("it.safetensors")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    arguments = {
        "segment": ["segment", str(path)],
        "model": ["segment", str(clip), "--model", str(path)],
        "import": ["weights", "import", str(path)],
        "render": ["render", str(path), str(clip)],
        "gt": ["evaluate", "--gt", str(path), "--pred", str(path)],
    }
    assert main(arguments[command]) == 1
    printed, err = capfd.readouterr()
    assert (printed, err.count("\n")) == ("", 1)
    assert err.startswith(f"avis: {path}: ")
    assert os.listdir() == [path.name]


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "FOLDER"],
        ["info", "CLIP/below.mp4"],
        ["render", "FOLDER", "CLIP"],
        ["export", "FOLDER", "--to", "csv"],
        ["evaluate", "--gt", "FOLDER", "--pred", "CLIP"],
        ["segment", "CLIP", "--model", "FOLDER"],
        ["weights", "import", "FOLDER"],
        ["segment", "CLIP", "-o", "CLIP"],
        ["synth", "CLIP", "--split", "val", "--videos", "1"],
    ],
)
def test_a_folder_for_a_file_or_a_file_for_a_folder_is_wrong_usage(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    folder, own = tmp_path / "folder", tmp_path / "clip.mp4"
    folder.mkdir()
    shutil.copy(clip, own)
    assert main([text.replace("FOLDER", str(folder)).replace("CLIP", str(own)) for text in arguments]) == 2
    printed, err = capfd.readouterr()
    assert (printed, err.count("\n")) == ("", 1)
    assert err.startswith((f"avis: {folder}", f"avis: {own}"))
    assert sorted(os.listdir(tmp_path)) == ["clip.mp4", "folder"]
    assert own.read_bytes() == clip.read_bytes()


def test_a_drive_that_knows_neither_links_nor_locks_nor_flushing(
    run: Run, clip: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    for name in ("link", "symlink", "fsync", "fdatasync", "chmod", "chown", "utime"):
        monkeypatch.setattr(os, name, unknown, raising=False)
    if os.name == "posix":
        import fcntl

        monkeypatch.setattr(fcntl, "flock", unknown)
        monkeypatch.setattr(fcntl, "lockf", unknown)
    out = tmp_path / "out"
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "b.mp4"
    other.write_bytes(clip.read_bytes())
    for how in ([], ["--overwrite"], ["--skip-existing"]):
        assert run(clip, other, "-o", out, *how)[0] == 0
    assert set(os.listdir(out)) == {"clip.mp4", "b.mp4", "run.json", "index.html"}
    assert main(["export", str(out / "b.mp4" / "tracks.json"), "--to", "davis", "-o", str(tmp_path / "davis")]) == 0

    from avis_cli.batch.results_list import ResultsList
    from avis_cli.hub import weights_file

    with ResultsList(tmp_path / "results.json", {"model": "tiny"}) as results:
        results.add(1, [])
        results.finish([1])
    assert json.loads((tmp_path / "results.json").read_text()) == []
    weights_file.write(tmp_path / "copy.safetensors", *weights_file.read(tiny_weights))
    assert (tmp_path / "copy.safetensors").read_bytes() == tiny_weights.read_bytes()


SHIFTED = """
import sys, time
now = time.time
time.time = lambda: now() + 1e9
from avis_cli.cli.main import run
run()
"""


@pytest.mark.skipif(os.name != "posix", reason="locales and encodings of POSIX")
def test_surroundings_change_how_it_is_said_and_never_what_is_written(
    clip: Path, tiny_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another clock, time zone, locale, console: the same bytes, and lines that this console can show."""
    source = tmp_path / "gr\u00f6\u00dfe \U0001f3bb.mp4"
    make_clip(source, size=(64, 48), fps=5, seconds=1, audio="silence")  # which is warned of
    options = ["--model", str(tiny_weights), "--mask-fps", "1", "--no-gate", "--threshold", "0.05", "--device", "cpu"]
    assert main(["segment", str(source), "-o", str(tmp_path / "here"), *options]) == 0
    capfd.readouterr()
    os.utime(source, (0, 86_400 * 365))
    surroundings = {
        "TZ": "Pacific/Kiritimati", "LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "cp1252", "NO_COLOR": "1",
        "TERM": "dumb", "COLUMNS": "40", "PYTHONHASHSEED": "7",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SHIFTED, "segment", str(source), "-o", str(tmp_path / "there"), *options],
        env={**os.environ, **surroundings}, cwd=tmp_path, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    name = source.name.encode("cp1252", "backslashreplace")
    assert done.stdout == os.fsencode(tmp_path / "there") + b"/" + name + b"\n"
    assert name + b": the sound is silent" in done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    assert len(tree(tmp_path / "here")) >= 5


def test_a_rerun_elsewhere_knows_the_results_again(run: Run, clip: Path, tmp_path: Path) -> None:
    """The time of a file, its place and the folder of results mean nothing: its bytes and the settings do."""
    first, second = tmp_path / "a" / "clip.mp4", tmp_path / "b" / "clip.mp4"
    for path in (first, second):
        path.parent.mkdir()
        shutil.copy(clip, path)
    os.utime(second, (1, 1))
    assert run(first, "-o", tmp_path / "out", "--only", "tracks")[0] == 0
    shutil.move(tmp_path / "out", tmp_path / "moved")
    code, printed, _ = run(second, "-o", tmp_path / "moved", "--only", "tracks", "--skip-existing", "--json")
    assert (code, json.loads(printed)["skipped"]) == (0, True)
