"""Tracks of neighbouring windows -> objects: what joins them, what keeps them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avis_cli.inference.associate import MIN_AFFINITY, Evidence, Identities, Overlap, affinity, assign, audio_affinity

SHARED, QUERIES = 4, 6


def evidence(
    classes: list[int],
    gallery: int,
    *,
    similarity: np.ndarray | None = None,
    heard_first: list[list[int]] | None = None,
    heard_last: list[list[int]] | None = None,
    begins: list[float] | None = None,
    ends: list[float] | None = None,
    tokens: list[int] | None = None,
) -> Evidence:
    """Tracks that claim one token each (``tokens``) in the shared frames in which they are heard."""
    count = len(classes)
    tokens = list(range(count)) if tokens is None else tokens

    def claims(heard: list[list[int]] | None) -> tuple[np.ndarray, np.ndarray]:
        on = np.zeros((count, SHARED), bool) if heard is None else np.array(heard, dtype=bool).reshape(count, SHARED)
        out = np.zeros((count, SHARED, QUERIES), np.float32)
        for track, token in enumerate(tokens):
            out[track, :, token] = 0.9 * on[track]
        return out, on

    (first, on_first), (last, on_last) = claims(heard_first), claims(heard_last)
    return Evidence(
        np.array(classes), np.eye(count, 8, dtype=np.float32), first, last, on_first, on_last,
        np.array(begins or [0.0] * count), np.array(ends or [10.0] * count),
        np.full((gallery, count), 0.6) if similarity is None else similarity,
    )  # fmt: skip


def associate(
    identities: Identities, now: Evidence, overlap: np.ndarray | None = None, at: float = 0.0
) -> list[int | None]:
    count = len(now.classes)
    seam = np.full((100, count), np.nan) if overlap is None else overlap
    return identities.associate(now, np.ones(count, bool), seam, at)


def begun(first: Evidence, max_gap: float = 30.0) -> Identities:
    identities = Identities(max_gap)
    assert associate(identities, first) == list(range(len(first.classes)))
    return identities


def test_masks_tell_which_is_which_where_looks_do_not() -> None:
    identities = begun(evidence([0, 0, 1], 0))
    swapped = np.array([[0.05, 0.0, 0.9], [0.9, 0.0, 0.1], [0.0, 0.9, 0.0]])
    assert associate(identities, evidence([0, 1, 0], 3), swapped) == [1, 2, 0]


def test_looks_tell_where_nothing_is_drawn_in_the_shared_frames() -> None:
    identities = begun(evidence([0, 0], 0))
    assert associate(identities, evidence([0, 0], 2, similarity=np.array([[0.1, 0.8], [0.7, 0.2]]))) == [1, 0]


def test_hearing_tells_two_apart_that_look_similarity_in_one_place() -> None:
    first_half, second_half = [1, 1, 0, 0], [0, 0, 1, 1]
    identities = begun(evidence([0, 0], 0, heard_last=[first_half, second_half], tokens=[0, 0]))
    now = evidence([0, 0], 2, heard_first=[second_half, first_half], tokens=[0, 0])
    assert associate(identities, now, np.full((2, 2), 0.7)) == [1, 0]


def test_the_token_that_is_attended_tells_two_apart_that_sound_at_once() -> None:
    always = [1, 1, 1, 1]
    before = evidence([0, 0], 0, heard_last=[always, always], tokens=[0, 1])
    now = evidence([0, 0], 2, heard_first=[always, always], tokens=[1, 0])
    agree = audio_affinity(before, now)
    assert agree[0, 1] == agree[1, 0] == pytest.approx(1.0)
    assert agree[0, 0] == agree[1, 1] == pytest.approx(0.5)  # in when, not in which
    assert associate(begun(before), now, np.full((2, 2), 0.7)) == [1, 0]


def test_nobody_knows_how_silence_agrees() -> None:
    silent, heard = [0] * SHARED, [1] * SHARED
    before = evidence([0, 0], 0, heard_last=[silent, heard])
    now = evidence([0], 2, heard_first=[silent])
    agree = audio_affinity(before, now)
    assert np.isnan(agree[0, 0])
    assert agree[1, 0] == pytest.approx(0.0)


def test_another_class_is_another_object() -> None:
    identities = begun(evidence([0], 0))
    assert associate(identities, evidence([1], 1, similarity=np.array([[1.0]])), np.array([[1.0]])) == [1]


def test_what_agrees_with_nothing_is_new() -> None:
    identities = begun(evidence([0], 0))
    now = evidence([0, 0], 1, similarity=np.array([[0.2, 0.9]]))
    assert associate(identities, now, np.array([[0.0, 0.8]])) == [1, 0]


@pytest.mark.parametrize(("gap", "expected"), [(29.0, 0), (31.0, 1)])
def test_one_that_returns_is_the_same_within_the_gap(gap: float, expected: int) -> None:
    identities = begun(evidence([0], 0, ends=[10.0]), max_gap=30.0)
    assert associate(identities, evidence([], 1), at=20.0) == []  # nothing is there for a window
    back = evidence([0], 1, similarity=np.array([[0.8]]), begins=[10.0 + gap], ends=[60.0])
    assert associate(identities, back, at=30.0) == [expected]


def test_the_gap_holds_between_neighbours_too() -> None:
    identities = begun(evidence([0], 0, ends=[10.0]), max_gap=30.0)
    assert associate(
        identities, evidence([0], 1, similarity=np.array([[0.9]]), begins=[50.0], ends=[55.0]), at=20.0
    ) == [1]


def test_objects_long_gone_are_forgotten() -> None:
    identities = begun(evidence([0], 0, ends=[10.0]), max_gap=30.0)
    associate(identities, evidence([], 1), at=20.0)
    assert identities.alive == {0}
    associate(identities, evidence([], 1), at=41.0)
    assert identities.alive == set()
    assert identities.gallery is None


def test_tracks_that_are_never_drawn_are_no_objects() -> None:
    identities = Identities(30.0)
    now = evidence([0, 0], 0)
    assert identities.associate(now, np.array([False, True]), np.zeros((0, 2)), 0.0) == [None, 0]
    # and take no object away from one that is
    agreeing = replace(now, appearance=np.array([[0.99, 0.8]]))
    overlap = np.array([[np.nan, np.nan], [1.0, 0.9]])
    assert identities.associate(agreeing, np.array([False, True]), overlap, 10.0) == [None, 0]


def test_all_matches_together_agree_most() -> None:
    # the best single match (0.9) would leave the other two apart
    agree = np.array([[0.9, 0.85], [0.85, 0.1]])
    assert assign(agree, np.ones((2, 2), bool)) == {0: 1, 1: 0}
    assert assign(agree, np.eye(2, dtype=bool)) == {0: 0}
    assert assign(np.full((1, 1), MIN_AFFINITY - 0.01), np.ones((1, 1), bool)) == {}


def test_what_is_unknown_is_left_out() -> None:
    nan = np.array([[np.nan]])
    assert affinity(np.array([[0.8]]), nan, nan) == pytest.approx(0.8)
    assert affinity(np.array([[0.8]]), np.array([[0.2]]), nan) == pytest.approx((0.65 * 0.8 + 0.2 * 0.2) / 0.85)


def test_overlap_adds_up_over_frames() -> None:
    random = np.random.default_rng(0)
    frames = random.random((3, 4, 20, 30)) < 0.4
    overlap = Overlap(2, 2)
    for a, b, c, d in frames:
        overlap.add([a, b], [c, d])
    overlap.add([None, frames[0, 0]], [None, None])
    expected = [
        [(frames[:, i] & frames[:, j]).sum() / (frames[:, i] | frames[:, j]).sum() for j in (2, 3)] for i in (0,)
    ]
    assert overlap.ratio()[0] == pytest.approx(expected[0])
    alone = frames[0, 0].sum()
    union = (frames[:, 1] | frames[:, 2]).sum() + alone
    assert overlap.ratio()[1, 0] == pytest.approx((frames[:, 1] & frames[:, 2]).sum() / union)


def test_large_masks_overlap_as_much_on_the_coarser_grid() -> None:
    left, right = np.zeros((2, 720, 1280), bool)
    left[100:500, 100:700] = True
    right[100:500, 300:900] = True
    overlap = Overlap(1, 2)
    overlap.add([left], [right, None])
    assert overlap.ratio()[0, 0] == pytest.approx(0.5, abs=0.01)
    assert overlap.ratio()[0, 1] == 0
    assert np.isnan(Overlap(1, 1).ratio()[0, 0])
