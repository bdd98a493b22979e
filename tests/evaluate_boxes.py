"""Small data sets of boxes, for the tests of the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco

from avis_cli.datasets.tracks import Category, Dataset, Mask, PredictedTrack, TruthTrack, Video
from avis_cli.evaluate.instances.matching import Association, associate
from avis_cli.evaluate.instances.overlaps import Overlaps, measure

HEIGHT, WIDTH = 40, 50
Box = tuple[int, int, int, int]

CATEGORIES = [Category(1, "person"), Category(2, "violin"), Category(3, "guitar")]


def box(x: int, y: int, w: int, h: int, height: int = HEIGHT, width: int = WIDTH) -> Mask:
    mask = np.zeros((height, width), np.uint8, order="F")
    mask[y : y + h, x : x + w] = 1
    return coco.encode(mask)


def masks(boxes: Sequence[Box | None]) -> list[Mask | None]:
    """An all-zero box gives a mask without a pixel, None no mask."""
    return [None if corners is None else box(*corners) for corners in boxes]


def truth(identity: int, boxes: Sequence[Box | None], category: int = 1, *, crowd: bool = False) -> TruthTrack:
    areas = [None if corners is None else float(corners[2] * corners[3]) for corners in boxes]
    return TruthTrack(identity, category, crowd, areas, masks(boxes))


def guess(boxes: Sequence[Box | None], category: int = 1, score: float = 0.5, entry: int = 0) -> PredictedTrack:
    return PredictedTrack(entry, category, score, masks(boxes))


def video(
    length: int,
    truths: Sequence[TruthTrack] = (),
    predictions: Sequence[PredictedTrack] = (),
    *,
    identity: int = 1,
    name: str = "v",
) -> Video:
    file_names = [f"{name}/{t:05d}.jpg" for t in range(length)]
    return Video(identity, name, length, HEIGHT, WIDTH, file_names, list(truths), list(predictions))


def dataset(*videos: Video) -> Dataset:
    return Dataset(CATEGORIES, list(videos))


def measured(one: Video, *, empty_masks: bool = False) -> tuple[Overlaps, Association]:
    overlaps = measure(one).cut(one.length)
    if not empty_masks:
        overlaps = overlaps.without_empty_masks()
    return overlaps, associate(overlaps.iou, overlaps.truth_shown, overlaps.prediction_shown)


def random_boxes(random: np.random.Generator, frames: int, shown: float) -> list[Box | None]:
    """A box that moves little, missing in some frames."""
    x, y = int(random.integers(0, 25)), int(random.integers(0, 18))
    w, h = int(random.integers(6, 24)), int(random.integers(6, 20))
    return [
        (x + int(random.integers(0, 3)), y + int(random.integers(0, 3)), w, h) if random.random() < shown else None
        for _ in range(frames)
    ]


def random_video(seed: int, *, identity: int = 1, name: str = "v") -> Video:
    """Up to four objects of three categories, predictions near some of them, others anywhere, some masks empty."""
    random = np.random.default_rng(seed)
    frames = int(random.integers(1, 7))
    truths, predictions = [], []
    for i in range(int(random.integers(0, 5))):
        boxes = random_boxes(random, frames, 0.7)
        truths.append(truth(100 - i if seed % 2 else i + 1, boxes, int(random.integers(1, 4))))
        if random.random() < 0.8:
            near = [
                (b[0] + int(random.integers(0, 4)), b[1], b[2], b[3])
                if b is not None and random.random() < 0.9
                else (0, 0, 0, 0)
                for b in boxes
            ]
            predictions.append(guess(near, truths[-1].category_id, float(random.random())))
    for _ in range(int(random.integers(0, 3))):
        boxes = random_boxes(random, frames, 0.6)
        predictions.append(guess(boxes, int(random.integers(1, 4)), float(random.random())))
    return video(frames, truths, predictions, identity=identity, name=name)


def random_overlaps(seed: int) -> Overlaps:
    """IoUs as no real masks have them: many that compete, many equal ones."""
    random = np.random.default_rng(seed)
    frames, truths, guesses = random.integers(0, 7), random.integers(0, 5), random.integers(0, 5)
    truth_shown, guess_shown = random.random((frames, truths)) < 0.7, random.random((frames, guesses)) < 0.7
    iou = np.round(random.random((frames, guesses, truths)), int(random.integers(1, 3)))
    iou *= (random.random(iou.shape) < 0.7) & guess_shown[:, :, None] & truth_shown[:, None, :]
    area = np.ones_like
    return Overlaps(
        iou.transpose(0, 2, 1), truth_shown, guess_shown, area(truth_shown, int), area(guess_shown, int), guess_shown
    )
