"""Log-mel patches as VGGish reads them: one second of sound -> (96, 64).

The front end of Hershey et al., "CNN Architectures for Large-Scale Audio Classification" (ICASSP 2017), section 3,
with the constants of the published VGGish release.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

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
