"""The first clips of the world that a layout has a place for, made by one process or by several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

import cv2

Job = TypeVar("Job")
Made = TypeVar("Made")

_EACH = 8  # clips handed to a process together
TRIED = 400
"""Clips for each that is wanted, after which none is believed to come."""


def first_made(
    make: Callable[[Job], Made | None], work: Iterable[Job], wanted: int, *, jobs: int = 1
) -> Iterator[Made]:
    """What ``make`` makes of the first ``wanted`` jobs of which it makes something, in their order: the same whatever
    the number of processes. Beside these a few more may be made, of which nothing is told."""
    if jobs == 1:
        yield from islice((made for made in map(make, work) if made is not None), wanted)
        return
    left = iter(work)
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        try:
            while wanted and (some := list(islice(left, max(jobs, min(wanted, _EACH * jobs))))):
                for made in islice((made for made in pool.map(make, some) if made is not None), wanted):
                    wanted -= 1
                    yield made
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
