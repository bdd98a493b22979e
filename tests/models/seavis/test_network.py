"""The network of SeaVIS: nothing of the future in it, frame by frame what it is all at once, and no growth."""

from __future__ import annotations

import json
import pickle
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from avis_cli.errors import UsageError
from avis_cli.models import find_preset, find_system
from avis_cli.models.seavis.associate import Candidates, without_duplicates
from avis_cli.models.seavis.config import PRESETS, SeavisConfig
from avis_cli.models.seavis.localizer import SoundSoFar, age_encoding
from avis_cli.models.seavis.network import EmbeddedPredictions, Observation, Seavis, SeavisState
from avis_cli.models.seavis.system import build
from avis_cli.models.tokens import OnlineFrame
from avis_cli.models.two_level.config import SmallResNetSizes
from avis_cli.nn.audio_encoder import AudioEncoder
from avis_cli.nn.pixel_decoder import PixelFeatures

CONFIG = SeavisConfig(
    name="seavis-tiny", categories=("bell", "drum", "bird"), backbone=SmallResNetSizes((4, 4, 8, 8, 8), (1,) * 5, 2),
    short_side=32, long_side=64, gate=True, audio_width=8, width=16, heads=2, norm_groups=4, encoder_layers=0,
    lateral_widths=(8, 8), mask_width=8, mask_stride=2, feed_forward=16, frame_queries=6, frame_layers=3, history=64,
)  # fmt: skip
"""A few thousand numbers."""
EVERY_CANDIDATE: dict[str, Any] = {"candidate_score": 0.0, "duplicate_iou": 1.0}
SIZE = (3, 32, 64)


def network(seed: int = 0, *, sees_everything: bool = False, **changes: Any) -> Seavis:
    """With weights drawn at random. ``sees_everything``: mask logits are positive everywhere and all candidates stay,
    so that nothing that is rounded otherwise can be turned into another decision: a query attends to every cell, and
    what the network says is a smooth function of what it is given."""
    torch.manual_seed(seed)
    made = build(replace(CONFIG, **{**(EVERY_CANDIDATE if sees_everything else {}), **changes})).eval()
    with torch.no_grad():
        # drawn at random a network hardly listens, and takes nothing for anything
        made.localizer.fusion.inward.weight.mul_(3)
        made.localizer.class_head.weight.mul_(4)
        if sees_everything:
            for name in ("mask_head.layers.2", "mask_projection"):
                made.localizer.get_parameter(f"{name}.weight").zero_()
                made.localizer.get_parameter(f"{name}.bias").fill_(1.0)
    return made


def clip(frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Pictures and audio embeddings."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (frames, *SIZE), dtype=torch.uint8, generator=generator)
    return pictures, torch.randn(frames, 8, generator=generator)


def stream(made: Seavis, pictures: Tensor, audio: Tensor, **settings: Any) -> list[OnlineFrame]:
    """One frame after another, by the network's own clock."""
    state, out = made.start(), []
    for picture, sound in zip(pictures, audio, strict=True):
        frame, state = made.step(state, picture, sound, **settings)
        out.append(frame)
    return out


def watch(made: Seavis, pictures: Tensor, audio: Tensor, times: list[float] | None = None) -> list[Observation]:
    """What is seen and heard in each frame before it is associated."""
    state, out = made.start(), []
    times = [float(number) for number in range(len(pictures))] if times is None else times
    for picture, sound, time in zip(pictures, audio, times, strict=True):
        seen, state = made.look(state, picture, sound, time)
        out.append(seen)
    return out


@torch.no_grad()
def all_at_once(made: Seavis, pictures: Tensor, audio: Tensor) -> EmbeddedPredictions:
    said: EmbeddedPredictions = made(pictures[None], audio[None])
    return said


def said_of(seen: EmbeddedPredictions, frames: slice) -> list[Tensor]:
    """All that is said of some frames of the one clip."""
    said = seen.frames
    per_layer = [x[:, 0, frames] for x in (said.queries, said.class_logits, said.mask_embed)]
    return [*per_layer, said.mask_features[0, frames], seen.embed[0, frames], seen.anchor[0, frames]]


def in_order(values: Tensor, scores: Tensor) -> Tensor:
    return values[scores.argsort(descending=True)]


def differ(one: list[Tensor], other: list[Tensor]) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(one, other, strict=True))


def content(frame: OnlineFrame) -> list[Any]:
    return [
        frame.time,
        frame.size,
        [vars(track) for track in frame.tracks],
        frame.mask_embed.tolist(),
        frame.mask_features.tolist(),
    ]


# --- nothing of the future


@pytest.mark.parametrize("history", [3, 64])
def test_all_at_once_no_frame_knows_what_comes_later(history: int) -> None:
    made = network(history=history)
    (pictures, audio), (other, sounds) = clip(7), clip(7, seed=1)
    before = all_at_once(made, pictures, audio)
    for now in range(6):
        later = slice(now + 1, None)
        changed, heard = pictures.clone(), audio.clone()
        changed[later], heard[later] = other[later], sounds[later]
        for seen, listened in ((changed, audio), (pictures, heard), (changed, heard)):
            after = all_at_once(made, seen, listened)
            so_far = slice(0, now + 1)
            assert not differ(said_of(before, so_far), said_of(after, so_far)), "not in one bit"
            assert differ(said_of(before, later), said_of(after, later))


def test_streamed_no_frame_knows_what_comes_later() -> None:
    made = network(duplicate_iou=0.9, gate_cosine=0.0, gate_softness=1.0, gate_threshold=0.1)
    (pictures, audio), (other, sounds) = clip(6), clip(6, seed=1)
    before = [content(frame) for frame in stream(made, pictures, audio)]
    for now in range(5):
        pictures_then = torch.cat([pictures[: now + 1], other[now + 1 :]])
        audio_then = torch.cat([audio[: now + 1], sounds[now + 1 :]])
        after = [content(frame) for frame in stream(made, pictures_then, audio_then)]
        assert after[: now + 1] == before[: now + 1]
        assert after[now + 1 :] != before[now + 1 :]
    assert all(len(frame.tracks) > 1 for frame in stream(made, pictures, audio)), "there are tracks to be kept apart"


def test_a_state_is_left_as_it_was() -> None:
    made = network()
    pictures, audio = clip(5)
    state = made.start()
    for picture, sound in zip(pictures[:3], audio[:3], strict=True):
        _, state = made.step(state, picture, sound)
    kept = pickle.dumps(state)
    first, _ = made.step(state, pictures[3], audio[3])
    made.step(state, pictures[4], audio[4])
    assert pickle.dumps(state) == kept
    assert content(made.step(state, pictures[3], audio[3])[0]) == content(first)


# --- one by one is all at once


@pytest.mark.parametrize("history", [1, 3, 64])
def test_streamed_is_what_is_said_all_at_once(history: int) -> None:
    made = network(sees_everything=True, history=history)
    pictures, audio = clip(6)
    said = all_at_once(made, pictures, audio)
    for frame, seen in enumerate(watch(made, pictures, audio)):
        probabilities = said.frames.class_logits[-1, 0, frame].softmax(-1)[:, :-1]
        scores = probabilities.amax(-1)
        embed, anchor = said.embed[0, frame], said.anchor[0, frame]
        cosine = nn.functional.normalize(embed, dim=-1) @ anchor
        found = seen.candidates
        assert len(found) == CONFIG.frame_queries
        for got, expected in (
            (found.probabilities, probabilities),
            (found.embed, embed),
            (found.cosine, cosine),
            (seen.mask_embed, said.frames.mask_embed[-1, 0, frame]),
        ):
            wanted = in_order(expected, scores)
            torch.testing.assert_close(torch.as_tensor(got).to(wanted.dtype), wanted, rtol=0, atol=1e-5)
        torch.testing.assert_close(seen.mask_features, said.frames.mask_features[0, frame], rtol=0, atol=1e-5)
        assert (seen.mask_embed @ seen.mask_features.flatten(1) > 0).all(), "no mask is empty, none can flip"


def test_streamed_at_another_rate_is_what_is_said_all_at_once_at_that_rate() -> None:
    pictures, audio = clip(5)
    slow, fast = (network(sees_everything=True, fps=fps) for fps in (1, 4))
    said = all_at_once(fast, pictures, audio)

    def last(times: list[float], made: Seavis) -> Tensor:
        return torch.as_tensor(watch(made, pictures, audio, times)[-1].candidates.embed)

    scores = said.frames.class_logits[-1, 0, -1].softmax(-1)[:, :-1].amax(-1)
    expected = in_order(said.embed[0, -1], scores).double()
    quarters = [number / 4 for number in range(5)]
    torch.testing.assert_close(last(quarters, slow), expected, rtol=0, atol=1e-5)
    assert (last([0.0, 1.0, 2.0, 3.0, 4.0], slow) - expected).abs().max() > 1e-4, "an age is in seconds"
    # and the network's own clock is the one of its frames
    with torch.inference_mode():
        by_itself = stream(fast, pictures, audio)
    assert [frame.time for frame in by_itself] == quarters


# --- what is heard


def test_only_the_age_of_a_sound_counts_not_when_the_clip_began() -> None:
    made = network(sees_everything=True)
    pictures, audio = clip(4)
    times = [0.0, 1.0, 2.5, 3.0]
    early, late = (watch(made, pictures, audio, [time + begin for time in times])[-1] for begin in (0.0, 4096.0))
    np.testing.assert_array_equal(early.candidates.embed, late.candidates.embed)
    assert (early.time, late.time) == (3.0, 4099.0)


def test_the_age_is_in_what_is_looked_for_and_not_in_what_is_found() -> None:
    """Where all moments sound alike it makes no difference how old they are."""
    made = network(sees_everything=True)
    pictures, audio = clip(4)
    alike = audio[:1].expand(4, -1)

    def last(sound: Tensor, times: list[float]) -> np.ndarray[Any, Any]:
        return watch(made, pictures, sound, times)[-1].candidates.embed

    near, far = [0.0, 1.0, 2.0, 3.0], [0.0, 30.0, 31.0, 37.0]
    np.testing.assert_allclose(last(alike, near), last(alike, far), rtol=0, atol=1e-5)
    assert np.abs(last(audio, near) - last(audio, far)).max() > 1e-4


def test_an_age_is_told_by_sines_from_slow_to_fast() -> None:
    ages = torch.tensor([0.0, 1.0, 2.5])
    told = age_encoding(ages, 8)
    frequencies = torch.tensor([1.0, 0.1, 0.01, 0.001])
    angle = ages[:, None] * frequencies
    torch.testing.assert_close(told[:, 0::2], angle.sin())
    torch.testing.assert_close(told[:, 1::2], angle.cos())


@pytest.mark.parametrize("streamed", [False, True])
def test_sound_counts_as_long_as_the_history_and_no_longer(streamed: bool) -> None:
    history, last = 3, 5
    made = network(history=history)
    pictures, audio = clip(last + 1)

    def of_last_frame(sound: Tensor) -> list[Tensor]:
        if streamed:
            seen = watch(made, pictures, sound)[-1]
            found = seen.candidates
            return [torch.as_tensor(x) for x in (found.embed, found.probabilities, found.cosine, seen.mask_embed)]
        return said_of(all_at_once(made, pictures, sound), slice(last, None))

    before = of_last_frame(audio)
    for heard_at in range(last + 1):
        louder = audio.clone()
        louder[heard_at] += 1.0
        after = of_last_frame(louder)
        reached = [x.shape for x in after] != [x.shape for x in before] or differ(before, after)
        assert reached == (heard_at > last - history), f"sound {last - heard_at} frames old"


def test_one_frame_of_history_is_a_network_that_hears_the_moment_only() -> None:
    made = network(history=1)
    pictures, audio = clip(4)
    alone = all_at_once(made, pictures[3:], audio[3:])
    seen = all_at_once(made, pictures, audio)
    for got, expected in zip(said_of(seen, slice(3, 4)), said_of(alone, slice(0, 1)), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def test_sound_reaches_the_cells_of_every_level() -> None:
    made = network()
    (pictures, audio), (_, others) = clip(2), clip(2, seed=1)
    fusion = made.localizer.fusion
    with torch.no_grad():
        levels = made.features(pictures[:1]).levels
        age = torch.zeros(1, 1)
        one, other = (fusion(levels, SoundSoFar(fusion.project(x[None, :1]), age)) for x in (audio, others))
    assert len(one) == 3
    for before, after, level in zip(one, other, levels, strict=True):
        assert before.shape == level.shape
        assert (before - after).abs().amax(dim=1).min() > 1e-4, "each of its cells"


def test_the_queries_begin_with_the_sound_of_their_frame() -> None:
    made = network(sees_everything=True)
    with torch.no_grad():
        for name, weight in made.localizer.fusion.blocks.named_parameters():
            if "attention.out" in name:  # what the cells attend to no longer reaches them
                weight.zero_()
    pictures, audio = clip(3)
    before = all_at_once(made, pictures, audio)
    louder = audio.clone()
    louder[1] += 1.0
    after = all_at_once(made, pictures, louder)
    changed = [differ(said_of(before, slice(t, t + 1)), said_of(after, slice(t, t + 1))) for t in range(3)]
    assert changed == [False, True, False]
    assert (before.frames.queries[0, 0, 1] - after.frames.queries[0, 0, 1]).abs().max() > 1e-3
    # the same sound is added to each query
    with torch.no_grad():
        begun, _ = made.localizer.begin([], audio)
        added = begun - made.localizer.query_feature
    torch.testing.assert_close(added, made.localizer.fusion.project(audio)[:, None].expand_as(added))


def test_the_anchor_is_the_frames_own_sound() -> None:
    made = network()
    pictures, audio = clip(3)
    muted = torch.cat([audio[:2], torch.zeros(1, 8)])
    before, after = (all_at_once(made, pictures, sound).anchor[0] for sound in (audio, muted))
    torch.testing.assert_close(before.norm(dim=-1), torch.ones(3))
    assert torch.equal(before[:2], after[:2])
    assert (before[2] - after[2]).abs().max() > 1e-2
    cosines = [watch(made, pictures, sound)[-1].candidates.cosine for sound in (audio, muted)]
    assert np.abs(cosines[0][:1] - cosines[1][:1]).max() > 1e-3


@pytest.mark.parametrize("every_layer", [False, True])
def test_layers_are_reminded_of_the_sound_if_the_configuration_says_so(every_layer: bool) -> None:
    made = network(audio_in_every_layer=every_layer)
    assert hasattr(made.localizer.layers[0], "audio_projection") == every_layer
    pictures, audio = clip(2)
    assert stream(made, pictures, audio)[0].size == (32, 64)


# --- candidates and tracks


def test_candidates_are_the_sure_queries_in_falling_score_or_else_the_best_one() -> None:
    pictures, audio = clip(1)

    def scores(limit: float) -> list[float]:
        made = network(candidate_score=limit, duplicate_iou=1.0)
        return [round(score, 5) for score in watch(made, pictures, audio)[0].candidates.scores.tolist()]

    every = scores(0.0)
    assert len(every) == 6
    assert every == sorted(every, reverse=True)
    between = (every[2] + every[3]) / 2
    assert scores(between) == every[:3]
    assert scores(1.0) == every[:1]


def test_what_is_drawn_twice_is_one_candidate() -> None:
    pictures, audio = clip(1)
    made = network(sees_everything=True, duplicate_iou=0.99)
    every = watch(network(sees_everything=True), pictures, audio)[0].candidates
    only = watch(made, pictures, audio)[0].candidates
    np.testing.assert_allclose(only.embed, every.embed[:1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(only.cosine, every.cosine[:1], rtol=0, atol=1e-6)


def test_what_is_left_of_the_candidates_keeps_its_own_mask() -> None:
    pictures, audio = clip(1)

    def masks(seen: Observation) -> np.ndarray[Any, Any]:
        drawn: np.ndarray[Any, Any] = (seen.mask_embed @ seen.mask_features.flatten(1) > 0).numpy()
        return drawn

    every, fewer = (watch(network(candidate_score=0.0, duplicate_iou=iou), pictures, audio)[0] for iou in (1.0, 0.5))
    places = [
        [row.tolist() for row in every.candidates.probabilities].index(row.tolist())
        for row in fewer.candidates.probabilities
    ]
    assert 1 < len(places) < 6
    assert places != list(range(len(places))), "one of them was dropped from the midst"
    torch.testing.assert_close(fewer.mask_embed, every.mask_embed[places])
    np.testing.assert_array_equal(masks(fewer), masks(every)[places])
    assert places == without_duplicates(masks(every), 0.5)


def test_tracks_are_told_from_when_they_are_heard_in_rising_id() -> None:
    pictures, audio = clip(8)
    made = network(duplicate_iou=0.9, gate=False, gate_threshold=0.4)
    frames = stream(made, pictures, audio)
    told = [{track.id: track for track in frame.tracks} for frame in frames]
    ids = [list(tracks) for tracks in told]
    assert ids == [sorted(one) for one in ids]
    assert max(ids[-1]) >= 2
    known = 0
    for tracks, frame in zip(told, frames, strict=True):
        fresh = [id for id in tracks if id > known]
        assert fresh == list(range(known + 1, known + 1 + len(fresh)))
        assert all(tracks[id].candidate is not None for id in fresh), "told for the first time because it sounds"
        known = max([known, *tracks])
        for track in tracks.values():
            assert 0 <= track.category < 3
            assert 0 < track.probability <= 1
            assert track.candidate is None or track.candidate < len(frame.mask_embed)
            # 0.4 to begin, three quarters of it to go on
            assert track.sounding >= 0.3 if track.candidate is not None else track.sounding <= 0.4


def test_what_is_told_is_in_rising_id_and_what_is_silent_has_no_candidate() -> None:
    """Two objects, made up: the one that is less sure at first is heard first."""
    made = network(gate=False, gate_threshold=0.5)
    looks = np.array([[9.0] + [0.0] * 15, [0.0, 9.0] + [0.0] * 14])

    def told(state: SeavisState, first: float, second: float) -> tuple[list[tuple[Any, ...]], SeavisState]:
        """With the probabilities of class 0 of the first object and of class 2 of the second."""
        order = [0, 1] if first > second else [1, 0]
        probabilities = np.array([[first, 0.05, 0.0], [0.0, 0.1, second]])[order]
        found = Candidates(probabilities, looks[order], np.zeros(2))
        seen = Observation(0.0, (32, 64), found, torch.zeros(2, 8), torch.zeros(8, 16, 32))
        frame, after = made.link(state, seen, made.rule())
        told = [(one.id, one.category, one.candidate, round(one.probability, 5), one.sounding) for one in frame.tracks]
        return told, after

    tracks, state = told(made.start(), 0.4, 0.3)
    assert tracks == []
    tracks, state = told(state, 0.4, 0.8)
    assert tracks == [(1, 2, 0, 0.8, 0.8)]
    tracks, state = told(state, 0.9, 0.6)
    assert tracks == [(1, 2, 1, 0.7, 0.6), (2, 0, 0, 0.9, 0.9)], "the probability is the mean so far"
    tracks, state = told(state, 0.9, 0.2)
    assert tracks == [(1, 2, None, 0.7, 0.2), (2, 0, 0, 0.9, 0.9)], "it is seen, and silent"
    assert (state.frames, state.named, len(state.tracks)) == (4, 2, 2)


def test_whether_it_is_gated_is_asked_for_or_the_configurations_habit() -> None:
    pictures, audio = clip(3)
    never: dict[str, Any] = {"gate_cosine": 1.0, "gate_softness": 0.001, "gate_threshold": 0.1}
    for gate in (False, True):
        made = network(gate=gate, **never)
        assert bool(stream(made, pictures, audio)[-1].tracks) == (not gate)
        assert bool(stream(made, pictures, audio, gated=False)[-1].tracks)
        assert not stream(made, pictures, audio, gated=True)[-1].tracks
    rule = network(**never).rule(gate_threshold=0.7)
    assert (rule.gated, rule.gate_threshold, rule.gate_cosine) == (True, 0.7, 1.0)


def test_numbers_of_objects_go_on_from_those_that_were_given() -> None:
    made = network(gate=False, gate_threshold=0.1)
    pictures, audio = clip(1)
    plain, _ = made.step(made.start(), pictures[0], audio[0])
    later, after = made.step(made.start(7), pictures[0], audio[0])
    assert [track.id for track in plain.tracks] == list(range(1, 1 + len(plain.tracks)))
    assert [track.id - 7 for track in later.tracks] == [track.id for track in plain.tracks]
    assert after.named == 7 + len(plain.tracks) > 7


def test_masks_between_token_frames_are_of_the_pictures_own_features() -> None:
    made = network()
    pictures, audio = clip(3)
    features = made.mask_features(pictures)
    assert features.shape == (3, 8, 16, 32)
    for frame, own in zip(stream(made, pictures, audio), features, strict=True):
        torch.testing.assert_close(frame.mask_features, own, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near(kind: torch.dtype) -> None:
    made = network(sees_everything=True)
    pictures, audio = clip(3)
    exact = watch(made, pictures, audio)[-1]
    with torch.autocast("cpu", kind):
        half = watch(made, pictures, audio)[-1]
    assert half.mask_features.dtype == kind
    assert half.mask_embed.dtype == torch.float32
    assert np.isfinite(half.candidates.embed).all()
    assert np.abs(half.candidates.embed - exact.candidates.embed).mean() < 0.02


# --- what cannot be


def test_what_is_no_frame_no_sound_and_no_later_time_is_refused() -> None:
    made = network()
    pictures, audio = clip(2)
    picture, sound = pictures[0], audio[0]
    state = made.start()
    for bad in (picture.float(), picture[:1], pictures, picture[:, :0]):
        with pytest.raises(UsageError, match=r"frames of shape .* expected"):
            made.step(state, bad, sound)
    for wrong in (sound[:-1], audio, sound[None]):
        with pytest.raises(UsageError, match=r"an audio embedding of shape .*, expected \(8,\)"):
            made.step(state, picture, wrong)
    with pytest.raises(UsageError, match="frames of shape"):
        made.mask_features(picture)
    _, state = made.step(state, picture, sound, time=2.0)
    for time in (2.0, 1.5, -3.0):
        with pytest.raises(UsageError, match=rf"a frame at {time:g} s after one at 2 s"):
            made.step(state, picture, sound, time=time)
    assert made.step(state, picture, sound, time=2.01)[0].time == 2.01


def test_without_an_audio_encoder_sound_has_to_come_embedded() -> None:
    with pytest.raises(UsageError, match="no audio encoder"):
        network().embed_log_mel(torch.zeros(1, 96, 64))
    assert network(audio="own").embed_log_mel(torch.zeros(2, 96, 64)).shape == (2, 8)


def test_the_end_of_the_second_goes_in_apart_if_the_configuration_says_so() -> None:
    """With nothing but what is read of the end, sound of the first two thirds makes no difference."""
    wide, narrow = (network(audio="own", latest_sound=latest).audio_encoder for latest in (True, False))
    assert isinstance(wide, AudioEncoder)
    assert isinstance(narrow, AudioEncoder)
    known = narrow.linear1.in_features
    assert wide.linear1.in_features == known * 3 // 2
    patches = torch.randn(1, 96, 64, generator=torch.Generator().manual_seed(0))
    early, late = patches.clone(), patches.clone()
    early[:, :64] += 1.0
    late[:, 70:] += 1.0
    with torch.no_grad():
        wide.linear1.weight[:, :known] = 0.0
        before, after_early, after_late = (wide(x) for x in (patches, early, late))
    assert torch.equal(before, after_early)
    assert (before - after_late).abs().max() > 1e-3


# --- no growth


class Plain(nn.Module):
    """A backbone and pixel decoder that only shrink the picture."""

    def forward(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            return [nn.functional.avg_pool2d(x, 8)]
        fine = x[0].repeat(1, 6, 1, 1)
        coarse = fine[:, :16]
        return PixelFeatures((coarse[..., :1, :1], coarse[..., :2, :2], coarse), fine[:, :8])


def test_neither_memory_nor_work_grow_with_the_frames() -> None:
    """2000 frames, 250 times what is remembered, with hardly any backbone: 10 000 are half a minute of the same. That
    association stays as it is over 10 000 frames is tested with its rule."""
    torch.manual_seed(0)
    config = replace(CONFIG, history=8, track_life=2, memory=3, frame_layers=1, frame_queries=3, duplicate_iou=1.0)
    built = build(config)
    made = Seavis(config, Plain(), Plain(), built.localizer).eval().requires_grad_(False)  # type: ignore[arg-type]
    pictures, audio = clip(31)
    pictures = pictures[..., :32]
    state, sizes, tracks, work = made.start(), [], [], []
    for number in range(2000):
        with FlopCounterMode(display=False) if number in (10, 1999) else nullcontext() as counter:
            _, state = made.step(state, pictures[number % 31], audio[number % 29])
        if counter is not None:
            work.append(counter.get_total_flops())
        if number % 10 == 0:
            # storages are pickled whole: what a view keeps alive counts
            sizes.append(len(pickle.dumps(state)))
            tracks.append(len(state.tracks))
    assert len(state.sound.times) == 8
    assert state.sound.heard.untyped_storage().nbytes() <= 9 * 16 * 4
    assert state.frames == 2000
    assert max(tracks) >= 2
    assert max(sizes[100:]) <= 1.1 * max(sizes[:20])
    assert work[0] == work[1] > 0


# --- descriptions


@pytest.mark.parametrize("preset", PRESETS)
def test_a_description_survives_json(preset: str) -> None:
    config = PRESETS[preset]
    assert SeavisConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert find_preset(preset).config is config
    assert find_system("seavis").kind == "online"


def test_every_number_of_a_description_has_a_range() -> None:
    ranges = {name for base in SeavisConfig.__mro__ for name in vars(base).get("RANGES", {})}
    numbers = {field.name for field in fields(SeavisConfig) if "int" in str(field.type) or "float" in str(field.type)}
    assert numbers == ranges


def test_the_small_preset_hears_the_second_that_ends_and_the_large_one_the_second_that_begins() -> None:
    assert PRESETS["seavis-tiny"].sound_lookahead == 0.0
    assert PRESETS["seavis-r50"].sound_lookahead == 1.0
    assert PRESETS["seavis-tiny"].history == 64


def test_the_small_preset_is_built_and_goes_from_frame_to_frame() -> None:
    made = build(PRESETS["seavis-tiny"]).eval()
    picture = torch.zeros(3, 32, 64, dtype=torch.uint8)
    audio = made.embed_log_mel(torch.zeros(1, 96, 64))[0]
    state: SeavisState = made.start()
    frame, state = made.step(state, picture, audio)
    assert (frame.time, state.frames) == (0.0, 1)
    assert frame.mask_features.shape == (32, 16, 32)
