r"""Radial basis functions at chosen centres: the posterior mean of a Gaussian process.

.. math:: \psi_j(x) = \exp\big(-\tfrac12 \textstyle\sum_f (x_f - c_{jf})^2 / \ell_f^2\big)

With outputs linear in ψ, a function of N inputs with N centres is kriging, and it interpolates;
with fewer it is a subset-of-regressors approximation (Quiñonero-Candela & Rasmussen, JMLR 6, 2005).
The length scales ℓ are trained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Kernel(nn.Module):
    """``[…, F]`` to ``[…, J]``.

    Args:
        points: ``[M, F]`` to choose centres from.
        count: J at most; the first is the point nearest to the mean, each next the one farthest
            from those before (Gonzalez 1985).
        length: all length scales to begin with; None for the median distance between centres.
    """

    centres: Tensor

    def __init__(self, points: Tensor, count: int, length: float | None = None) -> None:
        super().__init__()
        centres = farthest(points, count)
        self.register_buffer("centres", centres)
        if length is None:
            apart = torch.pdist(centres) if len(centres) > 1 else centres.new_ones(1)
            length = max(float(apart.median()), 1e-3)
        start = torch.full((points.shape[1],), length, dtype=points.dtype, device=points.device)
        self.log_length = nn.Parameter(start.log())
        self.width = len(centres)

    def forward(self, x: Tensor) -> Tensor:
        """ψ at the points."""
        scale = torch.exp(-self.log_length)
        apart = (x[..., None, :] - self.centres) * scale
        return torch.exp(-0.5 * (apart**2).sum(-1))


def farthest(points: Tensor, count: int) -> Tensor:
    """At most `count` distinct rows, far from each other."""
    if not len(points):
        return points.new_zeros(1, points.shape[1])
    chosen = [int(((points - points.mean(0)) ** 2).sum(-1).argmin())]
    nearest = ((points - points[chosen[0]]) ** 2).sum(-1)
    while len(chosen) < min(count, len(points)) and float(nearest.max()) > 1e-20:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(-1))
    return points[chosen]
