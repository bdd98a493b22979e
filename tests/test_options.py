"""The settings of a run: what can be given for each, what is recorded, and the command line that is made from them."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from media_factory import make_clip

import avis_cli
from avis_cli.cli import console
from avis_cli.cli.parameters import flag, takes_options
from avis_cli.cli.segment import segment
from avis_cli.errors import UsageError
from avis_cli.options import (
    MAX_RATE,
    PRECISIONS,
    RESULTS,
    Number,
    OptionError,
    RefusedError,
    SegmentOptions,
    declarations,
    option,
    rate,
    seconds,
)
from avis_cli.writers.style import DrawStyle

LONGEST = 10**18  # seconds

times = st.fractions(0, 10**6, max_denominator=10**9)
rates = st.fractions(Fraction(1, 1000), MAX_RATE, max_denominator=10**6)
some_settings = st.fixed_dictionaries(
    {},
    optional={
        "fps": rates,
        "mask_fps": rates | st.just("video"),
        "start": times,
        "threshold": st.floats(0, 1) | st.integers(0, 1),
        "max_tracks": st.none() | st.integers(1, 1000),
        "audio_track": st.none() | st.integers(0, 9) | st.sampled_from(["eng", "fra"]),
        "frame_rate": st.none() | rates,
        "audio": st.none() | st.just("sound.wav") | st.just(Path("a", "sound.wav")),
        "mute": st.booleans(),
        "clean": st.booleans(),
        "gate": st.none() | st.booleans(),
        "max_gap": st.floats(0, 1e6) | st.just(math.inf),
        "precision": st.sampled_from(PRECISIONS),
        "only": st.lists(st.sampled_from(RESULTS), min_size=1, unique=True),
        "alpha": st.none() | st.floats(0, 1),
        "strip": st.booleans() | st.sampled_from(["over", "below", "none"]),
    },
)


@given(st.integers(0, 999_999), st.integers(0, 59), st.integers(0, 59), st.integers(0, 10**9 - 1))
def test_clock_times_are_exact(hours: int, minutes: int, whole: int, part: int) -> None:
    last = whole + Fraction(part, 10**9)
    assert seconds(f"{hours}:{minutes:02}:{whole:02}.{part:09}") == hours * 3600 + minutes * 60 + last
    assert seconds(f"{minutes}:{whole}.{part:09}") == minutes * 60 + last


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1))
def test_seconds_are_exact(whole: int, part: int) -> None:
    exact = whole + Fraction(part, 10**9)
    assert seconds(f" {whole}.{part:09} ") == seconds(str(exact)) == seconds(exact) == exact
    assert seconds(str(whole)) == seconds(whole) == whole


@given(st.integers(0, 10**6))
def test_a_float_means_what_its_text_means(thousandths: int) -> None:
    time = thousandths / 1000
    assert seconds(time) == seconds(f"{time:.3f}") == Fraction(thousandths, 1000)


def given_as_is(**settings: Any) -> SegmentOptions:
    """Settings as texts and plain numbers: the types of the fields are those of what is understood."""
    return SegmentOptions(**settings)


@given(rates, st.integers(1, MAX_RATE - 1))
def test_rates_are_exact(ratio: Fraction, whole: int) -> None:
    assert rate(str(ratio)) == rate(ratio) == ratio
    assert rate(f"{whole}.5") == rate(whole + 0.5) == whole + Fraction(1, 2)


@given(st.text(max_size=12) | st.text("0123456789.:/-+einfa ", max_size=16))
def test_any_text_is_understood_or_refused_with_the_text(text: str) -> None:
    for name in ("start", "fps", "mask_fps", "threshold", "max_tracks", "max_gap", "only", "precision"):
        complaint = None
        try:
            options = given_as_is(**{name: text})
        except OptionError as error:
            complaint = error
        if complaint is not None:
            assert list(complaint.given) == [name]
            assert complaint.cause.startswith(f"{name} ")
            assert ", expected " in complaint.cause
        else:
            assert 0 <= options.start <= LONGEST
            assert options.fps is None or 0 < options.fps <= MAX_RATE


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "-1", "+1", "1e3", "nan", "inf", "1:60", "1:2:3:4", "60:00:00:00", "1:75:00", "1,5", "5s", "1:", ":1",
        "\u0663", "1_0", "1/0",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"start .* expected seconds") as caught:
        given_as_is(start=text)
    assert repr(text) in caught.value.cause


@pytest.mark.parametrize("text", ["", "0", "0.0", "0/5", "-2", "1/0", "1/2/3", "video", "1.5/2", "nan", "inf", "1e9"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"fps .* expected frames per second"):
        given_as_is(fps=text)


@settings(deadline=None)  # the palettes are imported where one is asked for
@given(some_settings)
def test_what_was_understood_can_be_given_again(given_: dict[str, Any]) -> None:
    options = SegmentOptions(**given_)
    assert SegmentOptions(**vars(options)) == options
    recorded = json.loads(json.dumps(options.recorded(), allow_nan=False))
    assert SegmentOptions(**recorded).recorded() == recorded
    assert all(getattr(SegmentOptions(**recorded), name) == getattr(options, name) for name in recorded)
    assert pickle.loads(pickle.dumps(options)) == options
    json.dumps(options.understood(), allow_nan=False)


def test_every_setting_that_decides_something_is_in_the_fingerprint() -> None:
    other = {
        "fps": 2, "mask_fps": "video", "fill": "flow", "start": 1, "end": 9, "threshold": 0.5, "max_tracks": 1,
        "audio_track": 1, "frame_rate": 5, "audio": "sound.wav",
        "allow_silent": True, "mute": True, "gate": True, "window": 9, "max_gap": 1, "clean": True,
        "instances": "sort", "refine": "aurora", "strict": True,
        "max_pixels": 9, "precision": "bf16", "only": "masks", "style": "mute", "alpha": 0.1, "labels": False,
        "strip": "below", "palette": "white",
    }  # fmt: skip
    assert list(other) == [name for name, _, _ in declarations()]
    usual = SegmentOptions()
    for name, declared, _ in declarations():
        changed = given_as_is(**{name: other[name]})
        assert (changed.understood() != usual.understood()) == (declared.decides != "nothing"), name
        assert (changed.recorded() != usual.recorded()) == (declared.decides == "result"), name


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"threshold": 1.5}, "threshold 1.5, expected a number from 0 to 1"),
        ({"threshold": math.nan}, "threshold nan, expected a number from 0 to 1"),
        ({"threshold": "high"}, "threshold 'high', expected a number from 0 to 1"),
        ({"max_gap": -1}, "max_gap -1.0, expected seconds, 0 or more"),
        ({"window": 0}, "window 0, expected a whole number, 1 or more"),
        ({"window": 2.5}, "window 2.5, expected a whole number, 1 or more"),
        ({"fps": 0}, "fps 0, expected more than 0 and at most 1000 frames per second"),
        ({"fps": 1e9}, "fps 1e+09, expected more than 0 and at most 1000 frames per second"),
        ({"fps": "5000"}, "fps 5000, expected more than 0 and at most 1000 frames per second"),
        ({"fps": math.nan}, "fps nan, expected frames per second such as 2, 0.5 or 30000/1001"),
        ({"mask_fps": "often"}, "mask_fps 'often', expected frames per second such as 2, 0.5 or 30000/1001, or video"),
        ({"start": -1}, "start -1, expected 0 seconds or more"),
        ({"start": 3, "end": "2"}, "start 3 end 2, expected an end after the start"),
        ({"gate": "yes"}, "gate 'yes', expected True or False"),
        ({"only": ["tracks", "poem"]}, "only 'poem', expected a list of overlay, masks, tracks, report"),
        ({"precision": "fp64"}, "precision 'fp64', expected one of auto, fp32, bf16, fp16"),
        ({"strip": "beside"}, "strip 'beside', expected one of over, below, none"),
        ({"style": True}, "style True, expected one of fill, outline, "),
        ({"palette": "rainbow"}, "palette 'rainbow', expected okabe-ito, "),
        ({"palette": 7}, "palette 7, expected okabe-ito, "),
        ({"audio_track": 1.5}, "audio_track 1.5, expected a number from 0, or a language"),
    ],
)
def test_errors_name_the_setting_and_on_the_command_line_the_flag(given_: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        SegmentOptions(**given_)
    error = caught.value
    assert error.cause.startswith(words)
    assert pickle.loads(pickle.dumps(error)).cause == error.cause
    renamed = error.renamed(flag)
    assert isinstance(renamed, UsageError)
    for name in given_:
        assert f"--{name.replace('_', '-')} " in renamed.cause


def test_a_later_setting_is_recorded_where_it_is_used() -> None:
    assert "clean" not in SegmentOptions().recorded()
    assert "clean" not in SegmentOptions(clean=False).understood()
    assert SegmentOptions(clean=True).recorded()["clean"] is True
    assert SegmentOptions(clean=True).understood()["clean"] is True


def test_the_strip_can_be_switched_from_python() -> None:
    assert [given_as_is(strip=on).draw.strip for on in (True, False)] == ["over", "none"]
    assert SegmentOptions(strip="below").draw == DrawStyle(strip="below")


def test_a_setting_there_is_not_is_named_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="no setting 'treshold'; is 'threshold' meant"):
        SegmentOptions.of(None, {"treshold": 0.2})
    with pytest.raises(TypeError, match=r"no setting 'colour'$"):
        SegmentOptions.of(None, {"colour": 1})


def test_settings_take_the_place_of_those_of_an_object() -> None:
    usual = SegmentOptions(threshold=0.1, mute=True)
    assert SegmentOptions.of(usual, {"threshold": 0.2}) == SegmentOptions(threshold=0.2, mute=True)
    assert SegmentOptions.of(usual, {}) == usual
    assert SegmentOptions.of(None, {"threshold": None}) == SegmentOptions()


def test_python_takes_them_as_an_object_and_as_keywords(tiny_model: Any, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, size=(64, 48), fps=5, seconds=2, audio="tone")
    options = given_as_is(threshold=0.05, gate=False, mask_fps=1)
    result = avis_cli.segment(clip, tiny_model, options)
    assert result == avis_cli.segment(clip, tiny_model, threshold=0.05, gate=False, mask_fps="1")
    assert result.options == options.recorded()
    assert avis_cli.ClipResult.from_json(result.to_json()) == result
    shorter = avis_cli.segment(clip, tiny_model, options, start=1, max_tracks=1)
    assert (shorter.times, len(shorter.tracks)) == ((1.0,), 1)
    assert SegmentOptions(**shorter.options or {}) == SegmentOptions.of(options, {"start": 1, "max_tracks": 1})


@dataclass(frozen=True)
class Extended(SegmentOptions):
    """One more setting: all that is needed besides its consumer."""

    min_pixels: float = option(0.0, Number(0, 100, "pixels"), "Leave out smaller masks.", metavar="N", panel="Tracks")


def test_a_new_setting_is_its_declaration(
    tiny_weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the help, read, checked, recorded in tracks.json and part of the fingerprint."""
    clip = tmp_path / "clip.mp4"
    make_clip(clip, size=(64, 48), fps=5, seconds=1, audio="tone")
    app = typer.Typer(rich_markup_mode=None)
    app.command()(takes_options(kind=Extended)(segment.__wrapped__))  # type: ignore[attr-defined]
    console.reset()

    def run(*arguments: str) -> str:
        command = [str(clip), "-o", str(tmp_path / "out"), "--model", str(tiny_weights), "--only", "tracks"]
        app(args=[*command, "--skip-existing", *arguments], standalone_mode=False)
        return capfd.readouterr().out

    monkeypatch.setenv("COLUMNS", "100")
    text = run("--help")
    assert "--min-pixels N" in text
    assert "Leave out smaller masks." in text
    for wrong in ("101", "many"):
        with pytest.raises(UsageError, match=rf"^--min-pixels '?{wrong}.*, expected pixels from 0 to 100$"):
            run("--min-pixels", wrong)
    run("--min-pixels", "7")
    document = json.loads((tmp_path / "out" / "clip.mp4" / "tracks.json").read_text())
    assert document["options"] == Extended(min_pixels=7).recorded()
    assert document["options"]["min_pixels"] == 7
    run("--min-pixels", "7.0")  # as before: skipped
    with pytest.raises(avis_cli.AvisError, match="results are already there"):
        run("--min-pixels", "8")


def test_a_reader_says_what_can_be_meant() -> None:
    with pytest.raises(RefusedError, match="pixels from 0 to 100"):
        Number(0, 100, "pixels")(101)


def test_an_end_at_the_start_is_no_part_of_a_clip() -> None:
    with pytest.raises(UsageError, match="start 2 end 2, expected an end after the start"):
        given_as_is(start=2, end=2)
    assert given_as_is(start=2, end="2.001").end is not None


@pytest.mark.parametrize("number", [np.float32(2), np.float64(2), np.int64(2), torch.tensor(2.0), 2, "2"])
def test_numbers_of_arrays_are_numbers(number: object) -> None:
    options = given_as_is(fps=number, max_tracks=2, start=number)
    assert (options.fps, options.start) == (Fraction(2), Fraction(2))
