"""How much memory a process can still have on a device, and whether an error says that there is none left."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import torch

CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # bytes; control groups of the first version write some such number for "no limit"


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on ``device``; None where nobody can tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    known = [size for size in (_machine(), _address_space(), *_control_groups()) if size is not None]
    return max(min(known), 0) if known else None


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of a GPU or of the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno in (errno.ENOMEM, errno.EAGAIN)  # EAGAIN: no memory for the stack of a new thread
    # neither has a type of its own
    known = ("DefaultCPUAllocator", "can't start new thread")
    return isinstance(error, RuntimeError) and any(text in str(error) for text in known)


def give_back(device: torch.device) -> None:
    """Return what PyTorch holds in reserve on a GPU."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _machine() -> int | None:
    """What the system could give without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _address_space() -> int | None:
    """What ``ulimit -v`` leaves."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return limit - pages * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError, IndexError):
        return None


def _control_groups() -> Iterator[int]:
    """What the limits of a container leave, those of every group around this process."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        controllers, _, name = line.partition(":")[2].partition(":")
        if controllers == "":
            root, names = CGROUPS, ("memory.max", "memory.current", "inactive_file ")
        elif "memory" in controllers.split(","):
            root = CGROUPS / "memory"
            names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "
        else:
            continue
        own = root / name.lstrip("/")
        for folder in (own, *own.parents):
            if folder == root or root in folder.parents:
                left = _left(folder, *names)
                if left is not None:
                    yield left


def _left(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    try:
        limit = int((folder / limit_name).read_text(encoding="ascii"))  # "max" is no number
        used = int((folder / usage_name).read_text(encoding="ascii"))
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    # files that were read and not used lately are given up first
    cache = sum(int(line.split()[1]) for line in lines if line.startswith(cache_name))
    return None if limit >= _UNLIMITED else limit - used + cache
