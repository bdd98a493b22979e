"""What is drawn into a picture, and where."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from writers_examples import boxes_result

from avis_cli.errors import UsageError
from avis_cli.media.clip_info import Waveform
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult
from avis_cli.writers.draw import OverlayPainter, label_text
from avis_cli.writers.labels import Box, place_labels
from avis_cli.writers.patch import Patch, PatchBuilder, rounded_box
from avis_cli.writers.style import STYLES, DrawStyle, track_colour
from avis_cli.writers.timeline import Timeline, envelope, lay_out

GREY = 100
BEEP = Waveform(np.sin(np.arange(32000, dtype=np.float32)) * np.float32(0.5))


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def tint(track: int) -> np.ndarray:
    return np.array(track_colour(track)) - GREY


def test_label_text() -> None:
    track = boxes_result(8, 8, [[None], [None]]).tracks[1]
    assert label_text(track) == "person 2 · 100 %"


def test_a_mask_is_filled_with_its_tracks_colour_and_nothing_else_changes() -> None:
    result = boxes_result(640, 360, [[(100, 100, 200, 200)]])
    painted = OverlayPainter(result, span=(0, 2)).paint(grey(640, 360), 0.5).astype(int)
    inside = painted[150, 150] - GREY
    assert np.sign(inside).tolist() == np.sign(tint(1)).tolist()
    assert np.all(np.abs(inside) < np.abs(tint(1)))
    assert np.all(painted[:60] == GREY)
    assert np.all(painted[220:300] == GREY)
    assert np.all(painted[100:200, 220:] == GREY)


def test_the_outline_has_the_full_colour() -> None:
    result = boxes_result(640, 360, [[(100, 100, 200, 200)]])
    painted = OverlayPainter(result, span=(0, 2)).paint(grey(640, 360), 0.5)
    assert np.abs(painted[150, 100].astype(int) - track_colour(1)).max() < 12


def test_overlapping_masks_show_the_higher_score() -> None:
    result = boxes_result(640, 360, [[(100, 100, 200, 200)], [(100, 100, 300, 200)]])
    painted = OverlayPainter(result, span=(0, 2)).paint(grey(640, 360), 0.5).astype(int)
    alone = boxes_result(640, 360, [[(100, 100, 200, 200)]])
    expected = OverlayPainter(alone, span=(0, 2)).paint(grey(640, 360), 0.5)
    assert painted[150, 150].tolist() == expected[150, 150].tolist()
    assert painted[150, 250].tolist() != expected[150, 150].tolist()


def test_each_picture_shows_the_mask_frame_on_screen() -> None:
    boxes = [[(10, 60, 60, 120), None, (200, 60, 260, 120)]]
    painter = OverlayPainter(boxes_result(320, 180, boxes, times=(0.5, 1.0, 1.5), sounding=()), span=(0, 2))

    def filled(time: float) -> str:
        painted = painter.paint(grey(320, 180), time)
        left, right = (bool((painted[90, x] != GREY).any()) for x in (30, 230))
        return "left" * left + "right" * right

    times = (0.4, 0.5, 0.99, 1.0, 1.5, 1.99, 2.0, 0.7)
    assert [filled(time) for time in times] == ["", "left", "left", "", "right", "right", "", "left"]


def test_the_picture_given_is_left_alone() -> None:
    picture = grey(320, 180)
    OverlayPainter(boxes_result(320, 180, [[(10, 60, 60, 120)]]), span=(0, 2), waveform=BEEP).paint(picture, 0.5)
    assert np.all(picture == GREY)


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="320x180"):
        OverlayPainter(boxes_result(320, 180, [[None]]), span=(0, 2)).paint(grey(180, 320), 0)


def test_labels_do_not_cover_one_another() -> None:
    result = boxes_result(640, 360, [[(200, 100, 300, 200)]] * 3)
    painted = OverlayPainter(result, span=(0, 2)).paint(grey(640, 360), 0.5)
    for track in result.tracks:
        # a label is a solid block of nearly its colour; outlines and fills have no such 3x3 pixels apart
        close = np.abs(painted.astype(int) - track_colour(track.id)).max(axis=2) < 14
        assert close.sum() > 1000, track.id


def pieces_result(*boxes: tuple[int, int, int, int]) -> ClipResult:
    """One track whose mask is all of ``boxes`` (left, top, right, bottom) in 640x360."""
    result = boxes_result(640, 360, [[None]])
    image = np.zeros((360, 640), dtype=bool)
    for left, top, right, bottom in boxes:
        image[top:bottom, left:right] = True
    track = dataclasses.replace(result.tracks[0], masks=[run_length.encode(image)])
    return dataclasses.replace(result, tracks=(track,))


def test_a_label_stands_at_the_largest_piece_of_its_mask() -> None:
    pieces = (60, 200, 100, 230), (460, 140, 580, 260), (20, 300, 50, 320)
    painted = OverlayPainter(pieces_result(*pieces), span=(0, 2), style=DrawStyle(strip="none")).paint(
        grey(640, 360), 0.5
    )
    close = np.abs(painted.astype(int) - track_colour(1)).max(axis=2) < 14
    close[138:] = False  # what is left is the label, above the largest piece
    rows, columns = np.nonzero(close)
    assert rows.size > 500
    assert rows.min() > 100
    assert (columns.min() + columns.max()) / 2 == pytest.approx(520, abs=3)


class TestLabels:
    gap = 4

    def labels(self, *widths: int) -> list[Patch]:
        return [PatchBuilder(20, width).build() for width in widths]

    def place(
        self, boxes: list[Box], room: tuple[int, int] = (640, 300), widths: tuple[int, ...] = (120, 24)
    ) -> list[tuple[int, int, int, int]]:
        """Left, top, right, bottom of every label."""
        objects = [(box, self.labels(*widths)) for box in boxes]
        placed = place_labels(objects, room, self.gap)
        return [(p.x, p.y, p.x + p.patch.width, p.y + p.patch.height) for p in placed]

    def test_a_label_stands_above_its_object_in_the_middle(self) -> None:
        assert self.place([(200, 100, 100, 60)]) == [(190, 76, 310, 96)]

    def test_at_the_top_it_stands_inside(self) -> None:
        assert self.place([(0, 0, 200, 100)]) == [(40, 4, 160, 24)]

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 600), st.integers(0, 290), st.integers(1, 300), st.integers(1, 200)), max_size=80
        ),
        st.integers(20, 640),
        st.integers(10, 300),
    )
    def test_labels_are_apart_inside_the_room_and_near_their_objects(
        self, boxes: list[Box], width: int, height: int
    ) -> None:
        objects = [(box, self.labels(120, 24)) for box in boxes]
        owner = {id(patch): box for box, patches in objects for patch in patches}
        placed = place_labels(objects, (width, height), self.gap)
        rooms = [(p.x, p.y, p.x + p.patch.width, p.y + p.patch.height) for p in placed]
        for n, (left, top, right, bottom) in enumerate(rooms):
            assert left >= 0
            assert right <= width
            assert top >= 0
            assert bottom <= height
            assert not any(left < c and a < right and top < d and b < bottom for a, b, c, d in rooms[:n])
            x, y, w, h = owner[id(placed[n].patch)]
            near = self.gap + 20
            assert max(x - right, left - x - w, y - bottom, top - y - h) <= near

    def test_where_names_have_no_room_numbers_stand(self) -> None:
        crowd = [(200 + 30 * (n % 5), 100 + 24 * (n // 5), 28, 22) for n in range(25)]
        widths = [right - left for left, _, right, _ in self.place(crowd)]
        assert len(widths) == 25
        assert set(widths) == {120, 24}

    def test_no_name_takes_the_place_of_a_number(self) -> None:
        boxes = [(100, 100, 24, 24)] * 12
        numbers = self.place(boxes, widths=(24,))
        assert len(self.place(boxes)) == len(numbers) > 3

    def test_what_has_no_room_at_all_is_left_out(self) -> None:
        assert 0 < len(self.place([(100, 100, 10, 10)] * 60)) < 60
        assert self.place([(0, 0, 10, 10)], room=(20, 20)) == []


def test_a_crowd_has_a_label_or_a_number_for_nearly_each() -> None:
    boxes = [[(60 * (n % 10) + 10, 45 * (n // 10) + 20, 60 * (n % 10) + 40, 45 * (n // 10) + 44)] for n in range(60)]
    painted = OverlayPainter(boxes_result(640, 360, boxes), span=(0, 2), style=DrawStyle("outline", 0.0)).paint(
        grey(640, 360), 0.5
    )
    colours = [np.array(track_colour(n)) for n in range(1, 61)]
    shown = sum(int((np.abs(painted[:280].astype(int) - colour).max(axis=2) < 14).sum() > 60) for colour in colours)
    assert shown >= 55


class TestBelow:
    @pytest.mark.parametrize("size", [(640, 360), (641, 361), (40, 40), (320, 181)])
    def test_a_strip_below_leaves_the_picture_alone_and_makes_it_taller(self, size: tuple[int, int]) -> None:
        result = boxes_result(*size, [[None]] * 3)
        painter = OverlayPainter(result, span=(0, 2), waveform=BEEP, style=DrawStyle(strip="below"))
        painted = painter.paint(grey(*size), 0.5)
        assert np.all(painted[: size[1]] == GREY)
        if size == (40, 40):  # too small for a strip
            assert painted.shape == (40, 40, 3)
            return
        assert painted.shape[0] % 2 == 0
        assert size[1] + 15 < painted.shape[0] <= size[1] * 1.4 + 1
        strip = painted[size[1] :]
        assert strip[0, 8:100].mean() < 40  # its own ground
        assert strip.max() > 200

    def test_labels_may_then_stand_at_the_bottom_and_not_in_the_strip(self) -> None:
        result = boxes_result(640, 360, [[(200, 0, 300, 356)]], sounding=())
        style = DrawStyle("outline", 0.0, strip="below")
        painted = OverlayPainter(result, span=(0, 2), style=style).paint(grey(640, 360), 0.5)
        other = OverlayPainter(result, span=(0, 2), style=dataclasses.replace(style, labels=False))
        assert np.array_equal(painted[360:], other.paint(grey(640, 360), 0.5)[360:])

    def test_an_object_at_the_bottom_has_its_label(self) -> None:
        result = boxes_result(640, 360, [[(200, 330, 300, 356)]], sounding=())
        style = DrawStyle("outline", 0.0, strip="below")
        painted = OverlayPainter(result, span=(0, 2), waveform=BEEP, style=style).paint(grey(640, 360), 0.5)
        assert np.any(painted[306:326, 200:300] != GREY)
        assert np.all(painted[:300] == GREY)

    def test_many_tracks_have_more_room_than_over_the_picture(self) -> None:
        result = boxes_result(640, 360, [[None]] * 60)
        heights = []
        for strip in ("over", "below"):
            painter = OverlayPainter(result, span=(0, 2), waveform=BEEP, style=DrawStyle(strip=strip))
            painted = painter.paint(grey(640, 360), 0.5)
            heights.append(int((painted != GREY).any(axis=(1, 2)).sum()))
        assert heights[0] <= 72
        assert heights[1] > 1.7 * heights[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 12), st.floats(-1, 3), st.booleans())
def test_any_size_can_be_drawn_and_most_of_the_picture_stays(
    width: int, height: int, tracks: int, time: float, sound: bool
) -> None:
    result = boxes_result(width, height, [[None]] * tracks, sounding=[(0.2, 0.4), (0.9, 5.0)])
    painter = OverlayPainter(result, span=(0, 2), waveform=BEEP if sound else None)
    painted = painter.paint(grey(width, height), time)
    assert painted.shape == (height, width, 3)
    untouched = height - int(height * 0.2)
    assert np.all(painted[:untouched] == GREY)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_any_mask_can_be_drawn(width: int, height: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left, width)), data.draw(st.integers(top, height))
    result = boxes_result(width, height, [[(left, top, right, bottom)], [(0, 0, 1, 1)]])
    painted = OverlayPainter(result, span=(0, 2), waveform=BEEP).paint(grey(width, height), 0.5)
    assert painted.shape == (height, width, 3)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80))
@example("two\nlines\ttabs")
@example("\ud800 \x00 \u202e")
@example("x" * 10_000)
@example("")
def test_any_category_name_can_be_drawn(label: str) -> None:
    result = boxes_result(320, 180, [[(10, 60, 60, 120)]])
    track = dataclasses.replace(result.tracks[0], label=label)
    painter = OverlayPainter(dataclasses.replace(result, tracks=(track,)), span=(0, 2), waveform=BEEP)
    assert painter.paint(grey(320, 180), 0.5).shape == (180, 320, 3)
    assert len(label_text(track)) < 60


def stripes(width: int, height: int) -> np.ndarray:
    """Red and dark stripes of four pixels, as only a blur or a colour change can even out."""
    picture = np.full((height, width, 3), 40, dtype=np.uint8)
    picture[:, np.arange(width) // 4 % 2 == 0] = (200, 60, 60)
    return picture


def bare(name: str, alpha: float | None = None) -> DrawStyle:
    return DrawStyle(name, alpha, labels=False, strip="none")


class TestStyles:
    box = (200, 100, 300, 200)
    inside = np.s_[110:190, 210:290]
    far = np.s_[:60, :]

    def paint(self, style: DrawStyle, result: ClipResult | None = None, time: float = 0.5) -> np.ndarray:
        result = boxes_result(640, 360, [[self.box]]) if result is None else result
        return OverlayPainter(result, span=(0, 2), waveform=BEEP, style=style).paint(stripes(640, 360), time)

    def test_fill_is_the_default(self) -> None:
        result = boxes_result(640, 360, [[self.box]])
        default = OverlayPainter(result, span=(0, 2), waveform=BEEP).paint(stripes(640, 360), 0.5)
        assert np.array_equal(default, self.paint(DrawStyle("fill", 0.42)))

    def test_alpha_is_the_opacity_of_the_fill(self) -> None:
        clear, half, full = (self.paint(bare("fill", alpha))[150, 250] for alpha in (0, 0.5, 1))
        plain = stripes(640, 360)[150, 250]
        assert clear.tolist() == plain.tolist()
        assert full.tolist() == list(track_colour(1))
        assert half == pytest.approx((plain.astype(float) + full) / 2, abs=1)

    def test_outline_leaves_the_inside_alone(self) -> None:
        plain, painted = stripes(640, 360), self.paint(bare("outline"))
        assert np.array_equal(painted[self.inside], plain[self.inside])
        assert np.abs(painted[150, 200].astype(int) - track_colour(1)).max() < 12
        faint = self.paint(bare("outline", 0.5))
        assert faint[150, 200] == pytest.approx((plain[150, 200].astype(float) + painted[150, 200]) / 2, abs=1)
        assert np.array_equal(self.paint(bare("outline", 0)), plain)

    def test_the_background_is_blurred_and_the_object_is_not(self) -> None:
        plain, painted = stripes(640, 360), self.paint(bare("blur-background"))
        assert np.array_equal(painted[self.inside], plain[self.inside])
        assert np.ptp(painted[self.far][..., 0]) < 30 < np.ptp(plain[self.far][..., 0])
        assert painted[self.far].mean() == pytest.approx(plain[self.far].mean(), abs=2)
        half = self.paint(bare("blur-background", 0.5))[self.far].astype(float)
        assert half == pytest.approx((plain[self.far].astype(float) + painted[self.far]) / 2, abs=1)

    def test_a_blurred_background_takes_no_colour_from_the_object(self) -> None:
        picture = grey(640, 360)
        left, top, right, bottom = self.box
        picture[top:bottom, left:right] = (255, 0, 0)
        result = boxes_result(640, 360, [[self.box]])
        painted = OverlayPainter(result, span=(0, 2), style=bare("blur-background")).paint(picture, 0.5).astype(int)
        outside = np.ones((360, 640), dtype=bool)
        outside[top - 4 : bottom + 4, left - 4 : right + 4] = False  # where the outline is
        assert np.abs(painted[outside] - GREY).max() <= 2

    def test_spotlight_darkens_what_is_outside_with_a_soft_edge(self) -> None:
        picture = grey(640, 360)
        result = boxes_result(640, 360, [[self.box]])
        painted = (
            OverlayPainter(result, span=(0, 2), style=bare("spotlight", 0.6)).paint(picture, 0.5)[..., 0].astype(int)
        )
        assert np.all(painted[100:200, 200:300] == GREY)
        assert painted[:60] == pytest.approx(np.full((60, 640), GREY * 0.4), abs=1)
        edge = painted[150, 300:360]
        assert np.all(np.diff(edge) <= 0)
        assert np.diff(edge).min() > -15
        assert edge[-1] == round(GREY * 0.4)

    def test_mute_takes_colour_and_light_from_all_that_is_silent(self) -> None:
        boxes = [[self.box], [(400, 100, 500, 200)]]
        result = boxes_result(640, 360, boxes, duration=4.0)
        first, second = result.tracks
        second = dataclasses.replace(second, sounding=[(0.6, 1.0)])
        result = dataclasses.replace(result, tracks=(first, second))
        painter = OverlayPainter(result, span=(0, 2), style=bare("mute"))
        plain = stripes(640, 360)
        other = np.s_[110:190, 410:490]

        def muted(time: float) -> list[bool]:
            painted = painter.paint(plain, time)
            states = []
            for part in (self.inside, other, self.far):
                if np.array_equal(painted[part], plain[part]):
                    states.append(False)
                    continue
                assert np.ptp(painted[part], axis=2).max() == 0  # grey
                assert painted[part].mean() < plain[part].mean() * 0.6
                states.append(True)
            return states

        # the masks are the same all the time: it is the sound that comes and goes
        assert muted(0.5) == [False, True, True]
        assert muted(0.7) == [False, False, True]
        assert muted(0.55) == [False, True, True]

    @pytest.mark.parametrize("name", STYLES)
    def test_nothing_is_done_where_the_result_says_nothing(self, name: str) -> None:
        result = boxes_result(640, 360, [[self.box]], times=(1.0,), sounding=[(1.0, 2.0)])
        assert np.array_equal(self.paint(bare(name), result, 0.5), stripes(640, 360))
        assert not np.array_equal(self.paint(bare(name), result, 1.5), stripes(640, 360))

    @pytest.mark.parametrize("name", ["blur-background", "spotlight", "mute"])
    def test_without_an_object_everything_is_background(self, name: str) -> None:
        painted = self.paint(bare(name), boxes_result(640, 360, [[None]]))
        assert np.all(np.abs(painted.astype(int) - stripes(640, 360)).max(axis=2).mean(axis=0) > 5)

    def test_without_labels_only_the_object_is_painted(self) -> None:
        result = boxes_result(640, 360, [[self.box]])
        style = DrawStyle(labels=False)
        painted = OverlayPainter(result, span=(0, 2), style=style).paint(grey(640, 360), 0.5)
        assert np.all(painted[:96] == GREY)
        assert np.any(OverlayPainter(result, span=(0, 2)).paint(grey(640, 360), 0.5)[:96] != GREY)

    def test_without_the_strip_labels_may_stand_at_the_bottom(self) -> None:
        result = boxes_result(640, 360, [[(200, 0, 300, 350)]])
        plain = OverlayPainter(result, span=(0, 2), waveform=BEEP, style=bare("outline")).paint(grey(640, 360), 0.5)
        assert np.all(plain[300:, :190] == GREY)
        assert np.any(OverlayPainter(result, span=(0, 2), waveform=BEEP).paint(grey(640, 360), 0.5)[300:, :190] != GREY)

    def test_colours_of_ones_own_are_used_for_masks_labels_and_lanes(self) -> None:
        result = boxes_result(640, 360, [[self.box]], sounding=[(0.0, 2.0)])
        style = DrawStyle("fill", 1.0, palette="ff00ff")
        painted = OverlayPainter(result, span=(0, 2), style=style).paint(grey(640, 360), 0.5).astype(int)
        close = np.abs(painted - (255, 0, 255)).max(axis=2) < 20
        assert close[self.inside].all()
        assert close[60:96].sum() > 300  # the label
        assert close[330:].sum() > 1000  # the lane
        taken = np.abs(painted - track_colour(1)).max(axis=2) < 20
        assert not taken.any()

    @settings(max_examples=30, deadline=None)
    @given(st.sampled_from(STYLES), st.integers(1, 300), st.integers(1, 300), st.floats(0, 1), st.data())
    def test_every_style_draws_any_size_and_mask(
        self, name: str, width: int, height: int, alpha: float, data: st.DataObject
    ) -> None:
        left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        right, bottom = data.draw(st.integers(left, width)), data.draw(st.integers(top, height))
        picture = stripes(width, height)
        result = boxes_result(width, height, [[(left, top, right, bottom)]])
        painted = OverlayPainter(result, span=(0, 2), style=DrawStyle(name, alpha)).paint(picture, 0.5)
        assert painted.shape == picture.shape
        assert np.array_equal(picture, stripes(width, height))


class TestDrawStyle:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"name": "glow"}, "--style 'glow', expected one of fill, outline, blur-background, spotlight, mute"),
            ({"alpha": 1.1}, "--alpha 1.1, expected a number from 0 to 1"),
            ({"alpha": float("nan")}, "--alpha nan"),
            ({"strip": "beside"}, "--strip 'beside', expected one of over, below, none"),
            ({"palette": "rainbow"}, "--palette 'rainbow'"),
            ({"palette": ""}, "--palette ''"),
        ],
    )
    def test_what_means_nothing_is_refused(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError) as caught:
            DrawStyle(**values)
        assert str(caught.value).startswith(message)

    def test_equal_settings_are_equal_and_print_the_same(self) -> None:
        first, second = DrawStyle("mute", 0.5), DrawStyle(name="mute", alpha=0.5, palette="okabe-ito")
        assert (first, repr(first)) == (second, repr(second))
        assert first != DrawStyle("mute")


class TestTimeline:
    def make(self, *tracks: list[tuple[float, float]], sound: bool = True) -> Timeline:
        listed = [
            boxes_result(640, 360, [[None]] * (id + 1), sounding=spans).tracks[id] for id, spans in enumerate(tracks)
        ]
        return Timeline((640, 360), listed, (0.0, 10.0), BEEP if sound else None)

    def draw(self, timeline: Timeline, time: float) -> np.ndarray:
        picture = grey(640, 360)
        timeline.draw(picture, time)
        return picture[360 - timeline.layout.height :].astype(int)

    def test_a_lane_is_coloured_where_its_track_sounds(self) -> None:
        timeline = self.make([(2.0, 4.0)], [(6.0, 8.0)])
        strip = self.draw(timeline, 0.0)
        for index, inside, outside in ((0, 3.0, 7.0), (1, 7.0, 3.0)):
            row = timeline.layout.lane_top(index) + timeline.layout.lane // 2
            colour = strip[row, round(timeline.column(inside))]
            ground = strip[row, round(timeline.column(outside))]
            hue = np.array(track_colour(index + 1))
            assert np.argmax(colour - ground) == np.argmax(hue)
            assert np.abs(colour - ground).max() > 40
            assert np.ptp(ground) < 20

    def test_the_lane_of_a_track_is_bright_while_it_sounds(self) -> None:
        timeline = self.make([(2.0, 4.0), (6.0, 8.0)])
        row = timeline.layout.lane_top(0) + timeline.layout.lane // 2
        column = round(timeline.column(7.0))
        silent, sounding, after = (self.draw(timeline, time)[row, column] for time in (1.0, 3.0, 5.0))
        assert silent.tolist() == after.tolist()
        assert np.abs(sounding - track_colour(1)).max() <= 2
        assert np.abs(silent - track_colour(1)).max() > 20

    def test_the_playhead_stands_at_the_time(self) -> None:
        timeline = self.make([])
        edges = timeline.layout.left, timeline.layout.right
        for time in (0.0, 2.5, 10.0, 99.0):
            bright = np.flatnonzero((self.draw(timeline, time)[0] == 255).all(axis=1))
            assert bright.size >= 1
            expected = edges[0] + min(time, 10.0) / 10 * (edges[1] - edges[0])
            assert abs(bright.mean() + 0.5 - expected) <= 1.5

    def test_without_tracks_and_sound_there_is_no_strip(self) -> None:
        assert self.make(sound=False).layout.height == 0

    @pytest.mark.parametrize("sound", [True, False])
    @pytest.mark.parametrize("size", [(640, 360), (1280, 720), (3840, 2160), (360, 640), (320, 180), (96, 64)])
    def test_every_track_has_a_lane_or_is_counted(self, size: tuple[int, int], sound: bool) -> None:
        for tracks in (0, 1, 3, 6, 7, 8, 12, 60, 255):
            names = [f"person {number}" for number in range(1, tracks + 1)]
            layout = lay_out(*size, names, sound)
            assert layout.lanes + layout.rest == tracks
            assert layout.height <= int(size[1] * 0.2)
            assert (layout.rest_lane > 0) == (layout.rest > 0 and size != (96, 64))
            assert list(layout.names) in (names[: layout.lanes], [])
            last = layout.lane_top(layout.lanes) + layout.rest_lane if layout.rest_lane else 0
            bottom = max(layout.lane_top(layout.lanes - 1) + layout.lane if layout.lanes else 0, last)
            assert bottom in (0, layout.height - layout.margin)

    def test_names_stay_as_long_as_some_fit(self) -> None:
        for tracks in (1, 5, 8, 60, 255):
            layout = lay_out(1280, 720, [f"person {number}" for number in range(1, tracks + 1)], True)
            assert len(layout.names) == layout.lanes == min(tracks, 8 if tracks <= 7 else 6)
        assert len(lay_out(1280, 720, ["a 1"] * 60, True, 0.4).names) > 12  # twice the room
        assert lay_out(320, 180, ["person 1"] * 60, True).names == ()  # few fit: more lanes without

    def test_a_long_name_is_shortened_and_keeps_its_number(self) -> None:
        layout = lay_out(360, 640, ["a very long name of an instrument 12", "dog 3"], False)
        assert layout.names[0].startswith("a very")
        assert layout.names[0].endswith("… 12")
        assert layout.names[1] == "dog 3"
        assert layout.left <= 360 * 0.25 + 2 * 8

    def test_what_has_no_lane_sounds_in_the_lane_of_the_rest(self) -> None:
        silent: list[tuple[float, float]] = []
        timeline = self.make(*[silent] * 30, [(2.0, 4.0)], [(6.0, 8.0)])
        layout = timeline.layout
        assert (layout.lanes, layout.rest) == (layout.lanes, 32 - layout.lanes)
        row = layout.lane_top(layout.lanes) + layout.rest_lane // 2
        before, during = self.draw(timeline, 1.0)[row], self.draw(timeline, 3.0)[row]
        columns = [round(timeline.column(time)) for time in (3.0, 5.0, 7.0)]
        first, pause, second = (before[column].mean() for column in columns)
        assert min(first, second) > pause + 20
        assert during[columns[2]].mean() > second + 20  # bright while one of them sounds
        written = before[:, : layout.left]
        assert written.max() > 100  # "+25"

    def test_the_rest_is_said_in_numbers(self) -> None:
        pictures = [self.draw(self.make(*[[]] * tracks), 0.0) for tracks in (40, 41)]
        layout = self.make(*[[]] * 40).layout
        rows = np.s_[layout.lane_top(layout.lanes) :, : layout.left]
        assert not np.array_equal(pictures[0][rows], pictures[1][rows])


def test_envelope_is_the_lowest_and_highest_sample_of_each_column() -> None:
    samples = np.array([0.1, -0.2, 0.3, 0.4, -0.5, 0.0], dtype=np.float32)
    low, high = envelope(Waveform(samples, sample_rate=2), 0.0, 3.0, 3)
    assert low.tolist() == pytest.approx([-0.2, 0.3, -0.5])
    assert high.tolist() == pytest.approx([0.1, 0.4, 0.0])


def test_envelope_is_flat_where_nothing_was_recorded() -> None:
    low, high = envelope(Waveform(np.ones(4, dtype=np.float32), sample_rate=2), 1.0, 4.0, 4)
    assert high.tolist() == [1, 0, 0, 0]
    assert low.tolist() == [1, 0, 0, 0]
    low, high = envelope(Waveform(np.zeros(0, dtype=np.float32)), 0.0, 4.0, 4)
    assert high.tolist() == [0, 0, 0, 0]


def test_rounded_box_covers_its_area() -> None:
    square = rounded_box((20, 30), 2.25, 3.5, 22.25, 13.5, 0)
    assert square.sum() == pytest.approx(200, rel=0.02)
    round_one = rounded_box((40, 40), 5, 5, 35, 35, 15)
    assert round_one.sum() == pytest.approx(np.pi * 15**2, rel=0.01)
    assert round_one[5, 5] == 0
