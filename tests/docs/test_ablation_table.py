"""The tables of the ablations say what was measured and kept."""

from __future__ import annotations

import json

import online
from baselines.ablation_scores import ROWS
from baselines.ablation_table import table
from paths import ROOT

DOCUMENT = json.loads((ROOT / "benchmarks" / "results" / "ablations.json").read_text(encoding="utf-8"))
COLUMNS = ("FSLA", "HOTA", "mAP", "twins", "suppressed")


def test_every_row_was_measured() -> None:
    assert [(row["group"], row["name"]) for row in DOCUMENT["rows"]] == [(row.group, row.name) for row in ROWS]
    assert {row["steps"] for row in DOCUMENT["rows"] if row["group"] == "short"} == {850}


def test_the_docs_hold_the_table_of_the_kept_scores() -> None:
    assert table(DOCUMENT) in (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")


def test_the_first_page_holds_the_same_numbers() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    head = "| network | FSLA | HOTA | mAP | both twins tracked, % | silent objects suppressed, % |\n"
    lines = text.split(head)[1].split("\n\n")[0].splitlines()[1:]
    assert len(lines) == 10
    kept = {(row["group"], row["name"]): row["scores"] for row in DOCUMENT["rows"]}
    for line in lines:
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        group = "short" if name.endswith(", short budget") else "bundled"
        scores = kept[group, name.removesuffix(", short budget")]
        assert cells == ["-" if scores[c] is None else f"{scores[c]:.1f}" for c in COLUMNS], name


def test_the_online_table_is_the_one_that_was_measured() -> None:
    document = json.loads((ROOT / "benchmarks" / "results" / "online.json").read_text(encoding="utf-8"))
    assert online.table(document) in (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    from avis_cli.hub.manifest import load_manifest

    entry = load_manifest().models["seavis-tiny"]
    full = next(row for row in document["rows"] if row["name"] == "full" and row["group"] == "bundled")
    assert full["weights"] == entry.sha256, "measured with these weights"
    assert dict(entry.scores) == {name: round(full["scores"][name], 1) for name in ("mAP", "HOTA", "FSLA")}
