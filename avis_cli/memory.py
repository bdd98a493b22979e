"""How much memory this process can still have, and why it may be less than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # bytes; control groups of the first version write some such number for "no limit"
# torch's own, numpy's own
_KINDS = ("MemoryError", "OutOfMemoryError", "_ArrayMemoryError")
_SIGNS = (
    "DefaultCPUAllocator", "can't start new thread", "Cannot allocate memory", "std::bad_alloc", "Insufficient memory",
)  # fmt: skip
_NOT_MAPPED = "failed to map segment"


def free() -> int | None:
    """Bytes that this process could still take; None where nobody can tell."""
    known = [size for size in (_machine(), _address_space(), *_control_groups()) if size is not None]
    return max(min(known), 0) if known else None


def is_exhausted(kind: str, text: str) -> bool:
    """Whether an error of the class called ``kind`` that says ``text`` means that memory ran out."""
    if kind in _KINDS or any(sign in text for sign in _SIGNS):
        return True
    # so libraries fail to load where a limit is too low; without one the reason is another (a disk mounted noexec)
    return _NOT_MAPPED in text and address_space_limit() is not None


def address_space_limit() -> int | None:
    """Bytes of address space that ``ulimit -v`` allows this process; None without such a limit."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, OSError, ValueError):
        return None
    return None if limit == resource.RLIM_INFINITY else limit


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
    limit = address_space_limit()
    if limit is None:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return limit - pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
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
