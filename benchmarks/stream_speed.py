"""Live streams: how many frames a second, how late, how many are dropped, and what a viewer of the page costs.

    python benchmarks/stream_speed.py [--model seavis-tiny] [--size 640 360] [--seconds 20] [--threads 2]

A clip of the synthetic world is made at 10, 25 and 60 frames a second; each is read as fast as it goes
(frames a second end to end: decoding, network, masks in every frame) and held back to its own speed as a live source is
(latency, drops). Then the live source of 25 frames a second again with so many viewers of the page, for which masks are
painted.

    python benchmarks/stream_speed.py --frame-stage [--frames 10]

Seconds a token frame of `seavis-r50` beside the frame stage of `avism-r50-in` (random weights), in turns.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median

import torch
from flow_fill import write_clip

from avis_cli.datasets.synth.clips import clip_seed, make_clip
from avis_cli.inference.loading import load_model
from avis_cli.inference.model import Model
from avis_cli.models import find_preset
from avis_cli.stream import Stream, StreamOptions

RATES = (10, 25, 60)


def make_source(path: Path, fps: int, seconds: float, size: tuple[int, int]) -> None:
    """A clip of the synthetic world in which something sounds most of the time."""
    clip = make_clip(clip_seed("test", 31, 4), frames=round(fps * seconds), size=size, fps=fps)
    write_clip(path, clip, fps)


def measure(clip: Path, model: Model, *, live: bool, viewers: int | None = None) -> dict[str, float]:
    """Frames a second, latency in milliseconds and the share of pictures that were dropped."""
    page = None
    stop = threading.Event()
    if viewers is not None:
        from avis_cli.serve.page import LivePage

        page = LivePage("127.0.0.1", 0)
        page.start()
        for _ in range(viewers):
            threading.Thread(target=_watch, args=(page.url, stop), daemon=True).start()
    latencies: list[float] = []
    models: list[float] = []
    frames = dropped = drawn = 0
    begun = time.perf_counter()
    with Stream(str(clip), model, StreamOptions(realtime=live)) as stream:
        for frame in stream.frames():
            result = frame.result
            if page is not None:
                from avis_cli.live.painter import paint
                from avis_cli.writers.style import DrawStyle

                page.frame(paint(frame.image, result, DrawStyle(strip="none")), result, levels=frame.levels)
            frames += 1
            dropped += result.dropped
            drawn += any(track.mask is not None for track in result.tracks)
            if result.latency is not None:
                latencies.append(result.latency.total)
                models.append(result.latency.model)
    seconds = time.perf_counter() - begun
    stop.set()
    if page is not None:
        page.close()
    ordered = sorted(latencies)
    return {
        "fps": frames / seconds,
        "latency": median(ordered),
        "late": ordered[int(0.95 * (len(ordered) - 1))],
        "model": median(models),
        "drawn": 100 * drawn / max(frames, 1),
        "dropped": 100 * dropped / max(frames + dropped, 1),
    }


def _watch(url: str, stop: threading.Event) -> None:
    """One viewer of the picture, as a browser is."""
    base, _, token = url.partition("?")
    try:
        with urllib.request.urlopen(f"{base.rstrip('/')}/stream.mjpg{'?' if token else ''}{token}", timeout=10) as page:
            while not stop.is_set() and page.read(1 << 16):
                pass
    except OSError:
        return


def _streams(chosen: argparse.Namespace) -> None:
    model = load_model(chosen.model)
    size = tuple(chosen.size)
    print(f"{model.name}, {size[0]}x{size[1]}, {chosen.seconds:g} s, {torch.get_num_threads()} threads\n")
    heads = ["source", "as fast as it goes, frames/s", "live, frames/s", "latency, ms", "95 % under", "network, ms"]
    print("| " + " | ".join([*heads, "dropped, %", "with masks, %"]) + " |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for fps in RATES:
            clip = Path(folder, f"{fps}.mp4")
            make_source(clip, fps, chosen.seconds, (size[0], size[1]))
            fast, live = measure(clip, model, live=False), measure(clip, model, live=True)
            print(_row(f"{fps} frames/s", f"{fast['fps']:.1f}", live), flush=True)
        for viewers in chosen.viewers:
            watched = measure(Path(folder, "25.mp4"), model, live=True, viewers=viewers)
            print(_row(f"25 frames/s, {viewers} viewers", "", watched), flush=True)


def _row(name: str, fast: str, live: dict[str, float]) -> str:
    numbers = [f"{live[key]:.1f}" for key in ("fps", "latency", "late", "model", "dropped", "drawn")]
    return f"| {name} | {fast} | " + " | ".join(numbers) + " |"


def _frame_stage(chosen: argparse.Namespace) -> None:
    """The two in turns, so that whatever else the machine does falls on both."""
    torch.manual_seed(0)
    offline, online = (
        Model(find_preset(name).system.build(find_preset(name).config)) for name in ("avism-r50-in", "seavis-r50")
    )
    frame = torch.randint(0, 256, (3, 360, 640), dtype=torch.uint8)
    audio = torch.randn(128)
    state = online.start()
    seconds: dict[str, list[float]] = {"avism-r50-in": [], "seavis-r50": []}
    for number in range(chosen.frames + 1):
        begun = time.perf_counter()
        offline.localize(frame[None], audio[None])
        between = time.perf_counter()
        _, state = online.observe(state, frame, audio, time=float(number))
        ended = time.perf_counter()
        if number:  # the first of each warms up
            seconds["avism-r50-in"].append(between - begun)
            seconds["seavis-r50"].append(ended - between)
    one, other = (median(values) for values in seconds.values())
    print(f"640x360, {torch.get_num_threads()} threads, median of {chosen.frames}: ", end="")
    print(f"avism-r50-in {one:.3f} s, seavis-r50 {other:.3f} s, {other / one:.3f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="seavis-tiny")
    parser.add_argument("--size", type=int, nargs=2, default=[640, 360], metavar=("W", "H"))
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--viewers", type=int, nargs="*", default=[0, 1, 8])
    parser.add_argument("--frame-stage", action="store_true")
    parser.add_argument("--frames", type=int, default=10)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    (_frame_stage if chosen.frame_stage else _streams)(chosen)


if __name__ == "__main__":
    main()
