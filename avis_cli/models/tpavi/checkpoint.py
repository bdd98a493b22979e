"""Names in AVSBench's released checkpoints, and networks filled from them or from our own.

A released checkpoint holds parts that its network never runs: a second copy of the last two stages of the ResNet, and
a residual unit. They may be there or not; they are not kept, and ``to_released`` gives the stages again as copies of
those that run, as their training starts, and the unit as zeros.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models import checkpoint
from avis_cli.models.checkpoint import Naming
from avis_cli.models.system import Match
from avis_cli.models.tpavi.config import PRESETS, STAGES, NormResNetSizes, PvtSizes, TpaviConfig
from avis_cli.models.tpavi.network import Tpavi

Names = Iterator[tuple[str, str]]
"""Pairs of our name and the released one."""

AFFINE = ("weight", "bias")
NORM = ("weight", "bias", "running_mean", "running_var")
COUNT = "num_batches_tracked"
_UNUSED_UNIT = "path4.resConfUnit1."
_CONVOLUTIONS = ("theta", "phi", "g", "W_z.0")
"""Released with kernels of five axes, the last three of size 1."""


def names(config: TpaviConfig) -> Names:
    """Of every tensor of a network whose make was released. Raises WeightsError where it was not."""
    if isinstance(config.backbone, NormResNetSizes):
        yield from _resnet_names(config.backbone)
    elif isinstance(config.backbone, PvtSizes):
        yield from _pvt_names(config.backbone)
    else:
        raise WeightsError(f"{config.name} has no released naming", hint="use its own names")
    for stage in range(1, STAGES + 1):
        for branch in range(len(config.dilations)):
            theirs = f"conv{stage}.conv2d_list.{branch}"
            yield from _leaves(f"neck.{stage - 1}.branches.{branch}", theirs, AFFINE)
        yield from _decoder_names(stage)
    for stage in config.blocks:
        yield from _block_names(f"blocks.{stage}", f"tpavi_b{stage}", align_bias=config.align_bias)
    for ours, theirs in (("conv1", "0"), ("conv2", "2"), ("conv3", "4")):
        yield from _leaves(f"head.{ours}", f"output_conv.{theirs}", AFFINE)


def _leaves(ours: str, theirs: str, leaves: Collection[str]) -> Names:
    for leaf in leaves:
        yield f"{ours}.{leaf}", f"{theirs}.{leaf}"


def _resnet_names(sizes: NormResNetSizes) -> Names:
    yield "backbone.stem.0.weight", "resnet.conv1.weight"
    yield from _leaves("backbone.stem.1", "resnet.bn1", NORM)
    for stage, depth in enumerate(sizes.depths):
        theirs = f"resnet.layer{stage + 1}{'_1' if stage >= 2 else ''}"
        for block in range(depth):
            ours, released = f"backbone.stages.{stage}.{block}", f"{theirs}.{block}"
            for number in (1, 2, 3):
                yield f"{ours}.conv{number}.weight", f"{released}.conv{number}.weight"
                yield from _leaves(f"{ours}.norm{number}", f"{released}.bn{number}", NORM)
            if block == 0:
                yield f"{ours}.shortcut.0.weight", f"{released}.downsample.0.weight"
                yield from _leaves(f"{ours}.shortcut.1", f"{released}.downsample.1", NORM)


def _pvt_names(sizes: PvtSizes) -> Names:
    for stage, (depth, reduction) in enumerate(zip(sizes.depths, sizes.reductions, strict=True)):
        theirs = f"encoder_backbone.patch_embed{stage + 1}"
        for part in ("proj", "norm"):
            yield from _leaves(f"backbone.patches.{stage}.{part}", f"{theirs}.{part}", AFFINE)
        for block in range(depth):
            ours, released = f"backbone.stages.{stage}.{block}", f"encoder_backbone.block{stage + 1}.{block}"
            parts = ["norm1", "norm2", "attn.q", "attn.kv", "attn.proj", "mlp.fc1", "mlp.fc2"]
            for part in parts + (["attn.sr", "attn.norm"] if reduction > 1 else []):
                yield from _leaves(f"{ours}.{part}", f"{released}.{part}", AFFINE)
            yield from _leaves(f"{ours}.mlp.depthwise", f"{released}.mlp.dwconv.dwconv", AFFINE)
        yield from _leaves(f"backbone.norms.{stage}", f"encoder_backbone.norm{stage + 1}", AFFINE)


def _decoder_names(stage: int) -> Names:
    units = [("joined", "resConfUnit2"), *([("finer", "resConfUnit1")] if stage < STAGES else [])]
    for unit, released in units:
        for number in (1, 2):
            ours = f"decoder.{stage - 1}.{unit}.conv{number}"
            yield from _leaves(ours, f"path{stage}.{released}.conv{number}", AFFINE)


def _block_names(ours: str, theirs: str, *, align_bias: bool) -> Names:
    yield from _leaves(f"{ours}.align", f"{theirs}.align_channel", AFFINE if align_bias else AFFINE[:1])
    for part, released in (("theta", "theta"), ("phi", "phi"), ("g", "g"), ("out", "W_z.0")):
        yield from _leaves(f"{ours}.{part}", f"{theirs}.{released}", AFFINE)
    yield from _leaves(f"{ours}.out_norm", f"{theirs}.W_z.1", NORM)
    yield from _leaves(f"{ours}.norm", f"{theirs}.norm_layer", AFFINE)


def naming(config: TpaviConfig) -> Naming:
    """The names of ``config``'s network in a released checkpoint, without what is not kept of it."""
    return Naming(config.name, {released: ours for ours, released in names(config)}, {})


def load(network: Tpavi, weights: Mapping[str, Tensor]) -> None:
    """Fill the network from names and tensors, in the released naming or our own. Raises as `checkpoint.load`."""
    if isinstance(network.config.backbone, NormResNetSizes | PvtSizes):
        table = naming(network.config)
        if len(table.table.keys() & weights.keys()) > len(network.state_dict().keys() & weights.keys()):
            checkpoint.load(network, _kept(weights, table), [table])
            return
    checkpoint.load(network, weights, [])


def to_released(network: Tpavi) -> dict[str, Tensor]:
    """The network's tensors under the names of a released checkpoint, with all that one holds."""
    released = naming(network.config).to_released(network.state_dict())
    for name in [name for name in released if name.endswith(".running_var")]:
        released[name.removesuffix("running_var") + COUNT] = released[name].new_zeros(()).long()
    for name, tensor in list(released.items()):
        if name.split(".")[-2] in _CONVOLUTIONS or ".W_z.0." in name:
            released[name] = tensor[..., None] if tensor.ndim == 4 else tensor
        for stage in (3, 4):
            if name.startswith(f"resnet.layer{stage}_1."):
                released[name.replace(f"layer{stage}_1.", f"layer{stage}_2.", 1)] = tensor
    for number in (1, 2):
        for leaf in AFFINE:
            like = released[f"path4.resConfUnit2.conv{number}.{leaf}"]
            released[f"{_UNUSED_UNIT}conv{number}.{leaf}"] = like.new_zeros(like.shape)
    return released


def _kept(weights: Mapping[str, Tensor], table: Naming) -> dict[str, Tensor]:
    """Released tensors without what never runs, kernels of five axes with four."""
    kept = {}
    for name, tensor in weights.items():
        if name in table.table and isinstance(tensor, Tensor) and tensor.ndim == 5 and tensor.shape[-1] == 1:
            tensor = tensor[..., 0]
        if name in table.table or not _never_runs(name):
            kept[name] = tensor
    return kept


def _never_runs(name: str) -> bool:
    copies = ("resnet.layer3_2.", "resnet.layer4_2.", _UNUSED_UNIT)
    return name.startswith(copies) or name.rpartition(".")[2] == COUNT


def match(present: Collection[str]) -> Match:
    """The presets whose released names are all among those ``present``."""
    found = checkpoint.match(
        present, {preset: naming(config) for preset, config in PRESETS.items() if config.audio == "vggish"}
    )
    if len(found.alike) > 1 and "tpavi_b1.align_channel.bias" in present:  # AVSS has none
        alike = tuple(name for name in found.alike if "avss" not in name)
        return Match(None, f"the tensors fit {' and '.join(alike)} alike", alike)
    return found
