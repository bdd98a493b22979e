"""What the network hears of a video of a dataset: its WAV, embeddings made earlier, or silence."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import MediaError
from avis_cli.inference.model import Model
from avis_cli.inference.segment_clip import Embedder
from avis_cli.media.clip import Waveform
from avis_cli.media.waveform import read_sound
from avis_cli.segment import listen


def hear_clip(model: Model, sound: Path | None, frames: int) -> Embedder:
    """Times of token frames -> their audio embeddings, from a .wav, a .npy or, without either, silence.

    A second of a WAV with too few samples for one patch is a patch of zeros, which is the released rule; silence is
    digital silence, as ``segment(mute=True)`` has it. Raises MediaError naming a file that cannot be used.
    """
    fps = Fraction(model.config.fps)
    if sound is None:
        return listen(model, Waveform(np.zeros(0, np.float32)))
    if sound.suffix == ".npy":
        cached = read_embeddings(sound, frames, model.config.audio_width)

        def embed(times: Sequence[Fraction]) -> NDArray[np.float32]:
            return cached[[int(time * fps) for time in times]]

        return embed
    # the second that the last frame hears begins with it
    return listen(model, read_sound(sound, seconds=(frames - 1) / fps + 1), whole_seconds=False)


def read_embeddings(path: Path, frames: int, width: int) -> NDArray[np.float32]:
    """One finite embedding per frame (T, D), float32. Raises MediaError for anything else."""
    try:
        # mapped, so that a header that promises more than the file holds is found out before memory is asked for
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        found = array if isinstance(array, np.ndarray) else None
    except (OSError, ValueError, EOFError) as error:
        raise MediaError(f"not an array that can be read ({error})", hint=_EXPECTED, file=path) from None
    if found is None or found.shape != (frames, width) or found.dtype.kind != "f":
        got = "several arrays" if found is None else f"{found.dtype} {found.shape}"
        raise MediaError(f"{got}, expected floats ({frames}, {width}), one row per frame", hint=_EXPECTED, file=path)
    values = np.array(found, dtype=np.float32)
    if not np.isfinite(values).all():
        raise MediaError("holds numbers that are not finite", hint=_EXPECTED, file=path)
    return values


_EXPECTED = "give VGGish embeddings, or remove the file to use the WAV"
