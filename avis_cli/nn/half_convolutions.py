"""bfloat16 inside convolutions only: what gains on processors that multiply it natively, and loses nothing
elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class HalfConvolutions(TorchFunctionMode):
    """While active, every 2-d convolution works in bfloat16; what follows it up to the next linear layer does too.

    Linear layers, attention and losses stay in float32, whose precision the transformer's training needs. Maps are
    laid out channels first: group norm's backward pass on a processor takes five times as long on channels last.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if function is torch.conv2d:
            args = [_half(arg) if isinstance(arg, Tensor) else arg for arg in args]
        elif function is F.linear:
            args = [arg.float() if isinstance(arg, Tensor) else arg for arg in args]
        return function(*args, **kwargs)


def _half(tensor: Tensor) -> Tensor:
    return tensor.to(torch.bfloat16).contiguous()
