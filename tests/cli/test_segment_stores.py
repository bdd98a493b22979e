"""Inputs and results in stores, and lists of inputs: the same results as on one machine, and nothing left behind."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_factory import make_clip
from store_examples import Flaky, ReadOnly, Recorded, contents, fill, register

from avis_cli.batch.inputs import listed
from avis_cli.cli.main import main
from avis_cli.errors import AvisError, MediaError
from avis_cli.files import stores

NAMES = ("a.mp4", "b.mp4")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    register()
    monkeypatch.setattr(stores, "PAUSE", 0.0)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield
    for kind in (Flaky, ReadOnly, Recorded):
        kind.store.clear()
    Recorded.puts.clear()
    Recorded.fail_at = None
    assert list(scratch.iterdir()) == [], "something was left behind"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, name in enumerate(NAMES, start=1):
        make_clip(folder / name, size=(64, 48), fps=5, seconds=number, audio="tone")
    return folder


@pytest.fixture
def run(tiny_weights: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        options = ["--model", str(tiny_weights), "--threshold", "0.05", "--no-gate", "--mask-fps", "1"]
        code = main(["segment", *words, *options])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


def put(videos: Path, url: str) -> None:
    fill(url, {path.name: path.read_bytes() for path in videos.iterdir()})


def of_folder(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_links(files: dict[str, bytes]) -> dict[str, bytes]:
    """Results but for the pages, which lead to the clip where it is on this machine."""
    return {
        name: data
        for name, data in files.items()
        if not name.endswith((".html", "run.json", ".avis.json", "run.jsonl"))
    }


def test_results_are_those_of_this_machine(run: Run, videos: Path, tmp_path: Path) -> None:
    put(videos, "recorded://bucket/in")
    assert run(str(videos), "-o", "here")[0] == 0
    code, out, err = run("recorded://bucket/in", "-o", "recorded://bucket/out")
    assert (code, out.splitlines()) == (0, [f"recorded://bucket/out/{name}" for name in NAMES]), err
    here, there = of_folder(tmp_path / "here"), contents("recorded://bucket/out")
    assert sorted(here) == sorted(there)
    assert without_links(here) == without_links(there)
    record = json.loads(there["run.json"])
    assert [entry["input"] for entry in record["inputs"]] == [f"recorded://bucket/in/{name}" for name in NAMES]
    assert b"a.mp4" in there["index.html"]
    assert json.loads(there["a.mp4/tracks.json"])["source"]["file"] == "a.mp4"


def test_each_manifest_comes_last(run: Run, videos: Path) -> None:
    assert run(str(videos / "a.mp4"), "-o", "recorded://bucket/out")[0] == 0
    puts = [name for name in Recorded.puts if "probe" not in name]
    assert puts[-1] == ".avis.json"
    assert puts.count(".avis.json") == 1
    assert len(puts) > 3


def test_a_store_that_fails_now_and_then_gives_the_same(run: Run, videos: Path, tmp_path: Path) -> None:
    put(videos, "flaky://bucket/in")
    assert run(str(videos), "-o", "here")[0] == 0
    Flaky.failures = 0
    for attempt in range(3):
        assert run("flaky://bucket/in/*.mp4", "-o", f"flaky://bucket/out{attempt}")[0] == 0
        assert without_links(of_folder(tmp_path / "here")) == without_links(contents(f"flaky://bucket/out{attempt}"))
    assert Flaky.failures > 3


def test_an_upload_that_was_broken_off_has_no_manifest_and_is_made_again(run: Run, videos: Path) -> None:
    Recorded.fail_at = "tracks.json"
    code, _, err = run(str(videos / "a.mp4"), str(videos / "b.mp4"), "-o", "recorded://bucket/out")
    assert code == 1
    assert err.count("recorded://bucket/out/a.mp4: cannot be written: Access Denied") == 1
    left = contents("recorded://bucket/out")
    assert not any(name.endswith(".avis.json") for name in left)
    assert any(name.startswith("a.mp4/") for name in left)
    Recorded.fail_at = None
    assert run(str(videos), "-o", "recorded://bucket/out")[0] == 0
    assert "a.mp4/.avis.json" in contents("recorded://bucket/out")


def test_what_is_complete_is_skipped_or_refused_or_replaced(run: Run, videos: Path) -> None:
    out = "recorded://bucket/out"
    assert run(str(videos), "-o", out, "--only", "tracks,masks")[0] == 0
    Recorded.puts.clear()
    code, printed, err = run(str(videos), "-o", out, "--only", "tracks,masks", "--skip-existing")
    assert (code, len(printed.splitlines())) == (0, 2)
    assert err.count("done before, skipped") == 2
    assert [name for name in Recorded.puts if not name.startswith("-")] == []
    code, _, err = run(str(videos), "-o", out, "--only", "tracks,masks")
    assert code == 1
    assert f"{out}/a.mp4: results are already there; --overwrite replaces them" in err
    Recorded.puts.clear()
    assert run(str(videos), "-o", out, "--only", "tracks", "--overwrite")[0] == 0
    assert Recorded.puts.index("-.avis.json") < Recorded.puts.index("tracks.json")
    assert sorted(name for name in contents(out) if name.startswith("a.mp4/")) == [
        "a.mp4/.avis.json", "a.mp4/tracks.json",
    ]  # fmt: skip


def test_results_of_which_something_is_gone_are_not_complete(run: Run, videos: Path) -> None:
    out = "recorded://bucket/out"
    assert run(str(videos), "-o", out, "--only", "tracks")[0] == 0
    del Recorded.store["/bucket/out/a.mp4/tracks.json"]
    code, _, err = run(str(videos), "-o", out, "--only", "tracks", "--skip-existing")
    assert code == 3
    assert f"{out}/a.mp4: results are already there" in err


def test_what_is_of_somebody_else_is_kept(run: Run, videos: Path) -> None:
    fill("recorded://bucket/out", {"a.mp4/notes.txt": b"mine"})
    code, _, err = run(str(videos / "a.mp4"), "-o", "recorded://bucket/out", "--overwrite")
    assert code == 1
    assert err == (
        "avis: recorded://bucket/out/a.mp4: holds 'notes.txt', which is no result of avis and would be lost; "
        "move it away\n"
    )
    fill("recorded://bucket/other", {"run.json": b"mine"})
    code, _, err = run(str(videos), "-o", "recorded://bucket/other")
    assert (code, err.count("is no record of an earlier run and would be lost")) == (1, 1)


def test_a_store_that_cannot_be_written_ends_the_run_before_any_work(run: Run, videos: Path) -> None:
    for words in ([str(videos)], [str(videos / "a.mp4")]):
        code, printed, err = run(*words, "-o", "readonly://bucket/out")
        assert (code, printed) == (1, "")
        assert err.count("\n") == 1
        assert "cannot be written: Access Denied; is the bucket there, and may it be written?" in err


def test_inputs_that_are_not_there_or_no_videos(run: Run, videos: Path) -> None:
    fill("recorded://bucket/in", {"a.mp4": (videos / "a.mp4").read_bytes(), "bad.mp4": b"no video at all"})
    code, _, err = run("recorded://bucket/in", "recorded://bucket/none.mp4", "-o", "out", "--only", "tracks")
    assert code == 3
    assert "avis: recorded://bucket/in/bad.mp4: looks like text" in err
    assert "avis: recorded://bucket/none.mp4: no such file" in err
    code, _, err = run("recorded://bucket/none.mp4", "-o", "out2")
    assert (code, err) == (1, "avis: recorded://bucket/none.mp4: no such file\n")
    code, _, err = run("recorded://bucket/none/*.mp4", "-o", "out2")
    assert code == 1
    assert "recorded://bucket/none/*.mp4: no such files" in err
    fill("recorded://bucket/texts", {"a.txt": b"x"})
    code, _, err = run("recorded://bucket/texts", "-o", "out2")
    assert code == 1
    assert "a folder without videos" in err


def test_folders_are_searched_as_here(run: Run, videos: Path, tmp_path: Path) -> None:
    clip = (videos / "a.mp4").read_bytes()
    names = ("a.mp4", "deep/b.MP4", ".hidden/c.mp4", ".d.mp4", "notes.txt", "old/run.mp4")
    fill("recorded://bucket/in", {**dict.fromkeys(names, clip), "old/.avis.json": b"{}"})
    code, printed, err = run("recorded://bucket/in", "-o", "out", "--only", "tracks")
    assert (code, printed.splitlines()) == (0, ["out/a.mp4"]), err
    code, printed, err = run("recorded://bucket/in", "-o", "out2", "-r", "--only", "tracks")
    assert (code, printed.splitlines()) == (0, ["out2/a.mp4", "out2/deep/b.MP4"])
    assert "recorded://bucket/in/.d.mp4: hidden, left out" in err


def test_two_files_of_one_name_have_results_of_their_own(run: Run, videos: Path) -> None:
    for folder in ("x", "y"):
        put(videos, f"recorded://bucket/{folder}")
    code, printed, _ = run(
        "recorded://bucket/x/a.mp4", "recorded://bucket/y/a.mp4", "recorded://bucket/x/a.mp4", "-o", "recorded://b/out",
        "--only", "tracks",
    )  # fmt: skip
    assert (code, printed.splitlines()) == (0, ["recorded://b/out/a.mp4", "recorded://b/out/a.mp4.2"])


def test_secrets_are_in_nothing_that_is_told_or_written(run: Run, videos: Path) -> None:
    put(videos, "recorded://user:hunter2@bucket/in")
    fill("recorded://user:hunter2@bucket/in", {"bad.mp4": b"no video at all"})
    for words in (["recorded://user:hunter2@bucket/in"], ["recorded://user:hunter2@bucket/in/a.mp4"]):
        code, printed, err = run(*words, "-o", "recorded://user:hunter2@bucket/out", "--overwrite", "--json")
        assert code in (0, 3), err
        assert "hunter2" not in printed + err
    files = contents("recorded://user:hunter2@bucket/out")
    assert {"run.json", "index.html", "a.mp4/report.html", "a.mp4/.avis.json", "a.mp4/tracks.json"} <= set(files)
    assert not any(b"hunter2" in data for data in files.values())


def test_an_address_of_a_page_leaves_no_secret(run: Run, videos: Path, tmp_path: Path) -> None:
    address = "https://user:hunter2@host/v/c.mp4?X-Amz-Signature=hunter2"
    for words in ([address], [address, str(videos / "a.mp4")], [address, str(videos / "a.mp4"), "--dry-run"]):
        code, printed, err = run(*words, "-o", "out", "--only", "tracks", "--overwrite", "--json")
        assert code == (2 if len(words) == 1 else 3)
        assert "avis: https://host/v/c.mp4: an address on the network, not a file; download it first" in err
        assert "hunter2" not in printed + err
    assert not any("hunter2" in name or b"hunter2" in data for name, data in of_folder(tmp_path / "out").items())
    assert (tmp_path / "out" / "run.json").exists()


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://user:hunter2@host/x", "ftp://host/x.mp4?token=hunter2", "odd://user:hunter2@host/x.mp4",
        "@https://user:hunter2@host/list.txt", "hunter2@x.mp4",
    ],
)  # fmt: skip
def test_no_address_that_is_refused_tells_its_secret(run: Run, videos: Path, tmp_path: Path, address: str) -> None:
    _, printed, err = run(address, str(videos / "a.mp4"), "-o", "out", "--only", "tracks")
    is_name = address == "hunter2@x.mp4"  # of a file of this machine
    assert ("hunter2" in printed + err) == is_name
    record = tmp_path / "out" / "run.json"
    assert ("hunter2" in (record.read_text() if record.exists() else "")) == is_name


def test_warnings_name_the_url(videos: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    put(videos, "recorded://bucket/in")
    assert main(["segment", "recorded://bucket/in/a.mp4", "-o", str(tmp_path / "out"), "--only", "tracks"]) == 0
    err = capfd.readouterr().err
    assert "try avis segment recorded://bucket/in/a.mp4 --model " in err
    assert "scratch" not in err


def test_a_dry_run_leaves_no_trace(run: Run, videos: Path) -> None:
    put(videos, "recorded://bucket/in")
    code, printed, _ = run("recorded://bucket/in", "-o", "recorded://bucket/out", "--dry-run")
    assert code == 0
    assert printed.splitlines() == [
        f"would segment recorded://bucket/in/{name} -> recorded://bucket/out/{name}" for name in NAMES
    ]
    assert contents("recorded://bucket/out") == {}


def test_shards_divide_a_store(run: Run, videos: Path) -> None:
    put(videos, "recorded://bucket/in")
    for number in (1, 2):
        code, printed, _ = run(
            "recorded://bucket/in", "-o", "recorded://bucket/out", "--only", "tracks", "--shard", f"{number}/2"
        )
        assert (code, printed.splitlines()) == (0, [f"recorded://bucket/out/{NAMES[number - 1]}"])
    assert {"run-1-of-2.json", "run-2-of-2.json"} <= set(contents("recorded://bucket/out"))


def test_what_has_no_meaning_with_urls_is_refused(run: Run, tmp_path: Path) -> None:
    code, _, err = run("recorded://bucket/frames", "--frame-rate", "5")
    assert (code, err) == (
        2,
        "avis: recorded://bucket/frames: --frame-rate with a URL; copy the pictures to this machine\n",
    )
    code, _, err = run("clip.mp4", "-o", "https://host/out")
    assert code == 2
    assert "--output 'https://host/out', expected a folder, or a URL of a store" in err
    assert {path.name for path in tmp_path.iterdir()} == {"scratch"}


def test_an_interrupt_leaves_nothing_here(run: Run, videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    put(videos, "recorded://bucket/in")

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("avis_cli.segment"), "segment", interrupted)
    for words in (["recorded://bucket/in"], ["recorded://bucket/in/a.mp4"]):
        assert run(*words, "-o", "recorded://bucket/out")[0] == 130
    assert not [name for name in contents("recorded://bucket/out") if name != "run.json"]


def test_copies_are_gone_as_soon_as_their_input_is_through(
    run: Run, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    clip = (videos / "a.mp4").read_bytes()
    fill("recorded://bucket/in", {"a.mp4": clip, "b.mp4": b"no video at all", "c.mp4": clip, "d.mp4": clip})
    pipeline = importlib.import_module("avis_cli.segment")
    segment, seen = pipeline.segment, list[list[str]]()

    def watched(*words: Any, **named: Any) -> Any:
        seen.append(sorted(path.name for path in (tmp_path / "scratch").rglob("*.mp4") if path.is_file()))
        return segment(*words, **named)

    monkeypatch.setattr(pipeline, "segment", watched)
    code, _, _ = run("recorded://bucket/in", "-o", "recorded://bucket/out", "--only", "tracks", "--jobs", "1")
    assert code == 3
    assert seen == [["a.mp4"], ["c.mp4"], ["d.mp4"]]


def test_a_list_of_inputs(run: Run, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(videos, "recorded://bucket/in")
    text = f"# mine\n\n{videos / 'a.mp4'}\r\nrecorded://bucket/in/b.mp4\n"
    (tmp_path / "list.txt").write_text(text, newline="")
    assert run("@list.txt", "-o", "out", "--only", "tracks")[1].splitlines() == ["out/a.mp4", "out/b.mp4"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert run("@-", "-o", "out2", "--only", "tracks")[1].splitlines() == ["out2/a.mp4", "out2/b.mp4"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("a.mp4\n-\n", 2, "list.txt:2: '-', expected a path or a URL"),
        ("@other\n", 2, "list.txt:1: '@other', expected a path or a URL"),
        ("a.mp4\n\nb\0c\n", 2, "list.txt:3: 'b\\x00c', expected a path or a URL"),
        ("# nothing\n\n", 1, "list.txt: a list without inputs"),
    ],
)
def test_a_list_that_is_none(run: Run, tmp_path: Path, text: str, code: int, said: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    found, _, err = run("@list.txt")
    assert (found, err.count("\n")) == (code, 1)
    assert said in err
    found, _, err = run("@none.txt")
    assert (found, err) == (1, "avis: none.txt: cannot be read: No such file or directory; a list of inputs: @FILE\n")


_LINE = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(_LINE, max_size=6))
def test_every_line_of_a_list_comes_back(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.txt"
    path.write_bytes("\n".join(lines).encode())
    meant = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if any(line == "-" or line.startswith("@") for line in meant):
        with pytest.raises(AvisError, match=r"lines\.txt:\d+: "):
            listed(f"@{path}", None)
    elif meant:
        assert listed(f"@{path}", None) == meant
    else:
        with pytest.raises(MediaError, match="a list without inputs"):
            listed(f"@{path}", None)
