"""The frame level on its own: what the localizer recognises in each frame, with its own masks.

Letters: T token frames, Q frame queries, H, W pixels of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from avis_cli.inference.masks import MaskSizes, candidates, decode_masks
from avis_cli.inference.model import Model
from avis_cli.models.training import AudioAblation
from avis_cli.train.clips import RawClip
from avis_cli.train.predict import THRESHOLD, audio_embeddings

Box = NDArray[np.float64]
"""Left, top, right and bottom in pixels, (4,)."""


@dataclass(frozen=True, eq=False)
class Detection:
    """An object in one frame. ``category``: 0..K-1; ``score``: class probability times mean surety of the mask;
    ``mask`` (H, W) bool, not empty; ``token`` (C,), the frame query's state, of unit length."""

    category: int
    score: float
    mask: NDArray[np.bool_]
    token: NDArray[np.float32]

    def box(self) -> Box:
        """The tight box around the mask."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


@torch.no_grad()
def detect(model: Model, clip: RawClip, ablation: AudioAblation) -> list[list[Detection]]:
    """What is recognised in each frame of a clip, above the score that a track must exceed too."""
    embeddings = audio_embeddings(model, clip, ablation) * float(ablation.localizer)
    frames = torch.from_numpy(np.ascontiguousarray(clip.frames.transpose(0, 3, 1, 2)))
    return [
        _in_frame(model, frames[t : t + 1].to(model.device), embeddings[t : t + 1].to(model.device))
        for t in range(len(frames))
    ]


def _in_frame(model: Model, frame: torch.Tensor, audio: torch.Tensor) -> list[Detection]:
    localizer, divisor = model.network.localizer, model.config.size_divisor
    size = (frame.shape[-2], frame.shape[-1])
    padded = (-(-size[0] // divisor) * divisor, -(-size[1] // divisor) * divisor)
    features = model.network.features(frame)
    state = localizer(features, audio)[-1][0]  # (Q, C)
    pairs = candidates(localizer.class_head(state), THRESHOLD)
    embed = localizer.mask_head(state)[pairs.masks]
    masks, quality = decode_masks(embed, localizer.mask_features(features), MaskSizes(padded, size, size))
    scores = quality.scores(pairs).tolist()
    tokens = torch.nn.functional.normalize(state, dim=-1).cpu().numpy()
    return [
        Detection(category, score, masks[row, 0].cpu().numpy(), tokens[query])
        for category, score, row, query in zip(
            pairs.classes.tolist(), scores, pairs.rows.tolist(), pairs.queries.tolist(), strict=True
        )
        if score > THRESHOLD and bool(masks[row, 0].any())
    ]
