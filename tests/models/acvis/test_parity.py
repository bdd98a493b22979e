"""The network computes what the published one does, on weights and inputs that anyone can rebuild (see parity_fill)."""

from __future__ import annotations

import json

import numpy as np
import parity_fill
import pytest
import torch
from parity_run import Run, apart, check_frames, run
from torch import Tensor

from avis_cli.models.acvis import checkpoint
from avis_cli.models.acvis.config import PRESETS
from avis_cli.models.acvis.network import Acvis
from avis_cli.models.acvis.system import build
from avis_cli.nn.counting import count_probabilities, counting_loss

DATA = parity_fill.DATA / "acvis"
DIVIDED = ("sem_seg_head.predictor.av_pre_proj.weight", "vita_module.av_proj.weight")
"""Filled as all others, features up to 255 would drown the queries: a hundredth of it."""


def weights(salt: int) -> dict[str, Tensor]:
    filled = parity_fill.weights("acvis/acvis_R50", salt)
    return filled | {name: filled[name] / np.float32(100) for name in DIVIDED}


@pytest.fixture(scope="module")
def frames() -> Run:
    about = json.loads((DATA / "r50_frames.json").read_text())
    golden = np.load(DATA / "r50_frames.npz")
    model = build(PRESETS["acvis-r50-coco"]).eval()
    checkpoint.load(model, weights(about["salt"]))
    return run(model, golden, about, model.embed_log_mel(torch.from_numpy(golden["audio_mel"])))


@pytest.mark.slow
def test_sound_becomes_the_same_whole_numbers(frames: Run) -> None:
    assert isinstance(frames.model, Acvis)
    hearing = frames.model.audio_network
    with torch.inference_mode():
        embedding = hearing.vggish(torch.from_numpy(frames.golden["audio_mel"]))
        scaled = hearing.scaled(embedding)
    relative = apart(embedding, frames.golden["embedding"]) / float(np.abs(frames.golden["embedding"]).max())
    before = apart(scaled, frames.golden["audio_before_rounding"])
    print(f"\nembedding {relative:.1e} of its largest, before rounding {before:.1e}")
    assert relative < 1e-4
    assert before < 2e-3
    assert np.array_equal(frames.tokens.audio.numpy(), frames.golden["audio_features"].astype(np.float32))


@pytest.mark.slow
def test_frames_r50(frames: Run) -> None:
    check_frames(frames)


@pytest.mark.slow
def test_localizer_r50(frames: Run) -> None:
    logits = apart(frames.tokens.class_logits, frames.golden["frame_logits"])
    queries = apart(frames.tokens.queries[:, ::5], frames.golden["frame_queries"])
    with torch.inference_mode():
        features = frames.model.features(torch.from_numpy(frames.golden["frames"][:1]))
        embed = frames.model.localizer.mask_head(frames.tokens.queries[0, :10])
        masks = torch.einsum("qm,mhw->qhw", embed, frames.model.localizer.mask_features(features)[0])
    maps = apart(frames.tokens.mask_features[0, :16], frames.golden["pixel_feature_f0"])
    print(f"\nframe logits {logits:.1e}, queries {queries:.1e}, mask features {maps:.1e}")
    assert max(logits, queries, maps) < 1e-3
    assert apart(masks, frames.golden["frame_masks_f0"]) < 1e-2  # sums of 256 products


@pytest.mark.slow
def test_counts_r50(frames: Run) -> None:
    wanted = count_probabilities(torch.from_numpy(frames.golden["count_logits"])).numpy()
    assert frames.tokens.count is not None
    error = apart(frames.tokens.count, wanted)
    print(f"\ncount probabilities {error:.1e}")
    assert error < 1e-5
    assert np.array_equal(frames.tokens.count.argmax(-1).numpy(), frames.golden["counts"])


def test_counts_and_their_loss() -> None:
    golden = np.load(DATA / "count_units.npz")
    logits, target = torch.from_numpy(golden["count_logits"]), torch.from_numpy(golden["target"])
    told = count_probabilities(logits)
    assert apart(told, golden["count_probs"]) < 1e-6
    assert np.array_equal(told.argmax(-1).numpy(), golden["counts"])
    assert counting_loss(logits, target).item() == pytest.approx(float(golden["loss"]), abs=1e-6)
    zeros = torch.zeros(5, dtype=torch.int64)
    assert counting_loss(logits[:5], zeros).item() == pytest.approx(float(golden["loss_first5_all_zero"]), abs=1e-6)
    assert counting_loss(logits[:5], zeros + 2).item() == pytest.approx(float(golden["loss_first5_all_two"]), abs=1e-6)
    assert counting_loss(logits[:5], zeros + 7).item() == pytest.approx(float(golden["loss_first5_all_two"]), abs=1e-6)
