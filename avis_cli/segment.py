"""The pipeline: a video file -> the objects that sound in it, as a ``ClipResult``.

Two passes over the picture (the tracker needs the tokens of the whole clip, which are small; the masks need the mask
features of every frame, which are large): token frames window by window to tokens, one call of the tracker, then mask
frames window by window to masks. Memory is bounded by the window, not by the clip.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avis_cli import run_length
from avis_cli.callable_module import make_callable
from avis_cli.errors import MediaError, UsageError
from avis_cli.loading import load_model
from avis_cli.media import decode
from avis_cli.media.clip import ClipInfo, Waveform
from avis_cli.model.audio import token_windows
from avis_cli.model.inference import Model
from avis_cli.model.mask_pass import FeatureStore, MaskPass
from avis_cli.model.tokens import FrameTokens
from avis_cli.picture import Picture, Sampling, VideoPicture, network_size
from avis_cli.progress import Progress, silent
from avis_cli.results import ClipResult, ModelInfo, Source, Track
from avis_cli.run_length import RunLength

__all__ = ["segment", "segment_frames"]

THRESHOLD = 0.3  # score a track must exceed, as released
SOUND_SECONDS = 600  # of a clip's sound in memory at once: about 0.1 GB

Embedder = Callable[[Sequence[Fraction]], Tensor | NDArray[np.float32]]
"""Times of token frames in seconds -> their audio embeddings (T, D)."""


def _ignore(warning: str) -> None:
    """For callers who want no warnings."""


def segment(
    path: str | os.PathLike[str],
    model: Model | None = None,
    *,
    fps: float | Fraction | None = None,
    mask_fps: float | Fraction | str | None = None,
    start: float | Fraction = 0,
    end: float | Fraction | None = None,
    threshold: float = THRESHOLD,
    max_tracks: int | None = None,
    audio_track: int | str | None = None,
    allow_silent: bool = False,
    mute: bool = False,
    gate: bool | None = None,
    strict: bool = False,
    max_pixels: int = decode.DEFAULT_MAX_PIXELS,
    progress: Progress = silent,
    warn: Callable[[str], None] = _ignore,
) -> ClipResult:
    """Which objects of a video file sound, where and when.

    ``fps``: token frames per second, the network's own by default; ``mask_fps``: mask frames per second, ``"video"``
    for every frame, the network's own habit by default; ``start``, ``end``: seconds. ``threshold``: score a track must
    exceed. ``allow_silent``: run a clip without sound as if it were silent; ``mute``: silence in place of the sound.
    ``gate``: whether a track has no mask in the frames where the network does not hear it (default: the preset's own).
    ``strict``: fail where a frame cannot be decoded, which otherwise is skipped and counted. ``warn`` is told what is
    unusual about the clip, in a line each.
    Raises MediaError for a file that cannot be used, UsageError for settings that cannot be.
    """
    model = load_model() if model is None else model
    sampling = choose_sampling(model, fps, mask_fps, start, end)
    clip = decode.probe(path, audio_track=audio_track, max_pixels=max_pixels)
    size = network_size(clip.height, clip.width, model.config.short_side, model.config.long_side)
    picture = VideoPicture(path, clip, sampling, size, max_pixels)
    if not (allow_silent or mute):
        clip.require_sound()
    sound = Hearing(path, clip, sampling, mute=mute)
    for warning in clip.warnings:
        warn(warning)

    def embed(times: Sequence[Fraction]) -> Tensor | NDArray[np.float32]:
        return listen(model, sound.during(times))(times)

    found = find(model, picture, embed, (clip.height, clip.width), threshold, gate, progress)
    if sound.silent:
        warn("the sound is silent from beginning to end: nothing can be heard")
    if strict and picture.failures:
        raise MediaError(
            f"{picture.failures} frames cannot be decoded", hint="leave out --strict to skip them", file=path
        )
    for warning in picture.warnings:
        warn(warning)
    return describe(model, Source.of(clip, picture.failures), sampling, threshold, found, max_tracks)


def choose_sampling(
    model: Model,
    fps: float | Fraction | None,
    mask_fps: float | Fraction | str | None,
    start: float | Fraction,
    end: float | Fraction | None,
) -> Sampling:
    """Settings with the preset's own in place of None, as exact fractions."""
    token_rate = Fraction(model.config.fps if fps is None else fps).limit_denominator(10**6)
    if mask_fps is None:
        mask_fps = "video" if model.config.masks_every_frame else token_rate
    if isinstance(mask_fps, str) and mask_fps != "video":
        raise UsageError(f"mask_fps {mask_fps!r}, expected frames per second or 'video'")
    mask_rate = None if isinstance(mask_fps, str) else Fraction(mask_fps).limit_denominator(10**6)
    return Sampling(token_rate, mask_rate, Fraction(start), None if end is None else Fraction(end))


class Hearing:
    """A clip's sound at its own rate, ``SOUND_SECONDS`` of it in memory at once; of a muted clip, or one without
    sound, silence. ``silent``: whether there was a sound to read and nothing but zeros in it so far."""

    def __init__(self, path: str | os.PathLike[str], clip: ClipInfo, sampling: Sampling, *, mute: bool) -> None:
        self._path, self._clip = path, clip
        self._held = Waveform(np.zeros(0, np.float32), start=sampling.start)
        self.silent = clip.audio is not None and not mute
        self._until = sampling.start if self.silent else None  # None: nothing is left to read
        # the last token frame hears a whole second, also beyond the end of a part of the clip
        self._last = None if sampling.end is None else sampling.end + 1

    def during(self, times: Sequence[Fraction]) -> Waveform:
        """Sound that has the second after each of ``times``, which rise, also from one call to the next."""
        if self._until is not None and times[-1] + 1 > self._until:
            reach = max(times[0] + SOUND_SECONDS, times[-1] + 1)
            is_rest = self._last is None and reach >= self._clip.duration
            end = None if is_rest else min(reach, self._last or reach)
            self._held = Waveform(np.zeros(0, np.float32))  # given back before the next stretch comes
            self._held = decode.read_waveform(self._path, self._clip, start=times[0], end=end, rate=None)
            self._until = end
            self.silent = self.silent and not self._held.samples.any()
        return self._held


def listen(model: Model, sound: Waveform, *, whole_seconds: bool = True) -> Embedder:
    """Times of token frames -> embeddings of the second of sound that starts at each.

    ``whole_seconds``: silence where the sound has ended; without it the released rule holds, by which a second with too
    few samples for one patch is a patch of zeros.
    """
    samples = torch.from_numpy(sound.samples)
    rate = sound.sample_rate

    def embed(times: Sequence[Fraction]) -> Tensor:
        windows = token_windows(samples, rate, times, sound.start)
        if whole_seconds:
            windows = [torch.nn.functional.pad(window, (0, rate - len(window))) for window in windows]
        return model.embed_audio(windows, rate)

    return embed


def localize(
    model: Model, picture: Picture, embed: Embedder, progress: Progress = silent
) -> tuple[FrameTokens, FeatureStore]:
    """First pass: the tokens of every token frame, and as many of their mask features as fixed memory holds."""
    fps = picture.sampling.fps
    parts: list[FrameTokens] = []
    features = FeatureStore()
    total = picture.expected(fps)
    progress("listening and looking", 0, total)  # the clock of a rate starts with the work
    for times, frames in picture.windows(fps):
        tokens = model.localize(frames, embed(times))
        features.keep(times, tokens.mask_features)
        parts.append(tokens.without_masks())
        progress("listening and looking", len(features.times), total)
    return FrameTokens.join(parts), features


@dataclass(frozen=True)
class ClipMasks:
    """What the second pass found.

    ``times`` of the mask frames in seconds; for each candidate its ``masks``, one per mask frame, its score and class;
    ``heard`` (P, T): booleans over token frames, None where nothing was gated.
    """

    times: list[Fraction]
    masks: list[list[RunLength | None]]
    scores: list[float]
    classes: list[int]
    heard: NDArray[np.bool_] | None


def find(
    model: Model,
    picture: Picture,
    embed: Embedder,
    output_size: tuple[int, int],
    threshold: float,
    gate: bool | None = None,
    progress: Progress = silent,
) -> ClipMasks:
    """Both passes over a picture: its candidates with masks of ``output_size`` (height, width)."""
    tokens, features = localize(model, picture, embed, progress)
    mask_pass = MaskPass(model, tokens, model.track(tokens), output_size, threshold, gate)
    return draw(mask_pass, model, picture, features, progress)


def draw(
    mask_pass: MaskPass, model: Model, picture: Picture, features: FeatureStore, progress: Progress = silent
) -> ClipMasks:
    """Second pass: the masks of every mask frame as run lengths, one window of frames at a time."""
    part = picture.sampling
    masks: list[list[RunLength | None]] = [[] for _ in range(len(mask_pass.pairs))]
    times: list[Fraction] = []
    total = picture.expected(part.mask_fps)
    last = len(features.times) - 1
    progress("drawing masks", 0, total)
    for window, frame_features in _mask_features(mask_pass, model, picture, features):
        for time, one in zip(window, frame_features, strict=True):
            token = min(int((time - part.start) * part.fps), last)
            if one is not None:
                _append(masks, mask_pass.frame(one, token))
            times.append(time)
        progress("drawing masks", len(times), total)
    return ClipMasks(times, masks, mask_pass.scores(), mask_pass.pairs.classes.tolist(), mask_pass.heard)


def _append(tracks: list[list[RunLength | None]], drawn: list[NDArray[np.bool_] | None]) -> None:
    """One frame's masks to the end of each candidate's list; candidates of one query share one mask."""
    encoded: dict[int, RunLength] = {}
    for track, mask in zip(tracks, drawn, strict=True):
        if mask is not None and id(mask) not in encoded:
            encoded[id(mask)] = run_length.encode(mask)
        track.append(None if mask is None else encoded[id(mask)])


def _mask_features(
    mask_pass: MaskPass, model: Model, picture: Picture, features: FeatureStore
) -> Iterator[tuple[list[Fraction], list[Tensor | None]]]:
    """Mask features of every mask frame, kept ones first; None where no candidate needs them."""
    rate = picture.sampling.mask_fps
    if rate == picture.sampling.fps and (features.complete or len(mask_pass.pairs) == 0):
        yield from (([time], [features.get(time)]) for time in features.times)
        return
    for times, frames in picture.windows(rate):
        kept = [features.get(time) for time in times]
        if len(mask_pass.pairs) > 0 and any(one is None for one in kept):
            kept = list(model.mask_features(frames))
        yield times, kept if len(mask_pass.pairs) > 0 else [None] * len(times)


def describe(
    model: Model,
    source: Source,
    sampling: Sampling,
    threshold: float,
    found: ClipMasks,
    max_tracks: int | None = None,
) -> ClipResult:
    """Candidates above the threshold as tracks, in falling score."""
    order = sorted(range(len(found.scores)), key=lambda pair: -found.scores[pair])
    kept = [pair for pair in order if found.scores[pair] > threshold][:max_tracks]
    # a container's duration is a guess: the clip reaches at least to the last mask frame
    end = max(source.duration, float(found.times[-1]))
    end = end if sampling.end is None else min(float(sampling.end), end)
    names = model.config.categories
    tracks = []
    for id, pair in enumerate(kept, start=1):
        label = found.classes[pair]
        spans = _sounding(found, pair, sampling, end)
        tracks.append(Track(id, label + 1, names[label], min(found.scores[pair], 1.0), found.masks[pair], spans))
    info = ModelInfo(
        name=model.name,
        preset=model.config.name,
        weights_sha256=model.weights_sha256,
        threshold=threshold,
        precision=model.precision,
        fps=float(sampling.fps),
        mask_fps="video" if sampling.mask_fps is None else float(sampling.mask_fps),
    )
    times = tuple(float(time) for time in found.times)
    return ClipResult(source, info, tuple(enumerate(names, start=1)), times, tuple(tracks))


def _sounding(found: ClipMasks, pair: int, sampling: Sampling, end: float) -> list[tuple[float, float]]:
    """Seconds in which a track sounds: where it is heard or, without a gate, has a mask; joined, cut at ``end``."""
    if found.heard is not None:
        starts = [sampling.start + token / sampling.fps for token in range(found.heard.shape[1])]
        present = found.heard[pair].tolist()
        step = 1 / sampling.fps
    else:
        starts = found.times
        present = [mask is not None for mask in found.masks[pair]]
        step = (
            1 / sampling.mask_fps
            if sampling.mask_fps
            else (starts[-1] - starts[-2] if len(starts) > 1 else Fraction(1, 25))
        )
    ends = [*starts[1:], starts[-1] + step] if starts else []
    spans: list[tuple[float, float]] = []
    for first, last, there in zip(starts, ends, present, strict=True):
        if there and spans and spans[-1][1] == float(first):
            spans[-1] = (spans[-1][0], float(last))
        elif there:
            spans.append((float(first), float(last)))
    return [(first, max(first, min(last, end))) for first, last in spans]


def segment_frames(
    model: Model,
    frames: Tensor | NDArray[np.uint8],
    audio: Tensor | NDArray[np.float32],
    output_size: tuple[int, int],
    threshold: float = THRESHOLD,
    *,
    gate: bool | None = None,
    max_tracks: int | None = None,
) -> ClipResult:
    """The objects that sound in frames that are already at network size, one token frame each.

    ``frames``: uint8 RGB (T, 3, h, w); ``audio``: one embedding per frame (T, 128); ``output_size``: height and width
    of the masks in pixels. Nothing is resized on the way in, no media is touched.
    """
    fps = Fraction(model.config.fps)
    tokens = model.localize(frames, audio)
    mask_pass = MaskPass(model, tokens, model.track(tokens), output_size, threshold, gate)
    masks: list[list[RunLength | None]] = [[] for _ in range(len(mask_pass.pairs))]
    for token, features in enumerate(tokens.mask_features):
        _append(masks, mask_pass.frame(features, token))
    found = ClipMasks(
        [token / fps for token in range(len(tokens))],
        masks,
        mask_pass.scores(),
        mask_pass.pairs.classes.tolist(),
        mask_pass.heard,
    )
    height, width = output_size
    source = Source("", width, height, 0, float(len(tokens) / fps), f"{fps.numerator}/{fps.denominator}", None)
    return describe(model, source, Sampling(fps, fps), threshold, found, max_tracks)


make_callable(__name__, segment)
