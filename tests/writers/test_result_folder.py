"""A folder of results is there completely or not at all, and knows what it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from avis_cli.errors import OutputError
from avis_cli.files.checksum import sha256_of
from avis_cli.writers.result_folder import ResultFolder, fingerprint, is_complete, read_about


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def start_and_fail(target: ResultFolder, failure: BaseException) -> None:
    """Half of the results are written when something happens."""
    with target as path:
        half = path / "tracks.json" if path.is_dir() else path
        half.write_text("half")
        raise failure


def fill(directory: Path, text: str = "new", **options: object) -> None:
    with ResultFolder(directory, **options) as folder:  # type: ignore[arg-type]
        (folder / "masks").mkdir()
        (folder / "masks" / "000000.png").write_text(text)
        (folder / "tracks.json").write_text(text)


def test_a_failure_leaves_earlier_results(tmp_path: Path) -> None:
    fill(tmp_path / "clip", "old")
    with pytest.raises(KeyboardInterrupt):
        start_and_fail(ResultFolder(tmp_path / "clip", overwrite=True), KeyboardInterrupt())
    assert listing(tmp_path) == ["clip", "clip/masks", "clip/masks/000000.png", "clip/tracks.json"]
    assert (tmp_path / "clip" / "tracks.json").read_text() == "old"


def test_errors_name_the_result_not_its_hidden_part(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "clip.mp4")
    part = folder.__enter__()
    error = OutputError("cannot be written", file=part / "overlay.mp4")
    folder.__exit__(OutputError, error, None)
    assert error.file == str(tmp_path / "clip.mp4" / "overlay.mp4")
    assert listing(tmp_path) == []


def test_existing_results_are_refused_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "clip", "old")
    with pytest.raises(OutputError, match=r"already there; --overwrite .* --skip-existing") as caught:
        ResultFolder(tmp_path / "clip").prepare()
    assert caught.value.file == str(tmp_path / "clip")
    with pytest.raises(OutputError, match="already there"):
        fill(tmp_path / "clip")
    assert (tmp_path / "clip" / "tracks.json").read_text() == "old"


def test_overwrite_replaces_the_whole_folder(tmp_path: Path) -> None:
    fill(tmp_path / "clip", "old")
    (tmp_path / "clip" / "report.html").write_text("old")
    fill(tmp_path / "clip", overwrite=True)
    assert listing(tmp_path) == ["clip", "clip/masks", "clip/masks/000000.png", "clip/tracks.json"]
    assert (tmp_path / "clip" / "tracks.json").read_text() == "new"


def test_overwrite_never_takes_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        fill(tmp_path / "clip", overwrite=True)
    assert listing(tmp_path) == ["clip", "clip/thesis.tex"]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    fill(tmp_path / "clip")
    assert (tmp_path / "clip" / "tracks.json").read_text() == "new"


def test_prepare_leaves_no_trace(tmp_path: Path) -> None:
    ResultFolder(tmp_path / "a" / "b" / "clip.mp4").prepare()
    assert listing(tmp_path) == []


class TestManifest:
    def test_complete_only_for_the_same_input_and_settings(self, tmp_path: Path) -> None:
        clip = tmp_path / "clip.mp4"
        clip.write_bytes(b"film")
        settings = {"threshold": 0.3, "only": ["masks"], "weights": None}
        mark = fingerprint(sha256_of(clip), settings)
        assert mark == fingerprint(sha256_of(clip), dict(reversed(settings.items())))
        other = fingerprint(sha256_of(clip), {**settings, "threshold": 0.4})
        assert mark != other
        fill(tmp_path / "out", fingerprint=mark)
        assert is_complete(tmp_path / "out", mark)
        assert not is_complete(tmp_path / "out", other)
        clip.write_bytes(b"film 2")
        assert not is_complete(tmp_path / "out", fingerprint(sha256_of(clip), settings))

    def test_it_remembers_what_it_was_told(self, tmp_path: Path) -> None:
        folder = ResultFolder(tmp_path / "out", fingerprint="abc")
        with folder:
            folder.about["tracks"] = 3
        assert read_about(tmp_path / "out") == {"tracks": 3}
        assert read_about(tmp_path / "none") == {}
        for text in ("", "[]", '{"about": 3}', "[" * 100_000):
            (tmp_path / "out" / ".avis.json").write_text(text)
            assert read_about(tmp_path / "out") == {}

    def test_not_complete_when_a_file_is_gone_or_cut(self, tmp_path: Path) -> None:
        fill(tmp_path / "out", fingerprint="abc")
        assert is_complete(tmp_path / "out", "abc")
        (tmp_path / "out" / "masks" / "000000.png").write_text("")
        assert not is_complete(tmp_path / "out", "abc")
        (tmp_path / "out" / "masks" / "000000.png").write_text("new")
        assert is_complete(tmp_path / "out", "abc")
        (tmp_path / "out" / "tracks.json").unlink()
        assert not is_complete(tmp_path / "out", "abc")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"fingerprint": "abc"}', "\x00", "[" * 100_000])
    def test_a_broken_manifest_is_not_complete(self, tmp_path: Path, text: str) -> None:
        fill(tmp_path / "out", fingerprint="abc")
        (tmp_path / "out" / ".avis.json").write_text(text)
        assert not is_complete(tmp_path / "out", "abc")

    def test_nothing_is_not_complete(self, tmp_path: Path) -> None:
        assert not is_complete(tmp_path / "none", "abc")
        fill(tmp_path / "out")
        assert not is_complete(tmp_path / "out", "abc")
