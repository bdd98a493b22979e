"""Bytes all the way to the disk, on file systems that know how."""

from __future__ import annotations

import errno
import os
from typing import IO

_UNABLE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY}


def sync(file: IO[bytes]) -> None:
    """Flush ``file`` to the disk; a drive that has no such request (some of networks) has done what it can.

    Raises OSError where the disk fails or is full.
    """
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
