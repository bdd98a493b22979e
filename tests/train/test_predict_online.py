"""Validation of online networks: what was seen once gives what the pipeline would, for any gate; the gate is fitted."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco
from train_examples import small_dataset

from avis_cli.batch.dataset_run import hear_clip
from avis_cli.datasets.aviseg import read_training_split
from avis_cli.datasets.tracks import Dataset, Mask, PredictedTrack, TruthTrack, Video
from avis_cli.errors import MediaError
from avis_cli.inference.clip_frames import ArrayFrames
from avis_cli.inference.loading import load_model
from avis_cli.inference.model import Model
from avis_cli.inference.segment_clip import ClipMasks, ClipSettings, segment_clip
from avis_cli.models.seavis.associate import Candidates
from avis_cli.models.seavis.config import PRESETS, SeavisConfig
from avis_cli.models.seavis.recipe import SeavisRecipe
from avis_cli.models.seavis.system import build
from avis_cli.models.training import AudioAblation, BatchShape
from avis_cli.models.two_level.config import SmallResNetSizes
from avis_cli.nn.audio import LOG_OFFSET
from avis_cli.progress import Progress
from avis_cli.segment import segment_frames
from avis_cli.train.clips import FolderSource, RawClip, hearing
from avis_cli.train.predict_online import SeenClips, SeenFrame, fit_gate, fitted, observe, observe_clip
from avis_cli.train.run import train
from avis_cli.train.train_request import Budget, Pace, TrainRequest
from avis_cli.train.validate import METRICS, Validation, ValidationRequest, validate_dataset, validate_online

CONFIG = SeavisConfig(
    name="seavis-tiny", categories=("bell", "drum", "bird"), backbone=SmallResNetSizes((8, 8, 8, 16, 16), (1,) * 5, 4),
    short_side=32, long_side=64, gate=True, audio="own", audio_width=8, width=16, heads=2, norm_groups=4,
    encoder_layers=0, lateral_widths=(8, 8), mask_width=8, mask_stride=2, feed_forward=16, frame_queries=6,
    frame_layers=3, audio_in_every_layer=True, history=3, duplicate_iou=0.8, gate_cosine=0.0, gate_softness=0.2,
)  # fmt: skip
FRAMES = 8


def online(**changes: Any) -> Model:
    """A network drawn at random that is sure of something and knows some of it again, so that there are tracks."""
    torch.manual_seed(5)
    network: Any = build(replace(CONFIG, **changes))
    with torch.no_grad():
        network.localizer.class_head.weight.mul_(8)
        network.localizer.mask_head.layers[-1].weight.mul_(8)
        network.embed_head.layers[-1].weight.mul_(30)
        network.anchor.weight.mul_(5)
    return Model(network)


def clip(seed: int) -> RawClip:
    """Two bright squares on noise under their masks, the first of which pauses."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 80, (FRAMES, 32, 52, 3), dtype=np.uint8)
    masks = np.zeros((2, FRAMES, 32, 52), dtype=bool)
    for frame in range(FRAMES):
        masks[0, frame, 4:14, 2 + frame : 14 + frame] = masks[1, frame, 18:30, 30:44] = True
        frames[frame][masks[0, frame]], frames[frame][masks[1, frame]] = (250, 40, 40), (40, 250, 90)
    sounding = np.ones((2, FRAMES), dtype=bool)
    sounding[0, 3:5] = False
    tags = np.zeros((FRAMES, 3), dtype=bool)
    patches = np.log(rng.random((FRAMES, 96, 64)) ** 4 * rng.random((FRAMES, 1, 1)) + LOG_OFFSET).astype(np.float32)
    return RawClip(
        frames=frames, patches=patches, categories=np.array([0, 2]), masks=masks, sounding=sounding, tags=tags,
        complete=True,
    )  # fmt: skip


@dataclass
class Clips:
    """A source of clips made by hand."""

    clips: tuple[RawClip, ...]
    categories: tuple[str, ...] = CONFIG.categories

    def __len__(self) -> int:
        return len(self.clips)

    def length(self, clip: int) -> int:
        return len(self.clips[clip].frames)

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        assert list(frames) == list(range(self.length(clip)))
        return self.clips[clip]


SOURCE = Clips((clip(0), clip(1)))


@pytest.fixture(scope="module")
def seen() -> SeenClips:
    return observe(online(), SOURCE, 2)


def pipeline(model: Model, shown: RawClip, **settings: Any) -> ClipMasks:
    """What `segment_clip` finds in a clip."""
    embeddings = model.embed_log_mel(shown.patches)
    frames = ArrayFrames(np.ascontiguousarray(shown.frames.transpose(0, 3, 1, 2)), Fraction(1))

    def embed(times: Sequence[Fraction]) -> torch.Tensor:
        return embeddings[[int(time) for time in times]]

    height, width = shown.frames.shape[1:3]
    return segment_clip(model, frames, embed, ClipSettings((height, width), **settings))


def as_written(mask: Any) -> Mask | None:
    return None if mask is None else {"size": list(mask["size"]), "counts": mask["counts"].encode("ascii")}


def assert_same(predictions: list[PredictedTrack], found: ClipMasks) -> None:
    in_order = sorted(predictions, key=lambda track: track.entry)
    assert [track.category_id - 1 for track in in_order] == found.classes
    assert [track.score for track in in_order] == pytest.approx(found.scores, abs=1e-6)
    for track, masks in zip(in_order, found.masks, strict=True):
        assert track.masks == [as_written(mask) for mask in masks]


def count_masks(dataset: Dataset) -> list[int]:
    """Of each clip, over all its tracks and frames."""
    return [sum(mask is not None for track in video.predictions for mask in track.masks) for video in dataset.videos]


# --- what was seen once


@pytest.mark.parametrize("gate", [0.2, 0.4, 0.6])
def test_what_was_seen_gives_what_the_pipeline_finds_at_any_gate(seen: SeenClips, gate: float) -> None:
    dataset = seen.dataset(gate)
    model = online(gate_threshold=gate)
    for shown, video in zip(SOURCE.clips, dataset.videos, strict=True):
        assert_same(video.predictions, pipeline(model, shown))
    assert [category.name for category in dataset.categories] == ["bell", "drum", "bird"]


def test_there_are_tracks_and_gates_make_a_difference(seen: SeenClips) -> None:
    counts = [count_masks(seen.dataset(gate)) for gate in (None, 0.2, 0.4, 0.6)]
    assert all(sum(one) > sum(other) > 0 for one, other in pairwise(counts))
    assert all(len(video.predictions) >= 2 for video in seen.dataset(0.2).videos)
    lengths = [sum(mask is not None for mask in track.masks) for track in seen.dataset(0.2).videos[0].predictions]
    assert max(lengths) >= 3
    assert min(lengths) < FRAMES


def test_without_gate_it_is_the_pipeline_without_gate(seen: SeenClips) -> None:
    model = online()
    for shown, video in zip(SOURCE.clips, seen.dataset(None).videos, strict=True):
        assert_same(video.predictions, pipeline(model, shown, gate=False))


def test_other_constants_of_the_rule_and_another_threshold_count(seen: SeenClips) -> None:
    changes: dict[str, Any] = {"gate_cosine": -0.3, "gate_softness": 0.05, "track_life": 1, "match_score": 0.5}
    model = online(gate_threshold=0.3, **changes)
    dataset = seen.dataset(0.3, threshold=0.6, **changes)
    for shown, video in zip(SOURCE.clips, dataset.videos, strict=True):
        assert_same(video.predictions, pipeline(model, shown, threshold=0.6))
    assert count_masks(dataset) != count_masks(seen.dataset(0.3, **changes)) != count_masks(seen.dataset(0.3))


def test_arrays_of_frames_give_the_same_tracks_best_first(seen: SeenClips) -> None:
    model, shown = online(gate_threshold=0.3), SOURCE.clips[0]
    frames = np.ascontiguousarray(shown.frames.transpose(0, 3, 1, 2))
    result = segment_frames(model, frames, model.embed_log_mel(shown.patches), (32, 52))
    expected = sorted(seen.dataset(0.3).videos[0].predictions, key=lambda track: -track.score)
    assert [track.score for track in result.tracks] == pytest.approx([track.score for track in expected], abs=1e-6)
    for track, other in zip(result.tracks, expected, strict=True):
        assert track.category_id == other.category_id
        assert [as_written(mask) for mask in track.masks] == other.masks


def test_gates_are_tried_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    model = online()
    found = observe(model, SOURCE, 1)
    expected = [count_masks(found.dataset(gate)) for gate in (0.2, 0.5)]

    def gone(*arguments: Any) -> Any:
        raise AssertionError("the network is run again")

    for name in ("features", "look", "step", "mask_features", "forward"):
        monkeypatch.setattr(model.network, name, gone)
    assert [count_masks(found.dataset(gate)) for gate in (0.2, 0.5)] == expected
    assert [count_masks(found.dataset(gate)) for gate in (0.2, 0.5)] == expected, "and as often as one likes"


def test_the_first_clips_are_observed_with_their_truth_and_their_silence() -> None:
    done: list[tuple[str, int, int | None]] = []
    found = observe(online(), SOURCE, 1, on_progress=lambda *step: done.append(step))
    assert done == [("validation", 1, 1)]
    assert len(observe(online(), SOURCE, 9).clips) == 2
    ((video,), (silent,), (frames,)) = found.truths, found.silent, found.clips
    assert len(frames) == FRAMES
    assert [track.category_id for track in video.truths] == [1, 3]
    assert [mask is not None for mask in silent[0]] == [frame in (3, 4) for frame in range(FRAMES)]
    assert all(mask is None for mask in silent[1])
    assert [frame.seen.time for frame in frames] == [float(frame) for frame in range(FRAMES)]
    assert all(len(frame.seen.mask_features) == 0 for frame in frames), "what is large is not kept"


# --- what is heard


def heard(shown: RawClip, ablation: AudioAblation) -> list[list[float]]:
    """Cosines to the sound, of each frame's candidates."""
    return [frame.seen.candidates.cosine.tolist() for frame in observe_clip(online(), shown, ablation)]


def test_a_muted_network_hears_digital_silence() -> None:
    shown = SOURCE.clips[0]
    silence = replace(shown, patches=np.full_like(shown.patches, math.log(LOG_OFFSET)))
    muted = heard(shown, AudioAblation(muted=True))
    assert muted == heard(silence, AudioAblation())
    assert muted != heard(shown, AudioAblation())
    assert muted != heard(shown, AudioAblation(localizer=False)), "silence is a sound, nothing is not"


def test_a_deaf_network_is_given_zeros_whatever_sounds() -> None:
    deaf = AudioAblation(localizer=False)
    other = replace(SOURCE.clips[0], patches=SOURCE.clips[1].patches)
    assert heard(SOURCE.clips[0], deaf) == heard(other, deaf)
    assert heard(SOURCE.clips[0], AudioAblation()) != heard(other, AudioAblation())
    # an online network has one level that hears
    assert heard(SOURCE.clips[0], AudioAblation(tracker=False)) == heard(SOURCE.clips[0], AudioAblation())


def test_the_ablation_reaches_every_clip() -> None:
    muted = observe(online(), SOURCE, 2, AudioAblation(muted=True))
    for frames, shown in zip(muted.clips, SOURCE.clips, strict=True):
        assert [one.seen.candidates.cosine.tolist() for one in frames] == heard(shown, AudioAblation(muted=True))


# --- the curve of the gate


def loss(cosine: np.ndarray, sounds: np.ndarray, middle: float, softness: float) -> float:
    """Negative log-likelihood, the mean of both sides' means."""
    chance = 1 / (1 + np.exp(-(cosine - middle) / softness))
    return float(-(np.log(chance[sounds]).mean() + np.log(1 - chance[~sounds]).mean()) / 2)


def test_the_curve_is_the_likeliest_one() -> None:
    rng = np.random.default_rng(0)
    cosine = np.concatenate([rng.normal(0.55, 0.2, 300), rng.normal(0.05, 0.25, 900)]).clip(-1, 1)
    sounds = np.arange(1200) < 300
    found = fitted(cosine, sounds)
    best = loss(cosine, sounds, found["gate_cosine"], found["gate_softness"])
    for middle in np.linspace(0.1, 0.6, 21):
        for softness in np.geomspace(0.03, 0.5, 21):
            assert best <= loss(cosine, sounds, middle, softness) + 1e-7
    assert 0.2 < found["gate_cosine"] < 0.4


def test_both_sides_weigh_the_same_however_many_they_are() -> None:
    cosine, sounds = np.array([0.2, 0.5, 0.8, -0.3, 0.1, 0.4]), np.array([True] * 3 + [False] * 3)
    once = fitted(cosine, sounds)
    often = fitted(np.concatenate([cosine, *[cosine[3:]] * 9]), np.concatenate([sounds, np.zeros(27, dtype=bool)]))
    assert often == pytest.approx(once, abs=1e-3)


@pytest.mark.parametrize("many", [1, 50])
def test_what_can_be_told_apart_is(many: int) -> None:
    cosine = np.concatenate([np.linspace(0.3, 0.9, many), np.linspace(-0.6, 0.1, many)])
    found = fitted(cosine, np.arange(2 * many) < many)
    assert cosine[many:].max() < found["gate_cosine"] < cosine[:many].min()
    assert 0.02 <= found["gate_softness"] < 0.1


@pytest.mark.parametrize("seed", range(4))
def test_where_sound_tells_nothing_or_the_contrary_the_gate_is_flat_and_in_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    swapped = np.concatenate([rng.uniform(-0.6, 0.0, 20), rng.uniform(0.1, 0.9, 20)])
    found = fitted(swapped, np.arange(40) < 20)
    assert found["gate_softness"] == 10.0
    assert -1.0 <= found["gate_cosine"] <= 1.0
    assert SeavisConfig.from_dict(replace(CONFIG, **as_constants(found)).to_dict())
    alike = fitted(np.full(40, 0.25), np.arange(40) < 20)
    assert all(math.isfinite(value) for value in alike.values())
    assert SeavisConfig.from_dict(replace(CONFIG, **as_constants(alike)).to_dict())


def as_constants(values: dict[str, float]) -> dict[str, Any]:
    return dict(values)


def test_with_one_side_only_there_is_nothing_to_fit() -> None:
    cosine = np.array([0.1, 0.5, 0.9])
    for sounds in ([True] * 3, [False] * 3):
        assert fitted(cosine, np.array(sounds)) == {}
    assert fitted(np.zeros(0), np.zeros(0, dtype=bool)) == {}


def square(left: int) -> Mask:
    mask = np.zeros((12, 40), dtype=np.uint8, order="F")
    mask[2:8, left : left + 6] = 1
    return dict(coco.encode(mask))


def made_up(frames: list[tuple[list[tuple[Mask | None, float]], list[Mask | None]]]) -> SeenClips:
    """A clip whose frames have candidates with a mask and a cosine, and the masks of what sounds."""
    network: Any = None
    objects = max(len(truth) for _, truth in frames)
    truths = [
        TruthTrack(n, 1, False, [1.0] * len(frames), [truth[n] if n < len(truth) else None for _, truth in frames])
        for n in range(objects)
    ]
    video = Video(1, "made", len(frames), 12, 40, [], truths)
    clips = [
        SeenFrame(
            SimpleNamespace(candidates=Candidates(np.zeros((0, 1)), np.zeros((0, 1)), np.array([c for _, c in found]))),
            [mask for mask, _ in found], [], [],
        )
        for found, _ in frames
    ]  # fmt: skip
    return SeenClips(network, ("bell",), [video], [[]], [clips])


def test_a_candidate_sounds_if_its_mask_is_that_of_something_that_does() -> None:
    # a square moved by one column of six overlaps by 5/7, by two columns by exactly one half
    both: list[Mask | None] = [square(0), square(20)]
    found = made_up(
        [
            ([(square(0), 0.8), (square(10), 0.3), (None, -0.2)], both),
            ([(square(21), 0.6), (square(2), 0.1)], both),
            ([(square(0), 0.5)], [None, square(20)]),
            ([(square(0), -0.5), (None, 0.0)], []),
        ]
    )
    cosine = np.array([0.8, 0.3, -0.2, 0.6, 0.1, 0.5, -0.5, 0.0])
    sounds = np.array([True, False, False, True, False, False, False, False])
    assert fit_gate(found) == fitted(cosine, sounds)
    assert fit_gate(made_up([([(square(0), 0.8)], [])])) == {}


# --- validation


def found_by_it(shown: RawClip, video: Video) -> RawClip:
    """The clip with some of what a network found in it as its truth: the two longest tracks, which sound where they
    were found and are seen, silent, one frame later."""
    tracks = sorted(video.predictions, key=lambda track: -sum(mask is not None for mask in track.masks))[:2]
    masks = np.zeros((2, *shown.frames.shape[:3]), dtype=bool)
    sounding = np.zeros((2, len(shown.frames)), dtype=bool)
    for o, track in enumerate(tracks):
        for frame, mask in enumerate(track.masks):
            if mask is not None:
                masks[o, frame : frame + 2] = coco.decode(mask).astype(bool)
                sounding[o, frame] = True
    categories = np.array([track.category_id - 1 for track in tracks])
    return replace(shown, masks=masks, sounding=sounding, categories=categories)


@pytest.fixture(scope="module")
def known(seen: SeenClips) -> Clips:
    return Clips(tuple(map(found_by_it, SOURCE.clips, seen.dataset(0.4).videos)))


def test_validation_fits_the_gate_and_takes_the_threshold_that_scores_best(known: Clips) -> None:
    request = ValidationRequest(known, 2, AudioAblation(), (0.1, 0.2, 0.4, 0.6))
    found = METRICS["online"](online(), request, lambda phase, done, total: None)
    assert isinstance(found, Validation)
    assert METRICS["online"] is validate_online
    again = observe(online(), known, 2)
    assert set(found.constants) == {"gate_cosine", "gate_softness"}
    assert found.constants == pytest.approx(fit_gate(again))
    tried = [validate_dataset(again.dataset(gate, **found.constants), again.silent, gate) for gate in request.gates]
    assert found.gate in request.gates
    best = next(one for one in tried if one.gate == found.gate)
    assert found.fsla == best.fsla == max(one.fsla or 0.0 for one in tried)
    assert len({one.fsla for one in tried}) > 1
    assert found.fsla != validate_dataset(again.dataset(found.gate), again.silent, found.gate).fsla
    assert (found.hota, found.suppressed, found.scores) == (best.hota, best.suppressed, best.scores)
    assert found.suppressed is not None


def test_validation_hears_what_it_may(known: Clips) -> None:
    ablation = AudioAblation(muted=True)
    muted = validate_online(online(), ValidationRequest(known, 2, ablation, (0.3,)))
    again = observe(online(), known, 2, ablation)
    assert muted.constants == fit_gate(again)
    assert muted.constants != validate_online(online(), ValidationRequest(known, 2, AudioAblation(), (0.3,))).constants
    assert muted.scores == validate_dataset(again.dataset(0.3, **muted.constants), again.silent, 0.3).scores


def test_a_run_leaves_a_model_with_the_gate_that_was_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setitem(PRESETS, "seavis-tiny", CONFIG)
    fit: dict[str, float] = {"gate_cosine": 0.25, "gate_softness": 0.125}

    def validated(model: Model, request: ValidationRequest, on_progress: Progress) -> Validation:
        return replace(validate_online(model, request, on_progress), gate=0.375, constants=fit)

    monkeypatch.setitem(METRICS, "online", validated)
    data = small_dataset(tmp_path / "data", videos=2, val=1)
    recipe = SeavisRecipe(shapes=(BatchShape(1, 3),), contiguous=1.0, points=None, learning_rate=1e-3)
    asked = TrainRequest(
        data, "seavis-tiny", tmp_path / "run", recipe, Budget(steps=2), device="cpu", precision="fp32",
        pace=Pace(1, 2, 0),
    )  # fmt: skip
    config = load_model(train(asked)).config
    assert (config.gate_cosine, config.gate_softness, config.gate_threshold) == (0.25, 0.125, 0.375)
    assert len(config.categories) == 10
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["constants"] == {**fit, "gate_threshold": 0.375}
    assert record["gate_threshold"] == 0.375
    rows = (tmp_path / "run" / "log.csv").read_text()
    assert all(name in rows for name in ("recognition", "cosine", "frame_contrast", "instance_contrast"))


# --- the second of sound in training and in the runs over data sets


@pytest.mark.parametrize("lookahead", [0.0, 1.0])
def test_a_run_over_a_data_set_hears_what_training_heard(tmp_path: Path, lookahead: float) -> None:
    data = small_dataset(tmp_path, videos=1, frames=4)
    split = read_training_split(data, "train")
    source = hearing(FolderSource(split), lookahead, 1)
    model = online(sound_lookahead=lookahead)
    expected = model.embed_log_mel(source.read(0, range(4)).patches)
    embed = hear_clip(model, split.clips[0].sound, 4)
    got = torch.as_tensor(embed([Fraction(second) for second in range(4)]))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.as_tensor(embed([Fraction(2)])), expected[2:3], rtol=0, atol=1e-5)
    silence = model.embed_log_mel(torch.full((1, 96, 64), math.log(LOG_OFFSET)))
    assert torch.allclose(expected[0], silence[0], atol=1e-5) == (lookahead == 0.0)
    nothing = hear_clip(model, None, 4)
    torch.testing.assert_close(torch.as_tensor(nothing([Fraction(3)])), silence, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("lookahead", "fps", "rows"),
    [
        (0.0, 1, [None, 0, 1, 2, 3]),
        (1.0, 1, [0, 1, 2, 3, 4]),
        (0.0, 2, [None, None, 0, 1, 2]),
        (0.5, 2, [None, 0, 1, 2, 3]),
        (0.7, 10, [None, None, None, 0, 1]),
        (0.9, 10, [None, 0, 1, 2, 3]),
    ],
)
def test_embeddings_from_a_file_are_those_of_the_second_that_is_heard(
    tmp_path: Path, lookahead: float, fps: int, rows: list[int | None]
) -> None:
    model = online(sound_lookahead=lookahead, fps=fps)
    table = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    np.save(tmp_path / "sound.npy", table)
    embed = hear_clip(model, tmp_path / "sound.npy", 5)
    got = np.asarray(embed([Fraction(number, fps) for number in range(5)]))
    silence = model.embed_log_mel(torch.full((1, 96, 64), math.log(LOG_OFFSET))).numpy()[0]
    expected = [silence if row is None else table[row] for row in rows]
    np.testing.assert_allclose(got, np.stack(expected), rtol=0, atol=1e-5)
    with pytest.raises(MediaError, match="expected floats"):
        hear_clip(model, tmp_path / "sound.npy", 6)
