"""The synthetic world: what is drawn, what sounds, and that the truth says so."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import avis_cli
from avis_cli.datasets.aviseg import SplitPaths
from avis_cli.datasets.synth import IDS, NAMES, name_of, schedule, stats
from avis_cli.datasets.synth.annotations import annotate
from avis_cli.datasets.synth.canvas import Canvas
from avis_cli.datasets.synth.clips import SMALLEST_VISIBLE, SPLITS, SynthClip, clip_seed, make_clip
from avis_cli.datasets.synth.draw_objects import draw
from avis_cli.datasets.synth.layout import SplitRequest, write_split
from avis_cli.datasets.synth.looks import Pose, random_appearance
from avis_cli.datasets.synth.mix import soundtrack
from avis_cli.datasets.synth.preview import contact_sheet, log_mel
from avis_cli.datasets.synth.render_frames import SceneRenderer
from avis_cli.datasets.synth.scenes import OffScreenSource, Scene, SceneObject, plan_scene, unaligned
from avis_cli.datasets.synth.voices import voice
from avis_cli.errors import AnnotationError, OutputError, UsageError
from avis_cli.media.clip_info import SAMPLE_RATE
from avis_cli.results import run_length

SMALL = (80, 48)


def _rms(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(samples**2)))


# ---- who sounds when


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 2**32))
def test_a_second_holds_nearly_all_or_nearly_nothing_of_its_sound(plan: list[bool], seed: int) -> None:
    wanted = np.array(plan)
    intervals = schedule.active_intervals(wanted, np.random.default_rng(seed))
    assert (schedule.sounding_seconds(intervals, len(plan)) == wanted).all()
    for second, sounds in enumerate(plan):
        heard = sum(max(min(second + 1, s.end) - max(second, s.start), 0.0) for s in intervals)
        assert heard >= 0.8 if sounds else heard <= 0.2
        # what an object shows at the whole second agrees with what is heard in the second after it
        assert schedule.level(intervals, float(second)) == pytest.approx(float(sounds))


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 2**32))
def test_unaligned_borders_lie_anywhere_in_a_second(plan: list[bool], seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = schedule.active_intervals(np.array(plan), rng)
    after = schedule.unaligned(before, len(plan), rng)
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        assert new.end - new.start >= schedule.ENOUGH - 1e-9
        assert abs(new.start - old.start) <= 0.5
        assert new.end <= len(plan)
        if old.end == len(plan):
            assert new.end == len(plan), "the end of the clip is no switch"
    assert all(one.end <= other.start for one, other in pairwise(after))


def test_unaligned_sounds_switch_at_every_part_of_a_second_and_the_truth_follows() -> None:
    seeds = [clip_seed("val", 5, index) for index in range(60)]
    starts, changed = [], 0
    for seed in seeds:
        aligned, moved = plan_scene(seed, 10, 5 / 3), unaligned(plan_scene(seed, 10, 5 / 3))
        starts += [interval.start % 1.0 for item in moved.objects for interval in item.sounds]
        for old, new in zip(aligned.objects, moved.objects, strict=True):
            assert (new.sounds == new.shows) == (old.sounds == old.shows), "what shows with the sound still does"
            assert new.path == old.path
            one, other = (schedule.sounding_seconds(item.sounds, 10) for item in (old, new))
            changed += int((one != other).sum())
    counts, _ = np.histogram(starts, bins=5, range=(0.0, 1.0))
    assert counts.min() > 0.1 * len(starts)
    assert changed > 20
    clip, moved_clip = (make_clip(seeds[0], frames=6, size=SMALL, aligned=aligned) for aligned in (True, False))
    assert not np.array_equal(clip.waveform, moved_clip.waveform)
    again = [schedule.sounding_seconds(item.sounds, 6) for item in moved_clip.scene.objects]
    assert np.array_equal(moved_clip.sounding, np.stack(again))


@given(st.integers(2, 40), st.integers(0, 2**32))
def test_turns_never_overlap_and_both_come(seconds: int, seed: int) -> None:
    first, second = schedule.in_turns(np.random.default_rng(seed), seconds)
    assert not (first & second).any()
    assert first.any()
    assert second.any()


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_at_once_shares_a_second(seconds: int, seed: int) -> None:
    first, second = schedule.at_once(np.random.default_rng(seed), seconds)
    assert (first & second).any()


# ---- what a scene holds


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [plan_scene(clip_seed("train", 5, index), 10, 5 / 3) for index in range(150)]


def test_scenes_have_everything_that_makes_them_audio_visual(scenes: list[Scene]) -> None:
    assert {len(scene.objects) for scene in scenes} == {1, 2, 3, 4}
    assert {scene.pair for scene in scenes} == {"none", "one", "turns", "together"}
    assert any(not item.sounds for scene in scenes for item in scene.objects)
    assert any(item.path.absence for scene in scenes for item in scene.objects)
    assert any(scene.has_occluder for scene in scenes)
    assert {item.category_id for scene in scenes for item in scene.objects} == set(IDS)


def test_nobody_shows_the_source_of_an_off_screen_sound(scenes: list[Scene]) -> None:
    heard = [scene for scene in scenes if scene.off_screen]
    assert heard
    for scene in heard:
        assert not {s.category_id for s in scene.off_screen} & {item.category_id for item in scene.objects}


def test_twins_show_that_they_sound_and_the_others_need_not(scenes: list[Scene]) -> None:
    alone = []
    for scene in scenes:
        ids = [item.category_id for item in scene.objects]
        for item in scene.objects:
            if ids.count(item.category_id) > 1:
                assert item.shows == item.sounds
            else:
                alone.append((bool(item.sounds), bool(item.shows)))
    # every combination occurs, so that neither the appearance nor the sound is enough
    assert set(alone) == {(False, False), (False, True), (True, False), (True, True)}


def test_twins_sound_by_their_mode(scenes: list[Scene]) -> None:
    for scene in scenes:
        ids = [item.category_id for item in scene.objects]
        twins = [item for item in scene.objects if ids.count(item.category_id) > 1]
        assert len(twins) == (0 if scene.pair == "none" else 2)
        if not twins:
            continue
        first, second = (schedule.sounding_seconds(item.sounds, scene.seconds) for item in twins)
        if scene.pair == "one":
            assert first.any() != second.any()
        else:
            assert first.any()
            assert second.any()
            assert (first & second).any() == (scene.pair == "together")


# ---- seeds


@given(st.integers(-(2**40), 2**40), st.integers(0, 10**6), st.integers(-(2**40), 2**40), st.integers(0, 10**6))
def test_no_two_splits_share_a_seed(seed: int, index: int, other_seed: int, other_index: int) -> None:
    owners = {clip_seed(split, seed, index) >> 61 for split in SPLITS}
    assert len(owners) == len(SPLITS)
    for split in SPLITS:
        assert clip_seed(split, seed, index) >> 61 == clip_seed(split, other_seed, other_index) >> 61


def test_the_same_seed_is_the_same_clip_and_another_is_not() -> None:
    first, again, other = (make_clip(seed, frames=2, size=SMALL) for seed in (7, 7, 8))
    assert (first.images == again.images).all()
    assert (first.masks == again.masks).all()
    assert (first.waveform == again.waveform).all()
    assert (first.images != other.images).any()
    assert (first.waveform != other.waveform).any()


def test_the_frame_rate_does_not_change_the_scene() -> None:
    slow = make_clip(21, frames=3, size=SMALL)
    fast = make_clip(21, frames=51, size=SMALL, fps=25)
    assert (fast.images[::25] == slow.images).all()
    assert (fast.waveform == slow.waveform).all()
    assert (fast.sounding[:, ::25] == slow.sounding).all()
    assert (fast.sounding[:, 1] == slow.sounding[:, 0]).all()


# ---- pictures and masks


@pytest.fixture(scope="module")
def clips() -> list[SynthClip]:
    return [make_clip(clip_seed("val", 3, index), frames=6, size=SMALL) for index in range(24)]


def test_shapes_and_types(clips: list[SynthClip]) -> None:
    for clip in clips:
        count = len(clip.category_ids)
        assert clip.images.shape == (6, 48, 80, 3)
        assert clip.images.dtype == np.uint8
        assert clip.masks.shape == (count, 6, 48, 80)
        assert clip.waveform.shape == (6 * SAMPLE_RATE,)
        assert clip.waveform.dtype == np.float32
        assert np.abs(clip.waveform).max() < 1.0
        assert clip.sounding.shape == clip.visible.shape == clip.showing.shape == clip.truth.shape == (count, 6)


def test_truth_needs_sound_and_sight(clips: list[SynthClip]) -> None:
    for clip in clips:
        seen = clip.masks.sum(axis=(2, 3)) >= SMALLEST_VISIBLE * 48 * 80
        assert (clip.visible == seen).all()
        assert (clip.truth == (clip.sounding & seen)).all()
    sounding, visible = (np.concatenate([getattr(c, n).ravel() for c in clips]) for n in ("sounding", "visible"))
    assert {(bool(s), bool(v)) for s, v in zip(sounding, visible, strict=True)} >= {(1, 1), (0, 1), (1, 0)}


def test_masks_of_one_frame_do_not_overlap(clips: list[SynthClip]) -> None:
    assert max(int(clip.masks.sum(axis=0).max()) for clip in clips) == 1


def test_objects_stand_where_their_masks_are() -> None:
    scene = plan_scene(clip_seed("val", 3, 1), 4, 5 / 3)
    with_objects = SceneRenderer(scene, *SMALL).at(2.0)
    without = SceneRenderer(replace(scene, objects=()), *SMALL).at(2.0)
    inside = np.asarray(with_objects.masks.any(axis=0))
    assert inside.any()
    change = np.abs(with_objects.image.astype(int) - without.image.astype(int)).sum(axis=2)
    assert np.median(change[inside]) > 60
    # a cue's light and half-covered border pixels apart, the rest of the picture is the background
    near = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert np.median(change[~near]) == 0


def test_a_cue_shows_in_a_still_frame() -> None:
    scene = next(s for s in (plan_scene(seed, 4, 5 / 3) for seed in range(40)) if len(s.objects) == 1)
    always = (schedule.ActiveInterval(-1.0, 5.0),)
    item = replace(scene.objects[0], path=replace(scene.objects[0].path, absence=None))
    shining = SceneRenderer(replace(scene, objects=(replace(item, shows=always),)), 160, 96).at(1.0)
    quiet = SceneRenderer(replace(scene, objects=(replace(item, shows=()),)), 160, 96).at(1.0)
    outside = ~(shining.masks[0] | quiet.masks[0])
    assert (np.abs(shining.image.astype(int) - quiet.image)[outside].sum(axis=1) > 40).sum() > 60


def _silhouette(category: int, seed: int) -> NDArray[np.bool_]:
    canvas = Canvas(96, 96, np.array([[32.0, 0, 48], [0, 32.0, 48]]))
    draw(category, canvas, random_appearance(category, np.random.default_rng([category, seed])), Pose(0.3 * seed))
    return canvas.alpha > 127


def test_every_category_has_its_own_silhouette_inside_its_box() -> None:
    shapes = {c: [_silhouette(c, seed) for seed in range(3)] for c in IDS}
    for category, own in shapes.items():
        for shape in own:
            assert 300 < shape.sum() < 4500
            assert not shape[:4].any()
            assert not shape[:, :4].any()
            assert not shape[-4:].any()
            assert not shape[:, -4:].any()
        others = [shape for other, copies in shapes.items() if other != category for shape in copies]
        closest = max((own[0] & shape).sum() / (own[0] | shape).sum() for shape in others)
        assert closest < 0.85


# ---- sound


def test_a_second_is_loud_exactly_where_something_sounds() -> None:
    for index in range(12):
        scene = replace(plan_scene(clip_seed("val", 9, index), 8, 5 / 3), noise_db=-90.0)
        sound = soundtrack(scene)
        sources: list[SceneObject | OffScreenSource] = [*scene.objects, *scene.off_screen]
        plans = [schedule.sounding_seconds(source.sounds, 8) for source in sources]
        for second in range(8):
            inside = sound[second * SAMPLE_RATE : round((second + 0.8) * SAMPLE_RATE)]
            assert (_rms(inside) > 2e-3) == any(plan[second] for plan in plans)


@pytest.mark.parametrize("category", IDS, ids=name_of)
def test_a_voice_never_rests_for_a_second_and_is_as_loud_as_the_others(category: int) -> None:
    sound = voice(category, 3, 4 * SAMPLE_RATE)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= 0.8
    assert 0.02 < _rms(sound) < 0.15
    for start in range(0, 3 * SAMPLE_RATE, SAMPLE_RATE // 4):
        assert _rms(sound[start : start + SAMPLE_RATE]) > 0.015
    assert (voice(category, 3, 4 * SAMPLE_RATE) == sound).all()
    assert (voice(category, 4, 4 * SAMPLE_RATE) != sound).any()


def _features(category: int, seed: int) -> NDArray[np.float64]:
    bands = log_mel(voice(category, seed, SAMPLE_RATE))
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0)])


def test_categories_can_be_told_apart_by_one_second_of_sound() -> None:
    centres = np.stack([np.mean([_features(c, seed) for seed in range(6)], axis=0) for c in IDS])
    guesses = [(c, _features(c, seed)) for c in IDS for seed in range(100, 104)]
    right = [IDS[int(((centres - f) ** 2).sum(axis=1).argmin())] == c for c, f in guesses]
    assert np.mean(right) >= 0.9


# ---- on disk


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SplitPaths]:
    out = tmp_path_factory.mktemp("world") / "data"
    return out, write_split(out, SplitRequest("test", 14, seed=4, frames=5, size=SMALL))


def test_the_layout_is_that_of_aviseg(split: tuple[Path, SplitPaths]) -> None:
    out, files = split
    truth = json.loads(files.truth.read_text())
    assert [category["name"] for category in truth["categories"]] == list(NAMES)
    assert [category["id"] for category in truth["categories"]] == list(range(1, 11))
    assert sorted(path.name for path in out.iterdir()) == ["test", "test.json", "test_objects.json"]
    for video in truth["videos"]:
        assert video["length"] == len(video["file_names"]) == 5
        for name in video["file_names"]:
            image = cv2.imread(str(out / "test" / "JPEGImages" / name))
            assert image is not None
            assert image.shape == (48, 80, 3)
        with wave.open(str(out / "test" / "WAVAudios" / f"{video['file_names'][0].split('/')[0]}.wav")) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (16000, 1, 80000)


def test_annotations_are_the_masks_of_sounding_objects(split: tuple[Path, SplitPaths]) -> None:
    truth = json.loads(split[1].truth.read_text())
    assert [a["id"] for a in truth["annotations"]] == list(range(1, len(truth["annotations"]) + 1))
    for video in truth["videos"]:
        clip = make_clip(clip_seed("test", 4, video["id"] - 1), frames=5, size=SMALL)
        own = [a for a in truth["annotations"] if a["video_id"] == video["id"]]
        expected = [number for number in range(len(clip.category_ids)) if clip.truth[number].any()]
        assert [a["category_id"] for a in own] == [int(clip.category_ids[number]) for number in expected]
        for annotation, number in zip(own, expected, strict=True):
            for frame, run in enumerate(annotation["segmentations"]):
                assert (run is not None) == clip.truth[number, frame]
                if run is not None:
                    assert (run_length.decode(run) == clip.masks[number, frame]).all()
                    assert annotation["areas"][frame] == run_length.area(run)
                    assert annotation["bboxes"][frame] == run_length.bbox(run)


def test_processes_do_not_change_the_files(split: tuple[Path, SplitPaths], tmp_path: Path) -> None:
    again = write_split(tmp_path / "b", SplitRequest("test", 14, seed=4, frames=5, size=SMALL), jobs=2)
    assert again.truth.read_bytes() == split[1].truth.read_bytes()
    assert again.objects.read_bytes() == split[1].objects.read_bytes()
    for path in sorted(split[1].media.rglob("*.*")):
        assert (again.media / path.relative_to(split[1].media)).read_bytes() == path.read_bytes()


def test_an_existing_split_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    request = SplitRequest("val", 1, seed=0, frames=1, size=SMALL)
    first = write_split(tmp_path, request)
    kept = first.truth.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_split(tmp_path, replace(request, seed=1))
    assert first.truth.read_bytes() == kept
    write_split(tmp_path, replace(request, seed=1, videos=2), overwrite=True)
    assert len(json.loads(first.truth.read_text())["videos"]) == 2
    assert len(list((tmp_path / "val" / "WAVAudios").iterdir())) == 2


def test_nothing_half_written_stays_behind(tmp_path: Path) -> None:
    def interrupt(phase: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_split(tmp_path / "new", SplitRequest("val", 3, 0, frames=1, size=SMALL), progress=interrupt)
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_split(tmp_path / "file", SplitRequest("val", 1, 0, frames=1, size=SMALL))


@pytest.mark.parametrize(
    ("frames", "size", "fps"),
    [(0, SMALL, 1.0), (1, (8, 48), 1.0), (1, (80, 9000), 1.0), (1, SMALL, 0.0), (9999, SMALL, 1.0)],
)
def test_impossible_clips_are_refused(frames: int, size: tuple[int, int], fps: float) -> None:
    with pytest.raises(UsageError):
        make_clip(1, frames=frames, size=size, fps=fps)


def test_impossible_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 clips"):
        write_split(tmp_path, SplitRequest("val", 0, 0))
    with pytest.raises(UsageError, match="0 processes"):
        write_split(tmp_path, SplitRequest("val", 1, 0), jobs=0)


# ---- how hard it is


def _cheat_results(objects: dict[str, object], cheat: str) -> list[dict[str, object]]:
    results = []
    for video in objects["videos"]:  # type: ignore[attr-defined]
        given_objects = stats.shortcuts(stats.read_flags(video))[cheat]
        for item, given_frames in zip(video["objects"], given_objects, strict=True):
            masks = [run if here else None for run, here in zip(item["segmentations"], given_frames, strict=True)]
            if any(masks):
                owner = {"video_id": video["id"], "category_id": item["category_id"], "score": 1.0}
                results.append({**owner, "segmentations": masks})
    return results


@pytest.mark.parametrize("cheat", ["nothing", "all_visible", "no_gate", "glowing", "heard_category"])
def test_what_cheats_score_is_what_the_evaluator_says(
    split: tuple[Path, SplitPaths], cheat: str, tmp_path: Path
) -> None:
    objects = json.loads(split[1].objects.read_text())
    results = tmp_path / "results.json"
    results.write_text(json.dumps(_cheat_results(objects, f"fsla_{cheat}")))
    scores = avis_cli.evaluate(split[1].truth, results)
    claimed = getattr(stats.measure_file(split[1].objects), f"fsla_{cheat}")
    assert scores["corrected"]["FSLA"] == pytest.approx(claimed)


def test_the_test_split_is_no_easy_one() -> None:
    described = [
        annotate(make_clip(clip_seed("test", 0, index), size=SMALL), index + 1, "clip").objects for index in range(120)
    ]
    measured = stats.measure([stats.read_flags(v) for v in described], [bool(v["off_screen"]) for v in described])
    assert measured.fsla_nothing <= 40
    assert measured.fsla_all_visible <= 20
    assert measured.fsla_no_gate <= 55
    assert measured.fsla_glowing <= 65
    assert measured.clips_with_both_twins_sounding >= 25
    assert 35 <= measured.clips_with_twins <= 55
    assert measured.frames_multi >= 15


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "avis-tracks", "version": 1}', '{"format": 3', "[" * 9999]
)
def test_numbers_of_something_else_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(AnnotationError, match=r"x\.json"):
        stats.measure_file(tmp_path / "x.json")


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 14), st.sampled_from([(32, 32), (90, 40), (48, 96)]), st.integers(0, 1000))
def test_any_length_and_size_gives_a_clip_and_a_contact_sheet(frames: int, size: tuple[int, int], seed: int) -> None:
    clip = make_clip(seed, frames=frames, size=size)
    assert clip.images.shape == (frames, size[1], size[0], 3)
    sheet = contact_sheet([clip], thumbnail_width=40)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] >= 40 * min(frames, 12)
