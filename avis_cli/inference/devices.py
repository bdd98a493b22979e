"""Devices and precisions: which there are, which can be used, and if one cannot, why."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import torch

from avis_cli.errors import UsageError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_INDEX = re.compile(r"[0-9]{1,4}")
_BUILT_FOR = re.compile(r"(?P<kind>sm|compute)_(?P<major>\d+)(?P<minor>\d)(?P<only>[af]?)")


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
    kind, colon, index = wanted.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and _INDEX.fullmatch(index))):
        raise UsageError(f"device {wanted[:80]!r}, expected auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda":
        _require_cuda(wanted, int(index or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("asked for an Apple GPU, but this machine offers none", hint="use --device cpu")
    return torch.device(wanted)


def _best(warn: Callable[[str], None]) -> str:
    reason = refusal(0)
    if reason is not None:
        warn(f"the GPU cannot be used, the CPU is: {reason}")
    elif torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _python_warning(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=4)


def _require_cuda(wanted: str, index: int) -> None:
    reason = refusal(index)
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
        reason = refusal(number)
        detail = torch.cuda.get_device_name(number) if reason is None else f"cannot be used: {reason}"
        devices.append((f"cuda:{number}", detail))
    if torch.backends.mps.is_available():
        devices.append(("mps", "Apple GPU"))
    return devices


def refusal(index: int) -> str | None:
    """Why GPU ``index`` cannot be used, in a clause; None if it can, or if there is none.

    A driver that is too old is what PyTorch takes for no GPU at all; one that it was not built for fails at the first
    operation.
    """
    if index >= torch.cuda.device_count():  # asks the driver's own library, which answers at any age
        return None
    try:
        torch.cuda.init()
        capability = torch.cuda.get_device_capability(index)
        built_for = torch.cuda.get_arch_list()
    except (RuntimeError, AssertionError) as error:
        return _first_sentence(error)
    if torch.version.hip is not None or not built_for or any(_runs(name, *capability) for name in built_for):
        return None
    name, number = torch.cuda.get_device_name(index), ".".join(map(str, capability))
    return f"{name} has compute capability {number}, this PyTorch is built for {', '.join(built_for)}"


def _runs(architecture: str, major: int, minor: int) -> bool:
    """Whether code for ``architecture`` (``sm_90``) runs on a GPU of that compute capability.

    Machine code runs on its own major version from its minor one on, ``compute_`` is translated for all that is
    newer; an ``a`` or ``f`` at the end ties code to one GPU or to its family.
    """
    match = _BUILT_FOR.fullmatch(architecture)
    if match is None:
        return True  # of a kind not known here: PyTorch may try
    built, actual = (int(match["major"]), int(match["minor"])), (major, minor)
    if match["only"] == "a":
        return built == actual
    if match["kind"] == "compute" and not match["only"]:
        return built <= actual
    return built[0] == major and built <= actual


def _first_sentence(error: BaseException) -> str:
    """PyTorch's explanation without its advice, which is for whoever installs drivers."""
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")
