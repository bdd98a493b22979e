"""The same pictures give the same file on a busy machine and on an idle one, on one core and on many."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# 854 is no multiple of 16: there FFmpeg's conversion in several threads damages rows of pictures of more than 8 bits
ENCODE = """
import sys
from fractions import Fraction
import numpy as np
from avis_cli.media.alpha import write_video_with_alpha
from avis_cli.media.clip_info import ClipInfo, Frame
from avis_cli.media.encode import write_video

path, width, height, count = sys.argv[1], 854, 480, int(sys.argv[2])
cells = np.random.default_rng(7).integers(0, 256, (height // 8, (width + 7) // 8, 3), dtype=np.uint8)
picture = np.kron(cells, np.ones((8, 8, 1), np.uint8))[:, :width]
frames = (Frame(np.roll(picture, 3 * n, axis=1), Fraction(n, 25), n) for n in range(count))
clip = ClipInfo(path, width, height, 0, Fraction(count, 25), Fraction(25), None)
if path.endswith(".mp4"):
    write_video(path, frames, clip)
else:
    write_video_with_alpha(path, frames, lambda frame: frame.image[..., 0], clip)
"""


@pytest.fixture
def busy() -> Iterator[None]:
    """Two processes for each core that do nothing but keep it busy."""
    count = 2 * (os.cpu_count() or 1)
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def encoded(path: Path, frames: int, cores: set[int] | None = None) -> str:
    """SHA-256 of the file that a process of its own, on the given cores, makes."""
    code = ENCODE if cores is None else f"import os; os.sched_setaffinity(0, {cores}); {ENCODE}"
    subprocess.run([sys.executable, "-c", code, str(path), str(frames)], check=True, timeout=300)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "frames"), [("mp4", 10), ("mov", 12), ("webm", 4)])
@pytest.mark.usefixtures("busy")
def test_a_busy_machine_and_the_number_of_cores_change_nothing(tmp_path: Path, ending: str, frames: int) -> None:
    path = tmp_path / f"clip.{ending}"
    found = [encoded(path, frames) for _ in range(2)]
    if hasattr(os, "sched_setaffinity"):
        found.append(encoded(path, frames, {min(os.sched_getaffinity(0))}))
    assert len(set(found)) == 1
