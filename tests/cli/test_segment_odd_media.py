"""Media that are unusual but good: ``avis segment`` gives complete results for each, and says what is odd."""

from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import make_clip

from avis_cli.cli.main import main
from avis_cli.results.clip import ClipResult

SIZE = (64, 48)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, size=SIZE, fps=5, seconds=1, audio="tone")
    return path


def segmented(path: Path, weights: Path, *arguments: str) -> ClipResult:
    """The result, having checked that it is complete."""
    out = path.parent / "out"
    options = ["-o", str(out), "--model", str(weights), "--mask-fps", "5", *arguments]
    assert main(["segment", str(path), *options]) == 0
    folder = out / path.name
    result = ClipResult.from_json((folder / "tracks.json").read_text(encoding="utf-8"))
    assert (folder / "overlay.mp4").stat().st_size > 0
    assert len(os.listdir(folder / "masks")) == len(result.times) > 0
    assert result.times[0] == 0
    assert list(result.times) == sorted(set(result.times))
    return result


@pytest.mark.parametrize(
    ("suffix", "how", "masks"),
    [
        pytest.param(".mp4", {"seconds": Fraction(1, 5)}, 1, id="one frame"),
        pytest.param(".mp4", {"fps": 10, "seconds": Fraction(3, 10)}, 2, id="shorter than a window of sound"),
        pytest.param(".mp4", {"times": [Fraction(n, 30) for n in (0, 1, 20, 21, 29)]}, 6, id="variable rate"),
        pytest.param(".mp4", {"video_offset": 3}, 5, id="clock that starts late"),
        pytest.param(".mkv", {"audio_offset": Fraction(1, 2)}, 5, id="late sound"),
        pytest.param(".mkv", {"audio_offset": Fraction(-1, 2), "video_offset": 1}, 5, id="early sound"),
        pytest.param(".mkv", {"audio_seconds": Fraction(1, 5)}, 5, id="short sound"),
        pytest.param(".mkv", {"audio_seconds": 3}, 5, id="long sound"),
        pytest.param(".mkv", {"layout": "5.1", "audio_codec": "flac", "sample_rate": 96000}, 5, id="surround"),
        pytest.param(".avi", {"codec": "mjpeg", "audio_codec": "pcm_u8", "sample_rate": 8000}, 5, id="old camera"),
        pytest.param(".mkv", {"codec": "ffv1", "pix_fmt": "gray", "audio_codec": "pcm_s24le"}, 5, id="gray"),
        pytest.param(".webm", {"codec": "libvpx-vp9", "pix_fmt": "yuva420p"}, 5, id="alpha"),
        pytest.param(".mp4", {"aspect": Fraction(4, 3), "pix_fmt": "yuv444p"}, 5, id="wide pixels"),
    ],
)
def test_gives_complete_results(tmp_path: Path, tiny_weights: Path, suffix: str, how: Any, masks: int) -> None:
    path = tmp_path / f"clip{suffix}"
    make_clip(path, **{"size": SIZE, "fps": 5, "seconds": 1, "audio": "tone", **how})
    result = segmented(path, tiny_weights)
    assert len(result.times) == masks
    assert (result.source.width, result.source.height) == SIZE
    assert result.source.audio is not None


def test_damage_in_the_middle_is_counted_and_said(
    tmp_path: Path, tiny_weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.avi"
    make_clip(path, size=SIZE, fps=5, seconds=2, audio="tone", codec="mjpeg", audio_codec="pcm_s16le")
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xd8\xff", data.index(b"\xff\xd8\xff", data.index(b"movi")) + 3)
    data[frame : frame + 600] = bytes(600)
    path.write_bytes(data)
    assert segmented(path, tiny_weights).source.decode_failures == 1
    assert f"avis: warning: {path}: damaged: 1 frames could not be decoded and are skipped\n" in capfd.readouterr().err
    strict = ["segment", str(path), "--model", str(tiny_weights), "-o", str(tmp_path / "strict"), "--strict"]
    assert main(strict) == 1
    assert f"avis: {path}: 1 frames cannot be decoded; leave out --strict to skip them\n" in capfd.readouterr().err
    assert not (tmp_path / "strict").exists()


def test_one_of_several_sound_tracks_is_taken_and_said(
    tmp_path: Path, tiny_weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.mkv"
    make_clip(path, size=SIZE, fps=5, seconds=1, audio="tone", languages=("eng", "fra"))
    segmented(path, tiny_weights)
    assert "2 audio tracks (0: eng, aac, 1: fra, aac): using 0; --audio-track chooses another" in capfd.readouterr().err
    for wanted in ("1", "fra", "FR"):
        segmented(path, tiny_weights, "--overwrite", "--audio-track", wanted)
        assert "audio tracks" not in capfd.readouterr().err


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_sound_that_is_not_finite_is_no_reason_to_stop(
    tmp_path: Path, tiny_weights: Path, capfd: pytest.CaptureFixture[str], bad: float
) -> None:
    samples = 0.3 * np.sin(np.arange(96000) / 20, dtype=np.float32)[None].repeat(2, axis=0)
    samples[:, ::7] = bad
    path = tmp_path / "clip.mkv"
    make_clip(path, size=SIZE, fps=5, seconds=2, audio=samples, layout="stereo", audio_codec="pcm_f32le")
    out = tmp_path / "out"
    assert main(["segment", str(path), "-o", str(out), "--model", str(tiny_weights), "--mask-fps", "1"]) == 0
    printed, _ = capfd.readouterr()
    assert printed == f"{out / 'clip.mkv'}\n"
    assert "NaN" not in (out / "clip.mkv" / "tracks.json").read_text()
    assert (out / "clip.mkv" / "overlay.mp4").is_file()


def test_a_clip_without_sound_is_taken_when_asked_for(tmp_path: Path, tiny_weights: Path) -> None:
    kinds: dict[str, dict[str, Any]] = {"silent.mp4": {}, "silent.gif": {"codec": "gif"}}
    for name, how in kinds.items():
        make_clip(tmp_path / name, size=SIZE, fps=5, seconds=1, audio=None, **how)
        assert segmented(tmp_path / name, tiny_weights, "--allow-silent").source.audio is None


@pytest.mark.parametrize(
    "name",
    [
        "a b.mp4",
        'it\'s "$(x)" `y` {} %d.mp4',
        "a:b.mp4",
        "-x.mp4",
        "U\u0308n\u00ef\U0001f3bb.mp4",
        "2\nlines.mp4",
        "b\udcff.mp4",
    ],
)
def test_names_are_taken_literally(
    tmp_path: Path, clip: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from avis_cli.results.clip import ClipResult

    monkeypatch.chdir(tmp_path)
    try:
        shutil.copy(clip, name)
    except OSError:
        pytest.skip("this file system takes no such name")
    before = set(os.listdir())
    assert main(["segment", "-o", "out", "--model", str(tiny_weights), "--mask-fps", "1", "--", name]) == 0
    assert set(os.listdir()) == before | {"out"}
    assert os.listdir("out") == [name]
    assert sorted(os.listdir(Path("out", name))) == [".avis.json", "masks", "overlay.mp4", "report.html", "tracks.json"]
    tracks = Path("out", name, "tracks.json").read_text(encoding="ascii")
    assert ClipResult.from_json(tracks).source.file == name
