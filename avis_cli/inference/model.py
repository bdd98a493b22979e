"""A network ready for use: on its device, at its precision, without gradients. What ``load_model`` returns."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avis_cli.errors import UsageError, WeightsError
from avis_cli.inference import cuda
from avis_cli.models.avism.config import AvismConfig
from avis_cli.models.avism.network import Avism
from avis_cli.models.tokens import FrameTokens, TrackQueries
from avis_cli.nn import audio as sound

Device = torch.device
Weights = Mapping[str, Tensor]

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Model:
    """A network with the weights, device and precision it runs with.

    ``name`` is what the user asked for, ``weights_sha256`` the checksum of the file it came from (None for weights
    given as tensors). ``vggish`` embeds the sound for the presets that have no audio encoder of their own; without it
    only embeddings made elsewhere can be used.
    """

    def __init__(
        self,
        network: Avism,
        *,
        vggish: nn.Module | None = None,
        name: str | None = None,
        weights_sha256: str | None = None,
        device: torch.device | str = "cpu",
        precision: str = "fp32",
    ) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.vggish = None if vggish is None else vggish.to(self.device).eval()
        self.name = name or network.config.name
        self.weights_sha256 = weights_sha256
        self.precision = choose_precision(precision)

    @property
    def config(self) -> AvismConfig:
        return self.network.config

    def localize(self, frames: Tensor | NDArray[np.uint8], audio: Tensor | NDArray[np.float32]) -> FrameTokens:
        """Frames uint8 RGB (T, 3, h, w) at network size and audio embeddings (T, 128) -> tokens of every frame."""
        with self._running():
            return self.network.localize(self._place(frames), self._place(audio).float())

    def track(
        self, tokens: FrameTokens | Tensor | NDArray[np.float32], audio: Tensor | NDArray[np.float32] | None = None
    ) -> TrackQueries:
        """Tokens of a whole clip, or its queries (T, Q, C) with its audio embeddings (T, 128) -> video queries."""
        with self._running():
            if isinstance(tokens, FrameTokens):
                return self.network.track(tokens)
            if audio is None:
                raise TypeError("track() takes FrameTokens, or queries and audio embeddings")
            return self.network.track(self._place(tokens).float(), self._place(audio).float())

    def mask_features(self, frames: Tensor | NDArray[np.uint8]) -> Tensor:
        """Frames uint8 RGB (T, 3, h, w) at network size -> mask features: backbone and pixel decoder only."""
        with self._running():
            return self.network.mask_features(self._place(frames))

    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        """How surely each pair of video query and class sounds in each token frame: (K, T), 0..1."""
        with self._running():
            return self.network.sounding(tokens, tracks, queries, classes).float()

    def embed_audio(self, windows: Sequence[Tensor], sample_rate: int) -> Tensor:
        """Mono sound of each token frame at its own rate -> audio embeddings (T, 128)."""
        patches = sound.log_mel_patches(windows, sample_rate)
        with self._running():
            if self.config.audio == "own":
                return sound.embed(self.network.embed_audio, patches, self.device)
            if self.vggish is None:
                raise WeightsError(
                    f"the weights of {self.name} hold no audio network",
                    hint="import both: `avis weights import CHECKPOINT.pth --vggish vggish-10086976.pth`",
                )
            return sound.embed(self.vggish, patches, self.device)

    def _place(self, array: Tensor | NDArray[np.uint8] | NDArray[np.float32]) -> Tensor:
        return torch.as_tensor(array).to(self.device, non_blocking=True)

    @contextmanager
    def _running(self) -> Iterator[None]:
        kind = PRECISIONS[self.precision]
        with torch.inference_mode(), torch.autocast(self.device.type, kind, enabled=kind != torch.float32):
            yield


def choose_precision(wanted: str) -> str:
    """``auto`` is fp32, the precision of the published numbers, on every device."""
    if wanted == "auto":
        return "fp32"
    if wanted not in PRECISIONS:
        raise UsageError(f"precision {wanted!r}, expected auto, {', '.join(PRECISIONS)}")
    return wanted


def choose_device(wanted: str, warn: Callable[[str], None] | None = None) -> torch.device:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` -> a device that is there; UsageError if it is not.

    ``warn`` is told in a line why ``auto`` leaves out a GPU that is there; without it that is a Python warning.
    """
    if wanted == "auto":
        wanted = _best(warn or _python_warning)
    kind, _, index = wanted.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (":" in wanted and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"device {wanted!r}, expected auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda":
        _require_cuda(wanted, int(index or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("asked for an Apple GPU, but this machine offers none", hint="use --device cpu")
    return torch.device(wanted)


def _best(warn: Callable[[str], None]) -> str:
    reason = cuda.refusal(0)
    if reason is not None:
        warn(f"the GPU cannot be used, the CPU is: {reason}")
    elif torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _python_warning(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=4)


def _require_cuda(wanted: str, index: int) -> None:
    reason = cuda.refusal(index)
    if reason is not None:
        raise UsageError(f"asked for {wanted}, but that GPU cannot be used: {reason}", hint="use --device cpu")
    if not torch.cuda.is_available():
        raise UsageError("asked for a CUDA GPU, but this machine offers none", hint="use --device cpu")
    if index >= torch.cuda.device_count():
        raise UsageError(
            f"asked for {wanted}, but this machine has {torch.cuda.device_count()} CUDA GPUs",
            hint="use another number, or --device cpu",
        )


def available_devices() -> list[tuple[str, str]]:
    """Name and description of every device; the description of a GPU that cannot be used says why."""
    devices = [("cpu", f"{torch.get_num_threads()} threads")]
    for number in range(torch.cuda.device_count()):
        reason = cuda.refusal(number)
        detail = torch.cuda.get_device_name(number) if reason is None else f"cannot be used: {reason}"
        devices.append((f"cuda:{number}", detail))
    if torch.backends.mps.is_available():
        devices.append(("mps", "Apple GPU"))
    return devices
