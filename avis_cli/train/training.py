"""`avis train` from beginning to end: data, network, loop, gate threshold, weights file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from avis_cli.datasets.training_split import read_split
from avis_cli.errors import AnnotationError, OutputError, UsageError
from avis_cli.inference.devices import choose_device
from avis_cli.progress import Progress, silent
from avis_cli.train import checkpointing
from avis_cli.train.budget import Budget
from avis_cli.train.data import Sampler
from avis_cli.train.distributed import Processes, joined
from avis_cli.train.finish import Finish, RunRecord
from avis_cli.train.learner import Learner
from avis_cli.train.loop import Listeners, LoopSettings, Pace, run
from avis_cli.train.pack import PackedSource, fingerprint, fits_in_memory, packed
from avis_cli.train.predict import Hearing
from avis_cli.train.recipe import Recipe
from avis_cli.train.run_state import RunState
from avis_cli.train.save import NAME
from avis_cli.train.source import ClipSource, FolderSource
from avis_cli.train.start import start


@dataclass(frozen=True)
class TrainRequest:
    """What was asked for. ``split``, ``val_split``: of the data; ``init``: weights to start from; ``vggish``: audio
    network for presets that need one; ``pack``: whether clips are packed first (else files are read as they are
    needed); ``precision``: fp32, bf16, or auto: bfloat16 on CUDA, and in convolutions alone on a processor that
    multiplies it."""

    data: Path
    preset: str
    out: Path
    recipe: Recipe
    budget: Budget
    init: str | None = None
    vggish: Path | None = None
    resume: bool = False
    split: str = "train"
    val_split: str = "val"
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    pack: bool = True
    workers: int = 0
    pace: Pace = field(default_factory=Pace)


def train(
    request: TrainRequest, *, progress: Progress = silent, note: Callable[[str], None] = lambda line: None
) -> Path:
    """Train, and leave ``model.safetensors``, ``scores.json`` (with a validation split), ``log.csv`` and ``run.json``
    in ``request.out``. Returns the weights file; raises an AvisError for data, weights or settings that cannot be."""
    _prepare_folder(request)
    with joined(choose_device(request.device)) as processes:
        told = progress if processes.is_first else silent
        say = note if processes.is_first else _unheard
        training = _source(request, request.split, processes, told)
        if training is None:
            raise AnnotationError(
                "no such annotations",
                hint="give a folder as avis synth writes it",
                file=request.data / f"{request.split}.json",
            )
        validation = _source(request, request.val_split, processes, told)
        begin = start(request.preset, training.categories, request.init, request.vggish, request.seed)
        learner = Learner(begin.network, request.recipe, begin.ear).to(processes.device)
        state = RunState.fresh(learner)
        settings = _loop_settings(request, processes)
        if request.resume:
            state.restore(request.out, settings.resumed)
        stride = 1 if request.recipe.points is not None else begin.network.config.mask_stride
        sampler = Sampler(
            training,
            request.recipe,
            request.seed,
            begin.network.config.size_divisor,
            stride,
            processes.rank,
            processes.count,
        )
        finish = Finish(_run_record(request), request.out, validation, begin, told, say)
        run(state, sampler, settings, processes, request.out, Listeners(finish.between, finish.pretrained, told, say))
        if processes.is_first:
            finish.at_the_end(state)
    return request.out / NAME


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 products; without, oneDNN emulates them slowly."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _run_record(request: TrainRequest) -> RunRecord:
    hearing = Hearing(localizer=request.recipe.hears and request.recipe.fuses, tracker=request.recipe.hears)
    return RunRecord(request.preset, request.data.name, request.seed, request.recipe, hearing)


def _unheard(line: str) -> None:
    """What processes other than the first say."""


def _prepare_folder(request: TrainRequest) -> None:
    out = request.out
    if not request.resume and (out / checkpointing.NAME).exists() and int(os.environ.get("RANK", "0")) == 0:
        raise OutputError("holds a run already", hint="give --resume to go on with it, or another folder", file=out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot be made: {error.strerror or error}", hint="choose another --out", file=out,
            usage=isinstance(error, FileExistsError | NotADirectoryError),
        ) from None  # fmt: skip


def _source(request: TrainRequest, split: str, processes: Processes, progress: Progress) -> ClipSource | None:
    """A split's clips, None if the data has no such split. The first process packs, the others wait for it."""
    files = [request.data / f"{split}.json", request.data / f"{split}_objects.json"]
    if not files[0].exists():
        return None
    sides = request.recipe.augmentation.short_sides
    side = None if sides is None else sides[1]
    if not request.pack:
        return FolderSource(read_split(request.data, split), short_side=side)
    folder, mark = request.out / "cache" / split, fingerprint(files, f"short side {side}")
    if processes.is_first:
        packed(lambda: FolderSource(read_split(request.data, split), short_side=side), folder, mark, progress)
    processes.wait()
    return PackedSource(folder, in_memory=fits_in_memory(folder, processes.count))


def _loop_settings(request: TrainRequest, processes: Processes) -> LoopSettings:
    if request.precision not in ("auto", "fp32", "bf16"):
        raise UsageError(f"precision {request.precision!r}, expected auto, fp32 or bf16")
    automatic, on_gpu = request.precision == "auto", processes.device.type == "cuda"
    half = request.precision == "bf16" or (automatic and on_gpu)
    recipe = json.loads(json.dumps(request.recipe.to_dict()))  # tuples as a checkpoint gives them back
    return LoopSettings(
        budget=request.budget,
        pace=request.pace,
        seed=request.seed,
        half_convolutions=automatic and processes.device.type == "cpu" and _multiplies_bfloat16(),
        autocast=torch.bfloat16 if half else None,
        workers=request.workers,
        resumed={"preset": request.preset, "seed": request.seed, "recipe": recipe, "processes": processes.count},
    )
