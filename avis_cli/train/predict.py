"""What a network finds in the clips of a source, kept so that gate thresholds can be tried without running it again.

Letters: P (query, class) pairs, T token frames, Q frame queries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco

from avis_cli.datasets.tracks import Category, Dataset, Mask, PredictedTrack, TruthTrack, Video
from avis_cli.inference.gate import apply_hysteresis
from avis_cli.inference.masks import MaskSizes, candidates, decode_masks
from avis_cli.inference.model import Model
from avis_cli.models.tokens import FrameTokens
from avis_cli.models.training import AudioAblation
from avis_cli.progress import Progress, silent
from avis_cli.train.clips import ClipSource, RawClip

THRESHOLD = 0.3  # score a track must exceed, as released


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


def predict_clip(model: Model, clip: RawClip, ablation: AudioAblation) -> ClipPrediction:
    """Run the network on all frames of a clip."""
    frames = torch.from_numpy(np.ascontiguousarray(clip.frames.transpose(0, 3, 1, 2)))
    embeddings = audio_embeddings(model, clip, ablation)
    tokens = model.localize(frames, embeddings * float(ablation.localizer))
    tokens = replace(tokens, audio=(embeddings * float(ablation.tracker)).to(tokens.audio.device))
    return _decoded(model, tokens)


def audio_embeddings(model: Model, clip: RawClip, ablation: AudioAblation) -> torch.Tensor:
    """The clip's sound, or silence where it is muted, as embeddings (T, D)."""
    patches = torch.from_numpy(clip.patches)
    if ablation.muted:
        patches = torch.full_like(patches, float(np.log(0.01)))
    return _embedded(model, patches)


def _embedded(model: Model, patches: torch.Tensor) -> torch.Tensor:
    patches = patches.to(model.device)
    if model.vggish is None:
        return model.network.embed_log_mel(patches)
    with torch.inference_mode():
        embeddings: torch.Tensor = model.vggish(patches)
    return embeddings


def _decoded(model: Model, tokens: FrameTokens) -> ClipPrediction:
    found = model.track(tokens)
    pairs = candidates(found.class_logits, THRESHOLD)
    sounding = model.sounding(tokens, found, pairs.queries, pairs.classes)
    divisor = model.config.size_divisor
    padded = (-(-tokens.size[0] // divisor) * divisor, -(-tokens.size[1] // divisor) * divisor)
    sizes = MaskSizes(padded, tokens.size, tokens.size)
    rows = pairs.rows.tolist()
    masks: list[list[Mask | None]] = [[] for _ in rows]
    certainty, pixels = np.zeros((len(rows), len(tokens))), np.zeros((len(rows), len(tokens)))
    for t in range(len(tokens) if rows else 0):
        drawn, quality = decode_masks(found.mask_embed[pairs.masks], tokens.mask_features[t : t + 1], sizes)
        runs = [_encoded(mask) for mask in drawn[:, 0].cpu().numpy()]
        for p, row in enumerate(rows):
            masks[p].append(runs[row])
        certainty[:, t] = quality.total[pairs.rows].cpu().numpy()
        pixels[:, t] = quality.pixels[pairs.rows].cpu().numpy()
    return ClipPrediction(
        pairs.classes.tolist(),
        pairs.probabilities.cpu().double().numpy(),
        masks,
        certainty,
        pixels,
        sounding.cpu().double().numpy(),
    )


def _encoded(mask: NDArray[np.bool_]) -> Mask | None:
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
    model: Model, source: ClipSource, clips: int, ablation: AudioAblation | None = None, on_progress: Progress = silent
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
    return [[_encoded(mask) for mask in track] for track in unheard] if clip.complete else []


def truth_of(clip: RawClip, number: int) -> Video:
    """The ground truth of a whole clip, ``number`` in its split."""
    length, height, width = clip.frames.shape[:3]
    tracks = []
    for o, category in enumerate(clip.categories):
        masks = [_encoded(mask) if here else None for mask, here in zip(clip.masks[o], clip.sounding[o], strict=True)]
        if any(mask is not None for mask in masks):
            areas = [None if mask is None else float(coco.area(mask)) for mask in masks]
            tracks.append(TruthTrack(1000 * (number + 1) + o, int(category) + 1, False, areas, masks))
    names = [f"clip{number:06d}/{frame:05d}.jpg" for frame in range(length)]
    return Video(number + 1, f"clip{number:06d}", length, height, width, names, tracks)
