"""A network of random weights that is sure of some tracks, and a clip for it: speed needs no training."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from avis_cli.inference.decode_masks import candidates
from avis_cli.inference.model import Model
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.avism.system import build
from avis_cli.models.tokens import FrameTokens, TrackQueries
from avis_cli.nn.vggish import Vggish


def random_model(preset: str, tracks: int, precision: str = "fp32", device: str = "cpu") -> Model:
    """A model that gives ``tracks`` candidates for any clip: random weights are sure of nothing by themselves."""
    torch.manual_seed(0)
    config = PRESETS[preset]
    vggish = Vggish() if config.audio == "vggish" else None
    model = Model(build(config), vggish=vggish, precision=precision, device=device)
    track = model.track

    def sure(tokens: FrameTokens) -> TrackQueries:
        queries = track(tokens)
        pairs = candidates(queries.class_logits, None, tracks)
        logits = queries.class_logits.clone()
        logits[pairs.queries, pairs.classes] += 10
        return replace(queries, class_logits=logits)

    model.track = sure  # type: ignore[method-assign, assignment]
    return model


def make_clip(path: Path, seconds: int, size: tuple[int, int] = (1280, 720), fps: int = 30) -> None:
    """Noise that moves, H.264, with a tone, AAC."""
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as out:
        video, audio = out.add_stream("libx264", rate=fps), out.add_stream("aac", rate=48000)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio.layout = "stereo"
        for n in range(seconds * fps):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(picture, 4 * n, 1)), "rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for n in range(seconds):
            wave = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000).astype(np.float32) * 0.3
            block = av.AudioFrame.from_ndarray(np.stack([wave, wave]), "fltp", "stereo")
            block.sample_rate, block.pts, block.time_base = 48000, n * 48000, Fraction(1, 48000)
            out.mux(audio.encode(block))
        out.mux(audio.encode(None))
