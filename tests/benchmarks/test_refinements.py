"""The benchmark of the gate and AURORA: what each row runs, and how it is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import refinements
from paths import ROOT
from refinements import COLUMNS, ROWS, score_rows, table

from avis_cli.batch.dataset_run import DatasetOptions, run_clip
from avis_cli.datasets.synth.layout import SplitRequest, write_split
from avis_cli.inference.loading import load_model

BUNDLED = ROOT / "weights" / "avism-tiny.safetensors"


def test_rows_are_scored_and_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(tmp_path, SplitRequest("test", 3, seed=5, frames=3))
    asked: list[tuple[bool | None, str]] = []

    def watched(model: Any, clip: Any, options: DatasetOptions) -> Any:
        asked.append((options.gate, options.refine))
        return run_clip(model, clip, options)

    monkeypatch.setattr(refinements, "run_clip", watched)
    documents: list[dict[str, Any]] = []
    score_rows(load_model(str(BUNDLED)), tmp_path, "test", 2, documents.append, draws=20)
    assert [len(document["rows"]) for document in documents][-1] == len(ROWS)
    assert asked == [(row.gate, row.refine) for row in ROWS for _ in range(2)], "two clips of each row"
    document = documents[-1]
    assert document["clips"] == 2
    neither, gate, aurora, both = document["rows"]
    assert [("difference" in row) for row in (neither, gate, aurora, both)] == [False, False, True, True]
    lines = table(document).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert lines[0].count("|") == 1 + 3 + len(COLUMNS), "a name, two intervals, the scores"
    assert lines[5].startswith("| gate and AURORA | ")
    low, high = both["difference"]
    assert f"| {low:+.1f} to {high:+.1f} |" in lines[5]
    assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_each_row_with_aurora_is_compared_with_the_same_without() -> None:
    rows = {row.name: row for row in ROWS}
    for row in ROWS:
        assert (row.without is None) == (row.refine == "none")
        if row.without is not None:
            assert rows[row.without].gate == row.gate
            assert rows[row.without].refine == "none"
