"""AVISeg's layout is known in one place, and no name in it leads anywhere else."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import avis_cli
from avis_cli.datasets.aviseg import SplitPaths, find_clip, find_split, picture_name, read_training_split
from avis_cli.datasets.truth import read_truth
from avis_cli.errors import AnnotationError, MediaError, UsageError

PACKAGE = Path(avis_cli.__file__).parent
HOME = PACKAGE / "datasets" / "aviseg.py"


def write_truth(data: Path, names: list[str]) -> Path:
    document: dict[str, Any] = {
        "videos": [{"id": 1, "file_names": names, "height": 4, "width": 6, "length": len(names)}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [],
    }
    (data / "test.json").write_text(json.dumps(document))
    return data / "test.json"


def test_where_the_parts_of_a_split_lie(tmp_path: Path) -> None:
    paths = SplitPaths.of(tmp_path, "test")
    assert paths == SplitPaths(tmp_path / "test.json", tmp_path / "test_objects.json", tmp_path / "test")
    assert paths.picture(picture_name("a", 7)) == tmp_path / "test" / "JPEGImages" / "a" / "00007.jpg"
    assert paths.sound("a") == tmp_path / "test" / "WAVAudios" / "a.wav"
    assert paths.embeddings("a") == tmp_path / "test" / "FEATAudios" / "a.npy"
    assert find_split(tmp_path, "test") == paths
    with pytest.raises(UsageError, match="no such folder"):
        find_split(tmp_path / "none", "test")


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/passwd", "a/../../b.jpg", "", "a\\b.jpg", "C:a.jpg", "a//b", "a\0b"]
)
def test_no_name_leads_out_of_the_dataset(tmp_path: Path, name: str) -> None:
    with pytest.raises(AnnotationError, match="leads out of the dataset"):
        SplitPaths.of(tmp_path, "test").picture(name)
    write_truth(tmp_path, ["a/00000.jpg", name])
    with pytest.raises(AnnotationError, match="leads out of the dataset") as caught:
        read_training_split(tmp_path, "test")
    assert caught.value.file == str(tmp_path / "test.json")


def test_a_clips_files_have_to_be_there(tmp_path: Path) -> None:
    (video,) = read_truth(write_truth(tmp_path, ["a/00000.jpg"]), allow_empty=True).videos
    paths = SplitPaths.of(tmp_path, "test")
    with pytest.raises(MediaError, match=r"no such picture; test\.json names it"):
        find_clip(paths, video, embedded=False, mute=True)
    for path in (paths.picture("a/00000.jpg"), paths.sound("a"), paths.embeddings("a")):
        path.parent.mkdir(parents=True)
    paths.picture("a/00000.jpg").touch()
    assert find_clip(paths, video, embedded=True, mute=True).sound is None
    with pytest.raises(MediaError, match="no such sound; --mute"):
        find_clip(paths, video, embedded=False, mute=False)
    with pytest.raises(MediaError, match="no such sound, nor FEATAudios"):
        find_clip(paths, video, embedded=True, mute=False)
    paths.sound("a").touch()
    assert find_clip(paths, video, embedded=True, mute=False).sound == paths.sound("a")
    paths.embeddings("a").touch()
    assert find_clip(paths, video, embedded=True, mute=False).sound == paths.embeddings("a")
    assert find_clip(paths, video, embedded=False, mute=False).sound == paths.sound("a")


def test_no_other_module_spells_the_layout() -> None:
    folders = {"WAVAudios", "FEATAudios", "_objects.json"}
    found = set()
    for path in set(PACKAGE.rglob("*.py")) - {HOME}:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        # words around it: a docstring or a help text, which speaks of the layout and does not build paths
        if any(folder in text and " " not in text for folder in folders for text in texts):
            found.add(path.relative_to(PACKAGE).as_posix())
    assert found == set()
