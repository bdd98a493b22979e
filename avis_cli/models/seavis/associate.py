"""Candidates of a frame to tracks: CTVIS's rule (Ying et al., ICCV 2023, section 3.4) with a gate of sound.

Nothing here is a network's: numbers in, tracks out, and every track is a value that a step replaces.
Letters: P candidates, N tracks, C channels, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

if TYPE_CHECKING:
    from avis_cli.models.seavis.config import SeavisConfig

_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)  # bits of a byte
KEEP = 0.75  # of the threshold: a track that sounds goes on while its value stays above it


@dataclass(frozen=True)
class AssociationRule:
    """Constants of association and gate, as `SeavisConfig` has them. ``gated``: whether embeddings say what sounds;
    ``gate_threshold``: a track sounds in a frame where the class probability of its candidate, times how surely it
    sounds if ``gated``, exceeds this."""

    match_score: float
    match_cosine: float
    new_track_score: float
    track_life: int
    memory: int
    gate_threshold: float
    gate_cosine: float
    gate_softness: float
    gated: bool

    @classmethod
    def of(cls, config: SeavisConfig, gated: bool | None = None) -> AssociationRule:
        """``gated``: the configuration's habit if None."""
        return cls(
            config.match_score,
            config.match_cosine,
            config.new_track_score,
            config.track_life,
            config.memory,
            config.gate_threshold,
            config.gate_cosine,
            config.gate_softness,
            config.gate if gated is None else gated,
        )


@dataclass(frozen=True, eq=False)
class Candidates:
    """Of one frame, in falling score. ``probabilities`` (P, K) of the classes;
    ``embed`` (P, C); ``cosine`` (P,), of it and the frame's audio anchor."""

    probabilities: NDArray[np.float64]
    embed: NDArray[np.float64]
    cosine: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.embed)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Largest class probability of each (P,)."""
        best: NDArray[np.float64] = self.probabilities.max(axis=1)
        return best

    def sounding(self, rule: AssociationRule) -> NDArray[np.float64]:
        """How surely each sounds, 0..1 (P,)."""
        if not rule.gated:
            return self.scores
        chance: NDArray[np.float64] = self.scores * expit((self.cosine - rule.gate_cosine) / rule.gate_softness)
        return chance


@dataclass(frozen=True, eq=False)
class Track:
    """One object through the frames so far.

    ``key``: a number of its own among the tracks that live; ``id``: from 1, in the order in which objects were first
    heard, 0 before that; ``candidate``: its place among the last frame's candidates, -1 where it was not seen;
    ``last``: the token frame in which it was seen last, ``seen``: in how many; ``probabilities`` (K,): running mean
    over the frames in which it sounds, or before the first of them over all; ``counted`` of these; ``sounding``: the
    last frame's value; ``heard``: whether it sounds there. ``embeds`` (n, C), the latest last, and ``memory`` (C,).
    """

    key: int
    id: int
    candidate: int
    last: int
    seen: int
    probabilities: NDArray[np.float64]
    counted: int
    sounding: float
    heard: bool
    embeds: NDArray[np.float64]
    memory: NDArray[np.float64]


def without_duplicates(masks: NDArray[np.bool_], limit: float) -> list[int]:
    """Places of those of ``masks`` (P, cells), the best first, that overlap no better one at an IoU above ``limit``."""
    # packed bits and no matrix product: BLAS in threads beside those of the network takes ten times as long
    bits = np.packbits(masks, axis=1)
    areas = _ONES[bits].sum(axis=1, dtype=np.int64)
    kept: list[int] = []
    for place in range(len(masks)):
        common = _ONES[bits[kept] & bits[place]].sum(axis=1, dtype=np.int64)
        union = areas[kept] + areas[place] - common
        if not (common > limit * union).any():
            kept.append(place)
    return kept


def similarity(embed: NDArray[np.float64], memories: NDArray[np.float64]) -> NDArray[np.float64]:
    """embed (P, C), memories (N, C) -> (P, N): of the raw products the softmax over tracks and that over candidates,
    halved (Pang et al., CVPR 2021, section 3.3)."""
    products = embed @ memories.T
    return (_softmax(products, axis=1) + _softmax(products, axis=0)) / 2


def match(candidates: Candidates, tracks: Sequence[Track], rule: AssociationRule) -> list[int]:
    """For each candidate the place of its track, -1 for none: in falling score each takes the track it is most alike
    to, if by more than the rule's ``match_score``; where several exceed it each counts as often as it was seen."""
    taken = [-1] * len(candidates)
    if not tracks or not len(candidates):
        return taken
    memories = np.stack([track.memory for track in tracks])
    alike = similarity(candidates.embed, memories)
    alike = np.where(_cosine(candidates.embed, memories) > rule.match_cosine, alike, 0.0)
    seen = np.array([track.seen for track in tracks], dtype=np.float64)
    free = np.ones(len(tracks), dtype=bool)
    for candidate in range(len(candidates)):
        fits = free & (alike[candidate] > rule.match_score)
        if fits.any():
            weighted = np.where(fits, alike[candidate] * seen, -np.inf)
            taken[candidate] = int(weighted.argmax())
            free[taken[candidate]] = False
    return taken


def associate(
    tracks: Sequence[Track], candidates: Candidates, frame: int, rule: AssociationRule, named: int
) -> tuple[tuple[Track, ...], int]:
    """Tracks after token frame ``frame``; ``named``: objects that have an id, before and after."""
    taken, sounding = match(candidates, tracks, rule), candidates.sounding(rule)
    owner = {track: candidate for candidate, track in enumerate(taken) if track >= 0}
    out: list[Track] = []
    for place, track in enumerate(tracks):
        if place in owner:
            out.append(_seen(track, candidates, owner[place], float(sounding[owner[place]]), frame, rule))
        elif frame - track.last < rule.track_life:
            out.append(replace(track, candidate=-1, sounding=0.0, heard=False))
    key = max((track.key for track in tracks), default=0)
    for candidate, whose in enumerate(taken):
        if whose < 0 and candidates.scores[candidate] > rule.new_track_score:
            key += 1
            out.append(_begun(key, candidates, candidate, float(sounding[candidate]), frame, rule))
    for place, found in enumerate(out):
        if found.heard and not found.id:
            named += 1
            out[place] = replace(found, id=named)
    return tuple(out), named


def _begun(key: int, candidates: Candidates, candidate: int, value: float, frame: int, rule: AssociationRule) -> Track:
    embed = candidates.embed[candidate]
    return Track(
        key, 0, candidate, frame, 1, candidates.probabilities[candidate], 1, value, value > rule.gate_threshold,
        embed[None], embed,
    )  # fmt: skip


def _seen(
    track: Track, candidates: Candidates, candidate: int, value: float, frame: int, rule: AssociationRule
) -> Track:
    """``track`` with the candidate that took it. What it looks like is remembered of frames in which it sounds, and of
    all before the first of them."""
    heard = value > rule.gate_threshold or (track.heard and value >= KEEP * rule.gate_threshold)
    track = replace(track, candidate=candidate, last=frame, seen=track.seen + 1, sounding=value, heard=heard)
    if not heard and track.id:
        return track
    counted, probabilities = track.counted, track.probabilities
    if heard and not track.id:
        counted = 0  # what it looked like before it was heard says little of what it sounds like
    counted += 1
    embed = candidates.embed[candidate]
    share = max(0.0, float(_cosine(track.embeds, embed[None]).mean()))
    return replace(
        track,
        probabilities=probabilities + (candidates.probabilities[candidate] - probabilities) / counted,
        counted=counted,
        embeds=np.concatenate([track.embeds, embed[None]])[-rule.memory :],
        memory=(1.0 - share) * track.memory + share * embed,
    )


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """one (P, C), other (N, C) -> (P, N)."""
    lengths = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)[None]
    out: NDArray[np.float64] = (one @ other.T) / np.maximum(lengths, 1e-12)
    return out


def _softmax(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    out: NDArray[np.float64] = powers / powers.sum(axis=axis, keepdims=True)
    return out
