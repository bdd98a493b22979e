"""Names in CAVP's released checkpoints, and networks filled from them or from our own.

A released checkpoint holds parts that its network never uses: position embeddings that are never added, a head of the
audio network, and how many batches each norm has seen. They may be there or not; they are not kept, and ``to_released``
gives zeros in their place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models import checkpoint
from avis_cli.models.cavp.config import PRESETS, CavpConfig, DilatedResNetSizes
from avis_cli.models.cavp.network import DILATIONS, Cavp
from avis_cli.models.checkpoint import Naming
from avis_cli.models.system import Match
from avis_cli.nn.vggish import RELEASED_LAYERS

Names = Iterator[tuple[str, str]]
"""Pairs of our name and the released one."""

AFFINE = ("weight", "bias")
NORM = ("weight", "bias", "running_mean", "running_var")
COUNT = "num_batches_tracked"
_POSITIONS = 16_384
_STEM = {"0": "conv1.0", "1": "conv1.1", "3": "conv1.3", "4": "conv1.4", "6": "conv1.6", "7": "bn1"}
_STEM_NORMS = ("1", "4", "7")


def names(config: CavpConfig) -> Names:
    """Of every tensor of a network whose make was released. Raises WeightsError where it was not."""
    if not isinstance(config.backbone, DilatedResNetSizes):
        raise WeightsError(f"{config.name} has no released naming", hint="use its own names")
    yield from _backbone_names(config.backbone)
    yield from _segmentation_names()
    yield from _hearing_names(config)
    for part in ("fc1", "fc2"):
        yield from _leaves(f"projector.{part}", f"visual_projector.{part}", AFFINE)
    yield from _fusion_names()


def _leaves(ours: str, theirs: str, leaves: Collection[str]) -> Names:
    for leaf in leaves:
        yield f"{ours}.{leaf}", f"{theirs}.{leaf}"


def _backbone_names(sizes: DilatedResNetSizes) -> Names:
    theirs = "backbone.backbone"
    for ours, released in _STEM.items():
        yield from _leaves(f"backbone.stem.{ours}", f"{theirs}.{released}", NORM if ours in _STEM_NORMS else AFFINE[:1])
    for stage, depth in enumerate(sizes.depths):
        for block in range(depth):
            yield from _block_names(f"backbone.stages.{stage}.{block}", f"{theirs}.layer{stage + 1}.{block}", 3)
        yield from _shortcut(f"backbone.stages.{stage}.0", f"{theirs}.layer{stage + 1}.0")


def _block_names(ours: str, theirs: str, convolutions: int) -> Names:
    for number in range(1, convolutions + 1):
        yield f"{ours}.conv{number}.weight", f"{theirs}.conv{number}.weight"
        yield from _leaves(f"{ours}.norm{number}", f"{theirs}.bn{number}", NORM)


def _shortcut(ours: str, theirs: str) -> Names:
    yield f"{ours}.shortcut.0.weight", f"{theirs}.downsample.0.weight"
    yield from _leaves(f"{ours}.shortcut.1", f"{theirs}.downsample.1", NORM)


def _segmentation_names() -> Names:
    for branch in range(1 + len(DILATIONS)):
        yield f"pyramid.branches.{branch}.weight", f"segment.aspp.map_convs.{branch}.weight"
    convolutions = {"reduce": "red_conv", "pool": "global_pooling_conv", "pool_reduce": "pool_red_conv"}
    for ours, theirs in convolutions.items():
        yield f"pyramid.{ours}.weight", f"segment.aspp.{theirs}.weight"
    norms = {"branch_norm": "map_bn", "pool_norm": "global_pooling_bn", "norm": "red_bn"}
    for ours, theirs in norms.items():
        yield from _leaves(f"pyramid.{ours}", f"segment.aspp.{theirs}", NORM)
    yield "low.0.weight", "segment.reduce.0.weight"
    yield from _leaves("low.1", "segment.reduce.1", NORM)
    for number, (conv, norm) in enumerate((("0", "1"), ("3", "4")), start=1):
        theirs = "segment.upsample.last_conv"
        yield f"classifier.conv{number}.weight", f"{theirs}.{conv}.weight"
        yield from _leaves(f"classifier.norm{number}", f"{theirs}.{norm}", NORM)
    yield from _leaves("classifier.out", "segment.upsample.classifier", AFFINE)


def _hearing_names(config: CavpConfig) -> Names:
    theirs = "audio_backbone.backbone"
    if config.hearing == "vggish":
        for released, layer in RELEASED_LAYERS.items():
            yield from _leaves(f"hearing.{layer}", f"{theirs}.{released}", AFFINE)
        return
    yield "hearing.stem.0.weight", f"{theirs}.conv1.weight"
    yield from _leaves("hearing.stem.1", f"{theirs}.bn1", NORM)
    for stage in range(len(config.hearing_widths)):
        for block in range(2):
            yield from _block_names(f"hearing.stages.{stage}.{block}", f"{theirs}.layer{stage + 1}.{block}", 2)
        if stage:
            yield from _shortcut(f"hearing.stages.{stage}.0", f"{theirs}.layer{stage + 1}.0")
    yield from _leaves("hearing.out", f"{theirs}.fc", AFFINE)


def _fusion_names() -> Names:
    theirs = "cross_att"
    for ours, released in (("embed_pixels", "patch_embed_v.proj"), ("embed_sound", "patch_embed_a.proj")):
        yield from _leaves(f"fusion.{ours}", f"{theirs}.{released}", AFFINE)
    for part in ("norm1", "norm2", "attn.proj", "mlp.fc1", "mlp.fc2"):
        yield from _leaves(f"fusion.{part}", f"{theirs}.blocks.0.{part}", AFFINE)
    for part in ("q", "k", "v"):
        yield f"fusion.attn.{part}.weight", f"{theirs}.blocks.0.attn.{part}.weight"
    yield from _leaves("fusion.norm", f"{theirs}.norm", AFFINE)


def naming(config: CavpConfig) -> Naming:
    """The names of ``config``'s network in a released checkpoint."""
    table = {released: ours for ours, released in names(config)}
    norms = [released.removesuffix("running_var") for released in table if released.endswith(".running_var")]
    return Naming(config.name, table, {norm + COUNT: () for norm in norms} | _unused(config))


def _unused(config: CavpConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of what was trained for nothing."""
    width = config.joint_width
    return {
        "cross_att.pos_embed_v": (1, _POSITIONS, width),
        "cross_att.pos_embed_a": (1, 1, width),
        "audio_backbone.cls_head.weight": (2, width),
        "audio_backbone.cls_head.bias": (2,),
    }


def load(network: Cavp, weights: Mapping[str, Tensor]) -> None:
    """Fill the network from names and tensors, in the released naming or our own. Raises as `checkpoint.load`."""
    released = isinstance(network.config.backbone, DilatedResNetSizes)
    checkpoint.load(network, weights, [naming(network.config)] if released else [])


def to_released(network: Cavp) -> dict[str, Tensor]:
    """The network's tensors under the names of a released checkpoint, with all that one holds."""
    table = naming(network.config)
    unused = {
        name: torch.zeros(shape, dtype=torch.int64 if name.endswith(COUNT) else torch.float32)
        for name, shape in table.derived.items()
    }
    return table.to_released(network.state_dict()) | unused


def match(present: Collection[str]) -> Match:
    """The presets whose released names are all among those ``present``."""
    released = {name: config for name, config in PRESETS.items() if isinstance(config.backbone, DilatedResNetSizes)}
    return checkpoint.match(present, {preset: naming(config) for preset, config in released.items()})
