"""What is measured of models of class maps: bounds, other sounds, and a VPO set out of cut-outs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import avs
import numpy as np
import pytest
import stamps
import torch
import toy_maps
from PIL import Image

from avis_cli.datasets.synth.avs_layout import write_avs_split
from avis_cli.datasets.synth.layout import SplitRequest
from avis_cli.datasets.vpo import read_vpo
from avis_cli.datasets.wave_file import write_wave
from avis_cli.train.clips import ClipSource
from avis_cli.train.sources import open_source
from avis_cli.train.validate_maps import truth_maps


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("avss")
    write_avs_split(folder, "avss", SplitRequest("test", 3, 11, 5, (64, 32)))
    return folder


def knowing(source: ClipSource, *, deaf: bool = False) -> Any:
    """A network that draws the truth of a clip where its sound is not silent, or always."""
    model = toy_maps.model(
        categories=tuple(f"class {number}" for number in range(70)), sound_channels=1, side=None, clip_frames=5
    )
    truths = {}
    for number in range(len(source)):
        clip = source.read(number, range(source.length(number)))
        truths[clip.frames.transpose(0, 3, 1, 2).tobytes()] = truth_maps(clip)

    def segment(frames: torch.Tensor, audio: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        truth = (
            truths[frames.numpy().tobytes()]
            if deaf or audio.abs().max() > 0.01
            else np.zeros_like(next(iter(truths.values())))
        )
        return 10.0 * torch.nn.functional.one_hot(torch.from_numpy(truth), 71).permute(0, 3, 1, 2)

    model.network.segment = segment
    return model


def test_a_model_stands_beside_nothing_and_everything(data: Path) -> None:
    source = open_source(data, "test", toy_maps.config(sound_channels=1, categories=("a",)))
    found = avs.score(knowing(source), source)
    assert found["own sound"]["J"] == found["own sound"]["mIoU"] == 100
    quiet = np.concatenate([truth_maps(source.read(n, range(5))).any((1, 2)) for n in range(3)])
    assert found["nothing"]["J"] == pytest.approx(100 * (1 - quiet.mean()), abs=0.01)
    assert found["everything"]["J"] is not None
    assert found["everything"]["J"] < found["own sound"]["J"]
    assert found["silence"]["frames"] == 15
    assert (found["silence"]["frames_empty"], found["silence"]["pixels_still_drawn"]) == (1, 0)
    # it tells silence from sound and nothing else
    assert found["noise"]["pixels_still_drawn"] == 1
    deaf = avs.score(knowing(source, deaf=True), source)
    assert deaf["silence"]["pixels_still_drawn"] == 1


def test_classes_count_only_where_the_truth_has_them(tmp_path: Path) -> None:
    row = avs.Row(3, is_binary=True)
    truth = np.array([[[0, 1], [1, 1]]])
    row.add(np.where(truth > 0, 9.0, -9.0), 2 * truth, truth)
    assert row.scores() == {"J": 100.0, "F": 100.0, "mIoU": None, "class F": None, "mIoU of the set": None}
    known = avs.Row(3, is_binary=False)
    known.add(np.where(truth > 0, 9.0, -9.0), 2 * truth, truth)
    assert known.scores()["mIoU"] == known.scores()["mIoU of the set"] == pytest.approx(100 / 3, abs=0.01)


def test_the_table_has_a_line_for_each_way() -> None:
    scores: dict[str, Any] = {
        way: {"J": 1.0, "F": None, "mIoU": 2.0, "class F": 3.0, "mIoU of the set": 4.0}
        for way in ("own sound", "nothing", "everything")
    }
    asked = {"frames": 5, "frames_empty": 0.04, "pixels_drawn": 0.5, "pixels_still_drawn": None}
    scores |= dict.fromkeys(avs.SOUNDS, asked) | {"noise": None}
    text = avs.table({"sets": {"tiny, ms3": {"scores": scores}}})
    assert "| tiny, ms3 | own sound | 1.0 | - | 2.0 | 3.0 | 4.0 |" in text
    assert "| tiny, ms3 | silence | 5 | 4.0 | 50.0 | - |" in text
    assert "noise" not in text


def test_cut_outs_become_sets_in_which_everything_holds(tmp_path: Path) -> None:
    for number, name in enumerate(("cow", "owl", "pig", "hen")):
        image = np.zeros((60, 50, 4), np.uint8)
        image[10:50, 5:45] = (40 * number, 90, 200, 255)
        (tmp_path / "stamps").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "stamps" / f"{name}.png")
        tone = np.sin(np.arange(8000) * (0.1 + 0.05 * number)).astype(np.float32)
        write_wave(tmp_path / "stamps" / f"{name}.ogg", tone * (name != "hen"))
    found = stamps.find_stamps(tmp_path / "stamps")
    assert [name for name, _, _ in found] == ["cow", "owl", "pig"], "the hen is silent"
    annotations = stamps.compose(found, 9, tmp_path / "out", seed=1)
    sounds = stamps.copy_sounds(found, tmp_path / "out")
    for setting in stamps.SETTINGS:
        options = stamps.VpoOptions(setting, shares=(1, 0, 0), smallest=0.001)
        stamps.build(annotations, tmp_path / "out" / "pictures", sounds, tmp_path / setting, options)
        made = read_vpo(tmp_path / setting, setting, "train")
        stamps.check(made, setting)
    stamps.sheet(made, tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").size == (960, 480)
    mask = Image.new("L", Image.open(made.samples[0].mask).size)
    mask.save(made.samples[0].mask)
    with pytest.raises(AssertionError):
        stamps.check(made, "msmi")
