"""Mask features between the passes: in memory, in a file, or gone; never other than they were."""

from __future__ import annotations

import tempfile
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from avis_cli.inference.mask_frames import FeatureLimits, FeatureStore

SIZE = 3 * 4 * 5 * 4  # bytes of a frame's features


def frames(count: int, kind: torch.dtype = torch.float32) -> Tensor:
    return torch.arange(count * 60).reshape(count, 3, 4, 5).to(kind)


def times(count: int, start: int = 0) -> list[Fraction]:
    return [Fraction(n, 2) for n in range(start, start + count)]


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "limits",
    [FeatureLimits(), FeatureLimits(memory_bytes=2 * SIZE), FeatureLimits(memory_frames=2), FeatureLimits(0, 0)],
)
def test_what_is_taken_is_what_was_kept(limits: FeatureLimits, kind: torch.dtype) -> None:
    store, features = FeatureStore(limits), frames(6, kind)
    store.keep(times(6), features)
    for time, expected in zip(times(6), features, strict=True):
        found = store.take(time)
        assert found is not None
        assert found.dtype == kind
        assert torch.equal(found, expected)
        assert store.take(time) is None
    assert store.times == times(6)


def test_beyond_all_limits_nothing_is_kept() -> None:
    store = FeatureStore(FeatureLimits(memory_frames=1, file_bytes=2 * SIZE))
    store.keep(times(5), frames(5))
    assert [store.take(time) is not None for time in times(5)] == [True, True, True, False, False]


def test_room_is_given_back() -> None:
    store = FeatureStore(FeatureLimits(memory_frames=1, file_bytes=2 * SIZE))
    features = frames(30)
    for start in range(0, 30, 3):
        store.keep(times(3, start), features[start : start + 3])
        store.forget_before(times(1, start + 1)[0])
        for n in (start + 1, start + 2):
            found = store.take(times(1, n)[0])
            assert found is not None
            assert torch.equal(found, features[n])


def test_what_was_kept_does_not_change_with_its_source() -> None:
    store, features = FeatureStore(FeatureLimits(memory_frames=1)), frames(2)
    store.keep(times(2), features)
    features.zero_()
    assert all(torch.equal(store.take(time), frame) for time, frame in zip(times(2), frames(2), strict=True))  # type: ignore[arg-type]


def test_a_full_disk_costs_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    store = FeatureStore(FeatureLimits(memory_frames=1))
    store.keep(times(3), frames(3))
    assert [store.take(time) is not None for time in times(3)] == [True, False, False]
