"""Small networks work in one thread, large ones in all, and afterwards everything is as it was."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import avis_cli
from avis_cli.inference import intra_op
from avis_cli.inference.model import Model
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.avism.system import build
from avis_cli.results.clip import ClipResult

CORES = 6


@pytest.fixture(autouse=True)
def six_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of six cores on which nobody has chosen anything."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: CORES)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(CORES)), raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(CORES)
    yield
    torch.set_num_threads(before)


def model(parameters: int, device: str = "cpu") -> SimpleNamespace:
    network = nn.Module()
    network.register_parameter("weight", nn.Parameter(torch.empty(parameters, device=device)))
    return SimpleNamespace(network=network)


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (model(100), 1),
        (model(0), CORES),
        (model(100, "meta"), CORES),  # on another device
        (SimpleNamespace(), CORES),
    ],
)
def test_only_a_small_network_on_a_processor_has_one_thread(given: object, count: int) -> None:
    with intra_op.threads_for(given):
        assert torch.get_num_threads() == count
    assert torch.get_num_threads() == CORES


def test_small_is_told_by_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intra_op, "SMALL_PARAMETERS", 100)
    assert [intra_op.is_small(model(count)) for count in (99, 100, 101)] == [True, False, False]
    monkeypatch.undo()
    assert sum(p.numel() for p in build(PRESETS["avism-tiny"]).parameters()) < intra_op.SMALL_PARAMETERS / 2
    with torch.device("meta"):
        large = build(PRESETS["avism-r50-in"])
    assert sum(p.numel() for p in large.parameters()) > 2 * intra_op.SMALL_PARAMETERS


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_a_variable_of_the_user_s_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, str(CORES))
    with intra_op.threads_for(model(100)):
        assert torch.get_num_threads() == CORES
    assert intra_op.policy() == f"every network uses {CORES}, as you have set"


def test_a_number_of_the_user_s_stands() -> None:
    torch.set_num_threads(2)
    with intra_op.threads_for(model(100)):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2
    torch.set_num_threads(CORES // 2)  # PyTorch's own where two share a core
    with intra_op.threads_for(model(100)):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == CORES // 2


def test_an_error_leaves_it_as_it_was() -> None:
    with pytest.raises(KeyError), intra_op.threads_for(model(100)), intra_op.threads_for(model(100)):
        raise KeyError
    assert torch.get_num_threads() == CORES
    assert intra_op._inside == 0


def test_threads_of_a_program_that_overlap_all_end_as_it_was() -> None:
    entered, left, counts = threading.Event(), threading.Event(), []

    def second() -> None:
        with intra_op.threads_for(model(100)):
            counts.append(torch.get_num_threads())
            entered.set()
            left.wait(10)
        counts.append(torch.get_num_threads())

    other = threading.Thread(target=second)
    with intra_op.threads_for(model(100)):
        other.start()
        assert entered.wait(10)
    left.set()
    other.join()
    third = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
    third.start()
    third.join()
    assert counts == [1, CORES, CORES]


def test_a_clip_gives_the_same_bytes_however_many_cores_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums in another order give other last digits, and at an edge another pixel: one thread has one order."""
    torch.manual_seed(0)
    tiny, counts = Model(build(PRESETS["avism-tiny"])), set()
    tiny.network.backbone.register_forward_hook(lambda *_: counts.add(torch.get_num_threads()))
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (2, 3, 64, 96), dtype=np.uint8)
    audio = random.random((2, tiny.config.audio_width), dtype=np.float32)

    def found() -> ClipResult:
        return avis_cli.segment_frames(tiny, frames, audio, (48, 72), threshold=0.0, gate=False, max_tracks=5)

    first = found()
    torch.set_num_threads(CORES // 2)
    assert found().to_json() == first.to_json()
    assert counts == {1}
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    scores = [track.score for track in found().tracks]
    assert counts == {1, 2}
    assert scores == pytest.approx([track.score for track in first.tracks], abs=1e-4)
