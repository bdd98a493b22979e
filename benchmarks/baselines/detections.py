"""The frame level on its own: what the localizer recognises in each frame, with its own masks.

Letters: T token frames, Q frame queries, H, W pixels of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.inference.model import Model
from avis_cli.inference.segment_clip import THRESHOLD
from avis_cli.inference.sort import Box
from avis_cli.models.avism.network import Avism
from avis_cli.models.tokens import FrameTokens, TrackQueries
from avis_cli.models.training import AudioAblation
from avis_cli.results import run_length
from avis_cli.train.clips import RawClip
from avis_cli.train.predict import AblatedModel, candidates_of


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


class FrameLevel(AblatedModel):
    """The frame level of AVISM as a model of clips of one frame: its queries with their own masks stand for tracks."""

    def __init__(self, model: Model, ablation: AudioAblation) -> None:
        super().__init__(model, ablation)
        self._network: Avism = model.network
        self._hears = float(ablation.localizer)

    @torch.inference_mode()
    def localize(
        self, frames: Tensor | NDArray[np.uint8], audio: Tensor | NDArray[np.float32], *, frame_masks: bool = False
    ) -> FrameTokens:
        network, frames = self._network, torch.as_tensor(frames).to(self.device)
        audio = torch.as_tensor(audio).to(self.device) * self._hears
        features = network.features(frames)
        state = network.localizer(features, audio).queries[-1]
        masks = network.localizer.mask_features(features)
        size = (frames.shape[-2], frames.shape[-1])
        return FrameTokens(state, network.localizer.class_head(state), audio, masks, size)

    @torch.inference_mode()
    def track(self, tokens: FrameTokens) -> TrackQueries:
        state = tokens.queries[0]
        unit = torch.nn.functional.normalize(state, dim=-1)
        return TrackQueries(tokens.class_logits[0], self._network.localizer.mask_head(state), unit, unit[None])


def detect(model: Model, clip: RawClip, ablation: AudioAblation) -> list[list[Detection]]:
    """What is recognised in each frame of a clip, above the score that a track must exceed too."""
    level = FrameLevel(model, ablation)
    return [_in_frame(level, clip.at(frame)) for frame in range(len(clip.frames))]


def _in_frame(level: FrameLevel, frame: RawClip) -> list[Detection]:
    found = candidates_of(level, frame)
    assert found.evidence is not None
    rows = zip(found.classes, found.scores, found.masks, found.evidence.similarity, strict=True)
    return [
        Detection(category, score, run_length.decode(mask), token)
        for category, score, (mask,), token in rows
        if score > THRESHOLD and mask is not None
    ]
