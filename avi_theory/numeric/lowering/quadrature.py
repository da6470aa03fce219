r"""Gaussian integrals by the trapezoidal rule.

.. math:: \mathbb E f(u) \approx \sum_k w_k f(m + s x_k),\qquad x_k = kh,\; w_k \propto e^{-x_k^2/2}

For integrands analytic in a strip around the real line the error falls like exp(−2π d / h)
(Trefethen & Weideman, SIAM Review 56, 2014), and halving h keeps every node, which makes the error
visible: two spacings must agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.numeric.lowering.values import Where

REACH = 9.0
COARSE = {1: 0.375, 2: 0.6}
FINEST = {1: 0.375 / 32, 2: 0.15}


@dataclass(frozen=True)
class Rule:
    """Nodes and weights in one or two standard-normal directions.

    Attributes:
        directions: 1 or 2.
        spacing: h, in standard deviations.
    """

    directions: int
    spacing: float

    @classmethod
    def start(cls, directions: int) -> Rule:
        """The coarsest rule that is tried."""
        return cls(directions, COARSE[directions])

    def finer(self) -> Rule | None:
        """The rule with half the spacing; None beyond the finest."""
        half = self.spacing / 2
        return None if half < FINEST[self.directions] * 0.999 else Rule(self.directions, half)

    def one(self, where: Where) -> tuple[Tensor, Tensor]:
        """Nodes and weights ``[Q]`` for a single direction."""
        x = self._grid()
        w = torch.exp(-0.5 * x * x)
        return x.to(where.device, where.dtype), (w / w.sum()).to(where.device, where.dtype)

    def _grid(self) -> Tensor:
        reach = REACH if self.directions == 1 else 7.2
        count = round(reach / self.spacing)
        return torch.arange(-count, count + 1, dtype=torch.float64) * self.spacing

    def nodes(self, where: Where) -> tuple[list[Tensor], Tensor]:
        """Nodes ``[Q]`` for each direction, and weights ``[Q]`` that add up to one."""
        if self.directions == 1:
            one, weight = self.one(where)
            return [one], weight
        x = self._grid()
        w = torch.exp(-0.5 * x * x)
        w = w / w.sum()
        a, b = torch.meshgrid(x, x, indexing="ij")
        weight = (w[:, None] * w[None, :]).ravel()
        keep = weight > 1e-18
        chosen = [t.ravel()[keep].to(where.device, where.dtype) for t in (a, b)]
        return chosen, (weight[keep] / weight[keep].sum()).to(where.device, where.dtype)
