"""A document of ours with any value put anywhere in it, for readers of files of unknown origin."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists)


def put_anywhere(document: Any, value: Any, data: st.DataObject) -> None:
    """Replace one value of ``document``, which is drawn, by ``value``."""
    place = document
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = value
        return
