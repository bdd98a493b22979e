"""What happens in a clip: which objects, where they move, who sounds when. All from one seed, nothing drawn yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from avis_cli.datasets.synth import IDS, schedule
from avis_cli.datasets.synth.looks import Appearance, random_appearance
from avis_cli.datasets.synth.motion import MotionPath, random_path
from avis_cli.datasets.synth.schedule import ActiveInterval, Seconds

PairMode = Literal["none", "one", "turns", "together"]

# shares of clips; two instances of one category are what a picture or a sound alone cannot solve
_PAIR_MODES: dict[PairMode, float] = {"none": 0.54, "one": 0.05, "turns": 0.23, "together": 0.18}
_OBJECTS_WITHOUT_PAIR = (0.20, 0.42, 0.28, 0.10)  # shares of 1, 2, 3, 4 objects
_OBJECTS_BESIDE_PAIR = (0.45, 0.42, 0.13)  # shares of 0, 1, 2 more objects
_SILENT = 0.36  # share of objects without a twin that never sound
_CUED = 0.15  # share of sounding objects without a twin that show it
_FALSE_CUE = 0.20  # share of silent objects that look as if they sounded
_OFF_SCREEN = 0.25  # share of clips with the sound of a category nobody shows
_LEAVING = 0.15  # share of objects that leave the picture for a while
_OCCLUDER = 0.20  # share of clips with something passing in front


@dataclass(frozen=True, eq=False)
class SceneObject:
    """A visible object. ``sounds``: when it is heard; ``shows``: when it looks like sounding (shakes and glows)."""

    category_id: int
    appearance: Appearance
    path: MotionPath
    sounds: tuple[ActiveInterval, ...]
    shows: tuple[ActiveInterval, ...]
    phase: float
    flip: bool
    voice_seed: int
    gain_db: float


@dataclass(frozen=True)
class OffScreenSource:
    """A sound whose source nobody shows."""

    category_id: int
    sounds: tuple[ActiveInterval, ...]
    voice_seed: int
    gain_db: float


@dataclass(frozen=True, eq=False)
class Scene:
    """``objects``: from back to front. ``aspect``: width / height. ``seconds``: length, in whole seconds.

    ``noise_db``: level of the background noise. ``grain``: of the picture, standard deviation in steps of 0..255.
    """

    seed: int
    seconds: int
    aspect: float
    objects: tuple[SceneObject, ...]
    off_screen: tuple[OffScreenSource, ...]
    pair: PairMode
    has_occluder: bool
    noise_db: float
    grain: float


def stream(seed: int, purpose: int) -> np.random.Generator:
    """Independent random numbers for each purpose, so that drawing does not disturb sound nor the plan."""
    return np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32, purpose])


def _twin_plans(rng: np.random.Generator, mode: PairMode, seconds: int) -> list[Seconds]:
    if mode == "turns":
        return list(schedule.in_turns(rng, seconds))
    if mode == "together":
        return list(schedule.at_once(rng, seconds))
    silent = np.zeros(seconds, bool)
    return [schedule.on_and_off(rng, seconds), silent]


def _choose_objects(rng: np.random.Generator, mode: PairMode, seconds: int) -> list[tuple[int, Seconds, bool]]:
    """(category, plan, has a twin) of every visible object."""
    categories = [int(c) for c in rng.permutation(IDS)]
    chosen: list[tuple[int, Seconds, bool]] = []
    if mode == "none":
        others = 1 + int(rng.choice(4, p=_OBJECTS_WITHOUT_PAIR))
    else:
        twin = categories.pop()
        chosen += [(twin, plan, True) for plan in _twin_plans(rng, mode, seconds)]
        others = int(rng.choice(3, p=_OBJECTS_BESIDE_PAIR))
    for _ in range(others):
        silent = rng.random() < _SILENT
        plan = np.zeros(seconds, bool) if silent else schedule.on_and_off(rng, seconds)
        chosen.append((categories.pop(), plan, False))
    return chosen


def _places(rng: np.random.Generator, count: int, aspect: float) -> list[tuple[float, float, float]]:
    """(x, y, half size): side by side with overlaps, large ones where there are few."""
    spots = []
    slots = rng.permutation(count)
    for slot in slots:
        x = aspect * (slot + 0.5) / count + rng.uniform(-0.16, 0.16) * aspect / max(count - 1, 1)
        largest = min(0.36, 0.66 * aspect / (count + 0.6))
        size = rng.uniform(0.75, 1.0) * largest
        margin = min(0.8 * size, 0.45)
        spots.append((float(np.clip(x, margin, aspect - margin)), float(rng.uniform(0.36, 0.70)), float(size)))
    return spots


def _shown(
    rng: np.random.Generator, plan: Seconds, sounds: tuple[ActiveInterval, ...], twin: bool
) -> tuple[ActiveInterval, ...]:
    """When an object looks like sounding: twins always when they sound, the others seldom, some without cause."""
    if plan.any():
        return sounds if twin or rng.random() < _CUED else ()
    if twin or rng.random() >= _FALSE_CUE:
        return ()
    return schedule.active_intervals(schedule.on_and_off(rng, len(plan)), rng)


def _scene_object(
    rng: np.random.Generator,
    choice: tuple[int, Seconds, bool],
    spot: tuple[float, float, float],
    aspect: float,
) -> SceneObject:
    category, plan, twin = choice
    sounds = schedule.active_intervals(plan, rng)
    return SceneObject(
        category_id=category,
        appearance=random_appearance(category, rng),
        path=random_path(rng, *spot, aspect, len(plan), leaves=bool(rng.random() < _LEAVING)),
        sounds=sounds,
        shows=_shown(rng, plan, sounds, twin),
        phase=float(rng.uniform(0, 20)),
        flip=bool(rng.random() < 0.5),
        voice_seed=int(rng.integers(1 << 62)),
        gain_db=float(rng.uniform(-7.0, 2.0)),
    )


def _off_screen(rng: np.random.Generator, shown: set[int], seconds: int) -> tuple[OffScreenSource, ...]:
    if rng.random() >= _OFF_SCREEN:
        return ()
    category = int(rng.choice([number for number in IDS if number not in shown]))
    sounds = schedule.active_intervals(schedule.on_and_off(rng, seconds), rng)
    return (OffScreenSource(category, sounds, int(rng.integers(1 << 62)), float(rng.uniform(-8.0, 1.0))),)


def unaligned(scene: Scene) -> Scene:
    """The same scene with sounds that begin and end anywhere within a second, and the look of sounding with them."""
    rng = stream(scene.seed, 3)
    objects = []
    for item in scene.objects:
        sounds = schedule.unaligned(item.sounds, scene.seconds, rng)
        shows = sounds if item.shows == item.sounds else schedule.unaligned(item.shows, scene.seconds, rng)
        objects.append(replace(item, sounds=sounds, shows=shows))
    off_screen = tuple(
        replace(source, sounds=schedule.unaligned(source.sounds, scene.seconds, rng)) for source in scene.off_screen
    )
    return replace(scene, objects=tuple(objects), off_screen=off_screen)


def plan_scene(seed: int, seconds: int, aspect: float) -> Scene:
    """The clip of a seed: the same for the same seed, length and aspect, whatever its resolution and frame rate."""
    rng = stream(seed, 0)
    mode: PairMode = list(_PAIR_MODES)[int(rng.choice(len(_PAIR_MODES), p=list(_PAIR_MODES.values())))]
    chosen = _choose_objects(rng, mode, seconds)
    spots = _places(rng, len(chosen), aspect)
    objects = [_scene_object(rng, choice, spot, aspect) for choice, spot in zip(chosen, spots, strict=True)]
    order = rng.permutation(len(objects))
    return Scene(
        seed=seed,
        seconds=seconds,
        aspect=aspect,
        objects=tuple(objects[int(index)] for index in order),
        off_screen=_off_screen(rng, {item.category_id for item in objects}, seconds),
        pair=mode,
        has_occluder=bool(rng.random() < _OCCLUDER),
        noise_db=float(rng.uniform(-58.0, -34.0)),
        grain=float(rng.uniform(1.0, 5.0)),
    )
