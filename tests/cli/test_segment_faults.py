"""Real faults: killed and stopped processes, full and read-only disks, two at once, changing and damaged files.

Each counts what it tried, what survived (ended as it should: everything whole, or refused in one line) and what was
lost; the counts are printed and kept as properties of the test.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip

import avis_cli.inference.loading as loading
from avis_cli.cli.main import main

pipeline = importlib.import_module("avis_cli.segment")  # the attribute of the package is the function

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes and file systems as Linux has them")

NAMES = ("a.mp4", "b.mkv", "deep/c.mp4")
Report = Callable[[str, object], None]

# starts commands as forks of itself, so that each takes a second instead of five; answers one line of JSON each time
_SERVER = """
import json, os, signal, sys, threading
import av, cv2, numpy, scipy.optimize, torch, PIL.Image, pycocotools.mask
import avis_cli.inference.loading, avis_cli.segment, avis_cli.media.encode
import avis_cli.writers.mask_images, avis_cli.writers.overlay, avis_cli.writers.tracks_json
from avis_cli.cli.main import run
for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        _, status = os.waitpid(request["wait"], 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(log, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # whoever started the tests may ignore them
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        sys.argv = ["avis", *request["arguments"]]
        try:
            run()
        except SystemExit as stop:
            sys.stdout.flush()
            # at once: to take down a forked interpreter with all it has imported takes seconds of its own
            os._exit(int(stop.code or 0) if threading.active_count() == 1 else 99)
    print(pid, flush=True)
"""


class Server:
    """Starts, waits for and kills ``avis`` processes."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.run("--version")  # when it answers, everything is imported

    def _ask(self, **request: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(self, *arguments: str | Path) -> int:
        self.log.unlink(missing_ok=True)
        return self._ask(arguments=list(map(str, arguments)), log=str(self.log))

    def wait(self, process: int) -> int:
        """The exit code, negative for a signal."""
        return self._ask(wait=process)

    def run(self, *arguments: str | Path) -> int:
        return self.wait(self.start(*arguments))

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        make_clip(folder / name, size=(64, 48), fps=5, seconds=1, audio="tone")
    return folder


@pytest.fixture
def command(tiny_weights: Path, videos: Path, tmp_path: Path) -> list[str]:
    """``avis segment`` of the folder into tmp_path/out."""
    options = [
        "--model",
        tiny_weights,
        "--threshold",
        "0.05",
        "--mask-fps",
        "2",
        "--no-gate",
        "--max-tracks",
        "2",
        "-r",
    ]
    return ["segment", *map(str, options), str(videos), "-o", str(tmp_path / "out")]


@pytest.fixture
def report(record_property: Report, request: pytest.FixtureRequest) -> Any:
    """Notes what was tried, what survived and what was lost."""

    def say(tried: int, survived: int, **more: object) -> None:
        counts = {"tried": tried, "survived": survived, "lost": tried - survived, **more}
        for name, value in counts.items():
            record_property(name, value)
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{request.node.name}: " + ", ".join(f"{name} {value}" for name, value in counts.items()))

    return say


def tree(folder: Path) -> dict[str, str]:
    """Relative path -> hash of every file below a folder, hidden ones too."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def leftovers(folder: Path) -> list[Path]:
    # unlike a glob, a walk is not disturbed by folders that come and go meanwhile
    found = (Path(root, name) for root, folders, files in os.walk(folder) for name in (*folders, *files))
    return [path for path in found if path.name.startswith(".avis-part-")]


def visible(folder: Path) -> dict[str, str]:
    """``tree`` of what a user sees of results: no partial folders, no record, no index."""
    return visible_part(tree(folder))


def visible_part(found: dict[str, str]) -> dict[str, str]:
    """The same of a tree that was looked at before."""
    hidden = (".avis-part-", "run", "index.html")
    return {name: mark for name, mark in found.items() if not any(part.startswith(hidden) for part in name.split("/"))}


@pytest.fixture
def whole(server: Server, command: list[str], tmp_path: Path) -> tuple[dict[str, str], float]:
    """The tree that an undisturbed run leaves, and the seconds it takes."""
    began = time.monotonic()
    assert server.run(*command) == 0, server.said()
    seconds = time.monotonic() - began
    expected = tree(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    return expected, seconds


@pytest.mark.slow
def test_killed_at_random_moments_and_run_again_nothing_is_lost(
    server: Server, command: list[str], whole: tuple[dict[str, str], float], tmp_path: Path, report: Any
) -> None:
    out, (expected, seconds), moments = tmp_path / "out", whole, random.Random(5)
    folders = {name: {n for n in expected if n.startswith(f"{name}/")} for name in NAMES}
    wanted, survived, in_time, too_late = 20, 0, 0, 0
    while in_time < wanted and too_late < wanted:
        process = server.start(*command, "--skip-existing")
        time.sleep(moments.uniform(0, seconds))
        os.kill(process, signal.SIGKILL)
        status = server.wait(process)
        if status != -signal.SIGKILL:  # it had ended by then: nothing was tried
            assert status == 0
            too_late += 1
            shutil.rmtree(out)
            continue
        in_time += 1
        seen = visible(out) if out.exists() else {}
        # whatever can be seen is whole
        good = all(
            {n: seen.get(n) for n in names} == {n: expected[n] for n in names}
            for name, names in folders.items()
            if any(n.startswith(f"{name}/") for n in seen)
        )
        good = server.run(*command, "--skip-existing") == 0 and good
        survived += good and tree(out) == expected and not leftovers(out)
        shutil.rmtree(out)
    report(in_time, survived, too_late=too_late)
    assert survived == in_time == wanted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stopped_in_the_middle_it_ends_soon_and_cleanly(
    server: Server,
    command: list[str],
    whole: tuple[dict[str, str], float],
    tmp_path: Path,
    report: Any,
    number: int,
    code: int,
) -> None:
    out, (expected, seconds), slowest = tmp_path / "out", whole, 0.0
    survived = in_time = too_late = 0
    # when the first input is begun, and when one and two are complete: then there is work left
    moments: tuple[Callable[[], bool], ...] = (
        lambda: bool(leftovers(out)),
        lambda: (out / "a.mp4").exists(),
        lambda: (out / "b.mkv").exists(),
    )
    for has_come in moments:
        process = server.start(*command)
        until = time.monotonic() + 20 * seconds + 60
        while not has_come():
            assert time.monotonic() < until, server.said()
            time.sleep(0.002)
        began = time.monotonic()
        os.kill(process, number)
        status = server.wait(process)
        slowest = max(slowest, time.monotonic() - began)
        seen = visible(out) if out.exists() else {}
        clean = not out.exists() or not leftovers(out)
        whole_ones = seen.items() <= expected.items() and all(
            Path(n).parts[0] in {"a.mp4", "b.mkv", "deep"} for n in seen
        )
        said = server.said()
        shutil.rmtree(out, ignore_errors=True)
        if status == 0:  # it had ended by then: nothing was tried
            assert seen == visible_part(expected)
            too_late += 1
            continue
        in_time += 1
        survived += status == code and clean and whole_ones and "Traceback" not in said
    report(in_time, survived, too_late=too_late, slowest_seconds=round(slowest, 2))
    assert survived == in_time >= 2
    assert slowest < 2


def test_two_processes_on_one_output_one_wins_whole(
    server: Server, command: list[str], whole: tuple[dict[str, str], float], tmp_path: Path, report: Any
) -> None:
    out, (expected, _) = tmp_path / "out", whole
    survived = 0
    ways: tuple[list[str], ...] = ([], ["--skip-existing"], ["--overwrite"])
    for how in ways:
        processes = [server.start(*command, *how) for _ in range(2)]
        codes = [server.wait(process) for process in processes]
        found = {name: mark for name, mark in tree(out).items() if name != "run.json"}
        same = found == {name: mark for name, mark in expected.items() if name != "run.json"}
        json.loads((out / "run.json").read_text())
        survived += same and not leftovers(out) and set(codes) <= {0, 1, 3}
        shutil.rmtree(out)
    report(len(ways), survived)
    assert survived == len(ways)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory at ``folder``; skips the test where it may not be had."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("file systems may not be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_small_disk_fills_up(
    server: Server, command: list[str], whole: tuple[dict[str, str], float], tmp_path: Path, report: Any
) -> None:
    if not shutil.which("mount") or os.geteuid() != 0:
        pytest.skip("only root may mount file systems")
    out, (expected, _) = tmp_path / "out", whole
    survived, failed, sizes = 0, 0, (8, 16, 24, 40, 64, 256)
    for size in sizes:
        with mounted(out, f"size={size}k"):
            code = server.run(*command)
            seen, said = visible(out), server.said()
            complete = seen.items() <= expected.items() and all(
                n in seen for n in expected if any(n.startswith(f"{m}/") and f"{m}/.avis.json" in seen for m in NAMES)
            )
            failed += code != 0
            told = code == 0 or "No space left on device" in said
            survived += complete and told and not leftovers(out) and "Traceback" not in said and code in (0, 1, 3)
        out.rmdir()
    report(len(sizes), survived, disk_was_too_small=failed)
    assert survived == len(sizes)
    assert failed > 0


@pytest.mark.parametrize("limit", [0, 3000])
def test_a_file_that_may_not_grow_is_told_like_a_full_disk(
    videos: Path, tiny_weights: Path, tmp_path: Path, limit: int
) -> None:
    program = (
        "import resource, signal, sys\n"
        "import avis_cli.segment\n"
        "from avis_cli.cli.main import run\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "run()"
    )
    arguments = ["segment", str(videos / "a.mp4"), "-o", str(tmp_path / "out"), "--model", str(tiny_weights)]
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_place_is_told_before_any_work(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from avis_cli import hub

    monkeypatch.setattr(hub, "resolve", lambda *_, **__: pytest.fail("no weights are needed to refuse this"))
    place = tmp_path / "place"

    def refused() -> None:
        for source in (videos / "a.mp4", videos):
            recursive = [] if source.is_file() else ["-r"]
            assert main(["segment", str(source), *recursive, "-o", str(place / "out")]) == 1
            out, err = capfd.readouterr()
            lines = [line for line in err.splitlines() if "cannot be written: " in line]
            assert out == ""
            assert len(lines) == (1 if source.is_file() else len(NAMES) + 1)  # and the record
            assert os.listdir(place) == []

    if os.geteuid() == 0:  # whom permissions do not stop
        with mounted(place, "ro,size=64k"):
            refused()
    else:
        place.mkdir(mode=0o555)
        refused()


@pytest.fixture
def quick(tiny_model: Any, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of every command is the one that is loaded and checked already."""
    from avis_cli import hub

    found = hub.resolve(tiny_weights)
    monkeypatch.setattr(hub, "resolve", lambda *_, **__: found)
    monkeypatch.setattr(loading, "load", lambda *_: tiny_model)


@pytest.mark.parametrize("step", ["listening and looking", "drawing masks", "masks", "drawing the overlay"])
@pytest.mark.parametrize("change", ["grows", "cut short", "touched", "replaced", "removed"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    quick: None,
    videos: Path,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    step: str,
    change: str,
) -> None:
    import avis_cli.writers.mask_images as masks_writer
    import avis_cli.writers.overlay as overlay_writer

    source = Path(shutil.copy(videos / "a.mp4", tmp_path / "clip.mp4"))
    changed: list[str] = []

    def disturb() -> None:
        if changed:
            return
        changed.append(change)
        if change == "grows":
            with open(source, "ab") as file:
                file.write(bytes(1000))
        elif change == "cut short":
            os.truncate(source, source.stat().st_size // 2)
        elif change == "touched":
            os.utime(source, ns=(0, source.stat().st_mtime_ns + 1000))
        elif change == "replaced":
            make_clip(source, size=(64, 48), fps=5, seconds=2, audio="tone")
        else:
            source.unlink()

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, progress: Any, **settings: Any) -> Any:
            def told(phase: str, done: int, total: int | None) -> None:
                if phase == step:
                    disturb()
                progress(phase, done, total)

            return function(*arguments, progress=told, **settings)

        return call

    monkeypatch.setattr(pipeline, "segment", watched(pipeline.segment))
    monkeypatch.setattr(masks_writer, "write_masks", watched(masks_writer.write_masks))
    monkeypatch.setattr(overlay_writer, "overlay_clip", watched(overlay_writer.overlay_clip))
    assert main(["segment", str(source), "-o", str(tmp_path / "out"), "--model", str(tiny_weights)]) == 1
    out, err = capfd.readouterr()
    (line,) = (line for line in err.splitlines() if not line.startswith("avis: warning: "))
    assert (changed, out) == ([change], "")
    assert line.startswith(f"avis: {source}: ")
    assert "changed" in line or change == "removed"
    assert not (tmp_path / "out").exists()


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flip(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        damaged[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    return bytes(damaged)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, flip])
def test_damaged_files_are_refused_in_a_line_or_give_whole_results(
    quick: None,
    tiny_weights: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    report: Any,
    damage: Callable[[bytes, random.Random], bytes],
) -> None:
    samples = []
    kinds: dict[str, dict[str, Any]] = {
        "front.mp4": {"container_options": {"movflags": "faststart"}},
        "plain.mkv": {},
        "parts.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
        "packets.ts": {},
    }
    for name, how in kinds.items():
        make_clip(tmp_path / name, size=(64, 48), fps=5, seconds=1, audio="tone", options={"g": "3"}, **how)
        samples.append((tmp_path / name, (tmp_path / name).read_bytes()))
    chance, slowest, faults, complete = random.Random(11), 0.0, list[str](), 0
    out = tmp_path / "out"
    options = ["-o", str(out), "--model", str(tiny_weights), "--max-tracks", "2", "--mask-fps", "1"]
    for number in range(200):
        path, data = samples[number % len(samples)]
        path.write_bytes(damage(data, chance))
        began = time.monotonic()
        wanted = {"tracks.json", "masks"} | ({"overlay.mp4"} if number // 4 % 2 else set())
        only = ",".join(name.partition(".")[0] for name in wanted)
        code = main(["segment", str(path), *options, "--only", only])
        slowest = max(slowest, time.monotonic() - began)
        printed, err = capfd.readouterr()
        errors = [line for line in err.splitlines() if not line.startswith("avis: warning: ")]
        if code == 0:
            whole = set(os.listdir(out / path.name)) == {*wanted, ".avis.json"}
            found = len(errors) == 1 and re.match(r"avis: (nothing found|\d+ objects?: )", errors[0])
            good = whole and bool(found) and os.listdir(out) == [path.name]
            complete += 1
        else:
            told = len(errors) == 1 and errors[0].startswith(f"avis: {path}: ") and "unexpected failure" not in err
            good = code == 1 and told and printed == "" and not out.exists()
        if not good:
            faults.append(f"{number} {path.name}: {code} {err}")
            shutil.copy(path, tmp_path / f"fault-{number}{path.suffix}")
        shutil.rmtree(out, ignore_errors=True)
    report(200, 200 - len(faults), gave_results=complete, slowest_seconds=round(slowest, 1))
    assert faults == []
    assert slowest < 20
