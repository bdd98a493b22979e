"""The rows of the benchmark table: one way of using a network each, scored on a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from avis_cli.datasets.tracks import Category, Dataset
from avis_cli.inference.model import Model
from avis_cli.progress import Progress, silent
from avis_cli.train.baselines.detections import Detection, detect
from avis_cli.train.baselines.linking import Trail, as_tracks, linked_by_appearance
from avis_cli.train.baselines.sort import linked_by_sort
from avis_cli.train.predict import Hearing, predict, silent_objects, truth_of
from avis_cli.train.source import ClipSource
from avis_cli.train.validate import Validation, validate, validate_dataset

Linker = Callable[[list[list[Detection]]], list[Trail]]


@dataclass(frozen=True)
class Way:
    """``hearing``: what the network hears; ``gated``: whether tracks are silenced by the model's own threshold;
    ``linker``: what makes tracks of the frame level's detections, None for the network's own tracker."""

    hearing: Hearing = field(default_factory=Hearing)
    gated: bool = True
    linker: Linker | None = None


WAYS: dict[str, Way] = {
    "full": Way(),
    "muted": Way(Hearing(muted=True)),
    "gate off": Way(gated=False),
    "tracker off": Way(linker=linked_by_appearance),
    "SORT": Way(linker=linked_by_sort),
}
"""By name, for a network that was trained to hear."""


def score(model: Model, source: ClipSource, way: Way, progress: Progress = silent) -> Validation:
    """The scores of one way of using ``model`` on all clips of ``source``."""
    if way.linker is None:
        predicted = predict(model, source, len(source), way.hearing, progress)
        return validate(predicted, model.config.gate_threshold if way.gated else None)
    videos, quiet = [], []
    for number in range(len(source)):
        clip = source.read(number, range(source.length(number)))
        trails = way.linker(detect(model, clip, way.hearing))
        videos.append(replace(truth_of(clip, number), predictions=as_tracks(trails, len(clip.frames))))
        quiet.append(silent_objects(clip))
        progress("frame level", number + 1, len(source))
    categories = [Category(number + 1, name) for number, name in enumerate(source.categories)]
    return validate_dataset(Dataset(categories, videos), quiet, None)
