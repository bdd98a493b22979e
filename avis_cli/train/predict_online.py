"""What an online network sees in the clips of a source, kept so that rules of association and gates can be tried
without running it again.

Letters: P candidates, T token frames, H, W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy.optimize import minimize

from avis_cli.datasets.tracks import Category, Dataset, Mask, PredictedTrack, Video
from avis_cli.inference.decode_masks import MaskQuality, MaskSizes, decode_logits, mask_logits
from avis_cli.inference.model import Model
from avis_cli.inference.online import DrawnTrack, Told
from avis_cli.inference.segment_clip import THRESHOLD
from avis_cli.models.system import OnlineNetwork
from avis_cli.models.training import AudioAblation
from avis_cli.nn.audio import LOG_OFFSET
from avis_cli.progress import Progress, silent
from avis_cli.train.clips import ClipSource, RawClip
from avis_cli.train.predict import encoded_mask, silent_objects, truth_of

OVERLAP = 0.5  # IoU with what sounds above which a candidate is one of it


@dataclass(frozen=True, eq=False)
class SeenFrame:
    """One token frame before association. ``seen``: what the network's ``look`` gave, without its mask features;
    ``masks`` (P,) run lengths, None where empty; ``certainty``, ``pixels`` (P,): sum of sigmoids inside, and its
    size."""

    seen: Any
    masks: list[Mask | None]
    certainty: list[float]
    pixels: list[float]


@dataclass(frozen=True, eq=False)
class SeenClips:
    """Clips with their truth and what was seen in each frame. ``silent``: as `Predicted` has it."""

    network: OnlineNetwork
    categories: tuple[str, ...]
    truths: list[Video]
    silent: list[list[list[Mask | None]]]
    clips: list[list[SeenFrame]]

    def dataset(self, gate: float | None, threshold: float = THRESHOLD, **changes: Any) -> Dataset:
        """Truth and tracks with the gate at a threshold, None without gate, and ``changes`` of the rule."""
        changes = {**changes, "gated": False} if gate is None else {**changes, "gate_threshold": gate}
        rule = self.network.rule(**changes)
        videos = [
            replace(video, predictions=self._tracks(clip, rule, threshold))
            for video, clip in zip(self.truths, self.clips, strict=True)
        ]
        return Dataset([Category(number + 1, name) for number, name in enumerate(self.categories)], videos)

    def _tracks(self, clip: list[SeenFrame], rule: Any, threshold: float) -> list[PredictedTrack]:
        state, told = self.network.start(), Told(threshold)
        masks: dict[int, list[Mask | None]] = {}
        for place, frame in enumerate(clip):
            found, state = self.network.link(state, frame.seen, rule)
            rows = [(track, track.candidate) for track in found.tracks if track.candidate is not None]
            told.begin([DrawnTrack(track, None, frame.certainty[row], frame.pixels[row]) for track, row in rows])
            for track, row in rows:
                if track.id in told.ids:
                    masks.setdefault(track.id, [None] * len(clip))[place] = frame.masks[row]
        return [
            PredictedTrack(id, told.seen[id].category + 1, told.seen[id].score, track) for id, track in masks.items()
        ]


def observe(
    model: Model,
    source: ClipSource,
    clips: int,
    ablation: AudioAblation | None = None,
    on_progress: Progress = silent,
) -> SeenClips:
    """Run the network on the first ``clips`` clips of ``source``, all their frames in order."""
    truths, quiet, seen = [], [], []
    count = min(clips, len(source))
    for number in range(count):
        clip = source.read(number, range(source.length(number)))
        truths.append(truth_of(clip, number))
        quiet.append(silent_objects(clip))
        seen.append(observe_clip(model, clip, ablation or AudioAblation()))
        on_progress("validation", number + 1, count)
    return SeenClips(model.network, source.categories, truths, quiet, seen)


def observe_clip(model: Model, clip: RawClip, ablation: AudioAblation) -> list[SeenFrame]:
    """All frames of a clip, heard as ``ablation`` lets the network."""
    patches = torch.as_tensor(clip.patches)
    if ablation.muted:
        patches = torch.full_like(patches, math.log(LOG_OFFSET))
    audio = model.embed_log_mel(patches) * float(ablation.localizer)
    network, fps = model.network, model.config.fps
    size, frames = clip.frames.shape[1:3], []
    with torch.inference_mode():
        state = network.start()
        for place, picture in enumerate(clip.frames.transpose(0, 3, 1, 2)):
            image = torch.from_numpy(np.ascontiguousarray(picture)).to(model.device)
            seen, state = network.look(state, image, audio[place], place / fps)
            logits = mask_logits(seen.mask_embed, seen.mask_features)
            masks = torch.zeros((len(logits), *size), dtype=torch.bool, device=logits.device)
            sizes = MaskSizes.of((size[0], size[1]), model.config.size_divisor, (size[0], size[1]))
            quality: MaskQuality = decode_logits(logits, sizes, masks)
            kept = replace(seen, mask_features=seen.mask_features[:0])
            drawn = [encoded_mask(mask) for mask in masks.cpu().numpy()]
            frames.append(SeenFrame(kept, drawn, quality.total.tolist(), quality.pixels.tolist()))
            state = network.link(state, kept, network.rule())[1]
    return frames


def fit_gate(seen: SeenClips) -> dict[str, float]:
    """``gate_cosine`` and ``gate_softness`` by which the cosine between a candidate and its frame's sound tells best
    whether it is one of what sounds: a logistic curve of most likelihood, both sides weighing the same."""
    cosine, sounds = [], []
    for video, clip in zip(seen.truths, seen.clips, strict=True):
        for place, frame in enumerate(clip):
            truth = [track.masks[place] for track in video.truths if track.masks[place] is not None]
            cosine += frame.seen.candidates.cosine.tolist()
            sounds += [_is_one_of(mask, truth) for mask in frame.masks]
    return fitted(np.array(cosine), np.array(sounds, dtype=bool))


def _is_one_of(mask: Mask | None, truth: list[Mask | None]) -> bool:
    if mask is None or not truth:
        return False
    return bool(np.max(coco.iou([mask], truth, [0] * len(truth))) > OVERLAP)


def fitted(cosine: NDArray[np.float64], sounds: NDArray[np.bool_]) -> dict[str, float]:
    """The curve for cosines (N,) of what ``sounds`` and what does not; nothing where either side is empty."""
    if not sounds.any() or sounds.all():
        return {}
    weights = np.where(sounds, 0.5 / sounds.sum(), 0.5 / (~sounds).sum())
    signs = np.where(sounds, 1.0, -1.0)

    def loss(values: NDArray[np.float64]) -> float:
        middle, log_softness = values
        return float((weights * np.logaddexp(0.0, -signs * (cosine - middle) / math.exp(log_softness))).sum())

    middle, log_softness = minimize(loss, [0.3, math.log(0.1)], method="Nelder-Mead").x
    return {
        "gate_cosine": float(np.clip(middle, -1.0, 1.0)),
        "gate_softness": float(np.clip(math.exp(log_softness), 0.02, 10.0)),
    }
