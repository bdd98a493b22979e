"""The released networks at their full size, weights drawn at random, through the whole command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import media_factory
import pytest
import torch

from avis_cli.cli.main import main
from avis_cli.models import find_preset
from avis_cli.models.avism.config import AVISEG_CATEGORIES
from avis_cli.nn.vggish import Vggish
from avis_cli.train.initial_weights import Start, save_model


@pytest.mark.parametrize("name", ["avism-r50-in", "avism-r50-coco", "acvis-r50-in", "acvis-r50-coco"])
def test_it_writes_everything_and_names_what_it_may(name: str, tmp_path: Path) -> None:
    torch.manual_seed(7)
    preset = find_preset(name)
    network: Any = preset.system.build(preset.config)
    with torch.no_grad():
        network.tracker.class_head.weight.mul_(40)  # random weights are sure of nothing: no tracks
    weights, clip = tmp_path / "model.safetensors", tmp_path / "clip.mp4"
    start = Start(preset, network, Vggish() if preset.config.audio == "vggish" else None)
    save_model(weights, start, network, constants={}, source="drawn at random", half=True)
    media_factory.make_clip(clip, size=(64, 48), fps=4, seconds=2, audio="tone")

    options = ["--model", str(weights), "--threshold", "0.05", "--max-tracks", "3", "--offline", "-q"]
    assert main(["segment", str(clip), *options, "-o", str(tmp_path / "out")]) == 0

    out = tmp_path / "out" / "clip.mp4"
    assert {"overlay.mp4", "masks", "tracks.json", "report.html"} <= {path.name for path in out.iterdir()}
    document = json.loads((out / "tracks.json").read_text(encoding="utf-8"))
    assert len(document["categories"]) == 26
    found = {track["category"] for track in document["tracks"]}
    assert found
    assert found <= set(AVISEG_CATEGORIES)
    assert len(sorted((out / "masks").glob("*.png"))) == 2
