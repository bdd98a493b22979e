"""Released name <-> ours of every part that systems of two levels share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from avis_cli.models.two_level.config import ResNetSizes, SwinSizes, TwoLevelConfig

LOCALIZER = "sem_seg_head.predictor"
"""What the names of the frame level begin with in the authors' checkpoints."""

# released module -> its names, ours on the left
_ATTENTION = {
    "in_weight": "in_proj_weight",
    "in_bias": "in_proj_bias",
    "out.weight": "out_proj.weight",
    "out.bias": "out_proj.bias",
}
AFFINE = {"weight": "weight", "bias": "bias"}
_FROZEN_CONV = {
    "weight": "weight",
    "scale": "norm.weight",
    "shift": "norm.bias",
    "mean": "norm.running_mean",
    "variance": "norm.running_var",
}
_NORMED_CONV = {"conv.weight": "weight", "norm.weight": "norm.weight", "norm.bias": "norm.bias"}
_SWIN_BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attention.qkv": "attn.qkv",
    "attention.out": "attn.proj",
    "linear1": "mlp.fc1",
    "linear2": "mlp.fc2",
}
_DEFORMABLE = {
    "sampling_offsets": "sampling_offsets",
    "attention_weights": "attention_weights",
    "value_projection": "value_proj",
    "output_projection": "output_proj",
}

Names = Iterator[tuple[str, str]]
"""Pairs of our name and the released one."""


def leaves(ours: str, released: str, names: Mapping[str, str]) -> Names:
    """Of the tensors of one module: ``names``, ours to released, below its two names."""
    for left, right in names.items():
        yield f"{ours}.{left}", f"{released}.{right}"


def self_attention(ours: str, released: str) -> Names:
    """Of a `SelfAttentionBlock`."""
    yield from leaves(f"{ours}.attention", f"{released}.self_attn", _ATTENTION)
    yield from leaves(f"{ours}.norm", f"{released}.norm", AFFINE)


def cross_attention(ours: str, released: str) -> Names:
    """Of a `CrossAttentionBlock`."""
    yield from leaves(f"{ours}.attention", f"{released}.multihead_attn", _ATTENTION)
    yield from leaves(f"{ours}.norm", f"{released}.norm", AFFINE)


def feed_forward(ours: str, released: str, norm: str = "norm") -> Names:
    """Of a `FeedForwardBlock`; ``norm``: what its LayerNorm is called there."""
    for layer in ("linear1", "linear2"):
        yield from leaves(f"{ours}.{layer}", f"{released}.{layer}", AFFINE)
    yield from leaves(f"{ours}.norm", f"{released}.{norm}", AFFINE)


def query_decoder(ours: str, layers: str, released: str, depth: int) -> Names:
    """A decoder of masked or video queries: its layers, learned queries and heads."""
    for i in range(depth):
        layer, theirs = f"{layers}.{i}", f"{released}.transformer"
        yield from cross_attention(f"{layer}.cross_attention", f"{theirs}_cross_attention_layers.{i}")
        yield from self_attention(f"{layer}.self_attention", f"{theirs}_self_attention_layers.{i}")
        yield from feed_forward(f"{layer}.feed_forward", f"{theirs}_ffn_layers.{i}")
    yield f"{ours}.query_feature", f"{released}.query_feat.weight"
    yield f"{ours}.query_position", f"{released}.query_embed.weight"
    yield from leaves(f"{ours}.norm", f"{released}.decoder_norm", AFFINE)
    yield from leaves(f"{ours}.class_head", f"{released}.class_embed", AFFINE)
    for i in range(3):
        yield from leaves(f"{ours}.mask_head.layers.{i}", f"{released}.mask_embed.layers.{i}", AFFINE)


def backbone_names(config: TwoLevelConfig) -> Names:
    """Of the backbone; none of a make that was never released."""
    if isinstance(config.backbone, ResNetSizes):
        yield from _resnet_names(config.backbone)
    elif isinstance(config.backbone, SwinSizes):
        yield from _swin_names(config.backbone)


def _resnet_names(sizes: ResNetSizes) -> Names:
    yield from leaves("backbone.stem", "backbone.stem.conv1", _FROZEN_CONV)
    for stage, depth in enumerate(sizes.depths):
        for block in range(depth):
            for conv in ("shortcut", "conv1", "conv2", "conv3") if block == 0 else ("conv1", "conv2", "conv3"):
                name = f"{block}.{conv}"
                yield from leaves(f"backbone.stages.{stage}.{name}", f"backbone.res{stage + 2}.{name}", _FROZEN_CONV)


def _swin_names(sizes: SwinSizes) -> Names:
    yield from leaves("backbone.patches.projection", "backbone.patch_embed.proj", AFFINE)
    yield from leaves("backbone.patches.norm", "backbone.patch_embed.norm", AFFINE)
    for stage, depth in enumerate(sizes.depths):
        for block in range(depth):
            ours, released = f"backbone.stages.{stage}.{block}", f"backbone.layers.{stage}.blocks.{block}"
            yield f"{ours}.attention.bias_table", f"{released}.attn.relative_position_bias_table"
            for left, right in _SWIN_BLOCK.items():
                yield from leaves(f"{ours}.{left}", f"{released}.{right}", AFFINE)
        yield from leaves(f"backbone.norms.{stage}", f"backbone.norm{stage}", AFFINE)
    for stage in range(len(sizes.depths) - 1):
        merging = f"backbone.layers.{stage}.downsample"
        yield f"backbone.mergings.{stage}.reduction.weight", f"{merging}.reduction.weight"
        yield from leaves(f"backbone.mergings.{stage}.norm", f"{merging}.norm", AFFINE)


def pixel_decoder_names(config: TwoLevelConfig) -> Names:
    """Of the pixel decoder, and of the localizer's mask projection, which is there in the checkpoints."""
    ours, released = "pixel_decoder", "sem_seg_head.pixel_decoder"
    for level in range(3):
        for part in range(2):
            yield from leaves(f"{ours}.projections.{level}.{part}", f"{released}.input_proj.{level}.{part}", AFFINE)
    yield f"{ours}.level_position", f"{released}.transformer.level_embed"
    for i in range(config.encoder_layers):
        layer, theirs = f"{ours}.layers.{i}", f"{released}.transformer.encoder.layers.{i}"
        for left, right in _DEFORMABLE.items():
            yield from leaves(f"{layer}.attention.{left}", f"{theirs}.self_attn.{right}", AFFINE)
        yield from leaves(f"{layer}.norm", f"{theirs}.norm1", AFFINE)
        yield from feed_forward(f"{layer}.feed_forward", theirs, norm="norm2")
    yield from leaves(f"{ours}.laterals.0.inward", f"{released}.adapter_1", _NORMED_CONV)
    yield from leaves(f"{ours}.laterals.0.outward", f"{released}.layer_1", _NORMED_CONV)
    yield from leaves("localizer.mask_projection", f"{released}.mask_features", AFFINE)


def masked_decoder_names(config: TwoLevelConfig) -> Names:
    """Of the localizer: everything but what its queries know when they begin."""
    ours, released = "localizer", LOCALIZER
    yield f"{ours}.level_position", f"{released}.level_embed.weight"
    yield from query_decoder(ours, f"{ours}.layers", released, config.frame_layers)


def tracker_names(config: TwoLevelConfig, prefix: str) -> Names:
    """Of the video level, whose names begin with ``prefix`` there."""
    ours, released = "tracker", f"{prefix}_module"
    yield from leaves(f"{ours}.token_projection", f"{released}.input_proj_dec", AFFINE)
    yield from leaves(f"{ours}.audio_projection", f"{released}.av_proj", AFFINE)
    for i in range(config.tracker_self_layers):
        yield from self_attention(f"{ours}.token_layers.{i}.self_attention", f"{released}.enc_self_attn.{i}")
        yield from feed_forward(f"{ours}.token_layers.{i}.feed_forward", f"{released}.enc_ffn.{i}")
    for i in range(config.tracker_audio_layers):
        yield from cross_attention(f"{ours}.audio_layers.{i}.cross_attention", f"{released}.enc_av_cross_attn.{i}")
        yield from feed_forward(f"{ours}.audio_layers.{i}.feed_forward", f"{released}.enc_av_ffn.{i}")
    yield f"{ours}.token_position", f"{released}.fq_pos.weight"
    yield from leaves(f"{ours}.mask_projection", f"{released}.{prefix}_mask_features", AFFINE)
    yield from leaves(f"{ours}.token_similarity_head", f"{released}.sim_embed_frame", AFFINE)
    yield from leaves(f"{ours}.query_similarity_head", f"{released}.sim_embed_clip", AFFINE)
    yield from query_decoder(ours, f"{ours}.query_layers", released, config.tracker_layers)


def derived_shapes(config: TwoLevelConfig, prefix: str) -> dict[str, tuple[int, ...]]:
    """Tensors of a released checkpoint that are no weights, with their shapes: class weights of the training losses,
    and tables that follow from the window size. ``prefix``: what the names of its video level begin with."""
    shapes: dict[str, tuple[int, ...]] = {
        "criterion.empty_weight": (config.num_classes + 1,),
        f"{prefix}_criterion.empty_weight": (config.num_classes + 1,),
    }
    if isinstance(config.backbone, SwinSizes):
        cells = config.backbone.window**2
        for stage, depth in enumerate(config.backbone.depths):
            for block in range(depth):
                name = f"backbone.layers.{stage}.blocks.{block}.attn.relative_position_index"
                shapes[name] = (cells, cells)
    return shapes
