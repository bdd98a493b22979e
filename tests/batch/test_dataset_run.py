"""A model over a dataset: what it is given, what it writes, how it goes on after an end, what it refuses."""

from __future__ import annotations

import json
import shutil
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import avis_cli
from avis_cli.batch import dataset_run as run
from avis_cli.batch.dataset_run import DatasetOptions, hear_clip, read_embeddings
from avis_cli.batch.results_list import ResultsList, is_complete
from avis_cli.datasets.synth.layout import SplitRequest, write_split
from avis_cli.errors import AnnotationError, AvisError, MediaError, OutputError, UsageError
from avis_cli.inference.clip_frames import StillFrames, network_size, read_still
from avis_cli.inference.model import Model
from avis_cli.media.waveform import read_sound
from avis_cli.progress import silent
from avis_cli.results import run_length

VIDEOS, FRAMES, SIZE = 3, 3, (64, 48)
LOOSE = {"threshold": 0.05, "gate": False}  # random weights score low


def run_dataset(
    model: Model, data: Path, split: str, output: Path, progress: Any = silent, note: Any = print, **options: Any
) -> Path:
    """The function with the options as keywords."""
    return run.run_dataset(model, data, split, output, DatasetOptions(**options), progress, note)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset")
    write_split(out, SplitRequest("test", VIDEOS, seed=5, frames=FRAMES, size=SIZE))
    return out


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "data"))


def truth(data: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((data / "test.json").read_text())
    return document


def change_truth(data: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = truth(data)
    change(document)
    (data / "test.json").write_text(json.dumps(document))


def read_wave(path: Path) -> tuple[int, np.ndarray]:
    with wave.open(str(path)) as file:
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2") / np.float32(32768)


def by_hand(model: Model, data: Path, video: dict[str, Any], **settings: Any) -> Any:
    """The same video through ``segment_frames``, read with other readers."""
    images = [Image.open(data / "test" / "JPEGImages" / name).convert("RGB") for name in video["file_names"]]
    height, width = network_size(SIZE[1], SIZE[0], model.config.short_side, model.config.long_side)
    small = [np.array(image.resize((width, height), Image.Resampling.BILINEAR)) for image in images]
    rate, samples = read_wave(data / "test" / "WAVAudios" / (video["file_names"][0].split("/")[0] + ".wav"))
    sound = torch.from_numpy(samples.astype(np.float32))
    audio = model.embed_audio([sound[t * rate : (t + 1) * rate] for t in range(FRAMES)], rate)
    frames = np.stack(small).transpose(0, 3, 1, 2)
    return avis_cli.segment_frames(model, frames, audio, (SIZE[1], SIZE[0]), **settings)


def test_equals_segment_frames_on_the_same_frames_and_sound(made: Path, tmp_path: Path, tiny_model: Model) -> None:
    output = run_dataset(tiny_model, made, "test", tmp_path / "results.json", null_empty=True, **LOOSE)
    found = json.loads(output.read_text(), parse_constant=pytest.fail)
    assert found
    for video in truth(made)["videos"]:
        expected = by_hand(tiny_model, made, video, **LOOSE).tracks
        own = [entry for entry in found if entry["video_id"] == video["id"]]
        assert expected
        assert [entry["category_id"] for entry in own] == [track.category_id for track in expected]
        assert [entry["score"] for entry in own] == pytest.approx([track.score for track in expected], abs=1e-5)
        assert [entry["segmentations"] for entry in own] == [track.masks for track in expected]
    assert {entry["video_id"] for entry in found} == {video["id"] for video in truth(made)["videos"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "results.json.settings"]


def test_released_rule_has_a_mask_in_every_frame(
    made: Path, tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf_at_the_end(self: Model, tokens: Any, tracks: Any, queries: torch.Tensor, classes: Any) -> torch.Tensor:
        return torch.tensor([[1.0, 1.0, 0.0]]).expand(len(queries), FRAMES)

    monkeypatch.setattr(Model, "sounding", deaf_at_the_end)
    gated = {"threshold": 0.05, "gate": True}
    released = run_dataset(tiny_model, made, "test", tmp_path / "released.json", **gated)
    nulls = run_dataset(tiny_model, made, "test", tmp_path / "nulls.json", null_empty=True, **gated)
    expected = json.loads(nulls.read_text())
    empty = run_length.encode(np.zeros((SIZE[1], SIZE[0]), bool))
    assert expected
    for entry in expected:
        assert entry["segmentations"][2] is None
        entry["segmentations"] = [empty if mask is None else mask for mask in entry["segmentations"]]
    assert json.loads(released.read_text()) == expected


def test_goes_on_after_the_last_finished_video(
    made: Path, tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_dataset(tiny_model, made, "test", tmp_path / "whole.json", **LOOSE).read_bytes()
    output, part = tmp_path / "deep" / "results.json", tmp_path / "deep" / "results.json.partial"
    original, steps = run.run_clip, []
    seen: list[str] = []
    notes: list[str] = []

    def cut_off(model: Model, clip: Any, options: Any) -> Any:
        if seen:
            raise KeyboardInterrupt
        seen.append(clip.video.name)
        return original(model, clip, options)

    monkeypatch.setattr(run, "run_clip", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run_dataset(tiny_model, made, "test", output, **LOOSE)
    assert not output.exists()
    with part.open("ab") as file:
        file.write(b'{"video_id": 2, "eleme')  # as if killed while writing

    def watched(model: Model, clip: Any, options: Any) -> Any:
        seen.append(clip.video.name)
        return original(model, clip, options)

    monkeypatch.setattr(run, "run_clip", watched)
    run_dataset(tiny_model, made, "test", output, note=notes.append, progress=lambda *step: steps.append(step), **LOOSE)
    assert output.read_bytes() == whole
    assert seen == [video["file_names"][0].split("/")[0] for video in truth(made)["videos"]]
    assert notes == [f"{output}: going on after 1 of {VIDEOS} videos"]
    assert steps == [("videos", done, VIDEOS - 1) for done in range(VIDEOS)]
    assert not part.exists()

    # complete: used again as it is; changed since: refused
    run_dataset(tiny_model, made, "test", output, note=notes.append, **LOOSE)
    assert len(seen) == VIDEOS
    assert "used again" in notes[-1]
    output.write_bytes(b"[]")
    with pytest.raises(OutputError, match="already there"):
        run_dataset(tiny_model, made, "test", output, **LOOSE)


def test_settings_weights_and_annotations_are_what_is_gone_by(data: Path, tmp_path: Path, tiny_model: Model) -> None:
    output = run_dataset(tiny_model, data, "test", tmp_path / "results.json", threshold=1.0)
    before = output.read_bytes()
    assert json.loads(before) == []
    others: dict[str, dict[str, Any]] = {
        "threshold": {"threshold": 0.9},
        "sound": {"mute": True},
        "gate": {"gate": False},
        "refine": {"refine": "aurora"},
    }
    for word, settings in others.items():
        with pytest.raises(OutputError, match=rf"another {word}; --overwrite"):
            run_dataset(tiny_model, data, "test", output, **{"threshold": 1.0, **settings})
    nameless = Model(tiny_model.network)
    with pytest.raises(OutputError, match="another weights"):
        run_dataset(nameless, data, "test", output, threshold=1.0)
    change_truth(data, lambda document: document.update(info="changed"))
    with pytest.raises(OutputError, match="another annotations"):
        run_dataset(tiny_model, data, "test", output, threshold=1.0)
    assert output.read_bytes() == before
    run_dataset(nameless, data, "test", output, threshold=1.0, overwrite=True)
    assert list(tmp_path.glob("*.partial")) == []


def test_masks_are_refined_when_asked(made: Path, tmp_path: Path, tiny_model: Model) -> None:
    plain = run_dataset(tiny_model, made, "test", tmp_path / "plain.json", **LOOSE)
    refined = run_dataset(
        tiny_model, made, "test", tmp_path / "refined.json", null_empty=True, refine="aurora", **LOOSE
    )
    assert "refine" not in json.loads((tmp_path / "plain.json.settings").read_text()), "as before there was a choice"
    found = json.loads(refined.read_text())
    assert found != json.loads(plain.read_text())
    for video in truth(made)["videos"]:
        own = [entry for entry in found if entry["video_id"] == video["id"]]
        expected = by_hand(tiny_model, made, video, refine="aurora", **LOOSE).tracks
        assert [entry["score"] for entry in own] == pytest.approx([track.score for track in expected], abs=1e-5)


def test_a_model_without_a_frame_level_leaves_nothing_behind(made: Path, tmp_path: Path, tiny_model: Model) -> None:
    flat: Any = _HearsByVggish(tiny_model)
    flat.config.refinements = ()
    flat.config.name = "flat"
    with pytest.raises(UsageError, match="flat cannot refine masks by aurora"):
        run_dataset(flat, made, "test", tmp_path / "results.json", refine="aurora")
    assert list(tmp_path.iterdir()) == []


def test_muting_is_digital_silence_and_needs_no_sound(data: Path, tmp_path: Path, tiny_model: Model) -> None:
    heard = run_dataset(tiny_model, data, "test", tmp_path / "heard.json", **LOOSE).read_text()
    silence = np.zeros(FRAMES * 16_000, "<i2")
    for path in (data / "test" / "WAVAudios").iterdir():
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16_000, len(silence), "NONE", ""))
            file.writeframes(silence.tobytes())
    silent = run_dataset(tiny_model, data, "test", tmp_path / "silent.json", **LOOSE).read_text()
    shutil.rmtree(data / "test" / "WAVAudios")
    muted = run_dataset(tiny_model, data, "test", tmp_path / "muted.json", mute=True, **LOOSE).read_text()
    assert muted == silent
    assert muted != heard
    with pytest.raises(MediaError, match=r"no such sound; --mute") as caught:
        run_dataset(tiny_model, data, "test", tmp_path / "none.json", **LOOSE)
    assert str(caught.value.file).endswith("test_000000.wav")


def test_a_last_second_that_fills_no_patch_is_a_patch_of_zeros(tmp_path: Path, tiny_model: Model) -> None:
    path = tmp_path / "short.wav"
    samples = (np.sin(np.arange(24_000) / 7) * 20_000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    embedded = np.asarray(hear_clip(tiny_model, path, 3)([Fraction(0), Fraction(1), Fraction(2)]))
    zeros = np.asarray(tiny_model.embed_audio([torch.zeros(0)], 16_000))[0]
    assert np.allclose(embedded[1], zeros, atol=1e-4)
    assert np.allclose(embedded[2], zeros, atol=1e-4)
    assert not np.allclose(embedded[0], zeros, atol=1e-2)


class _HearsByVggish:
    """The tiny network as if it read embeddings made elsewhere."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.heard: list[np.ndarray] = []
        self.config = type("Config", (), {**vars(model.config), "audio": "vggish", "num_classes": 10})()

    def localize(self, frames: Any, audio: Any) -> Any:
        self.heard.append(np.asarray(audio))
        return self._model.localize(frames, audio)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def test_embeddings_stand_in_for_the_wav_where_the_network_reads_them(
    data: Path, tmp_path: Path, tiny_model: Model
) -> None:
    folder = data / "test" / "FEATAudios"
    folder.mkdir()
    cached = np.random.default_rng(0).random((VIDEOS, FRAMES, 128))
    for video, array in zip(truth(data)["videos"], cached, strict=True):
        np.save(folder / f"{video['file_names'][0].split('/')[0]}.npy", array)
    own = run_dataset(tiny_model, data, "test", tmp_path / "own.json", **LOOSE).read_text()
    reads: Any = _HearsByVggish(tiny_model)
    shutil.rmtree(data / "test" / "WAVAudios")
    assert run_dataset(reads, data, "test", tmp_path / "cached.json", **LOOSE).read_text() != own
    assert np.array_equal(np.stack(reads.heard), cached.astype(np.float32))
    (folder / "test_000001.npy").unlink()
    with pytest.raises(MediaError, match=r"no such sound, nor FEATAudios.test_000001.npy; --mute"):
        run_dataset(reads, data, "test", tmp_path / "none.json", **LOOSE)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 128), np.float32), "one row per frame"),
        (np.zeros((3, 64), np.float32), "expected floats"),
        (np.zeros((3, 128), np.int64), "int64"),
        (np.full((3, 128), np.nan, np.float32), "not finite"),
        (np.array([[object()] * 128] * 3), "not an array"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(tmp_path: Path, array: np.ndarray, words: str) -> None:
    path = tmp_path / "video.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(MediaError, match=words):
        read_embeddings(path, 3, 128)


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "video.npy"
    np.save(path, np.zeros((3, 128), np.float32))
    whole = path.read_bytes()
    for broken in (whole.replace(b"(3, 128)", b"(9**9,1)"), whole[:-400], whole[:20], b""):
        path.write_bytes(broken)
        with pytest.raises(MediaError, match=r"video\.npy.*not an array"):
            read_embeddings(path, 3, 128)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _enlarge(path: Path) -> None:
    Image.new("RGB", (SIZE[0] * 2, SIZE[1])).save(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (Path.unlink, "no such picture"),
        (_cut, "not a picture that can be read"),
        (lambda path: path.write_text("a picture"), "not a picture that can be read"),
        (_enlarge, "128x48 pixels, expected 64x48 as annotated"),
    ],
)
def test_a_picture_that_cannot_be_used_is_named(
    data: Path, tmp_path: Path, tiny_model: Model, spoil: Callable[[Path], Any], words: str
) -> None:
    spoil(data / "test" / "JPEGImages" / "test_000000" / "00001.jpg")
    output = tmp_path / "new" / "results.json"
    with pytest.raises(MediaError, match=rf"00001\.jpg.*{words}"):
        run_dataset(tiny_model, data, "test", output, **LOOSE)
    assert not output.parent.exists()


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 255
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that this has to be turned clockwise
    Image.fromarray(np.rot90(picture)).save(path, exif=exif)
    assert np.array_equal(read_still(path, (48, 64)), picture)
    with pytest.raises(MediaError, match="64x48 pixels, expected 48x64"):
        read_still(path, (64, 48))


def test_grey_pictures_and_windows_of_frames(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        Image.new("L", (8, 6), number * 10).save(path)
    windows = list(StillFrames(paths, Fraction(2), (6, 8), (3, 4)).batches(Fraction(2)))
    assert [time for times, _ in windows for time in times] == [Fraction(n, 2) for n in range(6)]
    frames = np.concatenate([images for _, images in windows])
    assert frames.shape == (6, 3, 3, 4)
    assert [int(frame.mean()) for frame in frames] == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize("name", ["../secret/0.jpg", "/etc/0.jpg", "a/../../0.jpg", "C:/0.jpg", "a\\..\\0.jpg", "a//0"])
def test_names_do_not_lead_out_of_the_dataset(data: Path, tmp_path: Path, tiny_model: Model, name: str) -> None:
    change_truth(data, lambda document: document["videos"][0]["file_names"].__setitem__(0, name))
    with pytest.raises(AnnotationError, match="leads out of the dataset"):
        run_dataset(tiny_model, data, "test", tmp_path / "results.json", **LOOSE)


def test_categories_go_by_name(data: Path, tmp_path: Path, tiny_model: Model) -> None:
    before = json.loads(run_dataset(tiny_model, data, "test", tmp_path / "before.json", **LOOSE).read_text())

    def renumber(document: dict[str, Any]) -> None:
        for item in document["categories"]:
            item["id"] += 100
            item["name"] = item["name"].upper()
        for annotation in document["annotations"]:
            annotation["category_id"] += 100

    change_truth(data, renumber)
    after = json.loads(run_dataset(tiny_model, data, "test", tmp_path / "after.json", **LOOSE).read_text())
    assert [entry["category_id"] - 100 for entry in after] == [entry["category_id"] for entry in before]
    change_truth(data, lambda document: document["categories"][3].update(name="violin"))
    with pytest.raises(AnnotationError, match="no category named car, which"):
        run_dataset(tiny_model, data, "test", tmp_path / "other.json", **LOOSE)


def test_sound_is_read_as_it_is_and_no_further_than_asked(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    stereo = np.random.default_rng(1).integers(-32768, 32767, (22_050 * 2, 2)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 22_050, 0, "NONE", ""))
        file.writeframes(stereo.tobytes())
    sound = read_sound(path, seconds=Fraction(3, 2))
    assert (sound.sample_rate, len(sound.samples)) == (22_050, 33_075)
    assert np.allclose(sound.samples, stereo[:33_075].mean(axis=1) / 32768, atol=1e-6)
    assert len(read_sound(path, seconds=Fraction(9)).samples) == 44_100
    for content in (b"", b"no sound", path.read_bytes()[:40]):
        path.write_bytes(content)
        with pytest.raises(MediaError, match=r"stereo\.wav"):
            read_sound(path, seconds=Fraction(1))


def test_a_picture_is_no_sound(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "picture.png")
    with pytest.raises(MediaError, match="no sound that can be decoded"):
        read_sound(tmp_path / "picture.png", seconds=Fraction(1))


@pytest.mark.parametrize("split", ["../test", "a/b", "", "..", "/test"])
def test_a_split_is_a_plain_name(made: Path, tmp_path: Path, tiny_model: Model, split: str) -> None:
    with pytest.raises(UsageError, match="--split"):
        run_dataset(tiny_model, made, split, tmp_path / "results.json")


def test_the_annotations_are_never_the_output(data: Path, tiny_model: Model) -> None:
    before = (data / "test.json").read_bytes()
    with pytest.raises(UsageError, match="cannot hold the results"):
        run_dataset(tiny_model, data, "test", data / "test.json", overwrite=True)
    assert (data / "test.json").read_bytes() == before


def test_a_list_that_grows_is_written_by_one_and_read_as_it_was_left(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path, settings = tmp_path / "results.json", {"weights": "a"}
    with ResultsList(path, settings) as results:
        results.add(7, [{"video_id": 7}])
        with pytest.raises(OutputError, match="another run"):
            ResultsList(path, settings).__enter__()
    with pytest.raises(OutputError, match=r"partial: was begun with another weights; --overwrite"):
        ResultsList(path, {"weights": "b"}).__enter__()
    part = tmp_path / "results.json.partial"
    whole = part.read_bytes()
    for line in (b"damaged", b"[1]", b"{}", b'{"video_id": 1e999}', b'{"video_id": "7"}', b'{"video_id": true}'):
        part.write_bytes(whole + line + b"\n")
        with pytest.raises(AvisError, match="not what an earlier run can have left; --overwrite"):
            ResultsList(path, settings).__enter__()
    with ResultsList(path, settings, overwrite=True) as results:
        assert results.done == []
        results.add(8, [])
        results.finish([8])
    assert path.read_text() == "[]\n"
    assert is_complete(path, settings)
    assert not is_complete(path, {"weights": "b"})
