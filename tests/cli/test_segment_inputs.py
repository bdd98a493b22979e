"""What else than video files ``avis segment`` takes: folders of pictures, standard input; and addresses, which it does
not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import make_clip, numbered_image, read_number
from PIL import Image

import avis_cli
from avis_cli.cli.main import main
from avis_cli.results.clip import ClipResult

Run = Callable[..., tuple[int, str, str]]
SIZE = (64, 48)
PLAIN = ("--no-labels", "--strip", "none", "--style", "outline")  # numbers in the pictures stay readable
COUNT, RATE = 12, 5
COMMON = ("--threshold", "0.05", "--mask-fps", "1", "--max-tracks", "2", "--no-gate")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip.mp4, sound.mp4 and a folder ``frames`` of pictures."""
    folder = tmp_path_factory.mktemp("material")
    make_clip(folder / "clip.mp4", size=SIZE, fps=RATE, seconds=2, audio="tone")
    make_clip(folder / "sound.mp4", size=SIZE, fps=RATE, seconds=3, sample_rate=44100, audio="clicks")
    (folder / "frames").mkdir()
    for number in range(COUNT):
        Image.fromarray(numbered_image(number, SIZE)).save(folder / "frames" / f"f{number}.png")
    return folder


@pytest.fixture
def run(tiny_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(
            ["segment", *COMMON, "-o", str(tmp_path / "out"), "--model", str(tiny_weights), *map(str, arguments)]
        )
        out, err = capfd.readouterr()
        return code, out, err

    return call


def one_line(found: tuple[int, str, str], code: int) -> str:
    assert (found[0], found[1], found[2].count("\n")) == (code, "", 1), found
    return found[2]


def shown(overlay: Path) -> list[tuple[int, float]]:
    with av.open(str(overlay)) as container:
        return [(read_number(f.to_ndarray(format="rgb24")), float(f.time or 0)) for f in container.decode(video=0)]


def test_a_folder_of_pictures_is_a_clip_with_all_results(run: Run, material: Path, tmp_path: Path) -> None:
    code, out, err = run(material / "frames", "--frame-rate", RATE, "--audio", material / "sound.mp4", *PLAIN)
    folder = tmp_path / "out" / "frames"
    assert (code, out) == (0, f"{folder}\n"), err
    assert err.startswith("avis: 2 objects")  # a clip by itself: no table, no record
    assert sorted(os.listdir(folder)) == [".avis.json", "masks", "overlay.mp4", "report.html", "tracks.json"]
    assert os.listdir(tmp_path / "out") == ["frames"]
    document = json.loads((folder / "tracks.json").read_text())
    assert document["source"] == {
        "file": "frames", "width": 64, "height": 48, "rotation": 0, "duration": 2.4, "frame_rate": "5/1",
        "audio": {"sample_rate": 44100, "channels": 1}, "decode_failures": 0,
    }  # fmt: skip
    assert (document["options"]["frame_rate"], document["options"]["audio"]) == ("5", str(material / "sound.mp4"))
    assert document["times"] == [0.0, 1.0, 2.0]
    assert shown(folder / "overlay.mp4") == [(n, pytest.approx(n / RATE)) for n in range(COUNT)]
    with av.open(str(folder / "overlay.mp4")) as container:
        (sound,) = container.streams.audio
        assert sound.codec_context.sample_rate == 44100
    assert "frames/f0.png" not in (folder / "report.html").read_text()
    # from Python the same
    result = avis_cli.segment(
        material / "frames", document["model"]["name"], threshold=0.05, mask_fps=1, max_tracks=2, gate=False,
        frame_rate=RATE,
        audio=material / "sound.mp4",
    )  # fmt: skip
    assert result.to_json() == ClipResult.read(folder / "tracks.json").to_json()


def test_pictures_and_their_sound_are_what_is_seen_and_heard(run: Run, material: Path, tmp_path: Path) -> None:
    """The same frames and sound in a video give the same tracks."""
    made = tmp_path / "made.mkv"
    frames = [numbered_image(n, SIZE) for n in range(COUNT)]
    seconds = COUNT / RATE
    time = np.arange(round(seconds * 16000)) / 16000
    wave = (0.4 * np.sin(2 * np.pi * 440 * time * (time % 1 < 0.5))).astype(np.float32)[None]
    make_clip(made, size=SIZE, fps=RATE, seconds=seconds, audio=wave, sample_rate=16000, codec="ffv1",
              pix_fmt="bgr0", audio_codec="flac", image=lambda n, _: frames[n])  # fmt: skip
    assert run(made, "--only", "tracks")[0] == 0
    assert run(material / "frames", "--frame-rate", RATE, "--audio", made, "--only", "tracks")[0] == 0
    assert run(made, "--audio", material / "sound.mp4", "--only", "tracks", "-o", tmp_path / "other")[0] == 0

    def tracks(*place: str) -> object:
        return json.loads(tmp_path.joinpath(*place, "tracks.json").read_text())["tracks"]

    assert tracks("out", "frames") == tracks("out", "made.mkv")
    assert tracks("other", "made.mkv") != tracks("out", "made.mkv")


def test_what_was_made_from_pictures_can_be_drawn_and_exported_again(
    run: Run, material: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frames = material / "frames"
    assert run(frames, "--frame-rate", RATE, "--allow-silent", "--only", "tracks")[0] == 0
    tracks = tmp_path / "out" / "frames" / "tracks.json"
    assert main(["render", str(tracks), str(frames), "-o", str(tmp_path / "again.mp4"), *PLAIN]) == 0
    assert shown(tmp_path / "again.mp4") == [(n, pytest.approx(n / RATE)) for n in range(COUNT)]
    for video in (frames, material):
        target = tmp_path / f"{video.name}.coco"
        assert main(["export", str(tracks), "--to", "coco", "--video", str(video), "-o", str(target)]) == 0
        images = sorted((target / "images").iterdir())
        assert [read_number(np.asarray(Image.open(image))) for image in images] == [0, 5, 10]
    capfd.readouterr()


def test_results_of_pictures_are_skipped_until_one_changes(run: Run, material: Path, tmp_path: Path) -> None:
    frames, sound = tmp_path / "frames", tmp_path / "sound.mp4"
    frames.mkdir()
    for number in range(6):
        Image.fromarray(numbered_image(number, SIZE)).save(frames / f"{number}.png")
    make_clip(sound, size=SIZE, fps=RATE, seconds=2, audio="tone")
    usual = ("--skip-existing", "--only", "tracks", "--frame-rate", RATE, "--audio", sound)
    assert "done before" not in run(frames, *usual)[2]
    assert "done before, skipped" in run(frames, *usual)[2]
    for change in (
        lambda: Image.fromarray(numbered_image(9, SIZE)).save(frames / "5.png"),
        lambda: (frames / "5.png").rename(frames / "6.png"),
        lambda: make_clip(sound, size=SIZE, fps=RATE, seconds=2, audio="silence"),
    ):
        change()
        assert "results are already there" in one_line(run(frames, *usual), 1)
        assert run(frames, *usual, "--overwrite")[0] == 0
        assert "done before, skipped" in run(frames, *usual)[2]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["frames"], 2, "frames: a folder of pictures without a frame rate; --frame-rate N (pictures a second) takes"),
        (["frames", "--frame-rate", "5"], 1, "frames: no audio stream: cannot tell what sounds; give the sound with"),
        (["clip.mp4", "--frame-rate", "5"], 2, "clip.mp4: --frame-rate with a file; it is for folders of pictures"),
        ([".", "--frame-rate", "5"], 2, "a folder that holds a video (clip.mp4); leave out --frame-rate"),
        (["clip.mp4", "sound.mp4", "--audio", "sound.mp4"], 2, "--audio with 2 inputs; one file is the sound of one"),
        (["frames", "--frame-rate", "5", "--audio", "none.wav"], 1, "none.wav: no such file"),
        (["-", "clip.mp4"], 2, "- with other inputs; standard input is one clip by itself"),
        (["https://example.org/a b/clip.mp4?x=1"], 2, "download it first: curl -L -o clip.mp4 'https://example.org/a"),
        (["https://example.org/"], 2, "download it first: curl -L -o clip.mp4 'https://example.org'"),
        (["HTTP://example.org/x.mov"], 2, "HTTP://example.org/x.mov: an address on the network, not a file"),
        (["rtsp://camera/1"], 2, "rtsp://camera/1: an address on the network, not a file; download it first"),
        (["clip.mp4", "--audio", "https://example.org/x.wav"], 2, "curl -L -o x.wav 'https://example.org/x.wav'"),
        (["clip.mp4", "--model", "https://example.org/x.safetensors"], 2, "curl -L -o x.safetensors 'https://"),
        (["a:b.mp4"], 1, "a:b.mp4: no such file"),
        (["c:/clip.mp4"], 1, "c:/clip.mp4: no such file"),
    ],
)
def test_what_cannot_be_an_input_is_told(
    run: Run,
    material: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(material)
    assert words in one_line(run(*arguments), code)
    assert not (tmp_path / "out").exists()


def test_folders_of_pictures_below_a_folder(run: Run, material: Path, tmp_path: Path) -> None:
    for name in ("set/a/x", "set/b"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(6):
            (tmp_path / name / f"{number}.png").write_bytes((material / "frames" / f"f{number}.png").read_bytes())
    code, out, _ = run(tmp_path / "set", "-r", "--frame-rate", RATE, "--allow-silent", "--only", "tracks")
    assert code == 0
    assert out.splitlines() == [str(tmp_path / "out" / "set" / name) for name in ("a/x", "b")]
    assert (tmp_path / "out" / "run.json").exists()


def test_pictures_beside_videos_are_no_clips(run: Run, material: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "clip.mp4").write_bytes((material / "clip.mp4").read_bytes())
    (tmp_path / "in" / "cover.png").write_bytes((material / "frames" / "f0.png").read_bytes())
    code, out, _ = run(tmp_path / "in", "--only", "tracks")
    assert (code, out) == (0, f"{tmp_path / 'out' / 'clip.mp4'}\n")


def piped(tmp_path: Path, tiny_weights: Path, data: bytes | None, *more: str) -> subprocess.CompletedProcess[bytes]:
    spool = tmp_path / "spool"
    spool.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "avis_cli", "segment", "-", *COMMON, "-o", str(tmp_path / "out")]
    command += ["--model", str(tiny_weights), *more]
    how: dict[str, Any] = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=120, env={**os.environ, "TMPDIR": str(spool)}, **how
    )
    assert os.listdir(spool) == []  # whatever became of it
    return done


def test_a_clip_on_standard_input(tmp_path: Path, tiny_weights: Path, material: Path, run: Run) -> None:
    done = piped(tmp_path, tiny_weights, (material / "clip.mp4").read_bytes(), "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["input"], summary["output"]) == ("stdin", str(tmp_path / "out" / "stdin"))
    folder = tmp_path / "out" / "stdin"
    assert sorted(os.listdir(folder)) == [".avis.json", "masks", "overlay.mp4", "report.html", "tracks.json"]
    document = json.loads((folder / "tracks.json").read_text())
    assert document["source"]["file"] == "stdin"
    assert str(tmp_path / "spool") not in (folder / "report.html").read_text()
    assert run(material / "clip.mp4", "--only", "tracks")[0] == 0
    from_file = json.loads((tmp_path / "out" / "clip.mp4" / "tracks.json").read_text())
    assert document["tracks"] == from_file["tracks"]


@pytest.mark.parametrize(
    ("data", "words"), [(None, "stdin: the file is empty"), (b"a poem\n" * 99, "stdin: looks like")]
)
def test_standard_input_that_is_no_clip(tmp_path: Path, tiny_weights: Path, data: bytes | None, words: str) -> None:
    done = piped(tmp_path, tiny_weights, data)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
    assert done.stderr.decode().startswith(f"avis: {words}")
    assert not (tmp_path / "out").exists()


def test_nobody_types_a_video(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        buffer, closed = None, False

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda *_, **__: pytest.fail("nothing is kept"))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(terminal, "buffer", object(), raising=False)
    line = one_line(run("-"), 2)
    assert line == "avis: nothing on standard input: it is a terminal; cat clip.mp4 | avis segment -\n"
    monkeypatch.setattr(sys, "stdin", None)
    assert "nothing on standard input: it is closed" in one_line(run("-"), 2)
