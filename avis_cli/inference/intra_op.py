"""How many threads PyTorch divides an operation among: all for large networks, one for small ones.

An operation of a small network takes microseconds: dividing it saves no time, and where another process holds a core
every operation waits for the thread that has none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

SMALL_PARAMETERS = 16_000_000
"""A network of fewer is small: the bundled ones have 5 million, the released ones 66 million and more."""

_CHOSEN_BY_USER = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

_lock = threading.Lock()
_inside = 0
_usual = 1


def is_small(model: object) -> bool:
    """Whether a model's network works on a processor and is small; a stand-in without parameters is not."""
    network = getattr(model, "network", None)
    if not isinstance(network, nn.Module):
        return False
    parameters = list(network.parameters())
    on_cpu = all(parameter.device.type == "cpu" for parameter in parameters)
    return on_cpu and 0 < sum(parameter.numel() for parameter in parameters) < SMALL_PARAMETERS


def chosen_by_user(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the number of threads is the user's: by a variable, or by `torch.set_num_threads` with a number that
    PyTorch would not have taken by itself (it takes one for each core, or for each two that share one)."""
    if any(name in environment for name in _CHOSEN_BY_USER):
        return True
    cores = {os.cpu_count() or 1}
    if hasattr(os, "sched_getaffinity"):
        cores.add(len(os.sched_getaffinity(0)))
    return torch.get_num_threads() not in cores | {count // 2 for count in cores}


@contextmanager
def threads_for(model: object) -> Iterator[None]:
    """In here operations of this thread of the program use one thread where ``model`` is small; afterwards as many as
    before. Threads of the program that begin meanwhile begin with one too, and may be in here themselves."""
    global _inside, _usual
    with _lock:
        ours = is_small(model) and (_inside > 0 or not chosen_by_user())
        if ours:
            _usual = _usual if _inside else torch.get_num_threads()
            _inside += 1
    if not ours:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
        torch.set_num_threads(_usual)


def policy(environment: Mapping[str, str] = os.environ) -> str:
    """How many threads networks use, in words."""
    count = torch.get_num_threads()
    if chosen_by_user(environment):
        return f"every network uses {count}, as you have set"
    return f"small networks use 1, large ones {count}"
