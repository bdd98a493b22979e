"""SeaVIS assembled: the frame stage with causal fusion, the embeddings that association goes by, and one step of it.

Shape letters: B clips, T token frames, Q frame queries, C channels, K classes, M mask channels, h, w a mask map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.errors import UsageError
from avis_cli.models.seavis.associate import AssociationRule, Candidates, Track, associate, without_duplicates
from avis_cli.models.seavis.config import SeavisConfig
from avis_cli.models.seavis.localizer import CausalLocalizer, SoundSoFar, causal
from avis_cli.models.tokens import FramePredictions, OnlineFrame, OnlineTrack
from avis_cli.models.two_level.frame_stage import FrameStage
from avis_cli.nn.layers import MLP
from avis_cli.nn.pixel_decoder import PixelDecoder, PixelFeatures


@dataclass(frozen=True, eq=False)
class SoundMemory:
    """``heard`` (S, C): projected audio of the last S token frames, at most ``history`` of them, at ``times`` in
    seconds."""

    heard: Tensor
    times: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class SeavisState:
    """What is known between two frames. ``tracks`` that live; ``frames``: token frames so far; ``named``: objects that
    have been given an id."""

    sound: SoundMemory
    tracks: tuple[Track, ...] = ()
    frames: int = 0
    named: int = 0


@dataclass(frozen=True, eq=False)
class Observation:
    """What is seen and heard in one token frame, before it is associated. ``mask_embed`` (P, M) of the candidates,
    ``mask_features`` (M, h, w); ``size``: height and width in pixels, before padding."""

    time: float
    size: tuple[int, int]
    candidates: Candidates
    mask_embed: Tensor
    mask_features: Tensor


@dataclass(frozen=True, eq=False)
class EmbeddedPredictions:
    """``frames``: what every layer of the localizer says; ``embed`` (B, T, Q, C) of the last layer's queries;
    ``anchor`` (B, T, C), the audio's, of length 1."""

    frames: FramePredictions
    embed: Tensor
    anchor: Tensor


class Seavis(FrameStage):
    """SeaVIS (Zhu et al. 2026), reconstructed, its parts passed in already built."""

    config: SeavisConfig
    localizer: CausalLocalizer

    def __init__(
        self,
        config: SeavisConfig,
        backbone: nn.Module,
        pixel_decoder: PixelDecoder,
        localizer: CausalLocalizer,
        audio_encoder: nn.Module | None = None,
    ) -> None:
        """``config``: as ``FrameStage`` has it. ``audio_encoder``: log-mel patches (T, 96, 64) -> embeddings."""
        super().__init__(config, backbone, pixel_decoder, localizer)
        self.embed_head = MLP(config.width, config.width, config.width, 3)
        self.anchor = nn.Linear(config.audio_width, config.width)
        self.audio_encoder = audio_encoder

    def encode_audio(self, log_mel: Tensor) -> Tensor:
        if self.audio_encoder is None:
            raise UsageError(f"{self.config.name} has no audio encoder of its own", hint="embed its audio with VGGish")
        out: Tensor = self.audio_encoder(log_mel)
        return out

    def start(self, named: int = 0) -> SeavisState:
        """Before the first frame. ``named``: objects that were given an id before; those to come are others."""
        return SeavisState(SoundMemory(self.pixel_mean.new_zeros(0, self.config.width)), named=named)

    def step(
        self, state: SeavisState, frame: Tensor, audio: Tensor, *, time: float | None = None, gated: bool | None = None
    ) -> tuple[OnlineFrame, SeavisState]:
        """The next token frame, uint8 RGB (3, h, w) at network size, and its audio (audio width,).

        ``time``: in seconds, the token frames' own rate if None; ``gated``: whether the sounding gate counts, the
        configuration's habit if None. Raises UsageError for arrays of another shape and a time that does not rise.
        """
        time = state.frames / self.config.fps if time is None else time
        seen, state = self.look(state, frame, audio, time)
        return self.link(state, seen, AssociationRule.of(self.config, gated))

    @torch.no_grad()
    def look(self, state: SeavisState, frame: Tensor, audio: Tensor, time: float) -> tuple[Observation, SeavisState]:
        """The first half of ``step``: what is in the frame, and the state with the frame's sound in it."""
        self.check_frames(frame[None])
        sound, config = state.sound, self.config
        if audio.shape != (config.audio_width,):
            raise UsageError(
                f"an audio embedding of shape {tuple(audio.shape)}, expected ({config.audio_width},)",
                hint="give what embed_audio returned for the frame's second",
            )
        last = sound.times[-1] if sound.times else -math.inf
        if not last < time < math.inf:
            raise UsageError(f"a frame at {time:g} s after one at {last:g} s", hint="give frames in order")
        audio = audio.to(self.device, self.dtype)[None]
        features, kind = self.features(frame[None]), self.kept_type()
        with self.in_float32():
            heard = torch.cat([sound.heard, self.localizer.fusion.project(audio)])[-config.history :]
            times = (*sound.times, time)[-config.history :]
            age = torch.tensor([[time - then for then in times]], dtype=torch.float32, device=self.device)
            queries = self.localizer.look(features, audio, SoundSoFar(heard[None], age))[-1][0]
            masks = self.localizer.mask_features(features)[0]
            seen = Observation(
                time, (frame.shape[-2], frame.shape[-1]), *self._candidates(queries, audio, masks), masks.to(kind)
            )
        return seen, replace(state, sound=SoundMemory(heard, times))

    def _candidates(self, queries: Tensor, audio: Tensor, masks: Tensor) -> tuple[Candidates, Tensor]:
        """queries (Q, C), audio (1, audio width) and mask features (M, h, w) -> candidates, and their mask embeddings
        (P, M)."""
        probabilities = self.localizer.class_head(queries).float().softmax(-1)[:, :-1]
        scores = probabilities.amax(-1)
        chosen = torch.nonzero(scores > self.config.candidate_score).flatten()
        if not len(chosen):
            chosen = scores.argmax()[None]
        chosen = chosen[scores[chosen].argsort(descending=True, stable=True)]
        mask_embed = self.localizer.mask_head(queries[chosen]).float()
        inside = (mask_embed @ masks.flatten(1).float() > 0).cpu().numpy()
        kept = torch.tensor(without_duplicates(inside, self.config.duplicate_iou), device=chosen.device)
        chosen, mask_embed = chosen[kept], mask_embed[kept]
        embed = self.embed_head(queries[chosen]).float()
        cosine = F.normalize(embed, dim=-1) @ F.normalize(self.anchor(audio)[0].float(), dim=-1)
        candidates = Candidates(
            *(values.double().cpu().numpy() for values in (probabilities[chosen], embed, cosine)),
        )
        return candidates, mask_embed

    def link(self, state: SeavisState, seen: Observation, rule: AssociationRule) -> tuple[OnlineFrame, SeavisState]:
        """The second half of ``step``: which object is which."""
        tracks, named = associate(state.tracks, seen.candidates, state.frames, rule, state.named)
        told = tuple(
            OnlineTrack(
                track.id,
                int(track.probabilities.argmax()),
                float(track.probabilities.max()),
                track.sounding,
                track.candidate if track.heard else None,
            )
            for track in sorted(tracks, key=lambda track: track.id)
            if track.id
        )
        frame = OnlineFrame(seen.time, seen.size, told, seen.mask_embed, seen.mask_features)
        return frame, SeavisState(state.sound, tracks, state.frames + 1, named)

    def rule(self, **changes: Any) -> AssociationRule:
        """The configuration's rule of association, with ``changes``."""
        return replace(AssociationRule.of(self.config), **changes)

    @torch.no_grad()
    def mask_features(self, frames: Tensor) -> Tensor:
        """Frames as for ``step``, uint8 (T, 3, h, w) -> (T, M, h, w), for frames that need masks and no tokens."""
        self.check_frames(frames)
        kind = self.kept_type()
        parts = [self.features(part) for part in frames.split(self.frames_per_pass)]
        with self.in_float32():
            return torch.cat([self.localizer.mask_features(part).to(kind) for part in parts])

    def forward(self, frames: Tensor, audio: Tensor) -> EmbeddedPredictions:
        """All intermediate predictions of B clips of T consecutive token frames: frames (B, T, 3, h, w), 0..255; audio
        (B, T, audio width)."""
        return self.predict(self.features(frames.flatten(0, 1)), audio)

    def predict(self, features: PixelFeatures, audio: Tensor) -> EmbeddedPredictions:
        """As ``forward``, from the features of the B T frames."""
        B, T = audio.shape[:2]
        localizer = self.localizer
        times = torch.arange(T, dtype=torch.float32, device=audio.device) / self.config.fps
        sound = causal(localizer.fusion.project(audio), times, self.config.history)
        states = torch.stack(localizer.look(features, audio.flatten(0, 1), sound)).unflatten(1, (B, T))
        predictions = FramePredictions(  # states: (D, B, T, Q, C)
            states,
            localizer.class_head(states),
            localizer.mask_head(states),
            localizer.mask_features(features).unflatten(0, (B, T)),
        )
        return EmbeddedPredictions(predictions, self.embed_head(states[-1]), F.normalize(self.anchor(audio), dim=-1))
