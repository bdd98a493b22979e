"""Tracks of overlapping windows -> one identity for each object of the clip.

Each window of token frames has tracks of its own. Those of a new window are matched one to one with the objects known
so far (Kuhn 1955, by ``scipy.optimize.linear_sum_assignment``) so that the sum of their affinities is highest. An
affinity is the mean of up to three terms, each 0..1, weighted by ``WEIGHTS``; a term that is unknown is left out:

- *appearance*: how surely the network, asked with the object's similarity embedding, calls the tokens that the new
  track claims the same object. It is what that embedding was trained for, and all there is for an object that returns.
- *overlap*: intersection over union of both masks over the frames that the windows share. Both windows saw the same
  pixels there; but a track of few frames begins and ends with its window, so that masks of one object may share little:
  it decides between objects that look alike. Unknown where neither has a mask.
- *audio*: in the shared frames, how much both have in common in when the object sounds and in which tokens, that is
  which places of the audible scene, it is attended in: the sums of the smaller values over the sums of the larger. It
  tells apart two objects whose masks overlap but which sound in turns. Unknown where neither is heard.

A track whose affinity is below ``MIN_AFFINITY`` to every object is a new one: below it the network itself says that two
tokens are rather not the same object. Two of different classes never match, as a track has one class, nor does a track
that begins more than ``max_gap`` seconds after the object was last heard.
Letters: A objects known so far, P tracks of a window, S shared frames, T token frames, Q frame queries, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from avis_cli.inference.decode_masks import Candidates
from avis_cli.models.tokens import FrameTokens, TrackQueries

WEIGHTS = (0.65, 0.2, 0.15)  # of appearance, overlap and audio: benchmarks/seams.py
MIN_AFFINITY = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What tells which objects the tracks of one window are.

    ``classes`` (P,); ``similarity`` (P, C); ``claims_first`` and ``claims_last`` (P, S, Q), 0..1: how surely a token of
    the frames shared with the window before and after is the track's; ``heard_first`` and ``heard_last`` (P, S);
    ``begins`` and ``ends`` (P,): seconds at which a track is heard first and last, those of the window where it never
    is; ``appearance`` (A, P).
    """

    classes: NDArray[np.int64]
    similarity: NDArray[np.float32]
    claims_first: NDArray[np.float32]
    claims_last: NDArray[np.float32]
    heard_first: NDArray[np.bool_]
    heard_last: NDArray[np.bool_]
    begins: Floats
    ends: Floats
    appearance: Floats


@torch.inference_mode()
def collect_evidence(
    tokens: FrameTokens,
    tracks: TrackQueries,
    pairs: Candidates,
    heard: NDArray[np.bool_],
    times: Floats,
    shared: int,
    gallery: NDArray[np.float32],
) -> Evidence:
    """The evidence about ``pairs`` of a window.

    ``heard`` (P, T): whether each is heard in each token frame; ``times`` (T,) in seconds; ``shared``: S; ``gallery``
    (A, C): similarity embeddings of the objects so far.
    """
    embed = tracks.similarity[pairs.queries]
    probability = tokens.class_logits.softmax(-1)[..., pairs.classes]  # (T, Q, P)
    claims = (probability * (tracks.token_similarity @ embed.T).sigmoid()).permute(2, 0, 1)  # (P, T, Q)
    similarity = (tracks.token_similarity.flatten(0, 1) @ torch.from_numpy(gallery).to(embed).T).sigmoid()  # (T Q, A)
    # squared, so that many faint claims do not outvote a sure one
    weight = claims.flatten(1).square()
    appearance = (weight @ similarity) / (weight.sum(1, keepdim=True) + 1e-12)
    ever = heard.any(1)
    last = len(times) - shared
    return Evidence(
        pairs.classes.cpu().numpy(),
        embed.cpu().numpy(),
        claims[:, :shared].cpu().numpy(),
        claims[:, last:].cpu().numpy(),
        heard[:, :shared],
        heard[:, last:],
        np.where(ever, times[heard.argmax(1)], times[0]),
        np.where(ever, times[len(times) - 1 - heard[:, ::-1].argmax(1)], times[-1]),
        appearance.T.cpu().double().numpy(),
    )


class Overlap:
    """Intersections and unions of the masks of two windows over the frames they share; ``ratio`` (P, P')."""

    CELLS = 1 << 16  # of a frame that are looked at: on a coarser grid a ratio of areas is as good

    def __init__(self, before: int, after: int) -> None:
        self._common = np.zeros((before, after))
        self._areas = np.zeros(before), np.zeros(after)

    def add(self, before: list[NDArray[np.bool_] | None], after: list[NDArray[np.bool_] | None]) -> None:
        """One frame's masks (H, W) of either window, None where a track has none."""
        one, other = (self._sampled(masks) for masks in (before, after))
        for areas, (rows, cells) in zip(self._areas, (one, other), strict=True):
            areas[rows] += cells.sum(1)
        if one[0] and other[0]:
            self._common[np.ix_(one[0], other[0])] += one[1] @ other[1].T

    def ratio(self) -> Floats:
        """Intersection over union, nan where both are empty."""
        union = self._areas[0][:, None] + self._areas[1][None] - self._common
        return np.divide(self._common, union, out=np.full(union.shape, np.nan), where=union > 0)

    def _sampled(self, masks: list[NDArray[np.bool_] | None]) -> tuple[list[int], NDArray[np.float32]]:
        rows, cells = [], []
        for row, mask in enumerate(masks):
            if mask is not None:
                stride = max(1, int((mask.size / self.CELLS) ** 0.5))
                rows.append(row)
                cells.append(mask[::stride, ::stride].ravel())
        return rows, np.array(cells, dtype=np.float32) if cells else np.zeros((0, 0), np.float32)


def audio_affinity(before: Evidence, after: Evidence) -> Floats:
    """When and in which tokens of the shared frames the tracks of two windows are heard -> (P, P')."""
    when = _overlap_of_values(before.claims_last.max(2, initial=0), after.claims_first.max(2, initial=0))
    which = _overlap_of_values(_flat(before.claims_last), _flat(after.claims_first))
    one, other = before.heard_last.sum(1) > 0, after.heard_first.sum(1) > 0
    return np.where(one[:, None] | other[None], (when + which) / 2, np.nan)


def _flat(claims: NDArray[np.float32]) -> NDArray[np.float32]:
    return claims.reshape(len(claims), claims.shape[1] * claims.shape[2])


def _overlap_of_values(before: NDArray[np.float32], after: NDArray[np.float32]) -> Floats:
    # (P, n), (P', n) -> sum of the smaller over sum of the larger, a row at a time: (P, P', n) may be large
    out = np.zeros((len(before), len(after)))
    for row, values in enumerate(before):
        larger = np.maximum(values, after).sum(1)
        out[row] = np.minimum(values, after).sum(1) / (larger + 1e-12)
    return out


def affinity(appearance: Floats, overlap: Floats, audio: Floats) -> Floats:
    """The weighted mean of three (A, P), 0..1, without those that are nan -> (A, P)."""
    terms = np.stack([appearance, overlap, audio])
    weights = np.array(WEIGHTS)[:, None, None] * ~np.isnan(terms)
    mean: Floats = (np.nan_to_num(terms) * weights).sum(0) / weights.sum(0)
    return mean


def assign(affinity: Floats, allowed: NDArray[np.bool_]) -> dict[int, int]:
    """affinity, allowed (A, P) -> the object of each track that is none of the new ones."""
    # staying apart costs what two of an affinity of MIN_AFFINITY cost: only what is gained over that counts
    gain = np.where(allowed, np.maximum(affinity - MIN_AFFINITY, 0), 0)
    objects, tracks = linear_sum_assignment(gain, maximize=True)
    return {int(p): int(a) for a, p in zip(objects, tracks, strict=True) if gain[a, p] > 0}


@dataclass
class _Object:
    id: int
    category: int
    similarity: NDArray[np.float32]
    ends: float  # seconds at which it was last heard
    row: int | None  # its track in the latest window


class Identities:
    """The objects of a clip, window after window. ``max_gap``: seconds after which one that is heard again is new."""

    def __init__(self, max_gap: float) -> None:
        self._max_gap = max_gap
        self._objects: list[_Object] = []
        self._latest: Evidence | None = None
        self._count = 0

    @property
    def gallery(self) -> NDArray[np.float32] | None:
        """Similarity embeddings (A, C) of the objects that may go on or return; None if there are none."""
        return np.stack([obj.similarity for obj in self._objects]) if self._objects else None

    @property
    def alive(self) -> set[int]:
        """Ids of the objects that may go on or return."""
        return {obj.id for obj in self._objects}

    def associate(
        self, evidence: Evidence, present: NDArray[np.bool_], overlap: Floats, now: float
    ) -> list[int | None]:
        """The id of each track of the next window, None where not ``present`` (P,): nothing is drawn of such a track.

        ``overlap`` (P of the window before, P); ``now``: seconds at which the window begins.
        """
        matched = assign(self._affinity(evidence, overlap), self._allowed(evidence, present))
        ids: list[int | None] = []
        for obj in self._objects:
            obj.row = None
        for track, there in enumerate(present):
            ids.append(self._place(evidence, track, matched.get(track)) if there else None)
        self._objects = [obj for obj in self._objects if obj.row is not None or now - obj.ends <= self._max_gap]
        self._latest = evidence
        return ids

    def _affinity(self, evidence: Evidence, overlap: Floats) -> Floats:
        shape = len(self._objects), len(evidence.classes)
        masks, audio = np.full(shape, np.nan), np.full(shape, np.nan)
        if self._latest is not None:
            heard = audio_affinity(self._latest, evidence)
            for place, obj in enumerate(self._objects):
                if obj.row is not None:
                    masks[place], audio[place] = overlap[obj.row], heard[obj.row]
        return affinity(evidence.appearance.reshape(shape), masks, audio)

    def _allowed(self, evidence: Evidence, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
        categories = np.array([obj.category for obj in self._objects], dtype=np.int64)
        ends = np.array([obj.ends for obj in self._objects], dtype=np.float64)
        near = evidence.begins[None] - ends[:, None] <= self._max_gap
        return (categories[:, None] == evidence.classes[None]) & near & present[None]

    def _place(self, evidence: Evidence, track: int, match: int | None) -> int:
        """The track as the latest of an object, a new one without a ``match``; its id."""
        similarity, ends = evidence.similarity[track], float(evidence.ends[track])
        if match is None:
            obj = _Object(self._count, int(evidence.classes[track]), similarity, ends, track)
            self._objects.append(obj)
            self._count += 1
        else:
            obj = self._objects[match]
            obj.similarity, obj.ends, obj.row = similarity, max(obj.ends, ends), track
        return obj.id
