"""The command as a process: its surface, its streams, and how it ends when something ends it."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from media_factory import make_clip

import avis_cli
from avis_cli import memory
from avis_cli.cli import console
from avis_cli.cli.main import app, main
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import MediaError

COMMANDS = ["segment", "render", "export", "evaluate", "synth", "train", "info", "doctor", "weights"]
HEAVY = ["torch", "torchaudio", "av", "numpy", "cv2", "scipy", "PIL", "huggingface_hub", "pycocotools"]


def avis(*arguments: str | Path, **settings: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "avis_cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=120, **settings)


def fails_with(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> int:
    """The exit code of a command in which ``failure`` is raised."""
    import avis_cli.media.decode

    def probe(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(avis_cli.media.decode, "probe", probe)
    return main(["info", "clip.mp4"])


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from avis_cli.cli.main import main\n"
        "codes = [main(['--help']), *(main([name, '--help']) for name in sys.argv[1].split())]\n"
        f"loaded = set({HEAVY!r}) & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else max(codes))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, " ".join(COMMANDS)], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    first = done.stdout.split("Usage: avis segment")[0]
    assert all(f"\n  {name} " in first for name in COMMANDS)


def test_every_command_and_option_says_what_it_does() -> None:
    def parameters(command: Any, path: str) -> Iterator[tuple[str, Any]]:
        assert command.help, path
        for name, child in getattr(command, "commands", {}).items():
            yield from parameters(child, f"{path} {name}")
        yield from ((path, parameter) for parameter in command.params)

    found = list(parameters(typer.main.get_command(app), "avis"))
    assert len(found) > 50
    for path, parameter in found:
        assert parameter.help, f"{path} {parameter.name}"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"avis-cli {avis_cli.__version__}\n", "")


def test_without_a_command_it_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    out, err = capsys.readouterr()
    assert "Usage: avis" in out + err
    assert "segment" in out + err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["segmnt"], "No such command 'segmnt'"),
        (["--nonsense"], "No such option: --nonsense"),
        (["info"], "Missing argument 'FILE'; see `avis info --help`"),
        (["weights", "fetch"], "No such command 'fetch'"),
    ],
)
def test_usage_errors_are_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("avis: ")
    assert words in err


def test_a_name_with_a_leading_dash_is_told_how_to_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-x.mp4").touch()
    assert main(["info", "-x.mp4"]) == 2
    assert capsys.readouterr().err.endswith("; a file whose name begins with a dash is given as ./-NAME\n")


def test_unexpected_failures_are_one_line_and_ask_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails_with(monkeypatch, RuntimeError("two\nlines")) == 1
    expected = "avis: unexpected failure: RuntimeError: two lines; run again with --debug and report it\n"
    assert capsys.readouterr() == ("", expected)


def test_an_end_of_file_is_not_taken_for_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails_with(monkeypatch, EOFError("End of file")) == 1
    assert "unexpected failure: EOFError: End of file" in capsys.readouterr().err


def test_out_of_memory_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    for failure in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory.")):
        assert fails_with(monkeypatch, failure) == 1
        assert capsys.readouterr().err.startswith("avis: out of memory; ")


def array_beyond_memory() -> MemoryError:
    """NumPy's own error, of a class that it keeps private."""
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, "u1")
    return caught.value


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        RuntimeError("can't start new thread"),
        RuntimeError("std::bad_alloc"),
        array_beyond_memory(),
    ],
)
def test_libraries_that_run_out_of_memory_are_understood(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception
) -> None:
    assert fails_with(monkeypatch, failure) == 1
    assert capsys.readouterr().err.startswith("avis: out of memory; ")


@pytest.mark.parametrize("kind", [ImportError, OSError])
def test_a_limit_of_address_space_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[Exception]
) -> None:
    failure = kind("libtorch_cpu.so: failed to map segment from shared object")
    assert fails_with(monkeypatch, failure) == 1
    assert "unexpected failure" in capsys.readouterr().err, "without a limit it is the disk that forbids it"
    monkeypatch.setattr(memory, "address_space_limit", lambda: 2_048_000_000)
    assert fails_with(monkeypatch, failure) == fails_with(monkeypatch, MemoryError()) == 1
    line = (
        "avis: out of memory: ulimit -v allows 2.0 GB of address space, PyTorch alone takes about 4 GB;"
        " raise it (ulimit -v unlimited)\n"
    )
    assert capsys.readouterr().err == 2 * line


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space as Linux has them")
def test_too_low_a_limit_of_address_space_is_told_from_a_fault(tmp_path: Path) -> None:
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9,) * 2);"
    code += "from avis_cli.cli.main import main; sys.exit(main(sys.argv[1:]))"
    clip = tmp_path / "clip.mp4"
    make_clip(clip, seconds=1)
    command = [sys.executable, "-c", code, "segment", str(clip), "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("avis: out of memory: ulimit -v allows 2.0 GB of address space")
    assert not (tmp_path / "out").exists()


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert fails_with(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "avis: interrupted\n")


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "\u2028", "bell\x07", "\udcff"])
def test_error_lines_are_one_line_and_harmless(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert fails_with(monkeypatch, MediaError("no such file", file=f"{text}.mp4")) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert len(err.splitlines()) == 1
    assert err.rstrip("\n").isprintable()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "größe.mp4"
    make_clip(path, size=(64, 48), fps=5, seconds=1, audio="tone")
    return path


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_encoding_of_the_terminal_will_do(tmp_path: Path, clip: Path, encoding: str) -> None:
    names = [clip, clip.rename(clip.with_name("größe 🎻.mp4"))]
    try:
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "LANG": "C", "TERM": "dumb", "NO_COLOR": "1"}
        done = avis("info", names[1], env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        name = "größe 🎻.mp4".encode(encoding, "backslashreplace")
        assert name in done.stdout
        done = avis("info", names[0], env=environment)
        assert done.returncode == 1
        assert b"no such file" in done.stderr
        assert done.stderr.count(b"\n") == 1
    finally:
        names[1].rename(clip)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_come_back_as_the_same_bytes(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.path.join(os.fsencode(tmp_path), b"b\xff.mp4")
    with open(name, "wb") as file:
        file.write(clip.read_bytes())
    weights = os.path.join(os.fsencode(tmp_path), b"b\xff.safetensors")
    done = avis("info", name.decode("utf-8", "surrogateescape"), "--json")
    assert done.returncode == 0
    assert b'b\\udcff.mp4"' in done.stdout
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    console.result(os.fsdecode(weights))
    assert stream.buffer.getvalue() == weights + b"\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
def test_a_reader_that_goes_away_is_no_failure_to_talk_about(clip: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "avis_cli", "info", str(clip)],
        stdout=writing, stderr=subprocess.PIPE, check=False, timeout=120,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(os.name != "posix", reason="descriptors of a shell")
def test_closed_streams_are_no_failure(clip: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m avis_cli info "$1" >&- 2>&-', sys.executable, str(clip)], check=False, timeout=120
    )
    assert done.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_in_the_middle_leaves_nothing(tmp_path: Path, clip: Path, number: int) -> None:
    code = (
        "import importlib, sys, time\n"
        "from avis_cli import hub\n"
        "from avis_cli.inference import loading\n"
        "from avis_cli.hub import ResolvedWeights\n"
        "from pathlib import Path\n"
        "hub.resolve = lambda *_, **__: ResolvedWeights(Path('x'), None, '0' * 64, 'x')\n"
        "loading.load = lambda *_: None\n"
        "def busy(*_, **__):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "importlib.import_module('avis_cli.segment').segment = busy\n"
        "from avis_cli.cli.main import run\n"
        "run()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "segment", str(clip), "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # whoever started the tests may ignore it, as nohup does, and children inherit that
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert any(name.startswith(".avis-part-") for name in os.listdir(tmp_path / "out"))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err in ("", "avis: interrupted\n")
    assert list(tmp_path.iterdir()) == []


class Terminal(io.StringIO):
    """Looks like one to the progress bar."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("phase", "unit"),
    [
        ("drawing masks", "? frames/s]"),
        ("drawing the overlay", "? frames/s]"),
        ("videos", "? videos/s]"),
        ("checking", "?B/s]"),
        ("training", "?/s]"),
    ],
)
def test_progress_counts_what_its_phase_counts(monkeypatch: pytest.MonkeyPatch, phase: str, unit: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    console.reset()
    with progress_bar() as progress:
        for done in (0, 1, 2):
            progress(phase, done, 4)
    drawn = terminal.getvalue()
    assert phase in drawn
    assert unit in drawn


def test_a_line_is_not_written_into_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    console.reset()
    with progress_bar() as progress:
        progress("encode", 1, None)
        console.warn("look out")
        progress("encode", 2, None)
    before = terminal.getvalue().split("avis: warning: look out\n")[0]
    assert before.rsplit("\r", 1)[-1] == ""
    assert before.rsplit("\r", 2)[-2].strip() == ""


@pytest.mark.parametrize("quiet", [True, False])
def test_no_bar_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, quiet: bool) -> None:
    stream = Terminal() if quiet else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    console.reset()
    console._set_quiet(quiet)
    with progress_bar() as progress:
        progress("encode", 1, 2)
    assert stream.getvalue() == ""


def test_what_one_command_was_told_the_next_has_forgotten(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(clip.with_name("missing.mp4"))
    main(["info", missing, "--debug"])
    assert "Traceback" in capsys.readouterr().err
    main(["info", missing])
    assert "Traceback" not in capsys.readouterr().err
