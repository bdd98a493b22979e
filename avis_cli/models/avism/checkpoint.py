"""Names in AVISM's released checkpoints, and networks filled from them or from our own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models import checkpoint
from avis_cli.models.avism.config import PRESETS, AvismConfig, SmallResNetSizes
from avis_cli.models.avism.network import Avism
from avis_cli.models.checkpoint import Naming
from avis_cli.models.system import Match
from avis_cli.models.two_level import names
from avis_cli.models.two_level.names import derived_shapes

PREFIXES = {
    "avism-r50-in": "avism",
    "avism-r50-coco": "vita",
    "avism-swinl-in": "avism",
    "avism-swinl-coco": "vita",
}
"""Preset -> what the names of its video level begin with in the authors' checkpoint."""


def naming(config: AvismConfig, prefix: str | None = None) -> Naming:
    """The names of ``config``'s network in a released checkpoint.

    ``prefix``: one of ``PREFIXES``' values, the preset's own by default. Raises WeightsError where no network of that
    make was released.
    """
    prefix = prefix or PREFIXES.get(config.name)
    if prefix is None:
        raise WeightsError(f"{config.name} has no released naming", hint="use its own names")
    pairs = (
        *names.backbone_names(config),
        *names.pixel_decoder_names(config),
        *_fusion_names(),
        *names.masked_decoder_names(config),
        *names.tracker_names(config, prefix),
    )
    return Naming(config.name, {released: ours for ours, released in pairs}, derived_shapes(config, prefix))


def load(network: Avism, weights: Mapping[str, Tensor]) -> None:
    """Fill the network from names and tensors, in the released naming or our own. Raises as `checkpoint.load`."""
    config = network.config
    is_released = not isinstance(config.backbone, SmallResNetSizes)
    prefixes = sorted(set(PREFIXES.values())) if is_released else []
    checkpoint.load(network, weights, [naming(config, prefix) for prefix in prefixes])


def match(present: Collection[str]) -> Match:
    """The preset whose released names are all among those ``present``."""
    return checkpoint.match(present, {preset: naming(PRESETS[preset]) for preset in PREFIXES})


def _fusion_names() -> names.Names:
    ours, released = "localizer.fusion", names.LOCALIZER
    yield from names.leaves(f"{ours}.inward", f"{released}.av_pre_proj", names.AFFINE)
    yield from names.leaves(f"{ours}.outward", f"{released}.av_post_proj", names.AFFINE)
    for level in range(3):
        yield from names.cross_attention(f"{ours}.blocks.{level}", f"{released}.av_sf.{level}")
