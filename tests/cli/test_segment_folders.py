"""``avis segment`` over many inputs: the record, reruns, several at once, devices, shards, dry runs, one bar."""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip

import avis_cli
import avis_cli.writers.tracks_json as tracks_writer
from avis_cli.cli import console
from avis_cli.cli.main import main
from avis_cli.errors import MediaError, WeightsError

pipeline = importlib.import_module("avis_cli.segment")  # the attribute of the package is the function

Run = Callable[..., tuple[int, str, str]]

NAMES = ("a.mp4", "b.mp4", "deep/c.mp4")
WAIT = 20  # seconds until a test that waits for another thread gives up


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(NAMES, start=1):
        (folder / name).parent.mkdir(exist_ok=True)
        make_clip(folder / name, size=(64, 48), fps=5, seconds=number, audio="tone")
    return folder


@pytest.fixture
def videos(clips: Path, tmp_path: Path) -> Path:
    """Three clips of 1, 2 and 3 seconds, one of them in a folder below."""
    return Path(shutil.copytree(clips, tmp_path / "videos"))


@pytest.fixture
def run(tiny_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs ``avis segment``, of folders with --recursive, into tmp_path/out, tracks only; gives exit code, stdout and
    stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        options = ["-o", tmp_path / "out", "--model", tiny_weights, "--threshold", "0.05", "--mask-fps", "1"]
        options += ["--only", "tracks", "--no-gate"]
        options += ["--recursive"] if any(Path(argument).is_dir() for argument in arguments) else []
        code = main(["segment", *map(str, [*options, *arguments])])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def tree(folder: Path) -> dict[str, str]:
    """Relative path -> hash of every file below a folder, hidden ones too."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def record_of(out: Path, name: str = "run.json") -> dict[str, Any]:
    return json.loads((out / name).read_text(encoding="ascii"))


def figures(err: str) -> dict[str, str]:
    """The table that ends a run."""
    head, values = (line.removeprefix("avis: ").split() for line in err.splitlines()[-2:])
    return dict(zip(head, values, strict=True))


def wrap_segment(monkeypatch: pytest.MonkeyPatch, before: Callable[[str], None]) -> None:
    """Calls ``before`` with the name of each input that the network is given."""
    original = pipeline.segment

    def segment(path: Path, *arguments: Any, **settings: Any) -> Any:
        before(path.name)
        return original(path, *arguments, **settings)

    monkeypatch.setattr(pipeline, "segment", segment)


def test_a_folder_with_a_bad_file_gives_the_rest_a_table_and_a_record(
    run: Run, videos: Path, tmp_path: Path, tiny_weights: Path
) -> None:
    (videos / "bad.mp4").write_text("minutes of the meeting")
    out = tmp_path / "out"
    code, printed, err = run(videos)
    assert code == 3
    assert printed.splitlines() == [str(out / name) for name in NAMES]
    assert len(err.splitlines()) == 3
    assert err.startswith(f"avis: {videos / 'bad.mp4'}: looks like text")
    record = record_of(out)
    table = figures(err)
    assert [table[name] for name in ("files", "done", "skipped", "failed")] == ["4", "3", "0", "1"]
    assert table["video"] == "0:00:06.0"
    assert (record["format"], record["version"]) == ("avis-run", 1)
    assert record["tool"] == f"avis-cli {avis_cli.__version__}"
    assert record["weights"]["sha256"] == hashlib.sha256(tiny_weights.read_bytes()).hexdigest()
    assert (record["settings"]["threshold"], record["settings"]["only"]) == (0.05, ["tracks"])
    entries = {entry["output"]: entry for entry in record["inputs"]}
    assert list(entries) == ["a.mp4", "b.mp4", "bad.mp4", "deep/c.mp4"]
    for name in NAMES:
        source = videos / name
        document = json.loads((out / name / "tracks.json").read_text())
        assert entries[name] == {
            "input": str(source), "output": name, "status": "complete", "size": source.stat().st_size,
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(), "tracks": len(document["tracks"]), "error": None,
        }  # fmt: skip
    assert int(table["tracks"]) == sum(entries[name]["tracks"] for name in NAMES) > 0
    assert (entries["bad.mp4"]["status"], entries["bad.mp4"]["tracks"]) == ("failed", None)
    assert "looks like text" in entries["bad.mp4"]["error"]


def test_if_all_fail_it_has_failed(run: Run, videos: Path) -> None:
    for name in NAMES:
        (videos / name).write_text("text")
    code, printed, err = run(videos)
    assert (code, printed) == (1, "")
    assert figures(err)["failed"] == "3"


def test_a_rerun_does_what_is_missing_and_ends_with_the_same_bytes(
    run: Run, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, computed = tmp_path / "out", list[str]()
    wrap_segment(monkeypatch, computed.append)
    assert run(videos)[0] == 0
    before = tree(out)
    assert computed == ["a.mp4", "b.mp4", "c.mp4"]
    code, printed, err = run(videos, "--skip-existing")
    assert (code, printed.splitlines()) == (0, [str(out / name) for name in NAMES])
    assert figures(err)["skipped"] == "3"
    assert len(computed) == 3
    assert tree(out) == before
    shutil.rmtree(out / "b.mp4")
    assert run(videos, "--skip-existing")[0] == 0
    assert computed[3:] == ["b.mp4"]
    assert tree(out) == before


def test_a_run_that_is_stopped_has_a_record_of_what_is_left(
    run: Run, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(name: str) -> None:
        if name == "c.mp4":
            raise KeyboardInterrupt

    wrap_segment(monkeypatch, stop)
    code, _, err = run(videos, "--jobs", "1")
    assert (code, err) == (130, "avis: interrupted\n")
    status = {entry["output"]: entry["status"] for entry in record_of(tmp_path / "out")["inputs"]}
    assert status == {"a.mp4": "complete", "b.mp4": "complete", "deep/c.mp4": "pending"}
    assert not (tmp_path / "out" / "deep").exists()


@pytest.mark.parametrize("how", ["file", "link", "folder"])
def test_a_record_never_takes_the_place_of_something_else(run: Run, videos: Path, tmp_path: Path, how: str) -> None:
    place = tmp_path / "out" / "run.json"
    place.parent.mkdir()
    (tmp_path / "mine.json").write_text('{"my": "own"}')
    if how == "file":
        shutil.copy(tmp_path / "mine.json", place)
    elif how == "link":
        place.symlink_to(tmp_path / "mine.json")
    else:
        place.mkdir()
    code, printed, err = run(videos)
    assert (code, printed, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"avis: {place}: is ")
    assert os.listdir(tmp_path / "out") == ["run.json"]
    assert (tmp_path / "mine.json").read_text() == '{"my": "own"}'


def test_an_index_leads_to_every_report_there_is(run: Run, videos: Path, tmp_path: Path) -> None:
    page = tmp_path / "out" / "index.html"
    code, _, err = run(videos, "--only", "report", "--shard", "1/2")
    assert code == 0, err
    first = page.read_text()
    assert run(videos, "--only", "report", "--shard", "2/2")[0] == 0
    whole = page.read_text()
    for name, place in (("a.mp4", "a.mp4"), ("b.mp4", "b.mp4"), ("c.mp4", "deep/c.mp4")):
        assert f'"{place}/report.html"' in whole, name
    assert first.count("/report.html") < whole.count("/report.html")
    page.write_text("my own page")
    code, _, err = run(videos, "--only", "report", "--skip-existing")
    assert code == 0
    assert "is no index of avis" in err
    assert page.read_text() == "my own page"


def test_a_file_by_itself_needs_no_record_and_no_table(run: Run, videos: Path, tmp_path: Path) -> None:
    code, _, err = run(videos / "a.mp4")
    assert code == 0
    assert err.count("\n") == 1, "what was found, and no table"
    assert os.listdir(tmp_path / "out") == ["a.mp4"]


@pytest.mark.parametrize("how", [["--jobs", "1"], ["--jobs", "4"], ["--device", "cpu,cpu"]])
def test_however_many_at_once_the_bytes_are_the_same(run: Run, videos: Path, tmp_path: Path, how: list[str]) -> None:
    assert run(videos)[0] == 0
    before = tree(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    assert run(videos, *how)[0] == 0
    assert tree(tmp_path / "out") == before


def test_results_are_written_while_the_next_input_is_computed(
    run: Run, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = threading.Event()
    wrap_segment(monkeypatch, lambda name: second.set() if name == "b.mp4" else None)
    original, met = tracks_writer.write_tracks, list[bool]()

    def write_tracks(path: Path, result: Any) -> None:
        if result.source.file == "a.mp4":
            met.append(second.wait(WAIT))
        original(path, result)

    monkeypatch.setattr(tracks_writer, "write_tracks", write_tracks)
    assert run(videos, "--jobs", "2")[0] == 0
    assert met == [True]


def test_no_more_results_wait_than_were_asked_for(run: Run, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    third = threading.Event()
    wrap_segment(monkeypatch, lambda name: third.set() if name == "c.mp4" else None)
    original, met = tracks_writer.write_tracks, list[bool]()

    def write_tracks(path: Path, result: Any) -> None:
        if result.source.file == "a.mp4":  # the second result may be held meanwhile, a third one not
            met.append(third.wait(1))
        original(path, result)

    monkeypatch.setattr(tracks_writer, "write_tracks", write_tracks)
    assert run(videos, "--jobs", "2")[0] == 0
    assert met == [False]


def test_devices_share_the_inputs(run: Run, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=WAIT)
    threads: set[int] = set()

    def meet(name: str) -> None:
        threads.add(threading.get_ident())
        if name in ("a.mp4", "b.mp4"):
            both.wait()

    wrap_segment(monkeypatch, meet)
    assert run(videos, "--device", "cpu,cpu")[0] == 0
    assert len(threads) == 2


@pytest.mark.parametrize("devices", ["cpu", "cpu,cpu"])
@pytest.mark.parametrize("place", ["network", "writer", "progress"])
def test_a_failure_in_any_thread_is_told_and_costs_one_input(
    run: Run, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: str, place: str
) -> None:
    original, segment = tracks_writer.write_tracks, pipeline.segment

    def fail(name: str) -> None:
        if name == "b.mp4":
            raise ZeroDivisionError("a bug")

    def write_tracks(path: Path, result: Any) -> None:
        if place == "writer":
            fail(result.source.file)
        original(path, result)

    def compute(path: Path, *arguments: Any, progress: Any, **settings: Any) -> Any:
        def told(phase: str, done: int, total: int | None) -> None:
            if place == "progress":
                fail(path.name)
            progress(phase, done, total)

        if place == "network":
            fail(path.name)
        return segment(path, *arguments, progress=told, **settings)

    monkeypatch.setattr(tracks_writer, "write_tracks", write_tracks)
    monkeypatch.setattr(pipeline, "segment", compute)
    code, printed, err = run(videos, "--device", devices)
    assert code == 3
    assert sorted(printed.splitlines()) == [str(tmp_path / "out" / name) for name in ("a.mp4", "deep/c.mp4")], err
    assert f"avis: {videos / 'b.mp4'}: unexpected failure: ZeroDivisionError: a bug; " in err
    assert sorted(os.listdir(tmp_path / "out")) == ["a.mp4", "deep", "run.json"]


@pytest.mark.parametrize(
    ("failure", "code"), [(WeightsError("do not fit"), 1), (KeyboardInterrupt(), 130), (BrokenPipeError(), 1)]
)
@pytest.mark.parametrize("place", ["network", "writer"])
def test_what_ends_the_run_ends_every_thread_and_leaves_nothing(
    run: Run,
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    code: int,
    place: str,
) -> None:
    """One thread meets it while another is in the middle of its work, which goes on until it is told to stop."""
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # what happens to stdout when its reader is gone
    busy, failed = threading.Event(), threading.Event()
    segment = pipeline.segment

    def compute(path: Path, *arguments: Any, progress: Any, **settings: Any) -> Any:
        if path.name == "b.mp4":
            busy.set()
            assert failed.wait(WAIT)
            for step in range(WAIT * 100):
                threading.Event().wait(0.01)
                progress("listening and looking", step, None)
            pytest.fail("was not stopped")
        if place == "network":
            assert busy.wait(WAIT)
            failed.set()
            raise failure
        return segment(path, *arguments, progress=progress, **settings)

    def write_tracks(path: Path, result: Any) -> None:
        assert busy.wait(WAIT)
        failed.set()
        raise failure

    monkeypatch.setattr(pipeline, "segment", compute)
    monkeypatch.setattr(tracks_writer, "write_tracks", write_tracks)
    before = threading.active_count()
    status, printed, err = run(videos, "--device", "cpu,cpu" if place == "network" else "cpu")
    assert (status, printed) == (code, "")
    assert err.count("\n") <= 1
    assert not (tmp_path / "out").exists()
    assert threading.active_count() == before


@pytest.mark.parametrize("text", ["cpu,", ",cpu", "cpu,,cpu", "cpu,toaster"])
def test_a_list_of_devices_has_no_gaps_and_no_strangers(run: Run, videos: Path, tmp_path: Path, text: str) -> None:
    code, _, err = run(videos, "--device", text)
    assert (code, err.count("\n")) == (2, 1)
    assert "expected" in err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(run: Run, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(videos / "a.mp4")[0] == 0
    (videos / "bad.mp4").write_text("text")
    before = tree(tmp_path)
    code, printed, err = run(videos, "--dry-run", "--skip-existing")
    assert (code, err) == (3, "")
    skip, segment, refuse, deep = printed.splitlines()
    assert skip == f"would skip {videos / 'a.mp4'} -> {out / 'a.mp4'}"
    assert segment == f"would segment {videos / 'b.mp4'} -> {out / 'b.mp4'}"
    assert refuse.startswith(f"would refuse {videos / 'bad.mp4'} -> {out / 'bad.mp4'} (")
    assert "looks like text" in refuse
    assert deep == f"would segment {videos / 'deep/c.mp4'} -> {out / 'deep/c.mp4'}"
    assert "results are already there" in run(videos, "--dry-run")[1].splitlines()[0]
    other = run(videos, "--dry-run", "--skip-existing", "--threshold", "0.5")[1].splitlines()[0]
    assert other.startswith("would refuse ")
    lines = [json.loads(line) for line in run(videos, "--dry-run", "--overwrite", "--json")[1].splitlines()]
    assert [line["would"] for line in lines] == ["segment", "segment", "refuse", "segment"]
    assert lines[1] == {
        "would": "segment", "input": str(videos / "b.mp4"), "output": str(out / "b.mp4"), "reason": None,
    }  # fmt: skip
    assert tree(tmp_path) == before


def test_a_dry_run_loads_no_network(videos: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom avis_cli.cli.main import main\n"
        "code = main(['segment', '--dry-run', '-r', '--device', 'cuda:0,cuda:1', *sys.argv[1:]])\n"
        "sys.exit('torch was loaded' if 'torch' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(videos), "-o", str(tmp_path / "out")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["segment"] * 3


def test_shards_do_everything_once_and_record_it_apart(run: Run, videos: Path, tmp_path: Path) -> None:
    assert run(videos)[0] == 0
    whole = {name: mark for name, mark in tree(tmp_path / "out").items() if name != "run.json"}
    shutil.rmtree(tmp_path / "out")
    assert run(videos, "--shard", "1/2")[1].splitlines() == [str(tmp_path / "out" / name) for name in NAMES[::2]]
    assert run(videos, "--shard", "2/2")[1].splitlines() == [str(tmp_path / "out" / NAMES[1])]
    code, printed, err = run(videos, "--shard", "5/5")
    assert (code, printed, figures(err)["files"]) == (0, "", "0")
    names = {"run-1-of-2.json", "run-2-of-2.json", "run-5-of-5.json"}
    assert {name: mark for name, mark in tree(tmp_path / "out").items() if name not in names} == whole
    records = [record_of(tmp_path / "out", name) for name in sorted(names)]
    assert [record["shard"] for record in records] == ["1/2", "2/2", "5/5"]
    assert [len(record["inputs"]) for record in records] == [2, 1, 0]


@pytest.mark.parametrize("text", ["0/3", "", "1.5/3"])
def test_a_shard_that_is_none(run: Run, videos: Path, text: str) -> None:
    code, _, err = run(videos, f"--shard={text}")
    assert (code, err.count("\n")) == (2, 1)


class Terminal(io.StringIO):
    """Looks like one to the progress bar."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_one_bar_counts_the_files_and_says_what_is_done(
    tiny_weights: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tqdm

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(tqdm, "tqdm", functools.partial(tqdm.tqdm, mininterval=0))  # draw every step
    (videos / "bad.mp4").write_text("text")
    arguments = ["segment", "-r", str(videos), "-o", str(tmp_path / "out"), "--model", str(tiny_weights)]
    assert main([*arguments, "--only", "tracks"]) == 3
    drawn = terminal.getvalue()
    for text in ("0/4 files", "4/4 files", "a.mp4: listening and looking", "c.mp4: drawing masks 100%"):
        assert text in drawn
    line = next(line for line in drawn.splitlines() if "looks like text" in line)
    assert line.rsplit("\r", 1)[-1].startswith("avis: ")  # not into the bar
    assert "files  done" in drawn.rsplit("\r", 1)[-1]


def test_quiet_says_nothing_about_many_either(run: Run, videos: Path) -> None:
    code, _, err = run(videos, "--quiet")
    assert (code, err) == (0, "")


def test_a_folder_that_gives_nothing_beside_one_that_does(run: Run, videos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, printed, err = run(tmp_path / "empty", videos)
    assert (code, len(printed.splitlines())) == (3, 3)
    assert figures(err)["failed"] == "1"


def test_own_results_inside_the_folder_of_inputs_are_no_input(run: Run, videos: Path) -> None:
    out = videos / "results"
    assert run(videos, "-o", out, "--only", "overlay")[0] == 0
    before = tree(out)
    code, printed, _ = run(videos, "-o", out, "--only", "overlay", "--skip-existing")
    assert (code, printed.splitlines()) == (0, [str(out / name) for name in NAMES])
    assert tree(out) == before


def test_a_folder_that_is_input_and_output_is_worked_on_once(run: Run, videos: Path) -> None:
    code, printed, _ = run(videos, "-o", videos, "--only", "overlay")
    assert (code, printed.splitlines()) == (0, [f"{videos / name}.avis" for name in NAMES])
    before = tree(videos)
    code, printed, _ = run(videos, "-o", videos, "--only", "overlay", "--skip-existing")
    assert (code, printed.splitlines()) == (0, [f"{videos / name}.avis" for name in NAMES])
    assert tree(videos) == before


def test_errors_without_a_file_are_given_the_inputs_name(
    run: Run, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> None:
        raise MediaError("the network's output is not finite")

    wrap_segment(monkeypatch, broken)
    code, _, err = run(videos / "a.mp4")
    assert (code, err) == (1, f"avis: {videos / 'a.mp4'}: the network's output is not finite\n")
    assert console._state.bars is None
