"""bfloat16 inside convolutions only: what gains on processors that multiply it natively, and loses nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class HalfConvolutions(TorchFunctionMode):
    """While active, every 2-d convolution takes its input and weights as bfloat16 and gives back float32.

    Norms, attention and losses stay in float32, whose range and precision the transformer's training needs.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is not torch.conv2d and function is not torch.nn.functional.conv2d:
            return function(*args, **kwargs)
        halved = [arg.to(torch.bfloat16) if isinstance(arg, Tensor) else arg for arg in args]
        named = {name: arg.to(torch.bfloat16) if isinstance(arg, Tensor) else arg for name, arg in kwargs.items()}
        return function(*halved, **named).float()
