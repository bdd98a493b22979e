"""Where the pictures and the sound of a split lie.

``DATA/SPLIT.json``; in ``DATA/SPLIT`` the pictures ``JPEGImages/VIDEO/*.jpg``, as the annotations name them, the sound
``WAVAudios/VIDEO.wav`` and, made from it earlier, VGGish embeddings ``FEATAudios/VIDEO.npy``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from avis_cli.datasets.tracks import Video
from avis_cli.errors import AnnotationError, MediaError, UsageError


@dataclass(frozen=True)
class ClipFiles:
    """A video with its files, all of them there. ``sound``: a .wav or a .npy, None where nothing is to be heard."""

    video: Video
    frames: list[Path]
    sound: Path | None


def truth_file(data: Path, split: str) -> Path:
    """The annotations of a split. Raises UsageError for what cannot be the name of one."""
    if not _is_inside(split) or "/" in split:
        raise UsageError(f"--split {split!r}, expected a name such as test")
    if not data.is_dir():
        raise UsageError("no such folder, expected a dataset", hint=f"it holds {split}.json and {split}/", file=data)
    return data / f"{split}.json"


def find_clip(truth: Path, video: Video, *, embedded: bool, mute: bool) -> ClipFiles:
    """The files of ``video``, whose annotations are in the file ``truth``.

    ``embedded``: take embeddings where they are there. Raises MediaError for a file that is not there, AnnotationError
    for a name that leads out of the dataset.
    """
    folder = truth.with_suffix("")
    frames = []
    for name in video.file_names:
        if not _is_inside(name):
            raise AnnotationError(
                f"the frame {name!r} of video {video.id} leads out of the dataset",
                hint="expected VIDEO/00000.jpg",
                file=truth,
            )
        path = folder / "JPEGImages" / name
        if not path.is_file():
            raise MediaError("no such picture", hint=f"{truth.name} names it", file=path)
        frames.append(path)
    return ClipFiles(video, frames, None if mute else _find_sound(folder, video.name, embedded))


def _find_sound(folder: Path, name: str, embedded: bool) -> Path:
    cached, wave = folder / "FEATAudios" / f"{name}.npy", folder / "WAVAudios" / f"{name}.wav"
    if embedded and cached.is_file():
        return cached
    if not wave.is_file():
        other = f", nor {os.path.join(cached.parent.name, cached.name)}" if embedded else ""
        raise MediaError(f"no such sound{other}", hint="--mute goes by the picture alone", file=wave)
    return wave


def _is_inside(name: str) -> bool:
    """Whether a name from a file can only mean something below the folder it is looked up in, on any system."""
    windows = PureWindowsPath(name)
    if not name or "\0" in name or "\\" in name or windows.drive or PurePosixPath(name).is_absolute():
        return False
    return not {"", ".", ".."} & set(name.split("/"))
