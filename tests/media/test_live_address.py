"""What a live source may be called."""

from __future__ import annotations

import pytest

from avis_cli.errors import MediaError, UsageError
from avis_cli.media import live_address
from avis_cli.media.live_address import open_address, parse_address, parse_sound_address


@pytest.mark.parametrize(
    ("text", "place", "format", "is_live"),
    [
        ("-", "-", None, False),
        ("clip.mp4", "clip.mp4", None, False),
        ("./a:b.mp4", "./a:b.mp4", None, False),
        ("lavfi:testsrc[out0];sine[out1]", "testsrc[out0];sine[out1]", "lavfi", False),
        ("/dev/video3", "/dev/video3", "v4l2", True),
        ("rtsp://host/x", "rtsp://host/x", None, True),
        ("SRT://host:9", "SRT://host:9", None, True),
        ("https://host/x.m3u8", "https://host/x.m3u8", None, True),
    ],
)
def test_each_kind_is_known(text: str, place: str, format: str | None, is_live: bool) -> None:
    address = parse_address(text)
    assert (address.place, address.format, address.is_live) == (place, format, is_live)
    assert address.is_file == (text in ("clip.mp4", "./a:b.mp4"))


@pytest.mark.parametrize("text", ["ftp://x/y", "file:///etc/passwd", "gopher://x", "concat://a"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"an address of the kind .*expected one of rtsp"):
        parse_address(text)


def test_what_a_network_source_leads_to_is_never_a_file() -> None:
    for text in ("http://host/list.m3u8", "rtsp://host/x"):
        allowed = parse_address(text).options["protocol_whitelist"].split(",")
        assert "file" not in allowed
        assert "http" in allowed


def test_passwords_are_left_out_of_what_is_shown() -> None:
    assert parse_address("rtsp://me:secret@host/x").shown == "rtsp://host/x"
    assert parse_address("rtsp://host/x@y").shown == "rtsp://host/x@y"
    with pytest.raises(MediaError) as caught:
        open_address(parse_address("rtsp://me:secret@127.0.0.1:9/x"), 2.0)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("system", "formats", "text", "place", "form"),
    [
        ("linux", {"video4linux2,v4l2"}, "camera:2", "/dev/video2", "v4l2"),
        ("darwin", {"avfoundation"}, "camera:0", "0", "avfoundation"),
        ("win32", {"dshow"}, "camera:Cam", "video=Cam", "dshow"),
    ],
)
def test_cameras_of_each_system(
    monkeypatch: pytest.MonkeyPatch, system: str, formats: set[str], text: str, place: str, form: str
) -> None:
    monkeypatch.setattr(live_address.sys, "platform", system)
    monkeypatch.setattr(live_address.av, "formats_available", formats)
    address = parse_address(text)
    assert (address.place, address.format, address.is_live) == (place, form, True)


def test_what_this_installation_cannot_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_address.sys, "platform", "linux")
    monkeypatch.setattr(live_address.av, "formats_available", {"mp4"})
    with pytest.raises(UsageError, match=r"reads no cameras \(v4l2 is missing\)"):
        parse_address("camera:0")
    with pytest.raises(UsageError, match="reads no microphone"):
        parse_sound_address("mic:default")
    monkeypatch.setattr(live_address.av, "formats_available", {"v4l2", "alsa"})
    assert parse_sound_address("mic:").place == "default"
    assert parse_sound_address("mic:hw:1").place == "hw:1"
    assert parse_sound_address("sound.wav").is_file
    with pytest.raises(UsageError, match="expected a number such as camera:0"):
        parse_address("camera:front")
