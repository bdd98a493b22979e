"""A results list that grows video by video and survives being cut off.

While it grows, ``FILE.partial`` holds JSON lines: the settings first, then the elements of one video each. When every
video is there, the list appears as a whole, and ``FILE.settings`` says what it was made with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from avis_cli.errors import OutputError
from avis_cli.files.atomic import cannot_write, output_file, refuse_link, sync
from avis_cli.files.checksum import sha256_of
from avis_cli.files.locks import take_lock
from avis_cli.files.partial import discard, missing_parents, remove_empty

_FORMAT = {"format": "avis-dataset-run", "version": 1}


class ResultsList:
    """``with ResultsList(path, settings) as results:`` ``add`` each video that is not ``done``, then ``finish``.

    What an earlier run with equal ``settings`` (JSON values) has added is done already. If the block raises anything,
    what was added stays for the next run; a list that was at ``path`` before stays until the new one is complete.
    Raises OutputError if ``path`` is there or was begun with other settings (unless ``overwrite``, which begins anew),
    if it cannot be written, or if another run is writing it.
    """

    def __init__(self, path: str | os.PathLike[str], settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.done: list[int] = []
        self._settings = dict(settings)
        self._overwrite = overwrite
        self._partial = _beside(self.path, "partial")
        self._file: IO[bytes] | None = None
        self._made: list[Path] = []

    def __enter__(self) -> ResultsList:
        for path in (self.path, self._partial, _beside(self.path, "settings")):
            refuse_link(path)
        if self.path.is_dir():
            hint = "choose another name"
            raise OutputError("is a folder, expected a file to write", hint=hint, file=self.path, usage=True)
        if not self._overwrite and self.path.exists() and not self._partial.exists():
            _refuse(self.path, "is already there", _read_settings(self.path), self._settings)
        try:
            self._made = missing_parents(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(os.open(self._partial, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
            self._take_up(self._file)
        except OSError as error:
            self._close()
            raise cannot_write(error, self.path) from error
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and not self.done:
            discard(self._partial)
        self._close()

    def add(self, video_id: int, elements: list[dict[str, Any]]) -> None:
        """A video that is finished; it is on the disk when this returns."""
        self._append({"video_id": video_id, "elements": elements})
        self.done.append(video_id)

    def finish(self, order: Sequence[int]) -> None:
        """Every video is there: the list takes its name. ``order``: of the videos in it, by id."""
        with output_file(self.path, overwrite=True) as temporary:
            with temporary.open("wb") as out:
                out.writelines(self._pieces(order))
            sha256 = sha256_of(temporary)
        with output_file(_beside(self.path, "settings"), overwrite=True) as temporary:
            document = {**_FORMAT, "settings": self._settings, "sha256": sha256}
            temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii", newline="\n")
        self._close()
        discard(self._partial)

    def _pieces(self, order: Sequence[int]) -> Iterator[bytes]:
        """The list as text, an element a line."""
        file, places = self._file, dict[int, int]()
        assert file is not None
        file.seek(0)
        place = len(file.readline())
        for line in file:  # videos may have been finished in any order
            places[json.loads(line)["video_id"]] = place
            place += len(line)
        opening = b"[\n"
        for video_id in order:
            file.seek(places[video_id])
            for element in json.loads(file.readline())["elements"]:
                yield opening + _dump(element)
                opening = b",\n"
        yield b"\n]\n" if opening != b"[\n" else b"[]\n"

    def _take_up(self, file: IO[bytes]) -> None:
        """Find what an earlier run has left in the file, and stand at its end; or begin it."""
        if take_lock(file) is False:
            raise OutputError("another run is writing it", hint="wait for it, or name another file", file=self.path)
        whole = 0
        if not self._overwrite:
            header, videos = None, []
            for line in file:
                if not line.endswith(b"\n"):  # the line in which the earlier run was cut off
                    break
                try:
                    document = json.loads(line)
                    if header is None:
                        header = document["settings"]
                    else:
                        videos.append(_whole(document["video_id"]))
                except (ValueError, KeyError, TypeError, RecursionError):
                    raise OutputError(
                        "is not what an earlier run can have left", hint="--overwrite starts anew", file=self._partial
                    ) from None
                whole += len(line)
            if header is not None and header != self._settings:
                _refuse(self._partial, "was begun", header, self._settings)
            if header is None and self.path.exists():
                _refuse(self.path, "is already there", _read_settings(self.path), self._settings)
            self.done = videos
        file.seek(whole)
        file.truncate()
        if whole == 0:
            self._append({**_FORMAT, "settings": self._settings})

    def _append(self, document: dict[str, Any]) -> None:
        assert self._file is not None
        try:
            self._file.write(_dump(document) + b"\n")
            sync(self._file)
        except OSError as error:
            raise cannot_write(error, self.path) from error

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        remove_empty(self._made)


def is_complete(path: str | os.PathLike[str], settings: Mapping[str, Any]) -> bool:
    """Whether ``path`` is a results list made with ``settings`` and unchanged since."""
    path = Path(path)
    document = _read_settings(path)
    if document is None or document["settings"] != dict(settings) or not path.is_file():
        return False
    return sha256_of(path) == document.get("sha256")


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}.{what}")


def _read_settings(path: Path) -> dict[str, Any] | None:
    """What stands beside a complete list; None where nothing that can be understood does."""
    try:
        document = json.loads(_beside(path, "settings").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("settings"), dict) else None


def _refuse(path: Path, what: str, document: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> None:
    """Raise OutputError that says in which settings an earlier list differs, as far as that is known."""
    earlier = None if document is None else document.get("settings", document)
    other = [] if not isinstance(earlier, Mapping) else [key for key in settings if earlier.get(key) != settings[key]]
    cause = f"{what} with another {', '.join(other)}" if other else what
    raise OutputError(cause, hint="--overwrite replaces it, --pred names another file", file=path)


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def _whole(value: object) -> int:
    """A whole number as JSON gives it; ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("no whole number")
    return value
