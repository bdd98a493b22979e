"""Released checkpoints -> one safetensors file of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from avis_cli.errors import AvisError, OutputError, UsageError, WeightsError
from avis_cli.hub import store, weights_file
from avis_cli.hub.manifest import load_manifest, published_as
from avis_cli.models import Preset, find_preset, recognise
from avis_cli.models.description import build, describe
from avis_cli.nn.vggish import PREFIX, load_vggish, split_off
from avis_cli.progress import Progress, silent


@dataclass(frozen=True)
class Imported:
    """Where an import ended, what it is now called, whether it can hear by itself, and why VGGish did not come."""

    path: Path
    name: str
    sha256: str
    has_audio: bool
    without: AvisError | None = None


def import_released(
    checkpoint: Path,
    *,
    vggish: Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
    fetch_vggish: Callable[[], Path] | None = None,
    progress: Progress = silent,
) -> Imported:
    """Turns a released checkpoint, and the public VGGish weights with it, into one safetensors file kept by avis.

    ``vggish``: its file. ``fetch_vggish``: gets it where the network hears through it, none was given and the
    checkpoint has none of its own; where it does not come the import goes on without. ``name``: which preset it is;
    told by the tensors' names if None, and by the file's own where these do not decide.
    Every tensor has to match the preset's network. Raises WeightsError for a file that does not, UsageError if there is
    an import of that name already, or for a VGGish that the network does not use.
    """
    if name is not None:
        find_preset(name)  # a name that there is not is told before anything is read
    if vggish is not None:
        _check_name(vggish, progress)
    found = read_released(checkpoint, name)
    preset, hears_itself = found.preset.config.name, found.preset.config.audio == "own"
    if vggish is not None and hears_itself:
        raise UsageError(f"--vggish with {preset}", hint="it hears through a network of its own")
    known = load_manifest().models.get(preset)
    if known is not None and known.bundled:
        raise UsageError(f"{preset} is bundled", hint="use the file itself: --model FILE", file=checkpoint)
    target = store.imported_file(preset)
    if target.exists() and not overwrite:
        raise UsageError(f"{preset} is imported already", hint="add --overwrite to replace it", file=target)
    if vggish is not None:
        found = replace(found, vggish=read_vggish(vggish))
    without: AvisError | None = None
    if fetch_vggish is not None and not found.vggish and found.preset.config.audio == "vggish":
        try:
            found = replace(found, vggish=read_vggish(fetch_vggish()))
        except AvisError as error:
            without = error
    tensors = found.tensors()
    store.check_room(target.parent, sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()))
    source = f"{checkpoint.name} (sha256 {store.checksum(checkpoint, progress)})"
    try:
        # without its sidecar a file is not loaded: a kill between the two writes leaves nothing that looks right
        store.sidecar(target).unlink(missing_ok=True)
        weights_file.write(target, tensors, describe(found.preset, source))
        sha256 = store.checksum(target, progress)
        store.write_sidecar(target, sha256)
    except (OSError, OutputError) as error:
        cause = error.cause if isinstance(error, OutputError) else f"{error.strerror or error}"
        raise OutputError(
            f"cannot keep the weights ({cause})", hint="set AVIS_HOME to another folder", file=target
        ) from error
    return Imported(target, preset, sha256, hears_itself or bool(found.vggish), without)


def _check_name(path: Path, progress: Progress) -> None:
    """WeightsError if the file's name carries the start of another checksum than the file has."""
    named = store.HASHED_NAME.search(path.name)
    found = store.checksum(path, progress)
    if named is not None and not found.startswith(named[1]):
        raise WeightsError(
            f"wrong checksum: sha256 {found}, its name promises {named[1]}...", hint="download it again", file=path
        )


@dataclass(frozen=True)
class Released:
    """``network``: tensors of the network that segments; ``vggish``: those of its audio network, maybe none."""

    preset: Preset
    network: dict[str, Tensor]
    vggish: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Both together, as one weights file holds them."""
        return {**self.network, **{f"{PREFIX}{name}": tensor for name, tensor in self.vggish.items()}}


def read_released(checkpoint: Path, name: str | None = None) -> Released:
    """A released checkpoint, or a weights file of ours.

    ``name``: which preset it is; told by the metadata or the tensors' names if None. Raises WeightsError naming the
    file for anything that does not match, UsageError for an unknown preset.
    """
    tensors, metadata = weights_file.read(checkpoint)
    given, sound = split_off(tensors)
    try:
        named = name or metadata.get("preset")
        preset = recognise(given, published_as(checkpoint.name)) if named is None else find_preset(named)
        network = build(preset, given)
        preset.system.load(network, given)
        return Released(preset, dict(network.state_dict()), dict(load_vggish(sound).state_dict()) if sound else {})
    except WeightsError as error:
        raise WeightsError(error.cause, hint=error.hint, file=checkpoint) from error


def read_vggish(path: Path) -> dict[str, Tensor]:
    """The public VGGish weights under our names; WeightsError naming the file for anything else."""
    tensors, _ = weights_file.read(path)
    try:
        return dict(load_vggish(tensors).state_dict())
    except WeightsError as error:
        raise WeightsError(error.cause, hint=error.hint, file=path) from error
