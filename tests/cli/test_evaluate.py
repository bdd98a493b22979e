"""``avis evaluate`` as it is called: formats, files, refusals, exit codes."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import paths
import pytest
from evaluate_command import refused, run

from avis_cli.cli.main import main
from avis_cli.evaluate.report.scores_file import METRICS

DATA = paths.DATA / "evaluation"
GT, PRED = str(DATA / "dev" / "gt.json.gz"), str(DATA / "dev" / "pred.json.gz")


def small(tmp_path: Path, name: str, value: Any) -> str:
    path = tmp_path / name
    path.write_text(json.dumps(value))
    return str(path)


@pytest.fixture
def truth() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(gzip.decompress(Path(GT).read_bytes()))
    return document


def test_table_shows_overall_categories_and_videos_in_100_columns(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--gt", GT, "--pred", PRED)
    assert code == 0
    assert err == ""
    for words in ("FSLA", "HOTA", "person", "brass_011", "48.99", "56.54"):
        assert words in out
    assert max(map(len, out.splitlines())) <= 100
    # what a terminal still shows at the end: the overall scores
    assert out.splitlines()[-1].startswith("IDSW")


def test_json_has_the_layout_that_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--gt", GT, "--pred", PRED, "--format", "json")
    assert code == 0
    scores = json.loads(out, parse_constant=pytest.fail)
    assert {*METRICS, "corrected", "per_category", "per_video", "counts"} <= set(scores)
    assert set(METRICS) <= set(scores["corrected"])
    golden = json.loads((DATA / "dev" / "golden.json").read_text())["official"]["returned"]
    assert round(scores["FSLA"], 2) == golden["FA"]
    assert all(type(count) is int for count in (scores["IDSW"], *scores["counts"].values()))
    assert scores["counts"]["CLR_FP"] > scores["counts_corrected"]["CLR_FP"] > 0
    assert set(scores["per_video"]["pp_001"]) >= {"FSLA", "HOTA", "corrected"}
    assert scores["per_category"]["flute"]["FSLA"] is None


def test_csv_and_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--gt", GT, "--pred", PRED, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["scope"] for row in rows} == {"all", "category", "video"}
    _, out, _ = run(capsys, "--gt", GT, "--pred", PRED, "--format", "md")
    assert "| FSLA | 48.99 | 56.54 |" in out


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("scores.json", "{"),
        ("scores.csv", "scope,"),
        ("scores.md", "## "),
        ("scores.txt", "By category"),
        ("scores", "{"),
    ],
)
def test_output_is_written_as_its_ending_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, start: str
) -> None:
    path = tmp_path / "new" / name
    code, out, err = run(capsys, "--gt", GT, "--pred", PRED, "--output", str(path), "--format", "json")
    assert code == 0
    assert path.read_text().startswith(start)
    assert json.loads(out)["counts"]["videos"] == 12
    assert str(path) in err
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_quiet_leaves_the_scores_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--gt", GT, "--pred", PRED, "-o", str(tmp_path / "s.json"), "--quiet")
    assert (code, err) == (0, "")
    assert "FSLA" in out


def test_jobs_change_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [run(capsys, "--gt", GT, "--pred", PRED, "--format", "json", "--jobs", jobs)[1] for jobs in ("1", "2")]
    assert outputs[0] == outputs[1]


def test_two_runs_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = str(tmp_path / "other.json")
    run(capsys, "--gt", GT, "--pred", small(tmp_path, "none.json", []), "--output", other)
    code, out, _ = run(capsys, "--gt", GT, "--pred", PRED, "--compare", other)
    assert code == 0
    assert "This run and" in out
    assert "+36.77" in out
    assert max(map(len, out.splitlines())) <= 100
    _, out, _ = run(capsys, "--gt", GT, "--pred", PRED, "--compare", other, "--format", "json")
    compared = json.loads(out)["compare"]
    assert compared["mAP"]["other"] == 0
    assert type(compared["IDSW"]["difference"]) is int
    assert "expected scores that" in refused(capsys, 1, "--gt", GT, "--pred", PRED, "--compare", GT)


def test_worst_and_reference_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--gt", GT, "--pred", PRED, "--worst", "3", "--reference", "--plots", str(tmp_path / "curves")]
    code, out, err = run(capsys, *arguments)
    assert code == 0
    assert "Videos that cost most" in out
    assert "brass_011" in out
    assert "this run" in out
    assert sorted(path.name for path in (tmp_path / "curves").iterdir()) == [
        "fsla.png",
        "hota.png",
        "precision_recall.png",
    ]
    assert err.count("curves in") == 3
    scores = json.loads(run(capsys, *arguments[:-2], "--format", "json")[1])
    assert len(scores["worst"]["videos"]) == len(scores["worst"]["frames"]) == 3
    assert len(scores["reference"]) == 9


@pytest.mark.parametrize(
    ("format", "words"), [("table", "52.49"), ("json", '"FSLA": 52.49'), ("csv", ",52.49,"), ("md", "| 52.49 |")]
)
def test_reference_alone(capsys: pytest.CaptureFixture[str], format: str, words: str) -> None:
    code = main(["evaluate", "--reference", "--format", format])  # without --jobs, for which there is no work
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    assert words in out


def test_empty_predictions_score_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--gt", GT, "--pred", small(tmp_path, "none.json", []), "--format", "json")
    assert (code, err) == (0, "")
    scores = json.loads(out, parse_constant=pytest.fail)
    assert scores["HOTA"] == scores["mAP"] == scores["IDF1"] == scores["FSLA_single"] == 0
    assert scores["corrected"]["FSLA_none"] == 100


def test_empty_ground_truth_is_refused_unless_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], truth: dict[str, Any]
) -> None:
    assert "is an empty list" in refused(capsys, 1, "--gt", small(tmp_path, "none.json", []), "--pred", PRED)
    path = small(tmp_path, "gt.json", {**truth, "annotations": []})
    assert "annotations is empty" in refused(capsys, 1, "--gt", path, "--pred", PRED)
    code, out, _ = run(capsys, "--gt", path, "--pred", PRED, "--allow-empty", "--format", "json")
    assert code == 0
    json.loads(out, parse_constant=pytest.fail)


def test_swapped_files_are_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--gt and --pred are swapped" in refused(capsys, 1, "--gt", PRED, "--pred", GT)


def test_unknown_videos_are_listed_or_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    case = DATA / "edge" / "prediction_of_unknown_video"
    arguments = ["--gt", str(case / "gt.json.gz"), "--pred", str(case / "pred.json.gz")]
    assert "video 77 not in the ground truth" in refused(capsys, 1, *arguments)
    assert run(capsys, *arguments, "--ignore-unknown")[0] == 0


def test_where_the_released_evaluator_stops_a_warning_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    case = DATA / "edge" / "fsla_null_prediction_index_error"
    arguments = ["--gt", str(case / "gt.json.gz"), "--pred", str(case / "pred.json.gz"), "--format", "json"]
    code, out, err = run(capsys, *arguments)
    assert code == 0
    scores = json.loads(out)
    assert scores["FSLA"] is None
    assert scores["corrected"]["FSLA"] is not None
    assert err.startswith("avis: warning: the released FSLA is undefined")


def test_large_files_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, 1, "--gt", GT, "--pred", PRED, "--max-bytes", "1000")
    assert "gt.json.gz" in line
    assert "the limit is 1000; raise --max-bytes" in line
    # 39 612 bytes packed, more when unpacked
    assert "more than the limit" in refused(capsys, 1, "--gt", GT, "--pred", PRED, "--max-bytes", "60000")


def test_a_folder_of_tracks_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], truth: dict[str, Any]
) -> None:
    videos = {video["id"]: video for video in truth["videos"]}
    names = {category["id"]: category["name"] for category in truth["categories"]}
    entries = json.loads(gzip.decompress(Path(PRED).read_bytes()))
    for video_id, video in videos.items():
        name = video["file_names"][0].split("/")[0]
        tracks = [
            {"id": number, "category": names[entry["category_id"]], "category_id": entry["category_id"], **entry}
            for number, entry in enumerate((e for e in entries if e["video_id"] == video_id), start=1)
        ]
        folder = tmp_path / "out" / f"{name}.mp4"
        folder.mkdir(parents=True)
        document = {
            "format": "avis-tracks",
            "version": 1,
            "source": {"file": f"{name}.mp4"},
            "times": [float(second) for second in range(len(video["file_names"]))],
            "tracks": tracks,
        }
        (folder / "tracks.json").write_text(json.dumps(document))
    _, listed, _ = run(capsys, "--gt", GT, "--pred", PRED, "--format", "json")
    code, found, err = run(capsys, "--gt", GT, "--pred", str(tmp_path / "out"), "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(found)["corrected"] == json.loads(listed)["corrected"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give both --gt GT and --pred PRED"),
        (["--gt", GT], "give both --gt GT and --pred PRED"),
        (["--gt", GT, "--pred", PRED, "--format", "xml"], "xml"),
        (["--gt", GT, "--pred", PRED, "--jobs", "0"], "--jobs"),
        (["--gt", GT, "--pred", PRED, "--worst", "-1"], "--worst"),
    ],
)
def test_calls_that_cannot_be_meant(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert words in refused(capsys, 2, *arguments)


def test_inputs_are_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = small(tmp_path, "pred.json", [])
    assert "--output is the file of --pred" in refused(capsys, 2, "--gt", GT, "--pred", path, "--output", path)
    assert json.loads(Path(path).read_text()) == []


def test_a_refusal_leaves_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = small(tmp_path, "pred.json", [{}])
    refused(capsys, 1, "--gt", GT, "--pred", bad, "--output", str(tmp_path / "new" / "scores.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["pred.json"]


def test_missing_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "gone.json")
    assert f"{missing}: no such file" in refused(capsys, 1, "--gt", missing, "--pred", PRED)
