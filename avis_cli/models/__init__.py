"""One folder for each published system, and the table of them: adding a system is a folder and a line here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from avis_cli.errors import UsageError, WeightsError
from avis_cli.text import meant

if TYPE_CHECKING:
    from avis_cli.models.system import System

# family, as the metadata of weights files has it -> module:class, imported when it is first asked for
SYSTEMS: dict[str, str] = {
    "avism": "avis_cli.models.avism.system:AvismSystem",
    "acvis": "avis_cli.models.acvis.system:AcvisSystem",
    "seavis": "avis_cli.models.seavis.system:SeavisSystem",
    "tpavi": "avis_cli.models.tpavi.system:TpaviSystem",
    "cavp": "avis_cli.models.cavp.system:CavpSystem",
}


@dataclass(frozen=True)
class Preset:
    """A configuration that has a name, and the system it belongs to."""

    system: System
    config: Any


def find_system(family: str) -> System:
    """The system called ``family``. Raises WeightsError if there is none."""
    if family not in SYSTEMS:
        raise WeightsError(
            f"weights of the family {family[:80]!r}, expected one of {', '.join(SYSTEMS)}", hint="update avis-cli"
        )
    module, _, name = SYSTEMS[family].partition(":")
    system: System = getattr(import_module(module), name)()
    return system


def systems() -> Iterator[System]:
    """Every system, in the order of the table."""
    return map(find_system, SYSTEMS)


def preset_names() -> list[str]:
    """The names of all presets, system by system."""
    return [name for system in systems() for name in system.presets]


def find_preset(name: str) -> Preset:
    """The preset called ``name``. Raises UsageError if there is none."""
    for system in systems():
        if name in system.presets:
            return Preset(system, system.presets[name])
    near, there_are = meant(name, preset_names()), f"there are {', '.join(preset_names())}"
    raise UsageError(f"no preset is named {name[:80]!r}", hint=there_are if near is None else f"{near} ({there_are})")


def recognise(names: Collection[str], likely: str | None = None) -> Preset:
    """The preset whose published checkpoint has the tensors called ``names``.

    Our own naming is the same for every network of one make and tells nothing: our files say in their metadata what
    they are. ``likely``: the preset that something else speaks for (the file's own name), which decides between those
    whose names are alike. Raises WeightsError that says what each system missed.
    """
    missed: list[str] = []
    for system in systems():
        match = system.matches(names)
        if match.preset is not None or likely in match.alike:
            return Preset(system, system.presets[match.preset or str(likely)])
        if match.alike:
            raise WeightsError(
                f"which model it is its tensors do not tell: {match.missed}",
                hint=f"import it under its name: `avis weights import FILE --name {match.alike[0]}`",
            )
        missed.append(f"{system.family}: {match.missed}")
    raise WeightsError(
        f"not a checkpoint of any system here ({'; '.join(missed)})",
        hint="give one of the authors' checkpoints, or a .safetensors file of avis",
    )
