"""From the frames and the sound of a clip to its candidates: both passes, window by window, and again if memory ends.

First pass: token frames -> tokens. The tracker sees a window of them at a time, which for most clips is all of them.
Second pass: mask frames -> masks. A longer clip goes window by window through both: the tokens are dropped when the
window has been tracked, the mask features when they have been drawn; what grows with the clip is times and run lengths,
and these wait on disk when they are many. Where two windows overlap both are drawn, which says what their tracks have
in common (`associate`), and the masks of the earlier one count up to the middle.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.errors import AvisError
from avis_cli.inference import clip_frames
from avis_cli.inference.associate import Identities, Overlap
from avis_cli.inference.aurora import NO_REFINEMENT, require_refinement
from avis_cli.inference.clip_frames import ClipFrames
from avis_cli.inference.intra_op import threads_for
from avis_cli.inference.mask_frames import FeatureStore, MaskFrame, MaskFrames
from avis_cli.inference.memory import give_back, is_exhausted
from avis_cli.inference.online import segment_online
from avis_cli.inference.protocols import ClipModel, OnlineModel
from avis_cli.inference.track_accumulator import Masks, Span, TrackAccumulator, encoded
from avis_cli.inference.tracked_window import FrameEvidence, TrackedWindow, WindowSettings
from avis_cli.inference.windows import Plan, TokenWindow, choose_window, in_windows
from avis_cli.models.system import OnlineConfig
from avis_cli.models.tokens import FrameTokens
from avis_cli.options import SegmentOptions
from avis_cli.progress import Progress, silent
from avis_cli.results.clip import TokenFrame
from avis_cli.results.run_length import RunLength

THRESHOLD: float = SegmentOptions.threshold
"""Score a track must exceed, as released."""
MAX_GAP: float = SegmentOptions.max_gap
"""Seconds: what falls silent for longer is another object when it sounds again. A minute is the length of the clips
that the published networks keep identities over. It matters between windows only; within one the tracker decides."""

Embedder = Callable[[Sequence[Fraction]], Tensor | NDArray[np.float32]]
"""Times of token frames in seconds -> their audio embeddings (T, audio width)."""


def _ignore(warning: str) -> None:
    """For callers who want no warnings."""


@dataclass(frozen=True)
class ClipSettings:
    """What is asked of both passes.

    ``output_size``: height and width of the masks in pixels; ``threshold``: score that a candidate has to be able to
    exceed; ``gate``: whether a candidate is drawn only where it is heard, None for the model's own habit; ``window``:
    token frames that the tracker sees together, None for as many as free memory allows; ``max_gap``: seconds after
    which an object that sounds again in another window is a new one; ``record``: keep ``ClipMasks.evidence``;
    ``clean``: take specks and pinholes out of the masks; ``refine``: what checks the masks, where the gate leaves any:
    nothing or "aurora".
    """

    output_size: tuple[int, int]
    threshold: float = THRESHOLD
    gate: bool | None = None
    window: int | None = None
    max_gap: float | Fraction = MAX_GAP
    record: bool = False
    clean: bool = False
    refine: str = NO_REFINEMENT


@dataclass(frozen=True)
class ClipMasks:
    """What both passes found.

    ``times`` of the mask frames in seconds; for each candidate its ``masks``, one per mask frame, its score and class;
    ``admission``: for each what has to exceed the threshold, which is not the score where masks were refined;
    ``sounding``: the seconds in which each is heard, None where nothing was gated; ``evidence``: where it was asked
    for, of a clip of one window that was drawn ungated at its token frames; ``drawn``: for each mask frame whether its
    masks are the network's own, None where all are; ``token_frames``: how many instances sound in each, of a model that
    counts.
    """

    times: list[Fraction]
    masks: list[Masks]
    scores: list[float]
    classes: list[int]
    sounding: list[list[Span]] | None
    admission: list[float] | None = None
    evidence: FrameEvidence | None = None
    drawn: list[bool] | None = None
    token_frames: Sequence[TokenFrame] = ()


def segment_clip(
    model: ClipModel | OnlineModel[Any],
    frames: ClipFrames,
    embed: Embedder,
    settings: ClipSettings,
    progress: Progress = silent,
    warn: Callable[[str], None] = _ignore,
) -> ClipMasks:
    """Both passes over the frames of a clip, or the one of an online model: its candidates with their masks.

    Where memory runs out all is done once more with half as much at once, which ``warn`` is told. Raises AvisError if
    that is too much as well, UsageError for a refinement that the network has not the parts for.
    """
    if isinstance(model.config, OnlineConfig):
        with threads_for(model):
            return segment_online(model, frames, embed, settings, progress)
    require_refinement(model, settings.refine)
    attention = model.config.window
    window = choose_window(model.config, model.device) if settings.window is None else settings.window
    plan = Plan.of(window, attention, clip_frames.BATCH)

    def attempt(plan: Plan) -> ClipMasks | None:
        try:
            with threads_for(model):
                return _Passes(model, frames, embed, settings, plan, progress).run()
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


class _Passes:
    """A clip on its way through both passes, one window after another."""

    def __init__(
        self,
        model: ClipModel,
        frames: ClipFrames,
        embed: Embedder,
        settings: ClipSettings,
        plan: Plan,
        progress: Progress,
    ) -> None:
        self._model, self._frames, self._embed, self._progress = model, frames, embed, progress
        self._settings, self._plan = settings, plan
        self._localize, compute = model.localize, model.mask_features
        if settings.refine != NO_REFINEMENT:
            self._localize = partial(model.localize, frame_masks=True)
            compute = partial(model.mask_features, frame_masks=True)
        self._gated = model.config.gate if settings.gate is None else settings.gate
        if settings.record and (self._gated or not frames.sampling.one_grid):
            raise ValueError("evidence is recorded of ungated clips whose mask frames are the token frames")
        if settings.record and settings.refine != NO_REFINEMENT:
            raise ValueError("evidence is recorded of masks as the network draws them")
        self._features = FeatureStore()
        self._mask_frames = MaskFrames(compute, frames, self._features, plan.frames)
        self._identities = Identities(float(settings.max_gap))
        self._tracks = TrackAccumulator()
        self._counted_frames: list[TokenFrame] = []

    def run(self) -> ClipMasks:
        """Window after window: tokens, tracks, draw what it shares with the one before, associate, draw the rest."""
        earlier: TrackedWindow | None = None
        for tokens in in_windows(self._tokens(), self._plan):
            window = self._tracked(tokens)
            if earlier is not None:
                self._draw_shared(earlier, window)
            elif window.evidence is not None:
                none = np.zeros((0, len(window.classes)))
                window.ids = self._identities.associate(window.evidence, window.present, none, float(window.times[0]))
            until = None if tokens.last else window.times[self._plan.step]
            del tokens  # they are not needed any more
            for frame in self._counted(until):
                self._tracks.add(frame.time, window.ids, encoded(window.draw(frame)))
            earlier = window
        if earlier is not None:
            self._close(earlier, None)
        return self._found(earlier)

    def _tracked(self, tokens: TokenWindow) -> TrackedWindow:
        asked = self._settings
        settings = WindowSettings(
            asked.output_size, asked.threshold, self._gated, self._plan.shared, asked.clean, asked.refine
        )
        window = TrackedWindow(self._model, tokens, self._frames.sampling, settings, self._identities.gallery)
        if self._settings.record:
            window.record()
        return window

    def _tokens(self) -> Iterator[FrameTokens]:
        """First pass: tokens without their mask features, as many of which are kept as fixed memory holds."""
        fps = self._frames.sampling.fps
        total = self._frames.expected(fps)
        self._progress("listening and looking", 0, total)  # the clock of a rate starts with the work
        for times, images in self._frames.batches(fps):
            for first in range(0, len(times), self._plan.frames):
                some = slice(first, first + self._plan.frames)
                tokens = self._localize(images[some], self._embed(times[some]))
                self._features.keep(times[some], tokens.mask_features)
                if tokens.count is not None:
                    shares = zip(times[some], tokens.count.tolist(), strict=True)
                    self._counted_frames += [TokenFrame(float(time), count) for time, count in shares]
                yield tokens.without_masks()
            self._progress("listening and looking", len(self._features.times), total)

    def _draw_shared(self, earlier: TrackedWindow, window: TrackedWindow) -> None:
        """Second pass over the frames that two windows share, by both; these tell which tracks are the same objects."""
        assert window.evidence is not None
        seam = (window.times[0] + earlier.end) / 2
        overlap = Overlap(len(earlier.classes), len(window.classes))
        held: list[tuple[Fraction, list[RunLength | None]]] = []
        for frame in self._counted(earlier.end):
            before, after = earlier.draw(frame), window.draw(frame)
            overlap.add(before, after)
            if frame.time < seam:
                self._tracks.add(frame.time, earlier.ids, encoded(before))
            else:
                held.append((frame.time, encoded(after)))
        window.ids = self._identities.associate(
            window.evidence, window.present, overlap.ratio(), float(window.times[0])
        )
        for time, masks in held:
            self._tracks.add(time, window.ids, masks)
        self._close(earlier, seam)
        window.begin = seam
        self._tracks.forget(self._identities.alive, self._settings.threshold)

    def _counted(self, until: Fraction | None) -> Iterator[MaskFrame]:
        """The next mask frames, with progress."""
        total = self._frames.expected(self._frames.sampling.mask_fps)
        done = len(self._tracks.times)
        self._progress("drawing masks", done, total)
        for frame in self._mask_frames.until(until):
            yield frame
            done += 1
            if done % clip_frames.BATCH == 0:
                self._progress("drawing masks", done, total)
        self._progress("drawing masks", done, total)

    def _close(self, window: TrackedWindow, until: Fraction | None) -> None:
        """Take in what a window that has been drawn says of its objects."""
        self._tracks.close(window.ids, window.classes, window.scores(), window.pixels, window.agreement())
        if window.gate is not None:
            begin = -math.inf if window.begin is None else float(window.begin)
            self._tracks.add_sounding(window.ids, window.gate.spans, begin, math.inf if until is None else float(until))

    def _found(self, last: TrackedWindow | None) -> ClipMasks:
        tracks = self._tracks.finished()
        recorded = self._settings.record and last is not None
        if recorded and last is not None and last.evidence is not None:
            raise ValueError("evidence is recorded of clips of one window")
        return ClipMasks(
            self._tracks.times,
            [track.masks for track in tracks],
            [track.score for track in tracks],
            [track.category for track in tracks],
            [track.sounding for track in tracks] if self._gated else None,
            None if self._settings.refine == NO_REFINEMENT else [track.admission for track in tracks],
            last.frame_evidence() if recorded and last is not None else None,
            token_frames=self._counted_frames,
        )
