"""Which objects of which pictures sound in a VPO set, and which split a picture belongs to.

Nobody published how the original chooses; this follows what the paper and the data say (Chen et al., CVPR 2024,
section 4), and where they say nothing it is our own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
from PIL import Image

from avis_cli.datasets.vpo import SPLITS, Setting
from avis_cli.datasets.vpo_catalogue import ObjectMask, Picture
from avis_cli.errors import AnnotationError, MediaError, UsageError
from avis_cli.progress import Progress

Item = TypeVar("Item")


@dataclass(frozen=True)
class VpoOptions:
    """``samples``: how many in all splits together, None for all; ``shares``: of train, val and test; ``smallest``: an
    object's share of its picture; ``overlap``: share of an object that another chosen one may cover; ``most``: sounding
    objects of a picture; ``labels``: category -> labels of its sounds, where they are not called alike; ``once``: of SS
    no picture twice; ``render``: the sound of each sample as it is heard, ``seconds`` long."""

    setting: Setting
    seed: int = 0
    samples: int | None = None
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    smallest: float = 0.005
    overlap: float = 0.3
    most: int = 5
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    once: bool = False
    render: Literal["mono", "stereo"] | None = None
    seconds: float = 3.0

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 1:
            raise UsageError(f"samples {self.samples}, expected 1 or more")
        if min(self.shares) < 0 or sum(self.shares) <= 0:
            raise UsageError(f"shares {self.shares}, expected three numbers from 0 on")


@dataclass(frozen=True, eq=False)
class Drawn:
    """One sample before it has sounds: the picture and the objects that sound. ``several``: a sounding category has
    more than one object; ``fits``: the picture has what its setting is about."""

    picture: Picture
    objects: tuple[ObjectMask, ...]
    several: bool
    fits: bool = True


def share_out(total: int, shares: Sequence[float]) -> dict[str, int]:
    """How many of ``total`` each split gets; one whose share is not 0 gets one as soon as there are enough."""
    counts = [int(total * share / sum(shares)) for share in shares]
    for place in sorted(range(len(shares)), key=lambda one: -shares[one]):
        if shares[place] and not counts[place] and sum(counts) < total:
            counts[place] = 1
    counts[int(np.argmax(shares))] += total - sum(counts)
    return dict(zip(SPLITS, counts, strict=True))


def deal(items: Sequence[Item], shares: Sequence[float], rng: np.random.Generator) -> dict[str, list[Item]]:
    """Items in random order, by split."""
    left = iter([items[place] for place in rng.permutation(len(items))])
    return {split: list(islice(left, count)) for split, count in share_out(len(items), shares).items()}


def draw_samples(
    pictures: Mapping[str, Sequence[Picture]],
    heard: Mapping[str, Collection[str]],
    options: VpoOptions,
    rng: np.random.Generator,
    progress: Progress,
    warn: Callable[[str], None],
) -> dict[str, list[Drawn]]:
    """The samples of each split, of ``pictures`` and of the categories ``heard`` in it.

    Raises UsageError where there are fewer than were asked for, with how many there are, and where no picture has what
    the setting is about; ``warn`` is told where it is only missing in those that were drawn.
    """
    wanted = None if options.samples is None else share_out(options.samples, options.shares)
    drawn = {
        split: list(
            islice(_draw(some, heard[split], options, rng, progress), None if wanted is None else wanted[split])
        )
        for split, some in pictures.items()
    }
    if wanted is not None:
        _require_enough(drawn, wanted, options)
    _require_fit([one for some in drawn.values() for one in some], options, warn)
    return drawn


def _require_enough(drawn: Mapping[str, list[Drawn]], wanted: Mapping[str, int], options: VpoOptions) -> None:
    short = {split: len(some) for split, some in drawn.items() if len(some) < wanted[split]}
    if short:
        there = ", ".join(f"{count} of {wanted[split]} for {split}" for split, count in short.items())
        raise UsageError(
            f"{options.samples} samples of {options.setting}, but there are only {there}",
            hint="ask for fewer, or leave --samples out for all",
        )


def _require_fit(drawn: list[Drawn], options: VpoOptions, warn: Callable[[str], None]) -> None:
    if not drawn:
        raise UsageError("no sample can be made", hint="see --smallest, --map and the settings")
    if any(one.fits for one in drawn):
        return
    lacking, other = ("different categories", "ss") if options.setting == "ms" else ("one category", "ms")
    line = f"none of {len(drawn)} pictures has two objects of {lacking} that can sound"
    if options.samples is None:
        raise UsageError(f"{line}, as {options.setting} is about", hint=f"take --setting {other}")
    warn(line)


def _draw(
    pictures: Sequence[Picture],
    heard: Collection[str],
    options: VpoOptions,
    rng: np.random.Generator,
    progress: Progress,
) -> Iterator[Drawn]:
    """The samples that the pictures of one split give."""
    for number, picture in enumerate(pictures, start=1):
        progress("choosing objects", number, len(pictures))
        seen = [one for one in picture.objects() if one.category in heard]
        objects = [one for one in seen if one.share >= options.smallest]
        if not objects:
            continue
        _require_picture(picture)
        # a crowd is more of its category, which nobody has outlined one by one
        names = [one.category for one in seen] + sorted(picture.crowds.intersection(heard))
        single = [one for one in objects if names.count(one.category) == 1]
        if options.setting != "ss":
            yield from _several(picture, single if options.setting == "ms" else objects, names, options, rng)
        elif options.once and single:
            yield Drawn(picture, (single[int(rng.integers(len(single)))],), False)
        else:
            yield from (Drawn(picture, (one,), False) for one in single)


def _several(
    picture: Picture, objects: list[ObjectMask], names: list[str], options: VpoOptions, rng: np.random.Generator
) -> Iterator[Drawn]:
    """A random subset of the objects sounds, where possible not all that are seen; of MS both where there are two, as
    there would be no sums of sounds else. ``names``: of the categories of all objects that are seen."""
    apart = _apart(objects, options.overlap)
    if not apart:
        return
    both = options.setting == "ms" and len(names) == 2
    most = min(len(apart), options.most, len(names) if both else max(len(names) - 1, 1))
    chosen = sorted(rng.permutation(len(apart))[: int(rng.integers(1, most + 1))].tolist())
    sounding = tuple(apart[place] for place in chosen)
    fits = len(apart) > 1 if options.setting == "ms" else any(names.count(one.category) > 1 for one in apart)
    yield Drawn(picture, sounding, any(names.count(one.category) > 1 for one in sounding), fits)


def _apart(objects: list[ObjectMask], limit: float) -> list[ObjectMask]:
    """Objects, the largest first, of which none is covered by one before it for more than ``limit`` of its pixels."""
    kept: list[ObjectMask] = []
    for one in sorted(objects, key=lambda one: (-one.share, one.annotation)):
        area = one.pixels.sum()
        if all((one.pixels & other.pixels).sum() <= limit * area for other in kept):
            kept.append(one)
    return kept


def _require_picture(picture: Picture) -> None:
    try:
        with Image.open(picture.path) as image:
            size = image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(f"not a picture that can be read ({error})", hint="copy it again", file=picture.path) from None
    if size != (picture.width, picture.height):
        raise AnnotationError(
            f"{size[0]}x{size[1]} pixels, the annotations say {picture.width}x{picture.height}", file=picture.path
        )
