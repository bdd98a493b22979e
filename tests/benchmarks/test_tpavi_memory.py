"""The way with the matrix computes the same, so that what is compared is how, not what."""

from __future__ import annotations

import pytest
import torch
import tpavi_memory

from avis_cli.models.tpavi.network import InteractionBlock


def test_both_ways_draw_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tpavi_memory.network_of("tpavi-tiny")
    frames = torch.randint(0, 256, (5, 3, 64, 96), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    audio = torch.randn(5, network.config.audio_width, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        ours = network.segment(frames, audio)
        silent = network.segment(frames, 0 * audio)
        monkeypatch.setattr(InteractionBlock, "forward", tpavi_memory.with_matrix)
        theirs = network.segment(frames, audio)
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    assert (ours - silent).abs().max() > 1e-3, "the blocks have a say"


def test_the_largest_matrix_is_that_of_the_finest_stage_with_a_block() -> None:
    network = tpavi_memory.network_of("tpavi-ms3-r50")
    assert tpavi_memory.matrix_bytes(network, 224, 224) == 4 * (5 * 56 * 56) ** 2


def test_time_and_memory_are_those_of_a_run() -> None:
    found = tpavi_memory.apart("tpavi-tiny", 64, 64, True)
    assert found["seconds"] > 0
    assert found["bytes"] >= 0
    assert found["mean"] == pytest.approx(tpavi_memory.apart("tpavi-tiny", 64, 64, False)["mean"], rel=1e-4)
