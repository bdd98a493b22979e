"""Makes the pictures of the docs from a sample and the bundled model: ``python docs/make_pictures.py``.

``overlay.png``, ``styles.png`` and, in Chromium (needs playwright), ``report-light.png``, ``report-dark.png`` and of
the live page ``stream.png`` and ``stream-phone.png``.
"""

from __future__ import annotations

import shutil
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import avis_cli
from avis_cli.cli.main import main as avis
from avis_cli.media import decode
from avis_cli.results.clip import ClipResult
from avis_cli.writers.draw import OverlayPainter
from avis_cli.writers.overlay import overlay_waveform
from avis_cli.writers.style import STYLES, DrawStyle

DOCS = Path(__file__).parent
SAMPLE = DOCS.parent / "samples" / "silent_kettle.mp4"
MOMENT = Fraction(3)  # seconds: both objects sound
TILE, GAP, CAPTION = (400, 225), 8, 26  # pixels


def painted(result: ClipResult, image: NDArray[np.uint8], style: DrawStyle) -> Image.Image:
    """``image`` at ``MOMENT``, drawn in a style."""
    clip = decode.probe(SAMPLE)
    waveform = overlay_waveform(clip)
    painter = OverlayPainter(result, span=(0.0, float(clip.duration)), waveform=waveform, style=style)
    return Image.fromarray(painter.paint(image, float(MOMENT)))


def style_sheet(result: ClipResult, image: NDArray[np.uint8]) -> Image.Image:
    """The clip as it is and in every style, with captions."""
    tiles = [("the clip", Image.fromarray(image))]
    for name in STYLES:
        default = " (default)" if name == DrawStyle().name else ""
        tiles.append((f"--style {name}{default}", painted(result, image, DrawStyle(name=name))))
    step = (TILE[0] + GAP, TILE[1] + GAP + CAPTION)
    sheet = Image.new("RGB", (3 * step[0] + GAP, -(-len(tiles) // 3) * step[1] + GAP), (252, 252, 252))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, (caption, tile) in enumerate(tiles):
        x, y = GAP + number % 3 * step[0], GAP + number // 3 * step[1]
        sheet.paste(tile.resize(TILE, Image.Resampling.LANCZOS), (x, y))
        pen.text((x + 2, y + TILE[1] + 4), caption, (20, 20, 20), font)
    return sheet


def report_pictures(report: Path) -> None:
    """The report page at ``MOMENT`` in both themes."""
    from playwright.sync_api import sync_playwright

    browser = next(found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)))
    with sync_playwright() as play:
        window = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            page = window.new_page(viewport={"width": 1200, "height": 1014}, color_scheme=theme)
            page.goto(report.as_uri())
            page.wait_for_function("[...document.querySelectorAll('video')].every(video => video.readyState >= 2)")
            page.keyboard.press("Home")
            for _ in range(int(MOMENT)):
                page.keyboard.press("ArrowRight")
            page.get_by_role("button", name="Show all masks").click()
            page.wait_for_timeout(1500)
            page.screenshot(path=DOCS / f"report-{theme}.png")
            page.close()
        window.close()


def live_pictures() -> None:
    """The live page while the sample is played, on a desk and on a phone."""
    from playwright.sync_api import sync_playwright

    from avis_cli.live.painter import live_style, paint
    from avis_cli.serve.page import LivePage
    from avis_cli.stream import Stream, StreamOptions

    browser = next(found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)))
    page = LivePage("127.0.0.1", 0, title=SAMPLE.name)
    page.start()
    with sync_playwright() as play:
        window = play.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        views = {}
        for name, size, theme in (("stream", (1280, 760), "light"), ("stream-phone", (390, 800), "dark")):
            views[name] = window.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
            views[name].goto(page.url, wait_until="domcontentloaded")
        model = avis_cli.load_model("seavis-tiny")
        with Stream(str(SAMPLE), model, StreamOptions(realtime=True, duration=5.5)) as live:
            for frame in live.frames():
                picture = paint(frame.image, frame.result, live_style(DrawStyle()))
                page.frame(picture, frame.result, levels=frame.levels)
        for name, view in views.items():
            view.wait_for_timeout(300)
            view.screenshot(path=DOCS / f"{name}.png")
            Image.open(DOCS / f"{name}.png").convert("RGB").quantize(256).save(DOCS / f"{name}.png", optimize=True)
        window.close()
    page.close()


def main() -> None:
    result = avis_cli.segment(SAMPLE, avis_cli.load_model())
    assert isinstance(result, avis_cli.ClipResult)
    clip = decode.probe(SAMPLE)
    image = next(frame.image for frame in decode.FrameReader(SAMPLE, clip, rate=None) if frame.time >= MOMENT)
    painted(result, image, DrawStyle()).save(DOCS / "overlay.png", optimize=True)
    style_sheet(result, image).quantize(256).save(DOCS / "styles.png", optimize=True)
    with tempfile.TemporaryDirectory() as folder:
        # the page shows the source beside the results, as it lies for a user
        sample = Path(shutil.copy(SAMPLE, folder))
        assert avis(["segment", str(sample), "-o", f"{folder}/out", "--quiet"]) == 0
        report_pictures(Path(folder, "out", SAMPLE.name, "report.html"))
    live_pictures()


if __name__ == "__main__":
    main()
