"""Whether a clip looks like what a network was trained on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from media_factory import make_clip
from paths import ROOT

import avis_cli
from avis_cli.errors import WeightsError
from avis_cli.inference import in_world
from avis_cli.inference.in_world import Watched, World, bundled_entry, channel_means, world_of
from avis_cli.inference.model import Model

SAMPLE = ROOT / "samples" / "silent_kettle.mp4"


@pytest.fixture(scope="module")
def model() -> Model:
    return avis_cli.load_model("avism-tiny")


@pytest.fixture(scope="module")
def world(model: Model) -> World:
    found = world_of(model)
    assert found is not None
    return found


def noise(frames: int) -> torch.Tensor:
    return torch.randint(0, 256, (frames, 3, 96, 170), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_distance_is_that_of_mahalanobis_over_the_channels() -> None:
    precision = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    world = World(torch.tensor([1.0, 2.0]), precision, 1.0, "")
    one, two = torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 5.0]])
    assert world.distance(one) == pytest.approx((2.0 / 2) ** 0.5)
    assert world.distance(two) == pytest.approx((9.0 / 2) ** 0.5)
    assert world.distance(torch.cat([one, two])) == pytest.approx((1.0 + 4.5**0.5) / 2)


def test_the_training_itself_is_about_one_away_and_other_frames_are_far() -> None:
    mix = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
    means = torch.randn(2000, 6, generator=torch.Generator().manual_seed(2)) @ mix + 5
    world = World.fitted(means, "")
    assert 0.8 < world.distance(means) < 1.0
    assert world.distance(means + 10 * means.std(0)) > 3


def test_directions_in_which_no_clip_differs_do_not_count_for_ever() -> None:
    means = torch.randn(100, 4, generator=torch.Generator().manual_seed(3)) * torch.tensor([1.0, 1.0, 1.0, 0.0])
    far = World.fitted(means, "").distance(means + torch.tensor([0.0, 0.0, 0.0, 0.1]))
    assert far < 1.1


def test_padding_is_no_part_of_the_picture() -> None:
    found = torch.full((1, 2, 4, 6), 100.0)
    found[..., :3, :5] = torch.tensor([1.0, 2.0]).view(2, 1, 1)
    network: Any = SimpleNamespace(config=SimpleNamespace(size_divisor=32), maps=lambda frames: [None] * 3 + [found])
    assert channel_means(network, torch.zeros(1, 3, 50, 85)).tolist() == [[1.0, 2.0]]


def test_statistics_are_kept_as_they_are(tmp_path: Path) -> None:
    world = World.fitted(torch.randn(50, 3), "ab" * 32, 1.25)
    world.save(tmp_path / "w.safetensors")
    again = World.read(tmp_path / "w.safetensors")
    assert (again.limit, again.weights) == (1.25, "ab" * 32)
    assert torch.equal(again.mean, world.mean)
    assert torch.equal(again.precision, world.precision)


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"nothing of the kind"])
def test_damaged_statistics_are_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="no statistics of a training"):
        World.read(path)


def test_they_go_with_the_bundled_weights_alone(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = bundled_entry(model)
    assert entry is not None
    assert entry.name == "avism-tiny"
    other = Model(model.network, name="avism-tiny", weights_sha256="0" * 64)
    assert world_of(other) is None
    assert bundled_entry(other) is None
    stranger = World.fitted(torch.randn(9, 3), "0" * 64)
    monkeypatch.setattr(in_world.World, "read", lambda path: stranger)
    assert world_of(model) is None, "statistics of other weights"


def test_a_watched_model_gives_what_the_model_gives(model: Model, world: World) -> None:
    watched, frames, sound = Watched(model, world), noise(3), torch.zeros(3, model.config.audio_width)
    assert not watched.is_elsewhere(), "nothing seen yet"
    assert torch.equal(watched.localize(frames, sound).queries, model.localize(frames, sound).queries)
    assert watched.is_elsewhere()
    assert watched.config is model.config


def test_the_limit_decides(model: Model, world: World) -> None:
    frames, sound = noise(1), torch.zeros(1, model.config.audio_width)
    for limit, elsewhere in ((0.0, True), (100.0, False)):
        watched = Watched(model, World(world.mean, world.precision, limit, world.weights))
        watched.localize(frames, sound)
        assert watched.is_elsewhere() is elsewhere


@pytest.mark.parametrize("name", ["seavis-tiny", "tpavi-tiny"])
def test_every_bundled_model_knows_its_own_world(name: str, tmp_path: Path) -> None:
    """And warns of pictures that are nothing of it."""
    said: list[str] = []
    avis_cli.segment(SAMPLE, name, end=3, warn=said.append)
    assert said == []
    other = tmp_path / "numbers.mp4"
    make_clip(other, size=(160, 96), fps=5, seconds=2, audio="tone")
    avis_cli.segment(other, name, warn=said.append)
    warning = f"the pictures are unlike those of the training: {name} was trained on"
    assert any(line.startswith(warning) for line in said)


def test_samples_pass_without_a_word_and_another_limit_tells_what_to_run(
    model: Model, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    avis_cli.segment(SAMPLE, model, warn=said.append)
    assert said == []
    strict = World(world.mean, world.precision, 0.1, world.weights)
    monkeypatch.setattr(in_world.World, "read", lambda path: strict)
    avis_cli.segment(SAMPLE, model, warn=said.append)
    (line,) = said
    assert line.startswith("the pictures are unlike those of the training: avism-tiny was trained on synthetic clips")
    assert line.endswith(f"; try avis segment {SAMPLE} --model acvis-r50-coco")
