"""What is done with one input: looked at, computed, written, to a complete folder of results or none."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from avis_cli.batch import model_choice
from avis_cli.batch.cancel import CancelToken, with_cancellation
from avis_cli.batch.events import EventSink, progress_of, warner
from avis_cli.batch.job import FoundTrack, Job, Outcome, RunSettings, concerns_all
from avis_cli.batch.stage import LocalJob, Stage, about, is_complete, is_there, require_free
from avis_cli.errors import AvisError, MediaError
from avis_cli.progress import Progress, silent

if TYPE_CHECKING:
    from avis_cli.hub import ResolvedWeights
    from avis_cli.inference.model import Model
    from avis_cli.media.clip_info import ClipInfo
    from avis_cli.outputs import AnyResult
    from avis_cli.writers.result_folder import ResultFolder


@dataclass(frozen=True)
class PreparedJob:
    """An input that can be worked on. ``here``: the same with paths of this machine, which a file of a store has been
    copied to; ``sha256``: of the file; ``is_done``: its results are there already."""

    job: Job
    here: LocalJob
    clip: ClipInfo
    sha256: str
    fingerprint: str
    weights: ResolvedWeights
    is_done: bool


class JobSteps:
    """The steps of every job of a run; the weights are found when the first job is prepared, and loaded when the first
    one needs them.

    Steps of several jobs may run at once in threads of one process, ``compute`` once at a time for each device.
    """

    def __init__(self, settings: RunSettings, events: EventSink, cancel: CancelToken) -> None:
        self._settings, self._events, self._cancel = settings, events, cancel
        self._options = settings.options
        self._weights: ResolvedWeights | None = None
        self._weights_lock = threading.Lock()
        self._models: dict[int, Model] = {}
        self._stage = Stage()

    def run(self, job: Job) -> Outcome:
        """All steps of one job, one after another. Raises what ends it."""
        prepared = self.prepare(job)
        if prepared.is_done:
            return self.skipped(prepared)
        folder = self.folder(prepared)
        with folder as partial:
            result = self.compute(prepared, 0)
            self.write(prepared, folder, partial, result)
        return self.done(prepared, result)

    def close(self) -> None:
        """Remove what was copied from stores, or made for them, and has not been removed yet."""
        self._stage.close()

    def discard(self, job: Job) -> None:
        """Remove what was copied or made for a job that goes no further."""
        self._stage.discard(job)

    def load(self) -> None:
        """Find the weights and load them on the first device, as the first job would. Raises WeightsError."""
        self._load(self._find_weights(), 0)

    def prepare(self, job: Job) -> PreparedJob:
        """All that can be found out about a job without the network, which then cannot fail for it.

        Raises AvisError for what can be seen to fail.
        """
        from avis_cli.writers.result_folder import fingerprint

        with self._stage.named(job):
            self._require_free(job)
            here = self._stage.fetched(job)
            clip = self._look(here)
            weights = self._find_weights()
            sha256 = _checksum(clip, self._progress(job))
            made_from = fingerprint(sha256, {**self._options.understood(), "weights": weights.sha256})
            is_done = self._may_skip(job) and is_complete(job.target, made_from)
            prepared = PreparedJob(job, here, clip, sha256, made_from, weights, is_done)
            if is_done:
                _tidy(job)
            else:
                self._require_free(job, may_skip=False)
            return prepared

    def would_segment(self, job: Job) -> bool:
        """Whether a job would be computed; False if its results are there. Raises AvisError if it would be refused."""
        try:
            if self._may_skip(job):
                return not self.prepare(job).is_done
            with self._stage.named(job):
                self._require_free(job)
                self._look(self._stage.fetched(job))
            return True
        finally:
            self.discard(job)

    def folder(self, prepared: PreparedJob) -> ResultFolder:
        """The folder that a job's results go to."""
        from avis_cli.writers.result_folder import ResultFolder

        return ResultFolder(prepared.here.target, overwrite=self._settings.overwrite, fingerprint=prepared.fingerprint)

    def compute(self, prepared: PreparedJob, worker: int) -> AnyResult:
        """The result of one input from the network on the device of ``worker``."""
        from avis_cli.segment import segment

        job, model = prepared.job, self._load(prepared.weights, worker)
        with self._stage.named(job):
            try:
                return segment(
                    prepared.here.source, model, self._options, progress=self._progress(job), warn=self._warner(job)
                )  # fmt: skip
            except AvisError as error:
                if error.file is None and not concerns_all(error):
                    error.file = job.name
                raise

    def write(self, prepared: PreparedJob, folder: ResultFolder, partial: Path, result: AnyResult) -> None:
        """Every result that is wanted into ``partial``, what ``folder`` is called until it is complete.

        Raises MediaError if the input is no longer what it was when the job was prepared.
        """
        from avis_cli.outputs import write_results

        job = prepared.job
        progress, warn = self._progress(job), self._warner(job)
        linked = job.called is None and isinstance(job.source, Path)
        with self._stage.named(job):
            write_results(partial, result, prepared.clip, self._options, progress, warn, linked=linked)
            _require_unchanged(prepared)
        folder.about["tracks"] = len(result.tracks)

    def done(self, prepared: PreparedJob, result: AnyResult) -> Outcome:
        """The outcome of a job whose results are complete now."""
        from avis_cli.results.semantic import SemanticResult

        self._stage.publish(prepared.job)
        self.discard(prepared.job)
        found = tuple(FoundTrack(track.id, track.label, track.score, tuple(track.sounding)) for track in result.tracks)
        of_classes = isinstance(result, SemanticResult)
        return self._complete(prepared, Outcome(prepared.job, "done", len(found), found, of_classes=of_classes))

    def skipped(self, prepared: PreparedJob) -> Outcome:
        """The outcome of a job whose results were there before."""
        tracks = about(prepared.job.target).get("tracks")
        self.discard(prepared.job)
        return self._complete(prepared, Outcome(prepared.job, "skipped", tracks if isinstance(tracks, int) else None))

    def _complete(self, prepared: PreparedJob, outcome: Outcome) -> Outcome:
        clip, start, end = prepared.clip, self._options.start, self._options.end
        # as far as the headers can be believed
        seconds = max(0.0, float((clip.duration if end is None else min(end, clip.duration)) - start))
        return replace(
            outcome,
            seconds=seconds,
            size=None if clip.identity is None else clip.identity[0],
            sha256=prepared.sha256,
            weights=(prepared.weights.name, prepared.weights.sha256),
        )

    def _progress(self, job: Job | None) -> Progress:
        return with_cancellation(progress_of(self._events, job), self._cancel)

    def _warner(self, job: Job) -> Callable[[str], None]:
        warn = warner(self._events, job)
        return lambda text: warn(self._stage.own_names(job, text))

    def _look(self, here: LocalJob) -> ClipInfo:
        # what can be seen to fail without the network fails before it is found and loaded
        from avis_cli.media import decode

        clip = decode.probe(here.source, **self._options.reading)
        if not (self._options.allow_silent or self._options.mute):
            clip.require_sound()
        return clip

    def _require_free(self, job: Job, *, may_skip: bool = True) -> None:
        """Raise OutputError if results are there that may neither be skipped nor replaced, or none can be written."""
        if not (may_skip and self._may_skip(job)):
            require_free(job.target, overwrite=self._settings.overwrite)

    def _may_skip(self, job: Job) -> bool:
        return self._settings.skip_existing and is_there(job.target)

    def _find_weights(self) -> ResolvedWeights:
        with self._weights_lock:
            if self._weights is None:
                settings = self._settings
                self._weights = model_choice.find_weights(
                    settings.model, offline=settings.offline, note=self._events.note, progress=self._progress(None)
                )
            return self._weights

    def _load(self, weights: ResolvedWeights, worker: int) -> Model:
        if worker not in self._models:
            device = self._settings.devices[worker]
            self._models[worker] = model_choice.load(weights, device, self._options.precision, self._events.warn)
        return self._models[worker]


def _require_unchanged(prepared: PreparedJob) -> None:
    from avis_cli.media.decode import is_unchanged

    if not is_unchanged(prepared.clip):
        raise MediaError(
            "the file has changed while it was read", hint="run again when it is complete", file=prepared.here.source
        )


def _checksum(clip: ClipInfo, progress: Progress) -> str:
    """SHA-256 of a video file; where a clip is made of several files, of their names and checksums."""
    from avis_cli.files.checksum import sha256_of

    files = [Path(clip.file, name) for name in clip.pictures] or [Path(clip.file)]
    files += [Path(clip.other_sound.file)] if clip.other_sound is not None else []
    marks = []
    for number, file in enumerate(files, start=1):
        try:
            marks.append(sha256_of(file, progress if len(files) == 1 else silent))
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror or error}", file=file) from error
        if len(files) > 1:
            progress("checking files", number, len(files))
    if len(files) == 1:
        return marks[0]
    listed = "".join(f"{mark} {file.name!r}\n" for mark, file in zip(marks, files, strict=True))
    return hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()


def _tidy(job: Job) -> None:
    """Remove what a killed run left beside results that were complete before."""
    from avis_cli.files import partial

    if isinstance(job.target, Path):
        partial.remove_leftovers(job.target)
