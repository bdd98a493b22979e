"""What inference asks of a model: one protocol for each kind of system, so that nothing here asks which network it has.

Letters: T token frames, Q frame queries, N video queries, C channels, K classes, h, w pixels at network size.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.models.system import ClipConfig, MapConfig, OnlineConfig
from avis_cli.models.tokens import FrameTokens, OnlineFrame, TrackQueries
from avis_cli.results.frame import FrameResult

State = TypeVar("State")


class ClipModel(Protocol):
    """A model that tracks through a whole clip (AVISM, ACVIS): tokens of each frame first, then tracks of a window of
    them."""

    @property
    def config(self) -> ClipConfig:
        """The network's sizes and habits."""
        ...

    @property
    def device(self) -> torch.device: ...

    def embed_log_mel(self, patches: Tensor | NDArray[np.float32]) -> Tensor:
        """Log-mel patches float32 (T, 96, 64), one a token frame -> audio embeddings (T, audio width)."""
        ...

    def localize(
        self, frames: Tensor | NDArray[np.uint8], audio: Tensor | NDArray[np.float32], *, frame_masks: bool = False
    ) -> FrameTokens:
        """Frames uint8 RGB (T, 3, h, w) and audio embeddings (T, audio width) -> tokens of every frame.

        ``frame_masks``: with the frame level's own masks, where ``config.refinements`` says that there are any."""
        ...

    def track(self, tokens: FrameTokens) -> TrackQueries:
        """Tokens of a window -> its video queries."""
        ...

    def mask_features(self, frames: Tensor | NDArray[np.uint8], *, frame_masks: bool = False) -> Tensor:
        """Frames uint8 RGB (T, 3, h, w) -> (T, M, h', w'), which mask embeddings are multiplied with; with
        ``frame_masks`` (T, 2 M, h', w'), the frame level's after the video level's."""
        ...

    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        """How surely each pair of video query and class (K,) is heard in each token frame: (K, T), 0..1."""
        ...


class OnlineModel(Protocol[State]):
    """A model that sees one frame after another and never a later one (SeaVIS). States are values: a step leaves the
    one that it is given as it was."""

    @property
    def config(self) -> OnlineConfig:
        """The network's sizes and habits."""
        ...

    def start(self, named: int = 0) -> State:
        """What is known before the first frame; ids of its objects begin after ``named``."""
        ...

    def step(
        self, state: State, frame: NDArray[np.uint8], audio: NDArray[np.float32], *, time: float | None = None
    ) -> tuple[FrameResult, State]:
        """Frame uint8 RGB (3, h, w) and its audio embedding (audio width,) -> its tracks, and what is known then."""
        ...

    def observe(
        self,
        state: State,
        frame: NDArray[np.uint8],
        audio: Tensor | NDArray[np.float32],
        *,
        time: float | None = None,
        gated: bool | None = None,
    ) -> tuple[OnlineFrame, State]:
        """As ``step``, before any mask is drawn."""
        ...

    def mask_features(self, frames: NDArray[np.uint8]) -> Tensor:
        """Frames uint8 RGB (T, 3, h, w) -> (T, M, h', w'), which mask embeddings are multiplied with."""
        ...


class MapModel(Protocol):
    """A model of what sounds pixel by pixel, without instances (TPAVI, CAVP)."""

    @property
    def config(self) -> MapConfig:
        """The network's sizes and habits."""
        ...

    def segment(
        self,
        frames: Tensor | NDArray[np.uint8],
        audio: Tensor | NDArray[np.float32],
        valid: Tensor | NDArray[np.bool_] | None = None,
    ) -> Tensor:
        """Frames uint8 RGB (F, 3, h, w) at network size, clip after clip, and their sound, embeddings (F, audio width)
        or samples (F, channels, N) -> logits float32 (F, K, h, w) on the CPU, K = 1 for sounding or not. ``valid``
        (B, F / B): which frames are no padding."""
        ...
