"""``avis segment``: what it writes, what it prints, what it refuses to replace and how it ends."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import make_clip, turn
from PIL import Image

import avis_cli
from avis_cli.cli.main import main
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult

pipeline = importlib.import_module("avis_cli.segment")  # the attribute of the package is the function

Run = Callable[..., tuple[int, str, str]]

SIZE = (64, 48)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, size=SIZE, fps=5, seconds=2, audio="tone")
    return path


@pytest.fixture
def run(tiny_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs ``avis segment`` on the random network into tmp_path/out; gives exit code, stdout and stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        options = ["-o", tmp_path / "out", "--model", tiny_weights, "--threshold", "0.05", "--mask-fps", "1"]
        code = main(["segment", *map(str, [*options, *arguments])])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def tree(folder: Path) -> dict[str, str]:
    """Relative path -> hash of every file below a folder, hidden ones too."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def tracks_of(folder: Path) -> ClipResult:
    return ClipResult.from_json((folder / "tracks.json").read_text(encoding="utf-8"))


def test_writes_overlay_masks_and_tracks_and_prints_their_folder(run: Run, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "clip.mp4"
    code, printed, err = run(clip, "--no-gate")
    assert (code, printed) == (0, f"{target}\n")
    assert re.fullmatch(r"avis: \d+ objects: \w+ \d+ %, 0\.0-2\.0 s; .*; and \d+ more\n", err)
    names = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert names == {"overlay.mp4", "tracks.json", "report.html", "masks/000000.png", "masks/000001.png", ".avis.json"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip.mp4"]


def test_tracks_json_is_version_1_of_the_format(run: Run, clip: Path, tmp_path: Path, tiny_weights: Path) -> None:
    assert run(clip, "--no-gate", "--only", "tracks")[0] == 0
    text = (tmp_path / "out" / "clip.mp4" / "tracks.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["format"] == "avis-tracks"
    assert document["version"] == 1
    assert document["tool"] == f"avis-cli {avis_cli.__version__}"
    assert document["source"] == {
        "file": "clip.mp4", "width": 64, "height": 48, "rotation": 0, "duration": 2.0, "frame_rate": "5/1",
        "audio": {"sample_rate": 48000, "channels": 1}, "decode_failures": 0,
    }  # fmt: skip
    assert document["model"] == {
        "name": str(tiny_weights), "preset": "avism-tiny", "threshold": 0.05, "precision": "fp32", "fps": 1.0,
        "mask_fps": 1.0, "weights_sha256": hashlib.sha256(tiny_weights.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert document["categories"][0] == {"id": 1, "name": "bell"}
    assert document["times"] == [0.0, 1.0]
    assert document["tracks"], "the random network was expected to give tracks"
    assert [track["id"] for track in document["tracks"]] == list(range(1, len(document["tracks"]) + 1))
    names = {category["id"]: category["name"] for category in document["categories"]}
    for track in document["tracks"]:
        assert set(track) == {
            "id", "category_id", "category", "score", "segmentations", "bboxes", "areas", "sounding",
        }  # fmt: skip
        assert names[track["category_id"]] == track["category"]
        assert 0.05 < track["score"] <= 1
        assert len(track["segmentations"]) == len(track["bboxes"]) == len(track["areas"]) == 2
        assert all(mask is None or mask["size"] == [48, 64] for mask in track["segmentations"])
        assert all(0 <= first < last <= 2 for first, last in track["sounding"])


def test_mask_images_hold_track_ids_and_the_higher_score_wins(run: Run, clip: Path, tmp_path: Path) -> None:
    assert run(clip, "--no-gate", "--only", "tracks,masks")[0] == 0
    folder = tmp_path / "out" / "clip.mp4"
    result = tracks_of(folder)
    assert len(result.tracks) > 1
    for index in range(2):
        image = Image.open(folder / "masks" / f"{index:06d}.png")
        expected = np.zeros((48, 64), np.uint8)
        for track in reversed(result.tracks):  # in falling score
            mask = track.masks[index]
            if mask is not None:
                expected[run_length.decode(mask)] = track.id
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_the_overlay_keeps_size_timestamps_and_sound(run: Run, tmp_path: Path) -> None:
    times = [Fraction(n, 10) for n in (0, 1, 4, 5, 9, 12)]
    make_clip(tmp_path / "uneven.mp4", size=SIZE, times=times, audio="tone")
    assert run(tmp_path / "uneven.mp4", "--only", "overlay")[0] == 0
    with av.open(str(tmp_path / "out" / "uneven.mp4" / "overlay.mp4")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height) == SIZE
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"]
        assert [frame.pts * video.time_base for frame in container.decode(video)] == times


def test_the_overlay_ends_where_the_user_said(run: Run, clip: Path, tmp_path: Path) -> None:
    assert run(clip, "--start", "0.4", "--end", "0.8", "--only", "overlay")[0] == 0
    with av.open(str(tmp_path / "out" / "clip.mp4" / "overlay.mp4")) as video:
        assert len(list(video.decode(video=0))) == 2


def test_odd_and_turned_pictures_give_upright_masks_and_an_overlay(run: Run, tmp_path: Path) -> None:
    make_clip(tmp_path / "odd.mkv", size=(63, 47), fps=5, seconds=1, codec="ffv1", pix_fmt="bgr0", audio="tone")
    make_clip(tmp_path / "turned.mp4", size=SIZE, fps=5, seconds=1, audio="tone")
    turn(tmp_path / "turned.mp4", (0, 1, -1, 0))
    assert run(tmp_path / "odd.mkv", tmp_path / "turned.mp4")[0] == 0
    for name, size, drawn in (("odd.mkv", (63, 47), (64, 48)), ("turned.mp4", (48, 64), (48, 64))):
        folder = tmp_path / "out" / name
        assert Image.open(folder / "masks" / "000000.png").size == size
        with av.open(str(folder / "overlay.mp4")) as container:
            assert (container.streams.video[0].width, container.streams.video[0].height) == drawn


def test_json_is_one_line_for_each_input(run: Run, clip: Path, tmp_path: Path) -> None:
    make_clip(tmp_path / "other.mp4", size=SIZE, fps=5, seconds=1, audio="tone")
    code, out, err = run(clip, tmp_path / "other.mp4", "--no-gate", "--json", "--only", "tracks", "--quiet")
    assert (code, err) == (0, "")
    first, second = (json.loads(line) for line in out.splitlines())
    tracks = tracks_of(tmp_path / "out" / "clip.mp4").tracks
    assert (first["input"], first["output"]) == (str(clip), str(tmp_path / "out" / "clip.mp4"))
    assert first["skipped"] is False
    assert [track["category"] for track in first["tracks"]] == [track.label for track in tracks]
    assert second["output"] == str(tmp_path / "out" / "other.mp4")


def test_only_chooses_results(run: Run, clip: Path, tmp_path: Path) -> None:
    assert run(clip, "--only", "masks")[0] == 0
    assert set(os.listdir(tmp_path / "out" / "clip.mp4")) == {"masks", ".avis.json"}


def test_zero_tracks_is_a_complete_result(run: Run, clip: Path, tmp_path: Path) -> None:
    assert run(clip, "--threshold", "1", "--no-gate")[0] == 0
    folder = tmp_path / "out" / "clip.mp4"
    assert tracks_of(folder).tracks == ()
    assert not np.asarray(Image.open(folder / "masks" / "000001.png")).any()
    assert (folder / "overlay.mp4").is_file()


def test_settings_reach_the_pipeline(run: Run, clip: Path, tmp_path: Path) -> None:
    def result(*arguments: str) -> ClipResult:
        assert run(clip, "--overwrite", "--only", "tracks", *arguments)[0] == 0
        return tracks_of(tmp_path / "out" / "clip.mp4")

    usual = result("--no-gate")
    assert result("--no-gate", "--start", "0:00:01", "--end", "1.6", "--mask-fps", "5").times == (1.0, 1.2, 1.4)
    assert result("--no-gate", "--mask-fps", "video").times == pytest.approx([n / 5 for n in range(10)])
    assert result("--no-gate", "--fps", "2").model.fps == 2
    assert result("--no-gate", "--precision", "bf16").model.precision == "bf16"
    assert len(result("--no-gate", "--max-tracks", "1").tracks) == 1
    assert result("--no-gate", "--mute").tracks != usual.tracks
    low = sorted(track.score for track in usual.tracks)[0]
    assert len(result("--no-gate", "--threshold", str(low)).tracks) < len(usual.tracks)
    heard = [mask for track in result("--gate").tracks for mask in track.masks if mask is not None]
    assert len(heard) < len([mask for track in usual.tracks for mask in track.masks if mask is not None])


def test_existing_results_are_refused_and_stay_as_they_are(run: Run, clip: Path, tmp_path: Path) -> None:
    assert run(clip)[0] == 0
    before = tree(tmp_path / "out")
    code, out, err = run(clip)
    assert (code, out) == (1, "")
    assert err == (
        f"avis: {tmp_path / 'out' / 'clip.mp4'}: results are already there; "
        "--overwrite replaces them, --skip-existing keeps them\n"
    )
    assert tree(tmp_path / "out") == before


def test_running_again_gives_the_same_bytes(run: Run, clip: Path, tmp_path: Path) -> None:
    assert run(clip, "--no-gate")[0] == 0
    before = tree(tmp_path / "out")
    assert run(clip, "--no-gate", "--overwrite")[0] == 0
    assert tree(tmp_path / "out") == before


def test_skip_existing_skips_only_what_was_made_the_same_way(
    run: Run, clip: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = shutil.copy(clip, tmp_path / "clip.mp4"), tmp_path / "out" / "clip.mp4"
    usual = [source, "--skip-existing", "--fps", "1"]
    assert run(*usual)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "segment", lambda *_, **__: pytest.fail("should have been skipped"))
        assert run(*usual) == (0, f"{target}\n", f"avis: {source}: done before, skipped\n")
        assert run(source, "--skip-existing", "--fps", "1.0", "--quiet") == (0, f"{target}\n", "")
        assert json.loads(run(*usual, "--json")[1]) == {"input": str(source), "output": str(target), "skipped": True}
    for other in (["--fps", "2"], ["--only", "tracks"], ["--threshold", "0.5"], ["--mute"]):
        code, _, err = run(*usual, *other)
        assert (code, "results are already there" in err) == (1, True)
    weights = tmp_path / "other.safetensors"
    weights.write_bytes(tiny_weights.read_bytes().replace(b"random weights", b"others weights"))
    assert run(*usual, "--model", weights)[0] == 1
    assert run(*usual, "--fps", "2", "--overwrite")[0] == 0  # not the same: replaced
    make_clip(tmp_path / "clip.mp4", size=SIZE, fps=5, seconds=1, audio="tone")
    assert run(*usual, "--fps", "2")[0] == 1
    make_clip(tmp_path / "clip.mp4", size=SIZE, fps=5, seconds=2, audio="tone")
    assert run(*usual, "--fps", "2")[0] == 0
    (target / "masks" / "000001.png").unlink()  # no longer complete
    assert run(*usual, "--fps", "2")[0] == 1


def test_a_failed_input_of_several_is_named_and_the_others_are_done(run: Run, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("not a video")
    (tmp_path / "empty").mkdir()
    missing = tmp_path / "missing.mp4"
    code, out, err = run(tmp_path / "notes.mp4", clip, tmp_path / "empty", missing, "--only", "tracks")
    assert (code, out) == (3, f"{tmp_path / 'out' / 'clip.mp4'}\n")
    *lines, head, figures = err.splitlines()
    assert len(lines) == 3
    assert head.split()[1:5] == ["files", "done", "skipped", "failed"]
    assert figures.split()[1:5] == ["4", "1", "0", "3"]
    for line, path in zip(lines, [tmp_path / "empty", tmp_path / "notes.mp4", missing], strict=True):
        assert line.startswith(f"avis: {path}: ")
    assert sorted(os.listdir(tmp_path / "out")) == ["clip.mp4", "run.json"]
    assert run(tmp_path / "notes.mp4", missing)[0] == 1


def test_a_bug_met_by_one_input_does_not_cost_the_others(
    run: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(tmp_path / "cursed.mp4", size=SIZE, fps=5, seconds=1, audio="tone")
    original = pipeline.segment

    def segment(path: Path, *arguments: Any, **settings: Any) -> ClipResult:
        if path.name == "cursed.mp4":
            raise ZeroDivisionError("a bug")
        return original(path, *arguments, **settings)

    monkeypatch.setattr(pipeline, "segment", segment)
    code, out, err = run(tmp_path / "cursed.mp4", clip, "--only", "tracks")
    assert (code, out) == (3, f"{tmp_path / 'out' / 'clip.mp4'}\n")
    assert err.startswith(f"avis: {tmp_path / 'cursed.mp4'}: unexpected failure: ZeroDivisionError: a bug; ")
    assert err.count("\n") == 3  # and the table
    assert sorted(os.listdir(tmp_path / "out")) == ["clip.mp4", "run.json"]


def test_what_every_input_would_meet_ends_the_run_at_once(run: Run, clip: Path, tmp_path: Path) -> None:
    other = shutil.copy(clip, tmp_path / "other.mp4")
    for wrong, expected in ((["--model", "nonesuch"], 2), (["--fps", "5000"], 2)):
        code, out, err = run(clip, other, *wrong)
        assert (code, out) == (expected, "")
        assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_tree_below_a_folder_is_mirrored(run: Run, clip: Path, tmp_path: Path) -> None:
    for place in ("videos/a.mp4", "videos/deep/b.mp4"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, tmp_path / place)
    out = tmp_path / "out"
    assert run(tmp_path / "videos", "--only", "tracks")[:2] == (0, f"{out / 'a.mp4'}\n")
    shutil.rmtree(out)
    code, printed, _ = run("--recursive", tmp_path / "videos", tmp_path / "videos" / "a.mp4", "--only", "tracks")
    assert (code, printed) == (0, f"{out / 'a.mp4'}\n{out / 'deep' / 'b.mp4'}\n")
    assert tracks_of(out / "deep" / "b.mp4").source.file == "b.mp4"


def test_two_inputs_of_one_name_are_both_kept(run: Run, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    make_clip(tmp_path / "b" / "clip.mp4", size=SIZE, fps=5, seconds=1, audio="tone")
    code, out, _ = run(clip, tmp_path / "b" / "clip.mp4", "--only", "tracks")
    folders = [tmp_path / "out" / "clip.mp4", tmp_path / "out" / "clip.mp4.2"]
    assert (code, out.splitlines()) == (0, [str(folder) for folder in folders])
    assert [len(tracks_of(folder).times) for folder in folders] == [2, 1]


@pytest.mark.parametrize("step", ["listening and looking", "drawing masks"])
def test_an_interrupt_leaves_nothing_and_ends_with_130(
    run: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    original = pipeline.segment

    def segment(*arguments: Any, **settings: Any) -> ClipResult:
        def interrupted(phase: str, done: int, total: int | None) -> None:
            if phase == step:
                raise KeyboardInterrupt

        return original(*arguments, **{**settings, "progress": interrupted})

    monkeypatch.setattr(pipeline, "segment", segment)
    assert run(clip) == (130, "", "avis: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_keeps_what_was_done_and_what_was_there(
    run: Run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import avis_cli.writers.overlay

    other = shutil.copy(clip, tmp_path / "other.mp4")
    assert run(other, "--only", "tracks")[0] == 0
    before = tree(tmp_path / "out" / "other.mp4")
    original = avis_cli.writers.overlay.overlay_clip

    def overlay_clip(path: Path, result: Any, clip: Any, *arguments: Any, **settings: Any) -> None:
        original(path, result, clip, *arguments, **settings)
        if os.path.basename(clip.file) == "other.mp4":
            raise KeyboardInterrupt

    monkeypatch.setattr(avis_cli.writers.overlay, "overlay_clip", overlay_clip)
    assert run(clip, other, "--overwrite") == (130, f"{tmp_path / 'out' / 'clip.mp4'}\n", "avis: interrupted\n")
    assert tree(tmp_path / "out" / "other.mp4") == before
    assert sorted(os.listdir(tmp_path / "out")) == ["clip.mp4", "other.mp4", "run.json"]


def test_debug_shows_the_traceback_before_the_line(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "missing.mp4"
    code, out, err = run(missing, "--debug")
    assert (code, out) == (1, "")
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1] == f"avis: {missing}: no such file"
    assert "Traceback" not in run(missing)[2]


def test_quiet_says_nothing_but_errors(run: Run, tmp_path: Path) -> None:
    make_clip(tmp_path / "zeros.mp4", size=SIZE, fps=5, seconds=1, audio="silence")
    source = tmp_path / "zeros.mp4"
    assert f"avis: warning: {source}: the sound is silent" in run(source, "--only", "tracks")[2]
    target = tmp_path / "out" / "zeros.mp4"
    assert run(source, "--only", "tracks", "--overwrite", "--quiet") == (0, f"{target}\n", "")
    assert run(tmp_path / "missing.mp4", "--quiet")[2] != ""


def test_without_a_model_one_line_says_what_the_default_knows(
    tiny_weights: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import dataclasses

    from avis_cli import hub

    found = dataclasses.replace(hub.resolve(tiny_weights), note="avism-tiny: trained on cartoons")
    monkeypatch.setattr(hub, "resolve", lambda *_, **__: found)
    assert main(["segment", str(clip), "-o", str(tmp_path / "out"), "--only", "tracks"]) == 0
    others = "`avis weights list` shows the others and how to get them"
    first, *_ = capfd.readouterr().err.splitlines()
    assert first == f"avis: avism-tiny: trained on cartoons; {others}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument 'INPUT...'; see `avis segment --help`"),
        (["CLIP", "--nonsense"], "--nonsense"),
        (["CLIP", "--threshold", "high"], "--threshold"),
        (["CLIP", "--threshold", "1.5"], "--threshold"),
        (["CLIP", "--threshold", "nan"], "--threshold"),
        (["CLIP", "--max-tracks", "0"], "--max-tracks"),
        (["CLIP", "--max-pixels", "-1"], "--max-pixels"),
        (["CLIP", "--fps", "0"], "--fps '0', expected frames per second"),
        (["CLIP", "--fps", "5000"], "--fps 5000, expected more than 0 and at most 1000"),
        (["CLIP", "--mask-fps", "often"], "--mask-fps 'often', expected"),
        (["CLIP", "--start", "soon"], "--start 'soon', expected seconds"),
        (["CLIP", "--start", "-1"], "--start '-1', expected seconds"),
        (["CLIP", "--start", "2", "--end", "1"], "--start 2 --end 1, expected an end after the start"),
        (["CLIP", "--only", "tracks,poem"], "--only 'poem', expected a list of overlay, masks, tracks"),
        (["CLIP", "--device", "toaster"], "device 'toaster', expected auto, cpu, cuda, cuda:N or mps"),
        (["CLIP", "--device", "cuda:" + "9" * 5000], "9', expected auto, cpu, cuda, cuda:N or mps"),
        (["CLIP", "--device", "cuda:\u0663"], "expected auto, cpu, cuda, cuda:N or mps"),
        (["CLIP", "--device", "cuda:"], "device 'cuda:', expected auto, cpu, cuda, cuda:N or mps"),
        (["CLIP", "--precision", "fp64"], "--precision"),
        (["CLIP", "--audio-track", "7"], "no audio track 7; it has 0: eng, aac"),
        (["CLIP", "--audio-track", "fra"], "no audio track fra"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    run: Run, clip: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, out, err = run(*(clip if argument == "CLIP" else argument for argument in arguments))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("avis: ")
    assert words in err
    assert not (tmp_path / "out").exists()


def test_cuda_that_is_not_there_is_a_usage_error_before_any_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, out, err = run(tmp_path / "never_read.mp4", "--device", "cuda")
    assert (code, out) == (2, "")
    assert err == "avis: asked for a CUDA GPU, but this machine offers none; use --device cpu\n"
