"""Which files the command line's inputs stand for, where the results of each go, and how shards part them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avis_cli.batch.inputs import Found, Shard, collect
from avis_cli.batch.job import Job
from avis_cli.errors import UsageError
from avis_cli.writers.result_folder import MANIFEST


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for place in (
        "videos/b.mp4", "videos/A.MKV", "videos/notes.txt", "videos/._b.mp4", "videos/.DS_Store",
        "videos/deep/er/c.mov", "videos/deep/b.mp4", "videos/.hidden/d.mp4", "other/b.mp4",
    ):  # fmt: skip
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).touch()
    return Path("videos")


def collected(*inputs: str | Path, recursive: bool = False) -> Found:
    return collect(map(Path, inputs), Path("out"), recursive=recursive, note=lambda text: None)


def places(found: Found) -> dict[str, str]:
    """Source -> target below the output folder, in the order of the work."""
    assert found.refused == []
    return {Path(str(job.source)).as_posix(): job.place(Path("out")) for job in found.jobs}


def test_a_folder_gives_its_videos_in_order(videos: Path) -> None:
    assert places(collected(videos)) == {"videos/A.MKV": "A.MKV", "videos/b.mp4": "b.mp4"}


def test_the_tree_below_is_mirrored_if_asked_for(videos: Path) -> None:
    found = places(collected(videos, recursive=True))
    assert list(found.items()) == [
        ("videos/A.MKV", "A.MKV"),
        ("videos/b.mp4", "b.mp4"),
        ("videos/deep/b.mp4", "deep/b.mp4"),
        ("videos/deep/er/c.mov", "deep/er/c.mov"),
    ]


def test_hidden_videos_are_left_out_with_a_note(videos: Path) -> None:
    notes: list[str] = []
    collect([videos], Path("out"), recursive=True, note=notes.append)
    assert notes == [f"{videos / '._b.mp4'}: hidden, left out"]


def test_a_file_named_by_itself_may_be_called_anything(videos: Path) -> None:
    assert places(collected("videos/notes.txt", "videos/._b.mp4", "nowhere")) == {
        "videos/notes.txt": "notes.txt",
        "videos/._b.mp4": "._b.mp4",
        "nowhere": "nowhere",
    }


def test_each_file_is_worked_on_once(videos: Path) -> None:
    Path("link.mp4").symlink_to(videos / "b.mp4")
    found = collected(videos / "b.mp4", f"./{videos}/deep/../b.mp4", videos.absolute() / "b.mp4", "link.mp4", videos)
    assert list(places(found)) == ["videos/b.mp4", "videos/A.MKV"]


def test_no_two_inputs_share_a_target(videos: Path) -> None:
    for name in ("other/b.mp4.2", "other/b.mov", "other/caf\u00e9.mp4"):
        Path(name).touch()
    Path("third").mkdir()
    for name in ("B.MP4", "cafe\u0301.mp4"):
        Path("third", name).touch()
    found = collected(
        "videos/b.mp4", "other/b.mp4", "other/b.mp4.2", "other/b.mov", "third/B.MP4", "other/caf\u00e9.mp4",
        "third/cafe\u0301.mp4",
    )  # fmt: skip
    assert list(places(found).values()) == [
        "b.mp4", "b.mp4.2", "b.mp4.2.2", "b.mov", "B.MP4.3", "caf\u00e9.mp4", "cafe\u0301.mp4.2",
    ]  # fmt: skip


def test_earlier_results_are_no_input(videos: Path) -> None:
    for place in ("videos/out/b.mp4", "videos/b.mkv"):
        Path(place).mkdir(parents=True)
        Path(place, MANIFEST).touch()
        Path(place, "overlay.mp4").touch()
    assert set(places(collected(videos, recursive=True))) == {
        "videos/A.MKV", "videos/b.mp4", "videos/deep/b.mp4", "videos/deep/er/c.mov",
    }  # fmt: skip
    assert len(collected("videos/b.mkv").refused) == 1


def test_a_loop_of_links_ends(videos: Path) -> None:
    (videos / "deep" / "again").symlink_to(videos.absolute(), target_is_directory=True)
    (videos / "self.mp4").symlink_to("self.mp4")
    assert len(places(collected(videos, recursive=True))) == 5


def test_a_link_to_a_folder_given_by_name_is_followed(videos: Path) -> None:
    Path("link").symlink_to(videos, target_is_directory=True)
    assert places(collected("link")) == {"link/A.MKV": "A.MKV", "link/b.mp4": "b.mp4"}


def test_a_folder_that_gives_nothing_is_told_and_the_rest_goes_on(videos: Path) -> None:
    Path("empty").mkdir()
    found = collected("empty", videos, "videos/deep/er")
    assert [job.source.name for job in found.jobs] == ["A.MKV", "b.mp4", "c.mov"]
    (refusal,) = found.refused
    assert str(refusal).startswith("empty: a folder without videos (looked for .mp4 ")
    assert "--recursive" in str(refusal)


def test_folders_that_cannot_be_read_are_named(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.scandir

    def scandir(path: str) -> object:
        if os.fspath(path).endswith(("deep", "other")):
            raise PermissionError(13, "Permission denied", path)
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    notes: list[str] = []
    found = collect([videos, Path("other")], Path("out"), recursive=True, note=notes.append)
    assert [job.source.name for job in found.jobs] == ["A.MKV", "b.mp4"]
    assert [str(error) for error in found.refused] == ["other: cannot be read: Permission denied"]
    assert f"{videos / 'deep'}: Permission denied, left out" in notes


def test_impossible_names_reach_the_reader_that_refuses_them(videos: Path) -> None:
    name = "x" * 300 + ".mp4"
    assert list(places(collected(name))) == [name]


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_shards_part_the_inputs_whatever_their_order(count: int) -> None:
    jobs = [Job(Path(f"in/{n}.mp4"), Path(f"out/{n}.mp4")) for n in range(20)]
    parts = [Shard(number, count).of(jobs) for number in range(1, count + 1)]
    assert sorted(job.target for part in parts for job in part) == sorted(job.target for job in jobs)
    assert parts == [Shard(number, count).of(reversed(jobs)) for number in range(1, count + 1)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "-1/3", "1", "1/", "/3", "1/0", "a/b", "1/3/5", "\u0661/\u0663", "", "1.5/3"]
)
def test_a_shard_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="expected i/n"):
        Shard.parse(text)


def test_results_never_take_the_place_of_the_video_itself(videos: Path) -> None:
    notes: list[str] = []
    found = collect([videos / "b.mp4", videos / "A.MKV"], videos, note=notes.append)
    assert [job.target for job in found.jobs] == [videos / "b.mp4.avis", videos / "A.MKV.avis"]
    assert notes[0].startswith(f"{videos / 'b.mp4'}: the results go to {videos / 'b.mp4.avis'}{os.sep}")
    assert collect([videos], videos, recursive=True).jobs[0].target == videos / "A.MKV.avis"
    (other,) = collect([Path("other/b.mp4")], videos).jobs
    assert other.target == videos / "b.mp4", "another video of that name is in the way, and is said to be"
