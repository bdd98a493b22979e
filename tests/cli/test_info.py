"""``avis info``: what a file holds, in text and as JSON."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip, turn

from avis_cli.cli.main import main


def described(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[str, str]:
    assert main(["info", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    return out, err


def as_json(capsys: pytest.CaptureFixture[str], path: Path) -> dict[str, Any]:
    return json.loads(described(capsys, path, "--json")[0], parse_constant=pytest.fail)


def test_text_names_picture_and_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), fps=Fraction(30000, 1001), seconds=1, audio="tone", layout="stereo")
    out, err = described(capsys, path)
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == f"file      {path}"
    assert lines[1].startswith("duration  1.00")
    assert lines[2:] == [
        "picture   h264, 64x48, 30000/1001 = 29.970 frames/s",
        "sound 0   aac, 48000 Hz, 2 channels, eng (used)",
    ]


def test_json_has_exact_rates_and_every_sound_track(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), fps=5, seconds=1, audio="tone", languages=("eng", "fra"))
    out, err = described(capsys, path, "--json")
    assert out.count("\n") == 1
    document = json.loads(out)
    assert document.pop("warnings") == [err.removeprefix("avis: warning: ").rstrip("\n")]
    tracks = [
        {"index": n, "codec": "aac", "sample_rate": 48000, "channels": 1, "language": language}
        for n, language in enumerate(("eng", "fra"))
    ]
    assert document == {
        "file": str(path), "width": 64, "height": 48, "rotation": 0, "mirrored": False, "sample_aspect_ratio": "1",
        "codec": "h264", "duration": 1.0, "frame_rate": "5", "audio": 0, "audio_tracks": tracks,
    }  # fmt: skip


def test_what_is_unusual_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), fps=5, seconds=1, audio=None, aspect=Fraction(4, 3))
    turn(path, (0, 1, -1, 0))
    out, _ = described(capsys, path)
    assert "48x64, 5 frames/s, turned 90 degrees, pixels 3:4" in out
    assert out.endswith("sound     none\n")
    document = as_json(capsys, path)
    assert (document["rotation"], document["sample_aspect_ratio"], document["audio"]) == (90, "3/4", None)


def test_quiet_keeps_warnings_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), fps=5, seconds=1, audio="tone", languages=("eng", "fra"))
    assert "2 audio tracks" in described(capsys, path)[1]
    assert described(capsys, path, "--quiet")[1] == ""


def test_tags_of_a_file_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.mkv"
    make_clip(path, size=(64, 48), fps=5, seconds=1, audio="tone", languages=("\x1b]0;owned\x07",))
    out, err = described(capsys, path)
    assert "\x1b" not in out + err
    assert "owned" in out


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_what_is_no_video_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("minutes of the meeting")
    assert main(["info", str(path), *arguments]) == 1
    assert capsys.readouterr() == ("", f"avis: {path}: looks like text, not a video\n")


def test_a_folder_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path)]) == 2
    assert capsys.readouterr() == ("", f"avis: {tmp_path}: is a folder, expected a video file\n")


def test_the_limit_of_pixels_can_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), fps=5, seconds=1, audio=None)
    assert main(["info", str(path), "--max-pixels", "3071"]) == 1
    assert "--max-pixels raises the limit" in capsys.readouterr().err
    assert main(["info", str(path), "--max-pixels", "3072"]) == 0
