"""Which network a released checkpoint is of, told by the names in it."""

from __future__ import annotations

from collections.abc import Iterable

from avis_cli.errors import WeightsError
from avis_cli.models.avism.checkpoint import released_names
from avis_cli.models.avism.config import PRESETS


def recognise(names: Iterable[str]) -> str:
    """The preset whose released names are all among ``names``; WeightsError unless there is exactly one.

    Our own naming is the same for every released network of one backbone and tells nothing: such files name their
    preset in their metadata.
    """
    present = set(names)
    wanted = {preset: released_names(config).keys() for preset, config in PRESETS.items() if config.released_as}
    fitting = [preset for preset, expected in wanted.items() if expected <= present]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise WeightsError(f"the tensors fit {' and '.join(fitting)} alike", hint="say which one it is")
    nearest = max(wanted, key=lambda preset: len(wanted[preset] & present))
    missing = [name for name in wanted[nearest] if name not in present]
    found = len(wanted[nearest]) - len(missing)
    raise WeightsError(
        f"not a released AVISM checkpoint: the nearest is {nearest}, {found} of its {len(wanted[nearest])} tensors are"
        f" here (first missing: {missing[0]})",
        hint="give one of the authors' four checkpoints, or a .safetensors file of avis",
    )
