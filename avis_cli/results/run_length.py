"""Run-length masks in COCO's compressed form: column-major runs, background first, as JSON-safe text.

``{"size": [height, width], "counts": "..."}``. Counts of unknown origin are checked in Python before pycocotools,
whose C code trusts them, may see them: a run that ends early makes it read and write outside its buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from avis_cli.errors import AnnotationError

# 8192 x 8192. pycocotools allocates four bytes per pixel for a union, whatever the runs hold.
MAX_PIXELS = 1 << 26

_MAX_GROUPS = 7  # characters of 5 bits per number: more than any run of MAX_PIXELS can need
_BATCH_BYTES = 1 << 18  # of counts checked at a time: what bounds the memory of the check
# measured at a time, which bounds the memory for masks that wait on disk; pycocotools' area takes no more at once:
# with numpy 2 it fails at 256 (it puts their number into a byte that it does not use)
_BATCH_MASKS = 255
# where two masks have one at the same pixel, pycocotools takes it for the end of both; it writes none itself
_INNER_ZERO = "has length 0 between others"


Measured = TypeVar("Measured")


class RunLength(TypedDict):
    """``size``: [height, width] in pixels; ``counts``: COCO's compressed runs as text."""

    size: list[int]
    counts: str


def encode(mask: NDArray[np.bool_]) -> RunLength:
    """Boolean mask (H, W) -> run length."""
    packed = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in packed["size"]], "counts": packed["counts"].decode("ascii")}


def decode(run: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Run length -> boolean mask (H, W). Raises ``AnnotationError`` if ``run`` is not a valid run length."""
    return coco.decode(checked(run)).astype(bool)


def area(run: Mapping[str, Any]) -> int:
    """Number of foreground pixels. Raises ``AnnotationError`` if ``run`` is not a valid run length."""
    return int(coco.area(checked(run)))


def areas(runs: Iterable[RunLength | None]) -> Iterator[int | None]:
    """``area`` of each, None where there is none: many at a time, which is fast."""
    return _many(runs, lambda packed: coco.area(packed).tolist())


def bbox(run: Mapping[str, Any]) -> list[int]:
    """Tight box [x, y, width, height] in pixels, zeros for an empty mask. Raises ``AnnotationError`` as ``area``."""
    return [int(n) for n in coco.toBbox(checked(run))]


def bboxes(runs: Iterable[RunLength | None]) -> Iterator[list[int] | None]:
    """``bbox`` of each, None where there is none: many at a time, which is fast."""
    return _many(runs, lambda packed: coco.toBbox(packed).astype(np.int64).tolist())


def overlap(runs: Sequence[RunLength]) -> bool:
    """Whether any pixel belongs to more than one mask; all are of one size."""
    packed = checked_all(runs)
    return sum(area(run) for run in runs) != int(coco.area(coco.merge(packed)))


def _many(
    runs: Iterable[RunLength | None], measure: Callable[[list[dict[str, Any]]], list[Measured]]
) -> Iterator[Measured | None]:
    rest = iter(runs)
    while batch := list(islice(rest, _BATCH_MASKS)):
        there = [run for run in batch if run is not None]
        measured = iter(measure(checked_all(there)) if there else [])
        yield from (None if run is None else next(measured) for run in batch)


def checked(run: Mapping[str, Any]) -> dict[str, Any]:
    """``run`` with its counts as compressed ``bytes``, proven safe for pycocotools.

    Accepts compressed counts (text or bytes) and uncompressed ones (a list of run lengths). Raises
    ``AnnotationError`` without a file name: the caller knows it.
    """
    return checked_all([run])[0]


def checked_all(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``checked`` of each: one check of a hundred costs as much as that of one."""
    packed = [_packed(run) for run in runs]
    fault = first_fault([run["counts"] for run in packed], [run["size"][0] * run["size"][1] for run in packed])
    if fault is not None:
        raise AnnotationError(fault[1])
    return packed


def _packed(run: Mapping[str, Any]) -> dict[str, Any]:
    """``run`` with its counts as compressed ``bytes``, which are still to be checked."""
    if not isinstance(run, Mapping) or "size" not in run or "counts" not in run:
        raise AnnotationError(f'expected a run length {{"size": [h, w], "counts": ...}}, got {describe(run)}')
    height, width = checked_size(run["size"])
    counts = run["counts"]
    if isinstance(counts, list):
        return from_runs(height, width, counts)
    return {"size": [height, width], "counts": counts_as_bytes(counts)}


def checked_size(size: object) -> tuple[int, int]:
    """[height, width] as two positive integers of at most ``MAX_PIXELS`` pixels, or ``AnnotationError``."""
    if not isinstance(size, list | tuple) or len(size) != 2 or any(type(n) is not int for n in size):
        raise AnnotationError(f"size: expected two integers [height, width], got {describe(size)}")
    height, width = size
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise AnnotationError(f"size: expected 1 to {MAX_PIXELS} pixels, got {describe(size)}")
    return height, width


def counts_as_bytes(counts: object) -> bytes:
    """Compressed counts as ASCII bytes, not yet proven valid; ``AnnotationError`` if they are no text."""
    if isinstance(counts, bytes):
        return counts
    if not isinstance(counts, str):
        raise AnnotationError(f"counts: expected text or a list of run lengths, got {describe(counts)}")
    if counts.startswith(("b'", 'b"')):
        raise AnnotationError(
            f"counts: {describe(counts)} is a printed Python bytes object", hint="write counts.decode('ascii') instead"
        )
    try:
        return counts.encode("ascii")
    except UnicodeEncodeError as error:
        raise AnnotationError(f"counts: character {counts[error.start]!r} is not part of a run length") from None


def from_runs(height: int, width: int, runs: Sequence[object]) -> dict[str, Any]:
    """Uncompressed run lengths, background first -> compressed mask, or ``AnnotationError``."""
    for position, run in enumerate(runs):
        if type(run) is not int or run < 0:
            raise AnnotationError(f"counts: run {position} is {describe(run)}, expected a number of pixels")
    whole: list[int] = [run for run in runs if isinstance(run, int)]
    total = sum(whole)
    if total != height * width:
        raise AnnotationError(f"counts: the runs cover {total} pixels, expected {height} x {width}")
    if 0 in whole[1:-1]:
        raise AnnotationError(f"counts: run {whole.index(0, 1)} {_INNER_ZERO}")
    packed = coco.frPyObjects({"size": [height, width], "counts": whole}, height, width)
    return {"size": [height, width], "counts": packed["counts"]}


def first_fault(counts: Sequence[bytes], pixels: Sequence[int]) -> tuple[int, str] | None:
    """Position and reason of the first invalid mask, None if pycocotools may read them all.

    ``counts``: compressed run lengths, ``pixels``: height x width of each. Source of the encoding: COCO's maskApi
    (six bits per character from 48: five of the number, lowest first, one that says more follow; a signed number;
    from the fourth run on the difference to the run before last).
    """
    for start, stop in _batches(counts):
        fault = _first_fault(counts[start:stop], np.asarray(pixels[start:stop], dtype=np.int64))
        if fault is not None:
            return start + fault[0], fault[1]
    return None


def _batches(counts: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    start, size = 0, 0
    for position, text in enumerate(counts):
        size += len(text)
        if size >= _BATCH_BYTES:
            yield start, position + 1
            start, size = position + 1, 0
    if start < len(counts):
        yield start, len(counts)


def _first_fault(counts: Sequence[bytes], pixels: NDArray[np.int64]) -> tuple[int, str] | None:
    lengths = np.fromiter(map(len, counts), dtype=np.int64, count=len(counts))
    if not lengths.all():
        return int(lengths.argmin()), "counts: empty"
    ends = np.cumsum(lengths)
    digits = np.frombuffer(b"".join(counts), dtype=np.uint8) - 48  # wraps: everything else ends up above 63
    last = digits < 32
    for bad, reason in (
        (np.flatnonzero(digits > 63), "counts: a character that is not part of a run length"),
        (ends[~last[ends - 1]] - 1, "counts: cut off (the last character says that more follow)"),
    ):
        if bad.size:
            return int(np.searchsorted(ends, bad[0], side="right")), reason
    stops = np.flatnonzero(last)
    starts = np.empty_like(stops)
    starts[0], starts[1:] = 0, stops[:-1] + 1
    if (stops - starts).max() >= _MAX_GROUPS:
        long = starts[np.argmax(stops - starts >= _MAX_GROUPS)]
        return int(np.searchsorted(ends, long, side="right")), "counts: a run longer than any image"
    first = np.searchsorted(stops, ends - lengths)  # each mask's first run
    runs = _undo_differences(_numbers(digits, starts, stops), first)
    return _first_bad_sum(runs, first, pixels)


def _numbers(digits: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """The signed numbers that ``digits[start:stop + 1]`` spell, lowest five bits first."""
    # the sign is bit 4 of the last digit: as a five-bit two's complement number it carries the sign of the whole
    number = (digits[stops] & 31).astype(np.int64)
    number -= (number & 16) << 1
    longer = np.flatnonzero(stops > starts)
    at = stops[longer]
    while longer.size:
        at = at - 1
        number[longer] = (number[longer] << 5) | (digits[at] & 31)
        more = at > starts[longer]
        longer, at = longer[more], at[more]
    return number


def _undo_differences(numbers: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Run lengths from numbers that, from each mask's fourth on, are differences to the run before last.

    ``first``: each mask's position in ``numbers``. Sums every other number over all masks, then takes off what the
    masks before have left in the sum.
    """
    ends = np.append(first[1:], numbers.size)
    runs = np.empty_like(numbers)
    for parity in (0, 1):
        np.cumsum(numbers[parity::2], out=runs[parity::2])
    second = np.where(first > 0, runs[first - 1], 0)  # what the chain of the 2nd, 4th, ... run starts from
    third = runs[first]  # and that of the 3rd, 5th, ...: the first run belongs to neither
    for parity in (0, 1):
        lengths = (ends + 1 - parity) // 2 - (first + 1 - parity) // 2
        runs[parity::2] -= np.repeat(np.where(first % 2 == parity, third, second), lengths)
    runs[first] = numbers[first]
    return runs


def _first_bad_sum(
    runs: NDArray[np.int64], first: NDArray[np.int64], pixels: NDArray[np.int64]
) -> tuple[int, str] | None:
    totals = np.add.reduceat(runs, first)
    negative = np.minimum.reduceat(runs, first) < 0
    zeros = np.flatnonzero(runs == 0)
    owners = np.searchsorted(first, zeros, side="right") - 1
    inner = (zeros > first[owners]) & (zeros < np.append(first[1:], runs.size)[owners] - 1)
    blank = np.zeros(first.size, dtype=bool)
    blank[owners[inner]] = True
    bad = np.flatnonzero(negative | (totals != pixels) | blank)
    if not bad.size:
        return None
    index = int(bad[0])
    if negative[index]:
        return index, "counts: a negative run"
    if totals[index] != pixels[index]:
        return index, f"counts: the runs cover {totals[index]} pixels, expected {pixels[index]}"
    return index, f"counts: a run {_INNER_ZERO}"


def describe(value: object) -> str:
    """A value of unknown size for a message: at most some forty characters."""
    text = repr(value) if isinstance(value, str | int | float | bool | type(None)) else type(value).__name__
    if isinstance(value, list | tuple) and len(value) <= 4:
        text = "[" + ", ".join(describe(item) for item in value) + "]"
    return text if len(text) <= 40 else text[:37] + "..."
