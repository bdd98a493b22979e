"""How much memory a process can still have on a device, and whether an error says that there is none left."""

from __future__ import annotations

import errno

import torch

from avis_cli import memory


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on ``device``; None where nobody can tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    return memory.free()


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
