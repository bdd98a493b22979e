"""The masks of a track or map, one per mask frame or None: how those of a file that nobody vouches for are read.

All of a list is worked on at once: to check one run length costs as much as to check a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from avis_cli.errors import AnnotationError
from avis_cli.files.strict_json import Node
from avis_cli.results import run_length
from avis_cli.results.disk_backed_masks import DiskBackedMasks
from avis_cli.results.run_length import RunLength
from avis_cli.results.source import MAX_SIDE

Masks = Sequence[RunLength | None]


def as_kept(masks: Masks) -> Masks:
    """Masks as a result keeps them: a list of its own, unless they wait on disk."""
    return masks if isinstance(masks, DiskBackedMasks) else list(masks)


def spans(masks: Masks, times: Sequence[float], end: float) -> list[tuple[float, float]]:
    """Seconds (start, end) in which there is a mask, each of those at ``times`` up to the next, the last to ``end``."""
    found: list[tuple[float, float]] = []
    for first, last, mask in zip(times, [*times[1:], end], masks, strict=True):
        if mask is not None and found and found[-1][1] == first:
            found[-1] = (found[-1][0], last)
        elif mask is not None:
            found.append((first, last))
    return found


def read_masks(node: Node, height: int, width: int, length: int) -> list[RunLength | None]:
    """The ``length`` segmentations of a list, each null or a run length of ``height`` x ``width`` pixels.

    Raises AnnotationError naming the element that is neither.
    """
    node.items(length)  # refuses what is no list of this length
    masks: list[RunLength | None] = []
    counts: list[bytes] = []
    places: list[int] = []
    for index, value in enumerate(node.value):
        if value is None:
            masks.append(None)
            continue
        if not _is_run_length(value, height, width):
            _refuse(_element(node, index), height, width)
        try:
            counts.append(run_length.counts_as_bytes(value["counts"]))
        except AnnotationError as error:
            raise _at(node, index, error.cause, error.hint) from None
        masks.append({"size": value["size"], "counts": value["counts"]})
        places.append(index)
    fault = run_length.first_fault(counts, [height * width] * len(counts))
    if fault is not None:
        raise _at(node, places[fault[0]], fault[1])
    return masks


def read_mask(node: Node) -> RunLength | None:
    """Null, or a run length of any size. Raises AnnotationError."""
    if node.is_null:
        return None
    height, width = (item.integer(1, MAX_SIDE) for item in node.key("size").items(2))
    if height * width > run_length.MAX_PIXELS:
        node.key("size").refuse(f"at most {run_length.MAX_PIXELS} pixels", got=f"{width}x{height}")
    return read_masks(Node([node.value], node.name, node.file), height, width, 1)[0]


def check_derived(node: Node, key: str, masks: Masks, measure: Callable[[Masks], Iterable[Any]]) -> None:
    """What follows from the masks by ``measure``: a file may leave it out, but not contradict them."""
    if not node.has(key):
        return
    stated, derived = node.key(key), list(measure(masks))
    stated.items(len(derived))  # refuses what is no list of this length
    if stated.value == derived:
        return
    for item, right in zip(stated.items(), derived, strict=True):
        if item.value != right:
            expected = "null" if right is None else right
            item.refuse(f"{expected}, as the mask has it", hint=f"correct or leave out {key}")


def _is_run_length(value: Any, height: int, width: int) -> bool:
    """Whether a value has the form of one; its counts may still be wrong. Quick, for there are many."""
    if type(value) is not dict or type(value.get("counts")) is not str:
        return False
    size = value.get("size")
    return size == [height, width] and type(size[0]) is int and type(size[1]) is int


def _refuse(node: Node, height: int, width: int) -> NoReturn:
    """The error for an element that is no run length of that size."""
    size = [item.integer(1) for item in node.key("size").items(2)]
    if size != [height, width]:
        node.key("size").refuse(f"[{height}, {width}], the size of the source", got=str(size))
    node.key("counts").text()
    raise AssertionError("one of the above is not as it should be")


def _element(node: Node, index: int) -> Node:
    return Node(node.value[index], f"{node.name}[{index}]", node.file)


def _at(node: Node, index: int, cause: str, hint: str | None = None) -> AnnotationError:
    return AnnotationError(f"{_element(node, index).name}: {cause}", hint=hint, file=node.file)
