"""The pipeline: a video file -> the objects that sound in it, as a ``ClipResult``, or class maps of what sounds, as a
``SemanticResult``.

Which frames are looked at and what is heard with each; ``passes`` turns them into masks, and candidates that score
above the threshold become tracks.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.errors import MediaError, UsageError
from avis_cli.inference.clip_frames import ArrayFrames, Sampling, VideoFrames, network_size
from avis_cli.inference.flow_fill import fill_between, flow_size
from avis_cli.inference.in_world import Watched, bundled_entry, world_of
from avis_cli.inference.loading import load_model
from avis_cli.inference.map_instances import instances
from avis_cli.inference.map_sound import SampleReader
from avis_cli.inference.model import Model
from avis_cli.inference.protocols import ClipModel
from avis_cli.inference.segment_clip import THRESHOLD, ClipMasks, ClipSettings, Embedder, segment_clip
from avis_cli.inference.segment_maps import ClipMaps, Hear, class_maps, map_frames, segment_maps
from avis_cli.inference.track_accumulator import Span
from avis_cli.media import decode
from avis_cli.media.clip_info import ClipInfo, Waveform
from avis_cli.media.frames import USUAL_STEP
from avis_cli.nn.audio import token_windows
from avis_cli.options import FILL_RATE, SegmentOptions
from avis_cli.progress import Progress, silent
from avis_cli.results import masks
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.semantic import ClassMap, SemanticResult
from avis_cli.results.source import ModelInfo, Source

__all__ = ["segment", "segment_frames", "segment_maps"]

FRAME_SETTINGS = ("gate", "max_tracks", "refine")  # what ``segment_frames`` takes of SegmentOptions
REAL_FOOTAGE = "acvis-r50-coco"  # the model whose weights come by themselves
_HALF = 0.5  # probability from which a pixel of a map of one class sounds
SOUND_SECONDS = 60  # of a clip's sound in memory at once, twice that for frames far apart: 10 or 20 MB


def _ignore(warning: str) -> None:
    """For callers who want no warnings."""


def segment(
    path: str | os.PathLike[str],
    model: Model | str | os.PathLike[str] | None = None,
    options: SegmentOptions | None = None,
    *,
    progress: Progress = silent,
    warn: Callable[[str], None] = _ignore,
    **settings: Any,
) -> ClipResult | SemanticResult:
    """Which objects of a video file sound, where and when; or of a folder of pictures, with ``frame_rate`` of them a
    second and their sound in the file ``audio``. From a model of class maps a ``SemanticResult``, from any other a
    ``ClipResult``.

    ``model``: what ``load_model`` returned, or a name or file for it; None: the default model. ``options``: the
    settings of the run, each of which can be given as a keyword too (``threshold=0.2``, ``mask_fps="video"``):
    ``SegmentOptions`` says what there is, and ``avis segment --help`` what each does. ``precision`` is that of a model
    given by name. ``warn`` is told what is unusual about the clip, in a line each.
    Raises MediaError for a file that cannot be used, UsageError for settings that cannot be, TypeError for one that
    there is not.
    """
    options = SegmentOptions.of(options, settings)
    if model is None or isinstance(model, str | os.PathLike):
        model = load_model(model, precision=options.precision)
    require_usable(model, options)
    sampling = choose_sampling(model, options)
    max_pixels = options.max_pixels or decode.DEFAULT_MAX_PIXELS
    clip = decode.probe(path, **options.reading)
    size = input_size(model, clip.height, clip.width)
    frames = VideoFrames(path, clip, sampling, size, max_pixels)
    if not (options.allow_silent or options.mute):
        clip.require_sound()
    for warning in clip.warnings:
        warn(warning)
    run = _Run(path, clip, model, options, sampling, frames, progress, warn)
    result = run.semantic() if model.is_semantic else run.instances()
    return replace(result, options=options.recorded(), video=os.path.abspath(os.fsdecode(path)))


@dataclass(frozen=True)
class _Run:
    """One clip about to go through a model."""

    path: str | os.PathLike[str]
    clip: ClipInfo
    model: Model
    options: SegmentOptions
    sampling: Sampling
    frames: VideoFrames
    progress: Progress
    warn: Callable[[str], None]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the masks."""
        return self.clip.height, self.clip.width

    def instances(self) -> ClipResult:
        """The objects that sound."""
        clip, model, options = self.clip, self.model, self.options
        sound = AudioReader(self.path, clip, self.sampling, mute=options.mute)
        wanted = ClipSettings(
            self.size, options.threshold, options.gate, options.window, options.max_gap,
            clean=options.clean, refine=options.refine,
        )  # fmt: skip
        world = world_of(model)
        watched = None if world is None else Watched(model, world)
        network = cast(ClipModel, watched or model)
        embed = self._embedder(sound)
        found = segment_clip(network, self.frames, embed, wanted, self.progress, self.warn)
        if options.fill == "flow":
            max_pixels = options.max_pixels or decode.DEFAULT_MAX_PIXELS
            pictures = VideoFrames(self.path, clip, self.sampling, flow_size(*self.size), max_pixels)
            found = fill_between(found, pictures, self.progress, clean=options.clean)
        source = self._end(sound, watched)
        result = describe(model, source, self.sampling, options.threshold, found, options.max_tracks)
        own = None if found.drawn is None else tuple(place for place, drawn in enumerate(found.drawn) if drawn)
        return replace(result, network_frames=own)

    def semantic(self) -> ClipResult | SemanticResult:
        """The class maps, or the objects that they are cut into."""
        model, options, config = self.model, self.options, self.model.config
        sound: AudioReader | SampleReader
        hear: Hear
        if config.hears == "samples":
            given = self.clip.audio
            if config.sound_channels == 2 and given is not None and given.channels == 1:
                self.warn(f"the sound has one channel, {model.name} hears two: all seems to come from the middle")
            hear = sound = SampleReader(self.path, self.clip, config, mute=options.mute)
        else:
            sound = AudioReader(self.path, self.clip, self.sampling, mute=options.mute)
            hear = self._embedder(sound)
        world = world_of(model)
        watched = None if world is None else Watched(model, world)
        drawn = map_frames(cast(Model, watched or model), self.frames, hear, self.size, self.progress)
        if options.instances != "none":
            found = instances(drawn)
            source = self._end(sound, watched)
            return describe(model, source, self.sampling, options.threshold, found, options.max_tracks)
        maps = class_maps(drawn, len(config.categories), clean=options.clean)
        return describe_maps(model, self._end(sound, watched), self.sampling, maps)

    def _embedder(self, sound: AudioReader) -> Embedder:
        def embed(times: Sequence[Fraction]) -> Tensor:
            seconds = times if self.model.is_semantic else heard_at(self.model, times)
            parts = [
                torch.as_tensor(listen(self.model, sound.during([max(time, Fraction(0)) for time in some]))(some))
                for some in _close_together(seconds)
            ]
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        return embed

    def _end(self, sound: AudioReader | SampleReader, watched: Watched | None) -> Source:
        """The clip's description when all of it has been read; what was unusual is told."""
        if sound.silent:
            self.warn("the sound is silent from beginning to end: nothing can be heard")
        failures = self.frames.failures
        if self.options.strict and failures:
            raise MediaError(
                f"{failures} frames cannot be decoded", hint="leave out --strict to skip them", file=self.path
            )
        for warning in self.frames.warnings:
            self.warn(warning)
        if watched is not None and watched.is_elsewhere():
            self.warn(_elsewhere(self.model, self.path))
        return Source.of(self.clip, failures)


def describe_maps(model: Model, source: Source, sampling: Sampling, found: ClipMaps) -> SemanticResult:
    """Class maps as a result."""
    names = model.config.categories
    maps = tuple(
        ClassMap(number, names[number - 1], masks, score)
        for number, masks, score in zip(found.classes, found.masks, found.scores, strict=True)
    )
    times = tuple(float(time) for time in found.times)
    info = _model_info(model, sampling, _HALF, of_video=sampling.mask_fps is None)
    return SemanticResult(source, info, tuple(enumerate(names, start=1)), times, maps)


def _elsewhere(model: Model, path: str | os.PathLike[str]) -> str:
    entry = bundled_entry(model)
    about = "" if entry is None else f": {model.name} was trained on {entry.trained_on}"
    command = f"avis segment {shlex.quote(os.fsdecode(path))} --model {REAL_FOOTAGE}"
    return f"the pictures are unlike those of the training{about}; try {command}"


def require_usable(model: Model, options: SegmentOptions) -> None:
    """Raises UsageError for settings that a model of this kind has no use for."""
    unused: tuple[str, ...] = ("instances",)
    if model.is_semantic:
        unused = ("window", "max_gap", "refine", "fill", "gate")
        # objects have scores; a pixel of a map is its likeliest class
        unused += ("threshold", "max_tracks") if options.instances == "none" else ("clean",)
        why, instead = "makes class maps", "a model that tells objects apart"
    elif model.is_online:
        unused += ("window", "max_gap", "refine", "fill")
        why, instead = "goes through a clip frame by frame", "a model that sees clips whole"
    else:
        why, instead = "tells objects apart itself", "a model of class maps"
    for name in unused:
        if getattr(options, name) != getattr(SegmentOptions, name):
            raise UsageError(f"{name} with {model.name}, which {why}", hint=f"leave it out, or take {instead}")
    given = options.fps, options.mask_fps
    if model.is_semantic and None not in given and given[0] != given[1]:
        raise UsageError(
            f"fps {given[0]} and mask_fps {given[1]} with {model.name}, which hears what it draws, frame by frame",
            hint="give one of them",
        )


def heard_at(model: Model, times: Sequence[Fraction]) -> Sequence[Fraction]:
    """When the second of sound begins that belongs to the token frame at each of ``times``; before 0 there is none."""
    if not model.is_online:
        return times
    before = 1 - Fraction(str(model.config.sound_lookahead))  # as the decimals say: 0.7 is no binary fraction
    return [time - before for time in times]


def input_size(model: Model, height: int, width: int) -> tuple[int, int]:
    """Height and width in pixels at which a picture goes into the network."""
    config = model.config
    if not model.is_semantic:
        return network_size(height, width, config.short_side, config.long_side)
    if config.side is not None:
        return config.side, config.side
    size, step = network_size(height, width, config.short_side, config.long_side), config.size_divisor
    return max(step, round(size[0] / step) * step), max(step, round(size[1] / step) * step)


def choose_sampling(model: Model, options: SegmentOptions) -> Sampling:
    """The rates and times of a run, with the preset's own in place of None."""
    token_rate = Fraction(model.config.fps) if options.fps is None else options.fps
    mask_rate = options.mask_fps
    if model.is_semantic:
        mask_rate = token_rate if mask_rate is None else mask_rate
        token_rate = token_rate if isinstance(mask_rate, str) else mask_rate
    if mask_rate is None and options.fill == "flow":
        mask_rate = FILL_RATE
    if mask_rate is None:
        mask_rate = "video" if model.config.masks_every_frame else token_rate
    return Sampling(token_rate, None if isinstance(mask_rate, str) else mask_rate, options.start, options.end)


def _close_together(times: Sequence[Fraction]) -> Iterator[Sequence[Fraction]]:
    """Rising times in groups, each of them within ``SOUND_SECONDS``."""
    first = 0
    for index in range(1, len(times) + 1):
        if index == len(times) or times[index] + 1 > times[first] + SOUND_SECONDS:
            yield times[first:index]
            first = index


class AudioReader:
    """A clip's sound at its own rate, ``SOUND_SECONDS`` of it in memory at once; of a muted clip, or one without
    sound, silence. ``silent``: whether there was a sound to read, all of it was, and nothing but zeros in it so far."""

    def __init__(self, path: str | os.PathLike[str], clip: ClipInfo, sampling: Sampling, *, mute: bool) -> None:
        self._path, self._clip = path, clip
        self._held = Waveform(np.zeros(0, np.float32), start=sampling.start)
        self._readable = self.silent = clip.audio is not None and not mute
        self._from = sampling.start
        self._until = sampling.start if self._readable else None  # None: nothing is left to read
        # the last token frame hears a whole second, also beyond the end of a part of the clip
        self._last = None if sampling.end is None else sampling.end + 1

    def during(self, times: Sequence[Fraction]) -> Waveform:
        """Sound that has the second after each of ``times``, which rise, also from one call to the next unless they
        begin anew."""
        if self._readable and times[0] < self._from:
            self._until = times[0]
        if self._until is not None and times[-1] + 1 > self._until:
            # from where the last stretch ended, unless that is too far back
            near = self._until < times[0] and times[-1] + 1 <= self._until + 2 * SOUND_SECONDS
            begin = self._until if near else times[0]
            reach = max(begin + SOUND_SECONDS, times[-1] + 1)
            # what sounds longer than the picture is not heard, where the picture ends by its headers or later
            is_rest = self._last is None and reach >= self._clip.duration
            end = min(reach, self._last or reach)
            self._held = Waveform(np.zeros(0, np.float32))  # given back before the next stretch comes
            self._held = decode.read_waveform(
                self._path, self._clip, start=begin, end=end, rate=None, within_picture=is_rest
            )
            self.silent = self.silent and begin <= self._until and not self._held.samples.any()
            is_ended = is_rest and len(self._held.samples) < (end - begin) * self._held.sample_rate - 1
            self._from, self._until = begin, None if is_ended else end
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


def describe(
    model: Model,
    source: Source,
    sampling: Sampling,
    threshold: float,
    found: ClipMasks,
    max_tracks: int | None = None,
) -> ClipResult:
    """Candidates above the threshold as tracks, in falling score, which may be lower than it where masks were
    refined."""
    admission = found.scores if found.admission is None else found.admission
    order = sorted(range(len(found.scores)), key=lambda pair: -found.scores[pair])
    kept = [pair for pair in order if admission[pair] > threshold][:max_tracks]
    # a container's duration is a guess: the clip reaches at least to the last mask frame
    end = max(source.duration, float(found.times[-1]))
    end = end if sampling.end is None else min(float(sampling.end), end)
    names = model.config.categories
    tracks = []
    for id, pair in enumerate(kept, start=1):
        label = found.classes[pair]
        spans = _sounding(found, pair, sampling, end)
        tracks.append(Track(id, label + 1, names[label], min(found.scores[pair], 1.0), found.masks[pair], spans))
    info = _model_info(model, sampling, threshold, of_video=found.drawn is not None or sampling.mask_fps is None)
    times = tuple(float(time) for time in found.times)
    categories = tuple(enumerate(names, start=1))
    return ClipResult(source, info, categories, times, tuple(tracks), token_frames=tuple(found.token_frames))


def _model_info(model: Model, sampling: Sampling, threshold: float, *, of_video: bool) -> ModelInfo:
    return ModelInfo(
        name=model.name,
        preset=model.config.name,
        weights_sha256=model.weights_sha256,
        threshold=threshold,
        precision=model.precision,
        fps=float(sampling.fps),
        mask_fps="video" if of_video or sampling.mask_fps is None else float(sampling.mask_fps),
    )


def _sounding(found: ClipMasks, pair: int, sampling: Sampling, end: float) -> list[Span]:
    """Seconds in which a track sounds: where it is heard or, without a gate, has a mask; joined, cut at ``end``."""
    rate = None if found.drawn is not None else sampling.mask_fps  # where masks were carried every frame has its own
    spans = _with_masks(found, pair, rate) if found.sounding is None else found.sounding[pair]
    return [(first, max(first, min(last, end))) for first, last in spans]


def _with_masks(found: ClipMasks, pair: int, rate: Fraction | None) -> list[Span]:
    """Seconds in which a track has a mask, each mask frame up to the next; ``rate``: of the mask frames, None for the
    video's."""
    times = [float(time) for time in found.times]
    if not times:
        return []
    usual = times[-1] - times[-2] if len(times) > 1 else float(USUAL_STEP)
    return masks.spans(found.masks[pair], times, times[-1] + (float(1 / rate) if rate else usual))


def segment_frames(
    model: Model,
    frames: Tensor | NDArray[np.uint8],
    audio: Tensor | NDArray[np.float32],
    output_size: tuple[int, int],
    threshold: float = THRESHOLD,
    **settings: Any,
) -> ClipResult:
    """The objects that sound in frames that are already at network size, one token frame each.

    ``frames``: uint8 RGB (T, 3, h, w); ``audio``: one embedding per frame (T, 128); ``output_size``: height and width
    of the masks in pixels; ``settings``: ``gate``, ``max_tracks`` and ``refine``, as ``SegmentOptions`` has them.
    Nothing is resized on the way in, no media is touched. Raises UsageError for arrays and settings that cannot be,
    TypeError for a setting that there is not.
    """
    for name in settings:
        if name not in FRAME_SETTINGS:
            raise TypeError(f"segment_frames() takes no {name!r}, only {', '.join(FRAME_SETTINGS)}")
    options = SegmentOptions.of(None, settings)
    require_usable(model, options)
    fps = Fraction(model.config.fps)
    given, heard = (torch.as_tensor(array).cpu() for array in (frames, audio))
    clip = ArrayFrames(given.numpy(), fps)
    if heard.shape != (len(given), model.config.audio_width):
        raise UsageError(
            f"audio embeddings of shape {tuple(heard.shape)}, expected {(len(given), model.config.audio_width)}",
            hint="give one embedding per frame",
        )

    def embed(times: Sequence[Fraction]) -> Tensor:
        return heard[[int(time * fps) for time in times]]

    wanted = ClipSettings(output_size, threshold, options.gate, window=len(given), refine=options.refine)
    found = segment_clip(model, clip, embed, wanted)
    height, width = output_size
    source = Source("", width, height, 0, float(len(given) / fps), f"{fps.numerator}/{fps.denominator}", None)
    return describe(model, source, clip.sampling, threshold, found, options.max_tracks)
