"""A network of kind ``map`` whose answer can be reckoned by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from avis_cli.inference.model import Model
from avis_cli.models.system import MapConfig

LEFT, RIGHT = 1, 2


def config(**changes: Any) -> MapConfig:
    given = {
        "name": "toy-maps", "categories": ("left", "right"), "side": 32, "clip_frames": 3, "hears": "samples",
        "sound_channels": 2,
    }  # fmt: skip
    return MapConfig(**{**given, **changes})


class ToyMaps(nn.Module):
    """The half of the picture sounds whose channel is louder, as the class of that name; nothing where both are silent.
    Of one channel the left half does. With one category there is one logit. ``calls``: the shapes of pictures and
    sound, and the loudness of each channel."""

    def __init__(self, config: MapConfig) -> None:
        super().__init__()
        self.config = config
        self.calls: list[tuple[tuple[int, ...], tuple[int, ...], list[list[float]]]] = []

    def embed_log_mel(self, patches: Tensor) -> Tensor:
        return patches.amax((1, 2))[:, None]  # log of the loudest band: low in silence

    def segment(self, frames: Tensor, audio: Tensor, valid: Tensor | None = None) -> Tensor:
        loud = audio.abs().amax(-1) if audio.ndim == 3 else (audio > -3).float()
        self.calls.append((tuple(frames.shape), tuple(audio.shape), loud.tolist()))
        (count, _, height, width), outputs = frames.shape, self.config.outputs
        logits = torch.zeros(count, outputs, height, width)
        if outputs == 1:
            logits -= 1
        else:
            logits[:, 0] = 1
        for frame, channels in zip(logits, loud, strict=True):
            if channels.max() > 0.01:
                side = int(channels.argmax())
                half = slice(0, width // 2) if side == 0 else slice(width // 2, width)
                frame[0 if outputs == 1 else side + 1, :, half] = 3
        return logits


def model(**changes: Any) -> Model:
    network = ToyMaps(config(**changes))
    return Model(network, name="toy-maps")
