"""How good a network of class maps is on a split: mean IoU and F over the classes, and J of all that sounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from avis_cli.evaluate.semantic import classes
from avis_cli.evaluate.semantic.binary import BinaryCounts
from avis_cli.evaluate.semantic.classes import ClassCounts
from avis_cli.inference.model import Model
from avis_cli.models.training import AudioAblation
from avis_cli.nn.map_batch import IGNORED
from avis_cli.progress import Progress, silent
from avis_cli.train.clips import ClipSource, RawClip, collate

_SOUNDING = 1  # the one class of a binary network


@dataclass(frozen=True)
class MapValidation:
    """Scores of one network on one split, in percent and corrected meaning, None where undefined.

    ``miou``, ``f``: over the classes that occur, the background among them; ``j``: IoU of all that sounds, over the
    frames; ``silent``: of the frames in which nothing sounds, those in which nothing is drawn; ``scores``: everything,
    as ratios.
    """

    miou: float | None
    f: float | None
    j: float | None
    silent: float | None
    scores: dict[str, Any]
    gate: float | None = None
    constants: Mapping[str, float] = field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        """What the log keeps."""
        values = {"mIoU": self.miou, "F": self.f, "J": self.j, "silent": self.silent}
        return {name: value for name, value in values.items() if value is not None}

    def summary(self) -> str:
        """One line."""
        return ", ".join(f"{name} {value:.2f}" for name, value in self.numbers().items())


@dataclass(frozen=True, eq=False)
class MapsOfClip:
    """Class maps (T, H, W) that were ``drawn`` and their ``truth``, of the frames of a clip that have one;
    ``sounding``: the logit of sounding at all."""

    drawn: NDArray[np.int64]
    truth: NDArray[np.int64]
    sounding: NDArray[np.float64]


def validate_maps(
    model: Model, source: ClipSource, clips: int, audio: AudioAblation, on_progress: Progress = silent
) -> MapValidation:
    """The metrics of class maps on the first ``clips`` clips of ``source``."""
    outputs = 2 if model.config.binary else model.config.outputs
    return score_maps(draw_maps(model, source, clips, muted=audio.muted, on_progress=on_progress), outputs)


def draw_maps(
    model: Model, source: ClipSource, clips: int, *, muted: bool = False, on_progress: Progress = silent
) -> Iterator[MapsOfClip]:
    """What the network draws of each clip, and what there is to draw."""
    count = min(clips, len(source))
    for number in range(count):
        clip = source.read(number, range(source.length(number)))
        truth, logits = truth_maps(clip), logits_of(model, clip, muted=muted)
        if clip.labelled is not None:
            truth, logits = truth[clip.labelled], logits[torch.from_numpy(clip.labelled)]
        if model.config.binary:
            truth = np.where(truth == IGNORED, 0, np.minimum(truth, _SOUNDING))
        binary = model.config.binary
        yield MapsOfClip(likeliest(logits, binary=binary), truth, sounding_logits(logits, binary=binary))
        on_progress("validation", number + 1, count)


def truth_maps(clip: RawClip) -> NDArray[np.int64]:
    """The class that sounds at each pixel of a clip, from 1, 0 for none: (T, H, W)."""
    truth = np.zeros(clip.masks.shape[1:], np.int64)
    for category, masks, heard in zip(clip.categories, clip.masks, clip.sounding, strict=True):
        truth[masks & heard[:, None, None]] = category + 1
    if clip.ignored is not None:
        truth[clip.ignored] = IGNORED
    return truth


def class_maps_of(model: Model, clip: RawClip, *, muted: bool = False) -> NDArray[np.int64]:
    """What a network draws of a clip at the size of its frames: (T, H, W), a class from 1 or 0."""
    return likeliest(logits_of(model, clip, muted=muted), binary=model.config.binary)


def likeliest(logits: Tensor, *, binary: bool) -> NDArray[np.int64]:
    """Logits (T, K, H, W) -> the class of each pixel (T, H, W); ``binary``: they have one output."""
    best = (logits[:, 0] > 0).long() if binary else logits.argmax(1)
    drawn: NDArray[np.int64] = best.numpy()
    return drawn


def sounding_logits(logits: Tensor, *, binary: bool) -> NDArray[np.float64]:
    """Logits (T, K, H, W) -> that of sounding at all, as whatever class (T, H, W)."""
    wide = logits.double()
    one: Tensor = wide[:, 0] if binary else wide[:, 1:].logsumexp(1) - wide[:, 0]
    found: NDArray[np.float64] = one.numpy()
    return found


@torch.inference_mode()
def logits_of(model: Model, clip: RawClip, *, muted: bool = False) -> Tensor:
    """What a network says of a clip at the size of its frames: float32 (T, K, H, W)."""
    config, (height, width) = model.config, clip.frames.shape[1:3]
    batch = collate([clip], divisor=config.size_divisor)
    frames = batch.frames[0]
    if config.side is not None:
        frames = F.interpolate(frames.float(), (config.side, config.side), mode="bilinear", antialias=True)
        frames = frames.round().to(torch.uint8)
    drawn = []
    for first in range(0, len(frames), config.clip_frames):
        some = slice(first, first + config.clip_frames)
        logits = model.segment(frames[some], _sound(model, clip, some, muted=muted))
        if config.side is not None:
            logits = F.interpolate(logits, batch.frames.shape[-2:], mode="bilinear")
        drawn.append(logits[..., :height, :width])
    return torch.cat(drawn)


def _sound(model: Model, clip: RawClip, frames: slice, *, muted: bool) -> Any:
    if model.config.hears == "samples":
        assert clip.samples is not None
        return np.zeros_like(clip.samples[frames]) if muted else clip.samples[frames]
    from avis_cli.nn.audio_encoder import SILENCE

    patches = clip.patches[frames]
    return model.embed_log_mel(np.full_like(patches, SILENCE) if muted else patches)


def score_maps(maps: Iterator[MapsOfClip], outputs: int) -> MapValidation:
    """The scores of class maps of ``outputs`` classes, the background among them."""
    counted, binary = [], []
    for one in maps:
        counted.append(ClassCounts.of(one.drawn, one.truth, outputs))
        sounding = one.drawn > 0
        binary.append(BinaryCounts.of(sounding, sounding.astype(np.float64), (one.truth > 0) & (one.truth != IGNORED)))
    if not counted:
        return MapValidation(None, None, None, None, {})
    scores, every = classes.scores(counted), BinaryCounts.join(binary)
    corrected, quiet = scores["corrected"], ~every.has_truth
    return MapValidation(
        miou=_percent(corrected["miou"]),
        f=_percent(corrected["fscore"]),
        j=_percent(every.iou(of_silence="all").mean()),
        silent=_percent((every.either[quiet] == 0).mean()) if quiet.any() else None,
        scores=scores,
    )


def _percent(value: Any) -> float | None:
    return None if value is None else 100.0 * float(value)
