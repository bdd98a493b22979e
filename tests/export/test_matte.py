"""The cut-out video: its transparency as PyAV decodes it, its times, its colours."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from export_examples import dots
from media_factory import make_clip
from writers_examples import boxes_result

from avis_cli.errors import AnnotationError, OutputError, UsageError
from avis_cli.export.export_request import Request
from avis_cli.export.formats import FORMATS, export
from avis_cli.media import alpha, decode
from avis_cli.media.clip_info import Frame
from avis_cli.results.clip import ClipResult

SIZE = (64, 48)
BOX = (8, 8, 40, 40)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, size=SIZE, fps=10, seconds=1)
    return path


def decoded(path: Path) -> tuple[list[Fraction], np.ndarray]:
    """Times in seconds and RGBA pictures (T, H, W, 4), by a decoder that knows of the alpha channel."""
    times, pictures = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert not container.streams.audio
        reader = av.CodecContext.create("libvpx-vp9", "r") if path.suffix == ".webm" else None
        for packet in container.demux(stream):
            found = packet.decode() if reader is None else reader.decode(packet if packet.size else None)
            for frame in found:
                assert frame.format.name.startswith("yuva")
                assert frame.pts is not None
                times.append(frame.pts * Fraction(stream.time_base))
                pictures.append(frame.to_ndarray(format="rgba"))
    return times, np.stack(pictures)


def opaque(box: tuple[int, int, int, int] | None, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros((size[1], size[0]), dtype=bool)
    if box is not None:
        mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@pytest.mark.parametrize("ending", [".mov", ".webm"])
def test_only_what_sounds_is_opaque_and_its_colours_are_the_clips(tmp_path: Path, clip: Path, ending: str) -> None:
    other = (44, 8, 60, 24)
    result = boxes_result(*SIZE, [[BOX, None], [other, other]], times=(0.0, 0.6), sounding=[(0.0, 0.3), (0.5, 0.9)])
    path = tmp_path / f"out{ending}"
    export(path, result, FORMATS["matte"], Request(clip))
    times, pictures = decoded(path)
    assert times == [Fraction(n, 10) for n in range(10)]
    # one mask frame stays on screen until the next, and shows only while its track sounds
    shown = [(BOX, other)] * 3 + [(None, None)] * 2 + [(BOX, other)] + [(None, other)] * 3 + [(None, None)]
    for picture, boxes in zip(pictures, shown, strict=True):
        expected = opaque(boxes[0]) | opaque(boxes[1])
        wrong = np.abs(picture[..., 3].astype(int) - 255 * expected) > 40
        assert wrong.mean() < 0.005
    source = [frame.image for frame in decode.FrameReader(clip, decode.probe(clip))]
    inside = opaque((12, 12, 36, 36))
    assert np.abs(pictures[0][..., :3].astype(int) - source[0])[inside].mean() < 12
    assert pictures[4][..., :3].mean() < 4  # black, so that nothing of the rest is in the file


@pytest.mark.parametrize(("ending", "tick"), [(".mov", Fraction(0)), (".webm", Fraction(1, 2000))])
def test_times_of_a_variable_rate_and_odd_sizes(tmp_path: Path, ending: str, tick: Fraction) -> None:
    times = [Fraction(0), Fraction(1, 30), Fraction(1, 10), Fraction(1, 3), Fraction(2, 3)]
    make_clip(tmp_path / "clip.mp4", size=(63, 47), times=times, audio=None, pix_fmt="yuv444p")
    result = boxes_result(63, 47, [[(0, 0, 63, 47)]], times=(0.0,), sounding=[(0.0, 5.0)])
    result = dataclasses.replace(result, model=dataclasses.replace(result.model, mask_fps="video"))
    export(tmp_path / f"out{ending}", result, FORMATS["matte"], Request(tmp_path / "clip.mp4"))
    found, pictures = decoded(tmp_path / f"out{ending}")
    assert max(abs(a - b) for a, b in zip(found, times, strict=True)) <= tick
    assert pictures.shape == (5, 47, 63, 4)
    assert pictures[..., 3].min() > 250


def test_a_part_of_a_clip_gives_the_matte_of_that_part(tmp_path: Path, clip: Path) -> None:
    result = boxes_result(*SIZE, [[BOX, BOX]], times=(0.3, 0.5), sounding=[(0.3, 0.7)])
    export(tmp_path / "out.mov", result, FORMATS["matte"], Request(clip))
    times, pictures = decoded(tmp_path / "out.mov")
    assert times == [Fraction(n, 10) for n in range(4)]
    assert (pictures[:, 20, 20, 3] > 250).all()


@pytest.mark.parametrize("count", [0, 255])
def test_any_number_of_tracks(tmp_path: Path, count: int) -> None:
    make_clip(tmp_path / "clip.mp4", size=(20, 20), fps=5, seconds=1, audio=None)
    export(tmp_path / "out.mov", dots(count), FORMATS["matte"], Request(tmp_path / "clip.mp4"))
    _, pictures = decoded(tmp_path / "out.mov")
    seen = (pictures[0, ..., 3] > 127).ravel()
    assert seen.tolist() == [True] * count + [False] * (400 - count)


def test_equal_pictures_are_equal_in_the_file_whatever_their_width(tmp_path: Path, clip: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 854, 3), dtype=np.uint8)
    frames = [Frame(noise, Fraction(n, 10), n) for n in range(12)]
    path = tmp_path / "out.mov"
    alpha.write_video_with_alpha(path, frames, lambda frame: frame.image[..., 0], decode.probe(clip))
    with av.open(str(path)) as container:
        assert len({bytes(packet) for packet in container.demux(video=0) if packet.size}) == 1


def failing(result: ClipResult, clip: Path | None, path: Path) -> None:
    export(path, result, FORMATS["matte"], Request(clip))


def test_what_cannot_be_cut_out_is_refused_and_leaves_nothing(tmp_path: Path, clip: Path) -> None:
    good = boxes_result(*SIZE, [[BOX]])
    with pytest.raises(UsageError, match=r"'\.mp4' names no video with transparency, expected \.mov or \.webm"):
        failing(good, clip, tmp_path / "out.mp4")
    with pytest.raises(UsageError, match="--video"):
        failing(good, None, tmp_path / "out.mov")
    with pytest.raises(AnnotationError, match="no mask frame"):
        failing(boxes_result(*SIZE, [], times=()), clip, tmp_path / "out.mov")
    with pytest.raises(AnnotationError, match="masks are 48x64 pixels"):
        failing(boxes_result(48, 64, [[BOX]]), clip, tmp_path / "out.mov")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_encoder_is_named(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert alpha.missing_encoders() == []
    monkeypatch.setattr(alpha, "missing_encoders", lambda: ["prores_ks"])
    with pytest.raises(OutputError, match="cannot encode prores_ks"):
        failing(boxes_result(*SIZE, [[BOX]]), clip, tmp_path / "out.mov")
    assert list(tmp_path.iterdir()) == []
