"""``avis synth`` from the outside: files, output, exit codes."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import cv2
import pytest

from avis_cli.cli.main import main
from avis_cli.media import decode

SMALL = ["--frames", "2", "--size", "64x48"]


def test_a_split_is_written_and_its_parts_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    assert main(["synth", str(out), "--split", "val", "--videos", "2", "--seed", "3", *SMALL]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [str(out / name) for name in ("val.json", "val_objects.json", "val")]
    assert printed.err == ""
    truth = json.loads((out / "val.json").read_text())
    assert len(truth["videos"]) == 2
    assert {(video["width"], video["height"], video["length"]) for video in truth["videos"]} == {(64, 48, 2)}
    assert sorted(path.name for path in out.rglob("*.jpg")) == ["00000.jpg"] * 2 + ["00001.jpg"] * 2
    assert len(list((out / "val" / "WAVAudios").glob("*.wav"))) == 2


def test_movies_have_the_picture_and_the_sound(tmp_path: Path) -> None:
    assert main(["synth", str(tmp_path), "--split", "test", "--videos", "1", "--mp4", *SMALL]) == 0
    info = decode.probe(tmp_path / "test" / "test_000000.mp4")
    assert (info.width, info.height) == (64, 48)
    assert info.frame_rate == 25
    assert abs(info.duration - 2) < Fraction(1, 10)
    assert info.audio is not None
    assert info.audio.sample_rate == 16000
    truth = json.loads((tmp_path / "test.json").read_text())
    assert truth["videos"][0]["file_names"][0].startswith("test_000000/")


def test_unaligned_is_another_split_and_says_so(tmp_path: Path) -> None:
    command = ["--split", "val", "--seed", "2", "--videos", "1", "--frames", "6", "--size", "64x48"]
    assert main(["synth", str(tmp_path / "aligned"), *command]) == 0
    assert main(["synth", str(tmp_path / "moved"), *command, "--unaligned"]) == 0
    one, other = ((tmp_path / name / "val" / "WAVAudios" / "val_000000.wav") for name in ("aligned", "moved"))
    assert one.read_bytes() != other.read_bytes()
    described = [json.loads((tmp_path / name / "val.json").read_text())["info"] for name in ("aligned", "moved")]
    assert "unaligned" not in described[0]["description"]
    assert "unaligned" in described[1]["description"]


def test_a_contact_sheet_needs_no_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", str(tmp_path), "--preview", *SMALL]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'train_preview.png'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["train_preview.png"]
    sheet = cv2.imread(str(tmp_path / "train_preview.png"))
    assert sheet is not None
    assert sheet.shape[0] > 200


def test_stats_of_a_new_and_of_an_existing_split_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", str(tmp_path), "--videos", "3", "--stats", *SMALL]) == 0
    table = capsys.readouterr().out.splitlines()[3:]
    assert len(table) == 14
    assert main(["synth", str(tmp_path), "--stats"]) == 0
    assert capsys.readouterr().out.splitlines() == table
    assert main(["synth", str(tmp_path), "--stats", "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["clips"] == 3
    assert numbers["frames_none"] == pytest.approx(numbers["fsla_nothing"])
    assert numbers["frames_none"] + numbers["frames_single"] + numbers["frames_multi"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "--videos"),
        (["--videos", "0"], 2, "--videos '0', expected a whole number from 1 to 1000000"),
        (["--videos", "1", "--size", "640"], 2, "640x360"),
        (["--videos", "1", "--size", "4x4"], 2, "4x4"),
        (["--videos", "1", "--frames", "0"], 2, "--frames '0', expected a whole number from 1 to 3600"),
        (["--videos", "1", "--jobs", "0"], 2, "--jobs '0', expected a whole number, 1 or more"),
        (["--videos", "1", "--split", "nothing"], 2, "nothing"),
        (["--stats"], 1, "train_objects.json"),
    ],
)
def test_what_cannot_be_made_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    assert main(["synth", str(tmp_path / "out"), *arguments]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert says in printed.err
    assert not (tmp_path / "out").exists()


def test_an_existing_split_is_refused_and_replaced_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["synth", str(tmp_path), "--videos", "1", *SMALL]
    assert main(arguments) == 0
    assert main(arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
