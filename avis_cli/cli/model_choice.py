"""Which model a command runs: the weights the user named, or the default with a word on what it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avis_cli.cli import console

if TYPE_CHECKING:
    from avis_cli.hub import ResolvedWeights


def find_weights(wanted: str | None, *, offline: bool) -> ResolvedWeights:
    """The checked weights of ``wanted``; of the default model say what it was trained on. Raises WeightsError."""
    from avis_cli import hub

    with console.progress_bar() as progress:
        found = hub.resolve(wanted, offline=offline, progress=progress)
    if wanted is None and found.note is not None:
        console.note(f"{found.note}; `avis weights list` shows the others and how to get them")
    return found
