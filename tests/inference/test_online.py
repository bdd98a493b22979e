"""Clips through an online model: what is drawn when, which objects are told, and what is refused.

The models here know the answer by heart; no network is trained or drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import media_factory
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import avis_cli
from avis_cli.errors import AvisError, UsageError
from avis_cli.inference.clip_frames import Sampling
from avis_cli.inference.model import Model
from avis_cli.inference.segment_clip import ClipMasks, ClipSettings, segment_clip
from avis_cli.models.system import OnlineConfig
from avis_cli.models.tokens import OnlineFrame, OnlineTrack
from avis_cli.results import run_length
from avis_cli.segment import segment_frames

CONFIG = OnlineConfig(
    name="scripted", categories=("bell", "drum", "bird"), short_side=64, long_side=96, masks_every_frame=True,
    audio="own", audio_width=1,
)  # fmt: skip
HEIGHT, WIDTH = 64, 96
THINGS = 3
SURE = 12.0  # logit of a mask: its sigmoid is 1 but for 6 in a million


@dataclass(frozen=True)
class Said:
    """What the model says of one object at a token frame. ``thing``: what it is drawn by; ``probability`` of its
    ``category``; ``sounds``: whether it has a candidate; ``logit`` inside its mask; ``size``: of what is drawn."""

    id: int
    thing: int
    probability: float = 0.9
    category: int = 0
    sounds: bool = True
    logit: float = SURE


Script = Callable[[int], Sequence[Said]]
"""Number of a token frame -> what is said of it."""


def box(thing: int, time: Fraction) -> np.ndarray:
    """Where a thing is: each in rows of its own, further right every quarter of a second."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    left = (thing + int(4 * time)) % 60
    mask[20 * thing : 20 * thing + 10 + 5 * thing, left : left + 20] = True
    return mask


@dataclass
class World:
    """A picture of things, and the online model that goes by ``script``. ``turned``: seconds from which on the picture
    is another one. ``asked``: the times and gates of token frames, ``drawn``: how many pictures need mask features."""

    script: Script
    seconds: int = 6
    fps: Fraction = Fraction(1)
    mask_fps: Fraction = Fraction(1)
    turned: float = math.inf
    config: OnlineConfig = CONFIG
    paint: Callable[[int, Fraction], np.ndarray] = box
    asked: list[tuple[float, float, bool | None]] = field(default_factory=list)
    drawn: int = 0

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.fps, self.mask_fps)

    def expected(self, rate: Fraction | None) -> int | None:
        return None

    def batches(self, rate: Fraction) -> Iterator[tuple[list[Fraction], np.ndarray]]:
        times = [number / rate for number in range(math.ceil(self.seconds * rate))]
        for first in range(0, len(times), 4):
            part = times[first : first + 4]
            yield part, np.stack([self.picture(time) for time in part])

    def picture(self, time: Fraction) -> np.ndarray:
        """One bit for each thing, in the red channel."""
        image = np.zeros((3, HEIGHT, WIDTH), np.uint8)
        for thing in range(THINGS):
            mask = self.paint(thing, time)
            image[0] |= (mask if time < self.turned else mask[::-1]).astype(np.uint8) << thing
        return image

    def embed(self, times: Sequence[Fraction]) -> np.ndarray:
        return np.array([[float(time)] for time in times], np.float32)

    def start(self, named: int = 0) -> int:
        return 0

    def step(self, state: int, frame: Any, audio: Any, *, time: float | None = None) -> Any:
        raise NotImplementedError

    def observe(
        self, state: int, frame: Any, audio: Any, *, time: float | None = None, gated: bool | None = None
    ) -> tuple[OnlineFrame, int]:
        assert time is not None
        self.asked.append((time, float(audio[0]), gated))
        said = self.script(state)
        # candidates are in an order of their own
        sounding = [one for one in reversed(said) if one.sounds]
        rows = {one.id: row for row, one in enumerate(sounding)}
        tracks = tuple(
            OnlineTrack(one.id, one.category, one.probability, float(one.sounds), rows.get(one.id)) for one in said
        )
        embed = torch.zeros(len(sounding), THINGS)
        for row, one in enumerate(sounding):
            embed[row, one.thing] = one.logit
        return OnlineFrame(time, (HEIGHT, WIDTH), tracks, embed, self._features(np.asarray(frame)[None])[0]), state + 1

    def mask_features(self, frames: Any) -> Tensor:
        self.drawn += len(frames)
        return self._features(np.asarray(frames))

    def _features(self, frames: np.ndarray) -> Tensor:
        bits = torch.from_numpy(frames[:, 0].astype(np.int64))
        return torch.stack([torch.where(bits >> thing & 1 > 0, 1.0, -1.0) for thing in range(THINGS)], dim=1)


def run(world: World, threshold: float = 0.3, **settings: Any) -> ClipMasks:
    wanted = ClipSettings((HEIGHT, WIDTH), threshold, **settings)
    return segment_clip(world, world, world.embed, wanted)  # type: ignore[arg-type]


def pixels(mask: Any) -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH), bool) if mask is None else run_length.decode(mask).astype(bool)


def always(*said: Said) -> Script:
    return lambda number: said


def one_with(probabilities: Sequence[float], **changes: Any) -> Script:
    """One object, its class as sure as ``probabilities`` say second by second."""
    return lambda number: [Said(1, 0, probabilities[number], **changes)]


# --- what is drawn when


def test_between_token_frames_masks_are_drawn_from_the_last_embedding() -> None:
    # by turns the object is drawn by one thing and by another
    world = World(lambda number: [Said(1, number % 2)], mask_fps=Fraction(4))
    found = run(world)
    assert found.times == [Fraction(number, 4) for number in range(24)]
    (masks,) = found.masks
    for time, mask in zip(found.times, masks, strict=True):
        np.testing.assert_array_equal(pixels(mask), box(int(time) % 2, time), err_msg=f"at {float(time)} s")


def test_token_frames_are_asked_for_in_order_with_their_sound_and_drawn_once() -> None:
    world = World(always(Said(1, 0)), mask_fps=Fraction(4))
    run(world, gate=True)
    assert world.asked == [(float(second), float(second), True) for second in range(6)]
    assert world.drawn == 24 - 6, "token frames bring their own features"
    run(ungated := World(always()), gate=False)
    assert [gated for _, _, gated in ungated.asked] == [False] * 6
    run(unasked := World(always()))
    assert [gated for _, _, gated in unasked.asked] == [None] * 6


def test_nothing_is_computed_for_frames_in_which_nothing_is_told() -> None:
    world = World(lambda number: [Said(1, 0, sounds=number == 1), Said(2, 1, probability=0.1)], mask_fps=Fraction(4))
    run(world)
    assert world.drawn == 3


def test_token_frames_between_two_masks_count_and_the_last_one_is_drawn() -> None:
    world = World(lambda number: [Said(1, number % 3)], seconds=5, mask_fps=Fraction(1, 2))
    found = run(world)
    assert found.times == [0, 2, 4]
    assert len(world.asked) == 5
    (masks,), (spans,) = found.masks, found.sounding or []
    for time, mask in zip(found.times, masks, strict=True):
        np.testing.assert_array_equal(pixels(mask), box(int(time) % 3, time))
    assert spans == [(0.0, 5.0)]
    assert world.drawn == 0


def test_token_frames_after_the_last_mask_count_too() -> None:
    """As they do for models that see clips whole: what sounds does not hang on how often masks are drawn."""
    world = World(lambda number: [Said(1, 0)] if number == 5 else [], mask_fps=Fraction(1, 2))
    found = run(world)
    assert found.times == [0, 2, 4]
    assert found.sounding == [[(5.0, 6.0)]]
    assert found.scores == [pytest.approx(0.9, abs=1e-4)]
    assert list(found.masks[0]) == [None] * 3


def test_a_mask_frame_before_the_first_token_frame_has_no_mask() -> None:
    world = World(always(Said(1, 0)), seconds=2, mask_fps=Fraction(2))

    class Late(World):
        def batches(self, rate: Fraction) -> Iterator[tuple[list[Fraction], np.ndarray]]:
            for times, images in super().batches(rate):
                late = Fraction(3, 4) if rate == self.fps else Fraction(0)
                yield [time + late for time in times], images

    found = run(Late(**vars(world)))
    assert [mask is None for mask in found.masks[0]] == [True, True, False, False]


def test_an_object_without_a_pixel_has_no_mask_in_that_frame() -> None:
    def fading(thing: int, time: Fraction) -> np.ndarray:
        return box(thing, time) if time < 2 else np.zeros((HEIGHT, WIDTH), bool)

    found = run(World(always(Said(1, 0)), seconds=3, paint=fading))
    assert [mask is None for mask in found.masks[0]] == [False, False, True]


def test_several_objects_have_a_mask_each_and_silent_ones_none() -> None:
    def script(number: int) -> list[Said]:
        return [Said(1, 2, sounds=number != 1), Said(2, 0, category=2), Said(4, 1, sounds=False)]

    found = run(World(script, seconds=3))
    first, second = found.masks
    assert len(found.masks) == 2, "what never sounds is no track"
    assert [mask is None for mask in first] == [False, True, False]
    np.testing.assert_array_equal(pixels(second[1]), box(0, Fraction(1)))
    assert found.classes == [0, 2]
    assert found.sounding == [[(0.0, 1.0), (2.0, 3.0)], [(0.0, 3.0)]]


def test_specks_are_taken_out_of_masks_if_asked_for() -> None:
    def with_a_speck(thing: int, time: Fraction) -> np.ndarray:
        mask = box(thing, time)
        mask[60 if thing == 0 else 0, 90] = True
        return mask

    for mask_fps in (Fraction(1), Fraction(2)):
        world = World(always(Said(1, 0)), seconds=2, mask_fps=mask_fps, paint=with_a_speck)
        plain, clean = run(world).masks[0], run(world, clean=True).masks[0]
        for time, dirty, cleaned in zip(run(world).times, plain, clean, strict=True):
            np.testing.assert_array_equal(pixels(dirty), with_a_speck(0, time))
            np.testing.assert_array_equal(pixels(cleaned), box(0, time))


def test_an_empty_clip_has_nothing_in_it() -> None:
    told: list[tuple[str, int, int | None]] = []
    world = World(always(Said(1, 0)), seconds=0)
    wanted = ClipSettings((HEIGHT, WIDTH))
    found = segment_clip(world, world, world.embed, wanted, lambda *step: told.append(step))  # type: ignore[arg-type]
    assert (found.times, found.masks, found.scores, found.sounding) == ([], [], [], [])
    assert told == [("segmenting", 0, None)]
    assert world.asked == []


def test_the_progress_is_the_mask_frames_that_are_done() -> None:
    told: list[int] = []
    world = World(always(Said(1, 0)), seconds=3, mask_fps=Fraction(2))
    wanted = ClipSettings((HEIGHT, WIDTH))
    segment_clip(world, world, world.embed, wanted, lambda phase, done, total: told.append(done))  # type: ignore[arg-type]
    assert told == [0, 4, 6]


def test_what_is_no_number_is_no_silence() -> None:
    with pytest.raises(AvisError, match="output is not finite"):
        run(World(always(Said(1, 0, logit=math.nan))))


# --- nothing of the future


@pytest.mark.parametrize("mask_fps", [Fraction(4), Fraction(1), Fraction(1, 2)])
def test_what_comes_later_changes_nothing_of_what_was_told(mask_fps: Fraction) -> None:
    sure = [0.2, 0.5, 0.5, 0.1, 0.9, 0.9]

    def script(number: int) -> list[Said]:
        return [Said(1, number % 3, sure[number]), Said(2, 1, category=1, sounds=number > 1)]

    def otherwise(number: int) -> list[Said]:
        # the first is another class that is never sure, the second something else, a third is there
        return list(script(number)) if number < 3 else [Said(1, 2, 0.01, 2), Said(2, 0, 0.1, sounds=False), Said(3, 1)]

    before, after = (
        run(World(what, mask_fps=mask_fps, turned=turned)) for what, turned in ((script, math.inf), (otherwise, 3.0))
    )
    assert before.times == after.times
    early = sum(time < 3 for time in before.times)
    assert early > 1
    for one, other in zip(before.masks, after.masks, strict=False):
        assert list(one[:early]) == list(other[:early])
    assert any(mask is not None for masks in before.masks for mask in list(masks)[:early])

    def until_then(found: ClipMasks) -> list[list[tuple[float, float]]]:
        assert found.sounding is not None
        return [[(first, min(last, 3.0)) for first, last in spans if first < 3] for spans in found.sounding]

    assert until_then(before) == until_then(after)[:2] == [[(1.0, 3.0)], [(2.0, 3.0)]]
    assert before.scores != after.scores[:2], "what is said in the end may differ"


# --- which objects are told


def test_an_object_is_told_in_the_seconds_in_which_it_is_sure_enough_and_not_before() -> None:
    world = World(one_with([0.2, 0.3, 0.31, 0.6, 0.1, 0.5]), mask_fps=Fraction(2))
    found = run(world, threshold=0.3)
    assert found.sounding == [[(2.0, 4.0), (5.0, 6.0)]]
    shown = [float(time) for time, mask in zip(found.times, found.masks[0], strict=True) if mask is not None]
    assert shown == [2.0, 2.5, 3.0, 3.5, 5.0, 5.5]
    assert found.scores == [pytest.approx(0.5, abs=1e-4)], "the probability is the last one"
    assert found.admission == [1.0], "what was told stays, whatever its score in the end"
    assert run(world, threshold=0.7).masks == []


def test_the_score_is_the_mean_over_all_pixels_of_its_masks_so_far() -> None:
    # boxes of 200 and 300 pixels by turns; in the first second the mask is drawn with a sigmoid of 0.55, then 0.7
    def script(number: int) -> list[Said]:
        sigmoid = [0.55, 0.7, 0.55][number]
        return [Said(1, number % 2, 1.0, logit=math.log(sigmoid / (1 - sigmoid)))]

    means = [0.55, (200 * 0.55 + 300 * 0.7) / 500, (200 * 0.55 + 300 * 0.7 + 200 * 0.55) / 700]  # 0.55, 0.64, 0.614
    for threshold, spans in ((0.5, (0.0, 3.0)), (0.6, (1.0, 3.0)), (0.63, (1.0, 2.0))):
        found = run(World(script, seconds=3), threshold)
        assert found.sounding == [[spans]]
        assert found.scores == [pytest.approx(means[-1], abs=1e-5)]
    assert run(World(script, seconds=3), 0.645).masks == []


def test_only_frames_in_which_it_sounds_count() -> None:
    world = World(lambda number: [Said(1, 0, 0.8, sounds=number == 0, logit=0.5)], seconds=3)
    assert run(world).scores == [pytest.approx(0.8 / (1 + math.exp(-0.5)), abs=1e-5)]


def test_frames_between_token_frames_show_and_do_not_score() -> None:
    # between the token frames there is much more to see, which would weigh
    def growing(thing: int, time: Fraction) -> np.ndarray:
        return box(thing, time) if time.denominator == 1 else np.ones((HEIGHT, WIDTH), bool)

    def script(number: int) -> list[Said]:
        return [Said(1, 0, 1.0, logit=0.4 if number else 2.0)]

    plain, often = (run(World(script, seconds=2, mask_fps=Fraction(n), paint=growing)) for n in (1, 4))
    assert plain.scores == often.scores
    assert pixels(often.masks[0][1]).all()


def test_seconds_go_by_the_rate_of_the_token_frames() -> None:
    world = World(
        lambda number: [Said(1, 0, sounds=number in (1, 2, 5))], seconds=3, fps=Fraction(2), mask_fps=Fraction(4)
    )
    found = run(world)
    assert found.sounding == [[(0.5, 1.5), (2.5, 3.0)]]


# --- one frame at a time


class ScriptedNetwork(nn.Module):
    """A network of kind ``online`` that goes by a script."""

    def __init__(self, script: Script, config: OnlineConfig = CONFIG) -> None:
        super().__init__()
        self.config = config
        self.world = World(script, config=config)

    def start(self, named: int = 0) -> Any:
        return SimpleNamespace(frames=0, named=named)

    def step(
        self, state: Any, frame: Tensor, audio: Tensor, *, time: float | None = None, gated: bool | None = None
    ) -> tuple[OnlineFrame, Any]:
        time = float(state.frames) if time is None else time
        found, _ = self.world.observe(state.frames, frame.numpy(), audio, time=time, gated=gated)
        return found, SimpleNamespace(frames=state.frames + 1, named=state.named)

    def mask_features(self, frames: Tensor) -> Tensor:
        return self.world.mask_features(frames.numpy())


PICTURE = World(always()).picture(Fraction(0))
SILENCE = np.zeros(1, np.float32)


def test_a_step_tells_what_sounds_with_masks_of_the_size_asked_for_and_what_is_remembered_without() -> None:
    said = [Said(1, 0, 0.8, 1), Said(2, 1, 0.7, 2, sounds=False), Said(5, 2, 0.6, logit=-SURE)]
    model = Model(ScriptedNetwork(always(*said)))
    assert model.is_online
    state = model.start()
    result, after = model.step(state, PICTURE, SILENCE, size=(32, 48))
    assert (result.time, result.index, state.frames, after.frames) == (0.0, 0, 0, 1)
    first, second, third = result.tracks
    assert [(track.id, track.category_id, track.label) for track in result.tracks] == [
        (1, 2, "drum"), (2, 3, "bird"), (5, 1, "bell"),
    ]  # fmt: skip
    assert [track.sounding for track in result.tracks] == [True, False, True]
    assert first.mask is not None
    assert first.mask["size"] == [32, 48]
    assert first.box == (0, 0, 10, 5)
    assert first.score == pytest.approx(0.8, abs=1e-4)
    assert (second.mask, second.box, second.score) == (None, None, 0.0)
    # the third is drawn everywhere but where it is
    assert third.mask is not None
    assert run_length.decode(third.mask).sum() == 32 * 48 - 10 * 10
    at_its_own, _ = model.step(after, torch.from_numpy(PICTURE), torch.from_numpy(SILENCE), time=2.5)
    assert (at_its_own.time, at_its_own.index) == (2.5, 1)
    mask = at_its_own.tracks[0].mask
    assert mask is not None
    np.testing.assert_array_equal(pixels(mask), box(0, Fraction(0)))


def test_what_sounds_without_a_pixel_is_told_without_a_mask() -> None:
    model = Model(ScriptedNetwork(always(Said(1, 0))))
    result, _ = model.step(model.start(), np.zeros_like(PICTURE), SILENCE)
    (track,) = result.tracks
    assert (track.sounding, track.mask, track.box, track.score) == (True, None, None, 0.0)


def test_a_silent_objects_score_is_how_surely_it_would_sound() -> None:
    network = ScriptedNetwork(always())
    silent = OnlineFrame(
        0.0, (HEIGHT, WIDTH), (OnlineTrack(1, 0, 0.5, 0.4, None),), torch.zeros(0, 3), torch.zeros(3, HEIGHT, WIDTH)
    )
    network.step = lambda state, frame, audio, time, gated: (silent, state)  # type: ignore[assignment, misc]
    model = Model(network)
    (track,) = model.step(model.start(), PICTURE, SILENCE)[0].tracks
    assert track.score == pytest.approx(0.2)


def test_objects_go_on_from_the_numbers_that_were_given() -> None:
    assert Model(ScriptedNetwork(always())).start(7).named == 7


def test_models_that_see_clips_whole_do_not_step_and_online_ones_do_not_track(tiny_model: Any) -> None:
    assert not tiny_model.is_online
    for step in (tiny_model.start, lambda: tiny_model.step(None, PICTURE, SILENCE)):
        with pytest.raises(UsageError, match="sees clips whole, not frame by frame"):
            step()
    with pytest.raises(UsageError, match="sees clips whole"):
        tiny_model.observe(None, PICTURE, SILENCE)
    online = Model(ScriptedNetwork(always()))
    for call in (
        lambda: online.localize(PICTURE[None], SILENCE[None]),
        lambda: online.track(torch.zeros(1, 3, 4), torch.zeros(1, 1)),
    ):
        with pytest.raises(UsageError, match="scripted goes frame by frame"):
            call()


# --- the whole pipeline


class Listening(Model):
    """Notes how loud each second of sound is that it is given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.heard: list[float] = []

    def embed_audio(self, windows: Sequence[Tensor], sample_rate: int) -> Tensor:
        assert all(len(window) == sample_rate for window in windows)
        self.heard += [round(float(window.square().mean().sqrt()), 2) for window in windows]
        return torch.zeros(len(windows), 1)


@pytest.fixture(scope="module")
def rising(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds that are louder from one to the next, by 0.1 in the root mean square."""
    path = tmp_path_factory.mktemp("clips") / "rising.mkv"
    seconds, rate = np.arange(5 * 16000) // 16000, 16000
    wave = np.where(np.arange(5 * 16000) // 20 % 2, 1.0, -1.0)  # of one loudness throughout
    samples = (0.1 * (seconds + 1) * wave)[None].astype(np.float32)
    media_factory.make_clip(
        path, size=(WIDTH, HEIGHT), fps=4, seconds=5, audio=samples, sample_rate=rate, audio_codec="pcm_s16le"
    )
    return path


@pytest.mark.parametrize(
    ("lookahead", "start", "heard"),
    [
        (0.0, 0, [0.0, 0.1, 0.2, 0.3, 0.4]),
        (1.0, 0, [0.1, 0.2, 0.3, 0.4, 0.5]),
        (0.5, 0, [0.07, 0.16, 0.25, 0.35, 0.45]),
        (0.0, 2, [0.2, 0.3, 0.4]),
        (1.0, 2, [0.3, 0.4, 0.5]),
        (0.25, 3, [0.33, 0.43]),
    ],
)
def test_a_frame_hears_the_second_that_its_model_was_trained_on(
    rising: Path, lookahead: float, start: int, heard: list[float]
) -> None:
    model = Listening(ScriptedNetwork(always(), replace(CONFIG, sound_lookahead=lookahead)))
    avis_cli.segment(rising, model, start=start)
    assert model.heard == pytest.approx(heard, abs=0.011)


def test_a_muted_clip_is_silence_at_every_frame(rising: Path) -> None:
    model = Listening(ScriptedNetwork(always()))
    avis_cli.segment(rising, model, mute=True)
    assert model.heard == [0.0] * 5


def test_a_clip_becomes_tracks_with_masks_at_every_frame(rising: Path) -> None:
    class Middle(ScriptedNetwork):
        def step(self, state: Any, frame: Tensor, audio: Tensor, **settings: Any) -> tuple[OnlineFrame, Any]:
            found, after = super().step(state, frame, audio, **settings)
            features = torch.full((THINGS, HEIGHT, WIDTH), -1.0)
            features[:, 16:48, 32:64] = 1.0
            return replace(found, mask_features=features), after

        def mask_features(self, frames: Tensor) -> Tensor:
            return torch.full((len(frames), THINGS, HEIGHT, WIDTH), 1.0)

    model = Listening(
        Middle(lambda number: [Said(1, 0, 0.5, sounds=number > 1), Said(2, 1, 0.7, 2, sounds=number < 3)])
    )
    result = avis_cli.segment(rising, model)
    assert result.times == pytest.approx([number / 4 for number in range(20)])
    best, other = result.tracks
    assert [(track.label, round(track.score, 3)) for track in result.tracks] == [("bird", 0.7), ("bell", 0.5)]
    assert [[tuple(span) for span in track.sounding] for track in result.tracks] == [[(0.0, 3.0)], [(2.0, 5.0)]]
    assert [mask is None for mask in best.masks] == [False] * 12 + [True] * 8
    assert [mask is None for mask in other.masks] == [True] * 8 + [False] * 12
    assert pixels(other.masks[8]).sum() == 32 * 32
    assert pixels(other.masks[9]).all()


@pytest.mark.parametrize(("name", "value"), [("window", 4), ("max_gap", 5.0), ("refine", "aurora"), ("fill", "flow")])
def test_settings_that_mean_nothing_to_an_online_model_are_refused_by_name(name: str, value: Any) -> None:
    model = Model(ScriptedNetwork(always()))
    with pytest.raises(UsageError, match=rf"^{name} with scripted, which goes through a clip frame by frame"):
        avis_cli.segment("no such file.mp4", model, **{name: value})


def test_frames_given_as_arrays_are_not_refined_either() -> None:
    model = Model(ScriptedNetwork(always(Said(1, 0))))
    frames, audio = np.stack([PICTURE] * 2), np.zeros((2, 1), np.float32)
    assert len(segment_frames(model, frames, audio, (HEIGHT, WIDTH)).tracks) == 1
    with pytest.raises(UsageError, match="refine"):
        segment_frames(model, frames, audio, (HEIGHT, WIDTH), refine="aurora")
