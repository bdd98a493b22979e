"""Class maps of a clip: which sound belongs to which picture, frames in groups, files, and objects cut from maps."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_maps
from media_factory import make_clip
from PIL import Image
from toy_maps import LEFT, RIGHT

import avis_cli
from avis_cli.errors import UsageError
from avis_cli.inference.map_instances import instances
from avis_cli.inference.segment_maps import MapFrame, class_map, class_maps, segment_maps, sound_starts
from avis_cli.results import run_length
from avis_cli.results.semantic import SemanticResult

RATE = 16_000


def stereo(seconds: list[str]) -> np.ndarray:
    """A tone of a second each, in the channel that the letter says: l, r or - for silence."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    sound = np.zeros((2, RATE * len(seconds)), np.float32)
    for number, side in enumerate(seconds):
        if side != "-":
            sound["lr".index(side), number * RATE : (number + 1) * RATE] = tone
    return sound


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mov"
    make_clip(
        path, size=(96, 64), fps=10, seconds=5, audio=stereo(list("lr-rl")), sample_rate=RATE, layout="stereo",
        audio_codec="pcm_s16le",
    )  # fmt: skip
    return path


def found(path: Path, model: Any, **settings: Any) -> SemanticResult:
    result = avis_cli.segment(path, model, **settings)
    assert isinstance(result, SemanticResult)
    return result


def sides(result: SemanticResult) -> str:
    """What sounds in each mask frame: l, r, - for nothing, + for both."""
    letters = {frozenset(): "-", frozenset({LEFT}): "l", frozenset({RIGHT}): "r"}
    frames = (set(np.unique(result.frame(index))) - {0} for index in range(len(result.times)))
    return "".join(letters.get(frozenset(frame), "+") for frame in frames)


def test_each_picture_hears_its_own_second_of_both_channels(clip: Path) -> None:
    result = found(clip, toy_maps.model())
    assert result.times == (0, 1, 2, 3, 4)
    assert sides(result) == "lr-rl"
    left = result.frame(0)
    assert left.shape == (64, 96)
    assert (left[:, :47] == LEFT).all()
    assert (left[:, 49:] == 0).all()
    assert [(map.category_id, map.label) for map in result.maps] == [(1, "left"), (2, "right")]
    assert result.maps[0].score == pytest.approx(float(torch.tensor([1.0, 3, 0]).softmax(0)[1]), abs=0.02)


def test_one_channel_of_sound_for_a_model_that_hears_two_is_told(clip: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.mp4"
    make_clip(one, size=(96, 64), fps=10, seconds=2, audio="tone", layout="mono")
    said: list[str] = []
    found(one, toy_maps.model(), warn=said.append)
    assert said == ["the sound has one channel, toy-maps hears two: all seems to come from the middle"]
    for path, channels in ((one, 1), (clip, 2)):
        said.clear()
        found(path, toy_maps.model(sound_channels=channels), warn=said.append)
        assert said == []


def test_only_a_clip_without_any_sound_is_told_to_be_silent(clip: Path, tmp_path: Path) -> None:
    said: list[str] = []
    quiet = tmp_path / "quiet.mp4"
    make_clip(quiet, size=(96, 64), fps=10, seconds=2, audio="silence", layout="mono")
    for hears in ("samples", "embedding"):
        model = toy_maps.model(sound_channels=1, hears=hears, audio_width=1)
        found(quiet, model, warn=said.append)
        assert [line for line in said if "silent from beginning to end" in line] == said[-1:] != []
        said.clear()
        found(quiet, model, warn=said.append, mute=True)
        found(clip, model, warn=said.append)
        assert said == []


def test_frames_go_through_in_the_groups_that_the_network_knows(clip: Path) -> None:
    model = toy_maps.model()
    found(clip, model)
    assert [shape[0] for shape, _, _ in model.network.calls] == [3, 2]
    whole = toy_maps.model(whole_clips=True)
    result = found(clip, whole)
    assert [shape[0] for shape, _, _ in whole.network.calls] == [3, 3]
    assert (len(result.times), sides(result)) == (5, "lr-rl")
    assert all(shape[1:] == (3, 32, 32) for shape, _, _ in whole.network.calls)


def test_sound_before_the_picture_and_longer_than_a_second(clip: Path) -> None:
    # the second that ends at the picture: nothing before the clip begins
    assert sides(found(clip, toy_maps.model(sound_before=1.0))) == "-lr-r"
    model = toy_maps.model(sound_seconds=3.0, sound_before=1.5)
    found(clip, model)
    loud = [channels for _, _, call in model.network.calls for channels in call]
    assert all(shape[1:] == (2, 3 * RATE) for _, shape, _ in model.network.calls)
    heard = [[side > 0.1 for side in channels] for channels in loud]
    # -1.5 to 1.5 s, -0.5 to 2.5, 0.5 to 3.5, 1.5 to 4.5, 2.5 to 5.5
    assert heard == [[True, True], [True, True], [True, True], [True, True], [True, True]]
    short = toy_maps.model(sound_seconds=0.5, sound_before=0.75)
    assert sides(found(clip, short)) == "-lr-r"


def test_sounds_may_follow_each_other_closer_than_the_pictures() -> None:
    released = toy_maps.config(sound_step=0.96)
    assert sound_starts(released, [Fraction(n) for n in (5, 6, 7)]) == [5, Fraction("5.96"), Fraction("6.92")]
    ours = toy_maps.config(sound_before=0.9375)
    assert sound_starts(ours, [Fraction(1), Fraction(2)]) == [Fraction(1, 16), Fraction(17, 16)]


def test_rates_and_parts_of_a_clip(clip: Path) -> None:
    result = found(clip, toy_maps.model(), mask_fps=2, start=1, end=3)
    assert result.times == (1, 1.5, 2, 2.5)
    assert sides(result)[0] == "r"
    assert found(clip, toy_maps.model(), fps=2).times == found(clip, toy_maps.model(), mask_fps=2).times
    every = found(clip, toy_maps.model(), mask_fps="video", end=1)
    assert len(every.times) == 10
    with pytest.raises(UsageError, match="hears what it draws"):
        avis_cli.segment(clip, toy_maps.model(), fps=2, mask_fps=5)


def test_one_channel_and_silence(clip: Path) -> None:
    mono = found(clip, toy_maps.model(sound_channels=1))
    assert sides(mono) == "ll-ll"
    assert not found(clip, toy_maps.model(), mute=True).maps


def test_embeddings_are_of_the_second_too(clip: Path) -> None:
    heard = toy_maps.model(hears="embedding", sound_channels=1, audio_width=1)
    assert sides(found(clip, heard)) == "ll-ll"
    late = toy_maps.model(hears="embedding", sound_channels=1, audio_width=1, sound_before=1.0)
    assert sides(found(clip, late)) == "-ll-l"


def test_a_binary_map_is_decided_at_one_half() -> None:
    logits = torch.tensor([[[-0.1, 0.0, 0.1, 4.0]]])
    labels, probability = class_map(logits, (1, 4))
    assert labels.tolist() == [[0, 0, 1, 1]]
    assert probability[0, 3] == pytest.approx(0.982, abs=1e-3)
    # resized first, then decided: halfway between 4 and -1 a pixel sounds
    wide, _ = class_map(torch.tensor([[[-1.0, 4.0]]]), (1, 4))
    assert wide.tolist() == [[0, 1, 1, 1]]


def test_the_largest_logit_decides_between_classes() -> None:
    logits = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 2.0, 0.0]], [[0.0, 1.9, 3.0]]])
    labels, probability = class_map(logits, (1, 3))
    assert labels.tolist() == [[0, 1, 2]]
    assert probability[0, 2] == pytest.approx(float(torch.tensor([0.0, 0, 3]).softmax(0)[2]))


def frame(labels: list[str], time: int = 0) -> MapFrame:
    drawn = np.array([[int(digit) for digit in row] for row in labels], np.uint8)
    drawn = drawn.repeat(10, 0).repeat(10, 1)
    return MapFrame(Fraction(time), drawn, np.full(drawn.shape, 0.75, np.float32))


def test_cleaning_never_gives_a_pixel_to_two_classes() -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[10:90, 10:90] = 1
    labels[50, 50] = 2  # a pinhole of the one is a speck of the other
    labels[30, 30] = 0
    maps = class_maps([MapFrame(Fraction(0), labels, np.ones((100, 100), np.float32))], 2, clean=True)
    first, second = (run_length.decode(mask) for masks in maps.masks for mask in masks if mask is not None)
    assert (first[30, 30], first[50, 50], second[50, 50]) == (True, False, True)
    assert not (first & second).any()


def test_each_connected_piece_is_an_object_that_sort_follows() -> None:
    clips = [
        frame(["110000", "110002", "000002"], 0),
        frame(["011000", "011002", "000002"], 1),
        frame(["001100", "001102", "100000"], 2),
    ]
    found = instances(clips)
    assert found.classes == [0, 1, 0]
    present = [[mask is not None for mask in masks] for masks in found.masks]
    assert present == [[True, True, True], [True, True, True], [False, False, True]]
    assert found.scores == pytest.approx([0.75] * 3)
    # of one pixel's size in a large picture nothing is made
    labels = np.zeros((100, 100), np.uint8)
    labels[3, 3:8] = 1
    assert not instances([MapFrame(Fraction(0), labels, np.ones((100, 100), np.float32))]).scores


def test_objects_of_a_clip(clip: Path) -> None:
    result = avis_cli.segment(clip, toy_maps.model(), instances="sort", threshold=0.1)
    assert isinstance(result, avis_cli.ClipResult)
    assert sorted({track.label for track in result.tracks}) == ["left", "right"]
    assert not avis_cli.segment(clip, toy_maps.model(), instances="sort", threshold=0.9).tracks


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threshold": 0.4}, "threshold with toy-maps, which makes class maps"),
        ({"max_tracks": 2}, "max_tracks with toy-maps"),
        ({"gate": True}, "gate with toy-maps"),
        ({"window": 9}, "window"),
        ({"max_gap": 1}, "max_gap"),
        ({"refine": "aurora"}, "refine"),
        ({"fill": "flow"}, "fill"),
        ({"instances": "sort", "clean": True}, "clean"),
    ],
)
def test_settings_without_effect_are_refused(clip: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        avis_cli.segment(clip, toy_maps.model(), **settings)


def test_models_that_tell_objects_apart_take_no_instances(clip: Path) -> None:
    with pytest.raises(UsageError, match="instances with avism-tiny, which tells objects apart itself"):
        avis_cli.segment(clip, "avism-tiny", instances="sort")
    with pytest.raises(UsageError, match="instances with seavis-tiny, which goes through a clip"):
        avis_cli.segment(clip, "seavis-tiny", instances="sort")


def test_files_of_class_maps(clip: Path, tmp_path: Path) -> None:
    result = found(clip, toy_maps.model())
    result.save(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"maps.json", "masks", "overlay.mp4", "report.html"}
    assert not (tmp_path / "out" / "tracks.json").exists()
    again = avis_cli.read_result(tmp_path / "out" / "maps.json")
    assert again == result
    for index in range(5):
        image = Image.open(tmp_path / "out" / "masks" / f"{index:06d}.png")
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), result.frame(index))
    page = (tmp_path / "out" / "report.html").read_text()
    assert "left" in page
    assert "left 1" not in page
    assert "2 sounding classes" in page
    result.export("csv", tmp_path / "who.csv")
    assert "left" in (tmp_path / "who.csv").read_text()
    result.render(tmp_path / "again.mp4")
    assert result.plot(1).size == (96, 64)


def test_when_a_class_sounds(clip: Path) -> None:
    left, right = found(clip, toy_maps.model()).tracks
    assert (left.id, left.sounding) == (1, [(0, 1), (4, 5)])
    assert (right.id, right.sounding) == (2, [(1, 2), (3, 4)])


def test_logits_by_hand() -> None:
    frames, sound = np.zeros((3, 3, 32, 32), np.uint8), np.zeros((3, 2, RATE), np.float32)
    sound[1, 1] = 1
    logits = segment_maps(toy_maps.model(), frames, sound)
    assert (logits.shape, logits.dtype) == ((3, 3, 32, 32), torch.float32)
    assert logits.argmax(1)[1, 0].tolist() == [0] * 16 + [2] * 16
    with pytest.raises(UsageError, match=r"sound of shape \(3, 1, 16000\) for 3 frames, expected \(F, 2, samples"):
        segment_maps(toy_maps.model(), frames, sound[:, :1])
    with pytest.raises(UsageError, match="for 3 frames"):
        segment_maps(toy_maps.model(), frames, sound[:2])
    with pytest.raises(UsageError, match=r"expected \(F, 3, h, w\) of uint8"):
        segment_maps(toy_maps.model(), frames[:, 0], sound)
    with pytest.raises(UsageError, match="has no class maps"):
        segment_maps(avis_cli.load_model("avism-tiny"), frames, sound)
