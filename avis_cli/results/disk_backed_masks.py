"""Masks of one track that wait in a temporary file, for clips whose run lengths would fill the memory.

They behave as the list that they stand for; one is in memory when it is asked for. The file has no name, or goes with
the last track that needs it.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, overload

from avis_cli.errors import OutputError
from avis_cli.results.run_length import RunLength

_NONE = -1


class MaskFile:
    """Bytes of all tracks of a clip, one after another."""

    def __init__(self) -> None:
        with _disk_errors():
            # closed when nothing needs it any more
            self._file = tempfile.TemporaryFile(prefix="avis-masks-")  # noqa: SIM115
        self._end = 0
        self._lock = Lock()

    def append(self, data: bytes) -> int:
        """Write ``data``; where it begins."""
        with self._lock, _disk_errors():
            place = self._file.seek(self._end)
            self._file.write(data)
            self._end += len(data)
        return place

    def read(self, place: int, length: int) -> bytes:
        """What was written."""
        with self._lock, _disk_errors():
            self._file.seek(place)
            return self._file.read(length)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """What the disk refuses, as an error for the user."""
    try:
        yield
    except OSError as error:
        cause = f"masks cannot wait in a temporary file: {error.strerror or error}"
        raise OutputError(cause, hint="free some space there, or name another place with TMPDIR") from error


class DiskBackedMasks(Sequence[RunLength | None]):
    """One run length per mask frame, None where the track is absent; all of one ``size`` = [height, width]."""

    def __init__(self, file: MaskFile, size: list[int], masks: Iterable[RunLength | None] = ()) -> None:
        self._file, self._size = file, size
        self._places, self._lengths = array("q"), array("i")
        for mask in masks:
            self.append(mask)

    def append(self, mask: RunLength | None) -> None:
        counts = b"" if mask is None else mask["counts"].encode("ascii")
        self._places.append(_NONE if mask is None else self._file.append(counts))
        self._lengths.append(len(counts))

    def extend(self, masks: Iterable[RunLength | None]) -> None:
        for mask in masks:
            self.append(mask)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> RunLength | None: ...
    @overload
    def __getitem__(self, index: slice) -> list[RunLength | None]: ...
    def __getitem__(self, index: int | slice) -> RunLength | list[RunLength | None] | None:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        place = self._places[index]
        if place == _NONE:
            return None
        return {"size": list(self._size), "counts": self._file.read(place, self._lengths[index]).decode("ascii")}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DiskBackedMasks | list) or len(self) != len(other):
            return False if isinstance(other, DiskBackedMasks | list) else NotImplemented
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)  # another process has no such file

    def __repr__(self) -> str:
        return f"<{len(self)} masks in a temporary file>"
