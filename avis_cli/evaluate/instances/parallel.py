"""Videos scored one after the other, or divided among processes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from avis_cli import memory
from avis_cli.datasets.tracks import Video
from avis_cli.errors import AvisError
from avis_cli.evaluate.instances.video_scores import VideoScores, score_video
from avis_cli.progress import Progress

# parts per process: a few, so that one with long videos does not keep the others waiting
_PARTS = 4


@dataclass(frozen=True)
class _Work:
    videos: Sequence[Video]
    categories: Sequence[int]
    first_prediction_in: int | None

    def score(self, indices: range) -> list[VideoScores]:
        return [
            score_video(video, self.categories, holds_first=video.id == self.first_prediction_in)
            for video in (self.videos[i] for i in indices)
        ]


def score_videos(
    videos: Sequence[Video],
    categories: Sequence[int],
    *,
    first_prediction_in: int | None,
    jobs: int,
    progress: Progress,
) -> list[VideoScores]:
    """In the order of ``videos``. ``first_prediction_in``: id of the video that holds the very first prediction."""
    work = _Work(videos, categories, first_prediction_in)
    processes = min(jobs, len(videos))
    step = 1 if processes < 2 else -(-len(videos) // (_PARTS * processes))
    parts = [range(start, min(start + step, len(videos))) for start in range(0, len(videos), step)]
    scored: list[VideoScores] = []
    for part in map(work.score, parts) if processes < 2 else _in_processes(work, parts, processes):
        scored += part
        progress("videos", len(scored), len(videos))
    return scored


# what a process works on, set once when it starts: with fork the masks are shared and never copied
_work: _Work | None = None


def _adopt(work: _Work) -> None:
    global _work
    # an interrupt goes to the whole group; the parent is the one to report it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The command line's handlers raise, which a pool takes for a task's error: a process that cannot hand over
    # its result would then not end when the pool ends it, and whoever waits for it would wait for ever.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    _work = work


def _score(indices: range) -> list[VideoScores]:
    assert _work is not None
    return _work.score(indices)


def _in_processes(work: _Work, parts: Sequence[range], processes: int) -> Iterator[list[VideoScores]]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # macOS libraries do not survive a fork, Windows has none
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    try:
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_adopt, initargs=(work,)) as pool:
            yield from pool.map(_score, parts)
    except BrokenProcessPool as failure:
        # what broke it is a traceback in text
        if memory.is_exhausted("", str(failure.__cause__)) or "MemoryError" in str(failure.__cause__):
            raise MemoryError("the processes of the evaluation") from None
        raise AvisError(
            "one of the processes of the evaluation was killed", hint="use fewer of them (--jobs)"
        ) from None
