"""What the localizer hands to the tracker, and the tracker to the masks.

Shape letters: T token frames, Q frame queries, N video queries, C channels, K classes, M mask channels, h, w the size
of a mask map: the padded input over the mask stride. Training adds D decoder predictions, B clips, L token layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrameTokens:
    """Frames of one clip, each seen with the sound of its moment.

    ``queries`` (T, Q, C), ``class_logits`` (T, Q, K + 1), the last "no object"; ``audio`` (T, audio width);
    ``mask_features`` (T, M, h, w): mask logits of a track are their dot products with its mask embedding; no frames in
    it (0, M, h, w) where they were dropped. ``size``: height and width of the frames in pixels, before padding.
    ``count`` (T, 3): probabilities that 0, 1, or 2 or more instances sound, None of a network that does not count.
    ``mask_embed`` (T, Q, M): the frame level's own mask embeddings, None unless they were asked for; ``mask_features``
    are then (T, 2 M, h, w), those of tracks followed by those that go with ``mask_embed``.
    """

    queries: Tensor
    class_logits: Tensor
    audio: Tensor
    mask_features: Tensor
    size: tuple[int, int]
    count: Tensor | None = None
    mask_embed: Tensor | None = None

    def __len__(self) -> int:
        return len(self.queries)

    def without_masks(self) -> FrameTokens:
        """The same tokens, with the memory of their mask features given back."""
        none = self.mask_features.new_empty((0, *self.mask_features.shape[1:]))
        return replace(self, mask_features=none)

    def part(self, first: int, end: int) -> FrameTokens:
        """The tokens of frames ``first`` up to ``end``, as views; mask features where they are kept."""
        masks = self.mask_features[first:end] if len(self.mask_features) == len(self) else self.mask_features
        return replace(
            self,
            queries=self.queries[first:end],
            class_logits=self.class_logits[first:end],
            audio=self.audio[first:end],
            mask_features=masks,
            count=None if self.count is None else self.count[first:end],
            mask_embed=None if self.mask_embed is None else self.mask_embed[first:end],
        )

    def copy(self) -> FrameTokens:
        """The same in memory of its own, which keeps nothing else alive."""
        return FrameTokens(
            self.queries.clone(),
            self.class_logits.clone(),
            self.audio.clone(),
            self.mask_features.clone(),
            self.size,
            None if self.count is None else self.count.clone(),
            None if self.mask_embed is None else self.mask_embed.clone(),
        )

    @staticmethod
    def join(parts: Sequence[FrameTokens]) -> FrameTokens:
        """Tokens of consecutive windows of one clip -> tokens of the clip."""
        counts = [part.count for part in parts if part.count is not None]
        embeds = [part.mask_embed for part in parts if part.mask_embed is not None]
        return FrameTokens(
            torch.cat([part.queries for part in parts]),
            torch.cat([part.class_logits for part in parts]),
            torch.cat([part.audio for part in parts]),
            torch.cat([part.mask_features for part in parts]),
            parts[0].size,
            torch.cat(counts) if counts else None,
            torch.cat(embeds) if embeds else None,
        )


@dataclass(frozen=True)
class TrackQueries:
    """What a clip's video queries became.

    ``class_logits`` (N, K + 1), ``mask_embed`` (N, M); ``similarity`` (N, C) and ``token_similarity`` (T, Q, C): the
    dot product of a query's and a token's is the logit of their being the same object. ``audio_similarity`` (T, C):
    what the sound of a frame adds to the similarity embeddings of its tokens where queries attend to them, None for
    nothing.
    """

    class_logits: Tensor
    mask_embed: Tensor
    similarity: Tensor
    token_similarity: Tensor
    audio_similarity: Tensor | None = None


def sounding(tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
    """How surely each track is heard in each token frame, 0..1.

    Track k is video query ``queries[k]`` as class ``classes[k]`` (both (K,) of integers). Of a frame's tokens the one
    counts that is most surely both of the class and the same object, the product of the two probabilities -> (K, T).
    """
    probability = tokens.class_logits.softmax(-1)[..., classes]  # (T, Q, K)
    same = (tracks.token_similarity @ tracks.similarity[queries].T).sigmoid()  # (T, Q, C) @ (C, K)
    return (probability * same).amax(dim=1).T


@dataclass(frozen=True)
class FramePredictions:
    """What every layer of the localizer says, for the losses; D of them, the last layer's last.

    ``queries`` (D, B, T, Q, C), ``class_logits`` (D, B, T, Q, K + 1), ``mask_embed`` (D, B, T, Q, M),
    ``mask_features`` (B, T, M, h, w); ``count_logits`` (B, T, 2), of networks that count.
    """

    queries: Tensor
    class_logits: Tensor
    mask_embed: Tensor
    mask_features: Tensor
    count_logits: Tensor | None = None

    def mask_logits(self, layer: int = -1) -> Tensor:
        """Masks of one layer's queries -> (B, T, Q, h, w)."""
        return torch.einsum("btqm,btmhw->btqhw", self.mask_embed[layer], self.mask_features)


@dataclass(frozen=True)
class TrackPredictions:
    """What every layer of the tracker says, for the losses; D of them, and once for each of L localizer layers' tokens.

    ``class_logits`` (D, L, B, N, K + 1), ``mask_embed`` (D, L, B, N, M), ``similarity`` (D, L, B, N, C),
    ``token_similarity`` (L, B, T, Q, C), ``mask_features`` (B, T, M, h, w). The last of L are the last layer's tokens.
    """

    class_logits: Tensor
    mask_embed: Tensor
    similarity: Tensor
    token_similarity: Tensor
    mask_features: Tensor

    def mask_logits(self, layer: int = -1, tokens: int = -1) -> Tensor:
        """Masks of one layer's queries -> (B, N, T, h, w)."""
        return torch.einsum("bnm,btmhw->bnthw", self.mask_embed[layer, tokens], self.mask_features)


@dataclass(frozen=True, eq=False)
class OnlineTrack:
    """An object at one token frame of a network of kind ``online``.

    ``id`` from 1; ``category``, 0..K-1, and its ``probability``, of the frames so far; ``sounding``, 0..1: how surely
    it sounds; ``candidate``: the row of the frame's mask embeddings that is its own, None while it is silent.
    """

    id: int
    category: int
    probability: float
    sounding: float
    candidate: int | None


@dataclass(frozen=True, eq=False)
class OnlineFrame:
    """What a network of kind ``online`` says of one token frame. ``time`` in seconds; ``size``: height and width of the
    frame in pixels, before padding; ``tracks`` in rising id, silent ones among them; ``mask_embed`` (P, M): mask logits
    are the dot products with ``mask_features`` (M, h, w), or with those of any frame up to the next token frame."""

    time: float
    size: tuple[int, int]
    tracks: tuple[OnlineTrack, ...]
    mask_embed: Tensor
    mask_features: Tensor
