"""``avis train`` as a command."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from train_examples import small_dataset

from avis_cli.cli.main import main
from avis_cli.models.avism.recipe import AvismRecipe
from avis_cli.train.train_request import chosen_recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def arguments(data: Path, out: Path, *more: str) -> list[str]:
    return ["train", "--data", str(data), "--out", str(out), "--batch", "1", "--device", "cpu", *more]


def test_the_weights_path_is_the_result_and_the_log_goes_to_stderr(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(arguments(data, out, "--steps", "1", "--log-every", "1", "--precision", "fp32")) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(out / "model.safetensors")]
    assert "step 1" in said.err
    assert (out / "model.safetensors").exists()
    assert main(arguments(data, out, "--steps", "2", "--resume", "--quiet", "--precision", "fp32")) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("more", "code", "line"),
    [
        ([], 2, "give either --steps or --minutes"),
        (["--steps", "1", "--minutes", "1"], 2, "give either --steps or --minutes"),
        (["--steps", "1", "--without", "colour"], 2, "--without 'colour', expected one of audio, fusion"),
        (["--steps", "1", "--precision", "int8"], 2, "--precision 'int8', expected one of auto, fp32, bf16"),
        (["--steps", "1", "--resume"], 1, "no checkpoint to resume from"),
        (["--steps", "1", "--split", "missing"], 1, "no such annotations"),
    ],
)
def test_what_cannot_be_is_one_line_and_an_exit_code(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, line: str
) -> None:
    assert main(arguments(data, tmp_path / "run", *more)) == code
    said = capsys.readouterr()
    assert line in said.err
    assert len([text for text in said.err.splitlines() if not text.startswith("avis: train")]) == 1
    assert said.out == ""


def test_a_recipe_is_changed_by_what_is_asked() -> None:
    recipe = chosen_recipe("avism-tiny", without="audio", clips=4, rate=1e-5)
    assert isinstance(recipe, AvismRecipe)
    assert (recipe.hears, recipe.fuses, recipe.learning_rate) == (False, True, 1e-5)
    assert [shape.clips for shape in recipe.shapes] == [4, 2, 2]
    released = chosen_recipe("avism-r50-in")
    assert isinstance(released, AvismRecipe)
    assert released.points == 12_544
