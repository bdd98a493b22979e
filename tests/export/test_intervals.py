"""Tables, captions and labels, read back by the csv module, by FFmpeg and by parsers of the formats' own rules."""

from __future__ import annotations

import csv
import dataclasses
import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from export_examples import ODD_NAME, ODD_PLAIN, dots, named
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from writers_examples import boxes_result

from avis_cli.export.export_request import clip_name, plain
from avis_cli.export.formats import FORMATS, export
from avis_cli.results.clip import ClipResult, Track


def of_spans(*spans: list[tuple[float, float]]) -> ClipResult:
    """Track n sounds in the n-th list of spans."""
    base = boxes_result(8, 6, [])
    tracks = tuple(Track(id, 1, "person", 0.5, [None], each) for id, each in enumerate(spans, start=1))
    return dataclasses.replace(base, tracks=tracks)


def written(tmp_path: Path, result: ClipResult, name: str) -> str:
    export(tmp_path / "out", result, FORMATS[name], overwrite=True)
    return (tmp_path / "out").read_bytes().decode("utf-8")


def srt_cues(text: str) -> list[tuple[str, str, str]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block.strip()]
    assert [block[0] for block in blocks] == [str(n) for n in range(1, len(blocks) + 1)]
    times = [re.fullmatch(r"(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})", block[1]) for block in blocks]
    assert all(times)
    return [(time[1], time[2], "\n".join(block[2:])) for time, block in zip(times, blocks, strict=True) if time]


def vtt_cues(text: str) -> list[tuple[str, str, str]]:
    head, *blocks = [block.strip("\n").split("\n") for block in text.split("\n\n")]
    assert head == ["WEBVTT"]
    times = [re.fullmatch(r"(\d\d:\d\d:\d\d\.\d{3}) --> (\d\d:\d\d:\d\d\.\d{3})", block[0]) for block in blocks]
    assert all(times)
    assert not any(re.search(r"[<>]|-->", line) for block in blocks for line in block[1:])
    return [
        (time[1], time[2], html.unescape("\n".join(block[1:])))
        for time, block in zip(times, blocks, strict=True)
        if time
    ]


def test_captions_change_where_anybody_begins_or_ends(tmp_path: Path) -> None:
    result = of_spans([(0.0, 2.0), (2.0, 3.5)], [(1.25, 3.0)], [(3700.0004, 3700.5)], [])
    expected = [
        ("00:00:00.000", "00:00:01.250", "person 1"),
        ("00:00:01.250", "00:00:03.000", "person 1\nperson 2"),
        ("00:00:03.000", "00:00:03.500", "person 1"),
        ("01:01:40.000", "01:01:40.500", "person 3"),
    ]
    assert vtt_cues(written(tmp_path, result, "vtt")) == expected
    commas = [(start.replace(".", ","), end.replace(".", ","), text) for start, end, text in expected]
    assert srt_cues(written(tmp_path, result, "srt")) == commas


def _text_of(subtitle: Any) -> str:
    """The last of the nine fields of an ASS event (PyAV 17's own reading of it fails on letters beyond ASCII)."""
    return str(subtitle.ass.decode().split(",", 8)[8].replace("\\N", "\n"))


@pytest.mark.parametrize(("name", "codec"), [("srt", "srt"), ("vtt", "webvtt")])
def test_ffmpeg_reads_the_captions_as_they_were_meant(tmp_path: Path, name: str, codec: str) -> None:
    result = named(of_spans([(0.0, 2.0)], [(1.25, 3.0)]), "Tom & <i>Jerry</i>\n\n2")
    export(tmp_path / f"out.{name}", result, FORMATS[name])
    seen: list[tuple[float, float, str]] = []
    with av.open(str(tmp_path / f"out.{name}")) as container:
        stream = container.streams.subtitles[0]
        assert stream.codec_context.name == codec
        for packet in container.demux(stream):
            for subtitle in packet.decode() if packet.size else []:
                assert packet.pts is not None
                times = (packet.pts * packet.time_base, (packet.pts + packet.duration) * packet.time_base)
                seen.append((float(times[0]), float(times[1]), _text_of(subtitle)))
    who = "Tom & <i>Jerry</i> 2" if name == "vtt" else "Tom & ‹i›Jerry‹/i› 2"
    assert seen == [(0.0, 1.25, f"{who} 1"), (1.25, 2.0, f"{who} 1\n{who} 2"), (2.0, 3.0, f"{who} 2")]


@pytest.mark.parametrize("spans", [[], [(1.0, 1.0)], [(1.0, 1.0003)]])
def test_what_does_not_last_a_millisecond_has_no_caption(tmp_path: Path, spans: list[tuple[float, float]]) -> None:
    assert written(tmp_path, of_spans(spans), "srt") == ""
    assert written(tmp_path, of_spans(spans), "vtt") == "WEBVTT\n"


def test_odd_names_stay_text_in_every_format(tmp_path: Path) -> None:
    result = named(of_spans([(0.0, 1.5)]), ODD_NAME)
    assert vtt_cues(written(tmp_path, result, "vtt")) == [("00:00:00.000", "00:00:01.500", f"{ODD_PLAIN} 1")]
    [(_, _, caption)] = srt_cues(written(tmp_path, result, "srt"))
    assert not set("<>{}\n") & set(caption)
    assert caption.startswith("a‹b› & ")
    [row] = csv.DictReader(written(tmp_path, result, "csv").splitlines(keepends=True))
    assert (row["category"], row["start"], row["end"]) == (ODD_PLAIN, "0.0", "1.5")
    assert written(tmp_path, result, "audacity") == f"0.000000\t1.500000\t{ODD_PLAIN} 1\n"


def test_csv_has_a_row_per_interval_and_one_for_a_track_that_never_sounds(tmp_path: Path) -> None:
    result = of_spans([(0.1, 1 / 3), (2.0, 3.0)], [])
    rows = list(csv.DictReader(written(tmp_path, result, "csv").splitlines(keepends=True)))
    assert [(row["track"], row["start"], row["end"]) for row in rows] == [
        ("1", "0.1", repr(1 / 3)), ("1", "2.0", "3.0"), ("2", "", ""),
    ]  # fmt: skip
    assert {(row["file"], row["category_id"], row["category"], row["score"]) for row in rows} == {
        ("clip.mp4", "1", "person", "0.5")
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=12) | st.text(st.sampled_from("=+-@\t\r\n |1!"), max_size=6))
@example("=cmd|' /C calc'!A0")
def test_no_cell_of_the_csv_is_a_formula(tmp_path: Path, name: str) -> None:
    result = named(of_spans([(0.0, 1.5)], []), name)
    result = replace(result, source=replace(result.source, file=f"{name}.mp4"))
    target = tmp_path / "out.csv"
    target.unlink(missing_ok=True)
    export(target, result, FORMATS["csv"])
    for row in csv.reader(target.read_text(encoding="utf-8").splitlines(keepends=True)):
        for cell in row:
            if cell[:1] and cell[0] in "=+-@\t\r":
                float(cell)


def test_audacity_labels_are_in_order_of_time(tmp_path: Path) -> None:
    result = of_spans([(2.0, 3.0)], [(0.5, 0.5), (2.0, 2.5)])
    lines = [line.split("\t") for line in written(tmp_path, result, "audacity").splitlines()]
    assert [(float(start), float(end), name) for start, end, name in lines] == [
        (0.5, 0.5, "person 2"), (2.0, 2.5, "person 2"), (2.0, 3.0, "person 1"),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 254, 255])
def test_any_number_of_tracks(tmp_path: Path, count: int) -> None:
    result = dots(count)
    assert len(list(csv.reader(written(tmp_path, result, "csv").splitlines(keepends=True)))) == count + 1
    assert len(written(tmp_path, result, "audacity").splitlines()) == count
    for cues in (srt_cues(written(tmp_path, result, "srt")), vtt_cues(written(tmp_path, result, "vtt"))):
        assert [len(text.split("\n")) for _, _, text in cues] == ([count] if count else [])


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("clip.mp4", "clip"), ("a.b.mkv", "a.b"), ("/etc/passwd", "passwd"), ("..", "clip"), ("", "clip"),
        ("..\\..\\x.mp4", "x"), ("<img src=x>.mp4", "_img src=x_"), ("x" * 400 + ".mp4", "x" * 120),
    ],
)  # fmt: skip
def test_a_clips_name_is_always_a_file_name(file: str, name: str) -> None:
    result = boxes_result(8, 6, [])
    assert clip_name(dataclasses.replace(result, source=dataclasses.replace(result.source, file=file))) == name


def test_plain_text_is_one_line_that_encodes() -> None:
    assert plain("a\r\nb\u2028c\0 \ud800") == "a b c\ufffd ?"
