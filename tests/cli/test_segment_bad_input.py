"""Inputs that ``avis segment`` cannot use: each gets one line that says why, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import make_clip

from avis_cli.cli.main import main

SIZE = (64, 48)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, size=SIZE, fps=5, seconds=1, audio="tone")
    return path


@pytest.fixture
def never_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test that gets as far as looking for weights."""
    from avis_cli import hub

    monkeypatch.setattr(hub, "resolve", lambda *_, **__: pytest.fail("no weights are needed to refuse this"))


def refused(capfd: pytest.CaptureFixture[str], path: Path, *arguments: str | Path, code: int = 1) -> str:
    """Runs ``avis segment`` and returns its error line, having checked that it is one and all there is."""
    out = path.parent / "out"
    status = main(["segment", "-o", str(out), *map(str, arguments), "--", str(path)])
    printed, err = capfd.readouterr()
    assert (status, printed) == (code, "")
    assert err.count("\n") == 1, err
    assert err.startswith(f"avis: {path}: "), err
    assert not out.exists()
    assert not [name for name in os.listdir(path.parent) if name.startswith(".avis")]
    return err


def text_file(path: Path, clip: Path) -> None:
    path.write_text("minutes of the meeting\n" * 50)


def empty(path: Path, clip: Path) -> None:
    path.touch()


def noise(path: Path, clip: Path) -> None:
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes())


def zero_frames(path: Path, clip: Path) -> None:
    data = clip.read_bytes()  # as it is but for the pictures and the sound
    begin = data.index(b"mdat") + 4
    length = int.from_bytes(data[begin - 8 : begin - 4], "big") - 8
    path.write_bytes(data[:begin] + bytes(length) + data[begin + length :])


def truncated_moov(path: Path, clip: Path) -> None:
    path.write_bytes(clip.read_bytes()[:-200])


def hls(path: Path, clip: Path) -> None:
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{clip}\n#EXT-X-ENDLIST\n")


def concat(path: Path, clip: Path) -> None:
    path.write_text(f"ffconcat version 1.0\nfile '{clip}'\n")


def no_video(path: Path, clip: Path) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def no_audio(path: Path, clip: Path) -> None:
    make_clip(path, size=SIZE, fps=5, seconds=1, audio=None)


def gif(path: Path, clip: Path) -> None:
    make_clip(path, size=SIZE, fps=5, seconds=1, audio=None, codec="gif", format="gif")


def fifo(path: Path, clip: Path) -> None:
    os.mkfifo(path)


def dangling(path: Path, clip: Path) -> None:
    path.symlink_to("nowhere.mp4")


def loop(path: Path, clip: Path) -> None:
    path.symlink_to(path.name)


def missing(path: Path, clip: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (no_audio, "no audio stream: cannot tell what sounds; --allow-silent goes by the picture alone"),
        (gif, "no audio stream: cannot tell what sounds"),
        (no_video, "no video stream; give a file with moving pictures"),
        (zero_frames, "not one picture could be decoded"),
        (empty, "the file is empty"),
        (text_file, "looks like text, not a video"),
        (noise, "not "),
        (truncated_moov, "moov atom not found: the index is missing or cut off; the recording or the download"),
        (hls, "a playlist (HLS), not a video: playlists name other files and are never followed; give the video"),
        (concat, "a playlist (concat), not a video"),
        (fifo, "not a regular file (a pipe, socket or device)"),
        (dangling, "no such file"),
        (loop, "cannot be opened: Too many levels of symbolic links"),
        (missing, "no such file"),
    ],
)
def test_media_that_cannot_be_used(
    tmp_path: Path, clip: Path, capfd: pytest.CaptureFixture[str], never_loaded: None, make: Any, words: str
) -> None:
    path = tmp_path / "input.mp4"
    make(path, clip)
    assert words in refused(capfd, path)


def test_names_longer_than_any_file_system_takes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], never_loaded: None
) -> None:
    assert "File name too long" in refused(capfd, tmp_path / ("x" * 300 + ".mp4"))


def test_a_device_is_no_video(tmp_path: Path, capfd: pytest.CaptureFixture[str], never_loaded: None) -> None:
    assert main(["segment", "/dev/zero", "-o", str(tmp_path / "out")]) == 1
    assert capfd.readouterr().err.startswith("avis: /dev/zero: not a regular file")


def test_a_picture_over_the_limit_is_refused_before_it_is_allocated(
    tmp_path: Path, clip: Path, capfd: pytest.CaptureFixture[str], never_loaded: None
) -> None:
    huge = tmp_path / "huge.avi"
    make_clip(huge, size=SIZE, fps=5, seconds=1, audio="tone", codec="mjpeg")
    data = bytearray(huge.read_bytes())
    header = data.index(b"strf") + 12  # width and height for AVI
    data[header : header + 8] = (60000).to_bytes(4, "little") * 2
    frame = data.find(b"\xff\xc0\x00\x11")
    while frame >= 0:  # and in every picture
        data[frame + 5 : frame + 9] = (60000).to_bytes(2, "big") * 2
        frame = data.find(b"\xff\xc0\x00\x11", frame + 1)
    huge.write_bytes(data)
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = refused(capfd, huge)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # kilobytes; one picture is 10 GB
    assert "60000x60000 pixels, at most 67108864 pixels are read; --max-pixels raises the limit" in line
    assert "64x48 pixels, at most 3071 pixels" in refused(capfd, shutil_copy(clip, tmp_path), "--max-pixels", "3071")


def shutil_copy(clip: Path, folder: Path) -> Path:
    return Path(shutil.copy(clip, folder))


def test_permission_denied(
    tmp_path: Path, clip: Path, capfd: pytest.CaptureFixture[str], never_loaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shutil_copy(clip, tmp_path)
    original = os.open

    def denied(name: Any, *arguments: Any, **options: Any) -> int:
        if os.fspath(name) == os.fspath(path):
            raise PermissionError(errno.EACCES, "Permission denied", name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(os, "open", denied)
    assert "permission to read it is denied" in refused(capfd, path)


@pytest.mark.parametrize("recursive", [False, True])
def test_a_folder_without_videos(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], never_loaded: None, recursive: bool
) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "notes.txt").touch()
    line = refused(capfd, tmp_path / "folder", *(["--recursive"] if recursive else []))
    assert "a folder without videos (looked for .mp4 " in line
    assert ("--recursive to look into folders below" in line) != recursive


@pytest.mark.parametrize("fault", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_an_output_folder_that_cannot_be_written_is_told_before_any_work(
    tmp_path: Path,
    clip: Path,
    capfd: pytest.CaptureFixture[str],
    never_loaded: None,
    monkeypatch: pytest.MonkeyPatch,
    fault: int,
) -> None:
    out = tmp_path / "out"
    original = os.mkdir

    def mkdir(path: Any, *arguments: Any, **options: Any) -> None:
        if os.fspath(path).startswith(os.fspath(out)):
            raise OSError(fault, os.strerror(fault), os.fspath(path))
        original(path, *arguments, **options)

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert main(["segment", str(clip), "-o", str(out)]) == 1
    printed, err = capfd.readouterr()
    assert (printed, err.count("\n")) == ("", 1)
    assert err.startswith(f"avis: {out / 'clip.mp4'}: cannot be written: {os.strerror(fault)}; ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_output_folder_should_be(
    tmp_path: Path, clip: Path, capfd: pytest.CaptureFixture[str], never_loaded: None
) -> None:
    path = shutil_copy(clip, tmp_path)
    before = path.read_bytes()
    for out in (path, path / "below"):
        assert main(["segment", str(path), "-o", str(out)]) == 2
        printed, err = capfd.readouterr()
        assert (printed, err.count("\n")) == ("", 1)
        assert "cannot be written: Not a directory; choose another place with -o" in err
    other = tmp_path / "other" / path.name
    other.parent.mkdir()
    shutil.copy(path, other)
    assert main(["segment", str(other), "-o", str(tmp_path)]) == 2  # results would take another video's place
    assert "is a file, expected a folder for results" in capfd.readouterr().err
    shutil.rmtree(other.parent)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_not_written_through(
    tmp_path: Path, clip: Path, capfd: pytest.CaptureFixture[str], never_loaded: None
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip.mp4").symlink_to(tmp_path / "elsewhere")
    assert main(["segment", str(clip), "-o", str(tmp_path / "out"), "--overwrite"]) == 1
    assert "is a symbolic link" in capfd.readouterr().err
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_disk_that_fills_up_leaves_nothing(
    tmp_path: Path,
    clip: Path,
    tiny_weights: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import avis_cli.writers.mask_images

    def full(folder: Path, *_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "000000.png"))

    monkeypatch.setattr(avis_cli.writers.mask_images, "write_masks", full)
    assert main(["segment", str(clip), "-o", str(tmp_path / "out"), "--model", str(tiny_weights)]) == 1
    assert capfd.readouterr().err == (
        f"avis: {tmp_path / 'out' / 'clip.mp4'}: cannot be written: No space left on device; free some space\n"
    )
    assert list(tmp_path.iterdir()) == []
