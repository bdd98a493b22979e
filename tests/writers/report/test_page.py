"""``report.html`` and ``index.html``: what is in them, how large they are, and what hostile names cannot do to them."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from fractions import Fraction
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import make_clip
from PIL import Image
from writers_examples import boxes_result

from avis_cli.errors import OutputError
from avis_cli.media import decode
from avis_cli.media.clip_info import Waveform
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult
from avis_cli.writers.report import Summary, read_summary, report_clip, write_index, write_report
from avis_cli.writers.report.page_data import fit_masks, join_nearest, resized, seconds_covered, wave_columns
from avis_cli.writers.report.pictures import Pictures, take_pictures
from avis_cli.writers.report.template import link

HOSTILE = '<img src=x onerror="alert(1)">\'&quot;</script><script>alert(2)</script>.mp4'
LIMIT = 300_000


class Parsed(HTMLParser):
    """A page as a browser's parser sees it: its elements, and the text of each script."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._open = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            self.scripts[-1] += data
        elif self._open != "style":
            self.text += data

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[1])

    @property
    def policy(self) -> str:
        found = [meta["content"] for meta in self.having("meta") if "http-equiv" in meta]
        return str(found[0])


def example(tracks: int = 2) -> ClipResult:
    boxes = [[(10, 10, 40, 40), None, (20, 10, 50, 40)], [None, (30, 20, 60, 44), (30, 20, 60, 44)]]
    return boxes_result(64, 48, boxes[:tracks], times=(0.0, 0.5, 1.0), sounding=[(0.0, 0.5), (1.0, 1.5)])


def named(result: ClipResult, file: str, label: str = "person") -> ClipResult:
    tracks = tuple(dataclasses.replace(track, label=label) for track in result.tracks)
    return dataclasses.replace(result, source=dataclasses.replace(result.source, file=file), tracks=tracks)


def noise_result(tracks: int, frames: int, size: tuple[int, int] = (90, 160)) -> ClipResult:
    """Masks that no run length makes short."""
    random = np.random.default_rng(0)
    masks = [run_length.encode(random.random(size) < 0.5) for _ in range(8)]
    result = boxes_result(size[1], size[0], [[None] * frames] * tracks, times=[n / 5 for n in range(frames)])
    listed = [
        dataclasses.replace(track, masks=[masks[(track.id + n) % len(masks)] for n in range(frames)])
        for track in result.tracks
    ]
    return dataclasses.replace(result, tracks=tuple(listed))


def write(path: Path, result: ClipResult, **more: Any) -> Parsed:
    write_report(path, result, **{"overlay": "overlay.mp4", "source": path.parent / "clip.mp4", **more})
    assert path.stat().st_size < LIMIT
    return Parsed(path)


def test_the_page_loads_nothing_from_elsewhere_and_its_policy_forbids_it(tmp_path: Path) -> None:
    page = write(tmp_path / "report.html", example())
    assert "default-src 'none'" in page.policy
    assert "unsafe" not in page.policy
    assert not [rule for rule in page.policy.split("; ") if "http" in rule or "*" in rule]
    assert not page.having("link")
    assert not page.having("iframe")
    assert not [script for script in page.having("script") if "src" in script]
    assert all(str(image["src"]).startswith("data:") for image in page.having("img"))
    assert page.data["overlay"] == "overlay.mp4"
    assert page.data["source"] == "clip.mp4"


def test_only_the_pages_own_script_may_run(tmp_path: Path) -> None:
    page = write(tmp_path / "report.html", example())
    digest = base64.b64encode(hashlib.sha256(page.scripts[2].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.policy
    # attributes that would need a weaker policy
    for _, attributes in page.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_hostile_names_are_text(tmp_path: Path) -> None:
    result = named(example(), HOSTILE, "</script><img src=x onerror=alert(3)>")
    page = write(tmp_path / "report.html", result)
    assert [script.get("id") for script in page.having("script")] == ["summary", "data", None]
    assert not page.having("img")
    assert HOSTILE in page.text
    assert json.loads(page.scripts[0])["name"] == HOSTILE
    assert page.data["tracks"][0]["name"].startswith("</script><img")


def test_names_that_are_no_text_and_broken_lines(tmp_path: Path) -> None:
    page = write(tmp_path / "report.html", named(example(), "a\udcff\n\u2028b.mp4", "\ud800 x\x00y"))
    assert len(page.having("script")) == 3
    assert json.loads(page.scripts[0])["name"] == "a\udcff\n\u2028b.mp4"


def test_the_masks_in_the_page_are_those_of_the_result(tmp_path: Path) -> None:
    result = example()
    page = write(tmp_path / "report.html", result)
    masks = page.data["masks"]
    assert masks["size"] == [48, 64]
    assert masks["times"] == [0.0, 0.5, 1.0]
    for track, counts in zip(result.tracks, masks["counts"], strict=True):
        assert counts.split(" ") == ["" if mask is None else mask["counts"] for mask in track.masks]
    assert [track["sounding"] for track in page.data["tracks"]] == [[[0.0, 0.5], [1.0, 1.5]]] * 2
    assert "To keep this page small" not in page.text


@pytest.mark.parametrize(("tracks", "frames"), [(3, 40), (255, 4), (1, 2000)])
def test_a_page_stays_small_and_says_what_it_left_out(tmp_path: Path, tracks: int, frames: int) -> None:
    result = noise_result(tracks, frames)
    spans = [(n / 10, n / 10 + 0.04) for n in range(1000)]
    labels = [dataclasses.replace(track, sounding=spans, label=f"{track.id}<" * 400) for track in result.tracks]
    pictures = Pictures({track.id: "data:image/jpeg;base64," + "A" * 250 for track in labels}, None)
    page = write(tmp_path / "report.html", dataclasses.replace(result, tracks=tuple(labels)), pictures=pictures)
    masks = page.data["masks"]
    assert "masks" in page.text
    assert "To keep this page small" in page.text or "no room for the masks" in page.text
    assert set(masks["times"]) <= {round(time, 3) for time in result.times}
    for counts in masks["counts"]:
        for text in filter(None, counts.split(" ")):
            assert run_length.area({"size": masks["size"], "counts": text}) > 0
        assert len(counts.split(" ")) == max(len(masks["times"]), 1)


def test_a_page_of_class_maps_speaks_of_classes(tmp_path: Path) -> None:
    objects = write(tmp_path / "o.html", example()).text
    classes = write(tmp_path / "c.html", dataclasses.replace(example(), of_classes=True)).text
    nothing = dataclasses.replace(example(), of_classes=True, tracks=())
    empty = write(tmp_path / "e.html", nothing).text
    for one, other in (("2 sounding objects", "2 sounding classes"), ("Tracks", "Classes"), ("a track", "a class")):
        assert one in objects
        assert one not in classes
        assert other in classes
        assert other not in objects
    assert "threshold" in objects
    assert "threshold" not in classes
    assert "Nothing in this clip was found to sound. The model" in " ".join(empty.split())
    assert "threshold" not in empty


def test_a_page_without_room_for_all_tracks_shows_the_surest(tmp_path: Path) -> None:
    result = boxes_result(64, 48, [[(0, 0, 9, 9)]] * 255)
    tracks = [dataclasses.replace(track, label=chr(0x4E00 + track.id) * 32) for track in result.tracks]
    page = write(tmp_path / "report.html", dataclasses.replace(result, tracks=tuple(tracks), tool="<" * 40_000))
    shown = [track["id"] for track in page.data["tracks"]]
    assert shown == list(range(1, len(shown) + 1))
    assert 10 < len(shown) < 255
    assert f"room for the {len(shown)} surest of 255 tracks" in page.text
    assert json.loads(page.scripts[0])["tracks"] == 255


def test_masks_become_smaller_before_they_become_fewer() -> None:
    boxes = [[(100, 100, 900, 600)] * 20]
    result = boxes_result(1280, 720, boxes, times=[n / 5 for n in range(20)])
    whole = fit_masks(result, 1_000_000)
    assert (whole.size, whole.step) == ((540, 960), 1)
    smaller = fit_masks(result, whole.length * 2 // 3)
    assert smaller.size[1] < 960
    assert smaller.length <= whole.length * 2 // 3
    fewer = fit_masks(result, whole.length // 20)
    assert fewer.size[1] == 240
    assert fewer.step > 1
    assert fewer.times == [round(time, 3) for time in result.times[:: fewer.step]]
    assert fit_masks(result, 10).times == []


def test_a_resized_mask_keeps_its_place_and_is_never_lost() -> None:
    mask = np.zeros((100, 200), dtype=bool)
    mask[20:60, 40:120] = True
    small = resized(run_length.encode(mask), (50, 100))
    assert run_length.bbox(small) == [20, 10, 40, 20]
    dot = np.zeros((100, 200), dtype=bool)
    dot[50, 50] = True
    assert run_length.bbox(resized(run_length.encode(dot), (10, 20))) == [5, 5, 1, 1]


@pytest.mark.parametrize(("overlay", "source"), [(None, "clip.mp4"), ("overlay.mp4", None), (None, None)])
def test_a_page_without_one_of_its_videos(tmp_path: Path, overlay: str | None, source: str | None) -> None:
    path = tmp_path / "report.html"
    page = write(path, example(), overlay=overlay, source=source and tmp_path / source)
    wanted = [name for name, given in (("source", source), ("overlay", overlay)) if given]
    assert [video["id"] for video in page.having("video")] == wanted
    assert ("no video" in page.text) == (source is None)


def test_a_page_without_tracks_says_so(tmp_path: Path) -> None:
    page = write(tmp_path / "report.html", example(0))
    assert "No object in this clip was found to sound" in page.text
    assert page.data["tracks"] == []


def test_a_result_without_any_frame(tmp_path: Path) -> None:
    page = write(tmp_path / "report.html", boxes_result(8, 8, [[]], times=()))
    assert page.data["span"] == [0.0, 2.0]


def test_addresses_are_relative_and_encoded(tmp_path: Path) -> None:
    assert link(tmp_path / "a" / "b c#?%<é>.mp4", tmp_path / "out" / "x") == "../../a/b%20c%23%3F%25%3C%C3%A9%3E.mp4"
    assert link(tmp_path / "http:x.mp4", tmp_path) == "http%3Ax.mp4"
    assert link(os.fsdecode(bytes(tmp_path) + b"/\xff.mp4"), tmp_path) == "%FF.mp4"


def test_the_nearest_intervals_are_joined() -> None:
    spans = [(0.0, 1.0), (1.1, 2.0), (4.0, 5.0), (5.5, 6.0)]
    assert join_nearest(spans, 4) == spans
    assert join_nearest(spans, 3) == [(0.0, 2.0), (4.0, 5.0), (5.5, 6.0)]
    assert join_nearest(spans, 1) == [(0.0, 6.0)]


def test_seconds_covered_counts_overlaps_once() -> None:
    assert seconds_covered([(1.0, 3.0), (2.0, 4.0), (6.0, 7.0), (1.5, 2.0)]) == pytest.approx(4.0)
    assert seconds_covered([]) == 0


def test_the_waveform_is_as_high_as_it_is_loud() -> None:
    samples = np.concatenate([np.zeros(8000), np.full(8000, 0.5), np.full(16000, -0.25)]).astype(np.float32)
    wave = wave_columns(Waveform(samples), (0.0, 2.0))
    high, low = np.array(wave["high"]), np.array(wave["low"])
    columns = len(high)
    assert not high[: columns // 4 - 2].any()
    assert set(high[columns // 4 + 2 : columns // 2 - 2]) == {99}
    assert set(low[columns // 2 + 2 :]) == {-50}
    quiet = wave_columns(Waveform(samples * np.float32(0.001)), (0.0, 2.0))
    assert max(quiet["high"]) <= 1


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")).astype(int)


def test_crops_show_the_objects_and_few_pictures_are_decoded() -> None:
    asked: list[float] = []

    def frame_at(time: float) -> np.ndarray:
        asked.append(time)
        image = np.zeros((48, 64, 3), dtype=np.uint8)
        image[10:40, 10:40] = (200, 30, 30)
        return image

    boxes = [[(10, 10, 40, 40)] * 3, [(44, 10, 60, 40)] * 3]
    pictures = take_pictures(boxes_result(64, 48, boxes, times=(0.0, 0.5, 1.0)), frame_at)
    assert len(asked) == 1
    first, second = pixels(pictures.crops[1]), pixels(pictures.crops[2])
    assert first[first.shape[0] // 2, first.shape[1] // 2, 0] > 150
    assert second[second.shape[0] // 2, second.shape[1] // 2].max() < 40
    assert pictures.thumbnail is not None
    assert pixels(pictures.thumbnail).shape == (48, 64, 3)


def test_a_picture_that_cannot_be_had_leaves_a_card_without_one(tmp_path: Path) -> None:
    pictures = take_pictures(example(), lambda time: None)
    assert pictures == Pictures({}, None)
    page = write(tmp_path / "report.html", example(), pictures=pictures)
    assert page.text.count("no picture") == 2


def test_the_report_of_a_file(tmp_path: Path) -> None:
    source = tmp_path / "clip é.mp4"
    make_clip(source, size=(64, 48), fps=10, seconds=2, sample_rate=16000)
    result = dataclasses.replace(example(), source=dataclasses.replace(example().source, file=source.name))
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "report.html"
    warnings: list[str] = []
    summary = report_clip(path, result, decode.probe(source), overlay=None, warn=warnings.append)
    page = Parsed(path)
    assert warnings == []
    assert page.data["source"] == "../clip%20%C3%A9.mp4"
    assert max(page.data["wave"]["high"]) == 99
    assert len(page.having("img")) == 2
    assert summary == read_summary(path)
    assert (summary.name, summary.categories, summary.tracks) == (source.name, ("person",), 2)
    assert (summary.best, summary.seconds, summary.duration) == (0.999, 1.0, 1.5)
    assert summary.thumbnail is not None


def test_a_file_that_is_gone_costs_the_pictures_not_the_page(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    make_clip(source, size=(64, 48), fps=10, seconds=1, audio=None)
    clip = decode.probe(source)
    source.unlink()
    warnings: list[str] = []
    report_clip(tmp_path / "report.html", example(), clip, overlay=None, warn=warnings.append)
    assert len(warnings) == 1
    assert "lacks pictures" in warnings[0]
    assert Parsed(tmp_path / "report.html").data["wave"] is None


def test_crops_come_from_the_frame_on_screen(tmp_path: Path) -> None:
    """Frame 1 of 3 per second is shown from 1/3 s on, which no float is."""
    source = tmp_path / "clip.mp4"

    def image(number: int, size: tuple[int, int]) -> np.ndarray:
        return np.full((size[1], size[0], 3), 60 + 80 * number, dtype=np.uint8)

    make_clip(source, size=(64, 48), fps=Fraction(3), seconds=1, image=image)
    result = boxes_result(64, 48, [[(0, 0, 64, 48)]], times=(1 / 3,))
    report_clip(tmp_path / "report.html", result, decode.probe(source), overlay=None, warn=print)
    (crop,) = Parsed(tmp_path / "report.html").having("img")
    assert pixels(str(crop["src"])).mean() == pytest.approx(140, abs=8)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        '<script id="summary">[]</script>',
        '<script id="summary">{"name": 1}</script>',
        '<script id="summary">{"name": "a", "categories": [], "tracks": 0, "best": null, "seconds": 0, "duration": 1,'
        ' "thumbnail": "javascript:alert(1)"}</script>',
        '<script id="summary">' + "[" * 100_000 + "</script>",
    ],
)
def test_other_pages_have_no_summary(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.html").write_text(text)
    with pytest.raises(OutputError, match="no report page"):
        read_summary(tmp_path / "report.html")


@pytest.mark.parametrize(
    ("field", "number"), [("duration", "1" * 400), ("duration", "1e15"), ("seconds", "1" * 5000), ("tracks", "1.5")]
)
def test_a_number_that_cannot_be_is_named(tmp_path: Path, field: str, number: str) -> None:
    numbers = {"tracks": "0", "seconds": "0", "duration": "1", field: number}
    text = ", ".join(f'"{name}": {value}' for name, value in numbers.items())
    head = '<script id="summary">{"name": "a", "categories": [], "best": null, "thumbnail": null, '
    (tmp_path / "report.html").write_text(f"{head}{text}}}</script>")
    named = "too many digits" if len(number) > 4300 else f"{field} is "
    with pytest.raises(OutputError, match=rf"is no report page of avis \(.*{named}"):
        read_summary(tmp_path / "report.html")


def test_a_page_that_is_not_there_has_no_summary(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be read"):
        read_summary(tmp_path / "report.html")


def test_the_index_lists_every_clip(tmp_path: Path) -> None:
    entries = [
        (tmp_path / "b #1.mp4" / "report.html", Summary.of(named(example(), HOSTILE, "<b>dog</b>"))),
        (tmp_path / "deep" / "a.mp4" / "report.html", Summary.of(example(0))),
    ]
    write_index(tmp_path / "index.html", entries)
    page = Parsed(tmp_path / "index.html")
    assert [anchor["href"] for anchor in page.having("a")] == ["b%20%231.mp4/report.html", "deep/a.mp4/report.html"]
    assert [anchor["data-score"] for anchor in page.having("a")] == ["0.999", "-1"]
    assert HOSTILE in page.text
    assert "<b>dog</b>" in page.text
    assert "nothing sounds" in page.text
    assert not page.having("img")
    assert not page.having("b") or all(not attributes for attributes in page.having("b"))
    assert len(page.having("script")) == 1
    assert "default-src 'none'" in page.policy


def test_an_index_without_clips(tmp_path: Path) -> None:
    write_index(tmp_path / "index.html", [])
    page = Parsed(tmp_path / "index.html")
    assert "No clip to show" in page.text
    assert not page.having("a")
