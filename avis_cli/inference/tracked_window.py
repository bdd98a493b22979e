"""A window of token frames that has been tracked: its candidates, and their masks frame by frame.

Letters: P candidates (pairs of video query and class), T token frames, M mask channels, h, w a mask map, H, W the
output.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.errors import AvisError
from avis_cli.inference.associate import Evidence, collect_evidence
from avis_cli.inference.aurora import NO_REFINEMENT, Refiner, dice
from avis_cli.inference.clean_masks import clean_mask
from avis_cli.inference.clip_frames import Sampling
from avis_cli.inference.decode_masks import MaskSizes, candidates, decode_logits, mask_logits
from avis_cli.inference.gate import Gate, apply_hysteresis
from avis_cli.inference.mask_frames import MaskFrame
from avis_cli.inference.protocols import ClipModel
from avis_cli.inference.windows import TokenWindow

Drawn = list[NDArray[np.bool_] | None]
"""One mask (H, W) per candidate, None where it has no pixel or is not heard."""


@dataclass(frozen=True)
class WindowSettings:
    """What is asked of a window. ``output_size``: height and width of the masks; ``threshold``: score that a candidate
    has to be able to exceed; ``gated``: whether a candidate is drawn only where it is heard; ``shared``: token frames
    that it has in common with each neighbour; ``clean``: whether specks and pinholes are taken out of the masks;
    ``refine``: what checks the masks, if anything."""

    output_size: tuple[int, int]
    threshold: float
    gated: bool
    shared: int = 0
    clean: bool = False
    refine: str = NO_REFINEMENT


@dataclass(frozen=True, eq=False)
class FrameEvidence:
    """What the score and the gate of each candidate rest on, for each token frame of a clip that was drawn ungated.

    ``probability`` (P,), of the class; ``certainty`` and ``pixels`` (P, T): sum of sigmoids inside the mask, and its
    size; ``sounding`` (P, T), 0..1: how surely it is heard; ``similarity`` (P, C), its embedding.
    """

    probability: NDArray[np.float64]
    certainty: NDArray[np.float64]
    pixels: NDArray[np.float64]
    sounding: NDArray[np.float64]
    similarity: NDArray[np.float32]


class TrackedWindow:
    """Candidates of a window that can still reach the threshold; its tokens are not kept.

    ``times`` of its token frames and ``end``, where they end, in seconds; ``classes`` of its candidates and ``ids``,
    the objects that they are, which association sets in a clip of several windows; ``begin``: seconds from which on its
    masks count, None from the first; ``evidence``: for association, None where the window is the whole clip;
    ``refiner``: what checks its masks, None where nothing does.
    A score is the class probability times the mean sigmoid inside the masks that were given out (Cheng et al. 2022,
    section 3.4, over all frames of the clip as in VITA).
    """

    def __init__(
        self,
        model: ClipModel,
        window: TokenWindow,
        sampling: Sampling,
        settings: WindowSettings,
        gallery: NDArray[np.float32] | None,
    ) -> None:
        """``gallery`` (A, C): similarity embeddings of the objects before it, None if there are none."""
        tokens = window.tokens
        self._one_grid = sampling.one_grid
        numbers = range(window.first, window.first + len(tokens) + 1)
        *self.times, self.end = [sampling.start + number / sampling.fps for number in numbers]
        self.begin: Fraction | None = None
        tracks = model.track(tokens)
        require_finite(tracks.class_logits, tracks.mask_embed)
        self.pairs = candidates(tracks.class_logits, settings.threshold)
        self.classes: list[int] = self.pairs.classes.tolist()
        self.ids: list[int | None] = list(range(len(self.pairs)))
        # how surely each is heard (P, T): what the gate and association both go by
        self._sounding = model.sounding(tokens, tracks, self.pairs.queries, self.pairs.classes).cpu().numpy()
        threshold = model.config.gate_threshold
        self.gate: Gate | None = None
        if settings.gated:
            self.gate = Gate.of(self._sounding, self.times, 1 / sampling.fps, threshold, self._one_grid)
        self.evidence: Evidence | None = None
        if window.first > 0 or not window.last:
            gallery = tracks.similarity[:0].cpu().numpy() if gallery is None else gallery
            seconds = np.array([float(time) for time in self.times])
            heard = apply_hysteresis(self._sounding, threshold)
            self.evidence = collect_evidence(tokens, tracks, self.pairs, heard, seconds, settings.shared, gallery)
        self._similarity = tracks.similarity[self.pairs.queries]
        self._embed = tracks.mask_embed
        self._clean = settings.clean
        self._sizes = MaskSizes.of(tokens.size, model.config.size_divisor, settings.output_size)
        self._rows = self.pairs.rows.cpu().numpy()
        self._total = torch.zeros(len(self.pairs), dtype=torch.float64)
        self._pixels = torch.zeros(len(self.pairs), dtype=torch.float64)
        self._cells = torch.zeros(3, len(self.pairs), dtype=torch.float64)  # common, video, frame: as in Refined
        self.refiner: Refiner | None = None
        if settings.refine != NO_REFINEMENT:
            self.refiner = Refiner(tokens, tracks, self.pairs.masks, self.times)
        self._per_frame: list[tuple[Tensor, Tensor]] | None = None

    def record(self) -> None:
        """Keep what each frame adds to the scores, for ``frame_evidence``."""
        self._per_frame = []

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which candidates are ever drawn (P,)."""
        return np.ones(len(self.classes), bool) if self.gate is None else self.gate.heard.sum(axis=1) > 0

    def draw(self, frame: MaskFrame) -> Drawn:
        """The masks of a frame; its features are asked for only where a candidate is heard."""
        wanted = self._heard(frame.time)
        return self._decode(frame, wanted) if wanted.any() else [None] * len(self.classes)

    def _heard(self, time: Fraction) -> NDArray[np.bool_]:
        if self.gate is None:
            return np.ones(len(self.classes), dtype=bool)
        # a token frame has its own value, and only what lies between two is in between
        heard: NDArray[np.bool_] = self.gate.heard[:, self.times.index(time)] if self._one_grid else self.gate.at(time)
        return heard

    def _decode(self, frame: MaskFrame, wanted: NDArray[np.bool_]) -> Drawn:
        """``wanted`` (P,), the candidates to draw, at least one."""
        needed = np.unique(self._rows[wanted])
        with torch.inference_mode():
            require_finite(frame.features)
            logits, cells = self._logits(frame, torch.from_numpy(needed).to(self.pairs.masks.device))
            decoded = torch.zeros((len(needed), *self._sizes.output), dtype=torch.bool, device=logits.device)
            quality = decode_logits(logits, self._sizes, decoded)
        shown = [mask if mask.any() else None for mask in decoded.cpu().numpy()]
        if self._clean:
            shown = [None if mask is None else clean_mask(mask) for mask in shown]
        masks: Drawn = [None] * len(self._rows)
        index = {int(row): place for place, row in enumerate(needed)}
        total, pixels = torch.zeros_like(self._total), torch.zeros_like(self._pixels)
        for pair in np.flatnonzero(wanted):
            place = index[int(self._rows[pair])]
            total[pair], pixels[pair] = quality.total[place].cpu(), quality.pixels[place].cpu()
            masks[pair] = shown[place]
            if cells is not None:
                self._cells[:, pair] += cells[:, place]
        self._total += total
        self._pixels += pixels
        if self._per_frame is not None:
            self._per_frame.append((total, pixels))
        return masks

    def _logits(self, frame: MaskFrame, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mask logits of the queries in ``rows`` (R,) of those that need a mask, (R, h, w); where they are refined also
        the cells of both levels' masks (3, R), of which `aurora.dice` is made."""
        embed = self._embed[self.pairs.masks[rows]]
        if self.refiner is None:
            return mask_logits(embed, frame.features), None
        refined = self.refiner.refine(embed, frame.features, rows, frame.time)
        return refined.logits, torch.stack([refined.common, refined.video, refined.frame]).cpu()

    @property
    def pixels(self) -> list[float]:
        """Pixels of each candidate's masks so far, of the size of the network's input."""
        counts: list[float] = self._pixels.tolist()
        return counts

    def scores(self) -> list[float]:
        """Score of each candidate over the frames so far, before any factor for how far both levels agree."""
        mean = self._total / (self._pixels + 1e-6)
        scores: list[float] = (self.pairs.probabilities.cpu().double() * mean).tolist()
        return scores

    def agreement(self) -> list[float]:
        """How far the masks of both levels agree over the frames so far, 0..1; 1 where nothing was refined."""
        if self.refiner is None:
            return [1.0] * len(self.pairs)
        agreement: list[float] = dice(*self._cells).tolist()
        return agreement

    def frame_evidence(self) -> FrameEvidence:
        """What was recorded, of a window that was drawn ungated at its token frames."""
        shape = len(self.pairs), len(self.times)
        certainty, pixels = np.zeros(shape), np.zeros(shape)  # without candidates no frame was decoded
        for place, (total, count) in enumerate(self._per_frame or []):
            certainty[:, place], pixels[:, place] = total.numpy(), count.numpy()
        return FrameEvidence(
            self.pairs.probabilities.cpu().double().numpy(),
            certainty,
            pixels,
            self._sounding.astype(np.float64),
            self._similarity.cpu().float().numpy(),
        )


def require_finite(*outputs: Tensor) -> None:
    """What is not a number is above no threshold: it would look like a clip in which nothing sounds."""
    # one bad value spoils the sum, which is faster than asking each
    if not all(bool(output.sum(dtype=torch.float32).isfinite()) for output in outputs):
        raise AvisError("the network's output is not finite", hint="try --precision fp32, or other weights")
