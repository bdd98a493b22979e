"""Systems: one line in the table and a folder (here a module) take a network through every command."""

from __future__ import annotations

import json
from pathlib import Path

import media_factory
import pytest
import torch
from toy_system import TOY, ToyNetwork, ToySystem
from train_examples import small_dataset

import avis_cli
from avis_cli.cli.main import main
from avis_cli.errors import UsageError, WeightsError
from avis_cli.hub import weights_file
from avis_cli.models import SYSTEMS, Preset, find_preset, find_system, preset_names, recognise
from avis_cli.models.description import describe, read_description
from avis_cli.train.log import read_log


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "toy", "toy_system:ToySystem")


@pytest.fixture
def toy_weights(toy: None, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "toy.safetensors"
    weights_file.write(path, ToyNetwork(TOY).state_dict(), describe(Preset(ToySystem(), TOY), "drawn at random"))
    return path


def test_a_file_says_which_system_it_is_of(toy_weights: Path) -> None:
    metadata = weights_file.read(toy_weights)[1]
    assert (metadata["family"], metadata["preset"], metadata["source"]) == ("toy", "toy-one", "drawn at random")
    assert read_description(metadata).config == TOY
    assert isinstance(avis_cli.load_model(toy_weights).network, ToyNetwork)


def test_a_system_goes_through_segment_and_export(toy_weights: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    media_factory.make_clip(clip, size=(64, 48), fps=4, seconds=3, audio="tone")
    out, folder = tmp_path / "out", tmp_path / "published"
    threshold = ["--threshold", "0.05", "--no-gate"]
    assert main(["segment", str(clip), "-o", str(out), "--model", str(toy_weights), *threshold, "-q"]) == 0
    document = json.loads((out / "clip.mp4" / "tracks.json").read_text())
    assert document["model"]["preset"] == "toy-one"
    assert {entry["name"] for entry in document["categories"]} == {"bell", "drum"}
    assert document["tracks"]
    assert document["times"] == [0.0, 1.0, 2.0]
    refined = ["segment", str(clip), "-o", str(tmp_path / "refined"), "--model", str(toy_weights), "--refine", "aurora"]
    assert main([*refined, "-q"]) == 2
    assert not (tmp_path / "refined").exists()
    assert main(["weights", "export", str(toy_weights), str(folder), "-q"]) == 0
    assert json.loads((folder / "config.json").read_text())["name"] == "toy-one"


def test_a_system_goes_through_train_and_evaluate(toy: None, tmp_path: Path) -> None:
    data, run, scores = small_dataset(tmp_path / "world", val=1), tmp_path / "run", tmp_path / "scores.json"
    assert main(["train", "--data", str(data), "--preset", "toy-one", "--out", str(run), "--steps", "20", "-q"]) == 0
    model = avis_cli.load_model(run / "model.safetensors")
    assert isinstance(model.network, ToyNetwork)
    assert len(model.config.categories) == 10, "the categories are those of the data"
    assert any(row["name"] == "total" for row in read_log(run / "log.csv")), "the system's own loss is logged"
    assert (run / "scores.json").is_file(), "and the network is validated as its kind is"
    options = ["--data", str(data), "--split", "val", "--model", str(run / "model.safetensors")]
    assert main(["evaluate", *options, "--pred", str(tmp_path / "r.json"), "--output", str(scores), "-q"]) == 0
    assert "FSLA" in json.loads(scores.read_text())


def test_a_family_that_is_not_here_is_named(toy_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SYSTEMS, "toy")
    with pytest.raises(WeightsError, match=r"toy\.safetensors: weights of the family 'toy', expected one of avism"):
        avis_cli.load_model(toy_weights)


def test_foreign_names_are_asked_of_every_system(toy: None) -> None:
    assert recognise({"toy.fusion"}).config is TOY
    with pytest.raises(WeightsError) as caught:
        recognise({"something.else"})
    assert "avism: the nearest is avism-" in str(caught.value)
    assert "toy: no toy.fusion" in str(caught.value)


def test_presets_of_all_systems_have_one_list(toy: None) -> None:
    assert preset_names() == [
        *(name for family in ("avism", "acvis", "seavis", "tpavi", "cavp") for name in find_system(family).presets),
        "toy-one",
    ]
    assert find_preset("toy-one").system.family == "toy"
    with pytest.raises(UsageError, match=r"no preset is named 'toy-two'; is toy-one meant.*avism-r50-in, .*, toy-one"):
        find_preset("toy-two")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": "{"}, "model description is not understood"),
        ({"config": "[]"}, "model description"),
        ({"config": '{"name": "avism-tiny"}'}, "model description not understood"),
        ({"preset": "avism-r50-in"}, "weights of avism-tiny, expected avism-r50-in"),
        ({"family": "none"}, "family 'none'"),
    ],
)
def test_a_description_that_means_nothing_is_refused(change: dict[str, str], message: str) -> None:
    found = find_preset("avism-tiny")
    metadata = describe(found, "a test")
    assert read_description(metadata).config == found.config
    with pytest.raises(WeightsError, match=message):
        read_description({**metadata, **change})


def test_files_of_earlier_versions_are_read() -> None:
    found = find_preset("avism-tiny")
    metadata = describe(found, "a test")
    del metadata["family"]
    older = {**json.loads(metadata["config"]), "released_as": None}
    assert read_description({**metadata, "config": json.dumps(older)}).config == found.config
    del metadata["config"]
    assert read_description(metadata).config == found.config
