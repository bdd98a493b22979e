"""The sounds of a VPO set: read, divided among the splits, and given out by category."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.vpo import SPLITS, is_safe_name
from avis_cli.datasets.vpo_catalogue import SoundFile
from avis_cli.datasets.vpo_draw import deal
from avis_cli.errors import AnnotationError, MediaError
from avis_cli.media.clip_info import SAMPLE_RATE
from avis_cli.media.waveform import at_rate, read_sound
from avis_cli.progress import Progress

_QUIET = 1e-4  # root mean square below which a sound is silence


@dataclass(frozen=True, eq=False)
class Sound:
    """``name``: of its file in the set."""

    name: str
    file: SoundFile


class Pool:
    """The sounds of one split by category, given out in random order, each again when all were."""

    def __init__(self, sounds: Mapping[str, list[Sound]], rng: np.random.Generator) -> None:
        self.sounds, self._rng = sounds, rng
        self._left: dict[str, list[Sound]] = defaultdict(list)

    def take(self, category: str, taken: Sequence[Sound]) -> Sound:
        """The next sound of a category, another one than those ``taken`` where there is one."""
        left, every = self._left[category], self.sounds[category]
        if all(sound in taken for sound in left):
            left += [every[place] for place in self._rng.permutation(len(every))]
        return left.pop(next((place for place, sound in enumerate(left) if sound not in taken), 0))


def read_pools(
    files: Sequence[SoundFile],
    folder: Path,
    labels: Mapping[str, set[str]],
    shares: Sequence[float],
    rng: np.random.Generator,
    progress: Progress,
    warn: Callable[[str], None],
) -> dict[str, Pool]:
    """The sounds of each split, of those below ``folder`` that a category has a label for.

    Every label has some in each split whose share is not 0, as far as they go; ``warn`` is told of silent sounds and of
    categories for which they do not. Raises MediaError and AnnotationError naming the file that cannot be used.
    """
    wanted = {label for some in labels.values() for label in some}
    sounds: dict[str, Sound] = {}
    for number, file in enumerate(files, start=1):
        if file.label in wanted:
            if np.sqrt(np.mean(np.square(samples_of(file)))) < _QUIET:
                warn(f"{file.path}: silent, left out")
            else:
                name = _name(file, folder, sounds)
                sounds[name.casefold()] = Sound(name, file)
        progress("reading sounds", number, len(files))
    by_split = _divided(list(sounds.values()), shares, rng)
    pools = {}
    for split, some in by_split.items():
        of = {category: [one for one in some if one.file.label in known] for category, known in labels.items()}
        pools[split] = Pool({category: found for category, found in of.items() if found}, rng)
    _tell_of_lacking(pools, labels, shares, warn)
    return pools


def _divided(sounds: Sequence[Sound], shares: Sequence[float], rng: np.random.Generator) -> dict[str, list[Sound]]:
    """Sounds by split: as their list says, else a part of each label by the shares."""
    by_split: dict[str, list[Sound]] = {split: [] for split in SPLITS}
    for label in sorted({sound.file.label for sound in sounds}):
        of_label = [sound for sound in sounds if sound.file.label == label]
        for split, some in deal([one for one in of_label if one.file.split is None], shares, rng).items():
            by_split[split] += some
        for sound in of_label:
            if sound.file.split is not None:
                by_split[sound.file.split].append(sound)
    return by_split


def _tell_of_lacking(
    pools: Mapping[str, Pool], labels: Mapping[str, set[str]], shares: Sequence[float], warn: Callable[[str], None]
) -> None:
    for split, share in zip(SPLITS, shares, strict=True):
        lacking = [category for category in labels if category not in pools[split].sounds]
        if share and lacking:
            some = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
            warn(f"too few sounds for {split}, where these are silent: {some}")


def samples_of(file: SoundFile) -> NDArray[np.float32]:
    """The whole sound at 16 kHz, mixed to one channel (N,). Raises MediaError for one that is empty or damaged."""
    samples = at_rate(read_sound(file.path), SAMPLE_RATE).samples
    if not len(samples):
        raise MediaError("an empty sound", hint="remove it", file=file.path)
    return samples


def _name(file: SoundFile, folder: Path, taken: Container[str]) -> str:
    """A name that no other sound has, not even where upper and lower case are one."""
    name = "_".join(file.path.relative_to(folder).with_suffix("").parts).replace(" ", "_")
    if not is_safe_name(name):
        raise AnnotationError(f"the name {name[:60]!r} cannot be that of a file", hint="rename it", file=file.path)
    numbered = (f"{name}_{number}" for number in count(2))
    return next(one for one in chain([name], numbered) if one.casefold() not in taken)
