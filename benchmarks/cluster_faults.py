"""A run on a Ray cluster of two machines' worth of processes, and what goes wrong in it: counted.

    python benchmarks/cluster_faults.py [VIDEO]

A run of ``--inputs`` copies of a short video goes on while workers are killed in the middle of ``--kills`` inputs, one
input kills every worker that has it, one of the two nodes is removed and another one comes, and in the end the driver
is killed and started again. Printed: how often each thing was done, how many inputs were begun, done, done twice and
given up, and whether the results are byte for byte those of a run without a cluster.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avis_cli.version import __version__

RESULTS = Path(__file__).parent / "results" / "cluster_faults.json"
SAMPLE = Path(__file__).parent.parent / "samples" / "silent_kettle.mp4"
POISON = "poison.mp4"
_PROCESS = re.compile(r"process (\d+)")


@dataclass
class Faults:
    """What is done to a run: ``kills`` of workers in the middle of an input each, ``remove`` and ``restart`` when so
    many inputs are done, None for never."""

    kills: int
    remove: int | None
    restart: int | None
    killed: set[str] = field(default_factory=set)
    poisoned: int = 0
    removed: bool = False
    restarts: int = 0


def entries(journal: Path) -> list[dict[str, Any]]:
    """The whole lines of a journal."""
    try:
        lines = journal.read_bytes().splitlines(keepends=True)
    except OSError:
        return []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def at_work(found: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """The inputs that workers have now, and the process of each."""
    last = {entry["output"]: entry for entry in found if "output" in entry}
    for name, entry in last.items():
        process = _PROCESS.search(entry.get("node", ""))
        if entry["state"] == "running" and process is not None:
            yield name, int(process[1])


def strike(found: list[dict[str, Any]], faults: Faults) -> None:
    """Kill the workers whose turn it is."""
    for name, process in at_work(found):
        is_poison = name == POISON
        if not is_poison and (name in faults.killed or len(faults.killed) >= faults.kills):
            continue
        time.sleep(0.3)  # in the middle of it
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
        if is_poison:
            faults.poisoned += 1
        else:
            faults.killed.add(name)
        return  # the journal is read again first


def drive(command: list[str], journal: Path, faults: Faults, cluster: Any, nodes: list[Any]) -> tuple[int, str]:
    """Run the driver, again where it is killed, until it ends by itself: its exit code and what it said."""
    while True:
        with tempfile.TemporaryFile("w+") as said:
            driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
            while driver.poll() is None:
                found = entries(journal)
                done = sum(entry.get("state") == "done" for entry in found)
                strike(found, faults)
                if not faults.removed and faults.remove is not None and done >= faults.remove:
                    faults.removed = True
                    cluster.remove_node(nodes.pop(), allow_graceful=False)
                    nodes.append(cluster.add_node(num_cpus=1))
                if faults.restarts == 0 and faults.restart is not None and done >= faults.restart:
                    driver.kill()
                    driver.wait()
                    faults.restarts = 1
                    break
                time.sleep(0.02)
            else:
                said.seek(0)
                return driver.returncode, said.read()


def same(one: Path, many: Path, without: str) -> list[str]:
    """Files of results that differ between two runs, but for those of one input."""
    differing = []
    for path in sorted({*_below(one), *_below(many)}):
        if path.parts[0] in (without, "run.json", "run.jsonl", "index.html"):
            continue
        a, b = one / path, many / path
        if not (a.is_file() and b.is_file() and a.read_bytes() == b.read_bytes()):
            differing.append(path.as_posix())
    return differing


def _below(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


def prepare(folder: Path, video: Path, inputs: int) -> Path:
    """The inputs: copies of a video, each with some bytes more than the one before, and the poison among them."""
    (folder / "in").mkdir()
    for number in range(inputs):
        copy = folder / "in" / f"{number:03d}.mp4"
        shutil.copy(video, copy)
        with open(copy, "ab") as file:  # beyond the last box, where nobody looks
            file.write(b"\0\0\0\x08free" * (number + 1))
    shutil.copy(video, folder / "in" / POISON)
    return folder / "in"


def trial(folder: Path, video: Path, inputs: int, faults: Faults, options: list[str]) -> dict[str, Any]:
    """Everything, in ``folder``; the figures that are printed."""
    from ray.cluster_utils import Cluster

    source = prepare(folder, video, inputs)
    avis = [sys.executable, "-m", "avis_cli", "segment", str(source), *options]
    subprocess.run([*avis, "-q", "-o", str(folder / "one")], check=True, stdout=subprocess.DEVNULL)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        nodes = [cluster.add_node(num_cpus=1)]
        cluster.wait_for_nodes()
        out = folder / "many"
        command = [*avis, "-o", str(out), "--cluster", cluster.address, "--workers", "2"]
        began = time.monotonic()
        code, said = drive(command, out / "run.jsonl", faults, cluster, nodes)
        seconds = time.monotonic() - began
    finally:
        cluster.shutdown()
    found = entries(out / "run.jsonl")
    states = Counter(entry["state"] for entry in found if "state" in entry)
    done = Counter(entry["output"] for entry in found if entry.get("state") == "done")
    return {
        "inputs": inputs + 1,
        "workers killed in the middle of an input": len(faults.killed),
        "workers killed by the poison": faults.poisoned,
        "nodes removed": int(faults.removed),
        "drivers killed": faults.restarts,
        "begun": states["running"],
        "done": len(done),
        "done twice": sum(count > 1 for count in done.values()),
        "given up": [entry["output"] for entry in found if entry.get("state") == "quarantined"],
        "left behind": [path.name for path in out.rglob(".avis-part*")],
        "differing files": same(folder / "one", out, POISON),
        "exit code": code,
        "seconds": round(seconds, 1),
        "said": said.splitlines()[-4:],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", type=Path, default=SAMPLE, metavar="VIDEO")
    parser.add_argument("--inputs", type=int, default=24)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="JSON")
    chosen = parser.parse_args()
    faults = Faults(chosen.kills, remove=chosen.inputs // 2, restart=3 * chosen.inputs // 4)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
    with tempfile.TemporaryDirectory() as folder:
        found = trial(Path(folder), chosen.video, chosen.inputs, faults, ["--mask-fps", "1"])
    said = found.pop("said")
    chosen.out.write_text(json.dumps({"tool": f"avis-cli {__version__}"} | found, indent=1) + "\n", encoding="utf-8")
    for name, value in found.items():
        print(f"{name}: {value}")
    print(*said, sep="\n")


if __name__ == "__main__":
    main()
