"""Links between the README and the pages of the docs lead somewhere, and every page is in the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs_pages import ROOT, blocks, pages

LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.MULTILINE)
INDEX = ROOT / "docs" / "README.md"


def _prose(page: Path) -> str:
    """The page without its fenced blocks."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(page):
        text = text.replace(block.text, "")
    return text


def _anchors(page: Path) -> set[str]:
    """The names that GitHub gives the headings of a page."""
    plain = (re.sub(r"[^\w\- ]", "", match["text"].lower()) for match in HEADING.finditer(_prose(page)))
    return {text.replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in pages()])
def test_links_lead_somewhere(page: Path) -> None:
    for match in LINK.finditer(_prose(page)):
        target, _, anchor = match["target"].partition("#")
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name}: {match['target']}"
        assert file.is_relative_to(ROOT), f"{page.name}: {match['target']} leads out of the repository"
        assert not anchor or anchor in _anchors(file), f"{page.name}: {match['target']}"


def test_every_page_is_in_the_index() -> None:
    linked = {match["target"] for match in LINK.finditer(_prose(INDEX))}
    assert {page.name for page in pages() if page.parent == INDEX.parent and page != INDEX} <= linked
