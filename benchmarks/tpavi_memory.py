"""Memory and time of TPAVI's blocks without and with the matrix of all positions that the paper's formula has.

    python benchmarks/tpavi_memory.py [--preset tpavi-ms3-r50] [--sizes 224x224 640x352 1280x704] [--limit GIB]

Five frames at once, random weights, one thread; each way in a process of its own, of which the peak of memory beyond
that of the loaded network is told. Above ``--limit`` the matrix is not made: then its size is all that is told.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from avis_cli.models import find_preset
from avis_cli.models.tpavi.network import InteractionBlock, Tpavi

FRAMES = 5
GIB = 1 << 30


def with_matrix(
    self: InteractionBlock, x: Tensor, audio: Tensor | None, group: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor | None]:
    """What a block computes, by a matrix of N x N positions for each group of frames: (theta phi^T / N) g."""
    sound = None if audio is None else self.align(audio)
    theta, g = self.theta(x), self.g(x) * weight[:, None, None, None]
    phi = self.phi(x if sound is None else sound[:, :, None, None].expand_as(x))
    y = torch.zeros_like(theta)
    for number in range(int(group.max()) + 1):
        frames = group == number
        rows, columns, values = (part[frames].permute(0, 2, 3, 1).flatten(0, 2) for part in (theta, phi, g))
        counted = float(weight[frames].sum()) * (x.shape[2] * x.shape[3])
        pairs = rows @ columns.T  # (N, N)
        pairs /= max(counted, 1.0)
        found = (pairs @ values).unflatten(0, (int(frames.sum()), *x.shape[2:]))
        y[frames] = found.permute(0, 3, 1, 2)
    z = self.out_norm(self.out(y)) + x
    return self.norm(z.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), sound


def network_of(preset: str) -> Tpavi:
    """With random weights that every part of it has a say in."""
    torch.manual_seed(0)
    found = find_preset(preset)
    network: Any = found.system.build(found.config)
    assert isinstance(network, Tpavi)
    for block in network.blocks.values():
        torch.nn.init.ones_(block.out_norm.weight)  # type: ignore[union-attr, arg-type]
    return network.eval()


def matrix_bytes(network: Tpavi, width: int, height: int) -> int:
    """Of the largest matrix, in float32."""
    finest = 2 ** (min(map(int, network.blocks)) + 1)
    positions = FRAMES * (height // finest) * (width // finest)
    return 4 * positions**2


def measure(preset: str, width: int, height: int, *, matrix: bool) -> dict[str, float]:
    """Seconds and bytes at most, of one run in this process."""
    torch.set_num_threads(1)
    network = network_of(preset)
    if matrix:
        InteractionBlock.forward = with_matrix  # type: ignore[method-assign]
    frames = torch.randint(0, 256, (FRAMES, 3, height, width), generator=torch.Generator().manual_seed(1))
    audio = torch.randn(FRAMES, network.config.audio_width, generator=torch.Generator().manual_seed(2))
    before = _peak()
    begun = time.perf_counter()
    with torch.inference_mode():
        logits = network.segment(frames.to(torch.uint8), audio)
    return {"seconds": time.perf_counter() - begun, "bytes": _peak() - before, "mean": float(F.relu(logits).mean())}


def _peak() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used


def apart(preset: str, width: int, height: int, matrix: bool) -> dict[str, float]:
    """``measure`` in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "--preset",
        preset,
        "--one",
        f"{width}x{height}",
        *(["--matrix"] if matrix else []),
    ]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _size(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.split("x"))
    return width, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="tpavi-ms3-r50")
    parser.add_argument("--sizes", type=_size, nargs="+", default=[(224, 224), (640, 352), (1280, 704)], metavar="WxH")
    parser.add_argument(
        "--limit", type=float, default=4.0, metavar="GIB", help="largest matrix that is made (%(default)s)"
    )
    parser.add_argument("--one", type=_size, help=argparse.SUPPRESS)
    parser.add_argument("--matrix", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one is not None:
        print(json.dumps(measure(chosen.preset, *chosen.one, matrix=chosen.matrix)))
        return
    network = network_of(chosen.preset)
    print("| frames of | seconds | GiB | with the matrix: seconds | GiB | the matrix alone, GiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for width, height in chosen.sizes:
        ours, size = apart(chosen.preset, width, height, False), matrix_bytes(network, width, height)
        cells = [f"{width}x{height}", f"{ours['seconds']:.2f}", f"{ours['bytes'] / GIB:.2f}", "-", "-"]
        if size <= chosen.limit * GIB:
            theirs = apart(chosen.preset, width, height, True)
            cells[3:] = [f"{theirs['seconds']:.2f}", f"{theirs['bytes'] / GIB:.2f}"]
        print("| " + " | ".join([*cells, f"{size / GIB:.2f}"]) + " |", flush=True)


if __name__ == "__main__":
    main()
