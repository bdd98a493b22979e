"""Results are there completely or not at all: folders, single files, and what is left after every kind of end."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from avis_cli.errors import AvisError, OutputError
from avis_cli.files.output_file import output_file
from avis_cli.files.output_folder import OutputFolder, checksum, fingerprint, is_complete, read_about


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def start_and_fail(target: OutputFolder | AbstractContextManager[Path], failure: BaseException) -> None:
    """Half of the results are written when something happens."""
    with target as path:
        half = path / "tracks.json" if path.is_dir() else path
        half.write_text("half")
        raise failure


def fill(directory: Path, text: str = "new", **options: object) -> None:
    with OutputFolder(directory, **options) as folder:  # type: ignore[arg-type]
        (folder / "masks").mkdir()
        (folder / "masks" / "000000.png").write_text(text)
        (folder / "tracks.json").write_text(text)


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    directory = tmp_path / "out" / "a b.mp4"
    with OutputFolder(directory) as folder:
        (folder / "tracks.json").write_text("{}")
        assert not directory.exists()
        assert folder.parent == directory.parent
    assert listing(tmp_path) == ["out", "out/a b.mp4", "out/a b.mp4/tracks.json"]


@pytest.mark.parametrize("failure", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1), AvisError("x")])
def test_a_failure_leaves_nothing(tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        start_and_fail(OutputFolder(tmp_path / "out" / "clip.mp4"), failure)
    assert listing(tmp_path) == []


def test_a_failure_leaves_earlier_results(tmp_path: Path) -> None:
    fill(tmp_path / "clip", "old")
    with pytest.raises(KeyboardInterrupt):
        start_and_fail(OutputFolder(tmp_path / "clip", overwrite=True), KeyboardInterrupt())
    assert listing(tmp_path) == ["clip", "clip/masks", "clip/masks/000000.png", "clip/tracks.json"]
    assert (tmp_path / "clip" / "tracks.json").read_text() == "old"


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OutputError, match="No space left") as caught:
        start_and_fail(OutputFolder(tmp_path / "clip.mp4"), full)
    assert caught.value.file == str(tmp_path / "clip.mp4")
    assert listing(tmp_path) == []


def test_errors_name_the_result_not_its_hidden_part(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "clip.mp4")
    part = folder.__enter__()
    error = OutputError("cannot be written", file=part / "overlay.mp4")
    folder.__exit__(OutputError, error, None)
    assert error.file == str(tmp_path / "clip.mp4" / "overlay.mp4")
    with pytest.raises(OutputError) as caught:
        fail_naming(output_file(tmp_path / "overlay.mp4"))
    assert caught.value.file == str(tmp_path / "overlay.mp4")
    assert listing(tmp_path) == []


def fail_naming(target: AbstractContextManager[Path]) -> None:
    with target as path:
        raise OutputError("cannot be written", file=path)


def test_a_fault_of_something_else_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), OutputFolder(tmp_path / "clip.mp4"):
        open(tmp_path / "elsewhere").close()


def test_existing_results_are_refused_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "clip", "old")
    with pytest.raises(OutputError, match=r"already there; --overwrite .* --skip-existing") as caught:
        OutputFolder(tmp_path / "clip").prepare()
    assert caught.value.file == str(tmp_path / "clip")
    with pytest.raises(OutputError, match="already there"):
        fill(tmp_path / "clip")
    assert (tmp_path / "clip" / "tracks.json").read_text() == "old"


def test_overwrite_replaces_the_whole_folder(tmp_path: Path) -> None:
    fill(tmp_path / "clip", "old")
    (tmp_path / "clip" / "report.html").write_text("old")
    fill(tmp_path / "clip", overwrite=True)
    assert listing(tmp_path) == ["clip", "clip/masks", "clip/masks/000000.png", "clip/tracks.json"]
    assert (tmp_path / "clip" / "tracks.json").read_text() == "new"


def test_overwrite_never_takes_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        fill(tmp_path / "clip", overwrite=True)
    assert listing(tmp_path) == ["clip", "clip/thesis.tex"]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    fill(tmp_path / "clip")
    assert (tmp_path / "clip" / "tracks.json").read_text() == "new"


@pytest.mark.parametrize("overwrite", [False, True])
def test_links_and_files_in_the_way_are_refused(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    for name, message in (("link", "symbolic link"), ("dangling", "symbolic link"), ("file", "is a file")):
        with pytest.raises(OutputError, match=message):
            fill(tmp_path / name, overwrite=overwrite)
    assert listing(tmp_path) == ["dangling", "elsewhere", "file", "link"]


def test_prepare_finds_that_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        OutputFolder(tmp_path / "file" / "clip.mp4").prepare()

    def read_only(path: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(OutputError, match="cannot be written: Read-only file system"):
        OutputFolder(tmp_path / "clip.mp4").prepare()


def test_prepare_leaves_no_trace(tmp_path: Path) -> None:
    OutputFolder(tmp_path / "a" / "b" / "clip.mp4").prepare()
    assert listing(tmp_path) == []


def test_somebody_faster_is_not_overwritten(tmp_path: Path) -> None:
    slow = OutputFolder(tmp_path / "clip")
    folder = slow.__enter__()
    (folder / "tracks.json").write_text("slow")
    fill(tmp_path / "clip", "fast")
    with pytest.raises(OutputError, match="already there"):
        slow.__exit__(None, None, None)
    assert (tmp_path / "clip" / "tracks.json").read_text() == "fast"
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


def test_a_folder_above_that_vanishes_meanwhile_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Path.mkdir
    removed: list[Path] = []

    def mkdir(path: Path, *arguments: Any, **options: Any) -> None:
        if path.name.startswith(".avis-part-") and len(removed) < 2:
            removed.append(path.parent)
            path.parent.rmdir()  # another process made it, needs it no longer and finds it empty
        original(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    fill(tmp_path / "out" / "clip.mp4")
    assert removed == [tmp_path / "out"] * 2
    assert (tmp_path / "out" / "clip.mp4" / "tracks.json").read_text() == "new"


def test_replaced_by_two_at_once_one_wins_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "clip", "old")
    slow = OutputFolder(tmp_path / "clip", overwrite=True)
    (slow.__enter__() / "tracks.json").write_text("slow")
    original = Path.rename

    def rename(path: Path, target: Path) -> Path:
        moved = original(path, target)
        if path == tmp_path / "clip":  # the place is free for a moment, and somebody faster takes it
            monkeypatch.undo()
            fill(tmp_path / "clip", "fast")
        return moved

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OutputError, match="cannot be written"):
        slow.__exit__(None, None, None)
    assert (tmp_path / "clip" / "tracks.json").read_text() == "fast"
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


@pytest.mark.skipif(os.name != "posix", reason="leftovers are only told apart on POSIX systems")
def test_what_a_killed_process_left_is_removed_and_a_living_ones_is_kept(tmp_path: Path) -> None:
    code = (
        "import os, sys; from avis_cli.files.output_folder import OutputFolder\n"
        "folder = OutputFolder(sys.argv[1]).__enter__(); (folder / 'tracks.json').write_text('half')\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "clip")], check=False)
    assert len(listing(tmp_path)) == 2
    mine = OutputFolder(tmp_path / "clip").__enter__()
    assert [path.name for path in tmp_path.iterdir()] == [mine.name]
    fill(tmp_path / "clip")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([mine.name, "clip"])


def test_a_very_long_name_is_no_problem(tmp_path: Path) -> None:
    directory = tmp_path / ("ä" * 120 + ".mp4")
    fill(directory)
    assert directory.is_dir()


class TestManifest:
    def test_complete_only_for_the_same_input_and_settings(self, tmp_path: Path) -> None:
        clip = tmp_path / "clip.mp4"
        clip.write_bytes(b"film")
        settings = {"threshold": 0.3, "only": ["masks"], "weights": None}
        mark = fingerprint(checksum(clip), settings)
        assert mark == fingerprint(checksum(clip), dict(reversed(settings.items())))
        other = fingerprint(checksum(clip), {**settings, "threshold": 0.4})
        assert mark != other
        fill(tmp_path / "out", fingerprint=mark)
        assert is_complete(tmp_path / "out", mark)
        assert not is_complete(tmp_path / "out", other)
        clip.write_bytes(b"film 2")
        assert not is_complete(tmp_path / "out", fingerprint(checksum(clip), settings))

    def test_a_checksum_is_that_of_the_bytes_and_tells_how_far_it_is(self, tmp_path: Path) -> None:
        data = bytes(range(256)) * 10_000
        (tmp_path / "clip.mp4").write_bytes(data)
        told: list[tuple[str, int, int | None]] = []
        found = checksum(tmp_path / "clip.mp4", lambda *call: told.append(call))
        assert found == hashlib.sha256(data).hexdigest()
        assert told[-1] == ("checking", len(data), len(data))
        assert len(told) > 1

    def test_it_remembers_what_it_was_told(self, tmp_path: Path) -> None:
        folder = OutputFolder(tmp_path / "out", fingerprint="abc")
        with folder:
            folder.about["tracks"] = 3
        assert read_about(tmp_path / "out") == {"tracks": 3}
        assert read_about(tmp_path / "none") == {}
        for text in ("", "[]", '{"about": 3}', "[" * 100_000):
            (tmp_path / "out" / ".avis.json").write_text(text)
            assert read_about(tmp_path / "out") == {}

    def test_not_complete_when_a_file_is_gone_or_cut(self, tmp_path: Path) -> None:
        fill(tmp_path / "out", fingerprint="abc")
        assert is_complete(tmp_path / "out", "abc")
        (tmp_path / "out" / "masks" / "000000.png").write_text("")
        assert not is_complete(tmp_path / "out", "abc")
        (tmp_path / "out" / "masks" / "000000.png").write_text("new")
        assert is_complete(tmp_path / "out", "abc")
        (tmp_path / "out" / "tracks.json").unlink()
        assert not is_complete(tmp_path / "out", "abc")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"fingerprint": "abc"}', "\x00", "[" * 100_000])
    def test_a_broken_manifest_is_not_complete(self, tmp_path: Path, text: str) -> None:
        fill(tmp_path / "out", fingerprint="abc")
        (tmp_path / "out" / ".avis.json").write_text(text)
        assert not is_complete(tmp_path / "out", "abc")

    def test_nothing_is_not_complete(self, tmp_path: Path) -> None:
        assert not is_complete(tmp_path / "none", "abc")
        fill(tmp_path / "out")
        assert not is_complete(tmp_path / "out", "abc")


class TestFile:
    def test_it_appears_when_it_is_complete(self, tmp_path: Path) -> None:
        with output_file(tmp_path / "new" / "overlay.mp4") as temporary:
            temporary.write_text("video")
            assert temporary.suffix == ".mp4"
            assert not (tmp_path / "new" / "overlay.mp4").exists()
        assert listing(tmp_path) == ["new", "new/overlay.mp4"]

    @pytest.mark.parametrize("failure", [KeyboardInterrupt(), AvisError("x"), OSError(errno.ENOSPC, "full")])
    def test_a_failure_leaves_nothing(self, tmp_path: Path, failure: BaseException) -> None:
        expected = OutputError if isinstance(failure, OSError) else type(failure)
        with pytest.raises(expected):
            start_and_fail(output_file(tmp_path / "new" / "overlay.mp4"), failure)
        assert listing(tmp_path) == []

    def test_existing_files_are_refused_or_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "overlay.mp4"
        path.write_text("old")
        with pytest.raises(OutputError, match="already there; --overwrite"), output_file(path):
            pytest.fail("the block must not run")
        with pytest.raises(KeyboardInterrupt):
            start_and_fail(output_file(path, overwrite=True), KeyboardInterrupt())
        assert path.read_text() == "old"
        with output_file(path, overwrite=True) as temporary:
            temporary.write_text("new")
        assert path.read_text() == "new"
        assert listing(tmp_path) == ["overlay.mp4"]

    def test_links_and_folders_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("x")
        (tmp_path / "link.mp4").symlink_to(tmp_path / "target")
        (tmp_path / "folder.mp4").mkdir()
        for name, message in (("link.mp4", "symbolic link"), ("folder.mp4", "is a folder")):
            with pytest.raises(OutputError, match=message), output_file(tmp_path / name, overwrite=True):
                pytest.fail("the block must not run")
        assert (tmp_path / "target").read_text() == "x"
