"""What refinement does to the candidates of a clip, on mask logits that are drawn by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from avis_cli.errors import UsageError
from avis_cli.inference.aurora import BLANK, dice, refine, route
from avis_cli.inference.clip_frames import Sampling
from avis_cli.inference.model import Model
from avis_cli.inference.segment_clip import ClipMasks, ClipSettings, segment_clip
from avis_cli.inference.track_accumulator import TrackAccumulator
from avis_cli.models.system import ClipConfig
from avis_cli.models.tokens import FrameTokens, TrackQueries
from avis_cli.results import run_length
from avis_cli.results.source import Source
from avis_cli.segment import describe

SIDE = 8
SURE, UNSURE = 6.0, 0.4


class TwoLevels(ClipConfig):
    refinements: ClassVar[tuple[str, ...]] = ("aurora",)


def box(left: int, right: int, value: float = SURE) -> Tensor:
    """Logits (8, 8): ``value`` in rows 2 to 5 of these columns, far below 0 elsewhere."""
    out = torch.full((SIDE, SIDE), -9.0)
    out[2:6, left:right] = value
    return out


NOWHERE = box(0, 0)


@dataclass
class Drawn:
    """A clip by its mask logits. ``video``: by moment those of the one video query; ``frame``: by moment those of the
    frame queries; ``similar``: by token frame, how much each frame query is the same object, as a logit; ``heard``: by
    token frame. A moment is a frame at ``mask_fps``."""

    video: Sequence[Tensor]
    frame: Sequence[Sequence[Tensor]]
    similar: Sequence[Sequence[float]]
    heard: Sequence[float] | None = None
    mask_fps: int = 1
    probability: float = 0.9
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def config(self) -> ClipConfig:
        queries = len(self.similar[0])
        return TwoLevels(name="drawn", categories=("bell",), size_divisor=1, width=4, frame_queries=queries)

    def batches(self, rate: Fraction | None) -> Iterator[tuple[list[Fraction], np.ndarray]]:
        for number in range(0, len(self.video), 1 if rate == self.mask_fps else self.mask_fps):
            yield [Fraction(number, self.mask_fps)], np.full((1, 3, SIDE, SIDE), number, np.uint8)

    def embed(self, times: Sequence[Fraction]) -> Tensor:
        return torch.tensor([[float(time)] for time in times])

    def mask_features(self, frames: Any, *, frame_masks: bool = False) -> Tensor:
        maps = []
        for moment in np.asarray(frames)[:, 0, 0, 0].tolist():
            own = [self.video[moment]] + [NOWHERE] * (len(self.frame[0]) - 1)
            maps.append(torch.stack([*own, *self.frame[moment]] if frame_masks else own))
        return torch.stack(maps)

    def localize(self, frames: Any, audio: Any, *, frame_masks: bool = False) -> FrameTokens:
        queries = len(self.similar[0])
        embed = torch.eye(queries).expand(len(audio), -1, -1)
        logits = torch.zeros(len(audio), queries, 2)
        features = self.mask_features(frames, frame_masks=frame_masks)
        size = (SIDE, SIDE)
        return FrameTokens(embed, logits, audio, features, size, mask_embed=embed if frame_masks else None)

    def track(self, tokens: FrameTokens) -> TrackQueries:
        logits = torch.tensor([[self.probability, 1 - self.probability]]).log()
        seconds = [int(time) for time in tokens.audio[:, 0]]
        alike = torch.tensor([self.similar[second] for second in seconds])[..., None]
        return TrackQueries(logits, torch.eye(1, len(self.similar[0])), torch.ones(1, 1), alike)

    def sounding(self, tokens: FrameTokens, tracks: Any, queries: Tensor, classes: Tensor) -> Tensor:
        values = self.heard or [1.0] * len(self.similar)
        return torch.tensor([[values[int(time)] for time in tokens.audio[:, 0]]])[: len(queries)]


class Frames:
    def __init__(self, clip: Drawn) -> None:
        self.sampling, self.batches = Sampling(Fraction(1), Fraction(clip.mask_fps)), clip.batches

    def expected(self, rate: Fraction | None) -> None:
        return None


def run(clip: Drawn, how: str = "aurora", **settings: Any) -> ClipMasks:
    wanted = ClipSettings((SIDE, SIDE), 0.3, **{"gate": False, "refine": how, **settings})
    return segment_clip(clip, Frames(clip), clip.embed, wanted)  # type: ignore[arg-type]


def columns(found: ClipMasks) -> list[list[int] | None]:
    """By frame, the columns of the one candidate's mask."""
    (masks,) = found.masks
    return [None if mask is None else np.flatnonzero(run_length.decode(mask).any(0)).tolist() for mask in masks]


def one_frame(video: Tensor, frame: Tensor, similar: float = 1.0, **more: Any) -> Drawn:
    return Drawn([video], [[frame]], [[similar]], **more)


def test_without_support_in_any_frame_nothing_is_kept() -> None:
    clip = one_frame(box(0, 4), box(4, 8))
    assert run(clip, "none").scores[0] > 0.85
    found = run(clip)
    assert columns(found) == [None]
    assert found.admission == [0.0]
    assert found.scores == [0.0]


def test_a_frame_without_support_is_blank_at_every_size_and_its_neighbours_are_not() -> None:
    clip = Drawn([box(0, 4)] * 3, [[box(0, 4)], [box(5, 8)], [box(2, 4)]], [[1.0]] * 3)
    shown = columns(run(clip))
    assert [part is None for part in shown] == [False, True, False]
    larger = segment_clip(clip, Frames(clip), clip.embed, ClipSettings((50, 70), 0.3, False, refine="aurora"))  # type: ignore[arg-type]
    assert [mask is None for mask in larger.masks[0]] == [False, True, False]


def test_a_frame_without_support_is_blank_whatever_the_routing_says() -> None:
    for similar in (-1.0, 1.0):
        assert columns(run(one_frame(box(0, 4), box(4, 8), similar))) == [None]


def test_supported_masks_are_averaged_where_both_are_the_same_object() -> None:
    frame = box(2, 6)
    frame[frame < 0] = -1.0  # the video level is surer of its part than the frame level is against it
    both = refine(box(0, 4)[None], frame[None], torch.tensor([True]))
    assert torch.equal(both.logits[0], (box(0, 4) + frame) / 2)
    alone = refine(box(0, 4)[None], frame[None], torch.tensor([False]))
    assert torch.equal(alone.logits[0], box(0, 4))
    assert columns(run(one_frame(box(0, 4), frame, -1.0))) == [[0, 1, 2, 3]]
    assert columns(run(one_frame(box(0, 4), frame, 1.0))) == [[0, 1, 2, 3]]


def test_the_score_is_the_admission_times_the_dice_over_the_clip() -> None:
    # frames of 16 and 8 cells: sums over the frames, not a mean of two Dices
    clip = Drawn([box(0, 4), box(0, 2)], [[box(2, 6)], [box(0, 2)]], [[-1.0]] * 2)
    found, before = run(clip), run(clip, "none")
    agreement = 2 * (8 + 8) / (16 + 16 + 8 + 8)
    assert found.admission == pytest.approx(before.scores)
    assert found.scores == pytest.approx([before.scores[0] * agreement])


def test_frames_without_support_do_not_lower_the_dice() -> None:
    clip = Drawn([box(0, 4)] * 2, [[box(0, 4)], [box(4, 8)]], [[1.0]] * 2)
    found = run(clip)
    assert found.admission is not None
    assert found.scores == pytest.approx(found.admission)


def test_what_is_admitted_is_reported_with_a_score_under_the_threshold() -> None:
    found = run(one_frame(box(0, 8), box(7, 8), -1.0))
    assert found.admission is not None
    assert found.admission[0] > 0.8
    assert 0 < found.scores[0] < 0.3
    source = Source("", SIDE, SIDE, 0, 1.0, "1/1", None)
    model: Any = type("Named", (), {"name": "drawn", "weights_sha256": None, "precision": "fp32"})()
    model.config = one_frame(NOWHERE, NOWHERE).config
    result = describe(model, source, Sampling(Fraction(1), Fraction(1)), 0.3, found)
    assert [track.score for track in result.tracks] == pytest.approx(found.scores)


def test_the_quality_is_that_of_the_refined_masks() -> None:
    mean = 0.9 / (1 + float(np.exp(-(UNSURE + SURE) / 2)))
    whole = torch.full((SIDE, SIDE), UNSURE), torch.full((SIDE, SIDE), SURE)  # nothing between inside and outside
    for video, frame in (whole, whole[::-1]):
        before, after = run(one_frame(video, frame), "none"), run(one_frame(video, frame))
        assert after.admission == pytest.approx([mean], abs=1e-4)
        assert before.scores != pytest.approx([mean], abs=0.02)


def test_a_class_that_is_too_unlikely_is_not_drawn_at_all() -> None:
    assert run(one_frame(box(0, 4), box(0, 4), probability=0.25)).masks == []


def test_each_token_frame_has_its_own_route() -> None:
    left, right = box(0, 4), box(4, 8)
    clip = Drawn([left, right], [[left, right], [left, right]], [[2.0, 1.0], [1.0, 2.0]])
    assert columns(run(clip)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    swapped = Drawn([left, right], [[left, right], [left, right]], [[1.0, 2.0], [2.0, 1.0]])
    assert columns(run(swapped)) == [None, None]


def test_mask_frames_between_token_frames_take_the_route_of_the_one_before() -> None:
    left, right = box(0, 4), box(4, 8)
    # two a second; the routes of the two token frames differ, the masks of the frame queries move meanwhile
    frames = [[left, right], [left, right], [right, left], [left, right]]
    clip = Drawn([left] * 4, frames, [[2.0, 1.0], [1.0, 2.0]], mask_fps=2)
    found = run(clip)
    assert [part is not None for part in columns(found)] == [True, True, True, False]
    assert found.admission is not None
    assert found.scores == pytest.approx(found.admission), "of the frames that are drawn, also between token frames"
    apart = [[left, right], [box(3, 8), right], [right, left], [left, right]]
    assert run(Drawn([left] * 4, apart, [[2.0, 1.0], [1.0, 2.0]], mask_fps=2)).scores[0] < found.scores[0]


def test_the_gate_blanks_first_and_the_rest_is_refined() -> None:
    clip = Drawn([box(0, 4)] * 3, [[box(0, 4)], [box(2, 6)], [box(4, 8)]], [[-1.0]] * 3, heard=[1.0, 0.0, 1.0])
    gated, open_ = run(clip, gate=True), run(clip)
    assert [part is not None for part in columns(open_)] == [True, True, False]
    assert [part is not None for part in columns(gated)] == [True, False, False]
    assert gated.sounding is not None
    assert gated.admission is not None
    assert open_.admission is not None
    assert gated.scores == pytest.approx(gated.admission), "the frame that is not heard is no part of the Dice"
    assert open_.scores[0] == pytest.approx(open_.admission[0] * 2 * (16 + 8) / (32 + 32))


class UnderTwoClasses(Drawn):
    """The video query is as likely of another class, which is heard in the first token frame only."""

    @property
    def config(self) -> ClipConfig:
        return TwoLevels(name="two", categories=("bell", "drum"), size_divisor=1, width=4, frame_queries=1)

    def track(self, tokens: FrameTokens) -> TrackQueries:
        return replace(super().track(tokens), class_logits=torch.tensor([[0.45, 0.45, 0.1]]).log())

    def sounding(self, tokens: FrameTokens, tracks: Any, queries: Tensor, classes: Tensor) -> Tensor:
        return torch.tensor([[1.0, 1.0], [1.0, 0.0]])[classes]


def test_a_query_under_two_classes_agrees_where_each_is_heard() -> None:
    clip = UnderTwoClasses([box(0, 4)] * 2, [[box(0, 4)], [box(2, 6)]], [[-1.0]] * 2)
    found = run(clip, gate=True)
    assert found.admission is not None
    agreement = [score / admission for score, admission in zip(found.scores, found.admission, strict=True)]
    wanted = {0: 2 * (16 + 8) / 64, 1: 1.0}
    assert dict(zip(found.classes, agreement, strict=True)) == pytest.approx(wanted)


def test_sound_moves_the_similarity_of_all_tokens_of_a_frame_alike() -> None:
    tokens = torch.tensor([[[1.0], [3.0]], [[2.0], [1.0]]])  # (T, Q, C)
    plain = TrackQueries(torch.zeros(1), torch.zeros(1), torch.ones(1, 1), tokens)
    heard = TrackQueries(torch.zeros(1), torch.zeros(1), torch.ones(1, 1), tokens, torch.tensor([[-5.0], [0.5]]))
    query = torch.tensor([0])
    assert route(plain, query).frame_queries.tolist() == route(heard, query).frame_queries.tolist() == [[1, 0]]
    assert route(plain, query).positive.tolist() == [[True, True]]
    assert route(heard, query).positive.tolist() == [[False, True]]
    assert route(heard, query).similarity.tolist() == [[-2.0, 2.5]]


logits = st.lists(st.floats(-3, 3, width=32), min_size=4, max_size=4).map(
    lambda values: torch.tensor(values).view(2, 2)
)


@given(logits, logits, st.booleans())
def test_a_supported_frame_is_not_empty_and_another_is_blank(video: Tensor, frame: Tensor, positive: bool) -> None:
    done = refine(video[None], frame[None], torch.tensor([positive]))
    if done.supported:
        assert (done.logits > 0).any()
        assert 0 < dice(done.common, done.video, done.frame) <= 1
    else:
        assert (done.logits == BLANK).all()
        assert dice(done.common, done.video, done.frame) == 0


def test_windows_are_combined_by_their_pixels() -> None:
    tracks = TrackAccumulator()
    tracks.close([0], [1], [0.8], [100.0], [0.5])
    tracks.close([0], [1], [0.4], [300.0], [1.0])
    (track,) = tracks.finished()
    assert track.admission == pytest.approx(0.5)
    assert track.score == pytest.approx((0.8 * 0.5 * 100 + 0.4 * 300) / 400)
    tracks.forget([], 0.45)
    assert len(tracks.finished()) == 1, "what is held against the threshold is not the reported score"
    tracks.forget([], 0.5)
    assert tracks.finished() == []


def test_several_windows_are_refined_each() -> None:
    clip = Drawn([box(0, 4)] * 40, [[box(0, 4)]] * 20 + [[box(2, 6)]] * 20, [[-1.0]] * 40)
    parts = run(clip, window=20)
    assert parts.admission is not None
    assert parts.scores[0] < parts.admission[0]
    assert run(clip).scores[0] == pytest.approx(run(clip).admission[0] * 0.75)  # type: ignore[index]


def test_a_system_without_a_frame_level_is_refused_before_anything_is_computed() -> None:
    class OneLevel(Drawn):
        @property
        def config(self) -> ClipConfig:
            return ClipConfig(name="flat", categories=("bell",), size_divisor=1, width=4, frame_queries=1)

        def localize(self, *given: Any, **more: Any) -> FrameTokens:
            pytest.fail("computed")

    with pytest.raises(UsageError, match=r"^flat cannot refine masks by aurora, .*; leave out --refine"):
        run(OneLevel([NOWHERE], [[NOWHERE]], [[1.0]]))


def test_no_evidence_is_recorded_of_refined_masks() -> None:
    with pytest.raises(ValueError, match="as the network draws them"):
        run(one_frame(box(0, 4), box(0, 4)), record=True)


def test_frame_masks_are_there_where_they_are_asked_for(tiny_model: Model) -> None:
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 255, (3, 3, 64, 96), np.uint8)
    audio = generator.random((3, 128), np.float32)
    plain, both = tiny_model.localize(frames, audio), tiny_model.localize(frames, audio, frame_masks=True)
    channels = tiny_model.network.config.mask_width
    assert plain.mask_embed is None
    assert plain.mask_features.shape[1] == channels
    assert both.mask_embed is not None
    assert both.mask_embed.shape == (3, tiny_model.config.frame_queries, channels)
    assert torch.equal(both.mask_features[:, :channels], plain.mask_features)
    assert torch.equal(tiny_model.mask_features(frames, frame_masks=True), both.mask_features)
    network = tiny_model.network
    with torch.inference_mode():
        wanted = network.localizer.mask_features(network.features(torch.from_numpy(frames)))
        assert torch.allclose(both.mask_features[:, channels:], wanted, atol=1e-5)
        assert torch.allclose(both.mask_embed, network.localizer.mask_head(both.queries), atol=1e-5)
    again = FrameTokens.join([both.part(0, 1).copy(), both.part(1, 3).without_masks().copy()])
    assert again.mask_embed is not None
    assert torch.equal(again.mask_embed, both.mask_embed)
    added = tiny_model.track(both).audio_similarity
    assert added is not None
    with torch.inference_mode():
        tracker = network.tracker
        heard = tracker(both.queries[None], both.audio[None])[2]
        bias = tracker.token_similarity_head(heard[0]) - tracker.token_similarity_head(torch.zeros_like(heard[0]))
    assert torch.allclose(added, bias, atol=1e-5)
