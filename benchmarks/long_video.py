"""Peak memory and time of `avis segment` against the length of the video: is memory flat, is time linear?

    python benchmarks/long_video.py [--minutes 2 5 10 20] [--sample samples/two_bells.mp4] [--size 1280x720] [--fps 30]
                                    [--model avism-tiny] [--mask-fps video] [--window N] [--keep DIR]

Each video is the sample, scaled and repeated; each run is a process of its own and writes everything. Prints a table
with ratios to the first length.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

SOUND_RATE = 48000
SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "two_bells.mp4"


def make_video(sample: Path, path: Path, seconds: float, size: tuple[int, int], fps: int) -> None:
    """``sample``, scaled to ``size``, again and again for ``seconds``: H.264 at ``fps`` with AAC.

    Its packets are made once and muxed as often as needed: a video of twenty minutes takes seconds.
    """
    import av

    with tempfile.TemporaryDirectory() as folder:
        once = Path(folder, "once.mp4")
        _encode(sample, once, size, fps)
        with av.open(str(once)) as source, av.open(str(path), "w") as out:
            streams = [source.streams.video[0], source.streams.audio[0]]
            made = {stream.index: out.add_stream_from_template(stream) for stream in streams}
            packets = [packet for packet in source.demux(streams) if packet.pts is not None]
            round_trip = max(Fraction(stream.duration) * stream.time_base for stream in streams)
            last: dict[int, int] = {}
            for stream, packet, at in _repeated(packets, round_trip):
                if at >= seconds:
                    break
                again = av.Packet(bytes(packet))
                shift = round((at - packet.pts * packet.time_base) / packet.time_base)
                again.pts, again.dts = packet.pts + shift, packet.dts + shift
                if again.dts <= last.get(stream, -1):  # what a codec runs in with lies before the round's start
                    continue
                last[stream] = again.dts
                again.time_base, again.duration = packet.time_base, packet.duration
                again.is_keyframe = packet.is_keyframe
                again.stream = made[stream]
                out.mux(again)


def _repeated(packets: list[Any], length: Fraction) -> Iterator[tuple[int, Any, Fraction]]:
    """Index of the stream, packet and its time, round after round."""
    start = Fraction(0)
    while True:
        for packet in packets:
            yield packet.stream.index, packet, packet.pts * packet.time_base + start
        start += length


def _encode(sample: Path, path: Path, size: tuple[int, int], fps: int) -> None:
    """One round: every frame of the sample at ``fps``, its sound cut or padded to the same length."""
    import av
    import numpy as np
    from PIL import Image

    from avis_cli.media import decode

    clip = decode.probe(sample)
    frames = decode.FrameReader(sample, clip, rate=Fraction(fps))
    sound = decode.read_waveform(sample, clip, rate=SOUND_RATE).samples
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=fps, options={"preset": "veryfast", "bf": "0", "g": str(2 * fps)})
        audio = out.add_stream("aac", rate=SOUND_RATE)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio.layout = "mono"
        count = 0
        for frame in frames:
            image = np.array(Image.fromarray(frame.image).resize(size, Image.Resampling.BILINEAR))
            out.mux(video.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
            count += 1
        out.mux(video.encode(None))
        samples = np.zeros(count * SOUND_RATE // fps, np.float32)
        samples[: len(sound)] = sound[: len(samples)]
        block = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        block.sample_rate, block.pts, block.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
        out.mux(audio.encode(block))
        out.mux(audio.encode(None))


def run(video: Path, folder: Path, model_name: str | None, mask_fps: str | None, window: int | None) -> dict[str, Any]:
    """The pipeline and all writers, as the command runs them; what it took."""
    import avis_cli
    from avis_cli.media import decode
    from avis_cli.writers.mask_images import write_masks
    from avis_cli.writers.overlay import overlay_clip
    from avis_cli.writers.tracks_json import write_tracks

    model = avis_cli.load_model(model_name)
    start = time.perf_counter()
    rate = mask_fps if mask_fps in (None, "video") else float(mask_fps)
    result = avis_cli.segment(video, model, mask_fps=rate, window=window, warn=_say)
    assert isinstance(result, avis_cli.ClipResult)
    found = time.perf_counter()
    in_network = _peak()
    write_tracks(folder / "tracks.json", result)
    write_masks(folder / "masks", result)
    overlay_clip(folder / "overlay.mp4", result, decode.probe(video), warn=_say)
    return {
        "frames": len(result.times),
        "tracks": len(result.tracks),
        "segment_seconds": found - start,
        "seconds": time.perf_counter() - start,
        "segment_peak": in_network,
        "peak": _peak(),
    }


def _peak() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 5, 10, 20])
    parser.add_argument("--sample", type=Path, default=SAMPLE)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--model", help="a model's name or weights file; the bundled one if left out")
    parser.add_argument("--mask-fps", help="masks per second, or video; the model's own if left out")
    parser.add_argument("--window", type=int, help="token frames tracked together; what memory allows if left out")
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--keep", type=Path, help="keep videos and results in this folder")
    parser.add_argument("--one", type=Path, nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one is not None:
        print(json.dumps(run(chosen.one[0], chosen.one[1], chosen.model, chosen.mask_fps, chosen.window)))
        return
    width, height = map(int, chosen.size.split("x"))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        home = chosen.keep or Path(temporary)
        for minutes in chosen.minutes:
            folder = home / f"{minutes:g}min"
            folder.mkdir(parents=True)
            video = folder / "source.mp4"
            make_video(chosen.sample, video, 60 * minutes, (width, height), chosen.fps)
            command = [sys.executable, __file__, *sys.argv[1:], "--one", str(video), str(folder)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows.append({"minutes": minutes, **json.loads(done.stdout.splitlines()[-1])})
            print_table(rows[-1:], rows[0], head=len(rows) == 1)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def print_table(rows: list[dict[str, Any]], first: dict[str, Any], *, head: bool) -> None:
    """Rows as Markdown, with memory and time as ratios to the first length."""
    if head:
        print("| minutes | mask frames | tracks | peak MiB (network) | ratio | seconds (network) | ratio | of length |")
        print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['minutes']:g} | {row['frames']} | {row['tracks']} "
            f"| {row['peak']:.0f} ({row['segment_peak']:.0f}) | {row['peak'] / first['peak']:.3f} "
            f"| {row['seconds']:.1f} ({row['segment_seconds']:.1f}) | {row['seconds'] / first['seconds']:.2f} "
            f"| {row['minutes'] / first['minutes']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
