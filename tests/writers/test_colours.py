"""Track colours: apart for everyone, and readable with the text on them."""

from __future__ import annotations

import numpy as np
import pytest

from avis_cli.errors import UsageError
from avis_cli.writers.colours import MAX_TRACKS, VISIONS, text_colour, to_lab, track_colours
from avis_cli.writers.style import palette, palette_names, track_colour


@pytest.mark.parametrize("vision", VISIONS, ids=["normal", "protanopia", "deuteranopia"])
@pytest.mark.parametrize(("tracks", "distance"), [(8, 15), (16, 14), (32, 8)])
def test_colours_are_apart_for_colour_blind_people(vision: np.ndarray, tracks: int, distance: float) -> None:
    seen = to_lab(track_colours()[:tracks].astype(float), vision)
    between = np.linalg.norm(seen[:, None] - seen[None], axis=2) + 1e6 * np.eye(tracks)
    assert between.min() > distance  # CIE76; below about 2.3 two colours look the same


def test_every_track_of_a_mask_image_has_its_own_colour() -> None:
    assert len({track_colour(id) for id in range(1, MAX_TRACKS + 1)}) == MAX_TRACKS
    assert track_colour(MAX_TRACKS + 1) == track_colour(1)


def test_lightness_of_known_colours() -> None:
    lab = to_lab(np.array([[0.0, 0, 0], [255, 255, 255], [119, 119, 119], [255, 0, 0]]), VISIONS[0])
    assert lab[:, 0] == pytest.approx([0, 100, 50, 53.2], abs=0.2)
    assert lab[3, 1:] == pytest.approx([80.1, 67.2], abs=0.2)


def test_text_stands_out_on_every_colour() -> None:
    assert text_colour((240, 228, 66)) == (17, 17, 20)
    assert text_colour((0, 0, 120)) == (255, 255, 255)
    for id in range(1, MAX_TRACKS + 1):
        background = track_colour(id)
        pair = np.array([background, text_colour(background)]) / 255
        linear = np.where(pair <= 0.04045, pair / 12.92, ((pair + 0.055) / 1.055) ** 2.4)
        dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
        assert (light + 0.05) / (dark + 0.05) > 4.3, background


def test_the_default_palette_is_the_tracks_own_colours() -> None:
    assert palette_names()[0] == "okabe-ito"
    for id in (1, 2, 100, MAX_TRACKS, MAX_TRACKS + 1):
        assert palette().colour(id) == palette("okabe-ito").colour(id) == track_colour(id)


@pytest.mark.parametrize("vision", VISIONS, ids=["normal", "protanopia", "deuteranopia"])
def test_the_short_palette_is_apart_for_colour_blind_people_too(vision: np.ndarray) -> None:
    seen = to_lab(np.array(palette("tol-bright").colours, dtype=float), vision)
    between = np.linalg.norm(seen[:, None] - seen[None], axis=2) + 1e6 * np.eye(len(seen))
    assert between.min() > 10


@pytest.mark.parametrize("name", palette_names())
def test_a_named_palette_has_no_colour_twice_and_repeats(name: str) -> None:
    colours = palette(name).colours
    assert len(set(colours)) == len(colours)
    assert all(0 <= level <= 255 for colour in colours for level in colour)
    assert palette(name).colour(len(colours) + 1) == colours[0]


@pytest.mark.parametrize("name", ["vivid", "pastel"])
def test_the_first_colours_around_the_wheel_are_apart(name: str) -> None:
    seen = to_lab(np.array(palette(name).colours[:6], dtype=float), VISIONS[0])
    between = np.linalg.norm(seen[:, None] - seen[None], axis=2) + 1e6 * np.eye(len(seen))
    assert between.min() > 12


def test_colours_in_hexadecimal() -> None:
    own = palette("e6194B, #3cb44b,#fff")
    assert own.colours == ((230, 25, 75), (60, 180, 75), (255, 255, 255))
    assert own.colour(4) == own.colour(1)


@pytest.mark.parametrize(
    "text", ["", "rainbow", "ff", "ff00f", "ff0000,", "#", "##fff", "gggggg", "ff0000;00ff00", "٣٣٣"]
)
def test_what_is_no_palette_is_refused_and_told_what_is(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no colour; give okabe-ito, .* or colours such as e6194b,3cb44b"):
        palette(text)
