"""What a run leaves behind besides its log: scores, the gate threshold that was chosen, and the weights file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avis_cli.files.atomic import output_file
from avis_cli.inference.model import Model
from avis_cli.models.training import AudioAblation, Recipe
from avis_cli.progress import Progress
from avis_cli.train.clips import ClipSource
from avis_cli.train.initial_weights import NAME, PRETRAINED, Start, save_model
from avis_cli.train.run_state import RunState
from avis_cli.train.validate import GATES, METRICS, Validation, ValidationRequest
from avis_cli.train.validate_maps import MapValidation
from avis_cli.version import __version__

BETWEEN_CLIPS = 40  # of a validation during the run; the one at the end sees all
BETWEEN_GATES = (0.2, 0.35, 0.5)


@dataclass(frozen=True)
class TrainingRecord:
    """What decided a run, for ``run.json``. ``audio``: what its network is given to hear, in validation too."""

    preset: str
    data: str
    seed: int
    recipe: Recipe
    audio: AudioAblation


@dataclass(frozen=True)
class RunOutputs:
    """Validation on ``source`` (None: there is none) and the files in ``out``, during the run and at its end."""

    record: TrainingRecord
    out: Path
    source: ClipSource | None
    start: Start
    on_progress: Progress
    on_note: Callable[[str], None]

    def pretrained(self, state: RunState) -> None:
        """Write the weights that pre-training made, for other runs to start from."""
        self._save(state.learner.network, None, PRETRAINED)

    def between(self, state: RunState) -> dict[str, float]:
        """Write the weights as they are; scores of a few clips, for the log."""
        found = self._validate(state, BETWEEN_CLIPS, BETWEEN_GATES)
        self._save(state.network, found)
        return {} if found is None else found.numbers()

    def at_the_end(self, state: RunState) -> None:
        """Write scores of the whole split at the best gate, the weights with it, and what decided the run."""
        found = self._validate(state, None, GATES)
        self._save(state.network, found)
        if found is not None:
            kind = "maps" if isinstance(found, MapValidation) else "instances"
            _write_json(self.out / "scores.json", {**found.scores, kind: found.numbers()})
        _write_json(
            self.out / "run.json",
            {
                "tool": f"avis-cli {__version__}",
                "preset": self.record.preset,
                "data": self.record.data,
                "seed": self.record.seed,
                "steps": state.step,
                "minutes": round(state.elapsed / 60.0, 2),
                "gate_threshold": None if found is None else found.gate,
                "constants": _constants(found),
                "recipe": self.record.recipe.to_dict(),
            },
        )

    def _validate(
        self, state: RunState, clips: int | None, gates: tuple[float, ...]
    ) -> Validation | MapValidation | None:
        if self.source is None:
            return None
        network = state.network
        device = next(network.parameters()).device
        model = Model(network, vggish=self.start.audio_network, device=device)
        count = len(self.source) if clips is None else min(clips, len(self.source))
        request = ValidationRequest(self.source, count, self.record.audio, gates)
        found = METRICS[self.start.preset.system.training().metrics](model, request, self.on_progress)
        network.train(network is state.learner.network)
        self.on_note(f"validation on {count} clips after step {state.step}: {found.summary()}")
        return found

    def _save(self, network: Any, found: Validation | MapValidation | None, name: str = NAME) -> None:
        save_model(
            self.out / name,
            self.start,
            network,
            constants=_constants(found),
            source=f"trained by avis-cli {__version__} on {self.record.data}, seed {self.record.seed}",
            half=self.record.recipe.saved_half,
        )


def _constants(found: Validation | MapValidation | None) -> dict[str, float]:
    """Fields of the configuration that validation chose."""
    if found is None:
        return {}
    return {**found.constants, **({} if found.gate is None else {"gate_threshold": found.gate})}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with output_file(path, overwrite=True, remedy="choose another --out") as part:
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
