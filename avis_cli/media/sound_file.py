"""The sound of a file whose picture, if it has one, does not matter: a WAV beside the frames of a dataset."""

from __future__ import annotations

import os
from fractions import Fraction
from itertools import chain

import numpy as np

from avis_cli.errors import MediaError
from avis_cli.media import packets, sound, streams
from avis_cli.media.clip import Waveform
from avis_cli.media.container import open_media
from avis_cli.media.packets import Damage


def read_sound(path: str | os.PathLike[str], *, seconds: Fraction) -> Waveform:
    """The first ``seconds`` of a file's sound as mono float32 at its own rate; shorter sound stays shorter.

    Sample 0 is the file's first one: timestamps are not looked at. Down-mix as in ``media.sound``. Raises MediaError
    where there is no sound, or where part of it cannot be decoded.
    """
    with open_media(path) as container:
        chosen, _ = streams.choose_audio(container, None, path, [])
        if chosen is None:
            raise MediaError("no sound that can be decoded", hint="expected a WAV file", file=path)
        damage = Damage()
        frames = (
            frame
            for frame in packets.decode(container, container.streams.audio[chosen.index], damage)
            if frame.samples and frame.sample_rate > 0
        )
        opening = next(frames, None)
        if opening is None:
            raise MediaError("no sound in it", hint="expected a WAV file", file=path)
        rate = opening.sample_rate
        wanted = round(seconds * rate)
        pieces, length = [], 0
        for _, block in sound.steady(((None, frame) for frame in chain([opening], frames)), rate, opening.layout):
            pieces.append(sound.mono(block)[0])
            length += block.samples
            if length >= wanted:
                break
        if damage.failures:
            raise MediaError("the sound is damaged", hint="copy it again", file=path)
    return Waveform(np.clip(np.concatenate(pieces)[:wanted], -1, 1), rate)
