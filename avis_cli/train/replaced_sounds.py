"""What a model of class maps still draws when the sound of a clip is replaced by one that nothing in the picture makes:
the tests of AVSBench-Robust (Li et al., 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from avis_cli.evaluate.semantic.robustness import ReplacedSound, Robustness, robustness
from avis_cli.inference.model import Model
from avis_cli.nn.audio_encoder import SILENCE
from avis_cli.progress import Progress, silent
from avis_cli.train.clips import ClipSource, RawClip
from avis_cli.train.validate_maps import class_maps_of

NOISE = 0.1  # root mean square

Replace = Callable[[RawClip, RawClip], RawClip]
"""A clip and another one -> the clip with another sound."""


def silenced(clip: RawClip, other: RawClip) -> RawClip:
    """With silence."""
    samples = None if clip.samples is None else np.zeros_like(clip.samples)
    return replace(clip, patches=np.full_like(clip.patches, SILENCE), samples=samples)


def noisy(clip: RawClip, other: RawClip) -> RawClip:
    """With white noise, the same for all clips."""
    rng = np.random.default_rng(0)
    level = np.log(0.5 * rng.random(clip.patches.shape, np.float32) + 0.01)
    samples = None
    if clip.samples is not None:
        samples = (NOISE * rng.standard_normal(clip.samples.shape)).astype(np.float32)
    return replace(clip, patches=level.astype(np.float32), samples=samples)


def swapped(clip: RawClip, other: RawClip) -> RawClip:
    """With the other clip's sound, from its beginning again where it is shorter."""
    places = np.arange(len(clip.frames)) % len(other.frames)
    samples = None if other.samples is None else other.samples[places]
    return replace(clip, patches=other.patches[places], samples=samples)


ANOTHER = "another clip's sound"
SOUNDS: dict[str, Replace] = {"silence": silenced, "noise": noisy, ANOTHER: swapped}


def unheard(clip: RawClip, other: RawClip) -> bool:
    """Whether no category that is heard in the other clip is seen in this one, as far as both are labelled."""
    heard = set(np.flatnonzero(other.tags.any(0)).tolist())
    return not heard & set(clip.categories.tolist())


def with_other_sounds(model: Model, source: ClipSource, on_progress: Progress = silent) -> dict[str, Robustness | None]:
    """For each of ``SOUNDS`` what is drawn with it, beside what is drawn with the clips' own; None where no clip can be
    asked. Another clip's sound is that of the next clip, where nothing that it holds is seen."""
    found: dict[str, Robustness | None] = {}
    for name in SOUNDS:
        # one clip at a time: maps of a whole set do not fit into memory
        clips = _replaced(model, source, name, on_progress)
        first = next(clips, None)
        found[name] = None if first is None else robustness(chain([first], clips))
    return found


def _replaced(model: Model, source: ClipSource, name: str, on_progress: Progress) -> Iterator[ReplacedSound]:
    count = len(source)
    for number in range(count):
        clip, other = (source.read(place, range(source.length(place))) for place in (number, (number + 1) % count))
        if name != ANOTHER or unheard(clip, other):
            yield ReplacedSound(class_maps_of(model, clip), class_maps_of(model, SOUNDS[name](clip, other)))
        on_progress(name, number + 1, count)
