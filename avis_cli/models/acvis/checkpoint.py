"""Names in ACVIS's released checkpoints, and networks filled from them or from our own.

The files of both presets have the same names: these tell that a checkpoint is ACVIS's, not which of the two it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models import checkpoint
from avis_cli.models.acvis.config import PRESETS, AcvisConfig
from avis_cli.models.acvis.network import Acvis
from avis_cli.models.checkpoint import Naming
from avis_cli.models.system import Match
from avis_cli.models.two_level import names
from avis_cli.models.two_level.config import ResNetSizes
from avis_cli.models.two_level.names import derived_shapes
from avis_cli.nn.vggish import RELEASED_LAYERS

PREFIX = "vita"
"""What the names of the video level begin with."""


def naming(config: AcvisConfig) -> Naming:
    """The names of ``config``'s network in a released checkpoint. Raises WeightsError where none of that make was
    released."""
    if not _is_released(config):
        raise WeightsError(f"{config.name} has no released naming", hint="use its own names")
    pairs = (
        *names.backbone_names(config),
        *names.pixel_decoder_names(config),
        *names.masked_decoder_names(config),
        *_localizer_names(config),
        *names.tracker_names(config, PREFIX),
        *_audio_names(),
    )
    return Naming(config.name, {released: ours for ours, released in pairs}, derived_shapes(config, PREFIX))


def load(network: Acvis, weights: Mapping[str, Tensor]) -> None:
    """Fill the network from names and tensors, in the released naming or our own. Raises as `checkpoint.load`."""
    checkpoint.load(network, weights, [naming(network.config)] if _is_released(network.config) else [])


def match(present: Collection[str]) -> Match:
    """The preset whose released names are all among those ``present``."""
    return checkpoint.match(present, {preset: naming(config) for preset, config in PRESETS.items()})


def _is_released(config: AcvisConfig) -> bool:
    return isinstance(config.backbone, ResNetSizes)


def _localizer_names(config: AcvisConfig) -> names.Names:
    ours, released = "localizer", names.LOCALIZER
    yield from names.leaves(f"{ours}.generator.inward", f"{released}.av_pre_proj", names.AFFINE)
    for layer in range(config.generator_layers):
        theirs = f"{released}.audio_centric_query_generator.{layer}"
        yield from names.cross_attention(f"{ours}.generator.blocks.{layer}", theirs)
    yield f"{ours}.count_token", f"{released}.cls_token.weight"
    yield from names.leaves(f"{ours}.count_head", f"{released}.cnt_proj", names.AFFINE)
    yield from names.leaves(f"{ours}.unused_projection", f"{released}.av_post_proj", names.AFFINE)


def _audio_names() -> names.Names:
    ours, released = "audio_network", "audio_backbone"
    for theirs, layer in RELEASED_LAYERS.items():
        yield from names.leaves(f"{ours}.vggish.{layer}", f"{released}.{theirs}", names.AFFINE)
    yield f"{ours}.pca_vectors", f"{released}.pproc.pca_eigen_vectors"
    yield f"{ours}.pca_means", f"{released}.pproc.pca_means"
