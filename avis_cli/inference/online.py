"""A clip through a network of kind ``online``: one pass, each frame from what came before it and nothing else.

At a token frame the network says which objects sound; until the next one their masks are drawn in every mask frame from
the embeddings it gave. No windows, nothing to join: what is kept between two frames does not grow with the clip.
Letters: P candidates, M mask channels, h, w a mask map, H, W the output.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.inference.clean_masks import clean_mask
from avis_cli.inference.clip_frames import ClipFrames
from avis_cli.inference.decode_masks import MaskQuality, MaskSizes, decode_logits, mask_logits
from avis_cli.inference.protocols import OnlineModel
from avis_cli.inference.track_accumulator import TrackAccumulator, encoded
from avis_cli.inference.tracked_window import require_finite
from avis_cli.models.tokens import OnlineFrame, OnlineTrack
from avis_cli.progress import Progress, silent
from avis_cli.results import run_length
from avis_cli.results.frame import FrameResult, FrameTrack

if TYPE_CHECKING:
    from avis_cli.inference.segment_clip import ClipMasks, ClipSettings, Embedder


@dataclass(frozen=True, eq=False)
class DrawnTrack:
    """A sounding object in one frame. ``mask`` (H, W), None where it has no pixel; ``certainty`` and ``pixels``: sum of
    sigmoids inside the mask at network size, and how many pixels these are."""

    track: OnlineTrack
    mask: NDArray[np.bool_] | None
    certainty: float
    pixels: float

    @property
    def score(self) -> float:
        """Probability of the class so far times the mean sigmoid inside this mask (Cheng et al. 2022, section 3.4)."""
        return self.track.probability * self.certainty / (self.pixels + 1e-6)


def draw(frame: OnlineFrame, features: Tensor, output_size: tuple[int, int], divisor: int) -> list[DrawnTrack]:
    """The objects that sound at token frame ``frame``, in the picture whose mask ``features`` (M, h, w) these are.

    ``output_size``: height and width of the masks; ``divisor``: what pictures are padded to multiples of.
    """
    told = [(track, track.candidate) for track in frame.tracks if track.candidate is not None]
    if not told:
        return []
    with torch.inference_mode():
        require_finite(features, frame.mask_embed)
        sizes = MaskSizes.of(frame.size, divisor, output_size)
        logits = mask_logits(frame.mask_embed[[candidate for _, candidate in told]], features)
        masks = torch.zeros((len(told), *output_size), dtype=torch.bool, device=logits.device)
        quality: MaskQuality = decode_logits(logits, sizes, masks)
    drawn = zip(told, masks.cpu().numpy(), quality.total.tolist(), quality.pixels.tolist(), strict=True)
    return [
        DrawnTrack(track, mask if mask.any() else None, certainty, pixels)
        for (track, _), mask, certainty, pixels in drawn
    ]


def frame_result(
    frame: OnlineFrame, drawn: Sequence[DrawnTrack], categories: Sequence[str], *, time: float, index: int
) -> FrameResult:
    """What is told of one frame: the sounding objects with their masks, the silent ones that are remembered without."""
    masks = {one.track.id: one for one in drawn}
    tracks = []
    for track in frame.tracks:
        here = masks.get(track.id)
        score = track.probability * track.sounding if here is None else here.score
        mask = None if here is None or here.mask is None else run_length.encode(here.mask)
        tracks.append(
            FrameTrack(
                track.id, track.category + 1, categories[track.category], min(score, 1.0), here is not None, mask
            )
        )
    return FrameResult(time, tuple(tracks), index)


@dataclass
class _Seen:
    """One object over the frames so far."""

    category: int = 0
    probability: float = 0.0
    certainty: float = 0.0
    pixels: float = 0.0

    def add(self, drawn: DrawnTrack) -> None:
        self.category, self.probability = drawn.track.category, drawn.track.probability
        self.certainty += drawn.certainty
        self.pixels += drawn.pixels

    @property
    def score(self) -> float:
        return self.probability * self.certainty / (self.pixels + 1e-6)


@dataclass
class Told:
    """Which of the sounding objects are told. In a second it is those whose score at its token frame, over all frames
    so far, exceeds the ``threshold``: to leave out later what was told, or to tell later what was not, would take the
    future."""

    threshold: float
    seen: dict[int, _Seen] = field(default_factory=lambda: defaultdict(_Seen))
    ids: set[int] = field(default_factory=set)

    def begin(self, drawn: Sequence[DrawnTrack]) -> None:
        """The next token frame."""
        self.ids = set()
        for one in drawn:
            seen = self.seen[one.track.id]
            seen.add(one)
            if seen.score > self.threshold:
                self.ids.add(one.track.id)


def segment_online(
    model: OnlineModel[Any],
    frames: ClipFrames,
    embed: Embedder,
    settings: ClipSettings,
    progress: Progress = silent,
) -> ClipMasks:
    """The frames of a clip one after another: the objects that sound, with their masks. What `segment_clip` does for
    models that see a clip whole; ``window``, ``max_gap`` and ``refine`` of the settings mean nothing here."""
    sampling, divisor = frames.sampling, model.config.size_divisor
    told, found = Told(settings.threshold), TrackAccumulator()

    def begin(begun: Fraction, frame: OnlineFrame) -> list[DrawnTrack]:
        """A token frame: who is told until the next."""
        drawn = draw(frame, frame.mask_features, settings.output_size, divisor)
        told.begin(drawn)
        second = float(begun), float(begun + 1 / sampling.fps)
        found.add_sounding(sorted(told.ids), [[second]] * len(told.ids), *second)
        return drawn

    total = frames.expected(sampling.mask_fps)
    tokens = _token_frames(model, frames, embed, settings.gate)
    waiting = next(tokens, None)
    current: OnlineFrame | None = None
    drawn: list[DrawnTrack] = []
    progress("segmenting", 0, total)
    for times, images in frames.batches(sampling.mask_fps):
        for time, image in zip(times, images, strict=True):
            while waiting is not None and waiting[0] <= time:
                current = waiting[1]
                drawn = begin(*waiting)
                waiting = next(tokens, None)
            if current is not None and told.ids and float(time) != current.time:
                drawn = draw(current, model.mask_features(image[None])[0], settings.output_size, divisor)
            shown = [one for one in drawn if one.track.id in told.ids]
            masks = [clean_mask(one.mask) if settings.clean and one.mask is not None else one.mask for one in shown]
            found.add(time, [one.track.id for one in shown], encoded(masks))
        progress("segmenting", len(found.times), total)
    while waiting is not None:  # what sounds after the last mask frame is heard too
        begin(*waiting)
        waiting = next(tokens, None)
    return _finished(found, told)


def _finished(found: TrackAccumulator, told: Told) -> ClipMasks:
    from avis_cli.inference.segment_clip import ClipMasks

    seen = [told.seen[id] for id in found.ids]
    found.close(found.ids, [one.category for one in seen], [one.score for one in seen], [1.0] * len(seen))
    tracks = found.finished()
    return ClipMasks(
        found.times,
        [track.masks for track in tracks],
        [track.score for track in tracks],
        [track.category for track in tracks],
        [track.sounding for track in tracks],
        # the threshold has been held against every second
        [1.0] * len(tracks),
    )


def _token_frames(
    model: OnlineModel[Any], frames: ClipFrames, embed: Embedder, gate: bool | None
) -> Iterator[tuple[Fraction, OnlineFrame]]:
    """Token frames in order, each when it is asked for."""
    state = model.start()
    for times, images in frames.batches(frames.sampling.fps):
        for time, image, audio in zip(times, images, embed(times), strict=True):
            frame, state = model.observe(state, image, audio, time=float(time), gated=gate)
            yield time, frame
