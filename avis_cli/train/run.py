"""`avis train` from beginning to end: data, network, loop, gate threshold, weights file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import torch

from avis_cli.errors import AnnotationError, OutputError, UsageError
from avis_cli.files import partial
from avis_cli.inference.devices import choose_device
from avis_cli.models import find_preset
from avis_cli.progress import Progress, silent
from avis_cli.train.clips import ClipSource, SampleForm, hearing
from avis_cli.train.distributed import Processes, joined
from avis_cli.train.initial_weights import NAME, PRETRAINED, start
from avis_cli.train.loop import LoopEvents, LoopSettings, TrainingLoop
from avis_cli.train.outputs import RunOutputs, TrainingRecord
from avis_cli.train.pack import PackedSource, fingerprint, fits_in_memory, packed
from avis_cli.train.run_state import CHECKPOINT, RunState
from avis_cli.train.sampler import Sampler
from avis_cli.train.sources import annotations_of, has_split, open_source
from avis_cli.train.train_request import TrainRequest


def train(
    request: TrainRequest, *, on_progress: Progress = silent, on_note: Callable[[str], None] = lambda line: None
) -> Path:
    """Train, and leave ``model.safetensors``, ``scores.json`` (with a validation split), ``log.csv`` and ``run.json``
    in ``request.out``. Returns the weights file; raises an AvisError for data, weights or settings that cannot be."""
    _prepare_folder(request)
    training, recipe = find_preset(request.preset).system.training(), request.recipe
    with joined(choose_device(request.device)) as processes:
        if not processes.is_first:
            on_progress, on_note = silent, _ignored
        source = _source(request, request.split, processes, on_progress)
        if source is None:
            raise AnnotationError(
                "no such annotations",
                hint="give a folder as avis synth writes it",
                file=request.data / f"{request.split}.json",
            )
        validation = _source(request, request.val_split, processes, on_progress)
        begin = start(request, source.categories)
        learner = training.learner(begin.network, recipe, begin.audio_network).to(processes.device)
        state = RunState.fresh(training, learner, recipe)
        settings = _loop_settings(request, processes)
        if request.resume:
            state.restore(request.out, settings.resumed)
            if request.budget.share_done(state.step, state.elapsed) >= 1.0:
                budget = request.budget
                on_note(f"the run has already had its {budget}; give more with {budget.option}")
        config = begin.preset.config
        sampler = Sampler(
            source,
            recipe,
            request.seed,
            config.size_divisor,
            training.target_stride(recipe, config),
            processes.rank,
            processes.count,
        )
        record = TrainingRecord(
            request.preset, request.data.name, request.seed, recipe, training.audio_ablation(recipe)
        )
        outputs = RunOutputs(record, request.out, validation, begin, on_progress, on_note)
        events = LoopEvents(outputs.between, outputs.pretrained, on_progress, on_note)
        TrainingLoop(state, settings, processes, request.out, events).run(sampler)
        if processes.is_first:
            outputs.at_the_end(state)
    return request.out / NAME


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16 products; without, oneDNN emulates them slowly."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _ignored(line: str) -> None:
    """What processes other than the first say."""


def _prepare_folder(request: TrainRequest) -> None:
    """Make the run's folder and sweep what killed runs left half written in it. Raises OutputError."""
    out, is_first = request.out, int(os.environ.get("RANK", "0")) == 0
    if not request.resume and (out / CHECKPOINT).exists() and is_first:
        raise OutputError("holds a run already", hint="give --resume to go on with it, or another folder", file=out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot be made: {error.strerror or error}", hint="choose another --out", file=out,
            usage=isinstance(error, FileExistsError | NotADirectoryError),
        ) from None  # fmt: skip
    if is_first:
        for name in (CHECKPOINT, NAME, PRETRAINED, "log.csv", "scores.json", "run.json"):
            partial.remove_leftovers(out / name)


def _source(request: TrainRequest, split: str, processes: Processes, on_progress: Progress) -> ClipSource | None:
    """A split's clips, None if the data has no such split. The first process packs, the others wait for it."""
    if not has_split(request.data, split):
        return None
    paths = annotations_of(request.data, split)
    sides = request.recipe.augmentation.short_sides
    side = None if sides is None else sides[1]
    config = find_preset(request.preset).config
    lookahead = find_preset(request.preset).system.training().sound_lookahead(config)
    samples = SampleForm.of(config)

    def opened() -> ClipSource:
        return open_source(request.data, split, config, short_side=side)

    if not request.pack:
        return hearing(opened(), lookahead, config.fps)
    form = samples or getattr(config, "sound_step", None)
    how = f"short side {side}" if form is None else f"short side {side}, {form}"
    folder, mark = request.out / "cache" / split, fingerprint(paths, f"{how}, {split}" if len(paths) == 1 else how)
    if processes.is_first:
        packed(opened, folder, mark, on_progress)
    processes.wait()
    return hearing(PackedSource(folder, in_memory=fits_in_memory(folder, processes.count)), lookahead, config.fps)


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
