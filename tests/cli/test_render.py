"""``avis render``: a tracks.json and its clip give the overlay again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_factory import click_times, make_clip, read_number
from writers_examples import boxes_result

from avis_cli.cli.main import main
from avis_cli.media import decode
from avis_cli.media.clip_info import Frame
from avis_cli.results.clip import ClipResult

SIZE = (320, 180)
BOX = (120, 90, 200, 130)  # in the lower half: the numbers above stay readable
CENTRE = (110, 160)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip one.mp4"
    make_clip(path, size=SIZE, fps=10, seconds=2, sample_rate=16000)
    return path


def save(result: ClipResult, folder: Path) -> Path:
    path = folder / "tracks.json"
    path.write_text(result.to_json(), encoding="utf-8")
    return path


def shown(path: Path) -> list[Frame]:
    return list(decode.FrameReader(path, decode.probe(path)))


def colour(frame: Frame) -> np.ndarray:
    y, x = CENTRE
    return frame.image[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1))


def test_the_overlay_has_the_clips_frames_times_and_sound(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks = save(boxes_result(*SIZE, [[None, BOX]], times=(0.0, 1.0), sounding=[(1.0, 2.0)]), tmp_path)
    assert main(["render", str(tracks), str(clip)]) == 0
    overlay = tmp_path / "overlay.mp4"
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (f"{overlay}\n", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["overlay.mp4", "tracks.json"]
    info = decode.probe(overlay)
    assert (info.width, info.height, info.frame_rate) == (*SIZE, Fraction(10))
    plain, drawn = shown(clip), shown(overlay)
    assert [frame.time for frame in drawn] == [frame.time for frame in plain]
    assert [read_number(frame.image) for frame in drawn] == list(range(20))
    changed = [bool(np.abs(colour(a) - colour(b)).max() > 20) for a, b in zip(plain, drawn, strict=True)]
    assert changed == [False] * 10 + [True] * 10
    sound = decode.read_waveform(overlay, info)
    assert click_times(sound.samples, sound.sample_rate) == pytest.approx([0.0, 1.0], abs=0.02)


def test_a_part_of_a_clip_gives_the_overlay_of_that_part(tmp_path: Path, clip: Path) -> None:
    tracks = save(boxes_result(*SIZE, [[BOX, BOX]], times=(0.5, 1.0), sounding=[(0.5, 1.5)]), tmp_path)
    assert main(["render", str(tracks), str(clip), "--output", str(tmp_path / "part.mp4")]) == 0
    assert [read_number(frame.image) for frame in shown(tmp_path / "part.mp4")] == list(range(5, 15))


def test_a_clip_without_sound_and_a_result_without_tracks(tmp_path: Path) -> None:
    make_clip(tmp_path / "silent.mp4", size=SIZE, fps=10, seconds=1, audio=None)
    tracks = save(boxes_result(*SIZE, [], times=(0.0,)), tmp_path)
    assert main(["render", str(tracks), str(tmp_path / "silent.mp4")]) == 0
    assert decode.probe(tmp_path / "overlay.mp4").audio is None
    assert [read_number(frame.image) for frame in shown(tmp_path / "overlay.mp4")] == list(range(10))


def test_a_clip_of_another_size_is_refused(tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracks = save(boxes_result(180, 320, [[(0, 0, 9, 9)]]), tmp_path)
    assert main(["render", str(tracks), str(clip)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "tracks.json: its masks are 180x320 pixels" in captured.err
    assert "320x180" in captured.err
    assert captured.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tracks.json"]


def test_an_existing_overlay_is_refused_and_replaced_on_demand(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks = save(boxes_result(*SIZE, [[BOX]], times=(0.0,)), tmp_path)
    (tmp_path / "overlay.mp4").write_text("mine")
    assert main(["render", str(tracks), str(clip)]) == 1
    assert "overlay.mp4: is already there; --overwrite" in capsys.readouterr().err
    assert (tmp_path / "overlay.mp4").read_text() == "mine"
    assert main(["render", str(tracks), str(clip), "--overwrite", "--quiet"]) == 0
    assert len(shown(tmp_path / "overlay.mp4")) == 10


@pytest.mark.parametrize("command", [["render"], ["export", "--to", "cvat"], ["export", "--to", "matte"]])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("times[0]", 1e15),
        ("source.duration", 10**400),
        ("tracks[0].sounding[0][1]", 1e300),
        ("model.mask_fps", 1e-300),
    ],
    ids=["time", "duration", "span", "rate"],
)
def test_times_that_no_clock_has_are_named(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str], command: list[str], path: str, value: float
) -> None:
    tracks = save(boxes_result(*SIZE, [[BOX]], times=(0.0,)), tmp_path)
    place = document = json.loads(tracks.read_text())
    *parents, last = [int(key) if key.isdigit() else key for key in re.findall(r"\w+", path)]
    for key in parents:
        place = place[key]
    place[last] = value
    tracks.write_text(json.dumps(document))
    video = [str(clip)] if command == ["render"] else ["--video", str(clip)] if "matte" in command else []
    assert main([command[0], str(tracks), *command[1:], *video]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"avis: {tracks}: {path} is ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("name", ["tracks.json", "clip.mp4"])
def test_an_input_is_never_the_output(tmp_path: Path, clip: Path, name: str) -> None:
    tracks = save(boxes_result(*SIZE, [[BOX]]), tmp_path)
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(clip.read_bytes())
    before = (tmp_path / name).read_bytes()
    assert main(["render", str(tracks), str(copy), "-o", str(tmp_path / name), "--overwrite"]) == 2
    assert (tmp_path / name).read_bytes() == before


def test_a_broken_tracking_file_is_refused_by_field(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = boxes_result(*SIZE, [[BOX]]).to_dict()
    document["tracks"][0]["segmentations"][0]["counts"] = "0" * 50
    (tmp_path / "tracks.json").write_text(json.dumps(document))
    assert main(["render", str(tmp_path / "tracks.json"), str(clip)]) == 1
    assert "tracks.json: tracks[0].segmentations[0]" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tracks.json"]


def test_files_that_are_not_there(tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", str(tmp_path / "none.json"), str(clip)]) == 1
    assert "none.json: no such file" in capsys.readouterr().err
    tracks = save(boxes_result(*SIZE, [[BOX]]), tmp_path)
    assert main(["render", str(tracks), str(tmp_path / "none.mp4")]) == 1
    assert "none.mp4" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tracks.json"]


def test_rendering_needs_neither_the_network_nor_the_model(tmp_path: Path, clip: Path) -> None:
    tracks = save(boxes_result(*SIZE, [[BOX]]), tmp_path)
    code = (
        "import socket, sys\n"
        "def no_network(*_): raise OSError('no network')\n"
        "socket.socket.connect = no_network\n"
        "from avis_cli.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "assert not {'torch', 'huggingface_hub'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "render", str(tracks), str(clip)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'overlay.mp4'}\n"), done.stderr


def render(tracks: Path, clip: Path, *options: str) -> int:
    return main(["render", str(tracks), str(clip), "--overwrite", *options])


def test_the_options_say_how_it_is_drawn(tmp_path: Path, clip: Path) -> None:
    tracks = save(boxes_result(*SIZE, [[BOX]], sounding=[(0.0, 2.0)]), tmp_path)
    overlay = tmp_path / "overlay.mp4"
    plain = shown(clip)[5]
    assert render(tracks, clip, "--style", "outline", "--no-labels", "--strip", "none", "--palette", "white") == 0
    drawn = shown(overlay)[5]
    assert np.abs(colour(drawn) - colour(plain)).max() < 6
    assert drawn.image[110, BOX[0] - 1 : BOX[0] + 2].min(axis=1).max() > 180  # the white line
    assert np.abs(drawn.image[140:].astype(int) - plain.image[140:]).mean() < 3
    assert render(tracks, clip, "--alpha", "1", "--palette", "ff0000,00ff00") == 0
    drawn = shown(overlay)[5]
    assert colour(drawn) == pytest.approx([255, 0, 0], abs=25)
    assert np.abs(drawn.image[150:].astype(int) - plain.image[150:]).mean() > 20  # the strip


def test_a_strip_below_makes_the_video_taller_and_covers_nothing(tmp_path: Path, clip: Path) -> None:
    tracks = save(boxes_result(*SIZE, [[BOX]], sounding=[(0.0, 2.0)]), tmp_path)
    assert render(tracks, clip, "--strip", "below", "--style", "outline", "--alpha", "0", "--no-labels") == 0
    plain, drawn = shown(clip), shown(tmp_path / "overlay.mp4")
    assert [frame.time for frame in drawn] == [frame.time for frame in plain[:10]]
    height = drawn[5].image.shape[0]
    assert height % 2 == 0
    assert SIZE[1] + 10 < height <= 1.4 * SIZE[1]
    assert np.abs(drawn[5].image[: SIZE[1]].astype(int) - plain[5].image).mean() < 3
    assert drawn[5].image[SIZE[1] + 2 :].mean() < 110


@pytest.mark.parametrize("style", ["blur-background", "spotlight", "mute"])
def test_a_style_changes_the_background_and_not_the_object(tmp_path: Path, clip: Path, style: str) -> None:
    tracks = save(boxes_result(*SIZE, [[BOX]], sounding=[(0.0, 2.0)]), tmp_path)
    assert render(tracks, clip, "--style", style, "--strip", "none", "--no-labels") == 0
    plain, drawn = shown(clip)[5], shown(tmp_path / "overlay.mp4")[5]
    assert np.abs(colour(drawn) - colour(plain)).max() < 12
    assert np.abs(drawn.image[:60].astype(int) - plain.image[:60]).mean() > 4  # of the codec: under 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--style", "glow"], "glow"),
        (["--alpha", "1.5"], "--alpha 1.5, expected a number from 0 to 1"),
        (["--alpha", "-1"], "--alpha -1"),
        (["--alpha", "nan"], "--alpha nan"),
        (["--palette", "rainbow"], "--palette 'rainbow'"),
    ],
)
def test_drawing_options_that_mean_nothing_are_refused(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    tracks = save(boxes_result(*SIZE, [[BOX]]), tmp_path)
    assert render(tracks, clip, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tracks.json"]
