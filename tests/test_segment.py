"""The pipeline: which frames are looked at, that windows and passes change nothing, what gates and limits do."""

from __future__ import annotations

import dataclasses
import importlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import media_factory
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

import avis_cli
import avis_cli.inference.clip_frames
from avis_cli.errors import MediaError, UsageError
from avis_cli.inference import clean_masks, mask_frames
from avis_cli.inference.clip_frames import Sampling, network_size
from avis_cli.media import decode
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult

pipeline = importlib.import_module("avis_cli.segment")  # the attribute of the package is the function

THRESHOLD = 0.05  # random weights score low


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "numbers.mp4"
    media_factory.make_clip(path, size=(160, 96), fps=10, seconds=6, audio="tone")
    return path


def run(path: Path, model: Any, **settings: Any) -> ClipResult:
    found = avis_cli.segment(path, model, **{"threshold": THRESHOLD, "gate": False, "mask_fps": 1, **settings})
    assert isinstance(found, ClipResult)
    return found


def content(result: ClipResult) -> list[Any]:
    return [(track.category_id, round(track.score, 6), track.masks) for track in result.tracks]


def assert_same(first: ClipResult, second: ClipResult) -> None:
    """The same tracks but for the noise of summing floats in another order."""
    assert [track.category_id for track in first.tracks] == [track.category_id for track in second.tracks]
    for one, other in zip(first.tracks, second.tracks, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-4)
        for a, b in zip(one.masks, other.masks, strict=True):
            left = np.zeros((1, 1), bool) if a is None else run_length.decode(a)
            right = np.zeros((1, 1), bool) if b is None else run_length.decode(b)
            assert (left & right).sum() >= 0.99 * (left | right).sum() - 3


def test_gives_tracks_that_survive_json(clip: Path, tiny_model: Any) -> None:
    result = run(clip, tiny_model)
    assert result.tracks, "the random network was expected to give tracks"
    assert ClipResult.from_json(result.to_json()) == result
    assert [track.id for track in result.tracks] == list(range(1, len(result.tracks) + 1))
    scores = [track.score for track in result.tracks]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > THRESHOLD
    assert result.source.file == "numbers.mp4"
    assert (result.source.width, result.source.height) == (160, 96)


def test_looks_once_a_second_by_default_and_at_every_frame_for_masks(clip: Path, tiny_model: Any) -> None:
    times = run(clip, tiny_model, mask_fps=None).times
    assert times == pytest.approx([n / 10 for n in range(60)])
    assert run(clip, tiny_model, mask_fps=2).times == pytest.approx([n / 2 for n in range(12)])


def test_equals_the_network_run_on_the_same_frames_and_sound(clip: Path, tiny_model: Any) -> None:
    info = decode.probe(clip)
    height, width = network_size(info.height, info.width, 96, 256)
    images = [frame.image for frame in decode.FrameReader(clip, info, rate=Fraction(1))]
    bilinear = Image.Resampling.BILINEAR
    small = np.stack([np.array(Image.fromarray(image).resize((width, height), bilinear)) for image in images])
    sound = torch.from_numpy(decode.read_waveform(clip, info, rate=None).samples)
    assert info.audio is not None
    rate = info.audio.sample_rate
    audio = tiny_model.embed_audio([sound[n * rate : (n + 1) * rate] for n in range(6)], rate)
    frames = small.transpose(0, 3, 1, 2)
    alone = avis_cli.segment_frames(tiny_model, frames, audio, (info.height, info.width), THRESHOLD, gate=False)
    assert_same(run(clip, tiny_model), alone)


def test_masks_are_cleaned_when_asked(clip: Path, tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_masks, "PICTURE_SHARE", 0.02)  # the random network's pieces are large
    monkeypatch.setattr(clean_masks, "MASK_SHARE", 0.5)
    plain, cleaned = run(clip, tiny_model), run(clip, tiny_model, clean=True)
    assert [track.score for track in cleaned.tracks] == [track.score for track in plain.tracks]
    assert [track.sounding for track in cleaned.tracks] == [track.sounding for track in plain.tracks]
    changed = 0
    for before, after in zip(plain.tracks, cleaned.tracks, strict=True):
        for one, other in zip(before.masks, after.masks, strict=True):
            if one is None or other is None:
                assert one is other
                continue
            expected = run_length.encode(clean_masks.clean_mask(run_length.decode(one)))
            assert other == expected
            changed += one != other
    assert changed > 5
    assert (plain.options or {}).get("clean") is None
    assert (cleaned.options or {})["clean"] is True


def test_masks_that_are_carried_are_cleaned_too(clip: Path, tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_masks, "PICTURE_SHARE", 1.1)  # the largest piece alone stays, without holes
    monkeypatch.setattr(clean_masks, "MASK_SHARE", 1.1)
    result = run(clip, tiny_model, fill="flow", clean=True, end=3)
    masks = [mask for track in result.tracks for mask in track.masks if mask is not None]
    assert len(masks) > 50
    for mask in masks:
        pixels = run_length.decode(mask)
        assert ndimage.label(pixels, np.ones((3, 3)))[1] == 1
        assert ndimage.label(np.pad(~pixels, 1, constant_values=True))[1] == 1


def test_filled_masks_are_those_of_every_frame_and_the_networks_own_among_them(clip: Path, tiny_model: Any) -> None:
    sparse, filled = run(clip, tiny_model, mask_fps=2), run(clip, tiny_model, mask_fps=2, fill="flow")
    every = run(clip, tiny_model, mask_fps="video")
    assert filled.times == every.times
    assert filled.network_frames == tuple(range(0, 60, 5))
    assert sparse.network_frames is None
    assert filled.model.mask_fps == "video"
    assert [track.score for track in filled.tracks] == [track.score for track in sparse.tracks]
    for one, other in zip(sparse.tracks, filled.tracks, strict=True):
        assert [other.masks[place] for place in filled.network_frames] == list(one.masks)
        between = [mask for place, mask in enumerate(other.masks) if place % 5]
        assert any(between) == any(one.masks)
    assert run(clip, tiny_model, mask_fps=None, fill="flow").network_frames == filled.network_frames, "2 a second"
    assert max(end for track in filled.tracks for _, end in track.sounding) <= 6.0
    with pytest.raises(UsageError, match="fill flow mask_fps video, expected a rate with frames between"):
        run(clip, tiny_model, mask_fps="video", fill="flow")


def test_windows_and_memory_limits_change_nothing(clip: Path, tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = run(clip, tiny_model)
    monkeypatch.setattr(avis_cli.inference.clip_frames, "BATCH", 1)
    monkeypatch.setattr(pipeline, "SOUND_SECONDS", 2)
    # two frames' features are kept, those of the other four are computed again
    two = mask_frames.FeatureLimits(memory_bytes=2 * 32 * 48 * 80 * 4 + 1, file_bytes=0)
    monkeypatch.setattr(mask_frames, "FeatureLimits", lambda: two)
    assert_same(run(clip, tiny_model), reference)


def test_token_frames_far_apart_hear_what_those_close_together_do(tmp_path: Path) -> None:
    """And what lies between them is not held in memory, nor what sounds longer than the picture."""
    path = tmp_path / "long.mov"
    sound = np.random.default_rng(7).uniform(-1, 1, (1, 400 * 8000)).astype(np.float32)
    media_factory.make_clip(
        path, size=(32, 32), fps=Fraction(1, 10), seconds=300, audio=sound, audio_codec="pcm_s16le", sample_rate=8000
    )
    info, times = decode.probe(path), [Fraction(n) for n in range(0, 300, 125)]
    whole = decode.read_waveform(path, info, rate=None)
    assert [len(group) for group in pipeline._close_together([Fraction(n) for n in range(130)])] == [60, 60, 10]
    reader = pipeline.AudioReader(path, info, Sampling(Fraction(1, 125), None), mute=False)
    for group in pipeline._close_together(times):
        held = reader.during(group)
        assert len(held.samples) <= 2 * pipeline.SOUND_SECONDS * 8000
        for time in group:
            assert np.array_equal(held.window(time), whole.window(time))
    assert not reader.silent


@pytest.mark.parametrize("apart", [1, 40, 70, 200])
def test_silence_is_told_where_all_of_it_was_read(tmp_path: Path, apart: int) -> None:
    path = tmp_path / "silent.mov"
    media_factory.make_clip(
        path,
        size=(32, 32),
        fps=Fraction(1, 10),
        seconds=250,
        audio="silence",
        audio_codec="pcm_s16le",
        sample_rate=8000,
    )
    reader = pipeline.AudioReader(path, decode.probe(path), Sampling(Fraction(1, apart), None), mute=False)
    for group in pipeline._close_together([Fraction(n) for n in range(0, 250, apart)]):
        reader.during(group)
    assert reader.silent == (apart < 200)


def test_sound_is_read_on_where_the_headers_end_too_early(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    sound = np.random.default_rng(7).uniform(-1, 1, (1, 200 * 8000)).astype(np.float32)
    media_factory.make_clip(
        path, size=(32, 32), fps=Fraction(1, 10), seconds=150, audio=sound, audio_codec="pcm_s16le", sample_rate=8000
    )
    info = dataclasses.replace(decode.probe(path), duration=Fraction(3))
    whole = decode.read_waveform(path, info, rate=None)
    assert len(whole.samples) == 150 * 8000
    reader = pipeline.AudioReader(path, info, Sampling(Fraction(1), None), mute=False)
    for time in range(150):
        held = reader.during([Fraction(time)])
        assert len(held.samples) <= pipeline.SOUND_SECONDS * 8000
        assert np.array_equal(held.window(Fraction(time)), whole.window(Fraction(time)))


def test_mask_frames_between_token_frames_do_not_change_the_others(clip: Path, tiny_model: Any) -> None:
    coarse, fine = run(clip, tiny_model, mask_fps=1), run(clip, tiny_model, mask_fps=2)
    best, same = coarse.tracks[0], next(t for t in fine.tracks if t.masks[::2] == coarse.tracks[0].masks)
    assert same.category_id == best.category_id


def test_a_part_of_the_clip_keeps_the_clips_clock(clip: Path, tiny_model: Any) -> None:
    part = run(clip, tiny_model, start=2, end=4.5)
    assert part.times == (2.0, 3.0, 4.0)
    for track in part.tracks:
        assert all(2 <= first <= last <= 4.5 for first, last in track.sounding)


def test_sounding_spans_cover_the_frames_with_masks(clip: Path, tiny_model: Any) -> None:
    for track in run(clip, tiny_model).tracks:
        for time, mask in zip(range(6), track.masks, strict=True):
            covered = any(first <= time < last for first, last in track.sounding)
            assert covered == (mask is not None)


def test_the_gate_removes_masks_only_where_nothing_is_heard(clip: Path, tiny_model: Any) -> None:
    tokens = 6
    opened = run(clip, tiny_model, gate=False)
    values: list[torch.Tensor] = []
    original = type(tiny_model).sounding

    def half(self: Any, *arguments: Any) -> torch.Tensor:
        values.append(original(self, *arguments))
        out = torch.zeros_like(values[-1])
        out[:, : tokens // 2] = 1
        return out

    type(tiny_model).sounding = half
    try:
        gated = run(clip, tiny_model, gate=True)
    finally:
        type(tiny_model).sounding = original
    assert values
    assert ((values[0] >= 0) & (values[0] <= 1)).all()
    assert gated.tracks
    every = [track.masks for track in opened.tracks]
    for track in gated.tracks:
        assert track.masks[3:] == [None] * 3
        assert any(track.masks[:3] == masks[:3] for masks in every)
        assert track.sounding == [(0.0, 3.0)]


def test_mono_and_stereo_give_the_same(tmp_path: Path, tiny_model: Any) -> None:
    results = []
    for layout in ("mono", "stereo"):
        path = tmp_path / f"{layout}.mkv"
        media_factory.make_clip(
            path, size=(96, 64), fps=5, seconds=2, audio="tone", layout=layout, audio_codec="pcm_s16le"
        )
        results.append(run(path, tiny_model))
    assert_same(*results)


def test_no_audio_stream_is_refused_unless_silence_will_do(tmp_path: Path, tiny_model: Any) -> None:
    path, heard = tmp_path / "silent.mp4", tmp_path / "tone.mp4"
    media_factory.make_clip(path, size=(96, 64), fps=5, seconds=2, audio=None)
    media_factory.make_clip(heard, size=(96, 64), fps=5, seconds=2, audio="tone")
    with pytest.raises(MediaError, match=r"no audio stream.*--allow-silent"):
        run(path, tiny_model)
    assert content(run(path, tiny_model, allow_silent=True)) == content(run(heard, tiny_model, mute=True))
    assert run(path, tiny_model, allow_silent=True).source.audio is None


def test_sound_matters_to_the_tokens(clip: Path, tiny_model: Any) -> None:
    assert content(run(clip, tiny_model)) != content(run(clip, tiny_model, mute=True))


def test_silence_is_warned_of_and_valid(tmp_path: Path, tiny_model: Any) -> None:
    path = tmp_path / "zeros.mp4"
    media_factory.make_clip(path, size=(96, 64), fps=5, seconds=1, audio="silence")
    warnings: list[str] = []
    result = run(path, tiny_model, warn=warnings.append, threshold=1.0)
    assert any("silent" in warning for warning in warnings)
    assert result.tracks == ()
    assert len(result.times) == 1


def test_a_clip_shorter_than_a_window_of_sound_is_heard(tmp_path: Path, tiny_model: Any) -> None:
    path = tmp_path / "short.mp4"
    media_factory.make_clip(path, size=(96, 64), fps=10, seconds=0.5, audio="tone")
    assert content(run(path, tiny_model)) != content(run(path, tiny_model, mute=True))


def test_one_frame_and_odd_sizes_work(tmp_path: Path, tiny_model: Any) -> None:
    path = tmp_path / "one.mkv"
    media_factory.make_clip(
        path, size=(97, 63), fps=5, seconds=0.2, audio="tone", codec="ffv1", pix_fmt="bgr0", audio_codec="flac"
    )
    result = run(path, tiny_model)
    assert len(result.times) == 1
    mask = next(mask for track in result.tracks for mask in track.masks if mask is not None)
    assert mask["size"] == [63, 97]


def test_max_tracks_keeps_the_best(clip: Path, tiny_model: Any) -> None:
    assert content(run(clip, tiny_model, max_tracks=2)) == content(run(clip, tiny_model))[:2]


def test_a_score_is_never_above_the_class_probability(clip: Path, tiny_model: Any) -> None:
    strict, loose = run(clip, tiny_model, threshold=0.3), run(clip, tiny_model, threshold=0.0)
    above = [entry for entry in content(loose) if entry[1] > 0.3]
    assert content(strict) == above


def test_masks_are_those_of_the_clip_not_the_network(clip: Path, tiny_model: Any) -> None:
    mask = next(mask for track in run(clip, tiny_model).tracks for mask in track.masks if mask is not None)
    assert run_length.decode(mask).shape == (96, 160)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (720, 1280, (360, 640)),
        (1280, 720, (640, 360)),
        (480, 853, (360, 640)),
        (100, 1000, (133, 1333)),
        (361, 361, (360, 360)),
    ],
)
def test_network_size_follows_the_published_rule(height: int, width: int, expected: tuple[int, int]) -> None:
    assert network_size(height, width, 360, 1333) == expected


@pytest.mark.parametrize(
    "settings", [{"fps": 0}, {"fps": -1}, {"mask_fps": "often"}, {"start": 3, "end": 2}, {"fps": 1e9}]
)
def test_impossible_settings_are_usage_errors(clip: Path, tiny_model: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        run(clip, tiny_model, **settings)


def test_precision_bf16_runs(clip: Path, tiny_weights: Path) -> None:
    model = avis_cli.load_model(tiny_weights, precision="bf16")
    result = run(clip, model)
    assert result.model.precision == "bf16"
    assert result.tracks


@pytest.mark.parametrize(
    "broken",
    ["tracker.class_head.bias", "tracker.mask_head.layers.2.bias", "tracker.mask_projection.bias"],
)
def test_broken_numbers_are_an_error_not_a_result(clip: Path, tiny_weights: Path, broken: str) -> None:
    model = avis_cli.load_model(tiny_weights)
    with torch.no_grad():
        model.network.get_parameter(broken).fill_(float("nan"))
    with pytest.raises(avis_cli.AvisError, match="not finite"):
        run(clip, model)


def test_masks_are_refined_when_asked(clip: Path, tiny_model: Any) -> None:
    plain, refined = run(clip, tiny_model), run(clip, tiny_model, refine="aurora")
    assert plain.tracks
    assert content(refined) != content(plain)
    assert content(run(clip, tiny_model, refine="none")) == content(plain)
    assert (plain.options or {}).get("refine") is None
    assert (refined.options or {})["refine"] == "aurora"
    assert ClipResult.from_json(refined.to_json()) == refined
    scores = [track.score for track in refined.tracks]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) < THRESHOLD, "what was admitted is not held against the threshold again"
    # between token frames too, and where the gate leaves anything
    between = run(clip, tiny_model, refine="aurora", mask_fps=2)
    assert between.times == pytest.approx([n / 2 for n in range(12)])
    gated = run(clip, tiny_model, refine="aurora", gate=True)
    shown = [sum(mask is not None for track in result.tracks for mask in track.masks) for result in (gated, refined)]
    assert shown[0] < shown[1]


def test_frames_can_be_refined_as_a_file_can(tiny_model: Any) -> None:
    generator = np.random.default_rng(0)
    frames, audio = generator.integers(0, 256, (4, 3, 96, 160), np.uint8), generator.random((4, 128), np.float32)
    size = (96, 160)
    plain = avis_cli.segment_frames(tiny_model, frames, audio, size, THRESHOLD, gate=False)
    refined = avis_cli.segment_frames(tiny_model, frames, audio, size, THRESHOLD, gate=False, refine="aurora")
    best = avis_cli.segment_frames(
        tiny_model, frames, audio, size, THRESHOLD, gate=False, refine="aurora", max_tracks=1
    )
    assert plain.tracks
    assert content(refined) != content(plain)
    assert content(best) == content(refined)[:1]
    with pytest.raises(TypeError, match=r"segment_frames\(\) takes no 'clean', only gate, max_tracks, refine"):
        avis_cli.segment_frames(tiny_model, frames, audio, size, clean=True)
    with pytest.raises(UsageError, match="refine 'auroa', expected one of none, aurora"):
        avis_cli.segment_frames(tiny_model, frames, audio, size, refine="auroa")
