"""ACVIS through every command, its weights drawn at random."""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path
from typing import Any

import media_factory
import pytest
import torch
from acvis_examples import QUICK, small
from train_examples import small_dataset

import avis_cli
from avis_cli.cli.main import main
from avis_cli.errors import UsageError
from avis_cli.hub import store, weights_file
from avis_cli.hub.lookup import resolve
from avis_cli.models.acvis import checkpoint as names
from avis_cli.models.acvis import system
from avis_cli.models.acvis.config import PRESETS
from avis_cli.models.acvis.network import Acvis
from avis_cli.models.acvis.system import build
from avis_cli.train.log import read_log

COCO, IN = "acvis-r50-coco", "acvis-r50-in"
THRESHOLD = ["--threshold", "0.05"]


@pytest.fixture(autouse=True)
def _small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    for name in (IN, COCO):
        monkeypatch.setitem(PRESETS, name, small(name))


def segment(clip: Path, **settings: Any) -> avis_cli.ClipResult:
    found = avis_cli.segment(clip, **settings)
    assert isinstance(found, avis_cli.ClipResult)
    return found


@functools.cache
def published() -> bytes:
    """A checkpoint as the authors' program leaves it, its classes told apart boldly so that tracks come out."""
    torch.manual_seed(7)
    network = build(small(COCO))
    with torch.no_grad():
        network.tracker.class_head.weight.mul_(40)
    tensors = names.naming(network.config).to_released(network.state_dict())
    return _saved({"model": {**tensors, "criterion.empty_weight": torch.ones(27)}, "iteration": 1})


def _saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "ACVIS_R50_COCO.pth"
    path.write_bytes(published())
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    media_factory.make_clip(path, size=(64, 48), fps=4, seconds=3, audio="tone")
    return path


def test_it_is_imported_under_the_name_of_its_file_and_hears_by_itself(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "import", str(checkpoint)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{store.imported_file(COCO)}\n"
    assert "VGGish" not in said.err
    tensors, metadata = weights_file.read(store.imported_file(COCO))
    assert (metadata["family"], metadata["preset"]) == ("acvis", COCO)
    assert "audio_network.pca_vectors" in tensors
    assert resolve(COCO, offline=True).preset == COCO
    assert main(["weights", "list", "--json"]) == 0
    listed = {model["name"]: model["where"] for model in json.loads(capsys.readouterr().out)["models"]}
    assert (listed[COCO], listed[IN]) == ("imported", "not here")


def test_a_file_of_another_name_has_to_be_told_apart(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = checkpoint.rename(checkpoint.with_name("model_final.pth"))
    assert main(["weights", "import", str(other)]) == 1
    line = capsys.readouterr().err
    assert "which model it is its tensors do not tell: the tensors fit acvis-r50-in and acvis-r50-coco alike" in line
    assert "--name acvis-r50-in" in line
    assert main(["weights", "import", str(other), "--name", IN]) == 0
    assert resolve(IN, offline=True).preset == IN


def test_a_vggish_beside_its_own_is_refused(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ear = checkpoint.with_name("vggish.pth")
    ear.write_bytes(b"anything")
    assert main(["weights", "import", str(checkpoint), "--vggish", str(ear)]) == 2
    assert f"--vggish with {COCO}; it hears through a network of its own" in capsys.readouterr().err
    assert not store.imported_file(COCO).exists()


def test_segment_tells_tracks_and_counts(checkpoint: Path, clip: Path, tmp_path: Path) -> None:
    assert main(["segment", str(clip), "-o", str(tmp_path / "out"), "--model", str(checkpoint), *THRESHOLD, "-q"]) == 0
    path = tmp_path / "out" / "clip.mp4" / "tracks.json"
    document = json.loads(path.read_text())
    assert document["model"]["preset"] == COCO
    assert [entry["name"] for entry in document["categories"]] == list(PRESETS[COCO].categories)
    assert document["tracks"]
    assert [frame["time"] for frame in document["token_frames"]] == [0.0, 1.0, 2.0]
    assert all(sum(frame["count"]) == pytest.approx(1.0, abs=1e-5) for frame in document["token_frames"])
    result = avis_cli.read_result(path)
    assert result == segment(clip, model=avis_cli.load_model(checkpoint), threshold=0.05)


def test_counts_do_not_depend_on_windows_and_mask_frames(checkpoint: Path, clip: Path) -> None:
    model = avis_cli.load_model(checkpoint)
    plain = segment(clip, model=model)
    windowed = segment(clip, model=model, window=2, mask_fps="video", start=1)
    assert [frame.time for frame in windowed.token_frames] == [1.0, 2.0]
    assert segment(clip, model=model, fill="flow").token_frames == plain.token_frames
    for frame, other in zip(windowed.token_frames, plain.token_frames[1:], strict=True):
        assert frame.count == pytest.approx(other.count, abs=1e-5)


def test_counts_are_told_once_where_memory_ends_and_less_is_done_at_once(
    checkpoint: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = avis_cli.load_model(checkpoint)
    plain, track = segment(clip, model=model), model.network.track
    failed: list[bool] = []

    def track_at_second_try(*arguments: Any) -> Any:
        if not failed:
            failed.append(True)
            raise MemoryError
        return track(*arguments)

    monkeypatch.setattr(model.network, "track", track_at_second_try)
    again = segment(clip, model=model)
    assert failed
    assert [frame.time for frame in again.token_frames] == [frame.time for frame in plain.token_frames]
    for frame, other in zip(again.token_frames, plain.token_frames, strict=True):
        assert frame.count == pytest.approx(other.count, abs=1e-5)


def test_counts_from_python(checkpoint: Path, tiny_model: avis_cli.Model) -> None:
    model = avis_cli.load_model(COCO, weights=torch.load(checkpoint, weights_only=True)["model"])
    assert isinstance(model.network, Acvis)
    frames = torch.randint(0, 256, (3, 3, 48, 64), dtype=torch.uint8)
    audio = model.embed_log_mel(torch.randn(3, 96, 64))
    counted = model.count(model.localize(frames, audio))
    result = avis_cli.segment_frames(model, frames, audio, output_size=(48, 64))
    assert [frame.count for frame in result.token_frames] == [pytest.approx(row.tolist(), abs=1e-5) for row in counted]
    with pytest.raises(UsageError, match="does not count what sounds"):
        tiny_model.count(tiny_model.localize(frames, torch.zeros(3, 128)))


def test_evaluate_runs_it_over_a_dataset(checkpoint: Path, tmp_path: Path) -> None:
    assert main(["weights", "import", str(checkpoint), "-q"]) == 0
    data, scores = small_dataset(tmp_path / "world", videos=1, val=1), tmp_path / "scores.json"
    truth = json.loads((data / "val.json").read_text())
    known = [{"id": number, "name": name} for number, name in enumerate(PRESETS[COCO].categories, start=1)]
    (data / "val.json").write_text(json.dumps({**truth, "categories": known}))
    options = ["--data", str(data), "--split", "val", "--model", COCO, "--pred", str(tmp_path / "results.json")]
    assert main(["evaluate", *options, "--output", str(scores), "-q"]) == 0
    assert "FSLA" in json.loads(scores.read_text())


def test_training_goes_on_from_its_weights(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(system, "RELEASED", QUICK)
    data, run = small_dataset(tmp_path / "world", videos=2, val=1), tmp_path / "run"
    other = checkpoint.rename(checkpoint.with_name("ACVIS_R50_IN.pth"))
    options = ["--data", str(data), "--preset", IN, "--init", str(other), "--out", str(run), "--batch", "1"]
    assert main(["train", *options, "--steps", "2", "--log-every", "1", "-q"]) == 0
    model = avis_cli.load_model(run / "model.safetensors")
    assert isinstance(model.network, Acvis)
    assert len(model.config.categories) == 10, "the categories are those of the data"
    given = avis_cli.load_model(other).network.state_dict()
    left = model.network.state_dict()
    heard = [name for name in left if name.startswith("audio_network.")]
    assert all(torch.equal(left[name], given[name]) for name in heard), "no loss reaches the audio network"
    assert not torch.equal(left["localizer.count_head.weight"], given["localizer.count_head.weight"])
    log = {row["name"]: float(row["value"]) for row in read_log(run / "log.csv")}
    assert log["count"] > 0
    assert 0 <= log["count_accuracy"] <= 1
    again = ["train", "--data", str(data), "--preset", IN, "--out", str(tmp_path / "again"), "--steps", "1"]
    assert main([*again, "--vggish", str(other)]) == 2
    assert f"--vggish with {IN}; it hears through a network of its own" in capsys.readouterr().err
