"""A JSON file of unknown origin -> its top node: bounded in size, plain or gzip, and every complaint with its place."""

from __future__ import annotations

import codecs
import gzip
import os
import re
import zlib
from pathlib import Path
from typing import IO

from avis_cli import memory
from avis_cli.errors import AnnotationError
from avis_cli.files import strict_json
from avis_cli.files.json_cost import JsonCost
from avis_cli.files.missing import as_typed, why_missing
from avis_cli.files.strict_json import Node

DEFAULT_MAX_BYTES = 1 << 30  # of a limit that the user may set; parsed, JSON takes several times its size in memory

_MAX_BYTES = 2 << 30  # where there is no such option
_PIECE = 1 << 20  # bytes read at once
_SMALL = 256 << 20  # bytes of memory that any file may take when it is parsed
_UNCOUNTED = _SMALL // 32  # bytes of text that cannot take more than that
_MOST_GAIN = 250  # bytes of memory for each byte of a file; of plain text at most 30, of gzipped annotations about 20
_GZIP, _ZIP = b"\x1f\x8b", b"PK"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"(?=\s*(:?))|[\[\]{}]|-?Infinity|NaN')
_DEEPEST = 100  # levels; annotations need seven


def read_json(path: str | os.PathLike[str], *, max_bytes: int | None = None) -> Node:
    """The top node of a strict UTF-8 JSON file, which may be gzipped whatever its name says.

    ``max_bytes`` bounds the file and what it unpacks to. What parsing will take in memory is reckoned while the file is
    read: from 256 MiB on, no more than 250 times the file's size and no more than is free. Raises
    ``AnnotationError``, naming line and column of what is not JSON: NaN and infinities, a key twice in one object,
    nesting too deep, a byte order mark, UTF-16.
    """
    text = _decode(_read_bytes(Path(path), max_bytes), path)
    try:
        return strict_json.parse(text, file=path)
    except AnnotationError as error:
        place = "" if " at line " in error.cause else _place_of_offence(text)
        raise AnnotationError(error.cause + place, hint=error.hint, file=path) from None


def _read_bytes(path: Path, limit: int | None) -> bytearray:
    max_bytes = _MAX_BYTES if limit is None else limit
    try:
        if not path.is_file():
            folder, missing = path.is_dir(), not path.exists()
            kind = "a folder" if folder else "not a regular file"
            cause, hint = why_missing(path) if missing else (f"{kind}, expected a JSON file", None)
            raise AnnotationError(cause, hint=hint, file=as_typed(path), usage=folder or hint is not None)
        if path.stat().st_size > max_bytes:
            raise _too_large(f"{path.stat().st_size} bytes, the limit is {max_bytes}", limit, path)
        with path.open("rb") as stream:
            magic = stream.read(2)
            stream.seek(0)
            if magic == _ZIP:
                raise AnnotationError("a zip archive, expected JSON", hint="unpack it first", file=path)
            if magic != _GZIP:
                return _read_pieces(stream, max_bytes, limit, path)
            with gzip.GzipFile(fileobj=stream) as unpacked:
                return _read_pieces(unpacked, max_bytes, limit, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise AnnotationError(f"damaged gzip file ({error})", hint="copy it again", file=path) from None
    except OSError as error:
        raise AnnotationError(f"cannot be read: {error.strerror or error}", file=path) from None


def _read_pieces(stream: IO[bytes] | gzip.GzipFile, max_bytes: int, limit: int | None, path: Path) -> bytearray:
    data, cost = bytearray(), JsonCost()
    counted, size, free = 0, path.stat().st_size, memory.free()
    while piece := stream.read(_PIECE):
        data += piece
        if len(data) > max_bytes:
            raise _too_large(f"more than the limit of {max_bytes} bytes", limit, path)
        if len(data) > _UNCOUNTED:
            cost.add(bytes(memoryview(data)[counted:]))
            counted = len(data)
            _check_cost(cost.total, size, free, path)
    return data


def _check_cost(cost: int, size: int, free: int | None, path: Path) -> None:
    if cost <= _SMALL:
        return
    if cost > size * _MOST_GAIN:
        raise AnnotationError(
            f"{size} bytes that would take more than {cost >> 20} MiB of memory, as no annotations do",
            hint="if you trust the file, unpack it first",
            file=path,
        )
    if free is not None and cost > free:
        raise AnnotationError(
            f"would take more than {cost >> 20} MiB of memory when it is read, {free >> 20} MiB are free",
            hint="split the file, or read it on a machine with more memory",
            file=path,
        )


def _too_large(cause: str, limit: int | None, path: Path) -> AnnotationError:
    return AnnotationError(cause, hint=None if limit is None else "raise --max-bytes if you trust the file", file=path)


def _decode(data: bytes | bytearray, path: str | os.PathLike[str]) -> str:
    encoding = None
    if data.startswith(codecs.BOM_UTF8):
        encoding = "UTF-8 with a byte order mark"
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data[:4]:
        encoding = "UTF-16 or UTF-32"
    if encoding is not None:
        raise AnnotationError(
            f"{encoding} at line 1 column 1, expected plain UTF-8", hint="save it as UTF-8 without BOM", file=path
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise AnnotationError(
            f"byte 0x{data[error.start]:02x} at line {line} column {column} is not UTF-8", file=path
        ) from None


def _place_of_offence(text: str) -> str:
    """`` at line L column C`` of the first thing that strict JSON of our formats does not have, or nothing."""
    keys: list[set[str]] = []  # of the objects and lists that are open
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word in "]}":
            if keys:
                keys.pop()
            continue
        if word in "[{":
            keys.append(set())
            fine = len(keys) <= _DEEPEST
        elif word[0] == '"':
            fine = not (token.group(1) and keys and word in keys[-1])
            if token.group(1) and keys:
                keys[-1].add(word)
        else:
            fine = False
        if not fine:
            at = token.start()
            return f" at line {text.count(chr(10), 0, at) + 1} column {at - text.rfind(chr(10), 0, at)}"
    return ""
