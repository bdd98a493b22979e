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
from avis_cli.inference.gate import Gate
from avis_cli.inference.masks import MaskSizes, candidates, decode_masks
from avis_cli.inference.model import Model
from avis_cli.models.tokens import FrameTokens, TrackQueries


class MaskPass:
    """Masks of every pair that can still reach the threshold, frame by frame; scores once all frames are through.

    ``pairs``: those; ``gate``: when each of them is heard, None where masks are drawn whether heard or not. A score
    is the class probability times the mean sigmoid inside the masks that were given out (reference: Cheng et al. 2022,
    section 3.4, over all frames of the clip as in VITA).
    """

    def __init__(
        self,
        model: Model,
        tokens: FrameTokens,
        tracks: TrackQueries,
        output_size: tuple[int, int],
        threshold: float | None,
        gate: bool | None = None,
        times: Sequence[Fraction] | None = None,
    ) -> None:
        """``gate``: no mask where the network does not hear a pair, None for the preset's own habit. ``times``: of the
        token frames in seconds, at the preset's own rate from 0 on if None."""
        _require_finite(tracks.class_logits, tracks.mask_embed)
        self.pairs = candidates(tracks.class_logits, threshold)
        self.gate: Gate | None = None
        if model.config.gate if gate is None else gate:
            step = Fraction(1, model.config.fps)
            times = [token * step for token in range(len(tokens))] if times is None else times
            step = times[1] - times[0] if len(times) > 1 else step
            values = model.sounding(tokens, tracks, self.pairs.queries, self.pairs.classes).cpu().numpy()
            self.gate = Gate.of(values, times, step, model.config.gate_threshold)
        divisor = model.config.size_divisor
        padded = (-(-tokens.size[0] // divisor) * divisor, -(-tokens.size[1] // divisor) * divisor)
        self._embed = tracks.mask_embed
        self._sizes = MaskSizes(padded, tokens.size, output_size)
        self._rows = self.pairs.rows.cpu().numpy()
        self._total = torch.zeros(len(self.pairs), dtype=torch.float64)
        self._pixels = torch.zeros(len(self.pairs), dtype=torch.float64)

    def frame(self, features: Tensor, wanted: NDArray[np.bool_] | None = None) -> list[NDArray[np.bool_] | None]:
        """features (M, h, w) of a frame -> one mask (H, W) per pair, None where the pair has no pixel.

        ``wanted`` (P,): the pairs to draw, all if None; None for the others.
        """
        wanted = np.ones(len(self._rows), dtype=bool) if wanted is None else wanted
        needed = np.unique(self._rows[wanted])
        masks: list[NDArray[np.bool_] | None] = [None] * len(self._rows)
        if len(needed) == 0:
            return masks
        embed = self._embed[self.pairs.masks[torch.from_numpy(needed).to(self.pairs.masks.device)]]
        with torch.inference_mode():
            _require_finite(features)
            drawn, quality = decode_masks(embed, features[None], self._sizes)
        shown = [mask if mask.any() else None for mask in drawn[:, 0].cpu().numpy()]
        place = {int(row): index for index, row in enumerate(needed)}
        for pair in np.flatnonzero(wanted):
            index = place[int(self._rows[pair])]
            self._total[pair] += quality.total[index].cpu()
            self._pixels[pair] += quality.pixels[index].cpu()
            masks[pair] = shown[index]
        return masks

    @property
    def pixels(self) -> list[float]:
        """Pixels of each pair's masks so far, of the size of the network's input."""
        counts: list[float] = self._pixels.tolist()
        return counts

    def scores(self) -> list[float]:
        """Score of each pair over the frames so far."""
        mean = self._total / (self._pixels + 1e-6)
        scores: list[float] = (self.pairs.probabilities.cpu().double() * mean).tolist()
        return scores


def _require_finite(*outputs: Tensor) -> None:
    """What is not a number is above no threshold: it would look like a clip in which nothing sounds."""
    # one bad value spoils the sum, which is faster than asking each
    if not all(bool(output.sum(dtype=torch.float32).isfinite()) for output in outputs):
        raise AvisError("the network's output is not finite", hint="try --precision fp32, or other weights")
