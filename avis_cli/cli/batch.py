"""One input after another through one model, each to a complete folder of results or none."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avis_cli.cli import console
from avis_cli.cli.model_choice import find_weights
from avis_cli.errors import MediaError, UsageError

if TYPE_CHECKING:
    from avis_cli.cli.inputs import Job
    from avis_cli.hub import ResolvedWeights
    from avis_cli.loading import Model
    from avis_cli.media.clip import ClipInfo
    from avis_cli.results import ClipResult

RESULTS = ("overlay", "masks", "tracks")


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
    strict: bool
    max_pixels: int | None
    precision: str
    only: tuple[str, ...]

    def arguments(self) -> dict[str, Any]:
        """What the pipeline is called with. Raises UsageError for a time, a rate or a threshold that is none."""
        from avis_cli.cli.quantities import rate, seconds

        if not 0 <= self.threshold <= 1:  # not a number passes every comparison but this one
            raise UsageError(f"--threshold {self.threshold}, expected a number from 0 to 1")
        values = {name: value for name, value in asdict(self).items() if name not in ("precision", "only")}
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


class Batch:
    """Runs jobs; the weights are found when the first job is, and loaded when the first one needs them."""

    def __init__(
        self,
        settings: Settings,
        model: str | None,
        device: str,
        *,
        offline: bool,
        overwrite: bool,
        skip_existing: bool,
    ) -> None:
        self._settings = settings
        self._arguments = settings.arguments()
        self._limits = {} if settings.max_pixels is None else {"max_pixels": settings.max_pixels}
        self._wanted, self._device, self._offline = model, device, offline
        self._overwrite, self._skip_existing = overwrite, skip_existing
        self._weights: ResolvedWeights | None = None
        self._model: Model | None = None
        if device not in ("auto", "cpu"):  # these are always there, and asking for others takes a second
            from avis_cli.loading import choose_device

            choose_device(device)

    def run(self, job: Job) -> str:
        """Writes the results of one input and returns them in short, as JSON. Raises AvisError."""
        from avis_cli.writers.output_folder import OutputFolder, is_complete

        # what can be seen to fail without the network fails before it is found and loaded
        clip = self._probe(job)
        if not (self._settings.allow_silent or self._settings.mute):
            clip.require_sound()
        may_skip = self._skip_existing and os.path.lexists(job.target)
        if not may_skip:
            OutputFolder(job.target, overwrite=self._overwrite).prepare()
        weights = self._find_weights()
        made_from = self._fingerprint(job, weights)
        if may_skip and is_complete(job.target, made_from):
            console.note(f"{job.source}: done before, skipped")
            return json.dumps({"input": str(job.source), "output": str(job.target), "skipped": True})
        folder = OutputFolder(job.target, overwrite=self._overwrite, fingerprint=made_from)
        folder.prepare()
        model = self._load(weights)
        with folder as part, console.progress_bar() as progress:
            result = self._segment(job, model, progress)
            self._write(part, result, job, progress)
        return json.dumps(_summary(job, result))

    def _probe(self, job: Job) -> ClipInfo:
        from avis_cli.media import decode

        return decode.probe(job.source, audio_track=self._settings.audio_track, **self._limits)

    def _fingerprint(self, job: Job, weights: ResolvedWeights) -> str:
        from avis_cli.writers.output_folder import fingerprint

        # as understood, not as typed: `--fps 2` is `--fps 2.0`
        settings = {name: str(value) for name, value in self._arguments.items() if name != "max_pixels"}
        chosen = {"precision": self._settings.precision, "only": self._settings.only, "weights": weights.sha256}
        try:
            return fingerprint(job.source, {**settings, **chosen})
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror or error}", file=job.source) from error

    def _find_weights(self) -> ResolvedWeights:
        if self._weights is None:
            self._weights = find_weights(self._wanted, offline=self._offline)
        return self._weights

    def _load(self, weights: ResolvedWeights) -> Model:
        from avis_cli import loading

        if self._model is None:
            self._model = loading.load(weights, self._device, self._settings.precision)
        return self._model

    def _segment(self, job: Job, model: Model, progress: Any) -> ClipResult:
        import avis_cli.segment as pipeline

        return pipeline.segment(job.source, model, progress=progress, warn=_warner(job), **self._arguments)

    def _write(self, part: Path, result: ClipResult, job: Job, progress: Any) -> None:
        from avis_cli.writers.masks import write_masks
        from avis_cli.writers.overlay import overlay_clip
        from avis_cli.writers.tracks import write_tracks

        if "tracks" in self._settings.only:
            write_tracks(part / "tracks.json", result)
        if "masks" in self._settings.only:
            write_masks(part / "masks", result, progress=progress)
        if "overlay" in self._settings.only:
            overlay_clip(
                part / "overlay.mp4", result, job.source, self._probe(job), until=self._arguments["end"],
                progress=progress, warn=_warner(job), **self._limits,
            )  # fmt: skip


def _warner(job: Job) -> Any:
    return lambda text: console.warn(f"{job.source}: {text}")


def _summary(job: Job, result: ClipResult) -> dict[str, Any]:
    tracks = [
        {"id": track.id, "category": track.label, "score": track.score, "sounding": track.sounding}
        for track in result.tracks
    ]
    return {"input": str(job.source), "output": str(job.target), "skipped": False, "tracks": tracks}
