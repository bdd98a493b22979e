"""``avis export``: names of outputs, what is refused, exit codes; and the table of formats."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from media_factory import make_clip
from paths import ROOT
from writers_examples import boxes_result

from avis_cli.cli.export import Target
from avis_cli.cli.main import main
from avis_cli.export.formats import FORMATS, VideoUse
from avis_cli.results.clip import ClipResult

SIZE = (64, 48)
DOCS = ROOT / "docs" / "exports.md"


def save(path: Path, result: ClipResult | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    result = result or boxes_result(*SIZE, [[(1, 1, 9, 9)]])
    path.write_text(result.to_json(), encoding="utf-8")
    return path


@pytest.fixture
def tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return save(tmp_path / "tracks.json")


def test_the_command_and_the_documentation_know_every_format() -> None:
    assert [target.value for target in Target] == list(FORMATS)
    rows = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    for form in FORMATS.values():
        row = next(line for line in rows if line.startswith(f"| `{form.name}` |"))
        assert f"`NAME{form.ending}{'/' if form.folder_entries else ''}`" in row
        assert form.holds in row
        assert form.lacks in row
        assert form.readers in row


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.video is not VideoUse.REQUIRED])
def test_every_format_appears_under_its_default_name(
    tracks: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["export", str(tracks), "--to", name]) == 0
    expected = Path("avis_export") / f"clip{FORMATS[name].ending}"
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (f"{expected}\n", "")
    assert expected.is_dir() == (FORMATS[name].folder_entries is not None)
    assert [path.name for path in expected.parent.iterdir()] == [expected.name]


def test_several_results_go_to_one_folder_and_a_bad_one_does_not_stop_the_others(
    tracks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = save(Path("b") / "tracks.json")
    bad = Path("bad.json")
    bad.write_text("{}")
    assert main(["export", str(tracks), str(bad), str(second), "--to", "ytvis", "-o", "out"]) == 3
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["out/clip.ytvis.json", "out/clip.2.ytvis.json"]
    assert captured.err.startswith("avis: bad.json: format is missing")
    ids = [json.loads(Path(path).read_text())[0]["video_id"] for path in captured.out.splitlines()]
    assert ids == [1, 3]
    assert main(["export", str(bad), str(bad), "--to", "csv"]) == 1


def test_an_existing_output_is_refused_and_replaced_on_demand(tracks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out.csv").write_text("mine")
    assert main(["export", str(tracks), "--to", "csv", "-o", "out.csv"]) == 1
    assert "out.csv: is already there; --overwrite" in capsys.readouterr().err
    assert Path("out.csv").read_text() == "mine"
    assert main(["export", str(tracks), "--to", "csv", "-o", "out.csv", "--overwrite"]) == 0
    assert Path("out.csv").read_text().startswith("file,track")


def test_a_folder_is_replaced_only_if_it_holds_nothing_else(tracks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", str(tracks), "--to", "davis", "-o", "out"]
    assert main(arguments) == 0
    assert main(arguments) == 1
    assert "out: is already there" in capsys.readouterr().err
    stale = Path("out/Annotations/Full-Resolution/clip/99999.png")
    stale.touch()
    assert main([*arguments, "--overwrite"]) == 0
    assert not stale.exists()
    Path("out/thesis.docx").write_text("mine")
    assert main([*arguments, "--overwrite"]) == 1
    assert "holds 'thesis.docx'" in capsys.readouterr().err
    assert Path("out/thesis.docx").read_text() == "mine"
    assert sorted(path.name for path in Path().iterdir()) == ["out", "tracks.json"]


def test_a_video_is_found_in_a_folder_by_its_name(tracks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("clips").mkdir()
    make_clip("clips/clip.mp4", size=SIZE, fps=5, seconds=1, audio=None)
    assert main(["export", str(tracks), "--to", "coco", "--video", "clips"]) == 0
    assert len(list(Path("avis_export/clip.coco/images").iterdir())) == 1
    assert main(["export", str(tracks), str(tracks), "--to", "coco", "-o", "x", "--video", "clips/clip.mp4"]) == 2
    assert "one --video for 2 results" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--to", "coco"], 2, "--video PATH"),
        (["--to", "csv", "--video", "clip.mp4"], 2, "--video is not used by csv"),
        (["--to", "xml"], 2, "xml"),
        (["--to", "csv", "-o", "tracks.json", "--overwrite"], 2, "is read and written at once"),
        (["--to", "csv", "-o", "."], 2, "is a folder, expected a file"),
        (["--to", "csv", "-o", "tracks.json/x.csv"], 2, "cannot be written"),
        (["--to", "davis", "-o", "tracks.json/x"], 2, "cannot be written"),
        (["--to", "davis", "-o", "tracks.json", "--overwrite"], 2, "is read and written at once"),
        (["--to", "matte", "--video", "none.mp4", "-o", "o.webm"], 1, "none.mp4"),
    ],
)
def test_what_is_refused_says_why_in_one_line_and_leaves_nothing(
    tracks: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    before = tracks.read_bytes()
    assert main(["export", str(tracks), *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["tracks.json"]
    assert tracks.read_bytes() == before


def test_exporting_loads_neither_torch_nor_what_the_format_does_not_need(tracks: Path) -> None:
    code = (
        "import sys; from avis_cli.cli.main import main; code = main(sys.argv[1:]); "
        "assert not {'torch', 'cv2', 'huggingface_hub'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "export", str(tracks), "--to", "srt"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
