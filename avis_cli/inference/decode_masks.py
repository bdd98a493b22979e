"""Video queries x mask features -> instances: which (query, class) pairs, their masks at output size, their scores.

Shape letters: N video queries, K kept queries or pairs, M mask channels, T frames, h, w a mask map, H, W the output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

PAIRS = 100  # best (query, class) pairs that are looked at
LINES = 64  # of a mask that are resized together: they read few lines of the map and stay in the cache


@dataclass(frozen=True)
class Candidates:
    """Pairs of video query and class, in falling probability; a query under two classes has one mask.

    ``queries``, ``classes``, ``probabilities`` (P,): one entry per pair. ``masks`` (K,): the queries that need a mask,
    each once; ``rows`` (P,): which of them is the pair's.
    """

    queries: Tensor
    classes: Tensor
    probabilities: Tensor
    masks: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.queries)


def candidates(class_logits: Tensor, threshold: float | None = None, limit: int = PAIRS) -> Candidates:
    """class_logits (N, K + 1), the last "no object" -> the ``limit`` most probable pairs above ``threshold``.

    A score is the class probability times a number of at most 1: pairs at or under the threshold of scores never count.
    """
    probability = class_logits.float().softmax(-1)[:, :-1]
    values, places = probability.flatten().topk(min(limit, probability.numel()))
    if threshold is not None:
        places, values = places[values > threshold], values[values > threshold]
    queries = places // probability.shape[1]
    masks, rows = queries.unique(return_inverse=True)
    return Candidates(queries, places % probability.shape[1], values, masks, rows)


@dataclass(frozen=True)
class MaskQuality:
    """Sum of sigmoids over the pixels of a mask, and how many they are: (K,) each; adds up over windows."""

    total: Tensor
    pixels: Tensor

    @staticmethod
    def none(masks: int, device: torch.device | None = None) -> MaskQuality:
        zeros = torch.zeros(masks, dtype=_finest(device), device=device)
        return MaskQuality(zeros, zeros.clone())

    def __add__(self, other: MaskQuality) -> MaskQuality:
        return MaskQuality(self.total + other.total, self.pixels + other.pixels)

    def mean(self) -> Tensor:
        """Mean sigmoid inside the mask, 0 where it is empty -> (K,)."""
        return self.total / (self.pixels + 1e-6)

    def scores(self, pairs: Candidates) -> Tensor:
        """Score of each pair -> (P,)."""
        return pairs.probabilities.to(self.total.dtype) * self.mean()[pairs.rows]


@dataclass(frozen=True)
class MaskSizes:
    """Heights and widths in pixels: of the padded network input, of the frame within it, and of the masks asked for."""

    padded: tuple[int, int]
    frame: tuple[int, int]
    output: tuple[int, int]

    @classmethod
    def of(cls, frame: tuple[int, int], divisor: int, output: tuple[int, int]) -> MaskSizes:
        """The sizes for a ``frame`` that is padded right and bottom to multiples of ``divisor``."""
        height, width = (-(-side // divisor) * divisor for side in frame)
        return cls((height, width), frame, output)


def decode_masks(mask_embed: Tensor, mask_features: Tensor, sizes: MaskSizes) -> tuple[Tensor, MaskQuality]:
    """mask_embed (K, M), mask_features (T, M, h, w) -> masks (K, T, H, W) of booleans, and their quality.

    Logits are resized bilinearly to the padded input, cropped to the frame, resized to the output and kept above 0; the
    quality is that of the cropped ones. Give the frames window by window: K T H W bytes come back for each.
    """
    device = mask_features.device
    masks = torch.zeros((len(mask_embed), len(mask_features), *sizes.output), dtype=torch.bool, device=device)
    quality = MaskQuality.none(len(mask_embed), device)
    for frame, features in enumerate(mask_features):
        quality = quality + decode_logits(mask_logits(mask_embed, features), sizes, masks[:, frame])
    return masks, quality


@torch.no_grad()
def mask_logits(mask_embed: Tensor, features: Tensor) -> Tensor:
    """mask_embed (K, M), features (M, h, w) of a frame -> (K, h, w), in float32."""
    with torch.autocast(features.device.type, enabled=False):
        return (mask_embed.float() @ features.float().flatten(1)).view(-1, *features.shape[-2:])


@torch.no_grad()
def decode_logits(logits: Tensor, sizes: MaskSizes, out: Tensor) -> MaskQuality:
    """One frame of ``decode_masks`` from its logits (K, h, w) on; ``out`` (K, H, W), all False, gets the masks."""
    device = logits.device
    to_frame, to_output = _resizings(logits.shape[-2], logits.shape[-1], sizes, device)
    with torch.autocast(device.type, enabled=False):
        inside = logits > 0
        total, pixels = [], []
        for mask, logit, (top, bottom), (left, right) in zip(
            out, logits, _spans(inside.any(2)), _spans(inside.any(1)), strict=True
        ):
            # interpolation only mixes: nothing is positive where no cell near is, so the rest is never computed
            surety, count = logit.new_zeros(()), logit.new_zeros((), dtype=torch.int64)
            for _, fine in to_frame.around(logit, top, bottom, left, right):
                positive = (fine > 0).sum()
                # sigmoid(0) = 1/2 stands for every pixel outside, and is taken off again
                surety = surety + fine.relu_().sigmoid_().sum() - 0.5 * (fine.numel() - positive)
                count = count + positive
            total.append(surety)
            pixels.append(count)
            for place, fine in to_output.around(logit, top, bottom, left, right):
                mask[place] = fine > 0
    if not total:
        return MaskQuality.none(0, device)
    finest = _finest(device)
    return MaskQuality(torch.stack(total).to(finest), torch.stack(pixels).to(finest))


def _finest(device: torch.device | None) -> torch.dtype:
    # Apple GPUs know no double precision
    return torch.float32 if device is not None and device.type == "mps" else torch.float64


def _spans(hit: Tensor) -> list[tuple[int, int]]:
    # booleans (K, n) -> first hit and one past the last of each; (0, 0) where there is none
    first = hit.byte().argmax(1)
    last = hit.shape[1] - hit.flip(1).byte().argmax(1)
    some = hit.any(1)
    return list(zip((first * some).tolist(), (last * some).tolist(), strict=True))


@dataclass(frozen=True)
class _Axis:
    """Linear resizing of one axis. ``weights`` (n_out, n_in); outputs that read input i are ``reach[i]`` (first, one
    past the last), inputs that output o reads are ``reads[o]``.
    """

    weights: Tensor
    reach: list[tuple[int, int]]
    reads: list[tuple[int, int]]

    def around(self, start: int, end: int) -> tuple[slice, slice]:
        """Outputs that read any of the inputs start..end, and all inputs that those read."""
        spans = [span for span in self.reach[start:end] if span[1] > 0]
        if not spans:
            return slice(0, 0), slice(0, 0)
        first, last = spans[0][0], spans[-1][1]
        return slice(first, last), slice(self.reads[first][0], self.reads[last - 1][1])


@dataclass(frozen=True)
class _Resizing:
    rows: _Axis
    columns: _Axis

    def around(
        self, logit: Tensor, top: int, bottom: int, left: int, right: int
    ) -> Iterator[tuple[tuple[slice, slice], Tensor]]:
        """logit (h, w) -> the part of its resized form that cells [top, bottom) x [left, right) have to do with, a few
        lines at a time: where they are, and their values.
        """
        rows, _ = self.rows.around(top, bottom)
        columns, from_columns = self.columns.around(left, right)
        wide = logit[:, from_columns] @ self.columns.weights[columns, from_columns].T
        for first in range(rows.start, rows.stop, LINES):
            lines = slice(first, min(first + LINES, rows.stop))
            from_rows = slice(self.rows.reads[lines.start][0], self.rows.reads[lines.stop - 1][1])
            yield (lines, columns), self.rows.weights[lines, from_rows] @ wide[from_rows]


@lru_cache(maxsize=4)
def _resizings(height: int, width: int, sizes: MaskSizes, device: torch.device) -> tuple[_Resizing, _Resizing]:
    """From a mask map to the frame, and on to the output."""
    rows = _linear(height, sizes.padded[0])[: sizes.frame[0]]
    columns = _linear(width, sizes.padded[1])[: sizes.frame[1]]
    to_frame = _Resizing(_axis(rows, device), _axis(columns, device))
    further_rows = _linear(sizes.frame[0], sizes.output[0]) @ rows
    further_columns = _linear(sizes.frame[1], sizes.output[1]) @ columns
    return to_frame, _Resizing(_axis(further_rows, device), _axis(further_columns, device))


def _linear(length: int, out: int) -> Tensor:
    # linear interpolation of one axis as a matrix (out, length), taken from PyTorch's own
    return F.interpolate(torch.eye(length, dtype=torch.float64)[None], out, mode="linear", align_corners=False)[0].T


def _axis(weights: Tensor, device: torch.device) -> _Axis:
    used = weights != 0
    return _Axis(weights.float().to(device), _spans(used.T), _spans(used))
