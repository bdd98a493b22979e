"""Scores as people read them: tables that fit, numbers that are not lost, causes that are named."""

from __future__ import annotations

import csv
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paths
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avis_cli.datasets.tracks import Dataset
from avis_cli.datasets.truth import read_truth
from avis_cli.errors import AnnotationError, UsageError
from avis_cli.evaluate.instances.scores import Evaluation, evaluate_dataset
from avis_cli.evaluate.predictions import read_predictions
from avis_cli.evaluate.report import plots
from avis_cli.evaluate.report.compare import PUBLISHED, compare, differences, reference_table
from avis_cli.evaluate.report.cost import cost_tables, find_costs
from avis_cli.evaluate.report.printed import breakdowns, overall, to_csv
from avis_cli.evaluate.report.scores_file import METRICS, BothMeanings, Report, document_of, read_scores, report_of
from avis_cli.evaluate.report.tables import WIDTH, Table, signed
from avis_cli.models import preset_names
from avis_cli.text import printable

DEV = paths.DATA / "evaluation" / "dev"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return read_predictions(DEV / "pred.json.gz", read_truth(DEV / "gt.json.gz"))


@pytest.fixture(scope="module")
def evaluation(dataset: Dataset) -> Evaluation:
    return evaluate_dataset(dataset)


@pytest.fixture(scope="module")
def report(evaluation: Evaluation) -> Report:
    return report_of(document_of(evaluation))


def with_overall(report: Report, **changes: Any) -> Report:
    changed = replace(report.overall.corrected, **changes)
    return replace(report, overall=BothMeanings(report.overall.released, changed))


def test_overall_table_has_every_metric_in_both_meanings(report: Report) -> None:
    rows = {row[0].strip(): row[1:] for row in overall(report).rows}
    assert rows["FSLA"] == ["48.99", "56.54"]
    assert rows["no source"] == ["50.00", "89.29"]
    assert rows["HOTA"] == ["19.78", "27.52"]
    assert rows["over categories with ground truth"][0] == "42.86"
    assert rows["IDSW (count)"] == ["2", "2"]
    assert len(rows) == len(METRICS) + 1


def test_breakdowns_name_each_category_that_occurs_and_each_video(report: Report, dataset: Dataset) -> None:
    categories, videos = breakdowns(report)
    shown = {row[0] for row in categories.rows}
    assert {"person", "car"} <= shown
    assert "flute" not in shown
    assert "13 without any track left out" in categories.title
    assert [row[0] for row in videos.rows] == sorted(video.name for video in dataset.videos)


def test_every_table_fits_the_width_whatever_the_names(
    report: Report, evaluation: Evaluation, dataset: Dataset
) -> None:
    name = "a very long name of a video " * 5
    long = replace(
        with_overall(report, MOTA=-1e9, FSLA=None),
        categories={name: BothMeanings(report.overall.released, replace(report.overall.corrected, MOTA=-123456.7))},
        videos={name: report.overall},
    )
    tables = [overall(long), *breakdowns(long), *compare(long, long, "/folder" * 30), reference_table(long)]
    tables += cost_tables(find_costs(evaluation, dataset, 3))
    for table in tables:
        lines = table.text().splitlines()
        assert all(len(line) <= WIDTH for line in lines)
        assert len(lines) == len(table.rows) + 2 + bool(table.groups)


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(st.text(max_size=150), min_size=n, max_size=n), min_size=1, max_size=5)
    )
)
def test_markdown_has_as_many_cells_as_the_table(rows: list[list[str]]) -> None:
    table = Table("a|b", [str(column) for column in range(len(rows[0]))], rows)
    lines = table.markdown().split("\n")[2:]
    assert len(lines) == len(rows) + 2
    for line in lines:
        assert line.replace("\\\\", "").replace("\\|", "").count("|") == len(rows[0]) + 1


def test_names_cannot_move_the_cursor_or_end_the_line() -> None:
    table = Table("a\x1b[2J title", ["", "x"], [["har\np\x1b]0;\x07\ud800", "1"]])
    title, header, row = table.text().splitlines()
    assert (title, header.strip()) == (r"a\x1b[2J title", "x")
    assert row == r"har\np\x1b]0;\x07\ud800  1"
    assert all(line.isprintable() for line in table.markdown().splitlines())


def test_no_name_in_the_csv_is_a_formula(report: Report) -> None:
    names = ["=cmd|' /C calc'!A0", "+1+1", "-5", "@x", "\t=1", "\r=1", "plain"]
    entries = dict.fromkeys(names, report.overall)
    rows = list(csv.reader(io.StringIO(to_csv(replace(report, categories=entries, videos=entries)), newline="")))
    assert {row[1].removeprefix("'") for row in rows[3:]} == {printable(name) for name in names}
    for cell in itertools.chain.from_iterable(rows):
        if cell[:1] and cell[0] in "=+-@\t\r":
            float(cell)


def test_csv_holds_every_number_exactly(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert len(rows) == 2 * (1 + len(report.categories) + len(report.videos))
    assert [row["scope"] for row in rows[:4]] == ["all", "all", "category", "category"]
    for row in rows:
        pair = {"all": {"": report.overall}, "category": report.categories, "video": report.videos}[row["scope"]]
        values = getattr(pair[row["name"]], row["meaning"])
        for metric in METRICS:
            value = getattr(values, metric)
            assert row[metric] == "" if value is None else float(row[metric]) == value


def test_scores_file_comes_back_as_it_was(tmp_path: Path, evaluation: Evaluation, report: Report) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(document_of(evaluation)))
    assert read_scores(path) == report


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "expected scores that"),
        ("{}", "expected scores that"),
        ('{"FSLA": 1}', "expected scores that"),
        ('{"FSLA": "1", "corrected": {}}', "FSLA is"),
        ('{"FSLA": 1, "corrected": []}', "corrected is a list"),
        ('{"FSLA": 1, "corrected": {"HOTA": true}}', "corrected.HOTA is true"),
        ('{"FSLA": 1, "corrected": {}, "per_video": []}', "per_video is a list"),
        ('{"FSLA": 1, "corrected": {}, "per_video": {"v": 1}}', "per_video.v"),
    ],
)
def test_what_is_no_scores_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(AnnotationError) as caught:
        read_scores(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_compare_says_what_changed(report: Report) -> None:
    other = with_overall(report, HOTA=30.0, IDSW=7, AP_small=None)
    table = compare(report, other, "other.json")[0]
    rows = {row[0].strip(): row[4:] for row in table.rows}
    assert rows["HOTA"] == ["27.52", "30.00", "-2.48"]
    assert rows["IDSW (count)"] == ["2", "7", "-5"]
    assert rows["small"] == ["34.68", "-", "-"]
    assert rows["FSLA"] == ["56.54", "56.54", "0.00"]
    found = differences(report, other)
    assert found["corrected"]["HOTA"] == {"other": 30.0, "difference": pytest.approx(-2.478152)}
    assert found["corrected"]["AP_small"]["difference"] is None
    assert found["HOTA"]["difference"] == 0


def test_compare_lists_what_both_runs_have(report: Report) -> None:
    other = replace(report, categories={"dog": report.categories["dog"]}, videos={})
    _, categories = compare(report, other, "other.json")
    assert [row[0] for row in categories.rows] == ["dog"]


def test_differences_carry_their_sign() -> None:
    assert [signed(value) for value in (1.0, -1.0, 0.001, -0.001, None)] == ["+1.00", "-1.00", "0.00", "0.00", "-"]


def test_reference_stands_alone_and_beside_a_run(report: Report) -> None:
    alone = {row[0]: row[3:6] for row in reference_table().rows}
    assert alone["avism-r50-coco"] == ["44.42", "64.52", "45.04"]
    assert alone["avism-swinl-coco"] == ["52.49", "71.13", "53.46"]
    assert alone["acvis-r50-coco"] == ["46.72", "65.02", "46.64"]
    papers = {row[0]: row[6] for row in reference_table().rows}
    assert papers["acvis-r50-in"].startswith("ICASSP 2026")
    ours = {name for name in alone if name == name.lower()}
    others = ("tpavi", "cavp")  # class maps have other metrics
    published = {name for name in preset_names() if not name.endswith("-tiny") and not name.startswith(others)}
    published -= {"seavis-r50"}
    assert ours == published, "published models that can be run; of SeaVIS no weights were published"
    assert len(alone) == len(PUBLISHED)
    beside = {row[0].strip(): row[3:6] for row in reference_table(report).rows}
    assert beside["this run"] == ["48.99", "19.78", "36.77"]
    assert beside["corrected"] == ["56.54", "27.52", "36.77"]


def test_costs_add_up_to_what_is_missing(evaluation: Evaluation, dataset: Dataset, report: Report) -> None:
    costs = find_costs(evaluation, dataset, 1000)
    assert report.overall.corrected.FSLA is not None
    assert sum(video.cost for video in costs.videos) == pytest.approx(100 - report.overall.corrected.FSLA)
    assert [video.cost for video in costs.videos] == sorted((video.cost for video in costs.videos), reverse=True)
    for video in costs.videos:
        assert pytest.approx(report.videos[video.video].corrected.FSLA) == video.FSLA
        assert 0 < video.wrong_frames <= video.frames
    assert "void_005" not in {video.video for video in costs.videos}


def test_costs_name_videos_frames_and_reasons(evaluation: Evaluation, dataset: Dataset) -> None:
    costs = find_costs(evaluation, dataset, 2)
    assert [video.video for video in costs.videos] == ["brass_011", "mix_007"]
    assert len(costs.frames) == 2
    videos, frames = cost_tables(costs)
    assert videos.header[1:] == ["cost", "FSLA", "wrong", "missed", "extra", "category", "under 0.5", "silent"]
    assert frames.rows[0][0] == "brass_011"
    assert frames.rows[0][2].endswith(".jpg")
    assert "extra" in frames.rows[0][4]
    entries = costs.to_json()
    json.dumps(entries, allow_nan=False)
    assert entries["frames"][0]["file_name"].startswith("brass_011/")
    assert entries["frames"][0]["why"] == frames.rows[0][4]


def test_plots_are_pictures(tmp_path: Path, evaluation: Evaluation) -> None:
    names = []
    for name, figure in plots.figures(evaluation):
        figure.savefig(tmp_path / name)
        names.append(name)
        data = (tmp_path / name).read_bytes()
        assert data.startswith(PNG)
        assert len(data) > 5000
    assert names == ["hota.png", "fsla.png", "precision_recall.png"]


def test_plots_draw_the_curves(evaluation: Evaluation) -> None:
    figures = dict(plots.figures(evaluation))
    for name, meaning, count in (("hota.png", 0, 3), ("fsla.png", 1, 4)):
        lines = figures[name].axes[meaning].lines
        assert len(lines) == count
        assert all(np.size(line.get_xdata()) == 19 for line in lines)
    released = np.asarray(figures["hota.png"].axes[0].lines[0].get_ydata())
    assert np.mean(released) == pytest.approx(evaluation.released.metric_values().HOTA)
    with_truth = [axes for axes in figures["precision_recall.png"].axes if axes.get_visible()]
    assert len(with_truth) == 12


def test_plots_of_nothing_are_drawn_too(tmp_path: Path) -> None:
    document = {
        "videos": [{"id": 1, "height": 4, "width": 4, "file_names": ["v/0.jpg"]}],
        "categories": [{"id": 1, "name": "a $ sign"}],
        "annotations": [],
    }
    path = tmp_path / "gt.json"
    path.write_text(json.dumps(document))
    empty = evaluate_dataset(read_truth(path, allow_empty=True))
    for name, figure in plots.figures(empty):
        figure.savefig(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(PNG)


def test_plots_without_matplotlib_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match="pip install"):
        plots.check_plots()
