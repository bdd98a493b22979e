"""The network computes what the published one does, on weights and inputs that anyone can rebuild (see parity_fill)."""

from __future__ import annotations

import json

import numpy as np
import parity_fill
import pytest
import torch
from parity_run import Run, apart, check_frames, instance_errors, run

from avis_cli.models.avism import checkpoint
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.avism.system import build


def avism_run(preset: str, keys: str, name: str) -> Run:
    about = json.loads((parity_fill.DATA / f"{name}.json").read_text())
    golden = np.load(parity_fill.DATA / f"{name}.npz")
    model = build(PRESETS[preset]).eval()
    checkpoint.load(model, parity_fill.weights(keys, about["salt"]))
    return run(model, golden, about, torch.from_numpy(golden["audio"]))


@pytest.fixture(scope="module")
def frames_r50() -> Run:
    return avism_run("avism-r50-in", "avism_R50_IN", "r50_in_frames")


@pytest.fixture(scope="module")
def clip_r50() -> Run:
    return avism_run("avism-r50-coco", "avism_R50_COCO", "r50_coco_clip")


@pytest.fixture(scope="module")
def frames_swin() -> Run:
    return avism_run("avism-swinl-coco", "avism_SwinL_COCO", "swinl_coco_frames")


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
