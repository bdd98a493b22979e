"""A folder of pictures as a clip, and the sound of another file."""

from __future__ import annotations

import os
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_factory import ORIENTATIONS, click_times, click_track, make_clip, numbered_image, read_number
from PIL import Image

from avis_cli.errors import MediaError, UsageError
from avis_cli.files.picture_names import natural_key, picture_names
from avis_cli.media.clip_info import ClipInfo
from avis_cli.media.decode import FrameReader, is_unchanged, probe, read_waveform

SIZE = (96, 64)
NTSC = Fraction(30000, 1001)
EXIF_ORIENTATION = 0x0112
# of the eight ways to store a picture: the EXIF number, by the names of media_factory
EXIF = {
    "as it is": 1, "mirrored": 2, "half turn": 3, "upside down": 4, "transposed": 5, "clockwise": 6, "transverse": 7,
    "anticlockwise": 8,
}  # fmt: skip


def make_pictures(folder: Path, count: int = 12, pattern: str = "frame{}.jpg", size: tuple[int, int] = SIZE) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.fromarray(numbered_image(number, size)).save(folder / pattern.format(number), quality=95)
    return folder


def shown(clip: ClipInfo, **how: Any) -> tuple[list[tuple[int, Fraction]], FrameReader]:
    reader = FrameReader(clip.file, clip, **how)
    return [(read_number(frame.image), frame.time) for frame in reader], reader


@given(st.permutations(["f1.png", "f2.png", "F10.png", "f010.jpg", "f11.png", "g", "2.png", "10.png", "10b.png"]))
def test_numbers_in_names_go_by_their_value(names: list[str]) -> None:
    expected = ["2.png", "10.png", "10b.png", "f1.png", "f2.png", "f010.jpg", "F10.png", "f11.png", "g"]
    assert sorted(names, key=natural_key) == expected


@given(st.lists(st.text("0123456789\u0663ab.", max_size=9000), max_size=5))
def test_any_names_can_be_ordered(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(backwards, key=natural_key) == sorted(names, key=natural_key)


def test_only_pictures_count(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "._a.jpg", ".hidden.png", "notes.txt", "c.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert picture_names(tmp_path) == ("a.jpeg", "b.PNG")


@pytest.mark.parametrize("rate", [Fraction(25), NTSC, Fraction(1, 2)])
def test_every_picture_is_a_frame_at_its_exact_time(tmp_path: Path, rate: Fraction) -> None:
    clip = probe(make_pictures(tmp_path / "in"), frame_rate=rate)
    assert (clip.width, clip.height, clip.frame_rate, clip.duration) == (*SIZE, rate, 12 / rate)
    assert (clip.codec, clip.audio, clip.rotation, clip.file) == ("jpeg", None, 0, str(tmp_path / "in"))
    frames, reader = shown(clip)
    assert frames == [(number, number / rate) for number in range(12)]
    assert (reader.failures, reader.warnings) == (0, [])


def test_parts_and_grids_are_those_of_a_video(tmp_path: Path) -> None:
    clip = probe(make_pictures(tmp_path / "in"), frame_rate=Fraction(2))
    assert [number for number, _ in shown(clip, start=Fraction(2), end=Fraction(4))[0]] == [4, 5, 6, 7]
    assert shown(clip, start=Fraction(9, 4), rate=Fraction(1), end=Fraction(5))[0] == [
        (4, Fraction(9, 4)), (6, Fraction(13, 4)), (8, Fraction(17, 4))
    ]  # fmt: skip
    with pytest.raises(MediaError, match=r"no frame at or after 6\.000 s"):
        shown(clip, start=Fraction(6))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_usual_formats(tmp_path: Path, suffix: str, mode: str) -> None:
    for number in (0, 5, 170):
        Image.fromarray(numbered_image(number, SIZE)).convert(mode).save(tmp_path / f"{number}{suffix}")
    assert [number for number, _ in shown(probe(tmp_path, frame_rate=Fraction(1)))[0]] == [0, 5, 170]


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", "1"])
def test_pixels_of_other_kinds(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(numbered_image(77, SIZE))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    image.save(tmp_path / "0.png")
    assert shown(probe(tmp_path, frame_rate=Fraction(1)))[0] == [(77, Fraction(0))]


@pytest.mark.parametrize("name", EXIF)
def test_a_picture_that_says_how_it_is_turned_comes_upright(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = EXIF[name]
    upright, _ = ORIENTATIONS[name]
    coded = numbered_image(9, SIZE)
    Image.fromarray(coded).save(tmp_path / "0.jpg", exif=exif, quality=95)
    clip = probe(tmp_path, frame_rate=Fraction(1))
    expected = upright(coded)
    assert (clip.height, clip.width) == expected.shape[:2]
    (frame,) = FrameReader(clip.file, clip)
    assert np.abs(frame.image.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("name", ["as it is", "half turn", "clockwise", "anticlockwise"])
def test_a_picture_by_itself_is_turned_too(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = EXIF[name]
    upright, _ = ORIENTATIONS[name]
    coded = numbered_image(9, SIZE)
    Image.fromarray(coded).save(tmp_path / "0.jpg", exif=exif, quality=95)
    clip = probe(tmp_path / "0.jpg")
    (frame,) = FrameReader(clip.file, clip)
    assert frame.image.shape == upright(coded).shape
    assert np.abs(frame.image.astype(int) - upright(coded)).mean() < 6


def test_other_sizes_become_the_first_ones(tmp_path: Path) -> None:
    make_pictures(tmp_path, 2)
    Image.fromarray(numbered_image(2, (48, 32))).save(tmp_path / "frame2.jpg")
    frames, reader = shown(probe(tmp_path, frame_rate=Fraction(1)))
    assert [number for number, _ in frames] == [0, 1, 2]
    assert reader.warnings == ["the picture size changes to 48x32: resized to 96x64"]


def test_a_damaged_picture_leaves_its_place_empty(tmp_path: Path) -> None:
    make_pictures(tmp_path, 6)
    (tmp_path / "frame0.jpg").write_bytes(b"")
    (tmp_path / "frame3.jpg").write_text("minutes of the meeting")
    frames, reader = shown(probe(tmp_path, frame_rate=Fraction(2)))
    assert frames == [(1, Fraction(1, 2)), (2, Fraction(1)), (4, Fraction(2)), (5, Fraction(5, 2))]
    assert reader.failures == 2
    assert reader.warnings == ["damaged: 2 frames could not be decoded and are skipped"]


def test_eight_damaged_ones_in_a_row_are_the_end(tmp_path: Path) -> None:
    make_pictures(tmp_path, 12)
    for number in range(2, 10):
        (tmp_path / f"frame{number}.jpg").write_bytes(b"\xff\xd8")
    frames, reader = shown(probe(tmp_path, frame_rate=Fraction(1)))
    assert [number for number, _ in frames] == [0, 1]
    assert reader.stopped


def test_what_cannot_be_a_clip_is_told(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "in", 2)
    make_clip(tmp_path / "clip.mp4", seconds=1)
    with pytest.raises(UsageError, match=r"is a folder.*--frame-rate N takes its pictures as one clip"):
        probe(folder)
    with pytest.raises(UsageError, match=r"has a frame rate of its own; --frame-rate is for folders of pictures"):
        probe(tmp_path / "clip.mp4", frame_rate=Fraction(5))
    with pytest.raises(UsageError, match="--audio-track without --audio"):
        probe(folder, frame_rate=Fraction(5), audio_track=0)
    with pytest.raises(MediaError, match=r"cannot tell what sounds; give the sound with --audio FILE; --allow-silent"):
        probe(folder, frame_rate=Fraction(5)).require_sound()
    with pytest.raises(MediaError, match=r"frame0\.jpg: pictures of 96x64 pixels, at most 100 pixels are read"):
        probe(folder, frame_rate=Fraction(5), max_pixels=100)
    (folder / "frame3.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(MediaError, match=r"frame3\.jpg: cannot be read: No such file"):
        probe(folder, frame_rate=Fraction(5))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MediaError, match=r"a folder without pictures \(looked for \.jpg"):
        probe(empty, frame_rate=Fraction(5))
    (empty / "0.png").write_text("no picture")
    with pytest.raises(MediaError, match=r"0\.png: not a picture that can be read"):
        probe(empty, frame_rate=Fraction(5))


def test_a_picture_that_grows_too_large_is_refused(tmp_path: Path) -> None:
    make_pictures(tmp_path, 1)
    Image.new("RGB", (400, 400)).save(tmp_path / "frame1.jpg")
    with pytest.raises(MediaError, match=r"frame1\.jpg: pictures of 400x400 pixels, at most 10000 pixels"):
        shown(probe(tmp_path, frame_rate=Fraction(1), max_pixels=10_000))


def test_any_change_of_a_file_is_seen(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "in", 3)
    make_clip(tmp_path / "sound.mp4", seconds=1)
    clip = probe(folder, frame_rate=Fraction(5), audio=tmp_path / "sound.mp4")
    assert is_unchanged(clip)
    status = (folder / "frame1.jpg").stat()
    os.utime(folder / "frame1.jpg", ns=(0, status.st_mtime_ns + 1))
    assert not is_unchanged(clip)
    os.utime(folder / "frame1.jpg", ns=(0, status.st_mtime_ns))
    assert is_unchanged(clip)
    (folder / "frame3.jpg").write_bytes(b"")
    assert not is_unchanged(clip)
    (folder / "frame3.jpg").unlink()
    (tmp_path / "sound.mp4").unlink()
    assert not is_unchanged(clip)


def write_wave(path: Path, seconds: int, rate: int = 16000) -> None:
    samples = click_track([Fraction(n) for n in range(seconds)], rate, seconds * rate)[0]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


@pytest.mark.parametrize(("seconds", "clicks"), [(2, [0, 1]), (5, [0, 1, 2])])
def test_the_sound_is_as_long_as_the_pictures(tmp_path: Path, seconds: int, clicks: list[int]) -> None:
    folder = make_pictures(tmp_path / "in", 12)
    write_wave(tmp_path / "sound.wav", seconds)
    clip = probe(folder, frame_rate=Fraction(4), audio=tmp_path / "sound.wav")
    assert clip.audio is not None
    assert clip.audio.sample_rate == 16000
    whole = read_waveform(folder, clip)
    assert len(whole.samples) == 3 * 16000
    assert click_times(whole.samples, 16000) == pytest.approx(clicks, abs=0.001)
    part = read_waveform(folder, clip, start=Fraction(1, 2), end=Fraction(3, 2))
    assert click_times(part.samples, 16000) == pytest.approx([0.5], abs=0.001)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts"])
def test_the_sound_of_a_film_begins_where_it_begins_to_sound(tmp_path: Path, name: str) -> None:
    """On whatever clock the file has: codecs need a run-in, broadcasts begin at some hour."""
    how: dict[str, Any] = {"codec": "libvpx-vp9"} if name.endswith("webm") else {}
    how |= {"video_offset": Fraction(2)} if name.endswith("ts") else {}
    make_clip(tmp_path / name, size=(64, 48), fps=10, seconds=3, **how)
    folder = make_pictures(tmp_path / "in", 12)
    clip = probe(folder, frame_rate=Fraction(4), audio=tmp_path / name)
    samples = read_waveform(folder, clip).samples
    assert click_times(samples, 16000) == pytest.approx([0, 1, 2], abs=0.03)


def test_another_sound_takes_the_place_of_a_videos_own(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", fps=5, seconds=3, audio="tone", video_offset=Fraction(2))
    write_wave(tmp_path / "sound.wav", 3)
    clip = probe(tmp_path / "clip.mp4", audio=tmp_path / "sound.wav")
    assert clip.audio is not None
    assert (clip.audio.sample_rate, clip.audio.channels) == (16000, 1)
    assert click_times(read_waveform(clip.file, clip).samples, 16000) == pytest.approx([0, 1, 2], abs=0.001)
    with pytest.raises(UsageError, match=r"sound\.wav: no audio track 3"):
        probe(tmp_path / "clip.mp4", audio=tmp_path / "sound.wav", audio_track=3)
    with pytest.raises(MediaError, match=r"nothing\.wav: no such file"):
        probe(tmp_path / "clip.mp4", audio=tmp_path / "nothing.wav")
    make_clip(tmp_path / "silent.mp4", seconds=1, audio=None)
    with pytest.raises(MediaError, match=r"silent\.mp4: no sound that can be decoded; give --audio a file with sound"):
        probe(tmp_path / "clip.mp4", audio=tmp_path / "silent.mp4")
