"""What decides the results of ``avis segment`` besides the input and the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from avis_cli.errors import UsageError
from avis_cli.writers.style import DrawStyle

RESULTS = ("overlay", "masks", "tracks", "report")
_NOT_COMPUTED_WITH = ("precision", "only", "draw")  # the network is loaded at a precision; the rest is for the writers


@dataclass(frozen=True)
class Settings:
    """What decides a result besides the input and the weights; times and rates as the user typed them."""

    fps: str | None
    mask_fps: str | None
    start: str | None
    end: str | None
    threshold: float
    max_tracks: int | None
    audio_track: str | None
    allow_silent: bool
    mute: bool
    gate: bool | None
    window: int | None
    max_gap: float
    strict: bool
    max_pixels: int | None
    precision: str
    only: tuple[str, ...]
    draw: DrawStyle

    def arguments(self) -> dict[str, Any]:
        """What the pipeline is called with. Raises UsageError for a time, a rate or a threshold that is none."""
        from avis_cli.cli.quantities import rate, seconds

        if not 0 <= self.threshold <= 1:  # not a number passes every comparison but this one
            raise UsageError(f"--threshold {self.threshold}, expected a number from 0 to 1")
        values = {name: value for name, value in asdict(self).items() if name not in _NOT_COMPUTED_WITH}
        if not self.max_gap >= 0:
            raise UsageError(f"--max-gap {self.max_gap}, expected seconds, 0 or more")
        values["fps"] = None if self.fps is None else rate(self.fps, "--fps")
        if self.mask_fps is not None and self.mask_fps != "video":
            values["mask_fps"] = rate(self.mask_fps, "--mask-fps")
        values["start"] = seconds(self.start or "0", "--start")
        values["end"] = None if self.end is None else seconds(self.end, "--end")
        if values["end"] is not None and values["end"] <= values["start"]:
            raise UsageError(f"--start {self.start or 0} --end {self.end}, expected an end after the start")
        if self.max_pixels is None:
            del values["max_pixels"]
        return values

    def understood(self) -> dict[str, Any]:
        """JSON values of all that decides a result, as understood, not as typed: ``--fps 2`` is ``--fps 2.0``."""
        values: dict[str, Any] = {name: str(value) for name, value in self.arguments().items() if name != "max_pixels"}
        return {**values, "precision": self.precision, "only": list(self.only), "draw": asdict(self.draw)}
