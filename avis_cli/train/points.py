"""Where masks are compared: at every pixel, or at points sampled where the prediction is unsure.

PointRend (Kirillov et al., CVPR 2020, section 3.1) as Mask2Former (Cheng et al., CVPR 2022, section 3.3) uses it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

OVERSAMPLING = 3  # candidates drawn per point kept
UNSURE_SHARE = 0.75  # of the points are the most unsure candidates, the rest uniform


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values (R, S, P) of ``maps`` (R, S, h, w) at ``points`` (R, P, 2): x, y in 0..1, pixel edges
    outermost."""
    grid = 2.0 * points.unsqueeze(1) - 1.0  # (R, 1, P, 2)
    return F.grid_sample(maps.float(), grid, padding_mode="border", align_corners=False).squeeze(2)


def uniform_points(rows: int, points: int, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """(rows, points, 2), uniform in the unit square."""
    return torch.rand(rows, points, 2, device=device, generator=generator)


@torch.no_grad()
def unsure_points(logits: Tensor, points: int, generator: torch.Generator | None = None) -> Tensor:
    """Points (R, P, 2) for mask ``logits`` (R, S, h, w): three quarters where some frame is least sure."""
    rows = logits.shape[0]
    kept = int(UNSURE_SHARE * points)
    candidates = uniform_points(rows, OVERSAMPLING * points, logits.device, generator)
    doubt = -sample(logits, candidates).abs().amin(dim=1)  # (R, 3P)
    order = doubt.topk(kept, dim=1).indices
    chosen = candidates.gather(1, order.unsqueeze(-1).expand(-1, -1, 2))
    return torch.cat([chosen, uniform_points(rows, points - kept, logits.device, generator)], dim=1)
