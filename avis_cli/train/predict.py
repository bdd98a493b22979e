"""What a network finds in the clips of a source, kept so that gate thresholds can be tried without running it again.

Letters: P (query, class) pairs, T token frames, Q frame queries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco
from torch import Tensor

from avis_cli.datasets.tracks import Category, Dataset, Mask, PredictedTrack, TruthTrack, Video
from avis_cli.inference.clip_frames import ArrayFrames
from avis_cli.inference.gate import apply_hysteresis
from avis_cli.inference.protocols import ClipModel
from avis_cli.inference.segment_clip import THRESHOLD, ClipMasks, ClipSettings, segment_clip
from avis_cli.models.system import ClipConfig
from avis_cli.models.tokens import FrameTokens, TrackQueries
from avis_cli.models.training import AudioAblation
from avis_cli.nn.audio import LOG_OFFSET
from avis_cli.progress import Progress, silent
from avis_cli.results.run_length import RunLength
from avis_cli.train.clips import ClipSource, RawClip


@dataclass(frozen=True, eq=False)
class ClipPrediction:
    """Everything about one clip that does not depend on the gate.

    ``classes`` and ``probabilities`` (P,); ``masks``: per pair and frame, None where empty; ``certainty`` and
    ``pixels`` (P, T): sum of sigmoids in the mask, and its size; ``sounding`` (P, T), 0..1."""

    classes: list[int]
    probabilities: NDArray[np.float64]
    masks: list[list[Mask | None]]
    certainty: NDArray[np.float64]
    pixels: NDArray[np.float64]
    sounding: NDArray[np.float64]

    def tracks(self, gate: float | None) -> list[PredictedTrack]:
        """The tracks above the score threshold; ``gate``: no mask where a pair sounds less than this, None for no
        gate."""
        heard = np.ones_like(self.sounding, dtype=bool) if gate is None else apply_hysteresis(self.sounding, gate)
        quality = (self.certainty * heard).sum(1) / ((self.pixels * heard).sum(1) + 1e-6)
        scores = self.probabilities * quality
        return [
            PredictedTrack(
                entry=int(p),
                category_id=self.classes[p] + 1,
                score=float(scores[p]),
                masks=[mask if here else None for mask, here in zip(self.masks[p], heard[p], strict=True)],
            )
            for p in np.flatnonzero(scores > THRESHOLD)
        ]


class AblatedModel:
    """``model`` that hears only what ``ablation`` lets it; otherwise the same."""

    def __init__(self, model: ClipModel, ablation: AudioAblation) -> None:
        self._model, self._ablation = model, ablation

    @property
    def config(self) -> ClipConfig:
        return self._model.config

    @property
    def device(self) -> torch.device:
        return self._model.device

    def embed_log_mel(self, patches: Tensor | NDArray[np.float32]) -> Tensor:
        patches = torch.as_tensor(patches)
        if self._ablation.muted:
            patches = torch.full_like(patches, math.log(LOG_OFFSET))
        return self._model.embed_log_mel(patches)

    def localize(
        self, frames: Tensor | NDArray[np.uint8], audio: Tensor | NDArray[np.float32], *, frame_masks: bool = False
    ) -> FrameTokens:
        audio = torch.as_tensor(audio)
        tokens = self._model.localize(frames, audio * float(self._ablation.localizer), frame_masks=frame_masks)
        return replace(tokens, audio=(audio * float(self._ablation.tracker)).to(tokens.audio.device))

    def track(self, tokens: FrameTokens) -> TrackQueries:
        return self._model.track(tokens)

    def mask_features(self, frames: Tensor | NDArray[np.uint8], *, frame_masks: bool = False) -> Tensor:
        return self._model.mask_features(frames, frame_masks=frame_masks)

    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        return self._model.sounding(tokens, tracks, queries, classes)


def predict_clip(model: ClipModel, clip: RawClip, ablation: AudioAblation) -> ClipPrediction:
    """All candidates of a whole clip, tracked in one window and drawn at its token frames."""
    found = candidates_of(AblatedModel(model, ablation), clip)
    evidence = found.evidence
    assert evidence is not None
    return ClipPrediction(
        found.classes,
        evidence.probability,
        [[_as_mask(mask) for mask in masks] for masks in found.masks],
        evidence.certainty,
        evidence.pixels,
        evidence.sounding,
    )


def candidates_of(model: ClipModel, clip: RawClip) -> ClipMasks:
    """What `segment_clip` finds in a clip, ungated, with the evidence that gates can be tried on."""
    fps = Fraction(model.config.fps)
    embeddings = model.embed_log_mel(clip.patches)

    def embed(times: Sequence[Fraction]) -> Tensor:
        return embeddings[[int(time * fps) for time in times]]

    length, height, width = clip.frames.shape[:3]
    frames = ArrayFrames(np.ascontiguousarray(clip.frames.transpose(0, 3, 1, 2)), fps)
    settings = ClipSettings((height, width), gate=False, window=length, record=True)
    return segment_clip(model, frames, embed, settings)


def _as_mask(mask: RunLength | None) -> Mask | None:
    return None if mask is None else {"size": mask["size"], "counts": mask["counts"].encode("ascii")}


def encoded_mask(mask: NDArray[np.bool_]) -> Mask | None:
    return dict(coco.encode(np.asfortranarray(mask, dtype=np.uint8))) if mask.any() else None


@dataclass(frozen=True, eq=False)
class Predicted:
    """Clips with their truth and what was found in them. ``silent``: per clip, object and frame the masks of objects
    that are seen and not heard, as far as the source knows them."""

    categories: tuple[str, ...]
    truths: list[Video]
    silent: list[list[list[Mask | None]]]
    predictions: list[ClipPrediction]

    def dataset(self, gate: float | None) -> Dataset:
        """Truth and predictions with the gate at a threshold, for the metrics."""
        videos = [
            replace(video, predictions=prediction.tracks(gate))
            for video, prediction in zip(self.truths, self.predictions, strict=True)
        ]
        return Dataset([Category(number + 1, name) for number, name in enumerate(self.categories)], videos)


def predict(
    model: ClipModel,
    source: ClipSource,
    clips: int,
    ablation: AudioAblation | None = None,
    on_progress: Progress = silent,
) -> Predicted:
    """Run the network on the first ``clips`` clips of ``source``, all their frames."""
    truths, quiet, predictions = [], [], []
    count = min(clips, len(source))
    for number in range(count):
        clip = source.read(number, range(source.length(number)))
        truths.append(truth_of(clip, number))
        quiet.append(silent_objects(clip))
        predictions.append(predict_clip(model, clip, ablation or AudioAblation()))
        on_progress("validation", number + 1, count)
    return Predicted(source.categories, truths, quiet, predictions)


def silent_objects(clip: RawClip) -> list[list[Mask | None]]:
    """Per object the masks by frame where it is seen and not heard, as far as the clip knows them."""
    unheard = clip.masks & ~clip.sounding[:, :, None, None]
    return [[encoded_mask(mask) for mask in track] for track in unheard] if clip.complete else []


def truth_of(clip: RawClip, number: int) -> Video:
    """The ground truth of a whole clip, ``number`` in its split."""
    length, height, width = clip.frames.shape[:3]
    tracks = []
    for o, category in enumerate(clip.categories):
        masks = [
            encoded_mask(mask) if here else None for mask, here in zip(clip.masks[o], clip.sounding[o], strict=True)
        ]
        if any(mask is not None for mask in masks):
            areas = [None if mask is None else float(coco.area(mask)) for mask in masks]
            tracks.append(TruthTrack(1000 * (number + 1) + o, int(category) + 1, False, areas, masks))
    names = [f"clip{number:06d}/{frame:05d}.jpg" for frame in range(length)]
    return Video(number + 1, f"clip{number:06d}", length, height, width, names, tracks)
