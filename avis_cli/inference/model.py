"""A network ready for use: on its device, at its precision, without gradients. What ``load_model`` returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avis_cli.errors import UsageError, WeightsError
from avis_cli.inference.devices import PRECISIONS, choose_precision
from avis_cli.inference.online import draw, frame_result
from avis_cli.models.system import MapConfig, OnlineConfig
from avis_cli.models.tokens import FrameTokens, OnlineFrame, TrackQueries
from avis_cli.nn import audio as sound
from avis_cli.results.frame import FrameResult

Device = torch.device
Weights = Mapping[str, Tensor]


class Model:
    """A network with the weights, device and precision it runs with.

    ``name`` is what the user asked for, ``weights_sha256`` the checksum of the file it came from (None for weights
    given as tensors). ``vggish`` embeds the sound for the presets that have no audio encoder of their own; without it
    only embeddings made elsewhere can be used.
    """

    def __init__(
        self,
        network: Any,
        *,
        vggish: nn.Module | None = None,
        name: str | None = None,
        weights_sha256: str | None = None,
        device: torch.device | str = "cpu",
        precision: str = "fp32",
    ) -> None:
        self.device = torch.device(device)
        self.network: Any = network.to(self.device).eval()
        self.vggish = None if vggish is None else vggish.to(self.device).eval()
        self.name = name or network.config.name
        self.weights_sha256 = weights_sha256
        self.precision = choose_precision(precision)

    @property
    def config(self) -> Any:
        """The network's sizes and habits, a `NetworkConfig`."""
        return self.network.config

    @property
    def is_online(self) -> bool:
        """Whether it goes from frame to frame (``start``, ``step``) and not through whole clips (``localize``,
        ``track``)."""
        return isinstance(self.config, OnlineConfig)

    @property
    def is_semantic(self) -> bool:
        """Whether it says which pixels sound, and as what, without telling objects apart (``segment``)."""
        return isinstance(self.config, MapConfig)

    def segment(
        self,
        frames: Tensor | NDArray[np.uint8],
        audio: Tensor | NDArray[np.float32],
        valid: Tensor | NDArray[np.bool_] | None = None,
    ) -> Tensor:
        """Frames uint8 RGB (F, 3, h, w) at network size, clip after clip, and their sound, embeddings (F, audio width)
        or samples (F, channels, N) at 16 kHz -> logits of their pixels, float32 (F, K, h, w) on the CPU. ``valid``
        (B, F / B): which frames of each of B clips are no padding. Raises UsageError for a model of instances."""
        if not self.is_semantic:
            raise UsageError(f"{self.name} tells objects apart and has no class maps", hint="use avis_cli.segment")
        with self._running():
            known = None if valid is None else self._place(valid).bool()
            logits: Tensor = self.network.segment(self._place(frames), self._place(audio).float(), known)
            return logits.float().cpu()

    def start(self, named: int = 0) -> Any:
        """What an online model knows before the first frame; ids of its objects begin after ``named``. Raises
        UsageError for a model that is not online."""
        self._require(online=True)
        return self.network.start(named)

    def step(
        self,
        state: Any,
        frame: Tensor | NDArray[np.uint8],
        audio: Tensor | NDArray[np.float32],
        *,
        time: float | None = None,
        size: tuple[int, int] | None = None,
    ) -> tuple[FrameResult, Any]:
        """The next token frame of an online model: uint8 RGB (3, h, w) at network size, and the embedding
        (audio width,) of the second of sound that belongs to it -> what is in it, and what is known after it; ``state``
        is left as it was.

        ``time``: in seconds, rising; None where frames come at the model's own rate. ``size``: height and width of the
        masks in pixels, the frame's if None. Raises UsageError for a model that is not online and arrays of other
        shapes.
        """
        found, after = self.observe(state, frame, audio, time=time)
        drawn = draw(found, found.mask_features, size or found.size, self.config.size_divisor)
        return frame_result(found, drawn, self.config.categories, time=found.time, index=state.frames), after

    def observe(
        self,
        state: Any,
        frame: Tensor | NDArray[np.uint8],
        audio: Tensor | NDArray[np.float32],
        *,
        time: float | None = None,
        gated: bool | None = None,
    ) -> tuple[OnlineFrame, Any]:
        """As ``step``, before any mask is drawn; ``gated``: whether the sounding gate counts, the model's habit if
        None."""
        self._require(online=True)
        with self._running():
            picture, sound = self._place(frame), self._place(audio).float()
            return self.network.step(state, picture, sound, time=time, gated=gated)

    def localize(
        self, frames: Tensor | NDArray[np.uint8], audio: Tensor | NDArray[np.float32], *, frame_masks: bool = False
    ) -> FrameTokens:
        """Frames uint8 RGB (T, 3, h, w) at network size and audio embeddings (T, 128) -> tokens of every frame; with
        ``frame_masks`` the frame level's own masks too, of a network that has them."""
        self._require(online=False)
        with self._running():
            more = _asked(frame_masks)
            return self.network.localize(self._place(frames), self._place(audio).float(), **more)

    def track(
        self, tokens: FrameTokens | Tensor | NDArray[np.float32], audio: Tensor | NDArray[np.float32] | None = None
    ) -> TrackQueries:
        """Tokens of a whole clip, or its queries (T, Q, C) with its audio embeddings (T, 128) -> video queries."""
        self._require(online=False)
        with self._running():
            if isinstance(tokens, FrameTokens):
                return self.network.track(tokens)
            if audio is None:
                raise TypeError("track() takes FrameTokens, or queries and audio embeddings")
            return self.network.track(self._place(tokens).float(), self._place(audio).float())

    def mask_features(self, frames: Tensor | NDArray[np.uint8], *, frame_masks: bool = False) -> Tensor:
        """Frames uint8 RGB (T, 3, h, w) at network size -> mask features: backbone and pixel decoder only; with
        ``frame_masks`` the frame level's after the video level's."""
        with self._running():
            return self.network.mask_features(self._place(frames), **_asked(frame_masks))

    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        """How surely each pair of video query and class sounds in each token frame: (K, T), 0..1."""
        with self._running():
            return self.network.sounding(tokens, tracks, queries, classes).float()

    def count(self, tokens: FrameTokens) -> Tensor:
        """Probabilities that 0, 1, or 2 or more instances sound in each token frame: (T, 3).

        Raises UsageError for a model that does not count.
        """
        if tokens.count is None:
            raise UsageError(f"{self.name} does not count what sounds", hint="take one that does, as acvis-r50-coco")
        return tokens.count

    def embed_audio(self, windows: Sequence[Tensor], sample_rate: int) -> Tensor:
        """Mono sound of each token frame at its own rate -> audio embeddings (T, audio width)."""
        return self.embed_log_mel(sound.log_mel_patches(windows, sample_rate))

    def embed_log_mel(self, patches: Tensor | NDArray[np.float32]) -> Tensor:
        """Log-mel patches float32 (T, 96, 64), one a token frame -> audio embeddings (T, audio width).

        Raises WeightsError where the weights hold no network that hears.
        """
        patches = torch.as_tensor(patches)
        with self._running():
            if self.config.audio == "own":
                return sound.embed(self.network.embed_log_mel, patches, self.device)
            if self.vggish is None:
                raise WeightsError(
                    f"the weights of {self.name} hold no audio network",
                    hint="import both: `avis weights import CHECKPOINT.pth --vggish vggish-10086976.pth`",
                )
            return sound.embed(self.vggish, patches, self.device)

    def _require(self, *, online: bool) -> None:
        if self.is_semantic:
            raise UsageError(
                f"{self.name} makes class maps and follows no objects", hint="use segment(), or avis_cli.segment"
            )
        if online and not self.is_online:
            raise UsageError(
                f"{self.name} sees clips whole, not frame by frame", hint="take an online model: seavis-tiny"
            )
        if self.is_online and not online:
            raise UsageError(f"{self.name} goes frame by frame", hint="use start() and step(), or avis_cli.segment")

    def _place(self, array: Tensor | NDArray[np.generic]) -> Tensor:
        return torch.as_tensor(array).to(self.device, non_blocking=True)

    @contextmanager
    def _running(self) -> Iterator[None]:
        kind = PRECISIONS[self.precision]
        with torch.inference_mode(), torch.autocast(self.device.type, kind, enabled=kind != torch.float32):
            yield


def _asked(frame_masks: bool) -> dict[str, bool]:
    # networks without masks of a frame level do not know the word
    return {"frame_masks": True} if frame_masks else {}
