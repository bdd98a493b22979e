"""The world in VPO's layout: still pictures that do not tell what sounds, voices, and sets that hold what they must."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avis_cli.cli.main import main
from avis_cli.datasets.synth import NAMES
from avis_cli.datasets.synth.clips import SPLITS, clip_seed
from avis_cli.datasets.synth.render_frames import SceneRenderer
from avis_cli.datasets.synth.scenes import plan_scene
from avis_cli.datasets.synth.vpo_layout import VpoRequest, _fits, still, write_vpo
from avis_cli.datasets.vpo import Setting, Vpo, read_labels, read_vpo
from avis_cli.errors import AvisError, UsageError
from avis_cli.files.json_file import read_json
from avis_cli.media.waveform import read_sound

SIZE = (64, 48)
EVERY = ("train", "val", "test")


def written(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def splits(folder: Path, setting: Setting) -> dict[str, Vpo]:
    return {split: read_vpo(folder, setting, split) for split in EVERY}


@pytest.mark.parametrize("setting", ["ss", "ms", "msmi"])
def test_sets_of_the_world(tmp_path: Path, setting: Setting) -> None:
    listed = write_vpo(tmp_path / "set", VpoRequest(setting, 20, 1, SIZE))
    assert listed == tmp_path / "set" / f"VPO-{setting.upper()}" / f"vpo_{setting}_data_stereo.csv"
    found = splits(tmp_path / "set", setting)
    assert [len(part.samples) for part in found.values()] == [16, 2, 2]
    images: dict[int, str] = {}
    sounds: dict[str, str] = {}
    for split, part in found.items():
        assert part.names == NAMES
        for sample in part.samples:
            with Image.open(sample.picture) as picture:
                assert picture.size == SIZE
            labels = read_labels(sample.mask, part.indices, SIZE)
            assert set(np.unique(labels)) == {0} | {NAMES.index(row.category) + 1 for row in sample.rows}
            for row in sample.rows:
                assert images.setdefault(row.image, split) == split
                assert sounds.setdefault(row.sound, split) == split
                if len(sample.rows) == 1:
                    columns = np.flatnonzero((labels > 0).any(0))
                    assert columns[0] / SIZE[0] <= row.position <= (columns[-1] + 1) / SIZE[0]
    several = [sample for part in found.values() for sample in part.samples if sample.rows[0].several]
    together = [sample for part in found.values() for sample in part.samples if len(sample.rows) > 1]
    assert bool(several) == (setting == "msmi")
    assert bool(together) == (setting != "ss")


def test_pictures_do_not_tell_what_sounds() -> None:
    """A scene with its sounds taken away, or given to other objects, is the same picture."""
    shaken = 0
    for index in range(12):
        seed = clip_seed("sample", 0, index)
        scene = plan_scene(seed, 4, 4 / 3)
        image, masks, categories = still(seed, SIZE)
        assert categories == [item.category_id for item in scene.objects]
        assert masks.shape == (len(categories), 48, 64)
        silent = replace(scene, objects=tuple(replace(item, sounds=(), shows=()) for item in scene.objects))
        np.testing.assert_array_equal(SceneRenderer(silent, *SIZE).at(2.0).image, image)
        shaken += bool((SceneRenderer(scene, *SIZE).at(2.0).image != image).any())
    assert shaken, "the world's own clips show some of their sounds"


def test_twins_are_told_apart_by_their_place_alone(tmp_path: Path) -> None:
    write_vpo(tmp_path / "set", VpoRequest("msmi", 40, 2, SIZE))
    samples = [sample for part in splits(tmp_path / "set", "msmi").values() for sample in part.samples]
    twins = [sample for sample in samples if sample.rows[0].several]
    assert len(twins) > 8
    categories = [Counter(row.category for row in sample.rows) for sample in twins]
    assert sum(1 in counted.values() for counted in categories) > 4, "one of two sounds"


@pytest.mark.parametrize(
    ("setting", "categories", "fits"),
    [
        ("ss", [1], True), ("ss", [1, 1], False), ("ss", [1, 1, 2], True), ("ms", [1, 2], True), ("ms", [1], False),
        ("ms", [1, 1, 2], False), ("ms", [1, 1, 2, 3], True), ("msmi", [1, 1], True), ("msmi", [1], False),
    ],
)  # fmt: skip
def test_pictures_that_have_a_place_in_a_setting(setting: Setting, categories: list[int], fits: bool) -> None:
    shares = np.full(len(categories), 0.02)
    assert _fits(setting, categories, shares) == fits
    assert _fits(setting, categories, np.append(shares, 0.0)) == fits, "an object out of the picture"
    assert not _fits(setting, [*categories, 9], np.append(shares, 0.004)), "one of which too little is seen"


def test_voices_are_all_different_and_heard(tmp_path: Path) -> None:
    write_vpo(tmp_path / "set", VpoRequest("ms", 12, 5, SIZE))
    files = list((tmp_path / "set" / "VGGSound" / "audios").iterdir())
    sounds = [read_sound(path) for path in files]
    assert {(len(sound.samples), sound.sample_rate) for sound in sounds} == {(48_000, 16_000)}
    assert min(float(np.sqrt(np.mean(sound.samples**2))) for sound in sounds) > 0.005
    assert len({sound.samples.tobytes() for sound in sounds}) == len(sounds)


def test_the_same_request_gives_the_same_files(tmp_path: Path) -> None:
    for name, request, jobs in (
        ("one", VpoRequest("ss", 4, 7, SIZE), 1), ("two", VpoRequest("ss", 4, 7, SIZE), 2),
        ("other", VpoRequest("ss", 4, 8, SIZE), 1),
    ):  # fmt: skip
        write_vpo(tmp_path / name, request, jobs=jobs)
    assert written(tmp_path / "one") == written(tmp_path / "two") != written(tmp_path / "other")


def test_sources_are_told(tmp_path: Path) -> None:
    write_vpo(tmp_path / "set", VpoRequest("ss", 3, 0, SIZE))
    sources = [node.key("source").text() for node in read_json(tmp_path / "set" / "vpo.json").key("pictures").items()]
    assert len(set(sources)) == len(sources)
    seeds = [int(source.removeprefix("avis synth, scene ")) for source in sources]
    assert {seed >> 61 for seed in seeds} == {SPLITS.index("sample")}, "no scene that others are trained on"


def test_a_set_that_is_there_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "set"
    write_vpo(out, VpoRequest("ss", 2, 0, SIZE))
    before = written(out)
    with pytest.raises(AvisError, match="is already there"):
        write_vpo(out, VpoRequest("ms", 2, 0, SIZE))
    assert written(out) == before
    write_vpo(out, VpoRequest("ms", 2, 0, SIZE), overwrite=True)
    assert not (out / "VPO-SS").exists()
    with pytest.raises(UsageError, match="frame size"):
        write_vpo(tmp_path / "small", VpoRequest("ms", 2, 0, (8, 8)))
    assert not (tmp_path / "small").exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "set")
    words = ["synth", out, "--layout", "vpo-ms", "--videos", "3", "--seed", "4", "--size", "64x48", "-q"]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'set' / 'VPO-MS' / 'vpo_ms_data_stereo.csv'}\n"
    write_vpo(tmp_path / "other", VpoRequest("ms", 3, 4, SIZE))
    assert written(tmp_path / "set") == written(tmp_path / "other")
    assert main(words) == 1
    assert main([*words, "--split", "test", "--overwrite"]) == 2
    assert "--split with --layout vpo-ms" in capsys.readouterr().err
