"""``avis weights``: import, export, verify, list, path and pull, from the command line to the files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avis_cli.cli.main import main
from avis_cli.hub import store, weights_file
from avis_cli.hub.lookup import resolve
from avis_cli.models import preset_names, recognise
from avis_cli.models.avism.checkpoint import naming
from avis_cli.models.avism.config import PRESETS, ResNetSizes
from avis_cli.models.avism.system import build
from avis_cli.nn import vggish
from avis_cli.nn.vggish import RELEASED_LAYERS, Vggish

NAME = "avism-r50-coco"


@pytest.fixture
def small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ResNet-50 presets and VGGish at a size that a test can write to disk."""
    for name in ("avism-r50-in", NAME):
        small = dataclasses.replace(
            PRESETS[name], backbone=ResNetSizes((1, 1, 1, 1)), width=32, norm_groups=8, lateral_widths=(32,),
            mask_width=32, encoder_layers=1, encoder_feed_forward=16, feed_forward=16, frame_queries=4, frame_layers=1,
            video_queries=4, tracker_self_layers=1, tracker_audio_layers=1, tracker_layers=1,
        )  # fmt: skip
        monkeypatch.setitem(PRESETS, name, small)
    monkeypatch.setattr(vggish, "Vggish", functools.partial(Vggish, widths=(2, 2, 4, 4), hidden=8))


@pytest.fixture
def checkpoint(small_presets: None, tmp_path: Path) -> Path:
    """A checkpoint as the authors' program leaves it."""
    return save_released(tmp_path / "AVISM_R50_COCO.pth", NAME)


def save_released(path: Path, preset: str) -> Path:
    torch.manual_seed(0)
    tensors = naming(PRESETS[preset]).to_released(build(PRESETS[preset]).state_dict())
    tensors["criterion.empty_weight"] = torch.ones(27)
    torch.save({"model": tensors, "iteration": 1}, path)
    return path


def save_vggish(folder: Path, name: str = "vggish-{}.pth") -> Path:
    layers = {ours: released for released, ours in RELEASED_LAYERS.items()}
    state = vggish.Vggish().state_dict()
    torch.save(
        {f"{layers[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": state[key] for key in state}, folder / "v"
    )
    digest = hashlib.sha256((folder / "v").read_bytes()).hexdigest()
    return (folder / "v").rename(folder / name.format(digest[:8]))


def imported() -> dict[str, Tensor]:
    return weights_file.read(store.imported_file(NAME))[0]


def test_a_released_checkpoint_becomes_a_model_with_a_name(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ear = save_vggish(tmp_path)
    assert main(["weights", "import", str(checkpoint), "--vggish", str(ear)]) == 0
    said = capsys.readouterr()
    path = store.imported_file(NAME)
    assert said.out == f"{path}\n"
    assert f"use it with --model {NAME}" in said.err

    tensors, metadata = weights_file.read(path)
    network, heard = vggish.split_off(tensors)
    state = build(PRESETS[NAME]).state_dict()
    assert {key: value.shape for key, value in network.items()} == {key: value.shape for key, value in state.items()}
    assert set(heard) == set(vggish.Vggish().state_dict())
    released = torch.load(checkpoint, weights_only=True)["model"]
    again = naming(PRESETS[NAME]).to_released(network)
    assert all(torch.equal(again[key], released[key]) for key in again)
    assert metadata["preset"] == NAME
    assert metadata["source"].startswith("AVISM_R50_COCO.pth (sha256 ")
    assert json.loads(metadata["config"])["name"] == NAME

    found = resolve(NAME, offline=True)
    assert (found.path, found.preset) == (path, NAME)
    assert store.sidecar(path).read_text() == f"{found.sha256}  {path.name}\n"


def test_without_vggish_it_is_imported_with_a_warning(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "import", str(checkpoint)]) == 0
    assert "warning: without VGGish this model cannot hear a clip" in capsys.readouterr().err
    assert vggish.split_off(imported())[1] == {}


def test_each_backbone_and_training_is_told_by_its_names(small_presets: None, tmp_path: Path) -> None:
    for preset in ("avism-r50-in", NAME):
        tensors = weights_file.read(save_released(tmp_path / "w.pth", preset))[0]
        assert recognise(tensors).config.name == preset


@pytest.mark.parametrize("name", ["avism_R50_IN", "avism_R50_COCO", "avism_SwinL_IN", "avism_SwinL_COCO"])
def test_the_names_of_all_four_released_checkpoints_are_recognised(name: str) -> None:
    preset = name.lower().replace("_", "-")
    released = naming(PRESETS[preset])
    assert recognise({*released.table, *released.derived}).config.name == preset


def test_an_import_is_not_replaced_unasked(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "import", str(checkpoint)]) == 0
    assert main(["weights", "import", str(checkpoint)]) == 2
    assert "is imported already; add --overwrite to replace it" in capsys.readouterr().err
    assert main(["weights", "import", str(checkpoint), "--overwrite"]) == 0


def test_an_exported_file_can_be_imported_elsewhere(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "import", str(checkpoint), "--vggish", str(save_vggish(tmp_path))]) == 0
    before = imported()
    folder = tmp_path / "upload"
    capsys.readouterr()
    assert main(["weights", "export", NAME, str(folder)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{folder}\n"
    assert f"hf upload OWNER/REPO {folder}" in said.err
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", f"{NAME}.safetensors", "config.json"]
    assert json.loads((folder / "config.json").read_text())["name"] == NAME
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: other\n")
    assert resolve(NAME).sha256 in card
    assert "ruohaoguo/avis" in card

    monkeypatch.setenv("AVIS_HOME", str(tmp_path / "other"))
    assert main(["weights", "import", str(folder / f"{NAME}.safetensors")]) == 0
    after = imported()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert main(["weights", "export", NAME, str(folder)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_a_failed_export_leaves_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    assert main(["weights", "import", str(checkpoint)]) == 0

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    (tmp_path / "out").mkdir()
    assert main(["weights", "export", NAME, str(tmp_path / "out" / "upload")]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_vggish_has_to_hash_to_what_its_name_says(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ear = save_vggish(tmp_path, "vggish-10086976.pth")
    assert main(["weights", "import", str(checkpoint), "--vggish", str(ear)]) == 1
    assert "vggish-10086976.pth: wrong checksum: sha256 " in (line := capsys.readouterr().err)
    assert "its name promises 10086976...; download it again" in line
    assert not store.imported_file(NAME).exists()


def test_a_bundled_model_is_not_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    weights_file.write(path, build(PRESETS["avism-tiny"]).state_dict(), {"preset": "avism-tiny"})
    assert main(["weights", "import", str(path)]) == 2
    assert "avism-tiny is bundled; use the file itself: --model FILE" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "nan", "classes", "nothing", "code"])
def test_a_wrong_checkpoint_is_named_and_nothing_is_kept(
    checkpoint: Path, tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    tensors = content["model"]
    key = "vita_module.av_proj.weight"
    messages = {
        "missing": f"the nearest is {NAME}",
        "unknown": "unknown: something.weight",
        "shape": "of another shape: tracker.audio_projection.weight (3, 3) instead of (32, 128)",
        "nan": f"non-finite parameters: {key}",
        "classes": "weights do not fit",
        "nothing": "not a checkpoint of any system here",
        "code": "refused, since reading that could run code",
    }
    if fault == "missing":
        del tensors[key]
    elif fault == "unknown":
        tensors["something.weight"] = torch.ones(1)
    elif fault == "shape":
        tensors[key] = torch.ones(3, 3)
    elif fault == "nan":
        tensors[key] = torch.full_like(tensors[key], torch.nan)
    elif fault == "classes":
        tensors["vita_module.class_embed.weight"] = torch.ones(81, 32)
    elif fault == "nothing":
        content["model"] = {"conv1.weight": torch.ones(1)}
    else:
        content["config"] = Path("x")
    wrong = tmp_path / "wrong.pth"
    torch.save(content, wrong)
    assert main(["weights", "import", str(wrong)]) == 1
    line = capsys.readouterr().err
    assert line.startswith(f"avis: {wrong}: ")
    assert messages[fault] in line
    assert line.count("\n") == 1
    assert not store.imported_file(NAME).exists()


def test_verify_tells_the_right_from_the_changed(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "import", str(checkpoint)]) == 0
    capsys.readouterr()
    assert main(["weights", "verify", NAME]) == 0
    assert capsys.readouterr().out == f"{resolve(NAME).sha256}  {NAME}\n"
    with open(store.imported_file(NAME), "ab") as file:
        file.write(b"x")
    assert main(["weights", "verify", NAME]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "wrong checksum" in said.err


def test_only_bundled_models_are_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify", NAME, "--record"]) == 2
    assert f"'{NAME}' is not a bundled model" in capsys.readouterr().err


def test_list_says_where_each_model_is(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "import", str(checkpoint)]) == 0
    capsys.readouterr()
    assert main(["weights", "list", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert listing["default"] == "avism-tiny"
    where = {model["name"]: model["where"] for model in listing["models"]}
    assert where[NAME] == "imported"
    assert where["avism-swinl-in"] == "not here"
    assert set(where) == set(preset_names())
    assert main(["weights", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(where)
    assert all("trained on" in line for line in lines)


def test_path_prints_the_file_and_downloads_nothing(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "import", str(checkpoint)]) == 0
    capsys.readouterr()
    assert main(["weights", "path", NAME]) == 0
    assert capsys.readouterr().out == f"{store.imported_file(NAME)}\n"
    assert main(["weights", "path", "hf://a/b/c.safetensors"]) == 1
    assert "offline, and not in the cache" in capsys.readouterr().err


def test_pull_prints_the_path_and_never_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fake_hub import serve

    path = tmp_path / "m.safetensors"
    weights_file.write(path, {"a": torch.ones(3)}, {"preset": "avism-tiny"})
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("AVIS_OFFLINE")
    monkeypatch.setenv("HF_TOKEN", "hf_averysecrettoken")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as hub:
        hub.files["a/b", "m.safetensors"] = path.read_bytes()
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert main(["weights", "pull", "hf://a/b/m.safetensors"]) == 0
        said = capsys.readouterr()
        assert Path(said.out.strip()).read_bytes() == path.read_bytes()
        hub.status = 403
        assert main(["weights", "pull", "hf://a/b@main/m.safetensors", "--force", "--debug"]) == 1
        refused = capsys.readouterr()
    assert "not allowed (403)" in refused.err
    assert "averysecret" not in said.out + said.err + refused.out + refused.err


def test_pull_of_weights_that_come_by_hand_says_how_in_three_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "pull", NAME]) == 1
    line, *steps = capsys.readouterr().err.splitlines()
    assert line == f"avis: the weights of {NAME} are not on this machine, and do not come by themselves; by hand:"
    assert [step[:9] for step in steps] == ["avis:   1", "avis:   2", "avis:   3"]
    assert "download AVISM_R50_COCO.pth from https://1drv.ms/" in steps[0]
    assert max(map(len, steps)) < 150
