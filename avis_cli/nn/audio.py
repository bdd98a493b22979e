"""Sound -> one embedding per token frame: cut into seconds, resample, log-mel, VGGish.

Each second is cut at the file's own rate and resampled on its own, as the released AVISM did: its edges ring
within the second and nothing leaks in from its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from avis_cli.nn.log_mel import MEL_BANDS, PATCH_FRAMES, PATCH_SAMPLES, SAMPLE_RATE, log_mel

WINDOW_SECONDS = 1  # of sound heard by one token frame
BATCH = 32  # patches through the network at once: about 0.4 GB for VGGish

# resampy's published "kaiser_best" filter: zero crossings on each side, share of Nyquist kept, window shape
KAISER_ZEROS = 64
KAISER_ROLLOFF = 0.9475937167399596
KAISER_BETA = 14.769656459379492
# A rate is taken as the nearest fraction of 16 kHz with at most this denominator: every usual rate exactly
# (11025 Hz = 441/640), any other to a millionth or so, and the filter bank's size stays bounded.
MAX_DENOMINATOR = 640


def token_windows(
    samples: Tensor, sample_rate: int, times: Sequence[Fraction], start: Fraction = Fraction(0)
) -> list[Tensor]:
    """The second of mono sound that starts at each of ``times``: views of ``samples`` (N,).

    ``times`` and ``start`` (when sample 0 sounds) are seconds on one clock; ``sample_rate`` is in Hz. A window that
    begins before the sound does starts with silence; past its end windows are short, then empty.
    """
    windows = []
    for time in times:
        first = round((time - start) * sample_rate)
        window = samples[max(first, 0) : max(first + WINDOW_SECONDS * sample_rate, 0)]
        windows.append(F.pad(window, (-first, 0)) if first < 0 and len(window) > 0 else window)
    return windows


def pad_to_one_window(samples: Tensor, sample_rate: int) -> Tensor:
    """A clip's whole sound (N,), followed by silence to one second if it is too short to fill a single patch.

    For the sound of a whole clip only: a short last second of a longer clip stays short (see `log_mel`). No sound
    at all stays empty.
    """
    wanted = WINDOW_SECONDS * sample_rate
    if samples.shape[-1] == 0 or samples.shape[-1] * SAMPLE_RATE >= PATCH_SAMPLES * sample_rate:
        return samples
    return F.pad(samples, (0, wanted - samples.shape[-1]))


@lru_cache(maxsize=8)
def _resampler(old: int, new: int) -> torchaudio.transforms.Resample:
    return torchaudio.transforms.Resample(
        old,
        new,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=KAISER_ZEROS,
        rolloff=KAISER_ROLLOFF,
        beta=KAISER_BETA,
    )


def resample(samples: Tensor, sample_rate: int) -> Tensor:
    """Sound (..., N) on the CPU at ``sample_rate`` Hz -> (..., about N * 16000 / sample_rate) at 16 kHz."""
    if sample_rate == SAMPLE_RATE or samples.shape[-1] == 0:
        return samples
    ratio = Fraction(sample_rate, SAMPLE_RATE).limit_denominator(MAX_DENOMINATOR)
    return _resampler(ratio.numerator, ratio.denominator)(samples)


def log_mel_patches(windows: Sequence[Tensor], sample_rate: int) -> Tensor:
    """Mono windows at ``sample_rate`` Hz -> log-mel patches (T, 96, 64) float32; too short a window gives zeros."""
    patches = torch.zeros(len(windows), PATCH_FRAMES, MEL_BANDS)
    by_length: dict[int, list[int]] = {}
    for index, window in enumerate(windows):
        by_length.setdefault(window.shape[-1], []).append(index)
    for indices in by_length.values():
        for first in range(0, len(indices), BATCH):
            group = indices[first : first + BATCH]
            sound = torch.stack([windows[index].float() for index in group])
            patches[group] = log_mel(resample(sound, sample_rate)).cpu()
    return patches


@torch.inference_mode()
def embed(network: Callable[[Tensor], Tensor], patches: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Log-mel patches (T, 96, 64) -> float32 embeddings (T, D) on the CPU, a bounded number of patches at a time.

    ``network``: a `Vggish`, or anything else that maps (B, 96, 64) to (B, D), on ``device``.
    """
    if len(patches) == 0:
        return network(patches.new_zeros(1, PATCH_FRAMES, MEL_BANDS).to(device)).float().cpu()[:0]
    return torch.cat([network(batch.to(device)).float().cpu() for batch in patches.split(BATCH)])
