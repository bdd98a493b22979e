"""TPAVI: temporal pixel-wise audio-visual interaction (Zhou et al., ECCV 2022, section 3.2).

Letters: B clips, T frames of a clip, F = B T frames, N positions of all frames that a block sees together, C channels,
D width of the sound, K outputs, h, w positions of a map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.errors import UsageError
from avis_cli.models.tpavi.config import STAGES, TpaviConfig
from avis_cli.nn.audio_encoder import AudioEncoder
from avis_cli.nn.norm_resnet import BatchNorm

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of values from 0 to 1


@dataclass(frozen=True, eq=False)
class TpaviOutput:
    """``logits`` (F, K, H, W); ``maps``: what the losses see of each stage, (F, C, h, w) with ReLU; ``sound``: each
    stage's sound (F, C), None where its block looks at the picture alone or is not there."""

    logits: Tensor
    maps: list[Tensor]
    sound: list[Tensor | None]


class DilatedConvolutions(nn.Module):
    """The sum of parallel 3x3 convolutions of one map, each dilated otherwise."""

    def __init__(self, in_width: int, width: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        branches = [nn.Conv2d(in_width, width, 3, padding=d, dilation=d) for d in dilations]
        for branch in branches:
            nn.init.normal_(branch.weight, std=0.01)
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = sum(branch(x) for branch in self.branches)
        return out


class InteractionBlock(nn.Module):
    """Every position of the frames of a clip attends to their sounds, or to all their positions.

    The products come without a softmax, so that theta (phi^T g) / N is the same as (theta phi^T) g / N: no matrix of
    N x N is made.
    """

    def __init__(self, width: int, audio_width: int, *, align_bias: bool) -> None:
        super().__init__()
        inner = width // 2
        self.align = nn.Linear(audio_width, width, bias=align_bias)
        self.theta = nn.Conv2d(width, inner, 1)
        self.phi = nn.Conv2d(width, inner, 1)
        self.g = nn.Conv2d(width, inner, 1)
        self.out = nn.Conv2d(inner, width, 1)
        self.out_norm = BatchNorm(width)
        self.norm = nn.LayerNorm(width)
        # so that at first the block is its norm alone
        nn.init.zeros_(self.out_norm.weight)

    def forward(self, x: Tensor, audio: Tensor | None, group: Tensor, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        """x (F, C, h, w), audio (F, D) or None to attend to x itself; ``group`` (F,): frames of one number are seen
        together, numbers from 0; ``weight`` (F,): 1 for frames that count among them, 0 for padding -> the same shape,
        and the sound as it was aligned (F, C)."""
        kind = self.norm.weight.dtype  # sums over all positions want it, also where convolutions have less
        sound = None if audio is None else self.align(audio)
        theta, g = self.theta(x).to(kind), self.g(x).to(kind) * weight[:, None, None, None]
        groups = int(group.max()) + 1
        if sound is None:
            phi = self.phi(x).to(kind)
            products = torch.einsum("fcp,fdp->fcd", phi.flatten(2), g.flatten(2))
        else:
            # the sound is the same at every position of its frame
            phi = F.linear(sound, self.phi.weight[:, :, 0, 0], self.phi.bias)
            products = torch.einsum("fc,fd->fcd", phi, g.sum((2, 3)))
        summed = products.new_zeros(groups, *products.shape[1:]).index_add(0, group, products)
        counts = weight.new_zeros(groups).index_add(0, group, weight) * (x.shape[2] * x.shape[3])
        summed = summed / counts.clamp(min=1)[:, None, None]
        y = torch.einsum("fchw,fcd->fdhw", theta, summed[group])
        z = self.out_norm(self.out(y).to(kind)) + x
        return self.norm(z.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), sound


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions around a residual. What goes past them has been rectified, as in the released network."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        out: Tensor = self.conv2(F.relu(self.conv1(x))) + x
        return out


class FusionStep(nn.Module):
    """A finer stage joined to what came from the coarser ones, at twice the size. The coarsest has none before it."""

    def __init__(self, width: int, *, is_first: bool) -> None:
        super().__init__()
        self.finer = None if is_first else ResidualUnit(width)
        self.joined = ResidualUnit(width)

    def forward(self, x: Tensor, before: Tensor | None) -> Tensor:
        if self.finer is not None and before is not None:
            x = before + self.finer(x)
        return F.interpolate(self.joined(x), scale_factor=2, mode="bilinear", align_corners=True)


class MapHead(nn.Module):
    """A map at half of the picture's size -> logits at its full size."""

    def __init__(self, width: int, widths: tuple[int, int], outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, widths[0], 3, padding=1)
        self.conv2 = nn.Conv2d(widths[0], widths[1], 3, padding=1)
        self.conv3 = nn.Conv2d(widths[1], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(self.conv1(x), scale_factor=2, mode="bilinear", align_corners=False)
        out: Tensor = self.conv3(F.relu(self.conv2(x)))
        return out


class Tpavi(nn.Module):
    """Backbone, neck, a block for each stage that has one, decoder and head."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, config: TpaviConfig, backbone: nn.Module, widths: tuple[int, ...], audio_encoder: AudioEncoder | None
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.audio_encoder = audio_encoder
        width = config.width
        self.neck = nn.ModuleList(DilatedConvolutions(w, width, config.dilations) for w in widths)
        self.blocks = nn.ModuleDict(
            {
                str(stage): InteractionBlock(width, config.audio_width, align_bias=config.align_bias)
                for stage in config.blocks
            }
        )
        self.decoder = nn.ModuleList(FusionStep(width, is_first=stage == STAGES) for stage in range(1, STAGES + 1))
        self.head = MapHead(width, config.head_widths, config.outputs)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255, persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None] * 255, persistent=False)

    def embed_log_mel(self, patches: Tensor) -> Tensor:
        """Log-mel patches (F, 96, 64) -> (F, D), of a network with an audio encoder of its own."""
        assert self.audio_encoder is not None
        out: Tensor = self.audio_encoder(patches)
        return out

    def segment(self, frames: Tensor, audio: Tensor, valid: Tensor | None = None) -> Tensor:
        """As `avis_cli.models.system.MapNetwork`: frames uint8 (F, 3, H, W), sides multiples of 32, and embeddings of
        their sound (F, D) -> logits (F, K, H, W)."""
        return self.forward(frames, audio, valid).logits

    def maps(self, frames: Tensor) -> list[Tensor]:
        """The backbone's maps of frames uint8 (F, 3, H, W) of any size, finest first, padded to multiples of 32."""
        height, width = frames.shape[-2:]
        x = (frames - self.mean) / self.deviation
        out: list[Tensor] = self.backbone(F.pad(x, (0, -width % 32, 0, -height % 32)))
        return out

    def forward(self, frames: Tensor, audio: Tensor, valid: Tensor | None = None) -> TpaviOutput:
        """The same with what the losses need. ``valid`` (B, T) bool: which frames are no padding; None: all, in clips
        of ``config.clip_frames``, or in one where ``config.whole_clips`` is not asked for. Raises UsageError for
        frames that make no whole clips and for sides that are no multiples of 32."""
        real = self._valid(len(frames), frames.shape[-2:], valid).to(frames.device)
        keep = real.flatten().to(self.mean.dtype)
        by_frame = keep[:, None, None, None]
        audio = audio * keep[:, None]
        x = (frames - self.mean) / self.deviation * by_frame
        maps = self.backbone(x)[-STAGES:]
        seen = [neck(one) * by_frame for neck, one in zip(self.neck, maps, strict=True)]
        met, sound = self._meet(seen, audio, keep, self._groups(real))
        joined: Tensor | None = None
        for step, one in zip(reversed(self.decoder), reversed(met), strict=True):
            joined = step(one, joined) * by_frame
        assert joined is not None
        return TpaviOutput(self.head(joined) * by_frame, [F.relu(one) for one in met], sound)

    def _valid(self, count: int, size: torch.Size, valid: Tensor | None) -> Tensor:
        if size[0] % 32 or size[1] % 32:
            raise UsageError(f"frames of {size[1]}x{size[0]} pixels, expected sides that are multiples of 32")
        if valid is None:
            length = self.config.clip_frames if self.config.whole_clips else count
            if count % length:
                raise UsageError(f"{count} frames, expected a multiple of {length}, the frames of a clip")
            return torch.ones(count // length, length, dtype=torch.bool)
        if valid.ndim != 2 or valid.numel() != count:
            raise UsageError(
                f"valid of shape {tuple(valid.shape)} for {count} frames, expected (clips, frames of each)"
            )
        return valid

    def _groups(self, real: Tensor) -> Tensor:
        """(F,): the number of the frames that a frame is seen together with."""
        clips, length = real.shape
        chunk = self.config.chunk or length
        within = torch.arange(length, device=real.device) // chunk
        groups = torch.arange(clips, device=real.device)[:, None] * (-(-length // chunk)) + within
        return groups.flatten()

    def _meet(
        self, seen: list[Tensor], audio: Tensor, keep: Tensor, groups: Tensor
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Each stage after its block. A released network counts padded frames among those of a chunk."""
        weight = torch.ones_like(keep) if self.config.chunk is not None else keep
        met, sound = [], []
        for number, one in enumerate(seen, start=1):
            heard: Tensor | None = None
            if str(number) in self.blocks:
                block, looks = self.blocks[str(number)], self.config.looks
                ways = []
                if looks != "picture":
                    out, heard = block(one, audio, groups, weight)
                    ways.append(out)
                if looks != "sound":
                    ways.append(block(one, None, groups, weight)[0])
                one = sum(ways) / len(ways) * keep[:, None, None, None]
            met.append(one)
            sound.append(heard)
        return met, sound
