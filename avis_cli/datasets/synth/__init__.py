"""A synthetic audio-visual world: drawn objects that sound or stay silent, with exact ground truth.

``scenes`` plans a clip, ``render`` draws it, ``soundtrack`` makes its sound, ``dataset`` adds the ground truth. The
ten categories, which all of these share, are named here: ids 1 to 10 in this order.
"""

from __future__ import annotations

NAMES = ("bell", "drum", "bird", "car", "phone", "kettle", "trumpet", "robot", "clock", "cat")
IDS = tuple(range(1, len(NAMES) + 1))


def name_of(category_id: int) -> str:
    """1 -> "bell"; ``category_id`` is one of ``IDS``."""
    return NAMES[category_id - 1]


def category_entries() -> list[dict[str, object]]:
    """The ``categories`` entry of an annotation file."""
    return [{"id": number, "name": name} for number, name in zip(IDS, NAMES, strict=True)]
