"""Refinement computes what the public code does, on arrays and on whole runs of networks that anyone can rebuild.

`data/parity/aurora/`: `units.npz`, the steps alone; a run each, one row for each candidate that is kept, known by its
video query and class, its masks in the .json by the video query.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import parity_fill
import pytest
import torch
from numpy.typing import NDArray
from parity_run import apart, iou
from pycocotools import mask as coco

from avis_cli.inference.aurora import dice, refine, route
from avis_cli.inference.clip_frames import Sampling
from avis_cli.inference.mask_frames import MaskFrame
from avis_cli.inference.model import Model
from avis_cli.inference.tracked_window import Drawn, TrackedWindow, WindowSettings
from avis_cli.inference.windows import TokenWindow
from avis_cli.models import find_preset
from avis_cli.models.tokens import TrackQueries
from avis_cli.models.two_level.network import TwoLevelNetwork

DATA = parity_fill.DATA / "aurora"
THRESHOLD = 0.3
CLEAR = 1e-3  # how much better the best frame query has to be for the route to be the same everywhere
ONE_PIXEL_OFF = 1  # candidates whose dice may differ by a pixel
DIVIDED = ("sem_seg_head.predictor.av_pre_proj.weight", "vita_module.av_proj.weight")  # as in the parity of ACVIS
Array = NDArray[Any]


def test_each_step() -> None:
    golden = {name: torch.from_numpy(array) for name, array in np.load(DATA / "units.npz").items()}
    queries, frames = golden["query"], torch.arange(len(golden["frame_embed"]))
    # the two thirds of the tokens that their sound makes up come separately, as the tracker gives them
    sound = golden["frame_embed"].mean(1)
    tracks = TrackQueries(
        torch.zeros(1), torch.zeros(1), golden["clip_embed"], golden["frame_embed"] - sound[:, None], sound
    )
    routes = route(tracks, queries)
    assert torch.equal(routes.frame_queries, golden["route"])
    assert torch.equal(routes.positive, golden["positive"])
    routed = golden["frame_logits"][frames, routes.frame_queries]
    done = refine(golden["global_logits"], routed, routes.positive)
    assert torch.equal(done.supported, golden["support"])
    cases = set(zip(done.supported.flatten().tolist(), routes.positive.flatten().tolist(), strict=True))
    assert len(cases) == 4, "supported or not, positive or not"
    for got, wanted in ((done.common, "intersection"), (done.video, "global_area"), (done.frame, "local_area")):
        assert torch.equal(got.sum(1).float(), golden[wanted])
    errors = {
        "route": apart(routes.similarity, golden["route_value"].numpy()),
        "refined": apart(done.logits, golden["refined"].numpy()),
        "dice": apart(dice(done.common.sum(1), done.video.sum(1), done.frame.sum(1)), golden["dice"].numpy()),
    }
    print(f"\n{', '.join(f'{name} {error:.1e}' for name, error in errors.items())}")
    assert max(errors.values()) < 1e-5


@dataclass
class Run:
    """A whole run, refined; ``baseline``: the same tokens without."""

    golden: Any
    about: dict[str, Any]
    window: TrackedWindow
    baseline: TrackedWindow
    drawn: list[Drawn]
    supported: Array

    def places(self) -> list[int]:
        """Of each golden row the candidate of that query and class."""
        pairs = zip(self.window.pairs.queries.tolist(), self.window.classes, strict=True)
        place = {pair: number for number, pair in enumerate(pairs)}
        return [place[pair] for pair in zip(*(self.golden[name].tolist() for name in ("query", "labels")), strict=True)]


def giving(features: torch.Tensor) -> Callable[[Fraction], torch.Tensor]:
    return lambda _: features


def refined(preset: str, name: str, weights: dict[str, torch.Tensor], given: Any, audio: str) -> Run:
    """``given``: the frames, and their sound under ``audio``."""
    about, golden = json.loads((DATA / f"{name}.json").read_text()), np.load(DATA / f"{name}.npz")
    found = find_preset(preset)
    network: Any = found.system.build(found.config)
    assert isinstance(network, TwoLevelNetwork)
    found.system.load(network, weights)
    model = Model(network)
    sound = torch.from_numpy(given[audio])
    tokens = model.localize(
        given["frames"], network.embed_log_mel(sound) if sound.ndim == 3 else sound, frame_masks=True
    )
    sampling, whole = Sampling(Fraction(1), Fraction(1)), TokenWindow(0, tokens, True)
    windows = [
        TrackedWindow(
            model, whole, sampling, WindowSettings(tuple(about["output_size"]), THRESHOLD, False, refine=how), None
        )
        for how in ("aurora", "none")
    ]
    drawn, supported = [], []
    window, baseline = windows
    assert window.refiner is not None
    every = torch.arange(len(window.pairs.masks))
    for time, features in zip(window.times, tokens.mask_features, strict=True):
        frame = MaskFrame(time, giving(features))
        drawn.append(window.draw(frame))
        embed = window._embed[window.pairs.masks]
        supported.append(window.refiner.refine(embed, features, every, time).supported[window.pairs.rows].numpy())
        baseline.draw(MaskFrame(time, giving(features.chunk(2)[0])))
    return Run(golden, about, window, baseline, drawn, np.stack(supported, axis=1))


def check(case: Run) -> None:
    golden, window, places = case.golden, case.window, case.places()
    canonical, agreement = np.array(window.scores()), np.array(window.agreement())
    kept, unrefined = _kept(case)
    assert kept == set(zip(golden["query"].tolist(), golden["labels"].tolist(), strict=True))
    assert unrefined == set(zip(golden["baseline_query"].tolist(), golden["baseline_labels"].tolist(), strict=True))
    assert window.refiner is not None
    rows, routes = window.pairs.rows[places], window.refiner.routes
    clear = golden["route_gap"] > CLEAR
    assert np.array_equal(routes.frame_queries[rows].numpy()[clear], golden["route"][clear])
    assert np.array_equal(routes.positive[rows].numpy(), golden["positive"])
    assert np.array_equal(case.supported[places], golden["support"])
    errors = {
        "similarity": apart(routes.similarity[rows], golden["route_value"]),
        "class probability": float(np.abs(window.pairs.probabilities[places].numpy() - golden["class_prob"]).max()),
        "canonical": float(np.abs(canonical[places] - golden["canonical"]).max()),
    }
    counted = {
        "dice": np.abs(agreement[places] - golden["dice"]),
        "score": np.abs((canonical * agreement)[places] - golden["scores"]),
    }
    overlaps, apart_pixels = [], 0
    for query, place in zip(golden["query"].tolist(), places, strict=True):
        size = case.about["output_size"]
        wanted = np.stack([coco.decode({"size": size, "counts": runs}) for runs in case.about["masks"][str(query)]]) > 0
        masks = [drawn[place] for drawn in case.drawn]
        shown = np.stack([np.zeros(size, bool) if mask is None else mask for mask in masks])
        overlaps.append(iou(shown, wanted))
        apart_pixels += int((shown ^ wanted).sum())
    overlap = min(overlaps)
    added, dropped = len(kept - unrefined), len(unrefined - kept)
    shown_errors = errors | {name: float(error.max()) for name, error in counted.items()}
    print(f"\n{', '.join(f'{name} {error:.1e}' for name, error in shown_errors.items())}, lowest IoU {overlap:.6f}")
    print(f"{apart_pixels} pixels of {len(places) * len(case.drawn) * np.prod(case.about['output_size'])} differ")
    print(
        f"{len(kept)} kept, {added} that were not before, {dropped} of before dropped, {clear.mean():.1%} clear routes"
    )
    assert max(errors.values()) < 1e-3
    for name, error in counted.items():
        # made of whole pixels: where a logit is zero but for rounding, one turns over on some processors
        assert (error >= 1e-3).sum() <= ONE_PIXEL_OFF, name
        assert error.max() < 2e-3, name
    assert overlap >= 0.999


@pytest.fixture(scope="module")
def avism_in() -> Run:
    weights = parity_fill.weights("avism_R50_IN", 13)
    return refined("avism-r50-in", "avism_r50_in", weights, np.load(parity_fill.DATA / "r50_in_frames.npz"), "audio")


@pytest.fixture(scope="module")
def avism_coco() -> Run:
    weights = parity_fill.weights("avism_R50_COCO", 41)
    return refined("avism-r50-coco", "avism_r50_coco", weights, np.load(DATA / "avism_r50_coco.npz"), "audio")


def test_avism_with_padding(avism_in: Run) -> None:
    check(avism_in)


@pytest.mark.slow
def test_avism_with_most_frames_blank(avism_coco: Run) -> None:
    check(avism_coco)
    assert avism_coco.golden["support"].mean() < 0.5


@pytest.mark.slow
def test_acvis() -> None:
    filled = parity_fill.weights("acvis/acvis_R50", 56)
    weights = filled | {name: filled[name] / np.float32(100) for name in DIVIDED}
    check(
        refined("acvis-r50-coco", "acvis_r50", weights, np.load(parity_fill.DATA / "acvis/r50_frames.npz"), "audio_mel")
    )


def test_candidates_are_added_and_dropped(avism_in: Run, avism_coco: Run) -> None:
    added, dropped = (_kept(avism_in)[0] - _kept(avism_in)[1], _kept(avism_coco)[1] - _kept(avism_coco)[0])
    assert added, "the mean of both logits may be surer"
    assert dropped, "or less sure"
    window, before = avism_in.window, avism_in.baseline
    place = dict(zip(zip(before.pairs.queries.tolist(), before.classes, strict=True), before.scores(), strict=True))
    assert all(place[pair] <= THRESHOLD for pair in added), "a score that is too low without it decides nothing"
    assert len(window.pairs) == len(before.pairs), "a class probability that is too low does"


def test_what_is_kept_may_score_below_the_threshold(avism_in: Run) -> None:
    agreement, scores = np.array(avism_in.window.agreement()), np.array(avism_in.window.scores())
    kept = scores > THRESHOLD
    assert (agreement[kept] > 0).all()
    assert ((scores * agreement)[kept] < THRESHOLD).any()


def _kept(case: Run) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """(query, class) of what is kept with refinement, and without."""
    return _over(case.window), _over(case.baseline)


def _over(window: TrackedWindow) -> set[tuple[int, int]]:
    pairs = zip(window.pairs.queries.tolist(), window.classes, window.scores(), strict=True)
    return {(query, category) for query, category, score in pairs if score > THRESHOLD}
