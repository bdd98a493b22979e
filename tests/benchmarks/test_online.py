"""The online table: rows are trained as they say, uses do what their names say, what is judged is what is said."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import online
import pytest
import torch
from baselines.online_rows import AHEAD, IN_FRAME, ONLINE_ROWS, InFrameLocalizer, OnlineRuns, register
from baselines.online_scores import (
    USES,
    MatchedToTheFrameBefore,
    by_change,
    first_frame_counted,
    heard_part,
    intervals,
    numbers,
    offline_tracks,
    score,
    tracks_of,
)
from pycocotools import mask as coco
from stream_speed import make_source, measure

import avis_cli
from avis_cli.datasets.aviseg import read_training_split
from avis_cli.datasets.synth.layout import SplitRequest, write_split
from avis_cli.datasets.tracks import Category, Dataset, PredictedTrack, TruthTrack, Video
from avis_cli.inference.model import Model
from avis_cli.models import SYSTEMS, find_preset
from avis_cli.models.seavis.associate import AssociationRule, Candidates
from avis_cli.train.clips import FolderSource, hearing
from avis_cli.train.initial_weights import start
from avis_cli.train.predict_online import observe


@pytest.fixture(scope="module")
def model() -> Model:
    return avis_cli.load_model("seavis-tiny")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FolderSource:
    folder = tmp_path_factory.mktemp("clips")
    write_split(folder, SplitRequest("test", 4, seed=11, frames=5, size=(160, 96)))
    return FolderSource(read_training_split(folder, "test"))


@pytest.fixture(autouse=True)
def _variants_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is not there for the next."""
    monkeypatch.setattr("avis_cli.models.SYSTEMS", dict(SYSTEMS))
    monkeypatch.setattr("baselines.online_rows.SYSTEMS", __import__("avis_cli.models").models.SYSTEMS)


def test_rows_differ_in_the_one_thing_that_they_are_named_for(tmp_path: Path) -> None:
    runs = OnlineRuns(tmp_path, tmp_path / "runs", 7, seed=3)
    requests = {name: runs.request(name) for name in ONLINE_ROWS}
    full = requests["full"]
    assert {request.budget.steps for request in requests.values()} == {7}
    assert {request.seed for request in requests.values()} == {3}
    assert {request.init for request in requests.values()} == {"avism-tiny"}
    assert requests["second-ahead"].preset == AHEAD
    assert find_preset(AHEAD).config == replace(find_preset("seavis-tiny").config, name=AHEAD, sound_lookahead=1.0)
    assert requests["in-frame"].preset == IN_FRAME
    changed = {
        "no-contrast": {"frame_contrast": 0.0, "instance_contrast": 0.0},
        "frame-contrast-only": {"instance_contrast": 0.0},
        "instance-contrast-only": {"frame_contrast": 0.0},
        "silent-by-likeness": {"silent": "likeness"},
    }
    for name, fields in changed.items():
        assert requests[name].recipe == replace(full.recipe, **fields), name  # type: ignore[arg-type]
    assert requests["in-frame"].recipe == requests["second-ahead"].recipe == full.recipe


def test_fusion_within_the_frame_knows_nothing_of_frames_before(tmp_path: Path) -> None:
    request = OnlineRuns(tmp_path, tmp_path, 5).request("in-frame")
    network = start(request, find_preset("seavis-tiny").config.categories).network.eval()
    assert isinstance(network.localizer, InFrameLocalizer)
    causal = start(OnlineRuns(tmp_path, tmp_path, 5).request("full"), network.config.categories).network.eval()
    frame = torch.randint(0, 256, (3, 96, 160), dtype=torch.uint8)

    def depends_on_the_past(network: Any) -> bool:
        seen = []
        for past in (0.0, 3.0):
            _, state = network.step(network.start(), frame, torch.full((128,), past))
            seen.append(network.look(state, frame, torch.ones(128), 1.0)[0].mask_embed)
        return seen[0].shape != seen[1].shape or not torch.equal(seen[0], seen[1])

    assert not depends_on_the_past(network)
    assert depends_on_the_past(causal)


def candidates(*embeds: tuple[float, float], score: float = 0.9) -> Any:
    count = len(embeds)
    found = Candidates(np.full((count, 2), score), np.array(embeds, float), np.ones(count))
    return SimpleNamespace(
        candidates=found, time=0.0, size=(4, 4), mask_embed=torch.zeros(count, 1), mask_features=torch.zeros(1, 2, 2)
    )


def linker() -> tuple[Any, Any]:
    network = MatchedToTheFrameBefore(SimpleNamespace(config=None, rule=None))
    return network, AssociationRule(0.3, -1.0, 0.01, 20, 10, 0.5, 0.0, 0.1, gated=False)


def test_the_baseline_matches_with_the_frame_before_and_remembers_nothing_older() -> None:
    network, rule = linker()
    state = network.start()
    one, state = network.link(state, candidates((1, 0), (0, 1)), rule)
    two, state = network.link(state, candidates((0, 1), (1, 0.1)), rule)
    assert [track.id for track in one.tracks] == [1, 2]
    assert [track.id for track in two.tracks] == [2, 1]
    three, state = network.link(state, candidates((1, 0)), rule)
    assert [track.id for track in three.tracks] == [1]
    four, _ = network.link(state, candidates((0, 1)), rule)
    assert [track.id for track in four.tracks] == [3], "it was away for a frame, so it is another one"
    silent, _ = network.link(network.start(), candidates((1, 0), score=0.4), rule)
    assert [track.candidate for track in silent.tracks] == [None]


def test_uses_do_what_their_names_say(model: Model, source: FolderSource) -> None:
    scored = score(model, source, list(USES))
    full, muted = scored["full"].row["scores"], scored["muted"].row["scores"]
    assert full["FSLA"] > muted["FSLA"]
    assert muted["suppressed"] == 100.0
    assert full["twins"] is None or 0 <= full["twins"] <= 100
    assert scored["another clip's sound"].row["scores"] != full
    assert "differences" not in scored["full"].row
    low, high = scored["muted"].row["differences"]["FSLA"]
    assert low <= high <= 0
    assert intervals(scored["full"].draws - scored["full"].draws)["FSLA"] == (0.0, 0.0)


def test_gate_off_and_matching_change_the_rule_and_not_what_was_seen(model: Model, source: FolderSource) -> None:
    seen = observe(model, hearing(source, model.config.sound_lookahead, model.config.fps), len(source))
    changed: list[dict[str, Any]] = []

    class Spy:
        config = seen.network.config
        start, link = seen.network.start, staticmethod(seen.network.link)

        def rule(self, **changes: Any) -> Any:
            changed.append(changes)
            return seen.network.rule(**changes)

    spied = replace(seen, network=Spy())  # type: ignore[arg-type]
    tracks_of(spied, USES["gate off"])
    tracks_of(spied, USES["full"])
    assert changed[0] == {"gated": False}
    assert changed[1] == {"gate_threshold": model.config.gate_threshold}


def test_the_first_frame_is_judged_only_where_it_is_said(model: Model, source: FolderSource) -> None:
    usual, silent = heard_part(*_dataset(model, source))
    whole, _ = _dataset(model, source)
    for part, video in zip(usual.videos, whole.videos, strict=True):
        assert part.length == video.length - 1
        assert part.file_names == video.file_names[1:]
        later = [track.masks[1:] for track in video.truths if any(track.masks[1:])]
        assert [track.masks for track in part.truths] == later
        assert all(len(track.masks) == part.length for track in part.predictions)
    assert all(len(track) == 4 for objects in silent for track in objects)
    counted = first_frame_counted(model, source)
    apart = numbers(usual, silent)
    assert counted["FSLA"] is not None
    assert apart["FSLA"] is not None
    assert counted["FSLA"] < apart["FSLA"], "what sounds at a first frame cannot have been heard"


def _dataset(model: Model, source: FolderSource) -> tuple[Any, Any]:
    seen = observe(model, hearing(source, model.config.sound_lookahead, model.config.fps), len(source))
    return seen.dataset(model.config.gate_threshold), seen.silent


def test_the_offline_network_is_judged_on_the_same_frames(source: FolderSource) -> None:
    offline = avis_cli.load_model("avism-tiny")
    whole, silent = offline_tracks(offline, source, None)
    windows, _ = offline_tracks(offline, source, 3)
    assert [video.length for video in whole.videos] == [4] * len(source)
    assert any(video.predictions for video in whole.videos)
    assert any(video.predictions for video in windows.videos)
    assert len(silent) == len(source)


def test_the_table_has_a_line_for_each_row() -> None:
    scores = dict.fromkeys(("FSLA", "HOTA", "mAP", "twins", "suppressed", "untouched"), 50.0)
    rows = [
        {"name": "full", "group": "bundled", "scores": scores, "intervals": {"FSLA": [40.0, 60.0]}},
        {"name": "x", "group": "short", "scores": {**scores, "twins": None}, "differences": {"FSLA": [-2.0, 1.0]}},
    ]
    text = online.table({"rows": rows, "lengths": []})
    assert "| full | 50.0 | 40.0 to 60.0 |  | 50.0 |" in text
    assert "| x | 50.0 |  | -2.0 to +1.0 | 50.0 | 50.0 | - | 50.0 | 50.0 |" in text


def test_a_stream_is_measured(model: Model, tmp_path: Path) -> None:
    make_source(tmp_path / "clip.mp4", 10, 2.0, (64, 48))
    numbers = measure(tmp_path / "clip.mp4", model, live=False)
    assert numbers["fps"] > 0
    assert numbers["dropped"] == 0
    assert 0 <= numbers["drawn"] <= 100
    assert 0 < numbers["model"] <= numbers["latency"] <= numbers["late"]
    from avis_cli.media import decode

    clip = decode.probe(tmp_path / "clip.mp4")
    assert abs(clip.duration - Fraction(2)) < Fraction(1, 10)
    assert clip.audio is not None


def test_variants_are_found_once_they_are_registered() -> None:
    register()
    assert find_preset(AHEAD).system.family == "seavis-variants"
    assert find_preset("seavis-tiny").system.family == "seavis"


def test_frames_are_told_apart_by_what_begins_and_ends() -> None:
    left = np.zeros((4, 4), np.uint8, order="F")
    left[:, :2] = 1
    mask, other = (dict(coco.encode(np.asfortranarray(one))) for one in (left, 1 - left))
    empty: list[dict[str, Any] | None] = [None] * 6

    def truth(id: int, masks: list[Any]) -> TruthTrack:
        return TruthTrack(id, 1, False, [None if one is None else 4.0 for one in masks], masks)

    first = [mask, mask, None, None, mask, mask]
    second = [None, None, None, None, other, other]
    # wrong where the second begins, and missing at the end
    found = PredictedTrack(0, 1, 0.9, [mask, mask, None, None, mask, None])
    video = Video(1, "clip", 6, 4, 4, [f"{n}.jpg" for n in range(6)], [truth(1, first), truth(2, second)], [found])
    counts = by_change(Dataset([Category(1, "bell")], [video]))
    assert counts == {
        "as before": {"frames": 3, "right": pytest.approx(200 / 3)},
        "begins": {"frames": 1, "right": 0.0},
        "ends": {"frames": 1, "right": 100.0},
    }
    quiet = replace(video, truths=[], predictions=[replace(found, masks=empty)])
    assert by_change(Dataset([Category(1, "bell")], [quiet]))["begins"] == {"frames": 0, "right": None}
