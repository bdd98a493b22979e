"""How good a network is on a split: the metrics of `avis evaluate`, the best gate threshold, and what FSLA hardly
shows: whether two sounding instances of one category become two tracks, and silence stays empty."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pycocotools import mask as coco
from scipy.optimize import linear_sum_assignment

from avis_cli.datasets.tracks import Dataset, Mask, PredictedTrack, TruthTrack, Video
from avis_cli.evaluate.instances.scores import evaluate_dataset
from avis_cli.evaluate.report.scores_file import document_of
from avis_cli.inference.model import Model
from avis_cli.models.training import AudioAblation, Metrics
from avis_cli.progress import Progress, silent
from avis_cli.train.clips import ClipSource
from avis_cli.train.predict import Predicted, predict
from avis_cli.train.predict_online import fit_gate, observe
from avis_cli.train.validate_maps import MapValidation, validate_maps

GATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # thresholds that are tried
OVERLAP = 0.5  # IoU above which a track, or a silent object, counts as found


@dataclass(frozen=True)
class Validation:
    """Scores of one network on one split. ``gate``: the threshold they belong to, None without a gate; percent, None
    where undefined; ``twins``: of the clips with several sounding instances of a category, those with all tracked;
    ``suppressed``: of the silent visible objects, those left without a mask; ``scores``: everything, as scores.json;
    ``constants``: fields of the configuration that were fitted to the split, to be kept with the weights."""

    gate: float | None
    fsla: float | None
    hota: float | None
    precision: float | None
    twins: float | None
    suppressed: float | None
    scores: dict[str, Any]
    constants: Mapping[str, float] = field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        """What the log keeps."""
        values = {
            "FSLA": self.fsla,
            "HOTA": self.hota,
            "mAP": self.precision,
            "twins": self.twins,
            "suppressed": self.suppressed,
            "gate": self.gate,
        }
        return {name: value for name, value in values.items() if value is not None}

    def summary(self) -> str:
        """One line, corrected meaning."""
        return ", ".join(f"{name} {value:.2f}" for name, value in self.numbers().items())


@dataclass(frozen=True)
class ValidationRequest:
    """What to validate on: the first ``clips`` of ``source``, heard as ``audio`` lets the network, with the best of
    ``gates`` where the network has a gate."""

    source: ClipSource
    clips: int
    audio: AudioAblation
    gates: tuple[float, ...] = GATES


def validate_instances(model: Model, request: ValidationRequest, on_progress: Progress = silent) -> Validation:
    """The metrics of tracks in whole clips."""
    predicted = predict(model, request.source, request.clips, request.audio, on_progress)
    return best_gate(predicted, request.gates) if model.config.gate else validate(predicted, None)


def validate_online(model: Model, request: ValidationRequest, on_progress: Progress = silent) -> Validation:
    """The metrics of tracks that an online network finds frame by frame, its gate fitted to the clips first."""
    seen = observe(model, request.source, request.clips, request.audio, on_progress)
    constants = fit_gate(seen)
    found = [validate_dataset(seen.dataset(gate, **constants), seen.silent, gate) for gate in request.gates]
    best = max(found, key=lambda validation: validation.fsla or 0.0)
    return replace(best, constants=constants)


def _maps(model: Model, request: ValidationRequest, on_progress: Progress = silent) -> MapValidation:
    return validate_maps(model, request.source, request.clips, request.audio, on_progress)


METRICS: dict[Metrics, Callable[[Model, ValidationRequest, Progress], Validation | MapValidation]] = {
    "instances": validate_instances,
    "online": validate_online,
    "maps": _maps,
}
"""How the networks of a system are validated, by what its ``Training.metrics`` says."""


def validate(predicted: Predicted, gate: float | None) -> Validation:
    """All scores with the gate at one threshold, in corrected meaning (scores hold the released one too)."""
    return validate_dataset(predicted.dataset(gate), predicted.silent, gate)


def validate_dataset(dataset: Dataset, silent: list[list[list[Mask | None]]], gate: float | None) -> Validation:
    """As ``validate``, of tracks made in any way; ``silent`` as in `Predicted`."""
    scores = document_of(evaluate_dataset(as_listed(dataset)))
    corrected = scores["corrected"]
    suppressed = share_suppressed(dataset, silent)
    twins = count_twins(dataset).share
    return Validation(
        gate=gate,
        fsla=corrected["FSLA"],
        hota=corrected["HOTA"],
        precision=corrected["mAP"],
        twins=None if twins is None else 100.0 * twins,
        suppressed=None if suppressed is None else 100.0 * suppressed,
        scores=scores,
    )


def as_listed(dataset: Dataset) -> Dataset:
    """Predictions as a results list of the released program holds them: a mask for every frame, empty where there is
    none. The released metrics tell an empty mask from none, the corrected ones do not."""
    return replace(dataset, videos=[_listed(video) for video in dataset.videos])


def _listed(video: Video) -> Video:
    empty: Mask = dict(coco.encode(np.zeros((video.height, video.width), np.uint8, order="F")))
    filled = [
        replace(track, masks=[empty if mask is None else mask for mask in track.masks]) for track in video.predictions
    ]
    return replace(video, predictions=filled)


def best_gate(predicted: Predicted, gates: tuple[float, ...] = GATES) -> Validation:
    """The scores at the threshold whose FSLA is highest."""
    found = [validate(predicted, gate) for gate in gates]
    return max(found, key=lambda validation: validation.fsla or 0.0)


@dataclass(frozen=True)
class TwinCount:
    """Clips in which several instances of one category sound, and those where each has a track of its own."""

    clips: int
    found: int

    @property
    def share(self) -> float | None:
        """Found of all, None without such clips."""
        return self.found / self.clips if self.clips else None


def count_twins(dataset: Dataset) -> TwinCount:
    """A clip counts as found if all instances of every such category are matched one-to-one with predicted tracks of
    the category at a track IoU (over all frames of the clip) above 0.5."""
    clips = found = 0
    for video in dataset.videos:
        groups: dict[int, list[TruthTrack]] = defaultdict(list)
        for truth in video.truths:
            groups[truth.category_id].append(truth)
        several = {category: truths for category, truths in groups.items() if len(truths) > 1}
        if several:
            clips += 1
            found += all(
                _all_found(truths, [p for p in video.predictions if p.category_id == category])
                for category, truths in several.items()
            )
    return TwinCount(clips, found)


def _all_found(truths: Sequence[TruthTrack], predictions: Sequence[PredictedTrack]) -> bool:
    if len(predictions) < len(truths):
        return False
    good = np.array([[track_iou(t.masks, p.masks) > OVERLAP for p in predictions] for t in truths])
    rows, columns = linear_sum_assignment(good, maximize=True)
    return bool(good[rows, columns].sum() == len(truths))


def track_iou(one: Sequence[Mask | None], other: Sequence[Mask | None]) -> float:
    """Intersection over union of two tracks' masks, both summed over the frames."""
    common = union = 0.0
    for a, b in zip(one, other, strict=False):
        sizes = [float(coco.area(mask)) if mask is not None else 0.0 for mask in (a, b)]
        both = float(coco.area(coco.merge([a, b], intersect=True))) if a is not None and b is not None else 0.0
        common += both
        union += sum(sizes) - both
    return common / union if union else 0.0


def share_suppressed(
    dataset: Dataset, silent: Sequence[Sequence[Sequence[Mask | None]]], *, of_object: float | None = None
) -> float | None:
    """Of all (silent visible object, frame) pairs, the share that no predicted mask covers at an IoU above 0.5, or,
    more strictly, of which no predicted mask covers more than the share ``of_object``.

    ``silent``: per clip and object, the masks by frame where the object is seen and not heard. None without any.
    """
    pairs = covered = 0
    for video, objects in zip(dataset.videos, silent, strict=True):
        for track in objects:
            for frame, mask in enumerate(track):
                if mask is None:
                    continue
                pairs += 1
                drawn = [p.masks[frame] for p in video.predictions if p.masks[frame] is not None]
                if not drawn:
                    continue
                if of_object is None:
                    covered += float(np.max(coco.iou(drawn, [mask], [0]))) > OVERLAP
                else:
                    # pycocotools divides by the area of the first masks where the second ones are crowds
                    covered += float(np.max(coco.iou([mask], drawn, [1] * len(drawn)))) > of_object
    return 1.0 - covered / pairs if pairs else None
