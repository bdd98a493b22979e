"""What is measured of CAVP in small: rows that differ in one thing, pairs that are told apart, differences."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cavp
import numpy as np
import pytest
import torch
import toy_maps

from avis_cli.datasets.synth.vpo_layout import VpoRequest, still, write_vpo
from avis_cli.train.sources import open_source
from avis_cli.train.validate_maps import truth_maps


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vpo") / "msmi"
    write_vpo(folder, VpoRequest("msmi", 40, 1, (64, 32)))
    return folder


def test_rows_differ_in_the_one_thing_that_they_are_named_for(tmp_path: Path) -> None:
    runs = cavp.Runs(tmp_path, tmp_path / "runs", 7, seed=3)
    requests = {name: runs.request(name) for name in cavp.ROWS}
    assert {request.budget.steps for request in requests.values()} == {7}
    assert {(request.seed, request.init) for request in requests.values()} == {(3, "avism-tiny")}
    mono, stereo, plain = requests["mono"], requests["stereo"], requests["no-contrast"]
    assert plain.recipe == replace(mono.recipe, contrast=0.0)  # type: ignore[call-arg]
    assert mono.recipe.contrast > 0  # type: ignore[attr-defined]
    # of two channels a sound of the same class from elsewhere does not fit
    assert stereo.recipe == replace(mono.recipe, class_fits=False, replaced=0.0)  # type: ignore[call-arg]
    assert (mono.preset, plain.preset, stereo.preset) == ("cavp-tiny", "cavp-tiny", "cavp-tiny-stereo")


def pair_in(data: Path) -> tuple[int, cavp.Pair]:
    source = open_source(data, "train", toy_maps.config(sound_channels=2))
    for number, seed in enumerate(cavp.scenes_of(data, "train")):
        for pair in cavp.pairs_of(seed, truth_maps(source.read(number, [0]))[0]):
            return number, pair
    raise AssertionError("no pair in the set")


def test_pairs_are_two_of_a_category_of_which_one_sounds(data: Path) -> None:
    source = open_source(data, "train", toy_maps.config(sound_channels=2))
    number, pair = pair_in(data)
    truth = truth_maps(source.read(number, [0]))[0]
    assert (truth[pair.sounds] == pair.number).all()
    assert (truth[pair.silent] != pair.number).all()
    assert pair.silent.any()
    seed = cavp.scenes_of(data, "train")[number]
    _, masks, categories = still(seed, (64, 32))
    both = np.zeros_like(truth)
    for mask, category in zip(masks, categories, strict=True):
        both[mask] = category
    assert not list(cavp.pairs_of(seed, both)), "all sound"
    assert not list(cavp.pairs_of(seed, np.zeros_like(truth))), "none sounds"


def test_a_pair_is_told_apart_by_where_its_class_is_likelier() -> None:
    left = np.zeros((2, 4), bool)
    left[:, :2] = True
    pair = cavp.Pair(1, left, ~left)
    told = cavp.Told()
    assert told.shares() == {"pairs": 0.0, "told apart": None, "strictly": None}
    chance = np.stack([np.full((2, 4), 0.5), np.where(left, 0.6, 0.4)])
    told.add(pair, chance, chance.argmax(0))
    assert told.shares() == {"pairs": 1, "told apart": 100, "strictly": 100}
    told.add(pair, chance, np.ones((2, 4), np.int64))  # drawn on both
    assert told.shares() == {"pairs": 2, "told apart": 100, "strictly": 50}
    told.add(cavp.Pair(1, ~left, left), chance, chance.argmax(0))
    assert told.shares() == {"pairs": 3, "told apart": pytest.approx(200 / 3), "strictly": pytest.approx(100 / 3)}
    told.add(pair, np.full((2, 2, 4), 0.5), np.zeros((2, 4), np.int64))
    assert told.shares()["told apart"] == pytest.approx(62.5), "a tie is half right"


def model_that(draws: Any) -> Any:
    model = toy_maps.model(categories=tuple(f"c{n}" for n in range(10)), sound_channels=2, side=None, clip_frames=1)
    model.network.segment = draws
    return model


def test_scores_and_differences_of_one_that_knows_and_one_that_draws_nothing(data: Path) -> None:
    config = toy_maps.config(sound_channels=2)
    source, scenes = open_source(data, "train", config), cavp.scenes_of(data, "train")
    clips = [source.read(number, [0]) for number in range(len(source))]
    truths = {clip.frames.transpose(0, 3, 1, 2).tobytes(): truth_maps(clip) for clip in clips}

    def knows(frames: torch.Tensor, audio: torch.Tensor, valid: Any = None) -> torch.Tensor:
        truth = torch.from_numpy(truths[frames.numpy().tobytes()])
        return 10.0 * torch.nn.functional.one_hot(truth, 11).permute(0, 3, 1, 2)

    def nothing(frames: torch.Tensor, audio: torch.Tensor, valid: Any = None) -> torch.Tensor:
        return 10.0 * torch.nn.functional.one_hot(frames[:, 0].long() * 0, 11).permute(0, 3, 1, 2)

    best, worst = (cavp.score(model_that(draws), source, scenes) for draws in (knows, nothing))
    assert best["scores"] == {"miou": 100, "f03": 100, "fdr": 0}
    assert best["told"]["pairs"] > 0
    assert best["told"]["told apart"] == best["told"]["strictly"] == 100
    assert worst["told"]["told apart"] == 50
    assert worst["told"]["strictly"] == 0
    low, high = cavp.differences(best, worst)["miou"]  # type: ignore[misc]
    assert 0 < low <= 100 - worst["scores"]["miou"] <= high
    assert cavp.differences(best, best)["miou"] == (0, 0)


def test_the_table_has_a_line_for_each_row() -> None:
    row = {
        "scores": {"miou": 10.0, "f03": 20.0, "fdr": 30.0},
        "told": {"pairs": 0.0, "told apart": None, "strictly": None},
    }
    text = cavp.table({"sets": {"ms": {"mono": row, "stereo": {**row, "differences": {"miou": (-1.0, 2.0)}}}}})
    assert "| ms, mono | 10.0 | 20.0 | 30.0 |  | 0 | - | - |" in text
    assert "| ms, stereo | 10.0 | 20.0 | 30.0 | -1.0 to +2.0 | 0 | - | - |" in text


def test_scenes_are_those_of_the_samples(data: Path) -> None:
    about = json.loads((data / "vpo.json").read_text())
    scenes = cavp.scenes_of(data, "train")
    assert len(scenes) == about["counts"]["train"]
    source = open_source(data, "train", toy_maps.config(sound_channels=2))
    picture, _, _ = still(scenes[0], (64, 32))
    seen = source.read(0, [0]).frames[0]
    assert np.abs(seen.astype(int) - picture.astype(int)).mean() < 6, "the same but for JPEG"
