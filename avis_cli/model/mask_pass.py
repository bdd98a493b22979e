"""The second pass over a clip: video queries x the mask features of one frame after another -> masks and scores.

Shape letters: P (query, class) pairs, T token frames, M mask channels, h, w a mask map, H, W the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.errors import AvisError
from avis_cli.model.inference import Model
from avis_cli.model.instances import MaskSizes, candidates, decode_masks
from avis_cli.model.tokens import FrameTokens, TrackQueries

FEATURE_BYTES = 1 << 30
"""Mask features kept from the first pass: a minute of token frames at 640x360. Beyond it they are computed again."""


class FeatureStore:
    """Mask features of the first frames of a clip by the frame's time, as many as ``limit`` bytes hold."""

    def __init__(self, limit: int = FEATURE_BYTES) -> None:
        self._room = limit
        self._kept: dict[Fraction, Tensor] = {}
        self.times: list[Fraction] = []

    @property
    def complete(self) -> bool:
        """Whether no frame was left out."""
        return len(self._kept) == len(self.times)

    def keep(self, times: Sequence[Fraction], features: Tensor) -> None:
        """features (T, M, h, w) of the frames at ``times``."""
        self.times += times
        for time, one in zip(times, features, strict=True):
            size = one.numel() * one.element_size()
            if size <= self._room:
                self._room -= size
                self._kept[time] = one.clone()

    def get(self, time: Fraction) -> Tensor | None:
        return self._kept.get(time)


class MaskPass:
    """Masks of every pair that can still reach the threshold, frame by frame; scores once all frames are through.

    ``gate``: no mask where the network does not hear the track, None for the preset's own habit. A score is the class
    probability times the mean sigmoid inside the masks that were given out (reference: Cheng et al. 2022, section 3.4,
    over all frames of the clip as in VITA).
    """

    def __init__(
        self,
        model: Model,
        tokens: FrameTokens,
        tracks: TrackQueries,
        output_size: tuple[int, int],
        threshold: float | None,
        gate: bool | None = None,
    ) -> None:
        if not bool(tracks.class_logits.isfinite().all()):
            raise AvisError("the network's output is not finite", hint="try --precision fp32, or other weights")
        self.pairs = candidates(tracks.class_logits, threshold)
        self.heard: NDArray[np.bool_] | None = None
        if model.config.gate if gate is None else gate:
            sounding = model.sounding(tokens, tracks, self.pairs.queries, self.pairs.classes)
            self.heard = (sounding > model.config.gate_threshold).cpu().numpy()
        divisor = model.config.size_divisor
        padded = (-(-tokens.size[0] // divisor) * divisor, -(-tokens.size[1] // divisor) * divisor)
        self._embed = tracks.mask_embed
        self._sizes = MaskSizes(padded, tokens.size, output_size)
        self._rows = self.pairs.rows.cpu().numpy()
        self._total = torch.zeros(len(self.pairs), dtype=torch.float64)
        self._pixels = torch.zeros(len(self.pairs), dtype=torch.float64)

    def frame(self, features: Tensor, token: int) -> list[NDArray[np.bool_] | None]:
        """features (M, h, w) of a frame in the span of token frame ``token`` -> one mask (H, W) per pair.

        None where the pair is not heard or has no pixel.
        """
        wanted = np.ones(len(self._rows), dtype=bool) if self.heard is None else self.heard[:, token]
        needed = np.unique(self._rows[wanted])
        masks: list[NDArray[np.bool_] | None] = [None] * len(self._rows)
        if len(needed) == 0:
            return masks
        embed = self._embed[self.pairs.masks[torch.from_numpy(needed).to(self.pairs.masks.device)]]
        with torch.inference_mode():
            drawn, quality = decode_masks(embed, features[None], self._sizes)
        shown = [mask if mask.any() else None for mask in drawn[:, 0].cpu().numpy()]
        place = {int(row): index for index, row in enumerate(needed)}
        for pair in np.flatnonzero(wanted):
            index = place[int(self._rows[pair])]
            self._total[pair] += quality.total[index].cpu()
            self._pixels[pair] += quality.pixels[index].cpu()
            masks[pair] = shown[index]
        return masks

    def scores(self) -> list[float]:
        """Score of each pair over the frames so far."""
        mean = self._total / (self._pixels + 1e-6)
        scores: list[float] = (self.pairs.probabilities.cpu().double() * mean).tolist()
        return scores
