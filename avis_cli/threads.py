"""How the threads of a processor wait for each other: set before PyTorch is loaded, which reads it once.

PyTorch divides every operation among its threads, and at the end of each the first ones wait for the last. OpenMP's
runtimes let them spin while they wait, for 0.1 s and more. A small network has thousands of such waits a second; where
another process holds one of the cores, its partner spins away most of every one, and the network takes ten times as
long. A short spin costs nothing on an idle machine, and on a busy one a thread soon sleeps until the others are there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping

SPINS = "2000"
"""Rounds of GNU's runtime (PyTorch on Linux), some microseconds: fewer cost time on an idle machine."""
BLOCK_MILLISECONDS = "1"
"""The same for LLVM's and Intel's runtimes (PyTorch on macOS and Windows), which count milliseconds; 200 by default."""

_CHOSEN_BY_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Put a short spin into ``environment``, from where child processes have it too; False where that is left alone.

    It is left alone where the user has chosen, and where PyTorch is loaded already: its runtime would not notice.
    """
    if "torch" in sys.modules or any(name in environment for name in _CHOSEN_BY_USER):
        return False
    environment["GOMP_SPINCOUNT"] = SPINS
    environment["KMP_BLOCKTIME"] = BLOCK_MILLISECONDS
    return True


def policy(environment: MutableMapping[str, str] = os.environ) -> str:
    """How threads wait in this process, in words."""
    chosen = [f"{name}={environment[name]}" for name in _CHOSEN_BY_USER if name in environment]
    return f"threads wait by {', '.join(chosen)}" if chosen else "threads wait as the OpenMP runtime likes"
