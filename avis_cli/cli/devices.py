"""The devices that ``--device`` names: one, or several that share the inputs between them."""

from __future__ import annotations

from avis_cli.cli import console
from avis_cli.errors import UsageError


def parse_devices(text: str) -> tuple[str, ...]:
    """``cuda:0,cuda:1`` -> one entry for each. Raises UsageError for a list with a gap in it."""
    devices = tuple(part.strip() for part in text.split(","))
    if len(devices) > 1 and not all(devices):
        raise UsageError(f"--device {text!r}, expected a device or a list such as cuda:0,cuda:1")
    return devices


def require_devices(devices: tuple[str, ...]) -> None:
    """Raise UsageError if one of them is not on this machine."""
    for device in devices:
        if device not in ("auto", "cpu"):  # these are always there, and asking for others takes a second
            from avis_cli.inference.loading import choose_device

            choose_device(device)


def place(device: str) -> str:
    """The device that ``auto`` means on this machine, with a warning where that leaves out a GPU; others as they are.

    Asking takes as long as importing torch: to be called where the network is loaded anyway.
    """
    if device != "auto":
        return device
    from avis_cli.inference.loading import choose_device

    return str(choose_device(device, console.warn))
