"""File locks, which end with the process that holds them, however it ends and in whichever container it runs."""

from __future__ import annotations

import os
import sys
from typing import IO

_FAR = 1 << 30  # Windows locks bytes against every use: a place that no file of ours reaches


def take_lock(file: IO[bytes]) -> bool | None:
    """Lock an open file for as long as it is open. False: somebody else has it; None: locks do not work there.

    The file has to be open for writing: network drives demand that. Closing it ends the lock.
    """
    try:
        _lock(file.fileno())
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a network drive without locks
        return None
    return True


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        here = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, here, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
