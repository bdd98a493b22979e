"""The network computes what the published one does, on weights and inputs that anyone can rebuild (see parity_fill)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import parity_fill
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco

from avis_cli.inference.decode_masks import Candidates, MaskQuality, MaskSizes, candidates, decode_masks
from avis_cli.models.avism import checkpoint
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.system import build
from avis_cli.models.tokens import FrameTokens, TrackQueries

Array = NDArray[Any]


def network(preset: str, keys: str, salt: int) -> Avism:
    model = build(PRESETS[preset]).eval()
    checkpoint.load(model, parity_fill.weights(keys, salt))
    return model


@dataclass
class Run:
    """One whole run and what it should have given."""

    model: Avism
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


def run(preset: str, keys: str, name: str) -> Run:
    about = json.loads((parity_fill.DATA / f"{name}.json").read_text())
    golden = np.load(parity_fill.DATA / f"{name}.npz")
    model = network(preset, keys, about["salt"])
    tokens = model.localize(torch.from_numpy(golden["frames"]), torch.from_numpy(golden["audio"]))
    tracks = model.track(tokens)
    pairs = candidates(tracks.class_logits)
    stride = model.config.mask_stride
    padded = (tokens.mask_features.shape[-2] * stride, tokens.mask_features.shape[-1] * stride)
    sizes = MaskSizes(padded, tokens.size, tuple(about["output_size"]))
    masks, quality = decode_masks(tracks.mask_embed[pairs.masks], tokens.mask_features, sizes)
    return Run(model, golden, about, tokens, tracks, pairs, masks.numpy(), quality)


@pytest.fixture(scope="module")
def frames_r50() -> Run:
    return run("avism-r50-in", "avism_R50_IN", "r50_in_frames")


@pytest.fixture(scope="module")
def clip_r50() -> Run:
    return run("avism-r50-coco", "avism_R50_COCO", "r50_coco_clip")


@pytest.fixture(scope="module")
def frames_swin() -> Run:
    return run("avism-swinl-coco", "avism_SwinL_COCO", "swinl_coco_frames")


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


def check_localizer(case: Run) -> None:
    assert apart(case.tokens.class_logits, case.golden["frame_logits"]) < 1e-3
    assert apart(case.tokens.queries, case.golden["frame_queries"]) < 1e-3
    with torch.no_grad():
        features = case.model.features(torch.from_numpy(case.golden["frames"][:1]))
        assert apart(features.fine[0, :16], case.golden["pixel_feature_f0"]) < 1e-3
        embed = case.model.localizer.mask_head(case.tokens.queries[0, :10])
        masks = torch.einsum("qm,mhw->qhw", embed, case.model.localizer.mask_features(features)[0])
    assert apart(masks, case.golden["frame_masks_f0"]) < 1e-2  # sums of 256 products, up to 100 in value


@pytest.mark.parametrize("frames", [1, 6, 8, 13])
def test_tracker(frames: int, frames_r50: Run) -> None:
    """Less than a window, one, and more with a rest: tokens at random, no picture."""
    about = json.loads((parity_fill.DATA / "r50_in_tracker.json").read_text())
    assert about["salt"] == frames_r50.about["salt"], "both sets share one network"
    golden = np.load(parity_fill.DATA / "r50_in_tracker.npz")
    random = np.random.RandomState(1000 + about["salt"] + frames)
    tokens = random.standard_normal((frames, 100, 256)).astype(np.float32)
    audio = (random.rand(frames, 128) * (random.rand(frames, 128) > 0.5)).astype(np.float32)
    tracks = frames_r50.model.track(torch.from_numpy(tokens), torch.from_numpy(audio))
    logits = apart(tracks.class_logits, golden[f"logits_T{frames}"])
    embed = apart(tracks.mask_embed, golden[f"mask_embed_T{frames}"])
    print(f"\nT = {frames}: logits {logits:.1e}, mask embeddings {embed:.1e}")
    assert logits < 1e-4
    assert embed < 1e-4


def test_frames_r50(frames_r50: Run) -> None:
    check_frames(frames_r50)


def test_localizer_r50(frames_r50: Run) -> None:
    check_localizer(frames_r50)


def test_clip_r50(clip_r50: Run) -> None:
    score, overlap = instance_errors(clip_r50)
    print(f"\nscores {score:.1e}, IoU {overlap}")
    assert score < 0.02
    assert overlap >= 0.98


@pytest.mark.slow
def test_frames_swin(frames_swin: Run) -> None:
    check_frames(frames_swin)


@pytest.mark.slow
def test_localizer_swin(frames_swin: Run) -> None:
    check_localizer(frames_swin)
