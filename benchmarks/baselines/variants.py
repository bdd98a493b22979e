"""The rows of the benchmark table: a variant of how a network is used each, scored on a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from avis_cli.datasets.tracks import Category, Dataset
from avis_cli.inference.model import Model
from avis_cli.models.training import AudioAblation
from avis_cli.progress import Progress, silent
from avis_cli.train.clips import ClipSource
from avis_cli.train.predict import predict, silent_objects, truth_of
from avis_cli.train.validate import Validation, validate, validate_dataset
from baselines.detections import Detection, detect
from baselines.linking import Trail, as_tracks, linked_by_appearance
from baselines.sort import linked_by_sort

Linker = Callable[[list[list[Detection]]], list[Trail]]


@dataclass(frozen=True)
class Variant:
    """``audio``: what the network hears; ``gated``: whether tracks are silenced by the model's own threshold;
    ``linker``: what makes tracks of the frame level's detections, None for the network's own tracker."""

    audio: AudioAblation = field(default_factory=AudioAblation)
    gated: bool = True
    linker: Linker | None = None


VARIANTS: dict[str, Variant] = {
    "full": Variant(),
    "muted": Variant(AudioAblation(muted=True)),
    "gate off": Variant(gated=False),
    "tracker off": Variant(linker=linked_by_appearance),
    "SORT": Variant(linker=linked_by_sort),
}
"""By name, for a network that was trained to hear."""


def score(model: Model, source: ClipSource, variant: Variant, on_progress: Progress = silent) -> Validation:
    """The scores of one variant of using ``model`` on all clips of ``source``."""
    if variant.linker is None:
        predicted = predict(model, source, len(source), variant.audio, on_progress)
        return validate(predicted, model.config.gate_threshold if variant.gated else None)
    videos, quiet = [], []
    for number in range(len(source)):
        clip = source.read(number, range(source.length(number)))
        trails = variant.linker(detect(model, clip, variant.audio))
        videos.append(replace(truth_of(clip, number), predictions=as_tracks(trails, len(clip.frames))))
        quiet.append(silent_objects(clip))
        on_progress("frame level", number + 1, len(source))
    categories = [Category(number + 1, name) for number, name in enumerate(source.categories)]
    return validate_dataset(Dataset(categories, videos), quiet, None)
