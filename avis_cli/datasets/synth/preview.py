"""A contact sheet: the frames of a few clips, the truth outlined, who sounds when, and the spectrogram below."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from avis_cli.datasets.synth import name_of
from avis_cli.datasets.synth.canvas import Colour
from avis_cli.datasets.synth.clips import SynthClip, clip_seed, make_clip
from avis_cli.datasets.synth.layout import SplitRequest
from avis_cli.files.atomic import output_file
from avis_cli.media.clip_info import SAMPLE_RATE

_WINDOW, _HOP, _POINTS = 400, 160, 512  # samples: 25 ms every 10 ms
_BANDS, _LOW, _HIGH = 96, 80.0, 7800.0  # Hz
_FLOOR, _CEILING = -4.6, 3.2  # natural logarithms of magnitude shown as black and as white


def _mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


def _triangles() -> NDArray[np.float64]:
    """(bins, bands) weights, linear on the mel axis."""
    bins = _mel(np.arange(_POINTS // 2 + 1) * SAMPLE_RATE / _POINTS)[:, None]
    edges = np.linspace(_mel(_LOW), _mel(_HIGH), _BANDS + 2)
    width = edges[1] - edges[0]
    return np.clip(np.minimum(bins - edges[:-2], edges[2:] - bins) / width, 0.0, None)


def log_mel(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """(frames, bands) of a 16 kHz waveform, 100 frames per second, the last ones over silence."""
    padded = np.concatenate([waveform, np.zeros(_WINDOW, np.float32)])
    count = max(len(waveform) // _HOP, 1)
    at = np.arange(count)[:, None] * _HOP + np.arange(_WINDOW)
    spectrum = np.abs(np.fft.rfft(padded[at] * np.hanning(_WINDOW), _POINTS))
    return np.asarray(np.log(spectrum @ _triangles() + 0.01))


def spectrogram(waveform: NDArray[np.float32], width: int, height: int) -> NDArray[np.uint8]:
    """uint8 RGB (height, width, 3): time to the right, low tones at the bottom."""
    loud = (log_mel(waveform).T[::-1] - _FLOOR) / (_CEILING - _FLOOR)
    grey = (np.clip(loud, 0, 1) * 255).astype(np.uint8)
    sized = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.applyColorMap(sized, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


_COLOURS: tuple[Colour, ...] = ((255, 92, 88), (72, 186, 255), (255, 206, 64), (122, 220, 120))
_UNSEEN: Colour = (200, 130, 255)
_PAPER, _TEXT, _REST = (24, 26, 30), (232, 232, 232), (64, 68, 74)
_COLUMNS = 12  # seconds of a clip that are shown
_LABELS, _LANE, _GAP, _SPECTROGRAM = 132, 17, 14, 76  # pixels


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _thumbnail(clip: SynthClip, frame: int, width: int, height: int) -> NDArray[np.uint8]:
    """A frame at the sheet's size with the objects of its ground truth outlined."""
    shrinking = clip.images.shape[2] > width
    sized = cv2.resize(
        clip.images[frame], (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    )
    picture = np.ascontiguousarray(sized)
    for number in np.flatnonzero(clip.truth[:, frame]):
        mask = clip.masks[number, frame].astype(np.uint8) * 255
        smooth = cv2.GaussianBlur(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), (0, 0), 0.8)
        edges, _ = cv2.findContours((smooth > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, edges, -1, _COLOURS[number % len(_COLOURS)], 2, cv2.LINE_AA)
    return picture


def _lane_names(clip: SynthClip) -> list[str]:
    names = [name_of(int(category)) for category in clip.category_ids]
    for name in {name for name in names if names.count(name) > 1}:
        for copy, index in enumerate([i for i, other in enumerate(names) if other == name], start=1):
            names[index] = f"{name} {copy}"
    return names


def _lanes(sheet: ImageDraw.ImageDraw, clip: SynthClip, top: int, second: float) -> None:
    """One line for each object: thin while silent, thick while it sounds."""
    font = _font(12)
    rows = [
        (name, _COLOURS[number % len(_COLOURS)], item.sounds)
        for number, (name, item) in enumerate(zip(_lane_names(clip), clip.scene.objects, strict=True))
    ]
    rows += [(f"{name_of(s.category_id)}, off screen", _UNSEEN, s.sounds) for s in clip.scene.off_screen]
    length = _columns(clip) * second
    for row, (name, colour, sounds) in enumerate(rows):
        middle = top + row * _LANE + _LANE // 2
        text = name if sounds else f"{name}, silent"
        sheet.text((_LABELS - 8, middle), text, fill=colour if sounds else _TEXT, font=font, anchor="rm")
        sheet.line([(_LABELS, middle), (_LABELS + length, middle)], fill=_REST, width=1)
        for interval in sounds:
            left, right = max(interval.start, 0) * second, min(interval.end * second, length)
            if right > left:
                sheet.rectangle([(_LABELS + left, middle - 4), (_LABELS + right, middle + 4)], fill=colour)


def _columns(clip: SynthClip) -> int:
    return min(len(clip.times), _COLUMNS)


def _lane_count(clip: SynthClip) -> int:
    return len(clip.scene.objects) + len(clip.scene.off_screen)


def contact_sheet(clips: list[SynthClip], thumbnail_width: int = 160) -> NDArray[np.uint8]:
    """uint8 RGB. Clips of one frame per second and one size, one below the other; K lanes and a spectrogram each."""
    height = round(thumbnail_width * clips[0].images.shape[1] / clips[0].images.shape[2])
    width = _LABELS + thumbnail_width * max(_columns(clip) for clip in clips)
    blocks = [height + _LANE * _lane_count(clip) + _SPECTROGRAM + _GAP for clip in clips]
    canvas = Image.new("RGB", (width + _GAP, sum(blocks) + _GAP), _PAPER)
    sheet = ImageDraw.Draw(canvas)
    top = _GAP
    for clip, block in zip(clips, blocks, strict=True):
        for frame in range(_columns(clip)):
            small = Image.fromarray(_thumbnail(clip, frame, thumbnail_width - 2, height))
            canvas.paste(small, (_LABELS + frame * thumbnail_width, top))
        lanes = top + height + 2
        _lanes(sheet, clip, lanes, thumbnail_width)
        below = lanes + _LANE * _lane_count(clip)
        heard = clip.waveform[: _columns(clip) * SAMPLE_RATE]
        sound = spectrogram(heard, thumbnail_width * _columns(clip), _SPECTROGRAM - 4)
        canvas.paste(Image.fromarray(sound), (_LABELS, below))
        sheet.text((_LABELS - 8, below + _SPECTROGRAM // 2), "sound", fill=_TEXT, font=_font(12), anchor="rm")
        top += block
    return np.asarray(canvas)


def write_preview(out: Path, request: SplitRequest, clips: int) -> Path:
    """Writes ``SPLIT_preview.png`` of the split's first ``clips`` clips. Raises OutputError."""
    seeds = [clip_seed(request.split, request.seed, index) for index in range(clips)]
    sheet = contact_sheet(
        [make_clip(seed, frames=request.frames, size=request.size, aligned=request.aligned) for seed in seeds]
    )
    target = out / f"{request.split}_preview.png"
    with output_file(target, overwrite=True, remedy="choose another folder") as temporary:
        Image.fromarray(sheet).save(temporary, format="png")
    return target
