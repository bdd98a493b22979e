"""How long work takes beside other busy processes, by how many threads there are and how they wait.

    python benchmarks/busy_machine.py [--busy 0 1 2] [--runs 3] [--model NAME] [CLIP]
    python benchmarks/busy_machine.py [--busy 0 1 2] [--runs 3] --command 'avis train --data world --out {out} ...'

`avis segment` of a clip, or any other command, in which ``{out}`` stands for an empty folder. Each run is a process of
its own: settings are read once, when PyTorch is loaded. Prints medians in seconds and, for each setting, the ratio to
the same setting on the idle machine. The settings take turns, so that a change of the machine's speed meets
all of them.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "silent_kettle.mp4"

# a number of threads is the user's own choice, and so is a variable of another runtime: avis then sets nothing and
# GNU's default holds
_ALL = {"OMP_NUM_THREADS": str(os.cpu_count() or 1)}
SETTINGS: dict[str, dict[str, str]] = {
    "as avis sets it": {},
    "all threads": _ALL,
    "all threads, the runtime's default": {**_ALL, "KMP_BLOCKTIME": "200"},
    "all threads, no spinning": {**_ALL, "OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
_OPENMP = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@contextmanager
def busy(count: int) -> Iterator[None]:
    """``count`` processes that compute until the block ends."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def segment_command(clip: Path, model: str | None) -> list[str]:
    """`avis segment` without its videos, ``{out}`` for its folder."""
    chosen = [] if model is None else ["--model", model]
    return [sys.executable, "-m", "avis_cli", "segment", str(clip), "--only", "tracks", "-q", "-o", "{out}", *chosen]


def seconds(command: list[str], own: dict[str, str], limit: float) -> float:
    """Of one run of a command, everything included; ``limit`` where it had not ended by then."""
    environment = {name: value for name, value in os.environ.items() if name not in _OPENMP} | own
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        try:
            filled = [part.replace("{out}", folder) for part in command]
            subprocess.run(filled, env=environment, check=True, timeout=limit, stdout=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return limit
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--model")
    parser.add_argument("--command", help="measure this in place of avis segment")
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which a run is given up")
    chosen = parser.parse_args()
    command = shlex.split(chosen.command) if chosen.command else segment_command(chosen.clip, chosen.model)
    print(f"{os.cpu_count()} cores, {' '.join(command)}, medians of {chosen.runs} runs")
    print("| busy processes | setting | seconds | of the same on an idle machine |\n|---|---|---|---|")
    idle: dict[str, float] = {}
    for count in chosen.busy:
        times: dict[str, list[float]] = defaultdict(list)
        with busy(count):
            for _ in range(chosen.runs):
                for name in chosen.settings:
                    times[name].append(seconds(command, SETTINGS[name], chosen.limit))
        for name, values in times.items():
            median = statistics.median(values)
            idle.setdefault(name, median)
            print(f"| {count} | {name} | {median:.1f} | {median / idle[name]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
