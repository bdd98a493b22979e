"""Opening a media file safely: regular files only, known formats only, and nothing beside the file itself.

FFmpeg never sees the path. It reads from an open file, so that no part of a name (``http:``, ``a:b``, ``%d``, a
leading dash) can mean anything, and every request of a demuxer to open something else is refused. Formats that name
other files or addresses (playlists, scripts) are not on the list of formats either.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import av
from av.container import InputContainer

from avis_cli.errors import MediaError, UsageError
from avis_cli.files.missing import as_typed, why_missing

DEFAULT_MAX_PIXELS = 1 << 26  # 8192 x 8192; FFmpeg itself would take nearly 2^31

# demuxers that read one self-contained file; an entry matches any of a demuxer's comma-separated names
_FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,ivf,obu,flv,ogg,asf,mxf,dv,rm,nut,yuv4mpegpipe,mjpeg,"
    "gif,apng,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,jpegxl_pipe,"
    "wav,w64,aiff,caf,mp3,aac,flac,ac3,eac3,dts,amr,au,tta,wv,ape"
)

# earlier releases crash when options for decoders meet a format that shows its streams only later (MPEG-TS, FLV)
_OPTIONS_ARE_SAFE = int(av.__version__.partition(".")[0]) >= 18

_BUFFER = 1 << 18  # bytes read per call from FFmpeg back into Python
_PLAYLISTS = ((b"#EXTM3U", "HLS"), (b"ffconcat version", "concat"), (b"<MPD", "DASH"), (b"[playlist]", "PLS"))


class TooLargeError(MediaError):
    """A picture of more pixels than are read."""


class _MediaFile(io.FileIO):
    """An open file without its name: nothing can be guessed from an extension."""

    name = ""


def open_file(path: str | os.PathLike[str]) -> _MediaFile:
    """Open ``path`` for reading if it is a regular file (or a link to one); raises MediaError or UsageError.

    Pipes, sockets and devices are refused before they are opened, so nothing can block.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise UsageError("is a folder, expected a video file", file=path)
        if not stat.S_ISREG(mode):
            raise MediaError("not a regular file (a pipe, socket or device)", hint="copy it to a file first", file=path)
        # the file may have been replaced since: non-blocking, and looked at again
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        file = _MediaFile(os.open(path, flags))
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise MediaError("not a regular file (a pipe, socket or device)", hint="copy it to a file first", file=path)
    except FileNotFoundError:
        cause, hint = why_missing(path)
        raise MediaError(cause, hint=hint, file=as_typed(path), usage=hint is not None) from None
    except PermissionError:
        raise MediaError("permission to read it is denied", file=path) from None
    except ValueError:  # a NUL in the name
        raise MediaError("not a possible file name", file=path) from None
    except OSError as error:
        cause = f"cannot be opened: {error.strerror or error}"
        raise MediaError(cause, file=path, usage=error.errno == errno.ENOTDIR) from None
    return file


@contextmanager
def open_media(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    identity: tuple[int, int] | None = None,
    decoding: bool = True,
) -> Iterator[InputContainer]:
    """Open a media file for demuxing, closing it at the end; no picture larger than ``max_pixels`` gets decoded.

    Without ``decoding`` not even the opening may decode: stream descriptions then hold what the headers say.
    ``identity`` is what ``file_identity`` said when the file was probed: a file that has changed since is refused.
    Raises MediaError naming the cause where the file cannot be read as media.
    """
    with open_file(path) as file:
        if identity is not None and file_identity(file.fileno()) != identity:
            raise MediaError("the file has changed since it was first read", hint="run again", file=path)
        container = _opened(file, path, max_pixels, decoding)
        try:
            yield container
        finally:
            container.close()


def open_live_file(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> InputContainer:
    """As ``open_media``, for whoever reads on for long and closes it himself."""
    return _opened(open_file(path), path, max_pixels, decoding=True)


def _opened(file: _MediaFile, path: str | os.PathLike[str], max_pixels: int, decoding: bool) -> InputContainer:
    container_options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    if not decoding:
        container_options["codec_whitelist"] = "none"
    try:
        return av.open(
            file,
            "r",
            options={"max_pixels": str(max_pixels)} if _OPTIONS_ARE_SAFE else {},
            container_options=container_options,
            metadata_errors="replace",
            buffer_size=_BUFFER,
            io_open=_refuse,
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, file, error) from error


def open_decoder(stream: Any, path: str | os.PathLike[str], max_pixels: int) -> None:
    """Open a video stream's decoder, if its pictures are not too large; raises MediaError."""
    context = stream.codec_context
    require_size(context.width, context.height, path, max_pixels)
    require_size(context.coded_width, context.coded_height, path, max_pixels)
    context.options = {**context.options, "max_pixels": str(max_pixels)}
    try:
        context.open(strict=False)
    except (av.FFmpegError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENOMEM, errno.EAGAIN):  # the latter: none for its threads
            raise MemoryError from error
        raise MediaError(f"the {context.name} decoder cannot read its video stream ({error})", file=path) from error


def require_size(width: int, height: int, path: str | os.PathLike[str], max_pixels: int) -> None:
    """Raise TooLargeError for a picture of more than ``max_pixels``."""
    if width * height > max_pixels:
        cause = f"pictures of {width}x{height} pixels, at most {max_pixels} pixels are read"
        raise TooLargeError(cause, hint="--max-pixels raises the limit", file=path)


def file_identity(path: str | os.PathLike[str] | int) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds, of a path or an open descriptor."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def explain(path: str | os.PathLike[str], cause: str, hint: str) -> MediaError:
    """The error for a file that opened and then gave nothing: a cut-off index if it has one, else ``cause``."""
    with open_file(path) as file:
        return _incomplete(path) if _lacks_moov(file) else MediaError(cause, hint=hint, file=path)


def _refuse(url: str, flags: int, options: Any) -> NoReturn:
    raise PermissionError("a media file may not open another file or address")


def _unreadable(path: str | os.PathLike[str], file: io.FileIO, error: Exception) -> MediaError:
    """Why FFmpeg could not open ``file``, from the file's own first bytes where they tell."""
    file.seek(0)
    head = file.read(4096)
    if not head:
        return MediaError("the file is empty", hint="copy it again", file=path)
    for mark, name in _PLAYLISTS:
        if mark in head[:1024]:
            cause = f"a playlist ({name}), not a video: playlists name other files and are never followed"
            return MediaError(cause, hint="give the video files themselves", file=path)
    if _lacks_moov(file):
        return _incomplete(path)
    if not any(byte < 9 for byte in head):
        return MediaError("looks like text, not a video", file=path)
    if isinstance(error, av.FFmpegError) and error.errno == errno.EINVAL:
        return MediaError("not one of the video formats that are read", hint="convert it to MP4 or MKV", file=path)
    reason = error.strerror if isinstance(error, OSError | av.FFmpegError) and error.strerror else str(error)
    return MediaError(f"not a video that can be read ({reason})", hint="check that it plays elsewhere", file=path)


def _incomplete(path: str | os.PathLike[str]) -> MediaError:
    hint = "the recording or the download is incomplete; copy it again or repair it"
    return MediaError("moov atom not found: the index is missing or cut off", hint=hint, file=path)


def _lacks_moov(file: io.FileIO) -> bool:
    """Whether an MP4 or MOV file has no whole ``moov`` box among its top-level boxes."""
    size, offset, boxes = os.fstat(file.fileno()).st_size, 0, 0
    while offset + 8 <= size and boxes < 10_000:
        file.seek(offset)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if boxes == 0 and kind not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return False
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length == 0:  # to the end of the file
            length = size - offset
        if kind == b"moov":
            return offset + length > size
        if length < 8:
            break
        offset, boxes = offset + length, boxes + 1
    return boxes > 0
