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
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

SIZE = (1280, 720)
RATE = 30


def make_clip(path: Path, seconds: int) -> None:
    """Noise that moves, with a tone."""
    import av
    import numpy as np

    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as out:
        video, audio = out.add_stream("libx264", rate=RATE), out.add_stream("aac", rate=48000)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio.layout = "stereo"
        for n in range(seconds * RATE):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(picture, 4 * n, 1)), "rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for n in range(seconds):
            wave = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000).astype(np.float32) * 0.3
            block = av.AudioFrame.from_ndarray(np.stack([wave, wave]), "fltp", "stereo")
            block.sample_rate, block.pts, block.time_base = 48000, n * 48000, Fraction(1, 48000)
            out.mux(audio.encode(block))
        out.mux(audio.encode(None))


def run(clip: Path, preset: str, mask_fps: str, tracks: int) -> None:
    """The pipeline and all writers, as the command runs them."""
    import torch

    import avis_cli
    from avis_cli.media import decode
    from avis_cli.model.build import build
    from avis_cli.model.config import PRESETS
    from avis_cli.model.inference import Model
    from avis_cli.model.instances import candidates
    from avis_cli.model.tokens import FrameTokens, TrackQueries
    from avis_cli.model.vggish import Vggish
    from avis_cli.writers.masks import write_masks
    from avis_cli.writers.overlay import overlay_clip
    from avis_cli.writers.tracks import write_tracks

    torch.manual_seed(0)
    config = PRESETS[preset]
    model = Model(build(config), vggish=Vggish() if config.audio == "vggish" else None)
    track = model.track

    def sure(tokens: FrameTokens) -> TrackQueries:
        # random weights are sure of nothing: make the wanted number of pairs sure enough
        queries = track(tokens)
        pairs = candidates(queries.class_logits, None, tracks)
        logits = queries.class_logits.clone()
        logits[pairs.queries, pairs.classes] += 10
        return replace(queries, class_logits=logits)

    model.track = sure
    start = time.perf_counter()
    rate = mask_fps if mask_fps == "video" else float(mask_fps)
    result = avis_cli.segment(clip, model, mask_fps=rate, gate=False)
    with tempfile.TemporaryDirectory() as folder:
        write_tracks(Path(folder, "tracks.json"), result)
        write_masks(Path(folder, "masks"), result)
        overlay_clip(Path(folder, "overlay.mp4"), result, clip, decode.probe(clip), warn=print)
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
