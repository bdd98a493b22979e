"""How much is done at once: token frames that the tracker sees together, and what to do when memory does not do.

A clip of more token frames than a window holds is tracked in windows that overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from avis_cli.inference.memory import free_memory
from avis_cli.models.system import ClipConfig
from avis_cli.models.tokens import FrameTokens

LONGEST = 240
"""Token frames in a window where memory does not say less: four minutes, longer than any clip of the training sets."""
SHORTEST = 30  # token frames, under which tracks are hardly worth the name, however little memory is free
SHARE = 0.25  # of the free memory that a window's tokens may take
COPIES = 16
"""Arrays of a frame's tokens' size alive in the tracker at its widest: tokens, their two sums with the audio, keys and
values as they are and projected, similarity embeddings, and what a layer needs on the way."""


@dataclass(frozen=True)
class Plan:
    """``window``: token frames the tracker sees together; ``step``: from one window to the next, fewer by those that
    both see; ``frames``: in the network at once."""

    window: int
    step: int
    frames: int

    @classmethod
    def of(cls, window: int, attention: int, frames: int) -> Plan:
        """A plan for windows of ``window`` token frames, with ``attention`` of them in one window of attention.

        Neighbours share twice that, so that a frame in the middle of what they share has all its temporal context in
        both, and begin at whole windows of attention, so that both group the frames alike.
        """
        step = window - min(2 * attention, window // 2)
        if step > attention:
            step -= step % attention
        return cls(window, step, frames)

    @property
    def shared(self) -> int:
        """Token frames that a window and the next have in common."""
        return self.window - self.step

    def halved(self, attention: int) -> Plan:
        """A plan that needs about half the memory."""
        return Plan.of(max(self.window // 2, 1), attention, max(self.frames // 2, 1))


def choose_window(config: ClipConfig, device: torch.device) -> int:
    """``LONGEST``, halved until the tracking of a window takes at most ``SHARE`` of what is free on ``device``.

    Results of long clips depend on it a little: it is one of few numbers, so that a run can be repeated elsewhere.
    """
    free, window = free_memory(device), LONGEST
    while free is not None and window > SHORTEST and window * token_bytes(config) > free * SHARE:
        window //= 2
    return window


def token_bytes(config: ClipConfig) -> int:
    """Bytes that one more token frame in a window takes while it is tracked, in float32."""
    tokens = COPIES * config.frame_queries * config.width
    attention = config.heads * config.video_queries * config.frame_queries
    return 4 * (tokens + attention + config.frame_queries * (config.num_classes + 1))


@dataclass(frozen=True)
class TokenWindow:
    """Token frames ``first`` and following of a clip; ``last``: whether none come after it."""

    first: int
    tokens: FrameTokens
    last: bool


def in_windows(pieces: Iterator[FrameTokens], plan: Plan) -> Iterator[TokenWindow]:
    """Tokens of consecutive frames, in pieces of any length -> overlapping windows; the last may be shorter.

    No more is held than a window and a piece.
    """
    held = _Held()
    for piece in pieces:
        held.add(piece)
        while len(held) > plan.window:
            yield held.take(plan)
    if len(held):
        yield held.rest()


class _Held:
    """Tokens read and not yet given away; methods, so that no local name keeps a window alive while it is tracked."""

    def __init__(self) -> None:
        self._pieces: list[FrameTokens] = []
        self._first = 0

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def add(self, piece: FrameTokens) -> None:
        self._pieces.append(piece)

    def take(self, plan: Plan) -> TokenWindow:
        tokens = FrameTokens.join(self._pieces)
        window = TokenWindow(self._first, tokens.part(0, plan.window), False)
        self._pieces = [tokens.part(plan.step, len(tokens)).copy()]
        self._first += plan.step
        return window

    def rest(self) -> TokenWindow:
        window = TokenWindow(self._first, FrameTokens.join(self._pieces), True)
        self._pieces = []
        return window
