"""Mask images: indices are track ids, colours the overlay's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from writers_examples import Box, boxes_result

from avis_cli.errors import OutputError
from avis_cli.results.clip import ClipResult, Track
from avis_cli.writers.mask_images import write_masks
from avis_cli.writers.style import track_colour
from avis_cli.writers.tracks_json import write_tracks


def test_one_palette_image_per_mask_frame(tmp_path: Path) -> None:
    boxes: list[list[Box | None]] = [[(0, 0, 4, 2), None], [(2, 0, 6, 4), (0, 0, 1, 1)]]
    seen: list[tuple[str, int, int | None]] = []
    result = boxes_result(7, 5, boxes, times=(0.0, 1.0))
    write_masks(tmp_path / "masks", result, progress=lambda *state: seen.append(state))
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["000000.png", "000001.png"]
    image = Image.open(tmp_path / "masks" / "000000.png")
    assert image.mode == "P"
    expected = np.zeros((5, 7), dtype=int)
    expected[0:4, 2:6] = 2
    expected[0:2, 0:4] = 1  # the overlap goes to the higher score
    assert np.asarray(image).tolist() == expected.tolist()
    assert image.convert("RGB").getpixel((5, 3)) == track_colour(2)
    assert image.convert("RGB").getpixel((6, 4)) == (0, 0, 0)
    assert np.asarray(Image.open(tmp_path / "masks" / "000001.png")).sum() == 2
    assert seen == [("masks", 1, 2), ("masks", 2, 2)]


def test_overlaps_go_to_the_score_not_to_the_order(tmp_path: Path) -> None:
    result = boxes_result(4, 4, [[(0, 0, 3, 3)], [(0, 0, 4, 4)]])
    first, second = result.tracks
    swapped = dataclasses.replace(result, tracks=(dataclasses.replace(first, score=0.2), second))
    write_masks(tmp_path, swapped)
    assert np.all(np.asarray(Image.open(tmp_path / "000000.png")) == 2)


def test_a_result_without_tracks_has_empty_images(tmp_path: Path) -> None:
    write_masks(tmp_path, boxes_result(4, 3, []))
    assert not np.asarray(Image.open(tmp_path / "000000.png")).any()


def test_255_tracks_fit_into_a_byte_and_256_are_refused(tmp_path: Path) -> None:
    result = boxes_result(4, 4, [[(0, 0, 2, 2)]])
    last = dataclasses.replace(result, tracks=(Track(255, 1, "person", 0.5, result.tracks[0].masks),))
    write_masks(tmp_path / "a", last)
    assert np.asarray(Image.open(tmp_path / "a" / "000000.png")).max() == 255
    above = dataclasses.replace(result, tracks=(Track(256, 1, "person", 0.5, result.tracks[0].masks),))
    with pytest.raises(OutputError, match=r"track 256 .* at most 255"):
        write_masks(tmp_path / "b", above)
    assert not (tmp_path / "b").exists()


def test_tracks_json_is_the_result(tmp_path: Path) -> None:
    result = boxes_result(7, 5, [[(0, 0, 4, 2)]])
    write_tracks(tmp_path / "tracks.json", result)
    assert (tmp_path / "tracks.json").read_bytes() == result.to_json().encode("ascii")
    assert ClipResult.read(tmp_path / "tracks.json") == result
