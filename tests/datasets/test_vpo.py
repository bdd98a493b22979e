"""VPO: sounds and labels as the original makes them, sets built from objects and sounds, and what cannot be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paths
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import wavfile
from vpo_world import RATE, World, square

from avis_cli.cli.main import main
from avis_cli.datasets.vpo import IGNORED, RELEASED_IDS, Setting, read_labels, read_vpo, released_labels
from avis_cli.datasets.vpo_catalogue import SoundFile
from avis_cli.datasets.vpo_draw import share_out
from avis_cli.datasets.vpo_pools import Pool, Sound
from avis_cli.datasets.vpo_sound import cut, render
from avis_cli.errors import AnnotationError, AvisError, UsageError
from avis_cli.media.waveform import read_sound

PARITY = paths.DATA / "parity" / "cavp"
# --- as the original


STEREO = json.loads((PARITY / "stereo.json").read_text())
ARRAYS = np.load(PARITY / "stereo.npz")


def source(name: str) -> np.ndarray:
    stem = name.removesuffix(".wav")
    samples = torch.from_numpy(ARRAYS[f"pcm_{stem}"].astype(np.float32) / 32768)
    rate = STEREO["rates"][stem]
    return samples.numpy() if rate == RATE else torchaudio.functional.resample(samples, rate, RATE).numpy()


@pytest.mark.parametrize("image", STEREO["ids"])
def test_rendered_sounds(image: int) -> None:
    rows, length = STEREO["rows"], int(STEREO["audio_len"] * RATE)
    of = [place for place, id in enumerate(rows["img_Id"]) if id == image]
    sources = [cut(source(rows["audio_fp"][place]), length, "released") for place in of]
    positions = [rows["audio_pos"][place] for place in of]
    assert np.abs(render(sources, positions, 2)[:, ::3] - ARRAYS[f"multi_{image}"]).max() < 1e-5
    mirrored = render(sources, [1 - position for position in positions], 2)
    assert np.abs(mirrored[:, ::7] - ARRAYS[f"multi_flip_{image}"]).max() < 1e-5
    assert np.abs(render(sources, positions, 1)[:, ::7] - ARRAYS[f"mono_{image}"]).max() < 1e-5


@pytest.mark.parametrize("name", [name for name in ARRAYS if name.startswith("crop_index")])
def test_cut_sounds(name: str) -> None:
    count, length = (int(part) for part in name.removeprefix("crop_index_").split("_to_"))
    found = cut(np.arange(count, dtype=np.float64).astype(np.float32), length, "released")
    np.testing.assert_array_equal(found[:: 401 if length == 160_000 else 101], ARRAYS[name])


def test_short_sounds_are_repeated_whole() -> None:
    assert cut(np.arange(3, dtype=np.float32), 7).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert cut(np.arange(9, dtype=np.float32), 3).tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match="empty"):
        cut(np.zeros(0, np.float32), 4)


@given(position=st.floats(0, 1), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_both_channels_together_are_the_mono_sound_and_a_flip_swaps_them(position: float, seed: int) -> None:
    sounds = np.random.default_rng(seed).standard_normal((2, 50)).astype(np.float32)
    places = [position, 1 - position / 2]
    stereo = render(list(sounds), places, 2)
    np.testing.assert_allclose(stereo.sum(0), render(list(sounds), places, 1)[0], atol=1e-6)
    np.testing.assert_allclose(render(list(sounds), [1 - p for p in places], 2), stereo[::-1], atol=1e-6)


@pytest.mark.parametrize("name", ["with_car_and_airplane", "without_airplane"])
def test_labels_as_the_release_numbers_them(name: str, tmp_path: Path) -> None:
    case = json.loads((PARITY / "label_remap.json").read_text())[name]
    raw = np.array(case["raw"])
    np.testing.assert_array_equal(released_labels(raw), np.array(case["index"]))
    Image.fromarray(raw.astype(np.uint8)).save(tmp_path / "mask.png")
    indices = {id: index for index, id in enumerate(RELEASED_IDS.values(), start=1)}
    labels = read_labels(tmp_path / "mask.png", indices)
    assert (labels[raw == 3] == 5).all()
    assert (labels[raw == 5] == 1).all()


# --- built


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("setting", ["ss", "ms", "msmi"])
def test_what_holds_for_every_set(world: World, tmp_path: Path, setting: Setting) -> None:
    out = tmp_path / "vpo"
    document, said = world.build(out, setting)
    assert said == ["categories without sounds are left out: air plane"]
    pictures: dict[int, str] = {}
    sounds: dict[str, str] = {}
    for split in ("train", "val", "test"):
        found = read_vpo(out, setting, split)
        assert found.names == ("car", "air plane", "owl")
        for sample in found.samples:
            with Image.open(sample.picture) as image:
                size = image.size
            labels = read_labels(sample.mask, found.indices, size)
            assert set(np.unique(labels)) == {0, *(found.indices[row.category_id] for row in sample.rows)}
            assert len({row.sound for row in sample.rows}) == len(sample.rows)
            for row in sample.rows:
                assert (found.sounds / f"{row.sound}.wav").is_file()
                assert 0 <= row.position <= 1
                assert pictures.setdefault(row.image, split) == split, "no picture in two splits"
                assert sounds.setdefault(row.sound, split) == split, "no sound in two splits"
                assert row.sound.split("_")[0].lower() == row.category
            names = [row.category for row in sample.rows]
            if setting == "ss":
                assert len(names) == 1
            elif setting == "ms":
                assert len(set(names)) == len(names)
                assert not sample.rows[0].several
    assert sum(document["counts"].values()) > 5
    assert {entry["licence"] for entry in document["pictures"]} == {"CC BY 2.0"}
    if setting == "msmi":
        assert any(row["several"] for row in document["rows"])
        assert any(not row["several"] for row in document["rows"])
    else:
        assert all(row["image"] % 3 or row["category"] == "owl" for row in document["rows"]), "cars have a second one"


def test_positions_are_those_of_the_objects(world: World, tmp_path: Path) -> None:
    document, _ = world.build(tmp_path / "vpo", "ss")
    places = {row["category"]: row["position"] for row in document["rows"]}
    assert places == {"car": pytest.approx(7 / 60, abs=0.01), "owl": pytest.approx(50 / 60, abs=0.01)}


def test_the_same_options_give_the_same_bytes(world: World, tmp_path: Path) -> None:
    for name in ("one", "two"):
        world.build(tmp_path / name, "msmi", seed=4)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    world.build(tmp_path / "three", "msmi", seed=5)
    assert tree(tmp_path / "one") != tree(tmp_path / "three")


def test_as_many_samples_as_asked_for_or_none(world: World, tmp_path: Path) -> None:
    document, _ = world.build(tmp_path / "vpo", "ss", samples=8)
    assert document["counts"] == {"train": 4, "val": 2, "test": 2}
    with pytest.raises(UsageError, match=r"99 samples of ss, but there are only \d+ of 51 for train"):
        world.build(tmp_path / "more", "ss", samples=99)


def test_where_objects_overlap_the_smaller_one_is_on_top(world: World, tmp_path: Path) -> None:
    world.document["annotations"] = [
        {"id": 1, "image_id": 1, "category_id": 3, "segmentation": square(0, 0, 30), "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 9, "segmentation": square(25, 5, 12), "iscrowd": 0},
        {"id": 3, "image_id": 1, "category_id": 5, "segmentation": square(50, 30, 5), "iscrowd": 0},
    ]
    world.tone("air_plane/0.wav", 90)
    world.write()
    for seed in range(12):
        out = tmp_path / str(seed)
        document, _ = world.build(out, "ms", seed=seed, shares=(1, 0, 0), overlap=0.9)
        if {row["category"] for row in document["rows"]} >= {"car", "owl"}:
            (sample,) = read_vpo(out, "ms", "train").samples
            mask = np.array(Image.open(sample.mask))
            assert (mask[6:16, 26:29] == 9).all()
            return
    pytest.fail("never drawn together")


def test_what_lies_under_others_for_the_most_part_does_not_sound_with_them(world: World, tmp_path: Path) -> None:
    world.document["annotations"] = [
        {"id": 1, "image_id": 1, "category_id": 3, "segmentation": square(0, 0, 30), "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 9, "segmentation": square(25, 5, 10), "iscrowd": 0},
    ]
    world.write()
    with pytest.raises(UsageError, match="none of 1 pictures has two objects"):
        world.build(tmp_path / "apart", "ms", shares=(1, 0, 0), overlap=0.4)
    together = [
        len(world.build(tmp_path / f"{seed}", "ms", seed=seed, shares=(1, 0, 0), overlap=0.6)[0]["rows"])
        for seed in range(8)
    ]
    assert set(together) == {1, 2}


def test_an_object_that_others_hide_gets_no_sound(world: World, tmp_path: Path) -> None:
    halves = [[[0, 0, 10, 0, 10, 20, 0, 20]], [[10, 0, 20, 0, 20, 20, 10, 20]]]
    shapes = [(3, square(0, 0, 20)), (9, halves[0]), (9, halves[1]), (5, square(45, 25))]
    world.document["annotations"] = [
        {"id": number, "image_id": 1, "category_id": category, "segmentation": shape, "iscrowd": 0}
        for number, (category, shape) in enumerate(shapes, start=1)
    ]
    world.tone("air plane/0.wav", 90)
    world.write()
    both = 0
    for seed in range(25):
        out = tmp_path / str(seed)
        world.build(out, "msmi", seed=seed, shares=(1, 0, 0), overlap=1)
        (sample,) = read_vpo(out, "msmi", "train").samples
        values = set(np.unique(np.array(Image.open(sample.mask)))) - {0}
        assert values == {row.category_id for row in sample.rows}
        if {2, 3} <= {row.annotation for row in sample.rows}:
            both += 1
            assert 1 not in {row.annotation for row in sample.rows}
    assert both > 2


def test_objects_that_do_not_count(world: World, tmp_path: Path) -> None:
    annotations = world.document["annotations"]
    annotations[0]["iscrowd"] = 1
    annotations[1]["segmentation"] = square(5, 5, 1)
    world.write()
    document, _ = world.build(tmp_path / "vpo", "ss", smallest=0.01)
    assert 1 not in {row["image"] for row in document["rows"]}


def test_silent_sounds_are_left_out_and_labels_can_be_given(world: World, tmp_path: Path) -> None:
    world.tone("car/9.wav", 100, loud=0)
    world.tone("jet engine/1.wav", 50)
    world.document["annotations"][0]["category_id"] = 5
    world.write()
    document, said = world.build(tmp_path / "vpo", "ss", labels={"air plane": ["Jet Engine"]}, shares=(1, 0, 0))
    assert any("9.wav: silent, left out" in line for line in said)
    assert "air plane" in {row["category"] for row in document["rows"]}
    assert "car_9" not in {entry["name"] for entry in document["sounds"]}


def test_a_list_of_sounds_with_splits_and_licences(world: World, tmp_path: Path) -> None:
    lines = ["file,label,split,licence"]
    lines += [f"car/{n}.wav,car,{'test' if n > 3 else 'train'},CC0" for n in range(6)]
    (world.sounds / "sounds.csv").write_text("\n".join(lines))
    document, _ = world.build(tmp_path / "vpo", "ss", shares=(0.5, 0, 0.5))
    by_split = {row["sound"]: row["split"] for row in document["rows"]}
    assert all(split == ("test" if int(name[-1]) > 3 else "train") for name, split in by_split.items())
    assert {entry["licence"] for entry in document["sounds"]} == {"CC0"}


def changed(key: str, place: int, **values: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.document[key][place].update(values)
        world.write()

    return change


def no_sounds(world: World) -> None:
    for path in sorted(world.sounds.rglob("*.wav")):
        path.unlink()


def bad_row(text: str) -> Callable[[World], None]:
    return lambda world: (world.sounds / "sounds.csv").write_text(f"file,label\n{text}\n")  # type: ignore[return-value]


def spoil_picture(world: World, name: str) -> None:
    """The head of a picture: its size can be read, its pixels cannot."""
    path = world.images / name
    path.write_bytes(path.read_bytes()[:400])


def deep_picture(world: World, number: int) -> None:
    Image.fromarray(np.full((40, 60), 40_000, np.uint16)).save(world.images / f"{number}.png")
    changed("images", number - 1, file_name=f"{number}.png")(world)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            changed("annotations", 0, segmentation={"size": [40, 60], "counts": "nonsense"}),
            "annotation 1: segmentation",
        ),
        (changed("annotations", 0, category_id=99), "category_id"),
        (changed("images", 0, width=61), "60x40 pixels, the annotations say 61x40"),
        (changed("images", 0, file_name="../secret.jpg"), "a path below the folder of images"),
        (changed("images", 0, id=2), "image 2, '2.jpg' again, expected an id and a file of its own"),
        (changed("images", 1, file_name="1.jpg"), "image 2, '1.jpg' again"),
        (changed("images", 0, width=65536, height=65536), "65536x65536 pixels, expected a picture of up to"),
        (changed("annotations", 1, id=1), "annotations[1].id is 1 again, expected an id of its own"),
        (changed("categories", 0, name="../../etc"), "a name that a folder can have"),
        (changed("categories", 1, name="car"), "expected an id and a name of its own"),
        (lambda world: spoil_picture(world, "1.jpg"), "1.jpg: not a picture that can be read"),
        (lambda world: deep_picture(world, 1), "more than 8 bits a channel"),
        (lambda world: (world.images / "1.jpg").unlink(), "1.jpg: not a picture that can be read"),
        (lambda world: (world.images / "1.jpg").write_text("no"), "not a picture that can be read"),
        (lambda world: (world.sounds / "car" / "0.wav").write_bytes(b""), "0.wav"),
        (no_sounds, "no sound in it"),
        (bad_row("car/0.wav,"), "row 2: no label"),
        (bad_row("car/77.wav,car"), "row 2: there is no 'car/77.wav'"),
        (bad_row("../x.wav,car"), "row 2: '../x.wav' leads out of the folder"),
        (bad_row("car/0.wav,car\ncar/0.wav,owl"), "row 3: 'car/0.wav' again"),
        (bad_row("car/0.wav,car\n./car/0.wav,car"), "row 3: './car/0.wav' again"),
        (
            lambda world: (world.sounds / "sounds.csv").write_text("file,label,split\ncar/0.wav,car,tset"),
            "row 2: split 'tset', expected one of train, val, test",
        ),
    ],
)
def test_what_cannot_be_is_said_in_a_line_and_nothing_is_left(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[World], None], words: str
) -> None:
    changed("annotations", 0, category_id=3)(world)
    spoil(world)
    out = tmp_path / "vpo"
    command = ["vpo", "build", "--annotations", world.annotations, "--images", world.images, "--sounds", world.sounds]
    status = main([*map(str, command), "--setting", "ss", "-o", str(out), "-q"])
    err = capsys.readouterr().err.strip().splitlines()
    assert status == 1
    assert words in err[-1]
    assert not out.exists()
    assert not list(tmp_path.glob(".avis-part*"))


def test_the_command(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "map.json").write_text('{"owl": ["car"]}')
    command = ["vpo", "build", "--annotations", world.annotations, "--images", world.images, "--sounds", world.sounds]
    options = ["--setting", "msmi", "-o", tmp_path / "vpo", "--samples", 4, "--shares", "1,0,0", "--seed", 3]
    options += ["--map", tmp_path / "map.json", "--smallest", 0, "--most", 2]
    assert main(list(map(str, [*command, *options]))) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'vpo'}\n"
    assert "4 train, 0 val, 0 test" in captured.err
    document = json.loads((tmp_path / "vpo" / "vpo.json").read_text())
    assert document["options"]["seed"] == 3
    assert {row["sound"].split("_")[0] for row in document["rows"]} == {"car"}
    sound = read_sound(tmp_path / "vpo" / "VGGSound" / "audios" / f"{document['rows'][0]['sound']}.wav")
    assert sound.sample_rate == RATE
    assert main(list(map(str, [*command, *options]))) != 0
    assert main(list(map(str, [*command, *options, "--overwrite", "-q"]))) == 0


def test_ids_that_masks_cannot_hold_become_numbers(world: World, tmp_path: Path) -> None:
    for category, id in zip(world.document["categories"], (300, 7, 0), strict=True):
        old, category["id"] = category["id"], id
        for entry in world.document["annotations"]:
            if entry["category_id"] == old:
                entry["category_id"] = id + 1000
    for entry in world.document["annotations"]:
        entry["category_id"] -= 1000
    world.write()
    document, _ = world.build(tmp_path / "vpo", "ms", shares=(1, 0, 0))
    assert document["categories"] == [
        {"index": 1, "id": 1, "name": "owl", "source_id": 0},
        {"index": 2, "id": 2, "name": "car", "source_id": 300},
    ]
    found = read_vpo(tmp_path / "vpo", "ms", "train")
    assert found.names == ("owl", "car")
    for sample in found.samples:
        labels = read_labels(sample.mask, found.indices)
        assert set(np.unique(labels)) == {0, *(found.names.index(row.category) + 1 for row in sample.rows)}


def test_a_crowd_is_more_than_one(world: World, tmp_path: Path) -> None:
    crowd = {"id": 99, "image_id": 1, "category_id": 3, "segmentation": square(30, 20), "iscrowd": 1}
    world.document["annotations"].append(crowd)
    world.write()
    document, _ = world.build(tmp_path / "vpo", "ss", shares=(1, 0, 0))
    assert [row["category"] for row in document["rows"] if row["image"] == 1] == ["owl"]
    document, _ = world.build(tmp_path / "msmi", "msmi", shares=(1, 0, 0), seed=2)
    for row in document["rows"]:
        if row["image"] == 1 and row["category"] == "car":
            assert row["several"]


def test_settings_need_pictures_of_their_kind(world: World, tmp_path: Path) -> None:
    every = world.document["annotations"]
    world.document["annotations"] = [entry for entry in every if entry["image_id"] % 3]
    world.write()
    with pytest.raises(UsageError, match=r"none of 8 pictures has two objects of one category .* take --setting ms"):
        world.build(tmp_path / "msmi", "msmi")
    _, said = world.build(tmp_path / "few", "msmi", samples=4)
    assert any("none of 4 pictures has two objects of one category" in line for line in said)
    world.document["annotations"] = [entry for entry in every if entry["category_id"] == 3]
    world.write()
    with pytest.raises(UsageError, match=r"none of 8 pictures has two objects of different .* take --setting ss"):
        world.build(tmp_path / "ms", "ms")
    world.document["annotations"] = [{**every[0], "iscrowd": 1}]
    world.write()
    with pytest.raises(UsageError, match="no sample can be made"):
        world.build(tmp_path / "none", "ss")


def test_of_two_objects_of_ms_both_may_sound_and_of_three_one_is_silent(world: World, tmp_path: Path) -> None:
    document, _ = world.build(tmp_path / "two", "ms", shares=(1, 0, 0))
    counts = Counter(row["image"] for row in document["rows"])
    assert set(counts.values()) == {1, 2}
    world.tone("air plane/1.wav", 90)
    world.document["annotations"] += [
        {"id": 100 + n, "image_id": n, "category_id": 5, "segmentation": square(20, 20), "iscrowd": 0}
        for n in range(1, 13)
    ]
    world.write()
    document, _ = world.build(tmp_path / "three", "ms", shares=(1, 0, 0))
    assert max(Counter(row["image"] for row in document["rows"]).values()) == 2
    document, _ = world.build(tmp_path / "one", "ms", shares=(1, 0, 0), most=1)
    assert max(Counter(row["image"] for row in document["rows"]).values()) == 1


def test_of_ss_each_object_is_a_sample_or_each_picture(world: World, tmp_path: Path) -> None:
    document, _ = world.build(tmp_path / "all", "ss")
    assert sum(document["counts"].values()) == 12 + 8, "an owl in each picture, a single car in two of three"
    document, _ = world.build(tmp_path / "once", "ss", once=True)
    assert sum(document["counts"].values()) == len(document["pictures"]) == 12
    assert {row["category"] for row in document["rows"]} == {"car", "owl"}


def test_rendered_sounds_are_those_of_the_rows(world: World, tmp_path: Path) -> None:
    document, _ = world.build(tmp_path / "vpo", "ms", shares=(1, 0, 0), render="stereo", seconds=0.5)
    found = read_vpo(tmp_path / "vpo", "ms", "train")
    for sample in found.samples:
        path = tmp_path / "vpo" / "rendered" / "train" / f"{sample.rows[0].image:012d}.wav"
        rate, stereo = wavfile.read(path)
        assert (rate, stereo.shape, stereo.dtype) == (RATE, (RATE // 2, 2), np.float32)
        sources = [cut(read_sound(found.sounds / f"{row.sound}.wav").samples, RATE // 2) for row in sample.rows]
        np.testing.assert_allclose(stereo.sum(1), np.sum(sources, axis=0), atol=1e-6)
        right = sum(row.position * one for row, one in zip(sample.rows, sources, strict=True))
        np.testing.assert_allclose(stereo[:, 1], right, atol=1e-6)
    document, _ = world.build(tmp_path / "mono", "ss", shares=(1, 0, 0), render="mono")
    files = list((tmp_path / "mono" / "rendered" / "train").iterdir())
    assert len(files) == document["counts"]["train"]
    assert wavfile.read(files[0])[1].shape == (3 * RATE,)


@given(count=st.integers(1, 5), draws=st.lists(st.integers(1, 4), max_size=12), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_sounds_are_given_out_evenly_and_not_twice_in_a_picture(count: int, draws: list[int], seed: int) -> None:
    every = [Sound(str(number), SoundFile(Path(str(number)), "car")) for number in range(count)]
    pool, given_out = Pool({"car": every}, np.random.default_rng(seed)), Counter[str]()
    for number in draws:
        taken: list[Sound] = []
        for _ in range(number):
            taken.append(pool.take("car", taken))
        if number <= count:
            assert len(set(taken)) == number
        given_out.update(sound.name for sound in taken)
    uses = [given_out[sound.name] for sound in every]
    assert max(uses) - min(uses) <= (1 if set(draws) <= {1} else 2)


@given(total=st.integers(0, 60), parts=st.tuples(*[st.integers(0, 9)] * 3).filter(any))
@settings(max_examples=60, deadline=None)
def test_shares(total: int, parts: tuple[int, int, int]) -> None:
    counts = share_out(total, parts)
    assert sum(counts.values()) == total
    for count, part in zip(counts.values(), parts, strict=True):
        assert count >= int(total * part / sum(parts))
        assert part or not count
        assert not part or count or total < 3


def test_a_set_is_small_where_few_samples_are_asked_for(world: World, tmp_path: Path) -> None:
    spoil_picture(world, "1.jpg")
    texts = set()
    for seed in range(8):
        try:
            document, _ = world.build(tmp_path / str(seed), "ss", samples=1, seed=seed, shares=(1, 0, 0))
            texts.add(document["rows"][0]["image"])
        except AvisError:
            texts.add(0)
    assert len(texts) > 2, "only pictures that are used are read"


def test_sounds_keep_apart_whose_names_become_one(world: World, tmp_path: Path) -> None:
    for number, name in enumerate(("car/A B.wav", "car/A_b.wav", "car/a B.wav")):
        world.tone(name, 300 + number)
    for number in range(6):
        (world.sounds / "car" / f"{number}.wav").unlink()
    document, _ = world.build(tmp_path / "vpo", "ss", shares=(1, 0, 0))
    names = {entry["source"]: entry["name"] for entry in document["sounds"] if entry["source"].startswith("car")}
    assert names == {"car/A B.wav": "car_A_B", "car/A_b.wav": "car_A_b_2", "car/a B.wav": "car_a_B_3"}
    audios = tmp_path / "vpo" / "VGGSound" / "audios"
    assert len({(audios / f"{name}.wav").read_bytes() for name in names.values()}) == 3


def test_pictures_become_plain_jpegs(world: World, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (60, 40), (200, 10, 10)).save(world.images / "1.jpg", exif=exif)
    Image.new("CMYK", (60, 40), (0, 200, 200, 0)).save(world.images / "2.jpg")
    Image.new("L", (60, 40), 77).save(world.images / "4.jpg")
    world.build(tmp_path / "vpo", "ss", shares=(1, 0, 0))
    for number in (1, 2, 4):
        with Image.open(tmp_path / "vpo" / "VPO-SS" / "data" / "owl" / f"{number:012d}.jpg") as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (60, 40))
            assert not image.getexif()
    three = "VPO-SS/data/owl/000000000003.jpg"
    assert (tmp_path / "vpo" / three).read_bytes() == (world.images / "3.jpg").read_bytes()


def test_too_few_sounds_for_a_split_are_told(world: World, tmp_path: Path) -> None:
    for number in range(1, 5):
        (world.sounds / "Owl" / f"{number}.wav").unlink()
    world.tone("owl/7.wav", 50)
    document, said = world.build(tmp_path / "vpo", "ss")
    assert "too few sounds for val, where these are silent: owl" in said
    splits = {row["sound"]: row["split"] for row in document["rows"] if row["category"] == "owl"}
    assert set(splits) == {"Owl_0", "owl_7"}, "both ways to write the label"


# --- read


def test_a_picture_of_ss_may_come_again_with_another_sound(world: World, tmp_path: Path) -> None:
    world.build(tmp_path / "vpo", "ss", shares=(1, 0, 0))
    path = tmp_path / "vpo" / "VPO-SS" / "vpo_ss_data_stereo.csv"
    header, first, *rest = path.read_text().splitlines()
    other = first.replace(first.split(",")[4], rest[0].split(",")[4])
    path.write_text("\n".join([header, first, other, *rest]) + "\n")
    samples = read_vpo(tmp_path / "vpo", "ss", "train").samples
    assert [len(sample.rows) for sample in samples] == [1] * (len(rest) + 2)
    assert samples[0].mask == samples[1].mask
    assert samples[0].rows[0].sound != samples[1].rows[0].sound


def test_rows_are_counted_as_in_the_file(world: World, tmp_path: Path) -> None:
    world.build(tmp_path / "vpo", "ss")
    path = tmp_path / "vpo" / "VPO-SS" / "vpo_ss_data_stereo.csv"
    lines = path.read_text().splitlines()
    number = next(n for n, line in enumerate(lines, start=1) if line.endswith("test"))
    cells = lines[number - 1].split(",")
    lines[number - 1] = ",".join([*cells[:3], "77", *cells[4:]])
    path.write_text("\n".join(lines))
    with pytest.raises(AnnotationError, match=f"row {number}: category"):
        read_vpo(tmp_path / "vpo", "ss", "test")


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        ([{"index": 1, "id": 3}], "name is missing"),
        ([{"index": 1, "id": 300, "name": "car"}], "id is 300, expected a whole number from 1 to 254"),
        ([{"index": 2, "id": 3, "name": "car"}], "index is 2"),
        ([{"index": 1, "id": 3, "name": "car"}, {"index": 2, "id": 3, "name": "owl"}], "of its own"),
        ("car", "expected a list"),
    ],
)
def test_a_description_that_is_none_is_refused(world: World, tmp_path: Path, categories: Any, words: str) -> None:
    world.build(tmp_path / "vpo", "ss", shares=(1, 0, 0))
    (tmp_path / "vpo" / "vpo.json").write_text(json.dumps({"categories": categories}))
    with pytest.raises(AnnotationError, match=words):
        read_vpo(tmp_path / "vpo", "ss", "train")


@pytest.mark.parametrize("folder", ["data", "mask"])
def test_files_that_are_not_there_are_named_with_their_row(world: World, tmp_path: Path, folder: str) -> None:
    world.build(tmp_path / "vpo", "ms", shares=(1, 0, 0))
    sample = read_vpo(tmp_path / "vpo", "ms", "train").samples[2]
    (sample.picture if folder == "data" else sample.mask).unlink()
    with pytest.raises(AvisError, match=rf"row \d+: there is no VPO-MS/{folder}/{sample.rows[0].image:012d}"):
        read_vpo(tmp_path / "vpo", "ms", "train")


def test_rows_that_disagree_on_several_instances(world: World, tmp_path: Path) -> None:
    world.build(tmp_path / "vpo", "msmi", shares=(1, 0, 0), seed=1)
    path = tmp_path / "vpo" / "VPO-MSMI" / "vpo_msmi_data_stereo.csv"
    lines = path.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if line.split(",")[6] == "1")
    cells = lines[number].split(",")
    lines.append(",".join([*cells[:6], "0", cells[7]]))
    path.write_text("\n".join(lines))
    with pytest.raises(AvisError, match=r"disagree on multi_instance|there is no VPO-MS/"):
        read_vpo(tmp_path / "vpo", "msmi", "train")


def spoiled_csv(folder: Path, setting: Setting, old: str, new: str) -> None:
    path = next(folder.rglob(f"vpo_{setting}_data_stereo.csv"))
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("audio_pos", "position", "no column audio_pos"),
        (",0.", ",7.", "audio_pos '7."),
        ("owl,9", "owl,8", "category 'owl' with id 8"),
        (",owl,", ",../owl,", "cateName '../owl' cannot be a file's name"),
        (",owl,", ",,", "no cateName"),
        (",train", ",tran", "row 2: split 'tran', expected one of train, val, test"),
        ("img_Id", "img", "no column img_Id"),
        ("Owl_", "Owl__", r"there is no VGGSound/audios/Owl__\d.wav"),
    ],
)
def test_a_csv_that_is_none_is_refused_with_its_row(
    world: World, tmp_path: Path, old: str, new: str, words: str
) -> None:
    world.build(tmp_path / "vpo", "ms", shares=(1, 0, 0))
    spoiled_csv(tmp_path / "vpo", "ms", old, new)
    with pytest.raises(AvisError, match=r"vpo_ms_data_stereo\.csv.*" + words.replace("'", ".")):
        read_vpo(tmp_path / "vpo", "ms", "train")


def test_masks_that_are_none_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 5), 7, np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(AnnotationError, match="value 7, which is no category's id"):
        read_labels(tmp_path / "mask.png", {3: 1})
    with pytest.raises(AnnotationError, match="5x4 pixels, its picture has 9x9"):
        read_labels(tmp_path / "mask.png", {7: 1}, (9, 9))
    Image.new("RGB", (5, 4)).save(tmp_path / "mask.png")
    with pytest.raises(AnnotationError, match="an image of mode RGB"):
        read_labels(tmp_path / "mask.png", {7: 1})
    (tmp_path / "mask.png").write_text("no")
    with pytest.raises(AnnotationError, match="not a mask that can be read"):
        read_labels(tmp_path / "mask.png", {7: 1})
    World(tmp_path / "w").build(tmp_path / "v", "ss", shares=(1, 0, 0))
    with pytest.raises(AnnotationError, match="no row of the split"):
        read_vpo(tmp_path / "v", "ss", "test")
    Image.fromarray(np.full((4, 5), IGNORED, np.uint8)).save(tmp_path / "mask.png")
    assert (read_labels(tmp_path / "mask.png", {7: 1}) == IGNORED).all()
