"""A clip as a movie file with sound, at a native frame rate instead of one picture per second."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from avis_cli.datasets.synth.clips import SynthClip
from avis_cli.datasets.synth.render_frames import SceneRenderer
from avis_cli.datasets.wave_file import write_wave
from avis_cli.media import encode
from avis_cli.media.clip_info import SAMPLE_RATE, AudioInfo, ClipInfo, Frame

FRAME_RATE = 25  # pictures per second: every whole second has its picture
_GRAIN = 0.25  # share of the scene's grain that is left: new in every picture, it is what a movie's bits go into


def _frames(clip: SynthClip, width: int, height: int) -> Iterator[Frame]:
    renderer = SceneRenderer(replace(clip.scene, grain=_GRAIN * clip.scene.grain), width, height)
    for index in range(clip.scene.seconds * FRAME_RATE):
        time = Fraction(index, FRAME_RATE)
        yield Frame(renderer.at(float(time)).image, time, index)


def write_movie(path: Path, clip: SynthClip) -> None:
    """H.264 and AAC; picture ``25 * i`` is frame i of the clip with less grain. Drawn one picture at a time."""
    height, width = clip.images.shape[1:3]
    info = ClipInfo(
        file=str(path),
        width=width,
        height=height,
        rotation=0,
        duration=Fraction(clip.scene.seconds),
        frame_rate=Fraction(FRAME_RATE),
        audio=AudioInfo(0, SAMPLE_RATE, 1),
    )
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "sound.wav"
        write_wave(sound, clip.waveform)
        encode.write_video(path, _frames(clip, width, height), info, source=sound)
