"""Whether this PyTorch can use a CUDA GPU that is in the machine, and if it cannot, why."""

from __future__ import annotations

import re

import torch

_BUILT_FOR = re.compile(r"(?P<kind>sm|compute)_(?P<major>\d+)(?P<minor>\d)(?P<only>[af]?)")


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
