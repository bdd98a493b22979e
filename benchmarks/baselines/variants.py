"""The rows of the benchmark table: a variant of how a network is used each, and what it finds in a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from avis_cli.datasets.tracks import Category, Dataset, Mask
from avis_cli.inference.model import Model
from avis_cli.inference.sort import linked_by_sort
from avis_cli.models.training import AudioAblation
from avis_cli.progress import Progress, silent
from avis_cli.train.clips import ClipSource, RawClip
from avis_cli.train.predict import predict, silent_objects, truth_of
from avis_cli.train.validate import Validation, validate_dataset
from baselines.detections import Detection, detect
from baselines.linking import Trail, as_tracks, linked_by_appearance

Linker = Callable[[list[list[Detection]]], list[Trail]]


@dataclass(frozen=True)
class Variant:
    """``audio``: what the network hears; ``swapped``: whether each clip has the sound of the next one, while the truth
    stays; ``gated``: whether tracks are silenced by the model's own threshold; ``linker``: what makes tracks of the
    frame level's detections, None for the network's own tracker."""

    audio: AudioAblation = field(default_factory=AudioAblation)
    swapped: bool = False
    gated: bool = True
    linker: Linker | None = None


VARIANTS: dict[str, Variant] = {
    "full": Variant(),
    "muted": Variant(AudioAblation(muted=True)),
    "another clip's sound": Variant(swapped=True),
    "gate off": Variant(gated=False),
    "tracker off": Variant(linker=linked_by_appearance),
    "SORT": Variant(linker=linked_by_sort),
}
"""By name, for a network that was trained to hear."""


@dataclass(frozen=True, eq=False)
class Found:
    """Truth and tracks of a split; ``silent`` as in `Predicted`; ``gate``: the threshold that was used, if any."""

    dataset: Dataset
    silent: list[list[list[Mask | None]]]
    gate: float | None

    def validation(self) -> Validation:
        """The scores."""
        return validate_dataset(self.dataset, self.silent, self.gate)


class SwappedSound:
    """``source`` with each clip's sound replaced by the next clip's, the last one's by the first's."""

    def __init__(self, source: ClipSource) -> None:
        self._source = source
        self.categories = source.categories

    def __len__(self) -> int:
        return len(self._source)

    def length(self, clip: int) -> int:
        """Token frames of a clip."""
        return self._source.length(clip)

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        """Frames of a clip with the sound of another, which starts again where it is shorter."""
        other = (clip + 1) % len(self._source)
        borrowed = [frame % self._source.length(other) for frame in frames]
        return replace(self._source.read(clip, frames), patches=self._source.read(other, borrowed).patches)


def find(model: Model, source: ClipSource, variant: Variant, on_progress: Progress = silent) -> Found:
    """What one variant of using ``model`` finds in all clips of ``source``."""
    if variant.swapped:
        source = SwappedSound(source)
    if variant.linker is None:
        predicted = predict(model, source, len(source), variant.audio, on_progress)
        gate = model.config.gate_threshold if variant.gated else None
        return Found(predicted.dataset(gate), predicted.silent, gate)
    videos, quiet = [], []
    for number in range(len(source)):
        clip = source.read(number, range(source.length(number)))
        trails = variant.linker(detect(model, clip, variant.audio))
        videos.append(replace(truth_of(clip, number), predictions=as_tracks(trails, len(clip.frames))))
        quiet.append(silent_objects(clip))
        on_progress("frame level", number + 1, len(source))
    categories = [Category(number + 1, name) for number, name in enumerate(source.categories)]
    return Found(Dataset(categories, videos), quiet, None)
