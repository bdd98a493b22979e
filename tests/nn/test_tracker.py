"""The tracker's windows over time."""

from __future__ import annotations

import pytest
import torch

from avis_cli.nn import tracker as module
from avis_cli.nn.layers import HeadSizes, TransformerSizes
from avis_cli.nn.tracker import Tracker, TrackerDepths, window_bounds


def small_tracker() -> Tracker:
    torch.manual_seed(0)
    return Tracker(TrackerDepths(1, 1, 1), TransformerSizes(16, 2, 32), HeadSizes(16, 4, 4, 2), 6, 2, 3, 8).eval()


@pytest.mark.parametrize(
    ("frames", "plain", "shifted"),
    [
        (1, [0, 1], [0, 1]),
        (6, [0, 6], [0, 3, 6]),
        (8, [0, 6, 8], [0, 3, 8]),
        (13, [0, 6, 12, 13], [0, 3, 9, 13]),
    ],
)
def test_windows(frames: int, plain: list[int], shifted: list[int]) -> None:
    assert window_bounds(frames, 6, False) == plain
    assert window_bounds(frames, 6, True) == shifted


def test_tracker_windows_do_not_see_each_other() -> None:
    tracker = small_tracker()
    tokens, audio = torch.randn(1, 8, 2, 16), torch.randn(1, 8, 8)
    changed = tokens.clone()
    changed[:, 6:] += 1
    similar = [tracker(x, audio)[1] for x in (tokens, changed)]
    torch.testing.assert_close(similar[0][:, :6], similar[1][:, :6])
    assert (similar[0][:, 6:] - similar[1][:, 6:]).abs().min() > 0


def test_windows_in_several_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = small_tracker()
    tokens, audio = torch.randn(1, 20, 2, 16), torch.randn(1, 20, 8)
    whole, *_ = tracker(tokens, audio)
    monkeypatch.setattr(module, "WINDOWS_PER_BATCH", 2)
    parts, *_ = tracker(tokens, audio)
    torch.testing.assert_close(parts[-1], whole[-1])
