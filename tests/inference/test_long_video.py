"""Clips of several windows: one identity for each object, memory that does not grow, and what happens without it."""

from __future__ import annotations

import errno
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import media_factory
import numpy as np
import pytest
import torch
from torch import Tensor
from writers_examples import Box, boxes_result

import avis_cli
from avis_cli.errors import AvisError, OutputError
from avis_cli.inference import mask_frames, memory, track_accumulator, windows
from avis_cli.inference.clip_frames import Sampling
from avis_cli.inference.mask_frames import FeatureStore
from avis_cli.inference.segment_clip import ClipMasks, ClipSettings, segment_clip
from avis_cli.inference.windows import Plan, choose_window, in_windows
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.tokens import FrameTokens, TrackQueries
from avis_cli.results.disk_backed_masks import DiskBackedMasks, MaskFile
from avis_cli.writers.tracks_json import write_tracks

CONFIG = PRESETS["avism-tiny"]
HEIGHT, WIDTH = 32, 64
OFF, ON = -9.0, 9.0  # logits


@dataclass(frozen=True)
class Thing:
    """A square that moves to the right. ``sounds``: token frames in which it is heard; it is always seen."""

    category: int
    top: int
    sounds: frozenset[int]


class World:
    """A picture of things, one token frame a second, and the model that knows the answer.

    The model's frame queries are the things in their order; its video queries are those that sound in the window, in
    an order of that window's own, so that only joining can tell which is which. ``windows``: how long each was.
    """

    def __init__(self, things: list[Thing], seconds: int, mask_fps: Fraction = Fraction(1)) -> None:
        self.things, self.seconds = things, seconds
        self.sampling = Sampling(Fraction(1), mask_fps)
        self.config = replace(CONFIG, frame_queries=len(things), gate_threshold=0.5)
        self.device = torch.device("cpu")
        self.windows: list[int] = []
        self.largest = 0  # frames in the network at once

    def expected(self, rate: Fraction | None) -> int | None:
        return None

    def batches_of(self, rate: Fraction) -> Iterator[tuple[list[Fraction], np.ndarray]]:
        times = [number / rate for number in range(int(self.seconds * rate))]
        for first in range(0, len(times), 4):
            part = times[first : first + 4]
            yield part, np.stack([self.paint(time) for time in part])

    def box(self, thing: Thing, time: Fraction) -> np.ndarray:
        mask = np.zeros((HEIGHT, WIDTH), bool)
        left = 2 * (int(time) % 24)
        mask[thing.top : thing.top + 6, left : left + 10] = True
        return mask

    def paint(self, time: Fraction) -> np.ndarray:
        """Thing n is n + 1; a corner holds the number of the second."""
        image = np.zeros((3, HEIGHT, WIDTH), np.uint8)
        for number, thing in enumerate(self.things, start=1):
            image[0][self.box(thing, time)] = number
        image[1], image[2] = int(time) // 256, int(time) % 256
        return image

    def embed(self, times: list[Fraction]) -> np.ndarray:
        return np.array([[float(time)] for time in times], np.float32)

    def localize(self, frames: Any, audio: Any) -> FrameTokens:
        self.largest = max(self.largest, len(frames))
        seconds = [int(value) for value in np.asarray(audio)[:, 0]]
        classes = torch.full((len(seconds), len(self.things), self.config.num_classes + 1), OFF)
        for row, second in enumerate(seconds):
            for query, thing in enumerate(self.things):
                classes[row, query, thing.category if second in thing.sounds else -1] = ON
        queries = torch.zeros(len(seconds), len(self.things), 4)
        return FrameTokens(
            queries, classes, torch.as_tensor(np.asarray(audio)), self.mask_features(frames), (HEIGHT, WIDTH)
        )

    def mask_features(self, frames: Any) -> Tensor:
        numbers = torch.as_tensor(np.asarray(frames))[:, 0]
        return torch.stack([torch.where(numbers == n, 1.0, -1.0) for n in range(1, len(self.things) + 1)], dim=1)

    def track(self, tokens: FrameTokens) -> TrackQueries:
        self.windows.append(len(tokens))
        seconds = {int(value) for value in tokens.audio[:, 0]}
        heard = [n for n, thing in enumerate(self.things) if thing.sounds & seconds]
        order = np.random.default_rng(len(self.windows)).permutation(heard).tolist()
        classes = torch.full((len(order), self.config.num_classes + 1), OFF)
        for row, n in enumerate(order):
            classes[row, self.things[n].category] = ON
        own = torch.eye(len(self.things)) * 20 - 10  # the logit of being the same: 100 if so, and far below 0 if not
        spread = own.expand(len(tokens), -1, -1)
        return TrackQueries(classes, torch.eye(len(self.things))[order] * 10, own[order], spread)

    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        probability = tokens.class_logits.softmax(-1)[..., classes]
        alike = (tracks.token_similarity @ tracks.similarity[queries].T).sigmoid()
        return (probability * alike).amax(dim=1).T


class _Frames:
    def __init__(self, world: World) -> None:
        self.sampling, self.expected, self.batches = world.sampling, world.expected, world.batches_of


def run(world: World, **settings: Any) -> ClipMasks:
    warn = settings.pop("warn", lambda text: None)
    wanted = ClipSettings((HEIGHT, WIDTH), 0.3, **{"gate": True, **settings})
    return segment_clip(world, _Frames(world), world.embed, wanted, warn=warn)  # type: ignore[arg-type]


def during(*spans: tuple[int, int]) -> frozenset[int]:
    return frozenset(second for first, last in spans for second in range(first, last))


def scene(seconds: int) -> list[Thing]:
    """One that always sounds, two of a kind in turns and at once, one that pauses, one that comes late."""
    tenths = range(0, seconds, 10)
    return [
        Thing(0, 0, during((0, seconds))),
        Thing(1, 8, during(*((t, t + 6) for t in tenths))),
        Thing(1, 16, during(*((t + 4, t + 10) for t in tenths))),
        Thing(2, 24, during((3, 20), (35, seconds))),
        Thing(3, 24, during((50, seconds))),
    ]


def content(found: ClipMasks) -> list[Any]:
    """Everything but the order of tracks."""
    heard = found.sounding or [[] for _ in found.classes]
    rows = zip(found.classes, found.masks, heard, strict=True)
    return sorted(([category, masks, spans] for category, masks, spans in rows), key=str)


@pytest.mark.parametrize("mask_fps", [Fraction(1), Fraction(2)])
@pytest.mark.parametrize("window", [12, 25, 40])
def test_windows_give_the_identities_of_one_window(window: int, mask_fps: Fraction) -> None:
    whole, parts = World(scene(70), 70, mask_fps), World(scene(70), 70, mask_fps)
    expected, found = run(whole, window=70), run(parts, window=window)
    assert whole.windows == [70]
    assert len(parts.windows) > 2
    assert max(parts.windows) == window
    assert len(expected.classes) == 5
    assert found.times == expected.times
    assert content(found) == content(expected)
    assert sorted(found.scores) == pytest.approx(sorted(expected.scores), abs=1e-3)


def test_masks_are_those_of_the_things() -> None:
    from avis_cli.results import run_length

    world = World(scene(70), 70)
    found = run(world, window=20)
    by_class = dict(zip(found.classes, found.masks, strict=True))
    for second, mask in enumerate(by_class[3]):
        assert (mask is not None) == (second in world.things[4].sounds)
    mask = by_class[0][40]
    assert mask is not None
    drawn = run_length.decode(mask)
    assert (drawn == world.box(world.things[0], Fraction(40))).mean() > 0.98


@pytest.mark.parametrize(("max_gap", "tracks"), [(60.0, 1), (20.0, 2)])
def test_what_returns_is_the_same_within_the_gap(max_gap: float, tracks: int) -> None:
    world = World([Thing(4, 0, during((0, 10), (45, 60)))], 60)
    found = run(world, window=12, max_gap=max_gap)
    assert len(found.classes) == tracks
    spans = [tuple(round(edge) for edge in span) for heard in found.sounding or [] for span in heard]
    assert sorted(spans) == [(0, 10), (45, 60)]


def test_an_ungated_clip_is_joined_by_its_masks() -> None:
    whole, parts = World(scene(40), 40), World(scene(40), 40)
    always = [replace(thing, sounds=during((0, 40))) for thing in scene(40)]
    whole.things = parts.things = always
    expected, found = run(whole, window=40, gate=False), run(parts, window=14, gate=False)
    assert found.sounding is None
    assert content(found) == content(expected)


def test_nothing_to_find_is_nothing() -> None:
    found = run(World([Thing(0, 0, frozenset())], 30), window=10)
    assert found.classes == []
    assert len(found.times) == 30


def test_features_are_kept_for_a_window_not_for_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    keep = FeatureStore.keep

    def counted(self: FeatureStore, times: Any, features: Tensor) -> None:
        keep(self, times, features)
        held.append(len(self._kept))

    monkeypatch.setattr(FeatureStore, "keep", counted)
    run(World(scene(120), 120), window=20)
    assert max(held) <= 20 + 8


FRAME_BYTES = 5 * HEIGHT * WIDTH * 4


@pytest.mark.parametrize(
    "limits",
    [
        mask_frames.FeatureLimits(3 * FRAME_BYTES, file_bytes=0),
        mask_frames.FeatureLimits(memory_frames=3, file_bytes=0),
        mask_frames.FeatureLimits(0, 0, 0),
        mask_frames.FeatureLimits(3 * FRAME_BYTES, file_bytes=4 * FRAME_BYTES),
        mask_frames.FeatureLimits(0, 0),
    ],
)
def test_features_there_is_no_room_for_wait_in_a_file_or_are_computed_again(
    monkeypatch: pytest.MonkeyPatch, limits: mask_frames.FeatureLimits
) -> None:
    expected = content(run(World(scene(40), 40), window=20))
    monkeypatch.setattr(mask_frames, "FeatureLimits", lambda: limits)
    assert content(run(World(scene(40), 40), window=20)) == expected


def test_many_masks_wait_in_a_file_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(World(scene(70), 70), window=20)
    assert all(isinstance(masks, list) for masks in expected.masks)
    monkeypatch.setattr(track_accumulator, "MEMORY", 20_000)
    found = run(World(scene(70), 70), window=20)
    assert all(isinstance(masks, DiskBackedMasks) for masks in found.masks)
    assert found.masks == expected.masks
    for masks, wanted in zip(found.masks, expected.masks, strict=True):
        assert len(masks) == 70
        assert masks[-1] == wanted[-1]
        assert masks[10:20] == wanted[10:20]
        assert pickle.loads(pickle.dumps(masks)) == wanted
        assert masks != wanted[:-1]
        assert masks != [*wanted[:-1], {"size": [1, 1], "counts": "1"}]


@pytest.mark.parametrize("spilled", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_tracks_are_written_piece_by_piece_as_they_are_in_one(tmp_path: Path, count: int, spilled: bool) -> None:
    box = (1, 2, 9, 7)
    tracks: list[list[Box | None]] = [[box, None, box], [None] * 3, [box] * 3]
    result = boxes_result(20, 12, tracks[:count], times=(0.0, 0.5, 1.0))
    text = result.to_json()
    if spilled:
        for track in result.tracks:
            object.__setattr__(track, "masks", DiskBackedMasks(MaskFile(), [12, 20], track.masks))
    write_tracks(tmp_path / "tracks.json", result)
    assert (tmp_path / "tracks.json").read_bytes() == text.encode("ascii")


def test_a_full_disk_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, place: int) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **settings: Full())
    monkeypatch.setattr(track_accumulator, "MEMORY", 2000)
    with pytest.raises(OutputError, match=r"No space left.*TMPDIR"):
        run(World(scene(20), 20))


class Exhausted(World):
    """Memory that ends at more than ``tokens`` token frames in a window or ``frames`` frames at once."""

    tokens, frames = 10**6, 10**6
    error: type[BaseException] = torch.OutOfMemoryError

    def track(self, tokens: FrameTokens) -> TrackQueries:
        if len(tokens) > self.tokens:
            raise self.error("out of memory")
        return super().track(tokens)

    def localize(self, frames: Any, audio: Any) -> FrameTokens:
        if len(frames) > self.frames:
            raise self.error("out of memory")
        return super().localize(frames, audio)


@pytest.mark.parametrize(("limit", "value"), [("tokens", 20), ("frames", 2)])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_half_as_much_is_tried_when_memory_ends(limit: str, value: int, error: type[BaseException]) -> None:
    world = Exhausted(scene(70), 70)
    warnings: list[str] = []
    setattr(world, limit, value)
    world.error = error
    found = run(world, window=40, warn=warnings.append)
    assert len(warnings) == 1
    assert "out of memory" in warnings[0]
    assert "20 token frames, 2 frames at once" in warnings[0]
    assert content(found) == content(run(World(scene(70), 70), window=20))


def test_half_as_much_is_tried_once() -> None:
    world = Exhausted(scene(70), 70)
    warnings: list[str] = []
    world.frames = 1
    with pytest.raises(AvisError, match=r"^out of memory on cpu.*--window.*--device"):
        run(world, window=40, warn=warnings.append)
    assert len(warnings) == 1


def test_other_faults_are_not_taken_for_it() -> None:
    world = Exhausted(scene(10), 10)
    world.frames, world.error = 0, RuntimeError
    with pytest.raises(RuntimeError):
        run(world)


@pytest.mark.parametrize("window", [1, 2, 5, 24, 60, 240])
@pytest.mark.parametrize("pieces", [1, 4, 7])
def test_windows_cover_the_clip_and_overlap_as_planned(window: int, pieces: int) -> None:
    plan = Plan.of(window, CONFIG.window, 4)
    numbers = torch.arange(301.0)[:, None]

    def stream() -> Iterator[FrameTokens]:
        for part in numbers.split(pieces):
            yield FrameTokens(part[:, :, None], part[:, :, None], part, torch.zeros(0, 1, 1, 1), (1, 1))

    found = list(in_windows(stream(), plan))
    assert [one.last for one in found] == [False] * (len(found) - 1) + [True]
    assert all(len(one.tokens) == window for one in found[:-1])
    assert plan.shared < window
    for one, following in pairwise(found):
        assert following.first == one.first + plan.step
        assert len(following.tokens) > plan.shared
    for one in found:
        assert torch.equal(one.tokens.audio[:, 0], numbers[one.first : one.first + len(one.tokens), 0])
    assert found[-1].first + len(found[-1].tokens) == 301


def test_the_window_follows_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    large, cpu = PRESETS["avism-r50-in"], torch.device("cpu")
    sizes = []
    for free in (None, 1 << 40, 600 << 20, 0):
        monkeypatch.setattr(windows, "free_memory", lambda device, free=free: free)
        sizes.append(choose_window(large, cpu))
    assert sizes[0] == sizes[1] == windows.LONGEST
    assert windows.LONGEST > sizes[2] > sizes[3] == windows.SHORTEST


def test_free_memory_minds_the_limit_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    assert (memory.free_memory(cpu) or 0) > 0
    for name, text in (("max", "200000000"), ("current", "150000000"), ("stat", "anon 1\ninactive_file 20000000\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(avis_cli.memory, "CGROUPS", tmp_path)
    assert memory.free_memory(cpu) == 70_000_000


def test_a_real_network_runs_in_windows(tmp_path: Path, tiny_model: Any) -> None:
    path = tmp_path / "clip.mp4"
    media_factory.make_clip(path, size=(64, 48), fps=4, seconds=7, audio="tone")

    def segment(**settings: Any) -> Any:
        return avis_cli.segment(path, tiny_model, threshold=0.05, gate=False, mask_fps=2, **settings)

    whole = segment()
    assert segment(window=7).tracks == whole.tracks == segment(window=100).tracks
    parts = segment(window=3)
    assert parts.times == whole.times
    assert parts.tracks
    for track in parts.tracks:
        assert len(track.masks) == len(whole.times)
        assert track.score > 0.05


LIMITED = """
import resource, sys
import avis_cli
model = avis_cli.load_model(sys.argv[2])
avis_cli.segment(sys.argv[1], model, end=1, threshold=0.05)
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
for room in map(int, sys.argv[3:]):
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room, hard))
    try:
        avis_cli.segment(sys.argv[1], model, threshold=0.05)
        print("done")
    except avis_cli.AvisError as error:
        print("refused:", error)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
def test_a_machine_without_memory_is_told_of_in_one_line(tmp_path: Path, tiny_weights: Path) -> None:
    path = tmp_path / "clip.mp4"
    media_factory.make_clip(path, size=(640, 480), fps=4, seconds=2, audio="tone")
    rooms = [str(size << 20) for size in (512, 8, 2)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(tiny_weights), *rooms], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    enough, *others = done.stdout.splitlines()
    assert enough == "done"
    assert len(others) == 2
    assert all(line == "done" or line.startswith("refused: ") for line in others)


class Faint(World):
    """Everything is heard with the same value."""

    value = 0.55

    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        return torch.full((len(queries), len(tokens)), self.value)


@pytest.mark.parametrize(("threshold", "heard"), [(0.5, True), (0.6, False)])
def test_the_gate_opens_at_the_threshold_that_travels_with_the_model(threshold: float, heard: bool) -> None:
    world = Faint(scene(8), 8)
    world.config = replace(world.config, gate_threshold=threshold)
    drawn = [mask for masks in run(world).masks for mask in masks if mask is not None]
    assert bool(drawn) == heard


class FirstOnly(World):
    """Only the first window's tracks have a mask."""

    def track(self, tokens: FrameTokens) -> TrackQueries:
        tracks = super().track(tokens)
        return tracks if len(self.windows) == 1 else replace(tracks, mask_embed=tracks.mask_embed * 0)


def test_the_earlier_window_draws_up_to_the_middle_of_what_two_share() -> None:
    """Windows of 12 share 6 token frames, 6 to 11: from 9 on the later window draws, which has nothing to draw."""
    found = run(FirstOnly([Thing(0, 0, during((0, 18)))], 18), window=12, gate=False)
    shown = [second for second in range(18) if any(masks[second] is not None for masks in found.masks)]
    assert shown == list(range(9))
