"""The network of a run: which weights, and on which devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from avis_cli.errors import UsageError
from avis_cli.progress import Progress, silent

if TYPE_CHECKING:
    from avis_cli.hub import ResolvedWeights
    from avis_cli.inference.model import Model


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


def place(device: str, warn: Callable[[str], None]) -> str:
    """The device that ``auto`` means on this machine, with a warning where that leaves out a GPU; others as they are.

    Asking takes as long as importing torch: to be called where the network is loaded anyway.
    """
    if device != "auto":
        return device
    from avis_cli.inference.loading import choose_device

    return str(choose_device(device, warn))


def find_weights(
    wanted: str | None, *, offline: bool, note: Callable[[str], None], progress: Progress = silent
) -> ResolvedWeights:
    """The checked weights of ``wanted``; ``note`` is told what is fetched, and of the default model what it was trained
    on.

    Raises WeightsError.
    """
    from avis_cli import hub

    found = hub.resolve(wanted, offline=offline, progress=progress, note=note)
    if wanted is None and found.note is not None:
        note(f"{found.note}; `avis weights list` shows the others and how to get them")
    return found


def load(weights: ResolvedWeights, device: str, precision: str, warn: Callable[[str], None]) -> Model:
    """The network on ``device``, ready for use."""
    from avis_cli.inference import loading

    return loading.load(weights, place(device, warn), precision)


def is_semantic(weights: ResolvedWeights) -> bool:
    """Whether they are those of a network that makes class maps, as far as their preset tells."""
    from avis_cli.inference.loading import makes_maps

    return weights.preset is not None and makes_maps(weights.preset)
