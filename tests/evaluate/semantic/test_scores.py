"""``evaluate_maps``: what it takes, what it refuses, and properties that hold for any maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avis_cli.errors import UsageError
from avis_cli.evaluate.semantic.scores import evaluate_maps

rng = np.random.default_rng(0)


def maps(classes: int, videos: int = 3) -> NDArray[np.int64]:
    return rng.integers(0, classes, (videos, 4, 6, 5))


@given(seed=st.integers(0, 10**6), batch=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_corrected_scores_do_not_depend_on_order_or_batches(seed: int, batch: int) -> None:
    draw = np.random.default_rng(seed)
    logits, truth = draw.standard_normal((4, 3, 5, 6)), draw.integers(0, 2, (4, 3, 5, 6))
    order = draw.permutation(4)
    one = evaluate_maps(logits, truth, "s4")["corrected"]
    other = evaluate_maps(logits[order], truth[order], "s4", batch)["corrected"]
    assert one["miou"] == pytest.approx(other["miou"])
    assert one["fscore"] == pytest.approx(other["fscore"])
    classes, real = draw.integers(0, 5, (4, 3, 5, 6)), draw.integers(0, 5, (4, 3, 5, 6))
    for task in ("avss", "cavp"):
        shuffled = evaluate_maps(classes[order], real[order], task)["corrected"]
        assert evaluate_maps(classes, real, task)["corrected"]["miou"] == pytest.approx(shuffled["miou"])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_the_truth_itself_scores_one(seed: int) -> None:
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 3, (2, 3, 5, 6))
    assert evaluate_maps(truth, truth, "avss")["corrected"]["miou"] == 1
    assert evaluate_maps(truth, truth, "cavp")["corrected"]["miou"] == 1
    binary = (truth > 0).astype(np.int64)
    scores = evaluate_maps(20.0 * binary - 10, binary, "ms3")["corrected"]
    assert (scores["miou"], scores["fscore"]) == (1, pytest.approx(1))


def test_videos_may_come_one_after_another() -> None:
    drawn, truth = maps(4), maps(4)

    def one_by_one(arrays: Any) -> Iterator[Any]:
        yield from arrays

    assert evaluate_maps(one_by_one(drawn), one_by_one(truth), "avss") == evaluate_maps(drawn, truth, "avss")


def test_frames_that_only_pad_do_not_count() -> None:
    drawn, truth = maps(4), maps(4)
    short = evaluate_maps(drawn[:, :2], truth[:, :2], "avss")["corrected"]
    assert evaluate_maps(drawn, truth, "avss", valid=[2, 2, 2])["corrected"] == short
    logits = drawn - 1.5
    cut = evaluate_maps(logits[:, :2], truth[:, :2] % 2, "s4")
    assert evaluate_maps(logits, truth % 2, "s4", valid=[2, 2, 2]) == cut


def test_ignored_pixels_count_nowhere() -> None:
    drawn, truth = maps(3), maps(3)
    truth[:, :, 0] = 255
    cut = evaluate_maps(drawn[:, :, 1:], truth[:, :, 1:], "cavp", class_count=3)
    assert evaluate_maps(drawn, truth, "cavp", class_count=3) == cut
    assert evaluate_maps(drawn, truth, "cavp", class_count=3)["released"]["miou"] > 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "s5"}, "task 's5', expected one of s4, ms3, avss, cavp"),
        ({"batch_size": 2}, "batch_size 2 of avss"),
        ({"task": "s4", "batch_size": 0, "truth": maps(2)}, "batch_size 0 of s4"),
        ({"task": "s4", "class_count": 4}, "class_count 4 of s4, whose maps are binary"),
        ({"task": "s4"}, "video 0: a truth of s4 is 0 or 1"),
        ({"truth": maps(3)[:, :2]}, r"video 0: maps of shape \(4, 6, 5\) and a truth of shape \(2, 6, 5\)"),
        ({"valid": [4, 4]}, "valid has 2 lengths, expected one for each video"),
        ({"valid": [4, 4, 4, 4]}, "valid has 4 lengths for 3 videos"),
        ({"valid": [4, 9, 4]}, "video 1: 9 valid frames, expected 1 to 4"),
        ({"class_count": 2}, "a class map holds"),
        ({"predictions": [], "truth": []}, "no video to score"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], words: str) -> None:
    usual: dict[str, Any] = {"predictions": maps(3), "truth": maps(3), "task": "avss"}
    with pytest.raises(UsageError, match=words):
        evaluate_maps(**{**usual, **changes})


def test_silent_frames_are_right_if_nothing_is_drawn() -> None:
    truth, logits = np.zeros((1, 2, 4, 4)), np.full((1, 2, 4, 4), -1.0)
    logits[0, 1, 0, 0] = 1
    scores = evaluate_maps(logits, truth, "ms3")
    assert scores["corrected"]["miou"] == 0.5
    assert scores["released"]["miou"] == pytest.approx((1 + 15 / 16) / 2)
    assert scores["corrected"]["fscore"] is None
    assert scores["released"]["fscore"] == 0
