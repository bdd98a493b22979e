"""A network of two levels: backbone, pixel decoder, localizer and tracker, from frames and sound to tracks.

Shape letters: B clips, T frames, Q frame queries, N video queries, C channels, K classes, M mask channels, H, W.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.errors import UsageError
from avis_cli.models.tokens import FramePredictions, FrameTokens, TrackPredictions, TrackQueries, sounding
from avis_cli.models.two_level.config import TwoLevelConfig
from avis_cli.models.two_level.frame_stage import FrameStage
from avis_cli.nn.counting import count_probabilities
from avis_cli.nn.masked_decoder import MaskedDecoder
from avis_cli.nn.pixel_decoder import PixelDecoder, PixelFeatures
from avis_cli.nn.tracker import Tracker


class TwoLevelNetwork(FrameStage):
    """A localizer and a tracker on one pixel decoder (AVISM, Guo et al. 2025, section 4), passed in already built."""

    config: TwoLevelConfig

    def __init__(
        self,
        config: TwoLevelConfig,
        backbone: nn.Module,
        pixel_decoder: PixelDecoder,
        localizer: MaskedDecoder,
        tracker: Tracker,
    ) -> None:
        super().__init__(config, backbone, pixel_decoder, localizer)
        self.tracker = tracker

    @torch.no_grad()
    def localize(self, frames: Tensor, audio: Tensor, *, frame_masks: bool = False) -> FrameTokens:
        """Frames uint8 (T, 3, h, w), RGB at network size, and their audio (T, audio width) -> FrameTokens.

        Each frame is its own: windows of a clip give what the clip would. ``frame_masks``: with the frame level's own
        mask embeddings, and the mask features of both levels.
        """
        self.check_frames(frames)
        if audio.shape != (len(frames), self.config.audio_width):
            raise UsageError(
                f"audio embeddings of shape {tuple(audio.shape)}, expected {(len(frames), self.config.audio_width)}",
                hint="give one embedding per frame",
            )
        audio = audio.to(self.device, self.dtype)
        some = self.frames_per_pass
        parts = zip(frames.split(some), audio.split(some), strict=True)
        return FrameTokens.join([self._localize(part, sound, frame_masks) for part, sound in parts])

    def _localize(self, frames: Tensor, audio: Tensor, frame_masks: bool) -> FrameTokens:
        """As ``localize``, all in one pass."""
        features = self.features(frames)
        masks = self._mask_features(features, frame_masks)
        with self.in_float32():
            decoded = self.localizer(features, audio)
            state, count = decoded.queries[-1], decoded.count_logits
            return FrameTokens(
                state.float(),
                self.localizer.class_head(state).float(),
                audio.float(),
                masks,
                (frames.shape[-2], frames.shape[-1]),
                None if count is None else count_probabilities(count.float()),
                self.localizer.mask_head(state).float() if frame_masks else None,
            )

    @torch.no_grad()
    def mask_features(self, frames: Tensor, *, frame_masks: bool = False) -> Tensor:
        """Frames as for ``localize`` -> (T, M, h, w), for frames that need masks and no tokens; with ``frame_masks``
        (T, 2 M, h, w)."""
        self.check_frames(frames)
        parts = frames.split(self.frames_per_pass)
        return torch.cat([self._mask_features(self.features(part), frame_masks) for part in parts])

    @torch.no_grad()
    def track(self, tokens: FrameTokens | Tensor, audio: Tensor | None = None) -> TrackQueries:
        """Tokens of a whole clip, or bare queries (T, Q, C) and audio (T, audio width) -> TrackQueries."""
        if isinstance(tokens, FrameTokens):
            queries, audio = tokens.queries, tokens.audio
        else:
            queries = tokens
        wanted = (self.config.frame_queries, self.config.width)
        if audio is None or queries.ndim != 3 or queries.shape[1:] != wanted or len(queries) == 0:
            raise UsageError(
                f"tokens of shape {tuple(queries.shape)}, expected (T, {wanted[0]}, {wanted[1]}) and their audio",
                hint="give what localize returned",
            )
        queries, audio = queries.to(self.device, self.dtype), audio.to(self.device, self.dtype)
        heads = self.tracker
        with self.in_float32():
            states, token_similarity, heard = heads(queries[None], audio[None])
            state = states[-1][0]
            return TrackQueries(
                heads.class_head(state).float(),
                heads.mask_head(state).float(),
                heads.query_similarity_head(state).float(),
                token_similarity[0].float(),
                # the head is linear: what is added to tokens before it is added to embeddings behind it
                F.linear(heard[0], heads.token_similarity_head.weight).float(),
            )

    @torch.no_grad()
    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        """How surely each track is heard in each token frame, 0..1: (K, T), as `tokens.sounding` says."""
        with self.in_float32():
            return sounding(tokens, tracks, queries, classes)

    def forward(
        self, frames: Tensor, audio: Tensor, token_layers: int = 3, shifted: bool = False
    ) -> tuple[FramePredictions, TrackPredictions]:
        """All intermediate predictions of B clips, for training.

        frames (B, T, 3, h, w), 0..255; audio (B, T, audio width). The tracker runs on the queries of each of the last
        ``token_layers`` localizer layers, its token layers on unshifted windows unless ``shifted``.
        """
        return self.predict(self.features(frames.flatten(0, 1)), audio, audio, token_layers, shifted)

    def predict(
        self,
        features: PixelFeatures,
        audio: Tensor,
        tracker_audio: Tensor,
        token_layers: int = 3,
        shifted: bool = False,
    ) -> tuple[FramePredictions, TrackPredictions]:
        """As ``forward``, from the features of the B T frames and with the audio that each level is to hear."""
        B, T = audio.shape[:2]
        decoded = self.localizer(features, audio.flatten(0, 1))
        states = torch.stack(decoded.queries).unflatten(1, (B, T))  # (D, B, T, Q, C)
        frame_predictions = FramePredictions(
            states,
            self.localizer.class_head(states),
            self.localizer.mask_head(states),
            self.localizer.mask_features(features).unflatten(0, (B, T)),
            None if decoded.count_logits is None else decoded.count_logits.unflatten(0, (B, T)),
        )
        tokens = states[-token_layers:]  # (L, B, T, Q, C)
        L = len(tokens)
        repeated = tracker_audio.expand(L, -1, -1, -1).flatten(0, 1)
        tracked, token_similarity, _ = self.tracker(tokens.flatten(0, 1), repeated, shifted)
        queries = torch.stack(tracked).unflatten(1, (L, B))  # (D, L, B, N, C)
        track_predictions = TrackPredictions(
            self.tracker.class_head(queries),
            self.tracker.mask_head(queries),
            self.tracker.query_similarity_head(queries),
            token_similarity.unflatten(0, (L, B)),
            self.tracker.mask_features(features.fine).unflatten(0, (B, T)),
        )
        return frame_predictions, track_predictions

    def _mask_features(self, features: PixelFeatures, frame_masks: bool) -> Tensor:
        kind = self.kept_type()
        with self.in_float32():
            masks = self.tracker.mask_features(features.fine)
            if frame_masks:
                masks = torch.cat([masks, self.localizer.mask_features(features)], dim=1)
            return masks.to(kind)
