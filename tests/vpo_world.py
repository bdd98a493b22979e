"""Pictures with marked objects and labelled sounds, to build a VPO set of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from avis_cli.datasets.vpo import Setting
from avis_cli.datasets.vpo_build import VpoOptions, build
from avis_cli.datasets.wave_file import write_wave

RATE = 16_000


def square(x: int, y: int, side: int = 10) -> list[list[int]]:
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


class World:
    """COCO-format annotations of coloured squares and tones for their names."""

    def __init__(self, folder: Path, pictures: int = 12) -> None:
        self.folder, self.images, self.sounds = folder, folder / "images", folder / "sounds"
        self.annotations = folder / "instances.json"
        self.images.mkdir(parents=True)
        names = {3: "car", 5: "air plane", 9: "owl"}
        entries: list[dict[str, Any]] = []
        shapes: list[dict[str, Any]] = []
        for number in range(1, pictures + 1):
            Image.new("RGB", (60, 40), (number, 2 * number, 90)).save(self.images / f"{number}.jpg")
            entries.append({"id": number, "file_name": f"{number}.jpg", "width": 60, "height": 40, "license": 1})
            # a car, an owl on the other side, and in every third picture a second car
            for category, x, y in ((3, 2, 2), (9, 45, 25), *([(3, 30, 4)] if number % 3 == 0 else [])):
                shapes.append(
                    {"id": len(shapes) + 1, "image_id": number, "category_id": category, "segmentation": square(x, y),
                     "iscrowd": 0}
                )  # fmt: skip
        self.document: dict[str, Any] = {
            "images": entries, "annotations": shapes, "licenses": [{"id": 1, "name": "CC BY 2.0"}],
            "categories": [{"id": id, "name": name} for id, name in names.items()],
        }  # fmt: skip
        self.write()
        for label, count, pitch in (("car", 6, 200), ("Owl", 5, 700)):
            for number in range(count):
                self.tone(f"{label}/{number}.wav", pitch + 10 * number)

    def write(self) -> None:
        self.annotations.write_text(json.dumps(self.document))

    def tone(self, name: str, pitch: float, loud: float = 0.5) -> None:
        path = self.sounds / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wave(path, (loud * np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE)).astype(np.float32))

    def build(self, out: Path, setting: Setting, **more: Any) -> tuple[dict[str, Any], list[str]]:
        said: list[str] = []
        options = VpoOptions(setting, **{"shares": (0.5, 0.25, 0.25), **more})
        return build(self.annotations, self.images, self.sounds, out, options, warn=said.append), said
