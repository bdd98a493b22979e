"""What a live source may be called: a device, an address on a network, a file, standard input, a test picture."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import av

from avis_cli.errors import MediaError, UsageError

STANDARD_INPUT = "-"
NETWORK = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "tcp", "udp", "http", "https")
_PROTOCOLS = "rtp,rtsp,rtsps,rtmp,rtmps,srt,tcp,udp,tls,http,https,httpproxy,crypto"  # what an address may lead on to
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_DEVICES = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_MICROPHONES = {"linux": ("pulse", "alsa"), "darwin": ("avfoundation",), "win32": ("dshow",)}


@dataclass(frozen=True)
class LiveAddress:
    """Where pictures or sound come from. ``text``: as it was given; ``place``: what FFmpeg opens; ``format``: of a
    device, None elsewhere; ``is_live``: whether what is not taken at once is lost; ``options`` for FFmpeg."""

    text: str
    place: str
    format: str | None = None
    is_live: bool = True
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_standard_input(self) -> bool:
        return self.text == STANDARD_INPUT

    @property
    def is_file(self) -> bool:
        return not self.is_live and self.format is None and not self.is_standard_input

    @property
    def shown(self) -> str:
        """As it may be printed and recorded: without a password."""
        return re.sub(r"://[^/@\s]*@", "://", self.text)


def parse_address(text: str) -> LiveAddress:
    """The source called ``text``: ``camera:N``, a device's path, an address on a network, ``lavfi:GRAPH``, ``-`` or a
    file. Raises UsageError for an address of a kind that is not read."""
    if text == STANDARD_INPUT:
        return LiveAddress(text, text, is_live=False)
    kind, _, rest = text.partition(":")
    if kind == "camera":
        return _camera(text, rest)
    if kind == "lavfi":
        return LiveAddress(text, rest, "lavfi", is_live=False)
    if text.startswith("/dev/video"):
        return LiveAddress(text, text, "v4l2")
    scheme = _SCHEME.match(text)
    if scheme is None:
        return LiveAddress(text, text, is_live=False)
    if scheme[1].lower() not in NETWORK:
        raise UsageError(
            f"an address of the kind {scheme[1][:20]}://, expected one of {', '.join(NETWORK)}",
            hint="a file is given by its path",
        )
    options = {"protocol_whitelist": _PROTOCOLS}
    if scheme[1].lower().startswith("rtsp"):
        options |= {"rtsp_transport": "tcp"}
    return LiveAddress(text, text, options=options)


def parse_sound_address(text: str) -> LiveAddress:
    """As ``parse_address``, of a source of sound alone; ``mic:default`` or ``mic:NAME`` is a microphone."""
    kind, _, name = text.partition(":")
    if kind != "mic":
        return parse_address(text)
    for form in _MICROPHONES.get(sys.platform, ("alsa",)):
        if form in av.formats_available:
            place = {"avfoundation": f":{name}", "dshow": f"audio={name}"}.get(form, name or "default")
            return LiveAddress(text, place, form)
    raise UsageError("this PyAV reads no microphone", hint="send its sound another way, such as rtsp:// or a pipe")


def _camera(text: str, which: str) -> LiveAddress:
    system = "win32" if sys.platform == "cygwin" else sys.platform
    form = _DEVICES.get(system, "v4l2")
    if form not in {name for names in av.formats_available for name in names.split(",")}:
        raise UsageError(
            f"this PyAV reads no cameras ({form} is missing)",
            hint="send the picture another way, such as rtsp:// or a pipe from ffmpeg",
        )
    if form == "v4l2":
        if not which.isdecimal():
            raise UsageError(f"camera {which[:40]!r}, expected a number such as camera:0", hint="--list names them")
        return LiveAddress(text, f"/dev/video{which}", form)
    return LiveAddress(text, which if form == "avfoundation" else f"video={which}", form)


def list_devices() -> list[str]:
    """The cameras and microphones of this machine, as they can be given, with what they call themselves."""
    found = [f"camera:{name.removeprefix('video')}" for name in sorted(_devices_in("/dev")) if name[5:].isdecimal()]
    forms = {*_MICROPHONES.get(sys.platform, ("alsa",)), _DEVICES.get(sys.platform, "v4l2")}
    for form in sorted(forms & set(av.formats_available)):
        try:
            devices = list(av.enumerate_input_devices(form))
        except (av.FFmpegError, ValueError, OSError):
            continue
        for device in devices:
            kinds = [str(kind) for kind in getattr(device, "media_types", ())] or ["device"]
            prefix = "mic" if "audio" in kinds else "camera"
            found.append(f"{prefix}:{device.name}  ({device.description}, {form})")
    return found


def _devices_in(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.startswith("video")]
    except OSError:
        return []


def open_address(address: LiveAddress, timeout: float) -> Any:
    """The source opened for demuxing. ``timeout``: seconds that opening, and any later wait for data, may take. Raises
    MediaError naming the source where it cannot be opened."""
    from avis_cli.media.container import open_live_file

    try:
        if address.is_standard_input:
            return av.open(sys.stdin.buffer, "r", metadata_errors="replace")
        if address.is_file:
            return open_live_file(address.place)
        return av.open(
            address.place, "r", format=address.format, options=dict(address.options),
            timeout=(timeout, timeout), metadata_errors="replace",
        )  # fmt: skip
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"cannot be opened ({reason})", hint="check that it is there and plays elsewhere", file=address.shown
        ) from None
