"""Jobs, settings and outcomes as plain data."""

from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import Path

import pytest

from avis_cli.batch.job import Failure, FoundTrack, Job, Outcome, RunSettings, concerns_all
from avis_cli.errors import AvisError, MediaError, UsageError, WeightsError
from avis_cli.options import SegmentOptions

JOB = Job(Path("in/clip.mp4"), Path("out/clip.mp4"))


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_everything_travels() -> None:
    track = FoundTrack(1, "bell", 0.9, ((0.0, 1.5),))
    done = Outcome(JOB, "done", 1, (track,), 2.0, 17, "ab", ("tiny", "cd"))
    failed = Outcome.failed(JOB, raised(MediaError("no video stream", file="in/clip.mp4")), "ab")
    options = SegmentOptions(fps=Fraction(30000, 1001), only=("masks",))
    settings = RunSettings(options, "tiny", ("cpu", "cuda:1"), skip_existing=True)
    for value in (JOB, settings, done, failed):
        assert pickle.loads(pickle.dumps(value)) == value


def test_a_failure_keeps_what_a_console_and_a_record_need(tmp_path: Path) -> None:
    expected = Failure.of(raised(MediaError("no video stream", hint="give a video", file="clip.mp4")))
    assert (expected.is_expected, expected.names_file) == (True, True)
    assert expected.cause == "clip.mp4: no video stream; give a video"
    nameless = Failure.of(raised(AvisError("not finite")))
    assert (nameless.cause, nameless.names_file) == ("not finite", False)
    bug = Failure.of(raised(ZeroDivisionError("a bug")))
    assert (bug.is_expected, bug.cause) == (False, "ZeroDivisionError: a bug")
    assert bug.traceback.startswith("Traceback (most recent call last)")
    assert "raise error" in bug.traceback
    assert bug.traceback.endswith("ZeroDivisionError: a bug\n")


def test_a_failed_input_is_measured_if_it_is_there(tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(bytes(5))
    assert Outcome.failed(Job(source, tmp_path), ValueError()).size == 5
    for name in ("missing.mp4", "x" * 300, "nul\0"):
        outcome = Outcome.failed(Job(tmp_path / name, tmp_path), ValueError())
        assert (outcome.status, outcome.size) == ("failed", None)


@pytest.mark.parametrize(
    ("error", "of_all"),
    [
        (WeightsError("do not fit", file="tiny.safetensors"), True),
        (UsageError("--fps 0"), True),
        (UsageError("no audio track 7", file="clip.mp4"), False),
        (MediaError("no video stream"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_what_every_input_would_meet(error: BaseException, of_all: bool) -> None:
    assert concerns_all(error) == of_all
