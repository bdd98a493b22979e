"""AVSBench's three layouts and VPO's as clips to learn from: files, truth, sound, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from vpo_world import World

from avis_cli.cli.main import main
from avis_cli.datasets import avsbench
from avis_cli.datasets.avsbench import Layout
from avis_cli.datasets.vpo_build import VpoOptions, build
from avis_cli.datasets.wave_file import write_wave
from avis_cli.errors import AvisError
from avis_cli.media.waveform import read_sound
from avis_cli.models.cavp.config import PRESETS as CAVP
from avis_cli.models.tpavi.config import PRESETS as TPAVI
from avis_cli.nn import audio
from avis_cli.nn.map_batch import IGNORED, MapBatch
from avis_cli.results.palette import voc_palette
from avis_cli.train.clips import collate
from avis_cli.train.map_clips import VpoSource, as_raw, reduced
from avis_cli.train.sources import annotations_of, open_source, vpo_setting
from avis_cli.train.validate_maps import likeliest, sounding_logits

SIZE = (32, 32)
RATE = 16_000


def half(value: int) -> np.ndarray:
    """A label image whose left half is ``value``."""
    image = np.zeros(SIZE, np.uint8)
    image[:, :16] = value
    return image


def tone(path: Path, seconds: int) -> None:
    """A second of one pitch after another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(RATE) / RATE
    parts = [0.5 * np.sin(2 * np.pi * (300 + 200 * second) * times) for second in range(seconds)]
    write_wave(path, np.concatenate(parts).astype(np.float32))


def picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, (20 * number, 100, 200)).save(path)


def label(path: Path, image: np.ndarray, *, colours: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(voc_palette()[image] if colours else image).save(path)


def make(folder: Path, layout: Layout) -> Path:
    """Two clips: ``a`` to train on, ``b`` to test with."""
    folder.mkdir()
    if layout == "s4":
        (folder / "s4_meta_data.csv").write_text("name,start,category,split\na,0,dog,train\nb,0,dog,test\n")
        for name, split in (("a", "train"), ("b", "test")):
            inner, part = Path(split) / "dog", folder / "s4_data"
            for number in range(1, 6):
                picture(part / "visual_frames" / inner / name / f"{name}_{number}.png", number)
                if number == 1 or split == "test":
                    label(part / "gt_masks" / inner / name / f"{name}_{number}.png", half(255))
            tone(part / "audio_wav" / inner / f"{name}.wav", 5)
    elif layout == "ms3":
        (folder / "ms3_meta_data.csv").write_text("video_id,split\na,train\nb,test\n")
        for name, split in (("a", "train"), ("b", "test")):
            part = folder / "ms3_data"
            for number in range(1, 6):
                picture(part / "visual_frames" / name / f"{name}.mp4_{number}.png", number)
                label(part / "gt_masks" / split / name / f"{name}_{number}.png", half(255 if number > 1 else 0))
            tone(part / "audio_wav" / split / f"{name}.wav", 5)
    else:
        (folder / "metadata.csv").write_text("uid,label,split\na,v1s,train\nb,v2,test\n")
        (folder / "label2idx.json").write_text(json.dumps({"dog": 1, "background": 0, "owl": 2}))
        for name, subset, count in (("a", "v1s", 5), ("b", "v2", 10)):
            for number in range(count):
                picture(folder / subset / name / "frames" / f"{number}.jpg", number)
                label(folder / subset / name / "labels_rgb" / f"{number}.png", half(number % 3), colours=True)
            tone(folder / subset / name / "audio.wav", count)
    return folder


@pytest.mark.parametrize("layout", ["s4", "ms3", "avss"])
def test_clips_of_every_layout(tmp_path: Path, layout: Layout) -> None:
    data = make(tmp_path / "data", layout)
    assert avsbench.find_layout(data) == layout
    assert annotations_of(data, "train") == [avsbench.list_of(data, layout)]
    config = TPAVI["tpavi-tiny"]
    train, test = (open_source(data, split, config) for split in ("train", "test"))
    assert (len(train), len(test)) == (1, 1)
    assert train.categories == (("dog", "owl") if layout == "avss" else ("sounding",))
    length = 10 if layout == "avss" else 5
    assert test.length(0) == length
    clip, seen = train.read(0, [0, 1, 2]), test.read(0, range(length))
    assert clip.frames.shape == (3, 32, 32, 3)
    batch = MapBatch.of(collate([seen], divisor=32))
    wanted = [0, 1, 1, 1, 1] if layout == "ms3" else [1] * 5 if layout == "s4" else [number % 3 for number in range(10)]
    assert batch.labels[0, :, 0, 0].tolist() == wanted
    assert not batch.labels[0, :, 0, 16:].any()
    if layout == "ms3":
        assert clip.labelled is None
    else:
        assert clip.labelled is not None
        assert clip.labelled.tolist() == [True, False, False]
    assert seen.labelled is None
    # each frame has the second of sound that it begins
    loudest = seen.patches.mean(1).argmax(1)
    assert (np.diff(loudest[:5]) > 0).all()


@pytest.mark.parametrize("preset", ["cavp-tiny", "cavp-ms3"])
def test_samples_are_those_of_the_second_of_the_picture(tmp_path: Path, preset: str) -> None:
    data = make(tmp_path / "data", "ms3")
    clip = open_source(data, "train", CAVP[preset]).read(0, [1, 3])
    assert clip.samples is not None
    assert clip.samples.shape == (2, 1, RATE)
    pitches = np.abs(np.fft.rfft(clip.samples[:, 0])).argmax(1)
    assert pitches.tolist() == [500, 900]
    longer = open_source(data, "train", CAVP["cavp-vpo-ms"]).read(0, [2]).samples
    assert longer is not None
    seconds = longer[0, 0].reshape(3, RATE)
    assert np.abs(np.fft.rfft(seconds)).argmax(1).tolist() == [500, 700, 900], "its second is in the middle"
    with pytest.raises(AvisError, match="two channels of sound, of AVSBench"):
        open_source(data, "train", CAVP["cavp-tiny-stereo"])


def test_patches_follow_each_other_as_a_network_was_trained(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "ms3")
    ours, released = (
        open_source(data, "train", TPAVI[name]).read(0, [0, 4]).patches for name in ("tpavi-tiny", "tpavi-ms3-r50")
    )
    sound = read_sound(data / "ms3_data" / "audio_wav" / "train" / "a.wav").samples
    for patches, start in ((ours, 4 * RATE), (released, round(4 * 0.96 * RATE))):
        wanted = audio.log_mel_patches([torch.from_numpy(sound[start : start + RATE])], RATE)[0].numpy()
        np.testing.assert_allclose(patches[1], wanted, atol=1e-4)
    np.testing.assert_array_equal(ours[0], released[0])


def test_frames_without_a_truth_stay_so_beside_clips_that_have_all(tmp_path: Path) -> None:
    """AVSBench-semantic mixes clips of one labelled frame with others."""
    data = make(tmp_path / "data", "avss")
    one = open_source(data, "train", TPAVI["tpavi-tiny"]).read(0, [0, 1, 2])
    other = open_source(data, "test", TPAVI["tpavi-tiny"]).read(0, [0, 1, 2])
    for clips, wanted in (([one, other], [[1, 0, 0], [1, 1, 1]]), ([other, one], [[1, 1, 1], [1, 0, 0]])):
        assert MapBatch.of(collate(clips, divisor=32)).labelled.long().tolist() == wanted
    assert collate([other, other], divisor=32).labelled is None


def test_vpo_as_clips_of_one_frame(tmp_path: Path) -> None:
    world = World(tmp_path / "world")
    options = VpoOptions("msmi", shares=(1, 0, 0))
    build(world.annotations, world.images, world.sounds, tmp_path / "vpo", options)
    assert vpo_setting(tmp_path / "vpo") == "msmi"
    source = open_source(tmp_path / "vpo", "train", CAVP["cavp-vpo-msmi-stereo"])
    assert isinstance(source, VpoSource)
    assert source.categories == ("car", "air plane", "owl")
    sample = source._vpo.samples[0]
    clip = source.read(0, [0, 0])
    assert clip.samples is not None
    assert clip.samples.shape == (2, 2, 3 * RATE)
    assert source.length(0) == 1
    power = np.square(clip.samples[0]).sum(1)
    left = np.mean([1 - row.position for row in sample.rows])
    assert (power[0] > power[1]) == (left > 0.5)
    mono = open_source(tmp_path / "vpo", "train", CAVP["cavp-vpo-msmi"]).read(0, [0]).samples
    assert mono is not None
    np.testing.assert_allclose(mono[0, 0], clip.samples[0].sum(0), atol=1e-5)
    present = {source.categories[number] for number in clip.categories}
    assert present == {row.category for row in sample.rows}


def test_pictures_and_labels_are_reduced_alike() -> None:
    picture, labels = np.zeros((40, 80, 3), np.uint8), np.zeros((40, 80), np.int64)
    labels[:, :40] = 5
    small, cut = reduced(picture, labels, 20)
    assert small.shape == (20, 40, 3)
    assert cut is not None
    assert cut.shape == (20, 40)
    assert (cut[:, :20] == 5).all()
    assert not cut[:, 20:].any()
    assert reduced(picture, labels, 64)[0] is picture
    assert reduced(picture, None, 20)[1] is None


def test_what_is_ignored_belongs_to_no_object() -> None:
    labels = np.zeros((4, 4), np.int64)
    labels[0], labels[1] = IGNORED, 2
    patches = np.zeros((1, 96, 64), np.float32)
    raw = as_raw([np.zeros((4, 4, 3), np.uint8)], [labels], 3, patches, None)
    assert raw.categories.tolist() == [1]
    assert raw.ignored is not None
    assert raw.ignored[0, 0].all()
    assert MapBatch.of(collate([raw], divisor=1)).labels[0, 0].tolist()[:2] == [[IGNORED] * 4, [2] * 4]


Spoil = Callable[[Path], Any]


def listed(name: str, text: str) -> Spoil:
    return lambda data: (data / name).write_text(text + "\n")


@pytest.mark.parametrize(
    ("layout", "spoil", "words"),
    [
        ("s4", listed("s4_meta_data.csv", "a,0,dog,train"), "no column split"),
        ("s4", listed("s4_meta_data.csv", "name,start,category,split\na"), "row 2: 1 cells"),
        (
            "s4",
            listed("s4_meta_data.csv", "name,start,category,split\n..,0,dog,train"),
            "row 2: name",
        ),
        (
            "s4",
            lambda d: next(d.rglob("a_3.png")).unlink(),
            "row 2: there is no s4_data/visual_frames/train/dog/a/a_3.png",
        ),
        ("s4", lambda d: next(d.rglob("a.wav")).unlink(), "row 2: there is no s4_data/audio_wav/train/dog/a.wav"),
        (
            "ms3",
            listed("ms3_meta_data.csv", "video_id,split\nb,test"),
            "no row of the split 'train'",
        ),
        ("avss", listed("metadata.csv", "uid,label,split\na,v9,train"), "row 2: label 'v9'"),
        ("avss", listed("metadata.csv", "uid,split\na,train"), "no column label"),
        (
            "avss",
            listed("label2idx.json", '{"background": 0, "dog": 3}'),
            "2 names with other numbers",
        ),
        ("avss", listed("label2idx.json", "[]"), "an object of names and numbers"),
    ],
)
def test_lists_that_are_none_are_refused(tmp_path: Path, layout: Layout, spoil: Spoil, words: str) -> None:
    data = make(tmp_path / "data", layout)
    spoil(data)
    with pytest.raises(AvisError) as caught:
        open_source(data, "train", TPAVI["tpavi-tiny"])
    assert words in str(caught.value)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "s4")
    wav = next(data.rglob("a.wav"))
    pickled = data / "s4_data" / "audio_log_mel" / "train" / "dog" / "a.pkl"
    pickled.parent.mkdir(parents=True)
    pickled.write_bytes(b"cos\nsystem\n(S'touch /tmp/opened'\ntR.")
    wav.unlink()
    with pytest.raises(AvisError, match="pickles are not opened"):
        open_source(data, "train", TPAVI["tpavi-tiny"])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda d: label(next(d.rglob("labels_rgb")) / "0.png", half(9), colours=True),
            "a colour of no class at row 0",
        ),
        (lambda d: Image.new("RGB", (9, 9)).save(next(d.rglob("labels_rgb")) / "0.png"), "9x9 pixels, its picture has"),
        (lambda d: next(d.rglob("0.jpg")).write_text("no"), "not a picture that can be read"),
        (lambda d: next(d.rglob("0.png")).write_text("no"), "not a label image that can be read"),
        (lambda d: Image.new("RGB", (9, 9)).save(next(d.rglob("1.jpg"))), "pictures have several sizes"),
    ],
)
def test_files_that_are_not_as_expected_are_named(tmp_path: Path, spoil: Spoil, words: str) -> None:
    data = make(tmp_path / "data", "avss")
    spoil(data)
    source = open_source(data, "train", TPAVI["tpavi-tiny"])
    with pytest.raises(AvisError, match=words):
        source.read(0, [0, 1])


def test_clips_are_called_as_their_set_calls_them(tmp_path: Path) -> None:
    config = TPAVI["tpavi-tiny"]
    assert open_source(make(tmp_path / "data", "s4"), "test", config).name(0) == "b"
    world = World(tmp_path / "world")
    build(world.annotations, world.images, world.sounds, tmp_path / "vpo", VpoOptions("msmi", shares=(1, 0, 0)))
    source = open_source(tmp_path / "vpo", "train", CAVP["cavp-vpo-msmi"])
    assert isinstance(source, VpoSource)
    rows = [sample.rows[0] for sample in source._vpo.samples]
    names = [source.name(number) for number in range(len(source))]
    assert names == [f"{row.image}-{row.sound}" for row in rows]
    assert len(set(names)) == len(source)


def test_the_logit_of_sounding_is_that_of_all_classes_together() -> None:
    logits = torch.tensor([[[[1.0]], [[2.0]], [[0.5]]]])
    probability = 1 / (1 + np.exp(-sounding_logits(logits, binary=False)[0, 0, 0]))
    assert probability == pytest.approx(1 - float(logits.softmax(1)[0, 0, 0, 0]))
    assert sounding_logits(logits[:, :1], binary=True).item() == 1
    assert likeliest(logits, binary=False).item() == 1
    assert [likeliest(torch.full((1, 1, 1, 1), value), binary=True).item() for value in (0.1, -0.1)] == [1, 0]


@pytest.mark.parametrize("layout", ["ms3", "avss"])
def test_training_and_scoring_on_a_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: Layout) -> None:
    data, run = make(tmp_path / "data", layout), tmp_path / "run"
    words = ["train", "--data", data, "--preset", "tpavi-tiny", "--out", run, "--steps", 2, "--val-split", "test", "-q"]
    assert main([str(word) for word in words]) == 0
    weights = run / "model.safetensors"
    assert "maps" in json.loads((run / "scores.json").read_text())
    capsys.readouterr()
    assert main(["evaluate", "--data", str(data), "--model", str(weights), "--format", "json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["data"], scores["split"]) == ("data", "test")
    assert scores["corrected"]["miou"] is not None
