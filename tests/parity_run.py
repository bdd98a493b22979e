"""A network of two levels on golden frames, and how far it is from what the published one computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco

from avis_cli.inference.decode_masks import Candidates, MaskQuality, MaskSizes, candidates, decode_masks
from avis_cli.models.tokens import FrameTokens, TrackQueries
from avis_cli.models.two_level.network import TwoLevelNetwork

Array = NDArray[Any]


@dataclass
class Run:
    """One whole run and what it should have given."""

    model: TwoLevelNetwork
    golden: Any
    about: dict[str, Any]
    tokens: FrameTokens
    tracks: TrackQueries
    pairs: Candidates
    masks: Array
    quality: MaskQuality

    @property
    def scores(self) -> Array:
        return self.quality.scores(self.pairs).numpy()


def run(model: TwoLevelNetwork, golden: Any, about: dict[str, Any], audio: torch.Tensor) -> Run:
    """``model`` on the frames of ``golden`` with their ``audio``; ``about``: what goes with it."""
    tokens = model.localize(torch.from_numpy(golden["frames"]), audio)
    tracks = model.track(tokens)
    pairs = candidates(tracks.class_logits)
    stride = model.config.mask_stride
    padded = (tokens.mask_features.shape[-2] * stride, tokens.mask_features.shape[-1] * stride)
    sizes = MaskSizes(padded, tokens.size, tuple(about["output_size"]))
    masks, quality = decode_masks(tracks.mask_embed[pairs.masks], tokens.mask_features, sizes)
    return Run(model, golden, about, tokens, tracks, pairs, masks.numpy(), quality)


def apart(got: torch.Tensor, wanted: Array) -> float:
    assert got.shape == wanted.shape
    return float(np.abs(got.detach().numpy() - wanted).max())


def backbone_error(case: Run) -> float:
    """Largest difference of the backbone's maps, relative to the map's own largest value."""
    frames = torch.from_numpy(case.golden["frames"][:1])
    model = case.model
    normalised = (frames - model.pixel_mean) / model.pixel_std
    padding = (0, -frames.shape[-1] % 32, 0, -frames.shape[-2] % 32)
    with torch.no_grad():
        maps = model.backbone(torch.nn.functional.pad(normalised, padding))
    wanted = [case.golden[f"backbone_res{stage}_f0"] for stage in (2, 3, 4, 5)]
    return max(apart(x[0, :8], w) / float(np.abs(w).max()) for x, w in zip(maps, wanted, strict=True))


def instance_errors(case: Run) -> tuple[float, float]:
    """Each golden instance against the pair of its class whose mask fits best: largest score error, lowest mask IoU.

    The pairs over 0.3 must be exactly as many.
    """
    kept = list(np.flatnonzero(case.scores > 0.3))
    assert len(kept) == len(case.golden["scores"])
    score_errors, overlaps = [], []
    for label, score, runs in zip(case.golden["labels"], case.golden["scores"], case.about["masks"], strict=True):
        wanted = np.stack([coco.decode(one) for one in runs]).astype(bool)  # (T, H, W)
        fits = {k: iou(case.masks[case.pairs.rows[k]], wanted) for k in kept if case.pairs.classes[k] == label}
        # one query's masks can be another's: among equal fits the score decides
        best = max(fits, key=lambda k: (round(fits[k], 4), -abs(case.scores[k] - score)))
        kept.remove(best)
        score_errors.append(abs(case.scores[best] - score))
        overlaps.append(fits[best])
    return max(score_errors), min(overlaps)


def iou(mask: Array, other: Array) -> float:
    union = int((mask | other).sum())
    return 1.0 if union == 0 else int((mask & other).sum()) / union


def check_frames(case: Run) -> None:
    logits = apart(case.tracks.class_logits, case.golden["video_logits"])
    embed = apart(case.tracks.mask_embed, case.golden["video_mask_embed"])
    backbone = backbone_error(case)
    score, overlap = instance_errors(case)
    print(f"\nlogits {logits:.1e}, mask embeddings {embed:.1e}, backbone {backbone:.1e}")
    print(f"scores {score:.1e}, IoU {overlap}")
    assert logits < 1e-3
    assert embed < 1e-3
    assert backbone < 1e-5
    assert score < 1e-3
    assert overlap >= 0.999
