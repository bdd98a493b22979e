"""The world in AVSBench's layouts: what is written is what the reader finds, clip by clip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from job_examples import even, reciprocal

from avis_cli.cli.main import main
from avis_cli.datasets import avsbench
from avis_cli.datasets.avsbench import Layout
from avis_cli.datasets.label_images import read_label_image
from avis_cli.datasets.synth import avs_layout
from avis_cli.datasets.synth.avs_layout import class_maps, frames_of, write_avs_split
from avis_cli.datasets.synth.chosen_clips import first_made
from avis_cli.datasets.synth.clips import clip_seed, make_clip
from avis_cli.datasets.synth.layout import SplitRequest
from avis_cli.errors import AvisError, UsageError

REQUEST = SplitRequest("test", 2, 3, 5, (64, 48))


@pytest.mark.parametrize("layout", ["s4", "ms3", "avss"])
def test_a_layout_holds_the_clips_of_the_world(tmp_path: Path, layout: Layout) -> None:
    write_avs_split(tmp_path, layout, REQUEST)
    assert avsbench.find_layout(tmp_path) == layout
    found = avsbench.read_split(tmp_path, layout, "test")
    assert len(found.clips) == 2
    for entry in found.clips:
        clip = make_clip(clip_seed("test", 3, int(entry.name[-6:])), frames=5, size=(64, 48))
        maps = class_maps(clip)
        for label, wanted in zip(entry.labels, maps, strict=True):
            assert label is not None
            read = read_label_image(label, len(found.categories) + 1, (64, 48))
            np.testing.assert_array_equal(read, wanted if layout == "avss" else wanted > 0)
        if layout == "s4":
            assert maps[0].any()
            assert len(np.unique(maps)) == 2


def test_of_a_training_clip_of_s4_one_frame_is_labelled(tmp_path: Path) -> None:
    write_avs_split(tmp_path, "s4", SplitRequest("train", 1, 3, 5, (64, 48)))
    (clip,) = avsbench.read_split(tmp_path, "s4", "train").clips
    assert [label is not None for label in clip.labels] == [True, False, False, False, False]
    assert len(list(tmp_path.rglob("gt_masks/**/*.png"))) == 1


def test_splits_are_added_to_the_list_and_not_made_twice(tmp_path: Path) -> None:
    write_avs_split(tmp_path, "ms3", REQUEST)
    write_avs_split(tmp_path, "ms3", SplitRequest("train", 1, 3, 5, (64, 48)))
    assert avsbench.splits_of(tmp_path, "ms3") == {"train", "test"}
    with pytest.raises(AvisError, match="holds this split already"):
        write_avs_split(tmp_path, "ms3", REQUEST)
    write_avs_split(tmp_path, "ms3", SplitRequest("test", 1, 3, 5, (64, 48)), overwrite=True)
    assert len(avsbench.read_split(tmp_path, "ms3", "test").clips) == 1


def test_processes_make_no_difference(tmp_path: Path) -> None:
    for name, jobs in (("one", 1), ("two", 2)):
        write_avs_split(tmp_path / name, "avss", REQUEST, jobs=jobs)
    files = [
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    ]
    assert files[0] == files[1]


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("layout", ["s4", "ms3", "avss"])
def test_a_split_made_anew_leaves_nothing_of_the_old_one(tmp_path: Path, layout: Layout) -> None:
    for seed in (3, 4):
        for split in ("train", "test"):
            request = SplitRequest(split, 2, seed, 5, (64, 48))
            write_avs_split(tmp_path / "twice", layout, request, overwrite=True)
            if seed == 4:
                write_avs_split(tmp_path / "once", layout, request)
    assert files_below(tmp_path / "twice") == files_below(tmp_path / "once")


def test_what_cannot_be_finished_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, clip: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    write_avs_split(tmp_path, "ms3", REQUEST)
    before = files_below(tmp_path)
    monkeypatch.setattr(avs_layout, "_write_sound", broken)
    with pytest.raises(AvisError, match="No space left on device"):
        write_avs_split(tmp_path, "ms3", SplitRequest("train", 2, 3, 5, (64, 48)))
    with pytest.raises(AvisError):
        write_avs_split(tmp_path, "ms3", REQUEST, overwrite=True)
    assert files_below(tmp_path) == before
    assert len(avsbench.read_split(tmp_path, "ms3", "test").clips) == 2
    with pytest.raises(AvisError):
        write_avs_split(tmp_path / "new" / "one", "avss", REQUEST)
    assert not (tmp_path / "new").exists()


def test_clips_that_do_not_come_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avs_layout, "_only_source", lambda clip: None)
    monkeypatch.setattr(avs_layout, "TRIED", 2)
    with pytest.raises(UsageError, match="0 clips of 2 could be made"):
        write_avs_split(tmp_path, "s4", REQUEST)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("row", ["../../precious,test", "a/b,test", "a,test,more", ""])
def test_names_in_a_list_that_is_not_ours_are_not_removed(tmp_path: Path, row: str) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    data = tmp_path / "data" / "inner"
    data.mkdir(parents=True)
    (data / "ms3_meta_data.csv").write_text(f"video_id,split\n{row}\nx,test\n")
    with pytest.raises(AvisError, match="is not a list that this command wrote"):
        write_avs_split(data, "ms3", REQUEST, overwrite=True)
    assert precious.exists()


def test_only_what_fits_is_told_of() -> None:
    assert list(first_made(even, range(100), 3)) == [0, 20, 40]
    assert list(first_made(even, range(5), 9)) == [0, 20, 40]


def test_processes_tell_of_the_same_and_fail_alike() -> None:
    assert list(first_made(even, range(100), 3, jobs=2)) == [0, 20, 40]
    with pytest.raises(ZeroDivisionError):
        list(first_made(reciprocal, range(1, -1, -1), 3, jobs=2))


def test_frames_that_a_layout_has() -> None:
    assert [frames_of(layout, None) for layout in ("s4", "ms3", "avss")] == [5, 5, 10]
    assert frames_of("avss", 5) == 5
    with pytest.raises(UsageError, match="--frames 10 with --layout ms3"):
        frames_of("ms3", 10)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["synth", str(tmp_path), "--layout", "avss", "--split", "test", "--videos", "1", "--size", "64x48", "-q"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'metadata.csv'}\n"
    numbers = json.loads((tmp_path / "label2idx.json").read_text())
    assert (len(numbers), numbers["background"], numbers["bell"], numbers["cat"]) == (71, 0, 1, 10)
    assert len(avsbench.read_split(tmp_path, "avss", "test").clips[0].pictures) == 10
