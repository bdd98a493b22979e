"""``avis weights``: import, export, verify, list, path and pull, from the command line to the files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from fake_files import FakeFiles, serve
from torch import Tensor

from avis_cli.cli.main import main
from avis_cli.hub import acquire, download, sources, store, weights_file
from avis_cli.hub.lookup import resolve
from avis_cli.hub.manifest import load_manifest
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
    text = capsys.readouterr().out
    assert all(f"{name}  ({here}, " in text for name, here in where.items())


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
    import fake_hub

    path = tmp_path / "m.safetensors"
    weights_file.write(path, {"a": torch.ones(3)}, {"preset": "avism-tiny"})
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("AVIS_OFFLINE")
    monkeypatch.setenv("HF_TOKEN", "hf_averysecrettoken")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with fake_hub.serve() as hub:
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


# what comes over the network


@pytest.fixture
def server(small_presets: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFiles]:
    """A server that is also Google Drive, and the only one that is asked."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("AVIS_OFFLINE")
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))
    with serve() as running:
        monkeypatch.setattr(sources, "DRIVE", running.url)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def ear(server: FakeFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """VGGish's weights, which the server has and the list of models names."""
    path = save_vggish(tmp_path)
    server.files[f"/{path.name}"] = path.read_bytes()
    known = load_manifest()
    file = dataclasses.replace(known.files["vggish"], released=path.name, sources=(f"{server.url}/{path.name}",))
    monkeypatch.setattr(acquire, "load_manifest", lambda: dataclasses.replace(known, files={"vggish": file}))
    return path


def models_from(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    """The list of models, these with a source."""
    known = load_manifest()
    models = {
        name: dataclasses.replace(entry, sources=(addresses[name.replace("-", "_")],))
        if name.replace("-", "_") in addresses
        else dataclasses.replace(entry, sources=())
        for name, entry in known.models.items()
    }
    changed = dataclasses.replace(known, models=models)
    monkeypatch.setattr("avis_cli.hub.lookup.load_manifest", lambda: changed)
    monkeypatch.setattr("avis_cli.hub.manifest.load_manifest", lambda: changed)


def test_vggish_comes_by_itself_and_once(
    ear: Path, server: FakeFiles, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "import", str(checkpoint)]) == 0
    said = capsys.readouterr().err
    assert f"fetching {ear.name} (" in said
    assert "warning" not in said
    assert set(vggish.split_off(imported())[1]) == set(vggish.Vggish().state_dict())
    assert main(["weights", "import", str(checkpoint), "--overwrite"]) == 0
    assert len(server.downloads) == 1


def test_a_vggish_that_is_not_what_its_name_says_is_not_taken(
    ear: Path, server: FakeFiles, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files[f"/{ear.name}"] += b"x"
    assert main(["weights", "import", str(checkpoint)]) == 0
    said = capsys.readouterr().err
    assert "wrong checksum: sha256 " in said
    assert f"but its name says {ear.stem.rpartition('-')[2]}" in said
    assert "warning: without VGGish this model cannot hear a clip" in said
    assert vggish.split_off(imported())[1] == {}
    assert not store.public_file(ear.name).exists()


def test_addresses_and_files_are_imported_together(
    ear: Path, server: FakeFiles, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released = save_released(tmp_path / "AVISM_R50_IN.pth", "avism-r50-in").read_bytes()
    server.drive["ID"] = ("AVISM_R50_IN.pth", released)
    address = "https://drive.google.com/file/d/ID/view?usp=sharing"
    assert main(["weights", "import", address, str(checkpoint)]) == 0
    paths = [store.imported_file(name) for name in ("avism-r50-in", NAME)]
    assert capsys.readouterr().out == "".join(f"{path}\n" for path in paths)
    assert all(path.is_file() for path in paths)
    assert not [path for path in store.downloads().iterdir() if path.suffix != ".lock"]


def test_of_several_imports_the_good_ones_are_kept(
    ear: Path, server: FakeFiles, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = f"{server.url}/gone.pth"
    assert main(["weights", "import", gone, str(checkpoint)]) == 3
    said = capsys.readouterr()
    assert said.out == f"{store.imported_file(NAME)}\n"
    lines = said.err.splitlines()
    assert lines[0] == f"avis: {gone}: not found (404); check the address"
    assert lines[1] == f"avis:   1. download {gone} in a browser"
    assert lines[2].startswith("avis:   2. run `avis weights import FILE`")
    assert main(["weights", "import", gone, gone]) == 1


def test_a_file_of_the_hub_is_imported(
    ear: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fake_hub

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with fake_hub.serve() as hub:
        hub.files["a/b", "AVISM_R50_COCO.pth"] = checkpoint.read_bytes()
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert main(["weights", "import", "hf://a/b/AVISM_R50_COCO.pth"]) == 0
    assert store.imported_file(NAME).is_file()


def test_pull_all_fetches_what_comes_by_itself(
    ear: Path,
    server: FakeFiles,
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.files["/c.pth"] = checkpoint.read_bytes()
    models_from(monkeypatch, avism_r50_coco=f"{server.url}/c.pth")
    assert main(["weights", "pull", "--all"]) == 0
    said = capsys.readouterr()
    paths = said.out.splitlines()
    assert Path(paths[0]).name == "avism-tiny.safetensors"
    assert str(store.imported_file(NAME)) in paths
    assert len(paths) == 6, "the five bundled ones and it"
    assert "seavis-r50 does not come by itself" in said.err
    assert "avism-swinl-in does not come by itself: `avis weights pull avism-swinl-in` says what to do" in said.err
    before = len(server.downloads)
    assert main(["weights", "pull", "--all"]) == 0
    assert len(server.downloads) == before
    assert main(["weights", "pull", "--all", "--force"]) == 0
    assert len(server.downloads) == before + 1


def test_pull_all_goes_on_after_a_failure(
    server: FakeFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models_from(monkeypatch, avism_r50_in=f"{server.url}/gone.pth")
    assert main(["weights", "pull", "--all"]) == 3
    said = capsys.readouterr()
    bundled = ["avism-tiny", "seavis-tiny", "tpavi-tiny", "cavp-tiny", "cavp-tiny-stereo"]
    assert [Path(line).stem for line in said.out.splitlines()] == bundled
    assert "the weights of avism-r50-in could not be fetched (127.0.0.1: not found (404)); by hand:" in said.err


def test_the_progress_of_a_download_is_drawn_on_a_terminal(
    ear: Path, server: FakeFiles, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files["/c.pth"] = checkpoint.read_bytes()
    models_from(monkeypatch, avism_r50_coco=f"{server.url}/c.pth")
    monkeypatch.setattr("avis_cli.cli.console.draws", lambda: True)
    assert main(["weights", "pull", NAME]) == 0
    assert "downloading" in capsys.readouterr().err


# the default model


def test_the_chosen_model_is_used_listed_and_told_by_doctor(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "import", str(checkpoint)]) == 0
    assert main(["weights", "default", NAME]) == 0
    assert resolve().name == NAME
    capsys.readouterr()
    assert main(["weights", "default"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{NAME}\n", "avis: chosen by avis weights default\n")
    assert main(["weights", "list", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert (listing["default"], listing["default_chosen_by"]) == (NAME, "avis weights default")
    assert main(["weights", "list"]) == 0
    marked = [line for line in capsys.readouterr().out.splitlines() if ", default)" in line]
    assert [line.split()[0] for line in marked] == [NAME]
    main(["doctor"])
    assert f"{NAME} ({store.imported_file(NAME)}), chosen by avis weights default" in capsys.readouterr().out

    monkeypatch.setenv("AVIS_MODEL", "avism-tiny")
    assert resolve().name == "avism-tiny"
    assert main(["weights", "default", NAME]) == 0
    assert "warning: AVIS_MODEL goes before it: avism-tiny is used" in capsys.readouterr().err
    monkeypatch.delenv("AVIS_MODEL")
    assert main(["weights", "default", "--reset"]) == 0
    assert capsys.readouterr().out == "avism-tiny\n"
    assert resolve().name == "avism-tiny"


def test_a_file_becomes_the_default_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights_file.write(tmp_path / "m.safetensors", {"a": torch.ones(3)}, {"preset": "avism-tiny"})
    monkeypatch.chdir(tmp_path)
    assert main(["weights", "default", "m.safetensors"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'm.safetensors'}\n"
    monkeypatch.chdir("/")
    assert resolve().path == tmp_path / "m.safetensors"
    assert main(["weights", "list"]) == 0
    assert f"{tmp_path / 'm.safetensors'}  (default, by avis weights default)" in capsys.readouterr().out


@pytest.mark.parametrize("wanted", ["avism-large", "gone.safetensors", "/tmp", "hf://a"])
def test_what_is_no_model_does_not_become_the_default(wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "default", wanted]) != 0
    assert capsys.readouterr().out == ""
    assert store.chosen_model() is None


def test_a_default_that_is_not_here_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "default", "acvis-r50-coco"]) == 0
    assert "its weights are not here yet: `avis weights pull acvis-r50-coco`" in capsys.readouterr().err


def test_the_list_tells_size_licence_scores_and_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list"]) == 0
    text = capsys.readouterr().out
    first, *rest = text[text.index("acvis-r50-coco") :].splitlines()[:6]
    assert first == "acvis-r50-coco  (not here, about 553.0 MB)"
    assert [line.split()[0] for line in rest] == ["knows", "trained", "scores", "licence", "from"]
    assert "26 categories: person, violin" in rest[0]
    assert "mAP 46.64, HOTA 65.02, FSLA 46.72 (AVISeg test, as published)" in rest[2]
    assert rest[4].endswith("the Hub Space jinbae-s/ACVIS, else Google Drive")
    assert "https://1drv.ms/" in text
