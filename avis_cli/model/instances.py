"""Video queries x mask features -> instances: which (query, class) pairs, their masks at output size, their scores.

Shape letters: N video queries, K kept queries or pairs, M mask channels, T frames, h, w a mask map, H, W the output.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PAIRS = 100  # best (query, class) pairs that are looked at


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
    """Sum of sigmoids over the pixels of a mask, and how many they are: (K,) float64 each; adds up over windows."""

    total: Tensor
    pixels: Tensor

    @staticmethod
    def none(masks: int, device: torch.device | None = None) -> MaskQuality:
        zeros = torch.zeros(masks, dtype=torch.float64, device=device)
        return MaskQuality(zeros, zeros.clone())

    def __add__(self, other: MaskQuality) -> MaskQuality:
        return MaskQuality(self.total + other.total, self.pixels + other.pixels)

    def mean(self) -> Tensor:
        """Mean sigmoid inside the mask, 0 where it is empty -> (K,) float64."""
        return self.total / (self.pixels + 1e-6)

    def scores(self, pairs: Candidates) -> Tensor:
        """Score of each pair -> (P,) float64."""
        return pairs.probabilities.double() * self.mean()[pairs.rows]


@dataclass(frozen=True)
class MaskSizes:
    """Heights and widths in pixels: of the padded network input, of the frame within it, and of the masks asked for."""

    padded: tuple[int, int]
    frame: tuple[int, int]
    output: tuple[int, int]


def decode_masks(mask_embed: Tensor, mask_features: Tensor, sizes: MaskSizes) -> tuple[Tensor, MaskQuality]:
    """mask_embed (K, M), mask_features (T, M, h, w) -> masks (K, T, H, W) of booleans, and their quality.

    Logits are resized bilinearly to the padded input, cropped to the frame, resized to the output and kept above 0; the
    quality is that of the cropped ones. A window of frames at a time bounds the memory.
    """
    K, T = len(mask_embed), len(mask_features)
    masks = torch.zeros((K, T, *sizes.output), dtype=torch.bool, device=mask_features.device)
    quality = MaskQuality.none(K, mask_features.device)
    for frame, features in enumerate(mask_features):
        logits = torch.einsum("km,mhw->khw", mask_embed.float(), features.float())
        quality = quality + decode_frame(logits, sizes, masks[:, frame])
    return masks, quality


def decode_frame(logits: Tensor, sizes: MaskSizes, out: Tensor) -> MaskQuality:
    up = F.interpolate(logits[None], sizes.padded, mode="bilinear", align_corners=False)[0, :, :sizes.frame[0], :sizes.frame[1]]
    s = up.sigmoid(); m = s > 0.5
    q = MaskQuality((s * m).double().sum((1, 2)), m.double().sum((1, 2)))
    out.copy_(F.interpolate(up[None], sizes.output, mode="bilinear", align_corners=False)[0] > 0)
    return q
