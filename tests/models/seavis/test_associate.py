"""The rule of association and the gate of sound, step by step, with numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avis_cli.models.seavis.associate import (
    AssociationRule,
    Candidates,
    Track,
    associate,
    match,
    similarity,
    without_duplicates,
)
from avis_cli.models.seavis.config import PRESETS

RULE = AssociationRule(
    match_score=0.3, match_cosine=-1.0, new_track_score=0.01, track_life=20, memory=10, gate_threshold=0.5,
    gate_cosine=0.5, gate_softness=0.1, gated=False,
)  # fmt: skip
"""The rule as published, without a gate of sound: a track sounds where its class is surer than one half."""

State = tuple[tuple[Track, ...], int]
EMPTY: State = ((), 0)
Seen = tuple[Sequence[float], Sequence[float]]  # class probabilities and embedding


def candidates(*found: Seen, cosine: Sequence[float] | None = None) -> Candidates:
    """What is found in a frame, in falling score; ``cosine`` to the sound, 1 for all if None."""
    classes, width = (len(found[0][0]), len(found[0][1])) if found else (2, 2)
    return Candidates(
        np.array([probabilities for probabilities, _ in found], dtype=np.float64).reshape(len(found), classes),
        np.array([embed for _, embed in found], dtype=np.float64).reshape(len(found), width),
        np.ones(len(found)) if cosine is None else np.array(cosine, dtype=np.float64),
    )


def track(memory: Sequence[float], *, seen: int = 1, **changes: Any) -> Track:
    """A track that looks like ``memory``."""
    embed = np.array(memory, dtype=np.float64)
    plain = Track(1, 0, 0, 0, seen, np.array([0.4, 0.1]), 1, 0.4, False, embed[None], embed)
    return replace(plain, **changes)


def run(frames: Sequence[Candidates], rule: AssociationRule = RULE, state: State = EMPTY, first: int = 0) -> State:
    """The tracks after ``frames``, and how many objects have an id."""
    tracks, named = state
    for frame, found in enumerate(frames, start=first):
        tracks, named = associate(tracks, found, frame, rule, named)
    return tracks, named


def sure(probability: float) -> Seen:
    """The one object of a scene, of a class of this probability."""
    return [probability, 0.0], [1.0, 0.0]


NOTHING = candidates()


def squares(*columns: range) -> np.ndarray:
    """Masks (P, 20) that cover some cells of a row each."""
    masks = np.zeros((len(columns), 20), dtype=bool)
    for mask, covered in zip(masks, columns, strict=True):
        mask[covered] = True
    return masks


# --- duplicates


def test_of_masks_that_overlap_the_better_stays_and_one_exactly_at_the_limit_is_no_duplicate() -> None:
    # 10 cells against 8 of them: 0.8; against 6: 0.6; 6 against 8 of which 6 are common: 0.75
    assert without_duplicates(squares(range(10), range(8)), 0.6) == [0]
    assert without_duplicates(squares(range(10), range(6)), 0.6) == [0, 1]
    assert without_duplicates(squares(range(6), range(8), range(10)), 0.6) == [0, 2]


def test_what_was_dropped_drops_nothing_itself() -> None:
    # the second overlaps the first by 7 of 10, the third overlaps the second by 6 of 12 and the first by 4 of 13
    assert without_duplicates(squares(range(8), range(1, 10), range(4, 13)), 0.4) == [0, 2]


def test_masks_without_a_cell_overlap_nothing() -> None:
    assert without_duplicates(squares(range(0), range(0), range(3)), 0.6) == [0, 1, 2]
    assert without_duplicates(squares(), 0.6) == []


@given(st.lists(st.frozensets(st.integers(0, 18)), max_size=7), st.sampled_from([0.0, 0.3, 0.5, 0.6, 1.0]))
@settings(max_examples=100, deadline=None)
def test_what_stays_overlaps_nothing_better_that_stays(covered: list[frozenset[int]], limit: float) -> None:
    masks = np.zeros((len(covered), 19), dtype=bool)
    for mask, cells in zip(masks, covered, strict=True):
        mask[list(cells)] = True
    kept: list[int] = []
    for place, cells in enumerate(covered):
        # as shares of whole numbers, which are not rounded
        shares = [Fraction(len(cells & covered[one]), len(cells | covered[one]) or 1) for one in kept]
        if all(share <= Fraction(str(limit)) for share in shares):
            kept.append(place)
    assert without_duplicates(masks, limit) == kept


# --- which candidate takes which track


def test_likeness_is_the_mean_of_the_softmax_over_tracks_and_that_over_candidates() -> None:
    # products log 3, log 1 of two candidates and one track: over tracks 1 each, over candidates 3/4 and 1/4
    embed, memory = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[math.log(3), 0.0]])
    np.testing.assert_allclose(similarity(embed, memory), [[7 / 8], [5 / 8]])
    np.testing.assert_allclose(similarity(memory, embed), [[7 / 8, 5 / 8]])
    # raw products: an embedding of twice the length is more alike, log 9 against log 1
    np.testing.assert_allclose(similarity(embed, 2 * memory), [[0.95], [0.55]])
    # products log 3, log 1; log 1, log 2
    memories = np.array([[math.log(3), 0.0], [0.0, math.log(2)]])
    np.testing.assert_allclose(similarity(embed, memories), [[3 / 4, 7 / 24], [7 / 24, 2 / 3]])


def test_large_products_do_not_overflow() -> None:
    alike = similarity(np.array([[1e4, 0.0], [0.0, 1e4]]), np.array([[1e4, 0.0], [0.0, 1e4]]))
    np.testing.assert_allclose(alike, np.eye(2))


def test_the_better_candidate_chooses_first_and_a_taken_track_is_out() -> None:
    # one track: likeness 7/10 of the better candidate, 8/10 of the other, which finds it taken
    found = candidates(([0.9, 0.0], [math.log(2), 0.0]), ([0.8, 0.0], [math.log(3), 0.0]))
    assert match(found, [track([1.0, 0.0])], RULE) == [0, -1]
    # two tracks: the better candidate takes the one that both like most, the other has to be content
    tracks = [track([1.0, 0.0]), track([0.4, 0.0])]
    assert match(found, tracks, replace(RULE, match_score=0.1)) == [0, 1]


def test_a_track_is_taken_only_by_what_is_more_alike_than_the_limit() -> None:
    found = candidates(([0.9, 0.0], [1.0, 0.0]), ([0.8, 0.0], [0.0, 1.0]))
    tracks = [track([math.log(3), 0.0])]  # 7/8 and 5/8
    assert match(found, tracks, replace(RULE, match_score=0.87)) == [0, -1]
    assert match(found, tracks, replace(RULE, match_score=0.88)) == [-1, -1]
    only = candidates(([0.9, 0.0], [1.0, 0.0]))  # exactly 1
    assert match(only, tracks, replace(RULE, match_score=1.0)) == [-1]


def test_a_better_candidate_that_finds_no_track_leaves_it_to_the_next() -> None:
    found = candidates(([0.9, 0.0], [0.0, 1.0]), ([0.8, 0.0], [1.0, 0.0]))
    assert match(found, [track([math.log(3), 0.0])], replace(RULE, match_score=0.7)) == [-1, 0]


def test_where_several_tracks_fit_each_counts_as_often_as_it_was_seen() -> None:
    # one candidate: over tracks 3/4 and 1/4, over candidates 1: 7/8 and 5/8
    found = candidates(([0.9, 0.0], [1.0, 0.0]))

    def taken(seen: int, limit: float = 0.3) -> list[int]:
        tracks = [track([math.log(3), 0.0], seen=5), track([0.0, 1.0], seen=seen)]
        return match(found, tracks, replace(RULE, match_score=limit))

    assert taken(1) == [0]
    assert taken(6) == [0], "6 x 5/8 is less than 5 x 7/8"
    assert taken(8) == [1], "8 x 5/8 is more than 5 x 7/8"
    assert taken(1000, limit=0.65) == [0], "what does not exceed the limit does not count, however often it was seen"


def test_the_limit_of_the_cosine_keeps_apart_what_the_softmax_would_join() -> None:
    # with one candidate and one track the likeness is 1 whatever they look like
    found, known = candidates(([0.9, 0.0], [0.6, 0.8])), [track([2.0, 0.0])]
    assert match(found, known, RULE) == [0]
    assert match(found, known, replace(RULE, match_cosine=0.59)) == [0]
    assert match(found, known, replace(RULE, match_cosine=0.61)) == [-1]


def test_nothing_matches_nothing() -> None:
    assert match(NOTHING, [track([1.0, 0.0])], RULE) == []
    assert match(candidates(sure(0.9)), [], RULE) == [-1]


# --- the life of a track


def test_what_finds_no_track_begins_one_if_it_is_sure_enough() -> None:
    found = candidates(([0.9, 0.0], [1.0, 0.0]), ([0.0, 0.2], [0.0, 1.0]), ([0.01, 0.0], [-1.0, 0.0]))
    tracks, named = run([found])
    assert [one.candidate for one in tracks] == [0, 1], "the third is not above 0.01"
    assert [one.seen for one in tracks] == [1, 1]
    assert [one.id for one in tracks] == [1, 0], "only the first is heard"
    assert named == 1
    np.testing.assert_array_equal(tracks[1].memory, [0.0, 1.0])
    np.testing.assert_array_equal(tracks[1].probabilities, [0.0, 0.2])
    assert len(run([found], replace(RULE, new_track_score=0.2))[0]) == 1


@pytest.mark.parametrize("life", [1, 2, 20])
def test_a_track_ends_with_the_last_frame_of_its_life_in_which_it_is_not_seen(life: int) -> None:
    rule = replace(RULE, track_life=life)
    begun = run([candidates(sure(0.9))], rule)
    nearly, over = (run([NOTHING] * unseen, rule, begun, first=1) for unseen in (life - 1, life))
    assert len(nearly[0]) == 1
    assert over == ((), 1)
    # seen again in the last frame it lives on, under its id; a frame later it is another object
    again = run([candidates(sure(0.9))], rule, nearly, first=life)
    assert [(one.id, one.seen, one.last) for one in again[0]] == [(1, 2, life)]
    other = run([candidates(sure(0.9))], rule, over, first=life + 1)
    assert [(one.id, one.seen) for one in other[0]] == [(2, 1)]


def test_an_unseen_track_is_silent_and_keeps_what_it_was() -> None:
    (before,), _ = state = run([candidates(sure(0.9))])
    ((after,), named) = run([NOTHING], state=state, first=1)
    assert (after.candidate, after.sounding, after.heard) == (-1, 0.0, False)
    assert (after.id, after.seen, after.last, named) == (1, 1, 0, 1)
    assert after.memory is before.memory
    assert after.probabilities is before.probabilities


# --- what a track remembers


def test_memory_moves_to_an_embedding_by_how_much_it_is_like_the_last_ones() -> None:
    frames = [candidates(([0.9, 0.0], embed)) for embed in ([1.0, 0.0], [0.6, 0.8], [0.0, 1.0])]
    ((one,), _) = run(frames[:2])
    np.testing.assert_allclose(one.memory, [0.76, 0.48])  # share 0.6: 0.4 (1, 0) + 0.6 (0.6, 0.8)
    ((one,), _) = run(frames)
    np.testing.assert_allclose(one.memory, [0.456, 0.688])  # share (0 + 0.8) / 2: 0.6 (0.76, 0.48) + 0.4 (0, 1)
    np.testing.assert_array_equal(one.embeds, [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])


def test_the_share_is_a_cosine_whatever_the_lengths() -> None:
    ((one,), _) = run([candidates(([0.9, 0.0], embed)) for embed in ([2.0, 0.0], [3.0, 4.0])])
    np.testing.assert_allclose(one.memory, [2.6, 2.4])  # share 0.6: 0.4 (2, 0) + 0.6 (3, 4)


def test_what_is_unlike_the_last_embeddings_leaves_the_memory_where_it_is() -> None:
    ((one,), _) = run([candidates(([0.9, 0.0], embed)) for embed in ([1.0, 0.0], [-0.6, 0.8])])
    np.testing.assert_array_equal(one.memory, [1.0, 0.0])
    assert one.seen == 2
    # the mean is held against zero, not each cosine: (0.6 - 0.8) / 2 and so on
    frames = [candidates(([0.9, 0.0], embed)) for embed in ([1.0, 0.0], [-0.6, 0.8], [0.8, 0.6])]
    ((one,), _) = run(frames)
    np.testing.assert_allclose(one.memory, [0.92, 0.24])  # share (0.8 + 0) / 2: 0.6 (1, 0) + 0.4 (0.8, 0.6)


def test_only_the_last_embeddings_count() -> None:
    frames = [candidates(([0.9, 0.0], embed)) for embed in ([1.0, 0.0], [0.6, 0.8], [0.0, 1.0])]
    ((one,), _) = run(frames, replace(RULE, memory=1))
    # shares 0.6 and, of the last one alone, 0.8: 0.2 (0.76, 0.48) + 0.8 (0, 1)
    np.testing.assert_allclose(one.memory, [0.152, 0.896])
    assert one.embeds.shape == (1, 2)
    ((one,), _) = run([candidates(sure(0.9))] * 30)
    assert one.embeds.shape == (10, 2)
    assert one.seen == 30


def test_class_probabilities_are_the_mean_over_the_frames_in_which_it_sounds() -> None:
    embed = [1.0, 0.0]
    heard = [candidates((p, embed)) for p in ([0.8, 0.1], [0.6, 0.3])]
    silent = candidates(([0.2, 0.3], embed))
    ((one,), _) = run(heard)
    np.testing.assert_allclose(one.probabilities, [0.7, 0.2])
    ((one,), _) = run([heard[0], silent, silent, heard[1]])
    np.testing.assert_allclose(one.probabilities, [0.7, 0.2])
    ((one,), _) = run([*heard, candidates(([0.55, 0.35], embed))])
    np.testing.assert_allclose(one.probabilities, [0.65, 0.25])


def test_what_it_looked_like_before_it_was_heard_does_not_count_afterwards() -> None:
    embed = [1.0, 0.0]
    silent = [candidates((p, embed)) for p in ([0.1, 0.4], [0.3, 0.4])]
    ((one,), named) = run(silent)
    np.testing.assert_allclose(one.probabilities, [0.2, 0.4])
    assert (one.id, named) == (0, 0)
    ((one,), named) = run([*silent, candidates(([0.9, 0.0], embed))])
    np.testing.assert_allclose(one.probabilities, [0.9, 0.0])
    assert (one.id, named) == (1, 1)
    ((one,), _) = run([*silent, candidates(([0.9, 0.0], embed)), candidates(([0.7, 0.2], embed))])
    np.testing.assert_allclose(one.probabilities, [0.8, 0.1])


def test_a_silent_track_is_followed_with_its_memory_frozen_and_sounds_again_under_its_id() -> None:
    state = run([candidates(sure(0.9)), candidates(sure(0.9))])
    (before,) = state[0]
    silent = candidates(([0.2, 0.1], [0.8, 0.6]))
    state = run([silent] * 30, state=state, first=2)
    (after,) = state[0]
    assert (after.heard, after.id, after.candidate, after.seen, after.last) == (False, 1, 0, 32, 31)
    for name in ("memory", "embeds", "probabilities"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    state = run([candidates(([0.7, 0.1], [0.8, 0.6]))], state=state, first=32)
    (again,) = state[0]
    assert (again.heard, again.id, state[1]) == (True, 1, 1)
    np.testing.assert_allclose(again.memory, [0.84, 0.48])  # 0.2 (1, 0) + 0.8 (0.8, 0.6)
    np.testing.assert_allclose(again.probabilities, [2.5 / 3, 0.1 / 3])


def test_before_it_is_heard_for_the_first_time_a_track_learns_what_it_looks_like() -> None:
    ((one,), _) = run([candidates(([0.2, 0.1], embed)) for embed in ([1.0, 0.0], [0.6, 0.8])])
    assert one.id == 0
    np.testing.assert_allclose(one.memory, [0.76, 0.48])


# --- the gate


def test_how_surely_a_candidate_sounds_is_its_score_times_a_sigmoid_of_its_cosine() -> None:
    found = candidates(([0.8, 0.1], [1.0, 0.0]), ([0.2, 0.6], [0.0, 1.0]), cosine=[0.5, 0.7])
    np.testing.assert_allclose(found.sounding(replace(RULE, gated=True)), [0.4, 0.6 / (1 + math.exp(-2))])
    steeper = replace(RULE, gated=True, gate_softness=0.05, gate_cosine=0.6)
    np.testing.assert_allclose(found.sounding(steeper), [0.8 / (1 + math.exp(2)), 0.6 / (1 + math.exp(-2))])
    np.testing.assert_allclose(found.sounding(RULE), [0.8, 0.6])
    assert found.scores.tolist() == [0.8, 0.6]


def test_without_gate_the_cosines_mean_nothing() -> None:
    def tracks(gated: bool, cosine: float) -> list[tuple[int, float]]:
        found, _ = run([candidates(sure(0.9), cosine=[cosine])], replace(RULE, gated=gated))
        return [(one.id, one.sounding) for one in found]

    assert tracks(False, -1.0) == tracks(False, 1.0) == [(1, 0.9)]
    assert tracks(True, -1.0)[0][0] == 0
    assert tracks(True, 1.0)[0][0] == 1


def test_what_sounds_goes_on_until_it_is_well_under_the_threshold() -> None:
    def heard(*values: float, threshold: float = 0.5) -> list[bool]:
        state, out = EMPTY, []
        for frame, value in enumerate(values):
            state = run([candidates(sure(value))], replace(RULE, gate_threshold=threshold), state, frame)
            out.append(state[0][0].heard)
        return out

    assert heard(0.5, 0.51, 0.4, 0.375, 0.37, 0.45, 0.5, 0.6) == [False, True, True, True, False, False, False, True]
    assert heard(0.3, 0.2, 0.16, 0.14, threshold=0.2) == [True, True, True, False]


def test_a_track_that_was_not_seen_has_to_exceed_the_threshold_again() -> None:
    loud, quieter = candidates(sure(0.9)), candidates(sure(0.45))
    assert run([loud, quieter])[0][0].heard
    assert not run([loud, NOTHING, quieter])[0][0].heard


# --- ids


def test_ids_go_by_when_an_object_is_first_heard_and_junk_gets_none() -> None:
    quiet = candidates(([0.4, 0.0], [9.0, 0.0]), ([0.3, 0.0], [0.0, 9.0]), ([0.2, 0.0], [-9.0, -9.0]))
    second = candidates(([0.8, 0.0], [0.0, 9.0]), ([0.35, 0.0], [9.0, 0.0]), ([0.2, 0.0], [-9.0, -9.0]))
    both = candidates(([0.9, 0.0], [9.0, 0.0]), ([0.8, 0.0], [0.0, 9.0]), ([0.2, 0.0], [-9.0, -9.0]))
    state = run([quiet])
    assert [one.id for one in state[0]] == [0, 0, 0]
    state = run([second], state=state, first=1)
    assert [one.id for one in state[0]] == [0, 1, 0]
    state = run([both, both, second], state=state, first=2)
    assert [one.id for one in state[0]] == [2, 1, 0]
    assert state[1] == 2
    assert [one.heard for one in state[0]] == [False, True, False], "an id stays when it is silent"


def test_objects_that_had_an_id_before_are_counted_on() -> None:
    found = candidates(([0.9, 0.0], [9.0, 0.0]), ([0.8, 0.0], [0.0, 9.0]))
    tracks, named = run([found, found], state=((), 5))
    assert ([one.id for one in tracks], named) == ([6, 7], 7)


def test_living_tracks_have_a_key_each_that_goes_with_them() -> None:
    quiet = candidates(([0.4, 0.0], [9.0, 0.0]), ([0.3, 0.0], [0.0, 9.0]))
    state = run([quiet])
    keys = {tuple(one.memory): one.key for one in state[0]}
    assert len(set(keys.values())) == 2
    swapped = candidates(([0.9, 0.0], [0.0, 9.0]), ([0.3, 0.0], [9.0, 0.0]), ([0.2, 0.0], [-9.0, -9.0]))
    after, _ = run([swapped], state=state, first=1)
    assert len({one.key for one in after}) == 3
    assert {tuple(one.memory): one.key for one in after[:2]} == keys


# --- states are values


def frozen(state: State) -> list[tuple[Any, ...]]:
    tuples = [astuple(one) for one in state[0]]
    return [tuple(v.tolist() if isinstance(v, np.ndarray) else v for v in values) for values in tuples]


def test_an_old_state_can_be_gone_on_from_more_than_once() -> None:
    rng = np.random.default_rng(0)
    frames = [scene(rng, 3) for _ in range(8)]
    state = run(frames[:4])
    kept = frozen(state)
    first = run(frames[4:], state=state, first=4)
    run([NOTHING] * 30, state=state, first=4)
    assert frozen(state) == kept
    assert frozen(run(frames[4:], state=state, first=4)) == frozen(first)


# --- whatever comes


def scene(rng: np.random.Generator, count: int) -> Candidates:
    """``count`` candidates of any look, in falling score."""
    probabilities = rng.random((count, 3)) * rng.random((count, 1))
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    looks = np.eye(5)[rng.integers(0, 5, count)] * 3 + 0.3 * rng.standard_normal((count, 5))
    return Candidates(probabilities[order], looks, rng.uniform(-1, 1, count))


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 6), min_size=1, max_size=12), st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_is_seen_tracks_and_candidates_go_one_to_one(seed: int, counts: list[int], gated: bool) -> None:
    rng = np.random.default_rng(seed)
    rule = replace(
        RULE, gated=gated, track_life=int(rng.integers(1, 5)), memory=int(rng.integers(1, 4)), new_track_score=0.2,
        match_score=float(rng.uniform(0, 0.9)), match_cosine=float(rng.uniform(-1, 0.9)), gate_cosine=0.0,
    )  # fmt: skip
    state: State = ((), 0)
    ids: dict[int, int] = {}
    for frame, count in enumerate(counts):
        found = scene(rng, count)
        taken = match(found, state[0], rule)
        assert len(taken) == count
        owned = [place for place in taken if place >= 0]
        assert len(set(owned)) == len(owned), "no track is taken twice"
        before, named = state[0], state[1]
        state = associate(before, found, frame, rule, named)
        here = [one.candidate for one in state[0] if one.candidate >= 0]
        assert len(set(here)) == len(here), "every candidate is at most one track's"
        unsure = set(range(count)) - set(here)
        assert all(found.scores[place] <= rule.new_track_score for place in unsure)
        assert all(frame - one.last < rule.track_life for one in state[0])
        assert all(len(one.embeds) <= rule.memory for one in state[0])
        given_ids = [one.id for one in state[0] if one.id]
        assert len(set(given_ids)) == len(given_ids), "ids are unique"
        fresh = sorted(set(given_ids) - set(ids.values()))
        assert fresh == list(range(named + 1, state[1] + 1)), "and rise by one"
        assert all(one.id for one in state[0] if one.heard)
        known = {one.key: one.id for one in before}
        assert all(one.id == known[one.key] for one in state[0] if known.get(one.key)), "and stay"
        ids.update((number, number) for number in fresh)


def test_ten_thousand_frames_leave_no_more_behind_than_a_few() -> None:
    rng = np.random.default_rng(1)
    frames = [scene(rng, 2) for _ in range(97)]
    rule = replace(RULE, track_life=5, memory=4)
    state, sizes = EMPTY, []
    for frame in range(10_000):
        state = run([frames[frame % len(frames)]], rule, state, frame)
        # with what a view keeps alive behind it
        held = [array if array.base is None else array.base for one in state[0] for array in (one.embeds, one.memory)]
        sizes.append(sum(array.nbytes for array in held))
    assert max(sizes[5_000:]) <= 1.2 * max(sizes[:500])


def test_the_rule_is_the_configurations_unless_told_otherwise() -> None:
    config = PRESETS["seavis-tiny"]
    rule = AssociationRule.of(config)
    for name in vars(rule):
        assert getattr(rule, name) == getattr(config, "gate" if name == "gated" else name)
    assert rule.gated
    assert AssociationRule.of(config, gated=False) == replace(rule, gated=False)
    assert AssociationRule.of(replace(config, gate=False)).gated is False
    assert AssociationRule.of(replace(config, gate=False), gated=True) == rule
