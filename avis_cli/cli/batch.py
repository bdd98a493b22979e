"""What is done with one input: looked at, computed, written, to a complete folder of results or none."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avis_cli.cli import console
from avis_cli.cli.devices import place
from avis_cli.cli.model_choice import find_weights
from avis_cli.errors import AvisError, MediaError, UsageError, WeightsError
from avis_cli.options import SegmentOptions
from avis_cli.progress import Progress, silent

if TYPE_CHECKING:
    from avis_cli.cli.inputs import Job
    from avis_cli.files.output_folder import OutputFolder
    from avis_cli.hub import ResolvedWeights
    from avis_cli.inference.model import Model
    from avis_cli.media.clip import ClipInfo
    from avis_cli.results.clip import ClipResult


@dataclass(frozen=True)
class Plan:
    """An input that can be worked on. ``checksum``: SHA-256 of the file; ``done``: its results are there already."""

    job: Job
    clip: ClipInfo
    checksum: str
    fingerprint: str
    weights: ResolvedWeights
    done: bool


class Batch:
    """The steps of every job; the weights are found when the first job is, and loaded when the first one needs them.

    Steps of several jobs may run at once in threads of one process, ``compute`` once at a time for each device.
    """

    def __init__(
        self,
        options: SegmentOptions,
        model: str | None,
        devices: tuple[str, ...],
        *,
        offline: bool,
        overwrite: bool,
        skip_existing: bool,
    ) -> None:
        self._options = options
        self._wanted, self._offline = model, offline
        self.devices = devices
        self._overwrite, self._skip_existing = overwrite, skip_existing
        self._weights: ResolvedWeights | None = None
        self._weights_lock = threading.Lock()
        self._models: dict[int, Model] = {}

    @property
    def results(self) -> tuple[str, ...]:
        """What is written of each input."""
        return self._options.only

    def plan(self, job: Job, progress: Progress = silent) -> Plan:
        """All that can be found out about a job without the network, which then cannot fail for it.

        Raises AvisError for what can be seen to fail.
        """
        from avis_cli.files.output_folder import checksum, fingerprint, is_complete

        clip = self._look(job)
        weights = self._find_weights()
        try:
            sha256 = checksum(job.source, progress)
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror or error}", file=job.source) from error
        made_from = fingerprint(sha256, {**self._options.understood(), "weights": weights.sha256})
        plan = Plan(job, clip, sha256, made_from, weights, self._may_skip(job) and is_complete(job.target, made_from))
        if plan.done:
            _tidy(job)
        else:
            self.folder(plan).prepare()
        return plan

    def would_segment(self, job: Job) -> bool:
        """Whether a job would be computed; False if its results are there. Raises AvisError if it would be refused."""
        if self._may_skip(job):
            return not self.plan(job).done
        self._look(job)
        return True

    def folder(self, plan: Plan) -> OutputFolder:
        """The folder that a job's results go to."""
        from avis_cli.files.output_folder import OutputFolder

        return OutputFolder(plan.job.target, overwrite=self._overwrite, fingerprint=plan.fingerprint)

    def compute(self, plan: Plan, worker: int, progress: Progress) -> ClipResult:
        """The result of one input from the network on the device of ``worker``."""
        import avis_cli.segment as pipeline

        model = self._load(plan.weights, worker)
        try:
            return pipeline.segment(plan.job.source, model, self._options, progress=progress, warn=_warner(plan.job))
        except AvisError as error:
            if error.file is None and not concerns_all(error):
                error.file = os.fspath(plan.job.source)
            raise

    def write(self, plan: Plan, folder: OutputFolder, part: Path, result: ClipResult, progress: Progress) -> None:
        """Every result that is wanted into ``part``, what ``folder`` is called until it is complete.

        Raises MediaError if the input is no longer what it was when the job was planned.
        """
        from avis_cli.writers.masks import write_masks
        from avis_cli.writers.overlay import overlay_clip
        from avis_cli.writers.report import report_clip
        from avis_cli.writers.tracks import write_tracks

        job, options = plan.job, self._options
        if "tracks" in options.only:
            write_tracks(part / "tracks.json", result)
        if "masks" in options.only:
            write_masks(part / "masks", result, colours=options.draw.colours, progress=progress)
        if "overlay" in options.only:
            overlay_clip(
                part / "overlay.mp4", result, job.source, plan.clip, until=options.end,
                style=options.draw, progress=progress, warn=_warner(job), **self._options.limits,
            )  # fmt: skip
        if "report" in options.only:
            overlay = "overlay.mp4" if "overlay" in options.only else None
            report_clip(
                part / "report.html", result, job.source, plan.clip, overlay=overlay, colours=options.draw.colours,
                warn=_warner(job), **self._options.limits,
            )  # fmt: skip
        _require_unchanged(plan)
        folder.about["tracks"] = len(result.tracks)

    def seconds(self, clip: ClipInfo) -> float:
        """How much of a clip is worked on, as far as its headers can be believed."""
        start, end = self._options.start, self._options.end
        return max(0.0, float((clip.duration if end is None else min(end, clip.duration)) - start))

    def _look(self, job: Job) -> ClipInfo:
        # what can be seen to fail without the network fails before it is found and loaded
        from avis_cli.files.output_folder import OutputFolder
        from avis_cli.media import decode

        clip = decode.probe(job.source, audio_track=self._options.audio_track, **self._options.limits)
        if not (self._options.allow_silent or self._options.mute):
            clip.require_sound()
        if not self._may_skip(job):
            OutputFolder(job.target, overwrite=self._overwrite).prepare()
        return clip

    def _may_skip(self, job: Job) -> bool:
        return self._skip_existing and os.path.lexists(job.target)

    def _find_weights(self) -> ResolvedWeights:
        with self._weights_lock:
            if self._weights is None:
                self._weights = find_weights(self._wanted, offline=self._offline)
            return self._weights

    def _load(self, weights: ResolvedWeights, worker: int) -> Model:
        from avis_cli.inference import loading

        if worker not in self._models:
            self._models[worker] = loading.load(weights, place(self.devices[worker]), self._options.precision)
        return self._models[worker]


def concerns_all(error: BaseException) -> bool:
    """Whether every other input would meet the same: the model, or a setting, is at fault."""
    return isinstance(error, WeightsError) or (isinstance(error, UsageError) and error.file is None)


def _require_unchanged(plan: Plan) -> None:
    from avis_cli.media.container import file_identity

    try:
        same = file_identity(plan.job.source) == plan.clip.identity
    except OSError:
        same = False
    if not same:
        raise MediaError(
            "the file has changed while it was read", hint="run again when it is complete", file=plan.job.source
        )


def _tidy(job: Job) -> None:
    """Remove what a killed run left beside results that were complete before."""
    from avis_cli.files import partial

    partial.remove_leftovers(job.target)


def _warner(job: Job) -> Any:
    return lambda text: console.warn(f"{job.source}: {text}")
