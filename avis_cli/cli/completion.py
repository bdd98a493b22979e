"""What the shell offers where a name is typed: models, presets and the other words that options take.

Typer asks for the beginning of a word and wants every name that begins with it. Nothing heavy is loaded: it happens at
each press of the tab key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Names = Callable[[str], list[tuple[str, str]]]
"""The beginning of a word -> (name, what it is) of all that begin with it."""


def models(incomplete: str) -> list[tuple[str, str]]:
    """Models by name; files are completed by the shell itself where no name fits."""
    from avis_cli.hub.manifest import load_manifest

    entries = load_manifest().models.values()
    return _starting((entry.name, f"trained on {entry.trained_on}") for entry in entries)(incomplete)


def presets(incomplete: str) -> list[tuple[str, str]]:
    """The presets of the models that there are."""
    from avis_cli.hub.manifest import load_manifest

    entries = load_manifest().models.values()
    return _starting((entry.preset, f"{len(entry.categories)} categories") for entry in entries)(incomplete)


def words(*names: str) -> Names:
    """A completer for names that need no explanation."""
    return _starting((name, "") for name in names)


def several(*names: str) -> Names:
    """A completer for a list of ``names`` separated by commas: the last one is completed."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        before, comma, last = incomplete.rpartition(",")
        chosen = before.split(",")
        return [(f"{before}{comma}{name}", "") for name in names if name.startswith(last) and name not in chosen]

    return complete


def _starting(entries: Iterable[tuple[str, str]]) -> Names:
    known = dict(entries)  # two models of one preset are one entry

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [(name, told) for name, told in known.items() if name.startswith(incomplete)]

    return complete
