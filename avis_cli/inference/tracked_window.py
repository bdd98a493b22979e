"""One window of a clip: its tracks, their masks frame by frame, and what joins them with those of its neighbours."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from avis_cli.inference.associate import Evidence, gather
from avis_cli.inference.frames import Sampling
from avis_cli.inference.mask_frames import MaskFrame
from avis_cli.inference.mask_pass import MaskPass
from avis_cli.inference.model import Model
from avis_cli.inference.windows import TokenWindow


class Part:
    """A window that has been tracked; its tokens are not kept.

    ``times`` of its token frames and ``end``, where they end, in seconds; ``classes`` of its tracks and ``ids``, the
    objects that they are, which joining sets in a clip of several windows; ``begin``: seconds from which on its masks
    count, None from the first; ``evidence``: None where the window is the whole clip.
    """

    def __init__(
        self, model: Model, window: TokenWindow, sampling: Sampling, shared: int, output_size: tuple[int, int],
        threshold: float, gated: bool, known: NDArray[np.float32] | None,
    ) -> None:  # fmt: skip
        """``shared``: token frames in common with each neighbour; ``known`` (A, C): the similarity embeddings of the
        objects before it."""
        tokens = window.tokens
        self._one_grid = sampling.one_grid
        numbers = range(window.first, window.first + len(tokens) + 1)
        *self.times, self.end = [sampling.start + number / sampling.fps for number in numbers]
        self.begin: Fraction | None = None
        tracks = model.track(tokens)
        self.masks = MaskPass(model, tokens, tracks, output_size, threshold, gated, self.times)
        pairs = self.masks.pairs
        self.classes: list[int] = pairs.classes.tolist()
        self.ids: list[int | None] = list(range(len(pairs)))
        self.evidence: Evidence | None = None
        if window.first > 0 or not window.last:
            sounding = model.sounding(tokens, tracks, pairs.queries, pairs.classes).cpu().numpy()
            known = tracks.similarity[:0].cpu().numpy() if known is None else known
            seconds = np.array([float(time) for time in self.times])
            threshold = model.config.gate_threshold
            self.evidence = gather(tokens, tracks, pairs, sounding, seconds, threshold, shared, known)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which tracks are ever drawn (P,)."""
        gate = self.masks.gate
        return np.ones(len(self.classes), dtype=bool) if gate is None else gate.heard.sum(axis=1) > 0

    def draw(self, frame: MaskFrame) -> list[NDArray[np.bool_] | None]:
        """One mask (H, W) per track, None where it has no pixel or is not heard at the frame's time."""
        wanted = self._heard(frame.time)
        return self.masks.frame(frame.features, wanted) if wanted.any() else [None] * len(self.classes)

    def _heard(self, time: Fraction) -> NDArray[np.bool_]:
        gate = self.masks.gate
        if gate is None:
            return np.ones(len(self.classes), dtype=bool)
        # a token frame has its own value, and only what lies between two is in between
        heard: NDArray[np.bool_] = gate.heard[:, self.times.index(time)] if self._one_grid else gate.at(time)
        return heard
