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
    return folder


def result(tracks: int = 2) -> ClipResult:
    boxes = [[BOX, BOX, None], [None, OTHER, OTHER]]
    made = boxes_result(*SIZE, boxes[:tracks], times=(0.0, 1.0, 2.0), duration=3.0)
    sounding = [[(0.25, 2.0)], [(1.0, 1.5), (1.75, 2.75)]]
    listed = [dataclasses.replace(track, sounding=sounding[n]) for n, track in enumerate(made.tracks)]
    return dataclasses.replace(
        made, source=dataclasses.replace(made.source, file=HOSTILE), tracks=tuple(listed), categories=((1, "person"),)
    )


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
    code = "([counts, height, width]) => { %s\n return [...maskPixels(counts, height, width)]; }"
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


@pytest.mark.parametrize("name", ["report.html", "alone.html", "empty.html"])
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
