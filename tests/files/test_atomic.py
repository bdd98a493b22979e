"""Files and folders are there completely or not at all, whatever ends the writing of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from avis_cli.errors import AvisError, OutputError
from avis_cli.files import partial
from avis_cli.files.atomic import output_file, output_tree, prepare_tree, sync

Output = Callable[..., AbstractContextManager[Path]]
BOTH = pytest.mark.parametrize("output", [output_file, output_tree])


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def put(path: Path, text: str) -> None:
    """Something in an output, which is a file or a folder."""
    (path / "inside.txt" if path.is_dir() else path).write_text(text)


def got(path: Path) -> str:
    return (path / "inside.txt" if path.is_dir() else path).read_text()


def fill(output: Output, path: Path, text: str = "new", **options: Any) -> None:
    with output(path, **options) as temporary:
        put(temporary, text)


def start_and_fail(target: AbstractContextManager[Path], failure: BaseException) -> None:
    with target as path:
        put(path, "half")
        raise failure


@BOTH
def test_it_appears_when_it_is_complete(tmp_path: Path, output: Output) -> None:
    target = tmp_path / "new" / "a b.mp4"
    with output(target) as temporary:
        put(temporary, "video")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert got(target) == "video"
    assert len(listing(tmp_path / "new")) == 1 + target.is_dir()


def test_a_temporary_file_has_the_ending_and_a_file_the_usual_rights(tmp_path: Path) -> None:
    with output_file(tmp_path / "overlay.mp4") as temporary:
        assert temporary.suffix == ".mp4"
    (tmp_path / "usual").touch()
    assert (tmp_path / "overlay.mp4").stat().st_mode == (tmp_path / "usual").stat().st_mode


@BOTH
@pytest.mark.parametrize("name", ["uv.lock", "notes.old", "a.~", ".hidden", "two\nlines.txt"])
def test_any_name_will_do(tmp_path: Path, output: Output, name: str) -> None:
    fill(output, tmp_path / name)
    assert got(tmp_path / name) == "new"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@BOTH
@pytest.mark.parametrize("failure", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1), AvisError("x")])
def test_a_failure_leaves_nothing(tmp_path: Path, output: Output, failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        start_and_fail(output(tmp_path / "deep" / "out" / "clip.mp4"), failure)
    assert listing(tmp_path) == []


@BOTH
def test_a_failure_leaves_what_was_there(tmp_path: Path, output: Output) -> None:
    fill(output, tmp_path / "clip", "old")
    with pytest.raises(KeyboardInterrupt):
        start_and_fail(output(tmp_path / "clip", overwrite=True), KeyboardInterrupt())
    assert got(tmp_path / "clip") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


@BOTH
def test_what_is_there_is_refused_or_replaced_as_a_whole(tmp_path: Path, output: Output) -> None:
    fill(output, tmp_path / "out" / "clip", "old")
    if output is output_tree:
        (tmp_path / "out" / "clip" / "more").write_text("old")
    with pytest.raises(OutputError, match="is already there; --overwrite"), output(tmp_path / "out" / "clip"):
        pytest.fail("the block must not run")
    fill(output, tmp_path / "out" / "clip", overwrite=True)
    assert got(tmp_path / "out" / "clip") == "new"
    assert len(listing(tmp_path / "out")) == 1 + (output is output_tree)


@BOTH
def test_somebody_faster_is_not_overwritten(tmp_path: Path, output: Output) -> None:
    slow = output(tmp_path / "clip")
    put(slow.__enter__(), "slow")
    fill(output, tmp_path / "clip", "fast")
    with pytest.raises(OutputError, match="already there"):
        slow.__exit__(None, None, None)
    assert got(tmp_path / "clip") == "fast"
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


@BOTH
@pytest.mark.parametrize("overwrite", [False, True])
def test_links_and_the_wrong_kind_are_refused(tmp_path: Path, output: Output, overwrite: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    wrong = tmp_path / "wrong"
    if output is output_file:
        wrong.mkdir()
    else:
        wrong.write_text("x")
    kind = "is a folder, expected a file" if output is output_file else "is a file, expected a folder"
    for name, message in (("link", "symbolic link"), ("dangling", "symbolic link"), ("wrong", kind)):
        with pytest.raises(OutputError, match=message):
            fill(output, tmp_path / name, overwrite=overwrite)
    assert listing(tmp_path) == ["dangling", "elsewhere", "link", "wrong"]


@BOTH
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_what_the_system_refuses_is_told_of_the_destination(tmp_path: Path, output: Output, number: int) -> None:
    with pytest.raises(OutputError, match=f"cannot be written: {os.strerror(number)}; ") as caught:
        start_and_fail(output(tmp_path / "clip.mp4", remedy="go elsewhere"), OSError(number, os.strerror(number)))
    assert caught.value.file == str(tmp_path / "clip.mp4")
    assert caught.value.hint == ("free some space" if number == errno.ENOSPC else "go elsewhere")
    assert listing(tmp_path) == []


@BOTH
def test_a_file_where_a_folder_has_to_be_is_told(tmp_path: Path, output: Output) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written: Not a directory; choose another place with -o") as caught:
        fill(output, tmp_path / "file" / "deep" / "clip.mp4")
    assert caught.value.exit_code == 2


@BOTH
def test_errors_name_the_destination(tmp_path: Path, output: Output) -> None:
    target = output(tmp_path / "clip.mp4")
    temporary = target.__enter__()
    error = OutputError("cannot be written", file=f"{temporary}/overlay.mp4")
    target.__exit__(OutputError, error, None)
    assert error.file == str(tmp_path / "clip.mp4" / "overlay.mp4")
    assert listing(tmp_path) == []


@BOTH
def test_a_fault_of_something_else_stays_what_it_is(tmp_path: Path, output: Output) -> None:
    with pytest.raises(FileNotFoundError), output(tmp_path / "clip.mp4"):
        open(tmp_path / "elsewhere").close()


@BOTH
def test_a_very_long_name_is_no_problem(tmp_path: Path, output: Output) -> None:
    fill(output, tmp_path / ("ä" * 120 + ".mp4"))
    assert got(tmp_path / ("ä" * 120 + ".mp4")) == "new"


@BOTH
def test_a_folder_above_that_vanishes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: Output
) -> None:
    original = partial.remove_leftovers
    removed: list[Path] = []

    def remove_leftovers(destination: Path) -> None:
        original(destination)
        if len(removed) < 2:
            removed.append(destination.parent)
            destination.parent.rmdir()  # another process made it, needs it no longer and finds it empty

    monkeypatch.setattr(partial, "remove_leftovers", remove_leftovers)
    fill(output, tmp_path / "out" / "clip.mp4")
    assert removed == [tmp_path / "out"] * 2
    assert got(tmp_path / "out" / "clip.mp4") == "new"


@BOTH
def test_a_folder_above_that_vanishes_while_it_is_looked_at_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: Output
) -> None:
    original = os.mkdir
    removed: list[Path] = []

    def mkdir(path: Path, *arguments: Any) -> None:
        try:
            original(path, *arguments)
        except FileExistsError:
            if len(removed) < 2:
                removed.append(Path(path))
                os.rmdir(path)  # another thread made it, needs it no longer and finds it empty
            raise

    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "mkdir", mkdir)
    fill(output, tmp_path / "out" / "clip.mp4")
    assert removed == [tmp_path / "out"]
    assert got(tmp_path / "out" / "clip.mp4") == "new"


@BOTH
def test_a_file_in_the_place_of_the_folder_above_is_told(tmp_path: Path, output: Output) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written: "):
        fill(output, tmp_path / "file" / "clip.mp4")
    assert (tmp_path / "file").read_text() == "x"


class TestTree:
    def test_an_empty_folder_may_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "clip").mkdir()
        fill(output_tree, tmp_path / "clip")
        assert got(tmp_path / "clip") == "new"

    def test_the_caller_decides_what_may_be_replaced(self, tmp_path: Path) -> None:
        def may_replace(present: list[str]) -> None:
            if "thesis.tex" in present:
                raise OutputError("holds a thesis")

        fill(output_tree, tmp_path / "clip", "old")
        fill(output_tree, tmp_path / "clip", may_replace=may_replace)
        assert got(tmp_path / "clip") == "new"
        (tmp_path / "clip" / "thesis.tex").touch()
        with pytest.raises(OutputError, match="thesis"):
            fill(output_tree, tmp_path / "clip", "newer", may_replace=may_replace)
        assert got(tmp_path / "clip") == "new"

    def test_prepare_finds_that_nothing_can_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(OutputError, match="cannot be written: Not a directory"):
            prepare_tree(tmp_path / "file" / "clip.mp4")
        fill(output_tree, tmp_path / "clip", "old")
        with pytest.raises(OutputError, match="is already there"):
            prepare_tree(tmp_path / "clip")

        def read_only(path: Path, *arguments: object, **options: object) -> NoReturn:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

        monkeypatch.setattr(Path, "mkdir", read_only)
        with pytest.raises(OutputError, match="cannot be written: Read-only file system"):
            prepare_tree(tmp_path / "clip.mp4")

    def test_prepare_leaves_no_trace(self, tmp_path: Path) -> None:
        prepare_tree(tmp_path / "a" / "b" / "clip.mp4")
        assert listing(tmp_path) == []

    def test_replaced_by_two_at_once_one_wins_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fill(output_tree, tmp_path / "clip", "old")
        slow = output_tree(tmp_path / "clip", overwrite=True)
        put(slow.__enter__(), "slow")
        original = Path.rename

        def rename(path: Path, target: Path) -> Path:
            moved = original(path, target)
            if path == tmp_path / "clip":  # the place is free for a moment, and somebody faster takes it
                monkeypatch.undo()
                fill(output_tree, tmp_path / "clip", "fast")
            return moved

        monkeypatch.setattr(Path, "rename", rename)
        with pytest.raises(OutputError, match="cannot be written"):
            slow.__exit__(None, None, None)
        assert got(tmp_path / "clip") == "fast"
        assert [path.name for path in tmp_path.iterdir()] == ["clip"]

    def test_old_results_go_back_where_new_ones_cannot_take_their_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(output_tree, tmp_path / "clip", "old")
        original = Path.rename

        def rename(path: Path, target: Path) -> Path:
            if got(path) == "new":
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return original(path, target)

        monkeypatch.setattr(Path, "rename", rename)
        with pytest.raises(OutputError, match="cannot be written"):
            fill(output_tree, tmp_path / "clip", "new", overwrite=True)
        assert got(tmp_path / "clip") == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["clip"]


class TestDurable:
    def test_bytes_are_on_the_disk_before_the_name_is_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[tuple[int, bool]] = []
        monkeypatch.setattr(
            os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_size, (tmp_path / "w").exists()))
        )
        fill(output_file, tmp_path / "w", "1234", durable=True)
        assert synced == [(4, False)]
        fill(output_file, tmp_path / "x", "1234")
        assert len(synced) == 1

    @pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True)])
    def test_drives_without_such_a_request_have_done_what_they_can(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fails: bool
    ) -> None:
        def fsync(descriptor: int) -> NoReturn:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fsync)
        with (tmp_path / "w").open("wb") as file:
            if fails:
                with pytest.raises(OSError, match=os.strerror(number)):
                    sync(file)
            else:
                sync(file)
        if fails:
            with pytest.raises(OutputError, match=f"cannot be written: {os.strerror(number)}"):
                fill(output_file, tmp_path / "x", durable=True)
            assert not (tmp_path / "x").exists()
        else:
            fill(output_file, tmp_path / "x", durable=True)
