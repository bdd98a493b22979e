"""Peak memory of `avis segment` on a clip of 1280x720 at 30 frames a second, in a process of its own.

    python benchmarks/segment_memory.py [--preset avism-r50-in] [--seconds 10] [--mask-fps 1] [--tracks 10]

Random weights, with ``--tracks`` candidates made sure enough to have masks drawn; everything is written.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from random_model import make_clip, random_model


def run(clip: Path, preset: str, mask_fps: str, tracks: int) -> None:
    """The pipeline and all writers, as the command runs them."""
    import avis_cli
    from avis_cli.media import decode
    from avis_cli.writers.mask_images import write_masks
    from avis_cli.writers.overlay import overlay_clip
    from avis_cli.writers.tracks_json import write_tracks

    model = random_model(preset, tracks)
    start = time.perf_counter()
    rate = mask_fps if mask_fps == "video" else float(mask_fps)
    result = avis_cli.segment(clip, model, mask_fps=rate, gate=False)
    assert isinstance(result, avis_cli.ClipResult)
    with tempfile.TemporaryDirectory() as folder:
        write_tracks(Path(folder, "tracks.json"), result)
        write_masks(Path(folder, "masks"), result)
        overlay_clip(Path(folder, "overlay.mp4"), result, decode.probe(clip), warn=print)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = time.perf_counter() - start
    counts = f"{len(result.times)} mask frames, {len(result.tracks)} tracks"
    print(f"{preset}: {counts}, {seconds:.1f} s, peak {peak:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="avism-r50-in")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--mask-fps", default="1")
    parser.add_argument("--tracks", type=int, default=10)
    parser.add_argument("--clip", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.clip is not None:
        run(arguments.clip, arguments.preset, arguments.mask_fps, arguments.tracks)
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.mp4")
        make_clip(clip, arguments.seconds)
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--clip", str(clip)], check=True)


if __name__ == "__main__":
    main()
