"""Weights, names and tensors, <-> the network: in our own naming or the released one, strict both ways."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models.avism.config import PRESETS, AvismConfig, ResNetSizes, SmallResNetSizes, SwinSizes
from avis_cli.models.avism.network import Avism
from avis_cli.models.system import Match

SHOWN = 3  # names in an error message

# released module -> its names, ours on the left
_ATTENTION = {
    "in_weight": "in_proj_weight",
    "in_bias": "in_proj_bias",
    "out.weight": "out_proj.weight",
    "out.bias": "out_proj.bias",
}
_AFFINE = {"weight": "weight", "bias": "bias"}
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

PREFIXES = {
    "avism-r50-in": "avism",
    "avism-r50-coco": "vita",
    "avism-swinl-in": "avism",
    "avism-swinl-coco": "vita",
}
"""Preset -> what the names of its video level begin with in the authors' checkpoint."""


def released_names(config: AvismConfig, prefix: str | None = None) -> dict[str, str]:
    """Released name of each tensor of the network -> our name.

    ``prefix``: one of ``PREFIXES``' values, the preset's own by default. Raises WeightsError where no network of that
    make was released.
    """
    prefix = prefix or PREFIXES.get(config.name)
    if prefix is None:
        raise WeightsError(f"{config.name} has no released naming", hint="use its own names")
    pairs = (
        *_backbone_names(config),
        *_decoder_names(config),
        *_localizer_names(config),
        *_tracker_names(config, prefix),
    )
    return {released: ours for ours, released in pairs}


def derived_shapes(config: AvismConfig, prefix: str) -> dict[str, tuple[int, ...]]:
    """Tensors of a released checkpoint that are no weights, with their shapes: class weights of the training losses,
    and tables that follow from the window size. They may be there and are not read.
    """
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


def load(network: Avism, weights: Mapping[str, Tensor]) -> None:
    """Fill the network from names and tensors, in the released naming or our own.

    Raises WeightsError that names the first tensors that are unknown, missing, of another shape or not finite; the
    network is then as it was.
    """
    strange = [name for name, tensor in weights.items() if not isinstance(tensor, Tensor)]
    if strange:
        raise WeightsError(f"not tensors: {_some(strange)}", hint="give a mapping from names to tensors")
    prefix = _prefix_of(network.config, weights)
    named = dict(weights) if prefix is None else from_released(network.config, weights, prefix)
    wanted = network.state_dict()
    _check_names(network.config, named, wanted)
    named = {name: tensor.to(wanted[name].dtype) for name, tensor in named.items()}
    bad = [name for name, tensor in named.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise WeightsError(f"not finite: {_some(bad)}", hint="the file is damaged or its training diverged")
    network.load_state_dict(named)


def match(names: Collection[str]) -> Match:
    """The preset whose released names are all among ``names``."""
    present = set(names)
    wanted = {preset: released_names(PRESETS[preset]).keys() for preset in PREFIXES}
    fitting = [preset for preset, expected in wanted.items() if expected <= present]
    if len(fitting) == 1:
        return Match(fitting[0])
    if fitting:
        return Match(None, f"the tensors fit {' and '.join(fitting)} alike")
    nearest = max(wanted, key=lambda preset: len(wanted[preset] & present))
    missing = [name for name in wanted[nearest] if name not in present]
    found = len(wanted[nearest]) - len(missing)
    return Match(
        None,
        f"the nearest is {nearest}, {found} of its {len(wanted[nearest])} tensors are here"
        f" (first missing: {missing[0]})",
    )


def _prefix_of(config: AvismConfig, names: Collection[str]) -> str | None:
    """The prefix of the released naming that ``names`` come in, None where they are rather our own."""
    if isinstance(config.backbone, SmallResNetSizes):
        return None  # of no released make
    released = {prefix: released_names(config, prefix) for prefix in sorted(set(PREFIXES.values()))}
    own = set(next(iter(released.values())).values())
    counts = {prefix: len(table.keys() & set(names)) for prefix, table in released.items()}
    best = max(counts, key=lambda prefix: counts[prefix])
    return best if counts[best] > len(own & set(names)) else None


def from_released(config: AvismConfig, weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Released names -> ours. Raises WeightsError for names that the table does not have or misses."""
    table = released_names(config, prefix)
    derived = derived_shapes(config, prefix)
    unknown = [name for name in weights if name not in table and name not in derived]
    missing = [name for name in table if name not in weights]
    wrong = [
        f"{name} {tuple(weights[name].shape)} instead of {shape}"
        for name, shape in derived.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    _refuse(config, unknown, missing, wrong)
    return {ours: weights[released] for released, ours in table.items()}


def to_released(config: AvismConfig, weights: Mapping[str, Tensor], prefix: str | None = None) -> dict[str, Tensor]:
    """Our names, as in the network's state dict, -> the released ones. ``prefix``: as for ``released_names``."""
    table = {ours: released for released, ours in released_names(config, prefix).items()}
    unknown = [name for name in weights if name not in table]
    missing = [name for name in table if name not in weights]
    _refuse(config, unknown, missing, [])
    return {table[name]: tensor for name, tensor in weights.items()}


def _check_names(config: AvismConfig, named: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    unknown = [name for name in named if name not in wanted]
    missing = [name for name in wanted if name not in named]
    wrong = [
        f"{name} {tuple(named[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in named and named[name].shape != tensor.shape
    ]
    _refuse(config, unknown, missing, wrong)
    whole = [name for name in wanted if not named[name].is_floating_point()]
    if whole:
        raise WeightsError(f"not floating-point: {_some(whole)}", hint=f"these are not the weights of {config.name}")


def _refuse(config: AvismConfig, unknown: list[str], missing: list[str], wrong: list[str]) -> None:
    faults = {"unknown": unknown, "missing": missing, "of another shape": wrong}
    found = [f"{kind}: {_some(names)}" for kind, names in faults.items() if names]
    if found:
        raise WeightsError(
            f"weights do not fit {config.name}: {'; '.join(found)}", hint="choose the model that they were made for"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name[:120] for name in names[:SHOWN]) + more


def _leaves(ours: str, released: str, names: Mapping[str, str]) -> Names:
    for left, right in names.items():
        yield f"{ours}.{left}", f"{released}.{right}"


def _self_attention(ours: str, released: str) -> Names:
    yield from _leaves(f"{ours}.attention", f"{released}.self_attn", _ATTENTION)
    yield from _leaves(f"{ours}.norm", f"{released}.norm", _AFFINE)


def _cross_attention(ours: str, released: str) -> Names:
    yield from _leaves(f"{ours}.attention", f"{released}.multihead_attn", _ATTENTION)
    yield from _leaves(f"{ours}.norm", f"{released}.norm", _AFFINE)


def _feed_forward(ours: str, released: str, norm: str = "norm") -> Names:
    for layer in ("linear1", "linear2"):
        yield from _leaves(f"{ours}.{layer}", f"{released}.{layer}", _AFFINE)
    yield from _leaves(f"{ours}.norm", f"{released}.{norm}", _AFFINE)


def _query_decoder(ours: str, layers: str, released: str, depth: int) -> Names:
    """A decoder of masked or video queries: its layers, learned queries and heads."""
    for i in range(depth):
        layer, theirs = f"{layers}.{i}", f"{released}.transformer"
        yield from _cross_attention(f"{layer}.cross_attention", f"{theirs}_cross_attention_layers.{i}")
        yield from _self_attention(f"{layer}.self_attention", f"{theirs}_self_attention_layers.{i}")
        yield from _feed_forward(f"{layer}.feed_forward", f"{theirs}_ffn_layers.{i}")
    yield f"{ours}.query_feature", f"{released}.query_feat.weight"
    yield f"{ours}.query_position", f"{released}.query_embed.weight"
    yield from _leaves(f"{ours}.norm", f"{released}.decoder_norm", _AFFINE)
    yield from _leaves(f"{ours}.class_head", f"{released}.class_embed", _AFFINE)
    for i in range(3):
        yield from _leaves(f"{ours}.mask_head.layers.{i}", f"{released}.mask_embed.layers.{i}", _AFFINE)


def _backbone_names(config: AvismConfig) -> Names:
    if isinstance(config.backbone, ResNetSizes):
        yield from _resnet_names(config.backbone)
    elif isinstance(config.backbone, SwinSizes):
        yield from _swin_names(config.backbone)


def _resnet_names(sizes: ResNetSizes) -> Names:
    yield from _leaves("backbone.stem", "backbone.stem.conv1", _FROZEN_CONV)
    for stage, depth in enumerate(sizes.depths):
        for block in range(depth):
            for conv in ("shortcut", "conv1", "conv2", "conv3") if block == 0 else ("conv1", "conv2", "conv3"):
                name = f"{block}.{conv}"
                yield from _leaves(f"backbone.stages.{stage}.{name}", f"backbone.res{stage + 2}.{name}", _FROZEN_CONV)


def _swin_names(sizes: SwinSizes) -> Names:
    yield from _leaves("backbone.patches.projection", "backbone.patch_embed.proj", _AFFINE)
    yield from _leaves("backbone.patches.norm", "backbone.patch_embed.norm", _AFFINE)
    for stage, depth in enumerate(sizes.depths):
        for block in range(depth):
            ours, released = f"backbone.stages.{stage}.{block}", f"backbone.layers.{stage}.blocks.{block}"
            yield f"{ours}.attention.bias_table", f"{released}.attn.relative_position_bias_table"
            for left, right in _SWIN_BLOCK.items():
                yield from _leaves(f"{ours}.{left}", f"{released}.{right}", _AFFINE)
        yield from _leaves(f"backbone.norms.{stage}", f"backbone.norm{stage}", _AFFINE)
    for stage in range(len(sizes.depths) - 1):
        merging = f"backbone.layers.{stage}.downsample"
        yield f"backbone.mergings.{stage}.reduction.weight", f"{merging}.reduction.weight"
        yield from _leaves(f"backbone.mergings.{stage}.norm", f"{merging}.norm", _AFFINE)


def _decoder_names(config: AvismConfig) -> Names:
    ours, released = "pixel_decoder", "sem_seg_head.pixel_decoder"
    for level in range(3):
        for part in range(2):
            yield from _leaves(f"{ours}.projections.{level}.{part}", f"{released}.input_proj.{level}.{part}", _AFFINE)
    yield f"{ours}.level_position", f"{released}.transformer.level_embed"
    for i in range(config.encoder_layers):
        layer, theirs = f"{ours}.layers.{i}", f"{released}.transformer.encoder.layers.{i}"
        for left, right in _DEFORMABLE.items():
            yield from _leaves(f"{layer}.attention.{left}", f"{theirs}.self_attn.{right}", _AFFINE)
        yield from _leaves(f"{layer}.norm", f"{theirs}.norm1", _AFFINE)
        yield from _feed_forward(f"{layer}.feed_forward", theirs, norm="norm2")
    yield from _leaves(f"{ours}.laterals.0.inward", f"{released}.adapter_1", _NORMED_CONV)
    yield from _leaves(f"{ours}.laterals.0.outward", f"{released}.layer_1", _NORMED_CONV)
    # the released pixel decoder holds the 1x1 convolution whose output only the frame decoder reads
    yield from _leaves("localizer.mask_projection", f"{released}.mask_features", _AFFINE)


def _localizer_names(config: AvismConfig) -> Names:
    ours, released = "localizer", "sem_seg_head.predictor"
    yield from _leaves(f"{ours}.fusion.inward", f"{released}.av_pre_proj", _AFFINE)
    yield from _leaves(f"{ours}.fusion.outward", f"{released}.av_post_proj", _AFFINE)
    for level in range(3):
        yield from _cross_attention(f"{ours}.fusion.blocks.{level}", f"{released}.av_sf.{level}")
    yield f"{ours}.level_position", f"{released}.level_embed.weight"
    yield from _query_decoder(ours, f"{ours}.layers", released, config.frame_layers)


def _tracker_names(config: AvismConfig, prefix: str) -> Names:
    ours, released = "tracker", f"{prefix}_module"
    yield from _leaves(f"{ours}.token_projection", f"{released}.input_proj_dec", _AFFINE)
    yield from _leaves(f"{ours}.audio_projection", f"{released}.av_proj", _AFFINE)
    for i in range(config.tracker_self_layers):
        yield from _self_attention(f"{ours}.token_layers.{i}.self_attention", f"{released}.enc_self_attn.{i}")
        yield from _feed_forward(f"{ours}.token_layers.{i}.feed_forward", f"{released}.enc_ffn.{i}")
    for i in range(config.tracker_audio_layers):
        yield from _cross_attention(f"{ours}.audio_layers.{i}.cross_attention", f"{released}.enc_av_cross_attn.{i}")
        yield from _feed_forward(f"{ours}.audio_layers.{i}.feed_forward", f"{released}.enc_av_ffn.{i}")
    yield f"{ours}.token_position", f"{released}.fq_pos.weight"
    yield from _leaves(f"{ours}.mask_projection", f"{released}.{prefix}_mask_features", _AFFINE)
    yield from _leaves(f"{ours}.token_similarity_head", f"{released}.sim_embed_frame", _AFFINE)
    yield from _leaves(f"{ours}.query_similarity_head", f"{released}.sim_embed_clip", _AFFINE)
    yield from _query_decoder(ours, f"{ours}.query_layers", released, config.tracker_layers)
