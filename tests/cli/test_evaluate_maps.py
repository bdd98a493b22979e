"""``avis evaluate --task``: folders of label images, and models of class maps over a dataset."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_maps
from numpy.typing import NDArray
from PIL import Image
from train_examples import small_dataset
from vpo_world import World

from avis_cli.cli import evaluate_data
from avis_cli.cli.main import main
from avis_cli.datasets.synth.avs_layout import write_avs_split
from avis_cli.datasets.synth.layout import SplitRequest
from avis_cli.datasets.vpo_build import VpoOptions, build
from avis_cli.evaluate.semantic.scores import evaluate_maps
from avis_cli.results.palette import voc_palette
from avis_cli.train.sources import open_source
from avis_cli.train.validate_maps import class_maps_of, logits_of, truth_maps

rng = np.random.default_rng(4)
CLASSES = rng.integers(0, 5, (2, 3, 8, 6))
OTHERS = np.where(rng.random(CLASSES.shape) < 0.7, CLASSES, rng.integers(0, 5, CLASSES.shape))


def write(folder: Path, maps: NDArray[Any], how: str = "index") -> Path:
    for video, frames in zip(("one", "two"), maps, strict=True):
        (folder / video).mkdir(parents=True, exist_ok=True)
        for number, labels in enumerate(frames, start=1):
            if how == "colours":
                image = Image.fromarray(voc_palette()[labels])
            elif how == "grey":
                image = Image.fromarray((255 * (labels > 0)).astype(np.uint8))
            else:
                image = Image.fromarray(labels.astype(np.uint8))
                image.putpalette(voc_palette().tobytes())
            image.save(folder / video / f"{number}.png")
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    assert main(["evaluate", *map(str, words), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("how", ["index", "colours"])
def test_class_maps_in_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str) -> None:
    truth, drawn = write(tmp_path / "gt", CLASSES, how), write(tmp_path / "pred", OTHERS)
    scores = run(capsys, "--task", "avss", "--gt", truth, "--pred", drawn)
    wanted = evaluate_maps(OTHERS, CLASSES, "avss")
    assert (scores["released"], scores["corrected"]) == (wanted["released"], wanted["corrected"])
    assert list(scores["per_video"]) == ["one", "two"]
    whole = run(capsys, "--task", "cavp", "--gt", truth, "--pred", drawn)
    assert whole["released"] == evaluate_maps(OTHERS, CLASSES, "cavp")["released"]
    vpo = run(capsys, "--task", "vpo", "--gt", truth, "--pred", drawn)
    assert vpo["released"] == evaluate_maps(OTHERS, CLASSES, "cavp", class_count=22)["released"]


@pytest.mark.parametrize("how", ["grey", "index"])
def test_binary_maps_in_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str) -> None:
    truth, drawn = write(tmp_path / "gt", CLASSES, how), write(tmp_path / "pred", OTHERS, how)
    scores = run(capsys, "--task", "ms3", "--gt", truth, "--pred", drawn, "--batch-size", 2)
    wanted = evaluate_maps(np.where(OTHERS > 0, 20.0, -20.0), (CLASSES > 0).astype(int), "ms3", 2)
    assert scores["corrected"] == pytest.approx(wanted["corrected"])
    assert scores["released"]["batch_size"] == 2
    assert scores["released"]["miou"] == pytest.approx(wanted["released"]["miou"])


def test_probabilities_as_grey_are_more_than_yes_and_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write(tmp_path / "gt", CLASSES, "grey")
    (tmp_path / "pred").mkdir()
    grey = (CLASSES > 0) * 100 + rng.integers(0, 100, CLASSES.shape)
    for video, frames in zip(("one", "two"), grey, strict=True):
        (tmp_path / "pred" / video).mkdir()
        for number, frame in enumerate(frames, start=1):
            Image.fromarray(frame.astype(np.uint8)).save(tmp_path / "pred" / video / f"{number}.png")
    scores = run(capsys, "--task", "s4", "--gt", truth, "--pred", tmp_path / "pred")["corrected"]
    assert scores["fscore"] == pytest.approx(1, abs=1e-6)
    assert scores["miou"] < 1


def test_images_stand_in_the_order_of_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = np.zeros((2, 11, 4, 4), int)
    maps[:, 9] = 1
    truth, drawn = write(tmp_path / "gt", maps), write(tmp_path / "pred", maps)
    for video in ("one", "two"):  # as avis segment names them
        for number in range(11, 0, -1):
            (drawn / video / f"{number}.png").rename(drawn / video / f"{number:06d}.png")
    assert run(capsys, "--task", "ms3", "--gt", truth, "--pred", drawn)["corrected"]["miou"] == 1


def test_results_of_avis_segment_are_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write(tmp_path / "gt", CLASSES)
    drawn = write(tmp_path / "pred", OTHERS)
    for video in ("one", "two"):
        (drawn / f"{video}.mp4").mkdir()
        (drawn / video).rename(drawn / f"{video}.mp4" / "masks")
    scores = run(capsys, "--task", "avss", "--gt", truth, "--pred", drawn)
    assert list(scores["per_video"]) == ["one", "two"]


def test_beside_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, drawn = write(tmp_path / "gt", CLASSES), write(tmp_path / "pred", OTHERS)
    base = ["evaluate", "--task", "avss", "--gt", str(truth)]
    assert main([*base, "--pred", str(drawn), "-o", str(tmp_path / "scores.json")]) == 0
    assert "mIoU" in capsys.readouterr().out
    assert main([*base, "--pred", str(truth), "--compare", str(tmp_path / "scores.json")]) == 0
    table = capsys.readouterr().out
    assert "change" in table
    better = 100 * (1 - evaluate_maps(OTHERS, CLASSES, "avss")["corrected"]["miou"])
    assert f"+{better:.2f}" in table
    assert main(["evaluate", "--task", "cavp", "--gt", str(truth), "--pred", str(drawn), "--compare",
                 str(tmp_path / "scores.json")]) == 1  # fmt: skip
    assert "scores of avss, these are of cavp" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda gt, pred: (pred / "two" / "3.png").unlink(), "2 frames of 6x8 pixels, the truth of two has 3 frames"),
        (lambda gt, pred: [path.unlink() for path in (pred / "two").iterdir()], "no prediction of two"),
        (lambda gt, pred: Image.new("P", (5, 5)).save(pred / "one" / "2.png"), "5x5 pixels, 1.png has 6x8"),
        (lambda gt, pred: (pred / "one" / "2.png").write_text("no"), "not a label image that can be read"),
        (
            lambda gt, pred: Image.new("RGB", (6, 8), (1, 2, 3)).save(gt / "one" / "2.png"),
            "a colour of no class at row 0",
        ),
        (lambda gt, pred: Image.new("L", (6, 8), 99).save(gt / "one" / "2.png"), "class 99 at row 0, column 0"),
        (lambda gt, pred: Image.new("CMYK", (6, 8)).convert("F").save(gt / "one" / "2.tiff"), None),
    ],
)
def test_what_is_wrong_with_files_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, words: str | None
) -> None:
    truth, drawn = write(tmp_path / "gt", CLASSES), write(tmp_path / "pred", OTHERS)
    spoil(truth, drawn)
    status = main(["evaluate", "--task", "avss", "--gt", str(truth), "--pred", str(drawn)])
    err = capsys.readouterr().err
    if words is None:  # another file in the folder is no label image
        assert status == 0
        return
    assert status == 1
    assert words in err
    assert len(err.splitlines()) == 1


def test_folders_without_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    truth = write(tmp_path / "gt", CLASSES)
    for words in (["--gt", tmp_path / "empty", "--pred", truth], ["--gt", tmp_path / "none", "--pred", truth]):
        assert main(["evaluate", "--task", "s4", *map(str, words)]) == 1
    assert "no label images in it" in capsys.readouterr().err


def test_a_model_over_a_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_dataset(tmp_path / "world", val=2)
    categories = tuple(entry["name"] for entry in json.loads((data / "val.json").read_text())["categories"])
    model = toy_maps.model(categories=categories, sound_channels=1, side=None, size_divisor=32)
    monkeypatch.setattr(evaluate_data.DataRun, "is_semantic", lambda self: True)
    monkeypatch.setattr(evaluate_data.model_choice, "load", lambda *_: model)
    words = ["--data", data, "--split", "val", "--model", "avism-tiny"]
    scores = run(capsys, *words)
    assert (scores["task"], scores["model"], scores["split"]) == ("avss", "toy-maps", "val")
    assert scores["corrected"]["miou"] is not None
    assert main(["evaluate", *map(str, words), "--threshold", "0.1"]) == 2
    assert "which makes class maps" in capsys.readouterr().err
    assert "other_sounds" not in scores
    sounds = run(capsys, *words, "--other-sounds")["other_sounds"]
    assert list(sounds) == ["silence", "noise", "another clip's sound"]
    assert sounds["silence"]["frames_empty"] == 1
    assert sounds["noise"]["pixels_drawn"] > 0
    assert main(["evaluate", *map(str, words), "--other-sounds"]) == 0
    assert "With replaced sound, in percent" in capsys.readouterr().out
    assert main(["evaluate", *map(str, words), "--other-sounds", "--mute"]) == 2
    assert "--mute and --other-sounds" in capsys.readouterr().err
    other = toy_maps.model(sound_channels=1, side=None)
    monkeypatch.setattr(evaluate_data.model_choice, "load", lambda *_: other)
    assert main(["evaluate", *map(str, words)]) == 1
    assert "toy-maps tells 2 others apart" in capsys.readouterr().err


def test_pictures_of_vpo_may_differ_in_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("gt", "pred"):
        (tmp_path / name).mkdir()
        for number, size in enumerate(((4, 4), (6, 2))):
            Image.new("L", size, 3 * number).save(tmp_path / name / f"{number}.png")
    words = ["--gt", tmp_path / "gt", "--pred", tmp_path / "pred"]
    scores = run(capsys, "--task", "vpo", *words)
    assert list(scores["per_video"]) == ["0", "1"]
    assert scores["corrected"]["miou"] == 1
    assert len(scores["released"]["iou_per_class"]) == 22
    assert main(["evaluate", "--task", "cavp", *map(str, words)]) == 1
    assert "6x2 pixels, 0.png has 4x4" in capsys.readouterr().err


@pytest.mark.parametrize(("task", "ending"), [("ms3", ".csv"), ("avss", ".md"), ("cavp", ".txt"), ("vpo", ".json")])
def test_scores_are_written_as_the_ending_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str, ending: str
) -> None:
    truth, drawn = write(tmp_path / "gt", CLASSES), write(tmp_path / "pred", OTHERS)
    output = tmp_path / f"scores{ending}"
    if task == "vpo":
        truth, drawn = (folder / "one" for folder in (truth, drawn))
    words = ["evaluate", "--task", task, "--gt", str(truth), "--pred", str(drawn)]
    assert main([*words, "-o", str(output)]) == 0
    printed = capsys.readouterr().out
    text = output.read_text()
    assert f"Class maps ({task}) in percent" in printed
    if ending == ".csv":
        assert text.startswith("scope,name,meaning,miou,fscore\nall,,released,")
    elif ending == ".md":
        assert text.startswith("## avis evaluate\n\n### Class maps (avss) in percent")
    elif ending == ".txt":
        assert text == printed
    else:
        assert json.loads(text)["task"] == "vpo"


def test_worst_frames_and_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    truth, drawn = write(tmp_path / "gt", CLASSES, "grey"), write(tmp_path / "pred", OTHERS, "grey")
    words = ["--task", "ms3", "--gt", truth, "--pred", drawn]
    scores = run(capsys, *words, "--worst", 2, "--plots", tmp_path / "curves")
    assert len(scores["worst"]["frames"]) == len(scores["worst"]["videos"]) == 2
    assert (tmp_path / "curves" / "f_over_thresholds.png").stat().st_size > 1000
    assert main(["evaluate", *map(str, words), "--worst", "1"]) == 0
    out = capsys.readouterr().out
    assert "Frames that are worst" in out
    assert out.index("By video") < out.index("Class maps (ms3)") < out.index("Frames that are worst")
    assert "worst" not in run(capsys, *words)


def test_the_difference_has_an_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, drawn = write(tmp_path / "gt", CLASSES), write(tmp_path / "pred", OTHERS)
    first = tmp_path / "scores.json"
    run(capsys, "--task", "avss", "--gt", truth, "--pred", drawn, "-o", first)
    compared = run(capsys, "--task", "avss", "--gt", truth, "--pred", truth, "--compare", first)["compare"]
    entry = compared["corrected"]["miou"]
    assert entry["low"] <= entry["difference"] <= entry["high"]
    assert compared["bootstrap"] == {"draws": 1000, "seed": 0, "level": 95.0}
    assert compared["file"] == str(first)


def test_a_refused_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, drawn = write(tmp_path / "gt", CLASSES), write(tmp_path / "pred", OTHERS)
    (tmp_path / "other.json").write_text("{}")
    words = ["evaluate", "--task", "avss", "--gt", str(truth), "--pred", str(drawn), "-o", str(tmp_path / "new.json")]
    assert main([*words, "--compare", str(tmp_path / "other.json")]) == 1
    assert "expected scores of class maps" in capsys.readouterr().err
    (drawn / "two" / "3.png").write_text("no")
    assert main(words) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gt", "other.json", "pred"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--task", "avss", "--plots", "curves"], "--plots with --task avss"),
        (["--task", "cavp", "--batch-size", "2"], "--batch-size with --task cavp"),
        (["--task", "s4", "--reference"], "--reference with --task s4"),
        (["--task", "s4", "--compare", "x.json", "-o", "x.json"], "--output is the file of --compare"),
    ],
)
def test_options_that_a_task_has_no_use_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    folder = str(write(tmp_path / "gt", CLASSES))
    assert main(["evaluate", "--gt", folder, "--pred", folder, *words]) == 2
    assert complaint in capsys.readouterr().err


def test_predictions_without_a_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, drawn = write(tmp_path / "gt", CLASSES), write(tmp_path / "pred", OTHERS)
    (drawn / "two").rename(drawn / "three")
    (truth / "two").rename(tmp_path / "away")
    words = ["--task", "avss", "--gt", truth, "--pred", drawn]
    assert main(["evaluate", *map(str, words)]) == 1
    assert "maps of three, of which there is no truth" in capsys.readouterr().err
    assert list(run(capsys, *words, "--ignore-unknown")["per_video"]) == ["one"]


def test_a_model_of_classes_has_their_names_and_worst_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_dataset(tmp_path / "world", val=2)
    categories = tuple(entry["name"] for entry in json.loads((data / "val.json").read_text())["categories"])
    # the set's other categories are missed wherever they sound
    model = toy_maps.model(categories=categories[:2], sound_channels=1, side=None, size_divisor=32)
    monkeypatch.setattr(evaluate_data.DataRun, "is_semantic", lambda self: True)
    monkeypatch.setattr(evaluate_data.model_choice, "load", lambda *_: model)
    words = ["--data", data, "--split", "val", "--model", "avism-tiny"]
    scores = run(capsys, *words, "--worst", 1)
    assert scores["class_names"]["0"] == "background"
    assert scores["class_names"]["1"] == categories[0]
    assert 0.0 in [iou for number, iou in scores["corrected"]["iou_per_class"].items() if int(number) > 2]
    assert scores["counts"]["videos"] == 2
    assert len(scores["worst"]["frames"]) == 1
    assert main(["evaluate", *map(str, words), "--plots", str(tmp_path / "curves")]) == 2
    assert "--plots with --task avss" in capsys.readouterr().err


def darker(model: Any) -> Any:
    """What sounds is the darker part of a picture, the more the darker."""
    model.network.segment = lambda frames, audio, valid=None: 14 - frames[:, :1].float() / 8
    return model


def test_binary_maps_of_a_model_are_scored_by_its_logits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the released programs do, whose F takes the best of 255 thresholds."""
    data = tmp_path / "data"
    write_avs_split(data, "ms3", SplitRequest("test", 3, 4, 5, (64, 48)))
    model = darker(toy_maps.model(categories=("sounding",), binary=True, sound_channels=1, side=None))
    monkeypatch.setattr(evaluate_data.DataRun, "is_semantic", lambda self: True)
    monkeypatch.setattr(evaluate_data.model_choice, "load", lambda *_: model)
    words = ["--data", data, "--model", "avism-tiny"]
    scores = run(capsys, *words, "--batch-size", 2)
    source = open_source(data, "test", model.config)
    clips = [source.read(number, range(5)) for number in range(3)]
    logits = [logits_of(model, clip)[:, 0].double().numpy() for clip in clips]
    truths = [(truth_maps(clip) > 0).astype(int) for clip in clips]
    wanted = evaluate_maps(np.stack(logits), np.stack(truths), "ms3", 2)
    hard = evaluate_maps(np.where(np.stack(logits) > 0, 9.0, -9.0), np.stack(truths), "ms3", 2)
    for meaning in ("released", "corrected"):
        for name in ("miou", "fscore"):
            assert scores[meaning][name] == pytest.approx(wanted[meaning][name])
    assert scores["corrected"]["fscore"] > hard["corrected"]["fscore"] + 0.01
    assert scores["released"]["batch_size"] == 2
    assert (scores["task"], list(scores["per_video"])) == ("ms3", [source.name(number) for number in range(3)])
    assert run(capsys, *words, "--task", "s4")["task"] == "s4"
    assert main(["evaluate", *map(str, words), "--task", "avss"]) == 2
    assert "--task avss of toy-maps on data, where only what sounds is known" in capsys.readouterr().err


def test_a_model_on_vpo_is_scored_over_the_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "world")
    build(world.annotations, world.images, world.sounds, tmp_path / "vpo", VpoOptions("ms", shares=(0, 0, 1)))
    model = toy_maps.model(categories=("car", "air plane", "owl"), side=None)
    monkeypatch.setattr(evaluate_data.DataRun, "is_semantic", lambda self: True)
    monkeypatch.setattr(evaluate_data.model_choice, "load", lambda *_: model)
    words = ["--data", tmp_path / "vpo", "--model", "avism-tiny"]
    scores = run(capsys, *words)
    source = open_source(tmp_path / "vpo", "test", model.config)
    clips = [source.read(number, [0]) for number in range(len(source))]
    maps, truths = ([make(clip) for clip in clips] for make in (partial(class_maps_of, model), truth_maps))
    wanted = evaluate_maps(np.stack(maps), np.stack(truths), "cavp", class_count=4)
    assert scores["task"] == "vpo"
    assert scores["corrected"] == wanted["corrected"]
    assert "fdr" in scores["released"]
    assert run(capsys, *words, "--task", "avss")["task"] == "avss"
    assert run(capsys, *words, "--task", "ms3")["corrected"]["miou"] is not None
    for more, complaint in (
        (["--task", "avis"], "--task avis with a model of class maps"),
        (["--batch-size", "2"], "--batch-size with --task vpo"),
        (["--task", "cavp", "--plots", "curves"], "--plots with --task cavp"),
    ):
        assert main(["evaluate", *map(str, words), *more]) == 2
        assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--task", "ms3"], ["--batch-size", "2"]])
def test_a_model_that_tells_objects_apart_is_scored_by_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    data = small_dataset(tmp_path / "world", val=1)
    words = ["evaluate", "--data", str(data), "--split", "val", "--model", "avism-tiny", *more]
    assert main(words) == 2
    assert f"{more[0]} with a model that tells objects apart" in capsys.readouterr().err
