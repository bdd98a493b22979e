"""What a run leaves behind besides its log: scores, the gate threshold that was chosen, and the weights file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avis_cli import __version__
from avis_cli.inference.model import Model
from avis_cli.models.avism.network import Avism
from avis_cli.progress import Progress
from avis_cli.train.predict import Hearing, predict
from avis_cli.train.recipe import Recipe
from avis_cli.train.run_state import RunState
from avis_cli.train.save import NAME, PRETRAINED, save_model
from avis_cli.train.source import ClipSource
from avis_cli.train.start import Start
from avis_cli.train.validate import Validation, best_gate, validate

BETWEEN_CLIPS = 40  # of a validation during the run; the one at the end sees all
BETWEEN_GATES = (0.2, 0.35, 0.5)


@dataclass(frozen=True)
class RunRecord:
    """What decided a run, for ``run.json``. ``hearing``: what its network is given to hear, in validation too."""

    preset: str
    data: str
    seed: int
    recipe: Recipe
    hearing: Hearing


class Finish:
    """Validation on ``source`` (None: there is none) and the files in ``out``, during the run and at its end."""

    def __init__(
        self,
        record: RunRecord,
        out: Path,
        source: ClipSource | None,
        start: Start,
        progress: Progress,
        note: Callable[[str], None],
    ) -> None:
        self._record = record
        self._out = out
        self._source = source
        self._ear = start.ear
        self._progress = progress
        self._note = note

    def pretrained(self, state: RunState) -> None:
        """Write the weights that pre-training made, for other runs to start from."""
        self._save(state.learner.network, None, PRETRAINED)

    def between(self, state: RunState) -> dict[str, float]:
        """Write the weights as they are; scores of a few clips, for the log."""
        found = self._validate(state, BETWEEN_CLIPS, BETWEEN_GATES)
        self._save(_network(state), found)
        return {} if found is None else found.numbers()

    def at_the_end(self, state: RunState) -> dict[str, float]:
        """Scores of the whole split at the best gate, which is stored with the weights; all files."""
        found = self._validate(state, None, None)
        self._save(_network(state), found)
        if found is not None:
            _write_json(self._out / "scores.json", {**found.scores, "instances": found.numbers()})
        _write_json(
            self._out / "run.json",
            {
                "tool": f"avis-cli {__version__}",
                "preset": self._record.preset,
                "data": self._record.data,
                "seed": self._record.seed,
                "steps": state.step,
                "minutes": round(state.elapsed / 60.0, 2),
                "gate_threshold": None if found is None else found.gate,
                "recipe": self._record.recipe.to_dict(),
            },
        )
        return {} if found is None else found.numbers()

    def _validate(self, state: RunState, clips: int | None, gates: tuple[float, ...] | None) -> Validation | None:
        if self._source is None:
            return None
        network = _network(state)
        device = next(network.parameters()).device
        model = Model(network, vggish=self._ear, device=device)
        count = len(self._source) if clips is None else clips
        predicted = predict(model, self._source, count, self._record.hearing, self._progress)
        network.train(network is state.learner.network)
        if not network.config.gate:
            found = validate(predicted, None)
        else:
            found = best_gate(predicted) if gates is None else best_gate(predicted, gates)
        self._note(f"validation on {len(predicted.predictions)} clips after step {state.step}: {found.summary()}")
        return found

    def _save(self, network: Avism, found: Validation | None, name: str = NAME) -> None:
        save_model(
            self._out / name,
            network,
            gate_threshold=None if found is None else found.gate,
            source=f"trained by avis-cli {__version__} on {self._record.data}, seed {self._record.seed}",
            half=self._record.recipe.saved_half,
            ear=self._ear,
        )


def _network(state: RunState) -> Avism:
    """The weights that count: their moving average, if one is kept."""
    return state.learner.network if state.average is None else state.average.network


def _write_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
