"""Sound -> one embedding per token frame: cut into seconds, resampled, as log-mel patches, through an audio network.

Each second is cut at the file's own rate and resampled on its own, as the released AVISM did: its edges ring within the
second and nothing leaks in from its neighbours. Log-mel patches are those of VGGish: the front end of Hershey et al.,
"CNN Architectures for Large-Scale Audio Classification" (ICASSP 2017), section 3, with the constants of its release.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

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


SAMPLE_RATE = 16_000  # Hz
WINDOW = 400  # samples of one frame: 25 ms
HOP = 160  # samples between frames: 10 ms
FFT_SIZE = 512  # the next power of two over WINDOW
MEL_BANDS = 64
MEL_LOW, MEL_HIGH = 125.0, 7500.0  # Hz, the outer feet of the first and the last band
LOG_OFFSET = 0.01  # added before the logarithm, so that digital silence is log(0.01)
PATCH_FRAMES = 96  # 0.96 s
PATCH_SAMPLES = WINDOW + (PATCH_FRAMES - 1) * HOP  # 15 600: the fewest samples that fill a patch


def hertz_to_mel(hertz: Tensor) -> Tensor:
    """The HTK mel scale."""
    return 1127.0 * torch.log(1.0 + hertz / 700.0)


@lru_cache(maxsize=1)
def mel_matrix() -> Tensor:
    """Weights (FFT_SIZE / 2 + 1, MEL_BANDS), float32, from magnitude bins to mel bands.

    The triangles are straight on the mel axis, where `torchaudio.functional.melscale_fbanks` has them straight in
    Hz. The bin at 0 Hz counts for no band.
    """
    bins = hertz_to_mel(torch.linspace(0.0, SAMPLE_RATE / 2, FFT_SIZE // 2 + 1, dtype=torch.float64))[:, None]
    low, high = hertz_to_mel(torch.tensor([MEL_LOW, MEL_HIGH], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, MEL_BANDS + 2, dtype=torch.float64)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = torch.minimum(rising, falling).clamp_(min=0.0)
    weights[0] = 0.0
    return weights.float()


def log_mel(samples: Tensor) -> Tensor:
    """The log-mel patch of the first 0.96 s of sound at 16 kHz: (..., N) -> (..., 96, 64).

    Fewer than 15 600 samples give a patch of zeros in log-mel space, which is what the released AVISM was trained
    on; sound that should rather be heard is padded with silence first (`audio.pad_to_one_window`).
    """
    if samples.shape[-1] < PATCH_SAMPLES:
        return samples.new_zeros(*samples.shape[:-1], PATCH_FRAMES, MEL_BANDS, dtype=torch.float32)
    frames = samples[..., :PATCH_SAMPLES].float().unfold(-1, WINDOW, HOP)  # (..., 96, 400)
    window = torch.hann_window(WINDOW, periodic=True, device=samples.device)
    magnitude = torch.fft.rfft(frames * window, n=FFT_SIZE).abs()  # (..., 96, 257)
    return torch.log(magnitude @ mel_matrix().to(samples.device) + LOG_OFFSET)
