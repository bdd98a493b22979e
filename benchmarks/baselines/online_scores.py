"""What an online network is worth on a split, in every way of using it, with intervals over clips.

At a clip's first frame a network that hears the second before it has heard nothing. All networks are therefore judged
from the second frame on, those that hear the second that starts at a frame too; what the first frame costs is told
apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from avis_cli.datasets.tracks import Category, Dataset, Mask, PredictedTrack, TruthTrack
from avis_cli.evaluate.instances.scores import evaluate_dataset
from avis_cli.inference.clip_frames import ArrayFrames
from avis_cli.inference.model import Model
from avis_cli.inference.segment_clip import THRESHOLD, ClipSettings, segment_clip
from avis_cli.models.tokens import OnlineFrame, OnlineTrack
from avis_cli.models.training import AudioAblation
from avis_cli.results.run_length import RunLength
from avis_cli.train.clips import ClipSource, hearing
from avis_cli.train.predict_online import SeenClips, observe
from avis_cli.train.validate import as_listed, share_suppressed, validate_dataset
from baselines.bootstrap import METRICS, Samples, interval, resampled
from baselines.variants import SwappedSound

DRAWS, SEED = 1000, 0
UNHEARD = 1  # token frames at a clip's beginning that are not judged
TOUCHED = 0.1  # share of a silent object from which a mask counts as on it, in the strict count
ALIKE = 0.5  # cosine from which candidates of two frames may be one object, in the baseline


@dataclass(frozen=True)
class Use:
    """``audio``: what the network hears; ``swapped``: another clip's sound; ``gated``: whether embeddings say what
    sounds; ``linked``: "memory", or "frame before" for minimum-cost matching with the last frame (MinVIS)."""

    audio: AudioAblation = field(default_factory=AudioAblation)
    swapped: bool = False
    gated: bool = True
    linked: str = "memory"


USES: dict[str, Use] = {
    "full": Use(),
    "muted": Use(AudioAblation(muted=True)),
    "another clip's sound": Use(swapped=True),
    "gate off": Use(gated=False),
    "matched to the frame before": Use(linked="frame before"),
}


@dataclass(frozen=True, eq=False)
class Scored:
    """``row``: scores and intervals, as JSON; ``draws`` of the bootstrap."""

    row: dict[str, Any]
    draws: Samples


def score(model: Model, source: ClipSource, uses: Sequence[str]) -> dict[str, Scored]:
    """Scores of each of ``uses``, by its name. ``source``: the split as it is, with the second that starts at a
    frame."""
    seen: dict[tuple[bool, bool], SeenClips] = {}
    scored: dict[str, Scored] = {}
    for name in uses:
        use = USES[name]
        heard = use.audio.muted, use.swapped
        if heard not in seen:
            given: ClipSource = SwappedSound(source) if use.swapped else source
            delayed = hearing(given, model.config.sound_lookahead, model.config.fps)
            seen[heard] = observe(model, delayed, len(source), use.audio)
        dataset, silent = heard_part(tracks_of(seen[heard], use), seen[heard].silent)
        evaluation = evaluate_dataset(as_listed(dataset))
        draws = resampled(evaluation.videos, evaluation.categories, DRAWS, SEED)
        row: dict[str, Any] = {"scores": numbers(dataset, silent), "intervals": intervals(draws)}
        if name == "full":
            row["changes"] = by_change(dataset)
        if "full" in scored:
            row["differences"] = intervals(draws - scored["full"].draws)
        scored[name] = Scored(row, draws)
    return scored


def intervals(draws: Samples) -> dict[str, tuple[float, float]]:
    """Of each metric."""
    return {metric: interval(draws[:, column]) for column, metric in enumerate(METRICS)}


def tracks_of(seen: SeenClips, use: Use) -> Dataset:
    """Truth and tracks of clips, used in one way, by the threshold that the weights have."""
    linked = seen if use.linked == "memory" else replace(seen, network=cast(Any, MatchedToTheFrameBefore(seen.network)))
    config = seen.network.config
    return linked.dataset(config.gate_threshold) if use.gated else linked.dataset(None)


def numbers(dataset: Dataset, silent: Any) -> dict[str, float | None]:
    """The scores of a row, percent, in corrected meaning."""
    validation = validate_dataset(dataset, silent, None)
    corrected = validation.scores["corrected"]
    untouched = share_suppressed(dataset, silent, of_object=TOUCHED)
    return {
        **{name: corrected[name] for name in ("FSLA", "FSLA_none", "FSLA_single", "FSLA_multi", "HOTA", "mAP")},
        "twins": validation.twins,
        "suppressed": validation.suppressed,
        "untouched": None if untouched is None else 100.0 * untouched,
    }


@dataclass(frozen=True)
class _Matched:
    """The last frame's candidates: ``embed`` (P, C) of length 1, the ``ids`` they have and what each id ``was``: the
    sum of its class probabilities, and of how many frames."""

    embed: Any = None
    ids: tuple[int, ...] = ()
    was: dict[int, tuple[Any, int]] = field(default_factory=dict)
    named: int = 0


class MatchedToTheFrameBefore:
    """``network`` with MinVIS's rule of association (Huang et al., NeurIPS 2022, section 3.2): minimum-cost matching
    with the frame before by the cosine of embeddings, nothing remembered beyond it."""

    def __init__(self, network: Any) -> None:
        self._network, self.config = network, network.config

    def start(self, named: int = 0) -> _Matched:
        return _Matched(named=named)

    def rule(self, **changes: Any) -> Any:
        return self._network.rule(**changes)

    def link(self, state: _Matched, seen: Any, rule: Any) -> tuple[OnlineFrame, _Matched]:
        candidates = seen.candidates
        embed = candidates.embed / np.maximum(np.linalg.norm(candidates.embed, axis=1, keepdims=True), 1e-12)
        ids = [0] * len(candidates)
        if state.embed is not None and len(candidates):
            cosine = embed @ state.embed.T
            for row, column in zip(*linear_sum_assignment(cosine, maximize=True), strict=True):
                if cosine[row, column] >= ALIKE:
                    ids[row] = state.ids[column]
        named = state.named
        for place in range(len(ids)):
            if not ids[place]:
                named += 1
                ids[place] = named
        was, tracks = dict(state.was), []
        sounding = candidates.sounding(rule)
        for place, id in enumerate(ids):
            total, count = was.get(id, (0.0, 0))
            was[id] = total + candidates.probabilities[place], count + 1
            mean = was[id][0] / was[id][1]
            heard = float(sounding[place]) > rule.gate_threshold
            category = int(mean.argmax())
            tracks.append(
                OnlineTrack(id, category, float(mean.max()), float(sounding[place]), place if heard else None)
            )
        frame = OnlineFrame(seen.time, seen.size, tuple(tracks), seen.mask_embed, seen.mask_features)
        return frame, _Matched(embed, tuple(ids), was, named)


def heard_part(dataset: Dataset, silent: list[Any]) -> tuple[Dataset, list[Any]]:
    """Truth, tracks and silent objects from the first judged frame on."""
    videos = [
        replace(
            video,
            length=video.length - UNHEARD,
            file_names=video.file_names[UNHEARD:],
            truths=[_later_truth(track) for track in video.truths if any(track.masks[UNHEARD:])],
            predictions=[
                replace(track, masks=track.masks[UNHEARD:])
                for track in video.predictions
                if any(mask is not None for mask in track.masks[UNHEARD:])
            ],
        )
        for video in dataset.videos
    ]
    return replace(dataset, videos=videos), [[track[UNHEARD:] for track in objects] for objects in silent]


def _later_truth(track: TruthTrack) -> TruthTrack:
    return replace(track, masks=track.masks[UNHEARD:], areas=track.areas[UNHEARD:])


def first_frame_counted(model: Model, source: ClipSource) -> dict[str, float | None]:
    """Scores of an online network with the first frame of each clip, in which it cannot have heard what sounds."""
    delayed = hearing(source, model.config.sound_lookahead, model.config.fps)
    truths, silent = observe_truth(source)
    seen = replace(observe(model, delayed, len(source)), truths=truths)
    return numbers(seen.dataset(model.config.gate_threshold), silent)


def by_change(dataset: Dataset) -> dict[str, dict[str, float | None]]:
    """How many frames are right in every object at an IoU above 0.5, by what the truth did since the frame before: of
    "as before", "begins" (an object, whatever else ends) and "ends" the ``frames`` and which share is ``right``, in
    percent."""
    counts = {name: [0, 0] for name in ("as before", "begins", "ends")}
    for video, found in zip(dataset.videos, evaluate_dataset(as_listed(dataset)).videos, strict=True):
        sounding = np.array([[bool(area) for area in track.areas] for track in video.truths], bool)
        sounding = sounding.reshape(len(video.truths), video.length)
        begins = (sounding[:, 1:] & ~sounding[:, :-1]).any(axis=0)
        ends = (~sounding[:, 1:] & sounding[:, :-1]).any(axis=0)
        for limit, begun, ended in zip(found.corrected_frames.limit[1:], begins, ends, strict=True):
            count = counts["begins" if begun else "ends" if ended else "as before"]
            count[0] += 1
            count[1] += bool(limit > 0.5)
    return {
        name: {"frames": frames, "right": 100.0 * right / frames if frames else None}
        for name, (frames, right) in counts.items()
    }


def observe_truth(source: ClipSource) -> tuple[list[Any], list[Any]]:
    """Truth and silent objects of every clip."""
    from avis_cli.train.predict import silent_objects, truth_of

    clips = [source.read(number, range(source.length(number))) for number in range(len(source))]
    return [truth_of(clip, number) for number, clip in enumerate(clips)], [silent_objects(clip) for clip in clips]


def offline_tracks(model: Model, source: ClipSource, window: int | None) -> tuple[Dataset, list[Any]]:
    """Truth and tracks of an offline network that tracks ``window`` token frames together, None for whole clips; and
    the silent objects."""
    truths, silent = observe_truth(source)
    fps = Fraction(model.config.fps)
    videos = []
    for number, truth in enumerate(truths):
        clip = source.read(number, range(source.length(number)))
        length, height, width = clip.frames.shape[:3]
        audio = model.embed_log_mel(clip.patches)
        frames = ArrayFrames(np.ascontiguousarray(clip.frames.transpose(0, 3, 1, 2)), fps)

        def embed(times: Sequence[Fraction], audio: Tensor = audio) -> Tensor:
            return audio[[int(time * fps) for time in times]]

        found = segment_clip(model, frames, embed, ClipSettings((height, width), window=window or length))
        tracks = [
            PredictedTrack(place, found.classes[place] + 1, found.scores[place], [_mask(mask) for mask in masks])
            for place, masks in enumerate(found.masks)
            if found.scores[place] > THRESHOLD
        ]
        videos.append(replace(truth, predictions=tracks))
    categories = [Category(number + 1, name) for number, name in enumerate(source.categories)]
    return heard_part(Dataset(categories, videos), silent)


def _mask(mask: RunLength | None) -> Mask | None:
    return None if mask is None else {"size": mask["size"], "counts": mask["counts"].encode("ascii")}


def weights_of(runs: Path, name: str) -> Path:
    """The weights of a trained row."""
    return runs / name / "model.safetensors"
