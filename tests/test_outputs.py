"""What is made of a result from Python: the folder of a run, the overlay, exports, pictures."""

from __future__ import annotations

import dataclasses
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import make_clip
from PIL import Image
from writers_examples import boxes_result

import avis_cli
from avis_cli.cli.main import main
from avis_cli.errors import AnnotationError, MediaError, OutputError, UsageError
from avis_cli.media import decode
from avis_cli.results.clip import ClipResult
from avis_cli.writers.style import track_colour

SIZE = (320, 180)
BOX = (120, 60, 200, 120)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, size=SIZE, fps=10, seconds=2, sample_rate=16000)
    return path


def result(video: Path | None = None, **changes: Any) -> ClipResult:
    made = boxes_result(*SIZE, [[BOX, BOX]], times=(0.0, 1.0), sounding=[(0.5, 1.5)])
    return dataclasses.replace(made, video=None if video is None else str(video), **changes)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def frames(path: Path) -> list[np.ndarray]:
    return [frame.image.astype(int) for frame in decode.FrameReader(path, decode.probe(path))]


MASKS = ["masks/000000.png", "masks/000001.png"]


class TestSave:
    def test_without_the_clip_it_writes_tracks_and_masks(self, tmp_path: Path) -> None:
        result().save(tmp_path / "out")
        assert names(tmp_path / "out") == [*MASKS, "tracks.json"]
        assert avis_cli.read_result(tmp_path / "out" / "tracks.json") == result()
        assert set(np.unique(np.asarray(Image.open(tmp_path / "out" / MASKS[0])))) == {0, 1}

    def test_with_the_clip_it_writes_what_a_run_writes(self, tmp_path: Path, clip: Path) -> None:
        result().save(tmp_path / "given", clip)
        result(clip).save(tmp_path / "known")
        for name in ("given", "known"):
            assert names(tmp_path / name) == [*MASKS, "overlay.mp4", "report.html", "tracks.json"]
        assert "overlay.mp4" in (tmp_path / "known" / "report.html").read_text()
        assert len(frames(tmp_path / "known" / "overlay.mp4")) == 20

    def test_what_segment_finds_knows_its_clip_and_saves_the_same_files_as_a_run(
        self, tmp_path: Path, clip: Path, tiny_model: Any, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(clip.parent)
        found = avis_cli.segment(clip.name, tiny_model, threshold=0.05, end=1)
        monkeypatch.chdir(tmp_path)  # it is remembered from wherever
        found.save(tmp_path / "saved")
        options = ["--threshold", "0.05", "--end", "1", "--model", str(tiny_weights)]
        assert main(["segment", str(clip), "-o", str(tmp_path / "run"), *options]) == 0
        saved, run = tmp_path / "saved", tmp_path / "run" / clip.name
        assert names(saved) == [name for name in names(run) if name != ".avis.json"]
        for name in names(saved):
            if name.startswith("masks/") or name == "overlay.mp4":
                assert (saved / name).read_bytes() == (run / name).read_bytes(), name
        assert len(frames(saved / "overlay.mp4")) == 10

    def test_only_chooses_and_settings_say_how_it_is_drawn(self, tmp_path: Path, clip: Path) -> None:
        result(clip).save(tmp_path / "out", only="tracks,overlay", palette="ff0000", alpha=1, strip="below")
        assert names(tmp_path / "out") == ["overlay.mp4", "tracks.json"]
        picture = frames(tmp_path / "out" / "overlay.mp4")[5]
        assert picture.shape[0] > SIZE[1]
        assert picture[90, 160] == pytest.approx([255, 0, 0], abs=25)

    def test_a_result_that_needs_the_clip_is_refused_without_it(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"report needs the clip's pictures.*video=PATH"):
            result().save(tmp_path / "out", only=["report", "tracks"])
        assert list(tmp_path.iterdir()) == []

    def test_results_that_are_there_stay(self, tmp_path: Path) -> None:
        result().save(tmp_path / "out")
        with pytest.raises(OutputError, match="already there"):
            result(tracks=()).save(tmp_path / "out")
        assert avis_cli.read_result(tmp_path / "out" / "tracks.json") == result()
        result(tracks=()).save(tmp_path / "out", overwrite=True)
        assert avis_cli.read_result(tmp_path / "out" / "tracks.json") == result(tracks=())

    def test_nothing_half_written_stays(self, tmp_path: Path, clip: Path) -> None:
        other = dataclasses.replace(result(clip), source=dataclasses.replace(result().source, width=100))
        with pytest.raises(AnnotationError, match=r"its masks are 100x180 pixels, those of .* 320x180"):
            other.save(tmp_path / "out")
        with pytest.raises(MediaError):
            result(tmp_path / "gone.mp4").save(tmp_path / "out")
        tracks = [dataclasses.replace(track, id=300) for track in result().tracks]
        with pytest.raises(OutputError, match="track 300"):
            result(tracks=tuple(tracks)).save(tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["threshold", "colour"])
    def test_a_setting_that_changes_nothing_here_is_refused(self, tmp_path: Path, name: str) -> None:
        setting: dict[str, Any] = {name: 1}
        with pytest.raises(TypeError, match=f"save takes no setting '{name}'; it takes style"):
            result().save(tmp_path / "out", **setting)
        with pytest.raises(TypeError, match="render takes no setting 'only'"):
            result().render(tmp_path / "out.mp4", only="tracks")


class TestRender:
    def test_draws_over_the_clip(self, tmp_path: Path, clip: Path) -> None:
        result(clip).render(tmp_path / "known.mp4", labels=False, strip=False)
        result().render(tmp_path / "given.mp4", clip, labels=False, strip=False)
        assert (tmp_path / "known.mp4").read_bytes() == (tmp_path / "given.mp4").read_bytes()
        drawn, plain = frames(tmp_path / "known.mp4")[5], frames(clip)[5]
        assert np.abs(drawn[90, 160] - plain[90, 160]).max() > 15
        assert np.abs(drawn[140:] - plain[140:]).mean() < 3

    def test_only_the_part_that_the_result_is_of(self, tmp_path: Path, clip: Path) -> None:
        # the longest step would have the last mask frame stay for a second
        result(clip, options={"end": "3/2"}).render(tmp_path / "part.mp4")
        assert len(frames(tmp_path / "part.mp4")) == 15

    def test_without_a_clip_it_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="needs the clip's pictures"):
            result().render(tmp_path / "out.mp4")

    def test_the_clip_itself_is_never_written_over(self, clip: Path) -> None:
        before = clip.read_bytes()
        with pytest.raises(UsageError, match="read and written at once"):
            result(clip).render(clip, overwrite=True)
        with pytest.raises(UsageError, match="read and written at once"):
            result().export("matte", clip, clip, overwrite=True)
        assert clip.read_bytes() == before

    def test_an_output_that_is_there_stays(self, tmp_path: Path, clip: Path) -> None:
        (tmp_path / "out.mp4").write_bytes(b"mine")
        with pytest.raises(OutputError, match="already"):
            result(clip).render(tmp_path / "out.mp4")
        assert (tmp_path / "out.mp4").read_bytes() == b"mine"


class TestExport:
    def test_the_same_file_as_the_command_writes(self, tmp_path: Path) -> None:
        (tmp_path / "tracks.json").write_text(result().to_json())
        for format in ("srt", "csv", "ytvis"):
            result().export(format, tmp_path / f"ours.{format}")
            out = tmp_path / f"theirs.{format}"
            assert main(["export", str(tmp_path / "tracks.json"), "--to", format, "-o", str(out)]) == 0
            assert (tmp_path / f"ours.{format}").read_bytes() == out.read_bytes()

    def test_a_format_with_pictures_takes_them_from_the_known_clip(self, tmp_path: Path, clip: Path) -> None:
        result(clip).export("coco", tmp_path / "coco")
        assert len(names(tmp_path / "coco")) == 3
        with pytest.raises(UsageError, match="coco needs the clip's pictures"):
            result().export("coco", tmp_path / "other")

    def test_pictures_that_are_optional_are_taken_where_the_clip_is_given(self, tmp_path: Path, clip: Path) -> None:
        result(clip).export("labelme", tmp_path / "bare")
        result(clip).export("labelme", tmp_path / "whole", clip)
        assert [len(names(tmp_path / name)) for name in ("bare", "whole")] == [2, 4]

    def test_what_means_nothing_is_refused(self, tmp_path: Path, clip: Path) -> None:
        with pytest.raises(UsageError, match="format 'psd', expected one of ytvis, coco"):
            result().export("psd", tmp_path / "out")
        with pytest.raises(UsageError, match="not used by srt"):
            result().export("srt", tmp_path / "out.srt", clip)
        assert list(tmp_path.iterdir()) == []

    def test_warnings_are_told(self, tmp_path: Path) -> None:
        told: list[str] = []
        two = boxes_result(*SIZE, [[BOX], [BOX]])
        two.export("davis", tmp_path / "davis", warn=told.append)
        assert "masks overlap" in told[0]


class TestPlot:
    def test_the_timeline_has_a_lane_where_a_track_sounds(self) -> None:
        def lane(*sounding: tuple[float, float]) -> tuple[int, int]:
            tracks = [dataclasses.replace(track, sounding=list(sounding)) for track in result().tracks]
            pixels = np.asarray(result(tracks=tuple(tracks)).plot()).astype(int)
            assert (pixels[-24:].max(axis=2) > 150).any()  # the axis' seconds
            columns = np.flatnonzero((np.abs(pixels - track_colour(1)).max(axis=2) < 12).any(axis=0))
            return int(columns[0]), int(columns[-1])

        left, right = lane((0.0, 2.0))
        assert right - left > 500
        first, last = lane((0.5, 1.0))
        assert first == pytest.approx(left + 0.25 * (right - left), abs=6)
        assert last == pytest.approx(left + 0.5 * (right - left), abs=6)

    def test_every_track_is_in_it(self) -> None:
        heights = [boxes_result(*SIZE, [[None]] * count).plot().height for count in (1, 2, 60)]
        assert heights[2] - heights[1] == 58 * (heights[1] - heights[0]) > 0

    def test_a_known_clip_gives_the_waveform(self, clip: Path) -> None:
        assert result(clip).plot().height > result().plot().height + 15

    def test_a_time_gives_the_picture_of_the_overlay(self, tmp_path: Path, clip: Path) -> None:
        picture = result(clip).plot(0.5, strip="none")
        assert picture.size == SIZE
        result(clip).render(tmp_path / "out.mp4", strip="none")
        assert np.abs(np.asarray(picture).astype(int) - frames(tmp_path / "out.mp4")[5]).mean() < 4
        assert not np.array_equal(np.asarray(picture), np.asarray(result(clip).plot(1.5, strip="none")))

    def test_without_the_clip_masks_stand_on_a_plain_ground(self) -> None:
        pixels = np.asarray(result().plot(0.5, labels=False, strip="none")).astype(int)
        assert np.ptp(pixels[:40]) == 0
        assert np.abs(pixels[90, 160] - pixels[0, 0]).max() > 20

    @pytest.mark.parametrize("time", [-0.1, 2.5, float("nan")])
    def test_a_time_that_there_is_not_is_refused(self, clip: Path, time: float) -> None:
        for made in (result(), result(clip)):
            with pytest.raises(UsageError, match="expected seconds from 0 to 2"):
                made.plot(time)


def test_the_path_is_no_part_of_the_result(clip: Path) -> None:
    known = result(clip)
    assert known == result()
    assert known.to_json() == result().to_json()
    assert str(clip.parent) not in known.to_json() + repr(known) + known._repr_html_()
    assert pickle.loads(pickle.dumps(known)).video == str(clip)
    assert Fraction(decode.probe(known.video or "").duration) == 2
