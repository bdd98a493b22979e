"""Both passes, window by window: which windows, in which order they are tracked and drawn, and again if memory ends.

The tracker sees a window of token frames at a time, which for most clips is all of them. A longer clip goes window by
window through both passes: the tokens are dropped when the window has been tracked, the mask features when they have
been drawn; what grows with the clip is times and run lengths, and these wait on disk when they are many. Where two
windows overlap both are drawn, which says what their tracks have in common (see ``model.join``), and the masks of the
earlier one count up to the middle.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.errors import AvisError, UsageError
from avis_cli.inference import frames as pictures
from avis_cli.inference.associate import Identities, Overlap
from avis_cli.inference.feature_store import FeatureStore
from avis_cli.inference.frames import Picture
from avis_cli.inference.mask_frames import MaskFrame, MaskFrames
from avis_cli.inference.model import Model
from avis_cli.inference.track_accumulator import DrawnTracks, Masks, Span, encoded
from avis_cli.inference.tracked_window import Part
from avis_cli.inference.windows import Plan, choose_window, give_back, in_windows, is_exhausted
from avis_cli.models.tokens import FrameTokens
from avis_cli.progress import Progress, silent
from avis_cli.results.run_length import RunLength

MAX_GAP = 60.0
"""Seconds: what falls silent for longer is another object when it sounds again. A minute is the length of the clips
that the published networks keep identities over. It matters between windows only; within one the tracker decides."""

Embedder = Callable[[Sequence[Fraction]], Tensor | NDArray[np.float32]]
"""Times of token frames in seconds -> their audio embeddings (T, D)."""


def _ignore(warning: str) -> None:
    """For callers who want no warnings."""


@dataclass(frozen=True)
class ClipMasks:
    """What both passes found.

    ``times`` of the mask frames in seconds; for each candidate its ``masks``, one per mask frame, its score and class;
    ``sounding``: the seconds in which each is heard, None where nothing was gated.
    """

    times: list[Fraction]
    masks: list[Masks]
    scores: list[float]
    classes: list[int]
    sounding: list[list[Span]] | None


def find(
    model: Model,
    picture: Picture,
    embed: Embedder,
    output_size: tuple[int, int],
    threshold: float,
    gate: bool | None = None,
    progress: Progress = silent,
    *,
    window: int | None = None,
    max_gap: float | Fraction = MAX_GAP,
    warn: Callable[[str], None] = _ignore,
) -> ClipMasks:
    """Both passes over a picture: its candidates with masks of ``output_size`` (height, width).

    ``window``: token frames that the tracker sees together, None for as many as free memory allows; ``max_gap``:
    seconds after which an object that sounds again in another window is a new one. Where memory runs out all is done
    once more with half as much at once, which ``warn`` is told; AvisError if that is too much as well.
    """
    if window is not None and window < 1:
        raise UsageError(f"--window {window}, expected 1 token frame or more")
    if not max_gap >= 0:
        raise UsageError(f"--max-gap {max_gap}, expected 0 seconds or more")
    attention = model.config.window
    plan = Plan.of(choose_window(model.config, model.device) if window is None else window, attention, pictures.WINDOW)
    gated = model.config.gate if gate is None else gate

    def attempt(plan: Plan) -> ClipMasks | None:
        clip = _Clip(model, picture, embed, output_size, threshold, gated, plan, float(max_gap), progress)
        try:
            return clip.find()
        except (RuntimeError, MemoryError, OSError) as error:
            if not is_exhausted(error):
                raise
        return None

    found = attempt(plan)
    if found is None:
        # what the failed attempt held is free only now that its exception is gone
        gc.collect()
        give_back(model.device)
        plan = plan.halved(attention)
        warn(f"out of memory: tried again with windows of {plan.window} token frames, {plan.frames} frames at once")
        found = attempt(plan)
    if found is None:
        raise AvisError(
            f"out of memory on {model.device}, with windows of {plan.window} token frames as well",
            hint="try a smaller --window, a part with --start and --end, a smaller model, or another --device",
        )
    return found


class _Clip:
    """A clip on its way through both passes, one window after another."""

    def __init__(
        self, model: Model, picture: Picture, embed: Embedder, output_size: tuple[int, int], threshold: float,
        gated: bool, plan: Plan, max_gap: float, progress: Progress,
    ) -> None:  # fmt: skip
        self._model, self._picture, self._embed, self._progress = model, picture, embed, progress
        self._output_size, self._threshold, self._gated, self._plan = output_size, threshold, gated, plan
        self._features = FeatureStore()
        self._frames = MaskFrames(model, picture, self._features, plan.frames)
        self._identities = Identities(max_gap)
        self._tracks = DrawnTracks()

    def find(self) -> ClipMasks:
        """Window after window: look, track, draw what it shares with the one before, join, draw the rest."""
        sampling, plan = self._picture.sampling, self._plan
        earlier: Part | None = None
        for window in in_windows(self._look(), plan):
            part = Part(
                self._model, window, sampling, plan.shared, self._output_size, self._threshold, self._gated,
                self._identities.known,
            )  # fmt: skip
            if earlier is not None:
                self._draw_shared(earlier, part)
            elif part.evidence is not None:
                none = np.zeros((0, len(part.classes)))
                part.ids = self._identities.join(part.evidence, part.present, none, float(part.times[0]))
            until = None if window.last else part.times[plan.step]
            del window  # its tokens are not needed any more
            for frame in self._counted(until):
                self._tracks.add(frame.time, part.ids, encoded(part.draw(frame)))
            earlier = part
        if earlier is not None:
            self._close(earlier, None)
        return self._found()

    def _look(self) -> Iterator[FrameTokens]:
        """First pass: tokens without their mask features, as many of which are kept as fixed memory holds."""
        fps = self._picture.sampling.fps
        total = self._picture.expected(fps)
        self._progress("listening and looking", 0, total)  # the clock of a rate starts with the work
        for times, frames in self._picture.windows(fps):
            for first in range(0, len(times), self._plan.frames):
                some = slice(first, first + self._plan.frames)
                tokens = self._model.localize(frames[some], self._embed(times[some]))
                self._features.keep(times[some], tokens.mask_features)
                yield tokens.without_masks()
            self._progress("listening and looking", len(self._features.times), total)

    def _draw_shared(self, earlier: Part, part: Part) -> None:
        """Second pass over the frames that two windows share, by both; with these the later one's tracks are joined."""
        assert part.evidence is not None
        seam = (part.times[0] + earlier.end) / 2
        overlap = Overlap(len(earlier.classes), len(part.classes))
        held: list[tuple[Fraction, list[RunLength | None]]] = []
        for frame in self._counted(earlier.end):
            before, after = earlier.draw(frame), part.draw(frame)
            overlap.add(before, after)
            if frame.time < seam:
                self._tracks.add(frame.time, earlier.ids, encoded(before))
            else:
                held.append((frame.time, encoded(after)))
        part.ids = self._identities.join(part.evidence, part.present, overlap.ratio(), float(part.times[0]))
        for time, masks in held:
            self._tracks.add(time, part.ids, masks)
        self._close(earlier, seam)
        part.begin = seam
        self._tracks.forget(self._identities.alive, self._threshold)

    def _counted(self, until: Fraction | None) -> Iterator[MaskFrame]:
        """The next mask frames, with progress."""
        total = self._picture.expected(self._picture.sampling.mask_fps)
        done = len(self._tracks.times)
        self._progress("drawing masks", done, total)
        for frame in self._frames.until(until):
            yield frame
            done += 1
            if done % pictures.WINDOW == 0:
                self._progress("drawing masks", done, total)
        self._progress("drawing masks", done, total)

    def _close(self, part: Part, until: Fraction | None) -> None:
        """Take in what a window that has been drawn says of its objects."""
        self._tracks.close(part.ids, part.classes, part.masks.scores(), part.masks.pixels)
        if part.masks.gate is not None:
            begin = -math.inf if part.begin is None else float(part.begin)
            self._tracks.hear(part.ids, part.masks.gate.spans, begin, math.inf if until is None else float(until))

    def _found(self) -> ClipMasks:
        tracks = self._tracks.finished()
        return ClipMasks(
            self._tracks.times,
            [masks for _, masks, _, _ in tracks],
            [score for _, _, score, _ in tracks],
            [category for category, _, _, _ in tracks],
            [spans for _, _, _, spans in tracks] if self._gated else None,
        )
