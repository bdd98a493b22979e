"""Every video of a split through one model -> a results list, one video after another, to be continued if cut off."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avis_cli.batch import model_choice
from avis_cli.batch.results_list import ResultsList, is_complete
from avis_cli.datasets.aviseg import ClipFiles, find_clip, find_split
from avis_cli.datasets.tracks import Category, Video
from avis_cli.datasets.truth import read_truth
from avis_cli.errors import AnnotationError, ClusterError, MediaError, UsageError
from avis_cli.files.checksum import sha256_of
from avis_cli.files.json_file import DEFAULT_MAX_BYTES
from avis_cli.inference.aurora import require_refinement
from avis_cli.inference.clip_frames import StillFrames, network_size
from avis_cli.inference.model import Model
from avis_cli.inference.segment_clip import ClipSettings, Embedder, segment_clip
from avis_cli.media.clip_info import Waveform
from avis_cli.media.waveform import read_sound
from avis_cli.options import SegmentOptions
from avis_cli.progress import Progress, silent
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult
from avis_cli.results.source import Source
from avis_cli.segment import describe, heard_at, listen
from avis_cli.version import __version__


def _ignore(note: str) -> None:
    """For callers who want no notes."""


@dataclass(frozen=True)
class DatasetOptions:
    """How a model is run over a dataset.

    ``threshold``, ``gate``, ``mute``, ``refine``: as ``SegmentOptions`` has them. ``null_empty``: null where a track
    has no mask, in place of the all-zero run length that the released program writes. ``overwrite``: start anew
    whatever is there; ``max_bytes``: how large the annotations may be, unpacked too.
    """

    threshold: float = SegmentOptions.threshold
    gate: bool | None = None
    mute: bool = False
    null_empty: bool = False
    overwrite: bool = False
    max_bytes: int = DEFAULT_MAX_BYTES
    refine: str = SegmentOptions.refine


def run_dataset(
    model: Model,
    data: str | os.PathLike[str],
    split: str,
    output: str | os.PathLike[str],
    options: DatasetOptions | None = None,
    progress: Progress = silent,
    note: Callable[[str], None] = _ignore,
    elsewhere: Elsewhere | None = None,
) -> Path:
    """The results list of ``model`` on a split of a dataset in AVISeg's layout, at ``output``.

    The network looks at the annotated frames, taken as ``model.config.fps`` a second, which is one for every preset.
    Sound comes from the WAV; a network that reads VGGish embeddings takes those of FEATAudios where they are there.

    Finished videos are kept beside ``output`` until all are there; the same call goes on after them. A list that is
    complete and was made with the same settings, weights and annotations is used again. ``note`` is told, in a line
    each, what is used again. ``elsewhere``: does the videos in other processes; the list is the same.
    Raises AnnotationError for the dataset's annotations, MediaError for its pictures and sound, OutputError for
    results that are there already or cannot be written, UsageError for a refinement that the model does not have.
    """
    options = options or DatasetOptions()
    if options.gate is None:
        options = replace(options, gate=model.config.gate)
    require_refinement(model, options.refine)
    paths, output = find_split(Path(data), split), Path(output)
    truth = paths.truth
    if output.suffix == ".gz" or (output.exists() and truth.exists() and output.samefile(truth)):
        raise UsageError("cannot hold the results", hint="name another file, ending in .json", file=output)
    dataset = read_truth(truth, allow_empty=True, max_bytes=options.max_bytes)
    ids = category_ids(model, dataset.categories, truth)
    embedded = model.config.audio == "vggish"
    clips = [find_clip(paths, video, embedded=embedded, mute=options.mute) for video in dataset.videos]
    device = model.device.type if elsewhere is None else elsewhere.device
    settings = describe_run(model, truth, clips, options, device)
    if not options.overwrite and is_complete(output, settings):
        note(f"{output}: made earlier with the same settings, used again")
        return output
    with ResultsList(output, settings, overwrite=options.overwrite) as results:
        if results.done:
            note(f"{output}: going on after {len(results.done)} of {len(clips)} videos")
        # only what is left to do counts, or the time left would be reckoned from what took none
        known = set(results.done)
        left = [place for place, clip in enumerate(clips) if clip.video.id not in known]
        progress("videos", 0, len(left))

        def done(place: int, found: list[dict[str, Any]]) -> None:
            results.add(clips[place].video.id, found)
            progress("videos", len(results.done) - len(known), len(left))

        if elsewhere is None:
            for place in left:
                clip = clips[place]
                done(place, entries(run_clip(model, clip, options), clip.video, ids, options.null_empty))
        elif left:
            elsewhere.work(left, done)
        results.finish([clip.video.id for clip in clips])
    return output


@dataclass(frozen=True)
class Elsewhere:
    """``work``: tells its second argument the elements of each video whose place in the split it is given, as they
    come; ``device``: on which kind of device that is."""

    work: Callable[[Sequence[int], Callable[[int, list[dict[str, Any]]], None]], None]
    device: str


class DatasetWorker:
    """Does videos of a split by their place in it, in a process of its own. ``model``: as the user named it;
    ``sha256``: of the weights that the driver has."""

    def __init__(
        self,
        model: tuple[str | None, str | None],
        device: str,
        precision: str,
        data: tuple[Path, str],
        options: DatasetOptions,
        offline: bool = False,
    ) -> None:
        (self._name, self._sha256), self._device, self._precision = model, device, precision
        (self._data, self._split), self._options, self._offline = data, options, offline

    def start(self) -> None:
        """Load the weights and read the annotations. Raises WeightsError, AnnotationError; ClusterError where this
        machine has other weights."""
        weights = model_choice.find_weights(self._name, offline=self._offline, note=_ignore)
        if weights.sha256 != self._sha256:
            hint = "give every machine the same file"
            raise ClusterError(f"{weights.name} is another file here than for the driver", hint=hint)
        self._model = model_choice.load(weights, self._device, self._precision, _ignore)
        paths = find_split(self._data, self._split)
        dataset = read_truth(paths.truth, allow_empty=True, max_bytes=self._options.max_bytes)
        self._ids = category_ids(self._model, dataset.categories, paths.truth)
        embedded, mute = self._model.config.audio == "vggish", self._options.mute
        self._clips = [find_clip(paths, video, embedded=embedded, mute=mute) for video in dataset.videos]

    def run(self, task: int) -> list[dict[str, Any]]:
        """The elements of the results list that a video adds."""
        clip = self._clips[task]
        found = run_clip(self._model, clip, self._options)
        return entries(found, clip.video, self._ids, self._options.null_empty)


def run_clip(model: Model, clip: ClipFiles, options: DatasetOptions, window: int | None = None) -> ClipResult:
    """What ``model`` finds in one video of a dataset. ``window``: token frames tracked together, None for all: whoever
    compares scores wants the tracker to see the whole video, as published."""
    video, fps = clip.video, Fraction(model.config.fps)
    size = video.height, video.width
    frames = StillFrames(clip.frames, fps, size, network_size(*size, model.config.short_side, model.config.long_side))
    embed = hear_clip(model, clip.sound, video.length)
    settings = ClipSettings(size, options.threshold, options.gate, window=window or video.length, refine=options.refine)
    found = segment_clip(model, frames, embed, settings)
    source = Source(video.name, video.width, video.height, 0, float(video.length / fps), f"{fps.numerator}/1", None)
    return describe(model, source, frames.sampling, options.threshold, found)


def entries(result: ClipResult, video: Video, ids: dict[int, int], null_empty: bool) -> list[dict[str, Any]]:
    """The elements of the results list that a video adds. ``ids``: the model's category ids -> the dataset's."""
    empty = None if null_empty else run_length.encode(np.zeros((video.height, video.width), bool))
    return [
        {
            "video_id": video.id,
            "category_id": ids[track.category_id],
            "score": track.score,
            "segmentations": [empty if mask is None else mask for mask in track.masks],
        }
        for track in result.tracks
    ]


def category_ids(model: Model, categories: list[Category], truth: Path) -> dict[int, int]:
    """The model's category ids, from 1, -> those that the dataset gives the same names.

    Case, blanks and underscores do not matter. Raises AnnotationError if the dataset lacks one of them.
    """
    known = {_plain(category.name): category.id for category in categories}
    missing = [name for name in model.config.categories if _plain(name) not in known]
    if missing:
        listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise AnnotationError(
            f"no category named {listed}, which {model.name} tells apart",
            hint="give --model one that was trained on the dataset's categories",
            file=truth,
        )
    return {number: known[_plain(name)] for number, name in enumerate(model.config.categories, start=1)}


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def describe_run(
    model: Model, truth: Path, clips: list[ClipFiles], options: DatasetOptions, device: str
) -> dict[str, Any]:
    """All that decides the results, as JSON values: what a run that is continued has to agree in.

    Pictures and sound are taken to be what they were while the annotations are.
    """
    sound = {clip.sound.suffix if clip.sound else "mute" for clip in clips}
    return {
        "avis": __version__,
        # tensors without a file cannot be told from others: nothing made with them is ever taken up again
        "weights": model.weights_sha256 or f"not from a file, {os.urandom(8).hex()}",
        "annotations": sha256_of(truth),
        "split": truth.stem,
        "sound": " ".join(sorted(sound)),
        "threshold": options.threshold,
        "gate": options.gate,
        "null-empty": options.null_empty,
        # left out where it is what it was before there was a choice, so that lists of that time are used again
        **({} if options.refine == SegmentOptions.refine else {"refine": options.refine}),
        "precision": model.precision,
        "device": device,
    }


def hear_clip(model: Model, sound: Path | None, frames: int) -> Embedder:
    """Times of token frames -> their audio embeddings, from a .wav, a .npy or, without either, silence.

    A second of a WAV with too few samples for one patch is a patch of zeros, which is the released rule; silence is
    digital silence, as ``segment(mute=True)`` has it. Raises MediaError naming a file that cannot be used.
    """
    fps = Fraction(model.config.fps)
    silence = listen(model, Waveform(np.zeros(0, np.float32)))
    if sound is None:
        return silence
    if sound.suffix == ".npy":
        cached = read_embeddings(sound, frames, model.config.audio_width)

        def in_file(times: Sequence[Fraction]) -> NDArray[np.float32]:
            return cached[[int(time * fps) for time in times]]

        embed: Embedder = in_file
    else:
        # the second that the last frame hears begins with it
        embed = listen(model, read_sound(sound, seconds=(frames - 1) / fps + 1), whole_seconds=False)
    if not model.is_online:
        return embed

    def at(times: Sequence[Fraction]) -> NDArray[np.float32]:
        seconds = heard_at(model, times)
        parts = [np.asarray((silence if second < 0 else embed)([second])) for second in seconds]
        return np.concatenate(parts)

    return at


def read_embeddings(path: Path, frames: int, width: int) -> NDArray[np.float32]:
    """One finite embedding per frame (T, D), float32. Raises MediaError for anything else."""
    try:
        # mapped, so that a header that promises more than the file holds is found out before memory is asked for
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        found = array if isinstance(array, np.ndarray) else None
    except (OSError, ValueError, EOFError) as error:
        raise MediaError(f"not an array that can be read ({error})", hint=_EXPECTED, file=path) from None
    if found is None or found.shape != (frames, width) or found.dtype.kind != "f":
        got = "several arrays" if found is None else f"{found.dtype} {found.shape}"
        raise MediaError(f"{got}, expected floats ({frames}, {width}), one row per frame", hint=_EXPECTED, file=path)
    values = np.array(found, dtype=np.float32)
    if not np.isfinite(values).all():
        raise MediaError("holds numbers that are not finite", hint=_EXPECTED, file=path)
    return values


_EXPECTED = "give VGGish embeddings, or remove the file to use the WAV"
