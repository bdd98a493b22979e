"""What becomes of a stream's frames: lines of JSON, pictures with masks, a recording."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_examples import listening_model, live_file, picture, tone

from avis_cli.errors import OutputError
from avis_cli.live.json_lines import JsonLines, event_line, frame_line, polygons
from avis_cli.live.painter import live_style, paint
from avis_cli.live.recording import Recorder
from avis_cli.options import SegmentOptions
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult
from avis_cli.results.frame import FrameResult, FrameTrack, Latency
from avis_cli.stream import Stream, StreamEvent, StreamOptions
from avis_cli.writers.style import DrawStyle, palette


def square(height: int = 40, width: int = 60) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[10:20, 5:30] = True
    return mask


def result(**changes: Any) -> FrameResult:
    values: dict[str, Any] = {"mask": run_length.encode(square()), **changes}
    tracks = (FrameTrack(3, 2, "drum", 0.5, True, **values), FrameTrack(4, 1, "bell", 0.25, False))
    return FrameResult(1.5, tracks, 9, Latency(1, 2, 3, 6), 1.7e9, 2)


def test_a_line_is_read_back_as_the_frame() -> None:
    line = frame_line(result())
    assert "\n" not in line
    assert line.isascii()
    assert FrameResult.from_json(line) == result()


def test_masks_are_run_lengths_outlines_or_nothing() -> None:
    assert json.loads(frame_line(result()))["tracks"][0]["rle"] == result().tracks[0].mask
    none = json.loads(frame_line(result(), "none"))["tracks"]
    assert "rle" not in none[0]
    assert none[0]["box"] == [5, 10, 25, 10]
    outlined = json.loads(frame_line(result(), "polygon"))["tracks"]
    assert "rle" not in outlined[0]
    ((*points,),) = outlined[0]["polygon"]
    assert sorted(zip(points[::2], points[1::2], strict=True)) == [(5, 10), (5, 19), (29, 10), (29, 19)]
    assert outlined[1]["polygon"] is None


def test_each_piece_of_a_mask_has_an_outline() -> None:
    mask = square()
    mask[35, 50] = True
    assert sorted(map(len, polygons(run_length.encode(mask)))) == [2, 8]


def test_events_are_lines_with_their_values() -> None:
    out = io.StringIO()
    lines = JsonLines(out, "none")
    lines.event(StreamEvent("gap", 2.5, {"cause": "it broke \n off"}))
    lines.frame(result())
    first, second = out.getvalue().splitlines()
    assert json.loads(first) == {"v": 1, "event": "gap", "t": 2.5, "cause": "it broke \n off"}
    assert json.loads(second)["frame"] == 9
    assert event_line(StreamEvent("eof", 1.0)) == '{"v":1,"event":"eof","t":1.0}'


def test_a_number_that_is_none_is_no_json() -> None:
    with pytest.raises(ValueError, match=r"nan|JSON"):
        frame_line(FrameResult(float("nan"), ()))


def test_the_mask_is_painted_and_the_rest_left() -> None:
    image = np.full((40, 60, 3), 100, np.uint8)
    style = live_style(DrawStyle(labels=False))
    painted = paint(image, result(), style)
    assert painted.shape == image.shape
    changed = (painted != image).any(2)
    assert changed[square()].all()
    assert not changed[30:, 40:].any()
    inside = painted[15, 15].astype(int) - 100
    assert np.sign(inside).tolist() == np.sign(np.array(palette().colour(3)) - 100).tolist()
    assert (image == 100).all(), "the picture itself stays"
    assert (paint(image, result(mask=None), style) == image).all()


def test_a_stream_has_no_timeline_below() -> None:
    assert live_style(DrawStyle(strip="below")).strip == "none"


def recorded(folder: Path, source: Path, **settings: Any) -> tuple[list[FrameResult], Path | None]:
    frames = []
    options = SegmentOptions(only=("overlay", "masks", "tracks", "report"))
    with Stream(str(source), listening_model(), StreamOptions(**settings)) as live:
        recorder = Recorder(folder, live, options, on_failure=lambda error: pytest.fail(str(error)))
        for frame in live.frames():
            recorder.frame(frame)
            frames.append(frame.result)
        made = recorder.finish()
    return frames, made


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return live_file(tmp_path / "clip.mkv", seconds=5.0, samples=tone(1, 3, 5), format="matroska")


def test_a_recording_is_what_segment_writes_and_says_what_was_told(tmp_path: Path, clip: Path) -> None:
    frames, made = recorded(tmp_path / "out", clip)
    assert made == tmp_path / "out"
    names = {path.name for path in made.iterdir()}
    assert {"recording.mp4", "overlay.mp4", "tracks.json", "report.html", "masks"} <= names
    kept = ClipResult.read(made / "tracks.json")
    assert len(kept.times) == len(frames) == 50
    assert kept.times == pytest.approx([frame.time for frame in frames], abs=1e-4)
    (track,) = kept.tracks
    assert track.label == "bell"
    (span,) = track.sounding
    assert span == pytest.approx((2.0, 4.0), abs=0.11)
    for frame, mask in zip(frames, track.masks, strict=True):
        told = next((one.mask for one in frame.tracks if one.mask is not None), None)
        assert mask == told
    assert len(list((made / "masks").iterdir())) == 50


def test_sizes_that_change_are_brought_to_the_first(tmp_path: Path) -> None:
    from live_examples import write_live

    parts = []
    for size, shift in (((64, 48), 0.0), ((96, 64), 2.0)):
        held = io.BytesIO()
        write_live(held, seconds=2.0, size=size, samples=tone(0, 2, 2), shift=shift)
        parts.append(held.getvalue())
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    _, made = recorded(tmp_path / "out", tmp_path / "both.ts")
    assert made is not None
    kept = ClipResult.read(made / "tracks.json")
    sizes = {tuple(mask["size"]) for track in kept.tracks for mask in track.masks if mask is not None}
    assert sizes == {(48, 64)}


def test_a_recording_that_is_thrown_away_leaves_nothing(tmp_path: Path, clip: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    with Stream(str(clip), listening_model(), StreamOptions()) as live:
        recorder = Recorder(tmp_path / "out", live, SegmentOptions(), on_failure=lambda error: None)
        for number, frame in enumerate(live.frames()):
            recorder.frame(frame)
            if number == 20:
                break
        recorder.discard()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_results_that_are_there_are_not_replaced_unasked(tmp_path: Path, clip: Path) -> None:
    recorded(tmp_path / "out", clip, duration=1.0)
    with Stream(str(clip), listening_model(), StreamOptions()) as live:
        with pytest.raises(OutputError, match="results are already there"):
            Recorder(tmp_path / "out", live, SegmentOptions(), on_failure=lambda error: None)
        Recorder(tmp_path / "out", live, SegmentOptions(), overwrite=True, on_failure=lambda error: None)


def test_what_was_recorded_until_the_disk_was_full_is_kept(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avis_cli.media.live_encode import LiveEncoder

    write, count = LiveEncoder.write, [0]
    told: list[OutputError] = []

    def filling(self: LiveEncoder, *given: Any) -> None:
        count[0] += 1
        if count[0] > 25:
            raise OutputError("cannot be written (No space left on device)")
        write(self, *given)

    monkeypatch.setattr(LiveEncoder, "write", filling)
    with Stream(str(clip), listening_model(), StreamOptions()) as live:
        recorder = Recorder(tmp_path / "out", live, SegmentOptions(), on_failure=told.append)
        for frame in live.frames():
            recorder.frame(frame)
        made = recorder.finish()
    assert len(told) == 1
    assert made is not None
    assert len(ClipResult.read(made / "tracks.json").times) == 25


def test_without_a_frame_there_is_no_recording(tmp_path: Path, clip: Path) -> None:
    with Stream(str(clip), listening_model(), StreamOptions()) as live:
        recorder = Recorder(tmp_path / "out", live, SegmentOptions(), on_failure=lambda error: None)
        assert recorder.finish() is None
    assert not (tmp_path / "out").exists()


def test_pictures_are_those_of_the_source(clip: Path) -> None:
    with Stream(str(clip), listening_model(), StreamOptions(duration=0.2)) as live:
        images = [frame.image for frame in live.frames()]
    assert np.abs(images[1].astype(int) - picture(1, (64, 48))).mean() < 6
