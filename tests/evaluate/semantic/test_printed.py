"""Tables, CSV and curves of the values of scores.json."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, get_args

import pytest
from map_examples import evaluated, one_frame

from avis_cli.evaluate.semantic.document import MEASURES, class_value, document_of
from avis_cli.evaluate.semantic.evaluation import Task, evaluate_videos
from avis_cli.evaluate.semantic.plots import f_curve
from avis_cli.evaluate.semantic.printed import breakdowns, overall, to_csv

TASKS: tuple[Task, ...] = get_args(Task)
WIDTH = 100


def rows(document: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(document))))


@pytest.mark.parametrize("task", TASKS)
def test_every_number_of_a_csv_is_that_of_the_scores(task: Task) -> None:
    document = document_of(evaluated(task), task)
    found = rows(document)
    for row in found:
        source = document["per_video"][row["name"]] if row["scope"] == "video" else document
        for measure in MEASURES[task]:
            wanted = source[row["meaning"]].get(measure)
            if row["scope"] != "class":
                assert row[measure] == ("" if wanted is None else f"{wanted:.17g}")
    scopes = [row["scope"] for row in found if row["meaning"] == "corrected"]
    assert scopes.count("class") == (0 if task in ("s4", "ms3") else 4)
    assert scopes.count("video") == 4


def test_rows_of_classes() -> None:
    document = document_of(evaluated("avss"), "avss", {2: "=dog"})
    row = next(row for row in rows(document) if row["scope"] == "class" and row["name"].startswith("2"))
    assert row["name"] == "2 =dog"
    assert (row["meaning"], row["accumulated_miou"]) == ("released", "")
    assert float(row["fscore"]) == document["released"]["f_per_class"]["2"]
    sets = document_of(evaluated("cavp", class_count=22), "vpo")
    found = {row["name"]: row for row in rows(sets) if row["scope"] == "class" and row["meaning"] == "corrected"}
    assert list(found) == ["0", "1", "2", "3"]
    assert float(found["2"]["fdr"]) == class_value(sets["corrected"], "fdr", 2)


def test_names_are_safe_in_a_spreadsheet() -> None:
    video = one_frame([[1]], [[1]], "=1+1\n")
    [name] = [
        row["name"] for row in rows(document_of(evaluate_videos([video], "avss"), "avss")) if "1+1" in row["name"]
    ]
    assert name == "'=1+1\\n"


@pytest.mark.parametrize("task", [*TASKS, "vpo"])
def test_tables(task: Any) -> None:
    document = document_of(evaluated("cavp" if task == "vpo" else task), task, {1: "dog"})
    whole, parts = overall(document), breakdowns(document)
    assert whole.title == f"Class maps ({task}) in percent: 4 videos, 14 frames"
    assert f"{100 * document['corrected']['miou']:.2f}" in whole.text()
    assert [table.title for table in parts] == (
        ["By video"] if task in ("s4", "ms3") else ["By class that occurs", "By video"]
    )
    assert "three" in parts[-1].text()
    if len(parts) == 2:
        assert [row[0] for row in parts[0].rows] == ["0", "1 dog", "2", "3"]
    for table in (whole, *parts):
        assert all(len(line) <= WIDTH for line in table.text().splitlines())
        assert len({len(row) for row in [table.header, *table.rows]}) == 1
        assert sum(count for _, count in table.groups) in (0, len(table.header) - 1)


def test_what_is_undefined_is_a_dash_and_null() -> None:
    document = document_of(evaluate_videos([one_frame([[-1.0]], [[0]])], "ms3"), "ms3")
    assert "F" in overall(document).text()
    assert overall(document).rows[1] == ["F", "0.00", "-"]
    assert json.dumps(document, allow_nan=False)
    assert "curve" not in document
    assert [row["fscore"] for row in rows(document) if row["scope"] == "all"] == ["0", ""]


def test_the_curve_stands_in_the_values() -> None:
    document = document_of(evaluated("ms3"), "ms3")
    curve, corrected = document["curve"], document["corrected"]
    assert len(curve["thresholds"]) == len(curve["f"]) == 255
    assert max(curve["f"]) == corrected["fscore"] == curve["f"][corrected["fscore_at"]]


def test_curves_as_pictures() -> None:
    pytest.importorskip("matplotlib")
    document = document_of(evaluated("ms3"), "ms3")
    [axes] = f_curve(document).axes
    curve, best = (line.get_xydata().tolist() for line in axes.lines)  # type: ignore[union-attr]
    assert [value for _, value in curve] == [100 * value for value in document["curve"]["f"]]
    assert best == [curve[document["corrected"]["fscore_at"]]]
    quiet = document_of(evaluate_videos([one_frame([[-1.0]], [[0]])], "s4"), "s4")
    assert "undefined" in f_curve(quiet).axes[0].texts[0].get_text()
