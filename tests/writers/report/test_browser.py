"""The report page and the index in a real browser: what happens when they are clicked, keyed, shrunk and attacked."""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import make_clip
from PIL import Image
from scipy import ndimage
from writers_examples import boxes_result

from avis_cli.media import decode
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult
from avis_cli.writers.report import Summary, report_clip, write_index
from avis_cli.writers.report.template import source

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = "<img src=x onerror=document.title='owned'>.mp4"
SIZE = (320, 180)
BOX = (40, 30, 120, 90)
OTHER = (200, 60, 280, 150)
# how much of a box (shares of the canvas) is drawn on
COVERED = """([left, top, right, bottom]) => {
  const canvas = document.getElementById("masks");
  const [x, y] = [Math.round(left * canvas.width), Math.round(top * canvas.height)];
  const [width, height] = [Math.round(right * canvas.width) - x, Math.round(bottom * canvas.height) - y];
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(x, y, width, height).data;
  let drawn = 0;
  for (let n = 3; n < pixels.length; n += 4) drawn += pixels[n] > 0;
  return drawn / (width * height);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.fail(f"none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with a hostile name and the results of it, as they lie on a user's disk."""
    folder = tmp_path_factory.mktemp("run")
    clip = folder / HOSTILE
    make_clip(clip, size=SIZE, fps=10, seconds=3, sample_rate=16000)
    results = folder / "out" / HOSTILE
    results.mkdir(parents=True)
    shutil.copy(clip, results / "overlay.mp4")
    report_clip(results / "report.html", result(), decode.probe(clip), overlay="overlay.mp4", warn=pytest.fail)
    report_clip(results / "alone.html", result(), decode.probe(clip), overlay=None, warn=pytest.fail)
    report_clip(results / "empty.html", result(0), decode.probe(clip), overlay=None, warn=pytest.fail)
    make_clip(results / "tall.mp4", size=(SIZE[0], 240), fps=10, seconds=3, sample_rate=16000)
    report_clip(results / "tall.html", result(), decode.probe(clip), overlay="tall.mp4", warn=pytest.fail)
    report_clip(results / "many.html", crowd(), decode.probe(clip), overlay="overlay.mp4", warn=pytest.fail)
    return folder


def result(tracks: int = 2) -> ClipResult:
    boxes = [[BOX, BOX, None], [None, OTHER, OTHER]]
    made = boxes_result(*SIZE, boxes[:tracks], times=(0.0, 1.0, 2.0), duration=3.0)
    sounding = [[(0.25, 2.0)], [(1.0, 1.5), (1.75, 2.75)]]
    listed = [dataclasses.replace(track, sounding=sounding[n]) for n, track in enumerate(made.tracks)]
    return dataclasses.replace(
        made, source=dataclasses.replace(made.source, file=HOSTILE), tracks=tuple(listed), categories=((1, "person"),)
    )


# track and vertical place of every element of a kind that is shown
LISTED = """(kind) => [...document.querySelectorAll(kind)].filter((element) => element.checkVisibility())
  .map((element) => [Number(element.dataset.track), Math.round(element.getBoundingClientRect().y)])"""
CATEGORIES = ("person", "dog", "acoustic guitar")


def crowd(tracks: int = 60) -> ClipResult:
    """Track n is of category n % 3 and sounds for n hundredths of a second around the whole seconds in turn."""
    boxes = [[(5 * n, 2 * n, 5 * n + 12, 2 * n + 12)] * 3 for n in range(tracks)]
    made = boxes_result(*SIZE, boxes, times=(0.0, 1.0, 2.0), duration=3.0)
    listed = []
    for track in made.tracks:
        start = float(track.id % 3)
        label = CATEGORIES[track.id % 3]
        sounding = [(start, start + track.id / 100)]
        listed.append(dataclasses.replace(track, category_id=track.id % 3 + 1, label=label, sounding=sounding))
    source = dataclasses.replace(made.source, file=HOSTILE)
    return dataclasses.replace(made, source=source, tracks=tuple(listed), categories=tuple(enumerate(CATEGORIES, 1)))


class Shown:
    """A page that is open, and everything it complained about or asked the network for."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(address)

    def state(self, name: str) -> float:
        return float(self.page.evaluate(f"document.getElementById('{name}').currentTime"))

    def wait(self, condition: str) -> None:
        # asked from outside: the page's policy forbids the browser to wait for text that is evaluated inside
        deadline = time.monotonic() + 20
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"still not so: {condition}"
            self.page.wait_for_timeout(20)

    def ready(self) -> None:
        self.wait("[...document.querySelectorAll('video')].every((video) => video.readyState >= 2)")

    def clock(self) -> str:
        return str(self.page.locator("#clock").inner_text())

    def wait_clock(self, text: str) -> None:
        self.wait(f"document.getElementById('clock').textContent.startsWith('{text} ')")

    def covered(self, box: tuple[int, int, int, int]) -> float:
        left, top, right, bottom = box
        shares = [left / SIZE[0], top / SIZE[1], right / SIZE[0], bottom / SIZE[1]]
        return float(self.page.evaluate(COVERED, shares))

    def listed(self) -> list[int]:
        """The tracks of the list, which are those of the timeline, from top to bottom."""
        self.page.wait_for_timeout(80)
        cards, names, lanes = (self.page.evaluate(LISTED, kind) for kind in (".card", ".name", ".lane"))
        assert [id for id, _ in names] == [id for id, _ in lanes] == [id for id, _ in cards]
        heights = [y for _, y in lanes]
        assert [y for _, y in names] == heights == sorted(heights)
        return [id for id, _ in cards]

    def ground(self) -> list[int]:
        """RGB of the page's corner."""
        image = Image.open(BytesIO(self.page.screenshot())).convert("RGB")
        return [int(level) for level in np.asarray(image)[2, 2]]


@pytest.fixture
def show(browser: Any, folder: Path) -> Iterator[Any]:
    """Opens one of the folder's pages; at the end no page may have complained or asked for anything but files."""
    opened: list[Shown] = []
    contexts = []

    def show(name: str, **options: Any) -> Shown:
        context = browser.new_context(**options)
        contexts.append(context)
        path = folder / name if name == "index.html" else folder / "out" / HOSTILE / name
        shown = Shown(context.new_page(), path.as_uri())
        opened.append(shown)
        shown.ready()
        return shown

    yield show
    for shown in opened:
        assert shown.complaints == []
        assert {url.partition(":")[0] for url in shown.requests} <= {"file", "data", "blob"}
    for context in contexts:
        context.close()


def test_a_press_on_the_timeline_seeks_both_videos(show: Any) -> None:
    shown = show("report.html")
    field = shown.page.locator("#field").bounding_box()
    shown.page.mouse.click(field["x"] + field["width"] * 0.5, field["y"] + 20)
    shown.wait_clock("0:01.5")
    assert shown.state("source") == pytest.approx(1.5, abs=0.05)
    assert shown.state("overlay") == pytest.approx(1.5, abs=0.05)
    playhead = shown.page.locator("#playhead").bounding_box()
    middle = playhead["x"] + playhead["width"] / 2
    assert middle == pytest.approx(field["x"] + field["width"] * 0.5, abs=2)
    lane = shown.page.locator(".lane[data-track='2']").bounding_box()
    shown.page.mouse.move(lane["x"] + lane["width"] * 0.25, lane["y"] + 9)
    shown.page.mouse.down()
    shown.page.mouse.move(lane["x"] + lane["width"] * 0.75, lane["y"] + 9)
    shown.page.mouse.up()
    shown.wait_clock("0:02.3")
    shown.page.get_by_role("button", name="0:01.8–0:02.8").click()
    shown.wait("Math.abs(document.getElementById('source').currentTime - 1.75) < 0.01")


def test_lanes_lie_where_their_tracks_sound(show: Any) -> None:
    shown = show("report.html")
    lane = shown.page.locator(".lane[data-track='2']").bounding_box()
    bars = [bar.bounding_box() for bar in shown.page.locator(".lane[data-track='2'] i").all()]
    places = [((bar["x"] - lane["x"]) / lane["width"] * 3, bar["width"] / lane["width"] * 3) for bar in bars]
    assert places == [pytest.approx((1.0, 0.5), abs=0.03), pytest.approx((1.75, 1.0), abs=0.03)]


def test_a_switch_shows_and_hides_its_tracks_mask(show: Any) -> None:
    shown = show("report.html")
    page = shown.page
    page.keyboard.press("ArrowRight")
    shown.wait_clock("0:01.0")
    assert (shown.covered(BOX), shown.covered(OTHER)) == (0, 0)
    page.locator(".card[data-track='1'] .switch").click()
    shown.wait("document.querySelector('.card[data-track=\"1\"] input').checked")
    page.wait_for_timeout(100)
    assert shown.covered(BOX) > 0.95
    assert shown.covered(OTHER) == 0
    assert shown.covered((0, 100, 190, 180)) == 0
    page.keyboard.press("2")
    page.wait_for_timeout(100)
    assert shown.covered(OTHER) > 0.95
    page.locator(".card[data-track='1'] .switch").click()
    page.wait_for_timeout(100)
    assert (shown.covered(BOX), shown.covered(OTHER) > 0.95) == (0, True)
    page.get_by_role("button", name="Show all masks").click()
    page.keyboard.press("End")  # the second mask frame is gone by then, and with it the first track
    page.wait_for_timeout(100)
    assert (shown.covered(BOX), shown.covered(OTHER) > 0.95) == (0, True)
    page.get_by_role("button", name="Hide all masks").click()
    page.wait_for_timeout(100)
    assert shown.covered((0, 0, *SIZE)) == 0


def test_the_scripts_masks_are_those_that_were_encoded(browser: Any) -> None:
    page = browser.new_page()
    random = np.random.default_rng(1)
    masks = [random.random((37, 53)) < share for share in (0.0, 0.02, 0.5, 0.98, 1.0)]
    masks += [np.kron(random.random((5, 4)) < 0.5, np.ones((40, 70))).astype(bool)]
    code = """([counts, height, width]) => { %s
      const pixels = new Array(height * width).fill(0);
      for (const { column, top, bottom } of columnRuns(counts, height)) {
        for (let y = top; y < bottom; y++) pixels[y * width + column]++;
      }
      return pixels;
    }"""
    for mask in masks:
        pixels = page.evaluate(code % source("run_length.js"), [run_length.encode(mask)["counts"], *mask.shape])
        assert np.array_equal(np.array(pixels).reshape(mask.shape), mask)
    page.close()


def test_keys(show: Any) -> None:
    shown = show("report.html")
    press = shown.page.keyboard.press
    seen = []
    for key in ("]", "]", "]", "[", "ArrowRight", "ArrowLeft", "Shift+ArrowRight", "End", "[", "Home"):
        press(key)
        shown.page.wait_for_timeout(60)
        seen.append(shown.clock().split(" ")[0])
    times = ["0:00.3", "0:01.0", "0:01.5", "0:01.0", "0:02.0", "0:01.0", "0:02.0", "0:03.0", "0:02.8", "0:00.0"]
    assert seen == times
    press(" ")
    shown.wait("document.getElementById('source').currentTime > 0.5")
    assert shown.page.locator("#play").inner_text() == "Pause"
    press(" ")
    shown.wait("document.getElementById('source').paused && document.getElementById('overlay').paused")
    assert shown.state("source") == pytest.approx(shown.state("overlay"), abs=0.35)


def test_the_playhead_moves_and_playing_ends_at_the_end(show: Any) -> None:
    shown = show("report.html")
    shown.page.keyboard.press("]")
    shown.page.get_by_role("button", name="Play", exact=True).click()
    shown.wait("parseFloat(document.getElementById('playhead').style.left) > 30")
    assert shown.page.locator(".card[data-track='1']").get_by_text("sounds now").count() == 1
    shown.page.keyboard.press("End")
    shown.wait("document.getElementById('source').paused")
    assert shown.clock().startswith("0:03.0")
    shown.page.keyboard.press(" ")
    shown.wait("!document.getElementById('source').paused && document.getElementById('source').currentTime < 2")


def test_the_wipe_shows_both_videos_in_one_place(show: Any) -> None:
    shown = show("report.html")
    page = shown.page
    beside = [page.locator(f"#{name}").bounding_box() for name in ("source", "overlay")]
    assert beside[1]["x"] > beside[0]["x"] + beside[0]["width"]
    page.get_by_text("Wipe").click()
    over = [page.locator(f"#{name}").bounding_box() for name in ("source", "overlay")]
    assert over[0] == over[1]
    box = over[0]
    page.mouse.click(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.5)
    assert float(page.locator("#wipe").input_value()) == pytest.approx(20, abs=1)
    assert page.evaluate("document.getElementById('source').paused")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes(show: Any, scheme: str) -> None:
    shown = show("report.html", color_scheme=scheme)
    before = shown.ground()
    assert (np.mean(before) > 200) == (scheme == "light")
    shown.page.locator("#theme").click()
    after = shown.ground()
    assert (np.mean(after) > 200) == (scheme == "dark")
    text = shown.page.evaluate("getComputedStyle(document.body).color")
    assert text == ("rgb(21, 24, 29)" if scheme == "dark" else "rgb(238, 241, 245)")
    shown.page.reload()
    shown.ready()
    assert shown.ground() == after


@pytest.mark.parametrize("name", ["report.html", "alone.html", "empty.html", "tall.html", "many.html"])
def test_a_phone_shows_the_whole_width(show: Any, name: str) -> None:
    shown = show(name, viewport={"width": 340, "height": 700}, has_touch=True)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 340
    boxes = [box.bounding_box() for box in shown.page.locator("button, video, .lane, .card").all()]
    assert len(boxes) > 5
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 340 for box in boxes)


def test_the_page_is_not_blank(show: Any) -> None:
    shown = show("report.html", viewport={"width": 1200, "height": 1000})
    image = np.asarray(Image.open(BytesIO(shown.page.screenshot())).convert("RGB"))
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 200
    for name in ("#source", "#overlay", "#wave", ".lane", ".card img"):
        picture = Image.open(BytesIO(shown.page.locator(name).first.screenshot())).convert("RGB")
        assert np.asarray(picture).std() > 8, name


def test_a_hostile_name_is_text(show: Any) -> None:
    shown = show("report.html")
    assert shown.page.locator("h1").inner_text() == HOSTILE
    assert HOSTILE in shown.page.title()
    assert shown.page.locator("img").count() == 2  # the two cards' crops


class TestManyTracks:
    """What a page of 60 tracks can be asked for."""

    def test_the_list_and_the_timeline_are_sorted_alike(self, show: Any) -> None:
        shown = show("many.html")
        order = shown.page.get_by_label("Sort by")
        assert shown.listed() == list(range(1, 61))
        order.select_option("name")
        of = {label: [id for id in range(1, 61) if id % 3 == n] for n, label in enumerate(CATEGORIES)}
        assert shown.listed() == of["acoustic guitar"] + of["dog"] + of["person"]
        order.select_option("time sounding")
        assert shown.listed() == list(range(60, 0, -1))
        order.select_option("score")
        assert shown.listed() == list(range(1, 61))

    def test_search_and_filter_leave_what_is_asked_for(self, show: Any) -> None:
        shown = show("many.html")
        page = shown.page
        search = page.get_by_label("Search")
        search.fill("GUITAR  5")
        wanted = [id for id in range(1, 61) if id % 3 == 2 and "5" in str(id)]
        assert shown.listed() == wanted
        assert page.locator("#count").inner_text() == f"{len(wanted)} of 60"
        search.fill("zebra")
        assert shown.listed() == []
        assert page.get_by_text("No track is like that.").is_visible()
        search.fill("")
        page.get_by_label("Category").select_option("dog")
        assert shown.listed() == [id for id in range(1, 61) if id % 3 == 1]
        page.get_by_label("sounding now").check()
        assert shown.listed() == []
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("ArrowRight")  # to 1 s, when the dogs begin
        assert shown.listed() == [id for id in range(1, 61) if id % 3 == 1]
        page.locator("#field").focus()
        for _ in range(2):
            page.keyboard.press("]")  # to 1.07 s: tracks 1, 4 and 7 have fallen silent
        assert shown.listed() == [id for id in range(1, 61) if id % 3 == 1 and id > 7]

    def test_all_masks_are_those_of_the_tracks_that_are_listed(self, show: Any) -> None:
        shown = show("many.html")
        shown.page.get_by_label("Search").fill("60")
        shown.page.wait_for_timeout(60)
        shown.page.get_by_role("button", name="Show all masks").click()
        on = "[...document.querySelectorAll('.card input')].filter((box) => box.checked).length"
        assert shown.page.evaluate(on) == 1
        shown.page.get_by_label("Search").fill("")
        shown.page.wait_for_timeout(60)
        shown.page.get_by_role("button", name="Show all masks").click()
        assert shown.page.evaluate(on) == 60

    def test_keys_that_are_typed_into_the_search_do_nothing_else(self, show: Any) -> None:
        shown = show("many.html")
        keyboard = shown.page.keyboard
        keyboard.press("/")
        search = shown.page.get_by_label("Search")
        keyboard.type("dog 1 [+0/")
        assert search.input_value() == "dog 1 [+0/"
        assert shown.clock().startswith("0:00.0")
        assert shown.page.locator("#zoom-out").is_disabled()
        assert shown.page.evaluate("document.getElementById('source').paused")
        keyboard.press("Escape")
        assert shown.listed() == list(range(1, 61))
        keyboard.press("ArrowRight")
        shown.wait_clock("0:01.0")

    def test_lanes_scroll_under_the_sound_and_over_the_seconds(self, show: Any) -> None:
        shown = show("many.html", viewport={"width": 1000, "height": 900})
        page = shown.page
        assert page.locator("#rows").bounding_box()["height"] < 450

        def inside(selector: str) -> bool:
            rows, box = (page.locator(name).bounding_box() for name in ("#rows", selector))
            return bool(rows["y"] - 1 <= box["y"] and box["y"] + box["height"] <= rows["y"] + rows["height"] + 1)

        seen = [id for id in range(1, 61) if inside(f".lane[data-track='{id}']")]
        assert 10 <= len(seen) < 20
        page.locator("#field").focus()
        page.keyboard.press("PageDown")
        page.wait_for_timeout(400)
        assert not inside(".lane[data-track='1']")
        page.evaluate("document.getElementById('rows').scrollTop = 1e6")
        assert inside(".lane[data-track='60']")
        assert inside("#wave")
        assert inside("#axis")
        # the sound hides the lane that has gone under it
        box = page.locator("#wave").bounding_box()
        under = page.evaluate(
            "([x, y]) => document.elementFromPoint(x, y).closest('.lane') === null", [box["x"] + 40, box["y"] + 30]
        )
        assert under

    def test_zooming_keeps_the_playhead_and_scrolls_with_it(self, show: Any) -> None:
        shown = show("many.html", viewport={"width": 1000, "height": 900})
        page = shown.page

        def middle(selector: str) -> float:
            box = page.locator(selector).bounding_box()
            return float(box["x"] + box["width"] / 2)

        bar = ".lane[data-track='60'] i"
        width = page.locator(bar).bounding_box()["width"]
        page.keyboard.press("ArrowRight")
        shown.wait_clock("0:01.0")
        before = middle("#playhead")
        page.get_by_role("button", name="Zoom in").click()
        page.keyboard.press("+")
        page.wait_for_timeout(60)
        assert page.locator(bar).bounding_box()["width"] == pytest.approx(width * 1.6**2, rel=0.02)
        assert middle("#playhead") == pytest.approx(before, abs=2)
        names = page.locator("#names").bounding_box()
        assert names["x"] == pytest.approx(page.locator("#rows").bounding_box()["x"], abs=1)
        page.keyboard.press("End")
        page.wait_for_timeout(100)
        rows = page.locator("#rows").bounding_box()
        assert names["x"] + names["width"] - 2 <= middle("#playhead") <= rows["x"] + rows["width"] + 1
        # a press still means the time under the pointer
        field = page.locator("#field").bounding_box()
        x = rows["x"] + rows["width"] * 0.6
        page.mouse.click(x, field["y"] + 20)
        seconds = 3 * (x - field["x"]) / field["width"]
        shown.wait_clock(f"0:0{round(seconds, 1):.1f}")
        page.keyboard.press("0")
        page.wait_for_timeout(60)
        assert page.locator(bar).bounding_box()["width"] == pytest.approx(width, rel=0.02)
        assert page.locator("#zoom-all").is_disabled()

    def test_zoom_ends_where_half_a_second_is_seen(self, show: Any) -> None:
        shown = show("many.html")
        for _ in range(20):
            shown.page.keyboard.press("+")
        assert shown.page.locator("#zoom-in").is_disabled()
        field, view = (shown.page.locator(name).bounding_box()["width"] for name in ("#field", "#rows"))
        names = shown.page.locator("#names").bounding_box()["width"]
        assert 3 * (view - names) / field == pytest.approx(0.5, abs=0.02)
        texts = [tick.inner_text() for tick in shown.page.locator("#axis span").all()]
        assert "0:00.1" in texts

    def test_the_wheel_zooms_at_the_pointer(self, show: Any) -> None:
        shown = show("many.html")
        field = shown.page.locator("#field").bounding_box()
        x = field["x"] + field["width"] * 0.75
        shown.page.mouse.move(x, field["y"] + 20)
        shown.page.keyboard.down("Control")
        shown.page.mouse.wheel(0, -100)
        shown.page.keyboard.up("Control")
        shown.page.wait_for_timeout(200)
        zoomed = shown.page.locator("#field").bounding_box()
        assert zoomed["width"] > 1.5 * field["width"]
        assert (x - zoomed["x"]) / zoomed["width"] == pytest.approx(0.75, abs=0.01)

    def test_a_name_leads_to_its_card(self, show: Any) -> None:
        shown = show("many.html", viewport={"width": 1000, "height": 700})
        shown.page.get_by_label("Sort by").select_option("time sounding")
        shown.page.wait_for_timeout(60)
        shown.page.locator(".name[data-track='58']").click()
        card = shown.page.locator(".card[data-track='58']")
        box = card.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 700
        assert shown.page.evaluate("document.activeElement.dataset.track") == "58"

    def test_everything_can_be_reached_by_keys(self, show: Any) -> None:
        shown = show("many.html")
        reached = []
        for _ in range(40):
            shown.page.keyboard.press("Tab")
            reached.append(shown.page.evaluate("document.activeElement.id || document.activeElement.className"))
        wanted = ["play", "zoom-in", "field", "all", "none", "search", "category", "sort", "now"]
        assert [name for name in reached if name in wanted] == wanted


def test_few_tracks_have_the_list_too(show: Any) -> None:
    shown = show("report.html")
    shown.page.get_by_label("Sort by").select_option("time sounding")
    assert shown.listed() == [1, 2]
    assert not shown.page.get_by_label("Category").is_visible()  # there is but one
    assert show("empty.html").page.locator("#search").count() == 0


def test_an_overlay_with_its_strip_below_keeps_its_shape(show: Any) -> None:
    shown = show("tall.html", viewport={"width": 1200, "height": 1000})
    source, overlay = (shown.page.locator(f"#{name}").bounding_box() for name in ("source", "overlay"))
    assert source["width"] / source["height"] == pytest.approx(320 / 180, rel=0.01)
    assert overlay["width"] / overlay["height"] == pytest.approx(320 / 240, rel=0.01)
    assert (overlay["width"], overlay["y"]) == pytest.approx((source["width"], source["y"]), abs=1)
    shown.page.get_by_text("Wipe").click()
    source, overlay = (shown.page.locator(f"#{name}").bounding_box() for name in ("source", "overlay"))
    assert (overlay["x"], overlay["y"], overlay["width"]) == pytest.approx(
        (source["x"], source["y"], source["width"]), abs=1
    )
    assert overlay["height"] > 1.3 * source["height"]
    shown.page.set_viewport_size({"width": 1200, "height": 500})
    assert shown.page.locator("#source").bounding_box()["height"] == pytest.approx(350, abs=1)  # the source decides


def test_a_label_belongs_to_the_largest_piece(browser: Any) -> None:
    page = browser.new_page()
    called = "return placeInLargestPiece(columnRuns(counts, height));"
    code = f"([counts, height]) => {{ {source('run_length.js')}\n {called} }}"
    random = np.random.default_rng(2)
    masks = [np.kron(random.random((9, 14)) < share, np.ones((5, 4))).astype(bool) for share in (0.1, 0.3, 0.5, 0.7)]
    ring = np.ones((60, 60), dtype=bool)
    ring[10:50, 10:50] = False
    two = np.zeros((60, 100), dtype=bool)
    two[5:25, 5:25] = two[30:50, 60:85] = True
    corners = np.zeros((40, 40), dtype=bool)
    corners[0:10, 0:10] = corners[10:20, 10:20] = corners[25:39, 25:36] = True  # two that touch, and a larger one alone
    for mask in [*masks, ring, two, corners, np.ones((7, 5), dtype=bool)]:
        x, y = page.evaluate(code, [run_length.encode(mask)["counts"], mask.shape[0]])
        pieces = ndimage.label(mask, np.ones((3, 3)))[0]
        sizes = np.bincount(pieces.ravel())[1:]
        assert sizes[pieces[round(y), round(x)] - 1] == sizes.max()
    assert page.evaluate(code, [run_length.encode(two)["counts"], 60]) == [72, 39.5]
    assert page.evaluate(code, [run_length.encode(np.zeros((6, 6), dtype=bool))["counts"], 6]) is None
    page.close()


def test_labels_on_the_source_do_not_cover_one_another(browser: Any) -> None:
    page = browser.new_page()
    code = """([data, shown]) => {
      %s
      %s
      const canvas = new MaskCanvas(document.createElement("canvas"), data);
      canvas.shown = new Set(shown);
      const context = canvas.canvas.getContext("2d");
      const boxes = [];
      let last;
      context.fillRect = (...box) => { last = box; };
      context.fillText = (text) => { boxes.push([text, ...last]); };
      canvas.draw(0);
      return boxes;
    }"""
    tracks = crowd().tracks
    first = [mask for track in tracks if (mask := track.masks[0]) is not None]
    assert len(first) == len(tracks)
    data: dict[str, Any] = {
        "width": SIZE[0], "height": SIZE[1], "span": [0, 3],
        "tracks": [{"id": track.id, "name": f"{track.label} {track.id}", "colour": [9, 9, 9]} for track in tracks],
        "masks": {"size": [SIZE[1], SIZE[0]], "times": [0.0], "counts": [mask["counts"] for mask in first]},
    }  # fmt: skip
    script = code % (source("run_length.js"), source("masks.js"))
    for shown in ([1], [1, 30, 60], list(range(1, 61))):
        boxes = page.evaluate(script, [data, shown])
        for n, (_, x, y, width, height) in enumerate(boxes):
            for _, a, b, w, h in boxes[:n]:
                assert x >= a + w - 0.01 or a >= x + width - 0.01 or y >= b + h - 0.01 or b >= y + height - 0.01
        texts = [text for text, *_ in boxes]
        assert {int(text.split()[-1]) for text in texts} <= set(shown)
        if len(shown) < 4:
            assert texts == [data["tracks"][id - 1]["name"] for id in shown]
        else:
            assert len(texts) >= 10
            assert any(text.isdigit() for text in texts)
    page.close()


class Server(BaseHTTPRequestHandler):
    """Serves the report page and an empty one, and remembers what of /attack/ it was asked for."""

    page = b""
    asked: list[str]
    timeout = 1  # seconds; browsers open connections that they never use

    def do_GET(self) -> None:
        if self.path.startswith("/attack/"):
            self.asked.append(self.path)
        body = {"/report.html": self.page, "/empty.html": b"<!doctype html><title></title>"}.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def port(folder: Path) -> Iterator[int]:
    """Where the server listens."""
    Server.page = (folder / "out" / HOSTILE / "report.html").read_bytes()
    Server.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_policy_lets_nothing_reach_the_network(browser: Any, port: int) -> None:
    attack = """async (address) => {
      fetch(`${address}/fetch`).catch(() => {});
      for (const name of ["img", "video", "iframe", "script"]) {
        document.body.append(Object.assign(document.createElement(name), { src: `${address}/${name}` }));
      }
      const script = document.createElement("script");
      script.textContent = "document.title = 'owned'";
      document.body.append(script);
    }"""
    wanted = {f"/attack/{name}" for name in ("fetch", "img", "video", "iframe", "script")}
    page = browser.new_page()
    # another origin than the page's own; where nothing forbids it, everything gets there
    page.goto(f"http://127.0.0.1:{port}/empty.html")
    page.evaluate(attack, f"http://localhost:{port}/attack")
    deadline = time.monotonic() + 20
    while set(Server.asked) != wanted:
        assert time.monotonic() < deadline, Server.asked
        page.wait_for_timeout(50)
    assert page.title() == "owned"
    page.goto(f"http://127.0.0.1:{port}/report.html")
    Server.asked.clear()
    page.evaluate(attack, f"http://localhost:{port}/attack")
    page.wait_for_timeout(700)
    assert Server.asked == []
    assert page.title().startswith(HOSTILE)
    page.close()


def test_a_page_without_an_overlay_shows_the_masks(show: Any) -> None:
    shown = show("alone.html")
    shown.page.wait_for_timeout(100)
    assert shown.covered(BOX) > 0.95
    assert shown.page.locator("#views").count() == 0


def test_a_page_without_tracks(show: Any) -> None:
    shown = show("empty.html")
    shown.page.keyboard.press("]")
    shown.page.keyboard.press("1")
    shown.page.keyboard.press("ArrowRight")
    shown.wait_clock("0:01.0")
    assert "No object in this clip" in shown.page.locator("main").inner_text()


def test_a_source_that_moved_can_be_chosen(browser: Any, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "out" / HOSTILE, tmp_path / "results")
    shown = Shown(browser.new_page(), (tmp_path / "results" / "report.html").as_uri())
    shown.page.locator("#source-missing").wait_for(state="visible")
    shown.page.keyboard.press("ArrowRight")
    shown.wait("Math.abs(document.getElementById('overlay').currentTime - 1) < 0.01")
    shown.page.locator("#pick").set_input_files(folder / HOSTILE)
    shown.page.locator("#source-missing").wait_for(state="hidden")
    shown.ready()
    assert shown.state("source") == pytest.approx(1, abs=0.01)
    assert all("ERR_FILE_NOT_FOUND" in line for line in shown.complaints)
    shown.page.close()


def test_the_index_filters_and_sorts(show: Any, folder: Path) -> None:
    results = folder / "out" / HOSTILE / "report.html"
    other = Summary("a b.mp4", ("dog", "person"), 2, 0.5, 9.0, 10.0)
    third = Summary("clip 10.mp4", ("cat",), 1, 0.7, 1.0, 10.0)
    silent = Summary("clip 9.mp4", (), 0, None, 0.0, 10.0)
    clips = [(results, Summary.of(result()))] + [
        (folder / "x" / "report.html", entry) for entry in (other, third, silent)
    ]
    write_index(folder / "index.html", clips)
    shown = show("index.html", viewport={"width": 340, "height": 700})
    page = shown.page

    def listed() -> list[str]:
        return [heading.inner_text() for heading in page.locator(".clip:not([hidden]) h2").all()]

    assert page.evaluate("document.documentElement.scrollWidth") <= 340
    assert listed() == [HOSTILE, "a b.mp4", "clip 9.mp4", "clip 10.mp4"]
    page.get_by_label("Sort by").select_option("best score")
    assert listed() == [HOSTILE, "clip 10.mp4", "a b.mp4", "clip 9.mp4"]
    page.get_by_label("Sort by").select_option("sounding time")
    assert listed() == ["a b.mp4", HOSTILE, "clip 10.mp4", "clip 9.mp4"]
    page.get_by_label("Category").select_option("person")
    assert listed() == ["a b.mp4", HOSTILE]
    assert page.locator("#count").inner_text() == "2 of 4"
    page.get_by_label("Category").select_option("nothing sounds")
    assert listed() == ["clip 9.mp4"]
    page.get_by_label("Category").select_option("all")
    page.locator(".clip", has_text=HOSTILE).click()
    page.wait_for_url("**/report.html")
    assert page.locator("h1").inner_text() == HOSTILE
    shown.ready()
