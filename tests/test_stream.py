"""`avis_cli.stream`: which sound belongs to a picture, what is told when, and what becomes of a source that breaks."""

from __future__ import annotations

import io
import os
import threading
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import live_examples
import numpy as np
import pytest
from live_examples import RATE, listening_model, live_file, serving, spans, tone, write_live

import avis_cli
from avis_cli import stream as live_module
from avis_cli.errors import MediaError, UsageError
from avis_cli.media.live import LivePicture
from avis_cli.media.live_sound import SoundRing
from avis_cli.results import run_length
from avis_cli.stream import LiveFrame, SourceLostError, Stream, StreamEvent, StreamOptions

module = __import__("sys").modules["avis_cli.stream"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six seconds with a tone in [2, 4)."""
    return live_file(tmp_path / "clip.mkv", seconds=6.0, samples=tone(2, 4, 6), format="matroska")


def run(source: Any, model: Any = None, **settings: Any) -> tuple[list[LiveFrame], list[StreamEvent]]:
    events: list[StreamEvent] = []
    with live_module(str(source), model or listening_model(), on_event=events.append, **settings) as live:
        frames = list(live.frames())
    return frames, events


def sounding(frames: list[LiveFrame]) -> list[tuple[float, bool]]:
    return [(round(f.result.time, 3), any(track.sounding for track in f.result.tracks)) for f in frames]


def test_every_picture_of_a_file_comes_in_order(clip: Path) -> None:
    frames, events = run(clip)
    assert [round(frame.result.time, 3) for frame in frames] == [round(0.1 * n, 3) for n in range(60)]
    assert [frame.result.index for frame in frames] == list(range(60))
    assert all(frame.result.dropped == 0 and frame.result.wall is None for frame in frames)
    assert [event.name for event in events] == ["start", "track_new", "track_end", "eof"]
    start = events[0].values
    assert (start["width"], start["height"], start["sound"], start["hears"]) == (64, 48, True, [-1.0, 0.0])


def test_a_frame_hears_the_second_that_ends_at_it(clip: Path) -> None:
    model = listening_model()
    frames, events = run(clip, model)
    assert [round(t, 3) for t in model.network.times] == [0, 1, 2, 3, 4, 5]
    assert model.network.heard == [0, 0, 0, 1, 1, 0], "the tone is in [2, 4)"
    assert spans(sounding(frames)) == [(3.0, 4.9)]
    assert [(e.name, e.time, e.values["id"]) for e in events if "track" in e.name] == [
        ("track_new", 3.0, 1),
        ("track_end", pytest.approx(5.9), 1),
    ]


def test_with_a_lookahead_of_a_second_it_hears_the_one_that_begins_there(clip: Path) -> None:
    model = listening_model(sound_lookahead=1.0)
    frames, events = run(clip, model)
    assert model.network.heard == [0, 0, 1, 1, 0, 0]
    assert events[0].values["hears"] == [0.0, 1.0]
    assert spans(sounding(frames)) == [(2.0, 3.9)]


def test_exactly_the_samples_of_its_second_are_heard(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = listening_model()
    heard: list[np.ndarray] = []
    embed = model.embed_audio

    def kept(windows: Any, rate: int) -> Any:
        heard.append(windows[0].numpy().copy())
        return embed(windows, rate)

    monkeypatch.setattr(model, "embed_audio", kept)
    run(clip, model, fps=2)
    truth = tone(2, 4, 6)
    assert [len(window) for window in heard] == [RATE] * 12
    assert not heard[0].any(), "before the clip there is silence"
    for number, window in enumerate(heard):
        end = round(RATE * number / 2)
        expected = np.concatenate([np.zeros(RATE, np.float32), truth])[end : end + RATE]
        np.testing.assert_allclose(window, expected, atol=2e-4, err_msg=str(number))


def test_masks_follow_the_picture_between_token_frames(clip: Path) -> None:
    model = listening_model()
    frames, _ = run(clip, model)
    at = {round(frame.result.time, 3): frame for frame in frames}
    for time_ in (3.0, 3.4, 4.9):
        (track,) = at[time_].result.tracks
        assert track.mask is not None
        drawn, bright = run_length.decode(track.mask), at[time_].image.mean(2) > 128
        assert (drawn & bright).sum() / (drawn | bright).sum() > 0.6, time_
    assert at[5.0].result.tracks[0].mask is None
    assert at[5.0].result.tracks[0].sounding is False, "it is remembered and silent"
    assert model.network.drawn == 18, "only where something sounds, and not at token frames"


def test_without_masks_nothing_is_drawn(clip: Path) -> None:
    model = listening_model()
    frames, _ = run(clip, model, masks=False)
    assert model.network.drawn == 0
    assert all(track.mask is None for frame in frames for track in frame.result.tracks)
    assert spans(sounding(frames)) == [(3.0, 3.0), (4.0, 4.0)] or spans(sounding(frames)) == [(3.0, 4.9)]


@pytest.mark.parametrize(("confirm", "first"), [(0, 3.0), (1, 3.0), (2, 4.0)])
def test_an_object_is_told_once_it_is_confirmed(clip: Path, confirm: int, first: float) -> None:
    frames, events = run(clip, confirm=confirm)
    assert spans(sounding(frames))[0][0] == first
    assert [event.time for event in events if event.name == "track_new"] == [first]
    assert all(frame.result.tracks == () for frame in frames if frame.result.time < first)


def test_what_never_reaches_the_threshold_is_not_told(clip: Path) -> None:
    frames, events = run(clip, threshold=0.95)
    assert not any(flag for _, flag in sounding(frames))
    assert [event.name for event in events] == ["start", "eof"]


def test_settings_reach_the_model(clip: Path) -> None:
    model = listening_model()
    frames, _ = run(clip, model, gate=False, fps=4, duration=1.0)
    assert model.network.gates == [False] * len(model.network.gates)
    assert np.allclose(np.diff(model.network.times), 0.3, atol=0.11)
    assert frames[-1].result.time == pytest.approx(1.0)


def test_latency_is_the_sum_of_its_parts(clip: Path) -> None:
    frames, _ = run(clip, duration=1)
    for frame in frames:
        latency = frame.result.latency
        assert latency is not None
        parts = (latency.capture, latency.queue, latency.model)
        assert min(parts) >= 0
        assert latency.total == pytest.approx(sum(parts), abs=1e-6)


def test_a_paced_file_is_live(clip: Path) -> None:
    begun = time.perf_counter()
    frames, _ = run(clip, realtime=True, duration=1.0)
    assert time.perf_counter() - begun > 0.9
    assert frames[-1].result.wall is not None
    seen = len(frames) + sum(frame.result.dropped for frame in frames)
    assert seen == frames[-1].result.index + 1, "what is left out is counted"


def test_a_slow_model_leaves_pictures_out_and_says_so(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = listening_model()
    step = model.network.step

    def slow(*given: Any, **more: Any) -> Any:
        time.sleep(0.35)
        return step(*given, **more)

    monkeypatch.setattr(model.network, "step", slow)
    frames, _ = run(clip, model, realtime=True, duration=1.2, fps=10)
    assert sum(frame.result.dropped for frame in frames) > 3
    assert max(after.result.index - before.result.index for before, after in pairwise(frames)) > 1


def test_a_source_without_sound_says_so_and_hears_nothing(tmp_path: Path) -> None:
    path = live_file(tmp_path / "silent.ts", seconds=2.0)
    frames, events = run(path)
    assert events[0].values["sound"] is False
    assert not any(flag for _, flag in sounding(frames))
    assert len(frames) == 20


def test_sound_may_come_from_another_source(tmp_path: Path) -> None:
    pictures = live_file(tmp_path / "silent.ts", seconds=4.0)
    sound = live_file(tmp_path / "sound.mkv", seconds=4.0, samples=tone(1, 3, 4), format="matroska")
    frames, events = run(pictures, audio=str(sound))
    assert events[0].values["sound"] is True
    assert any(flag for _, flag in sounding(frames))
    with pytest.raises(MediaError, match="has no sound"):
        run(pictures, audio=str(pictures))


def payload(**settings: Any) -> bytes:
    held = io.BytesIO()
    write_live(held, **settings)
    return held.getvalue()


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.05)


@pytest.mark.usefixtures("_no_pauses")
def test_a_source_that_comes_back_goes_on_in_time_with_other_objects() -> None:
    loud = payload(seconds=3.0, samples=tone(0, 3, 3))
    events: list[StreamEvent] = []
    times: list[float] = []
    ids: list[set[int]] = [set(), set()]
    after = 0
    with serving(loud, loud) as address, live_module(address, listening_model(), on_event=events.append, fps=5) as live:
        for frame in live:
            times.append(frame.time)
            ids[live.restarts] |= {track.id for track in frame.tracks}
            after += live.restarts
            if after > 15:
                break
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    assert [event.name for event in events if event.name in ("gap", "reconnect")] == ["gap", "reconnect"]
    assert ids[0] == {1}
    assert ids[1] == {1}, "the gap was short: it is the same object"


def test_after_a_gap_longer_than_a_track_lives_objects_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    loud = payload(seconds=3.0, samples=tone(0, 3, 3))
    leap = [0.0]

    def wait(seconds: float, is_over: Any) -> float:
        leap[0] += 100.0
        return seconds

    monkeypatch.setattr(module, "_sleep", wait)
    monkeypatch.setattr(module, "clock", SimpleNamespace(monotonic=lambda: time.monotonic() + leap[0]))
    seen: list[tuple[float, int]] = []
    with serving(loud, loud) as address, live_module(address, listening_model(), fps=5) as live:
        for frame in live:
            seen += [(frame.time, track.id) for track in frame.tracks if track.sounding]
            if live.restarts and seen and seen[-1][1] != 1:
                break
    assert {id for _, id in seen} == {1, 2}
    assert max(at for at, id in seen if id == 1) + 50 < min(at for at, id in seen if id == 2)


def test_a_lost_source_is_an_error_where_nobody_waits_for_it() -> None:
    with (
        serving(payload(seconds=1.0)) as address,
        pytest.raises(SourceLostError) as caught,
        live_module(address, listening_model(), reconnect=False) as live,
    ):
        assert len(list(live)) > 5
    assert caught.value.exit_code == 4
    assert "127.0.0.1" in str(caught.value)


def test_a_source_that_was_never_there_is_told_at_once() -> None:
    begun = time.monotonic()
    with (
        pytest.raises(MediaError, match="cannot be opened"),
        live_module("tcp://127.0.0.1:9", listening_model()) as live,
    ):
        list(live)
    with pytest.raises(MediaError, match=r"[Nn]o such file") as caught:
        run("nowhere.mp4")
    assert caught.value.exit_code != 4
    assert time.monotonic() - begun < 5


def test_passwords_are_never_told() -> None:
    with pytest.raises(MediaError) as caught:
        run("rtsp://user:hunter2@127.0.0.1:9/x")
    assert "hunter2" not in str(caught.value)


def test_it_stops_within_a_second_while_its_source_says_nothing() -> None:
    with serving(None) as address:
        live = live_module(address, listening_model())
        threading.Timer(0.2, live.stop).start()
        begun = time.monotonic()
        assert list(live) == []
        assert time.monotonic() - begun < 1.5
        live.close()
        live.close()


def test_nothing_is_left_when_it_is_closed(clip: Path) -> None:
    def held() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    def begun() -> None:
        with live_module(str(clip), listening_model()) as live:
            next(iter(live))

    begun()
    before = held()
    for _ in range(10):
        begun()
    deadline = time.monotonic() + 3
    while held() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert held() <= before


def test_a_day_of_frames_leaves_no_more_behind_than_an_hour() -> None:
    model = listening_model()
    tracker = module._Tracker(model, StreamOptions(masks=False))
    ring = SoundRing()
    image = live_examples.picture(0, (64, 48))
    model.network.step = _coming_and_going(model.network)
    sizes = []
    for second in range(2500):
        now = float(second)
        tracker.process(LivePicture(image, now, second, 0, 0.0, 0.0, 0.0, None), ring, lambda *a, **k: None)
        model.network.heard.clear()
        model.network.times.clear()
        model.network.gates.clear()
        if second in (600, 2499):
            sizes.append((len(tracker._heard), len(tracker._alive), len(tracker._told.seen), len(tracker._told.ids)))
    assert max(sizes[1]) <= max(sizes[0]) + 2


def _coming_and_going(network: Any) -> Any:
    """A new object every ten frames, each there for twenty."""
    from avis_cli.models.tokens import OnlineFrame, OnlineTrack

    real = network.step

    def step(state: Any, frame: Any, audio: Any, **more: Any) -> Any:
        found, after = real(state, frame, audio, **more)
        newest = state.frames // 10 + 1
        tracks = tuple(OnlineTrack(id, 0, 0.9, 1.0, 0) for id in range(max(1, newest - 1), newest + 1))
        return OnlineFrame(found.time, found.size, tracks, found.mask_embed, found.mask_features), after

    return step


def test_models_that_see_clips_whole_are_refused(clip: Path) -> None:
    with pytest.raises(UsageError, match="avism-tiny sees clips whole"):
        live_module(str(clip), "avism-tiny")


@pytest.mark.parametrize(
    ("name", "value"),
    [("threshold", 1.5), ("fps", 0), ("confirm", -1), ("max_latency", 0), ("duration", 0), ("threshold", float("nan"))],
)
def test_settings_out_of_range_are_refused_by_name(clip: Path, name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"{name} .*expected"):
        live_module(str(clip), listening_model(), **{name: value})


def test_a_setting_that_there_is_not_is_refused(clip: Path) -> None:
    with pytest.raises(UsageError, match="no such setting"):
        live_module(str(clip), listening_model(), speed=2)


def test_the_package_offers_it(clip: Path) -> None:
    with avis_cli.stream(str(clip), listening_model(), duration=0.3) as live:
        assert isinstance(live, Stream)
        assert [frame.index for frame in live] == [0, 1, 2, 3]
