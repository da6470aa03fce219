r"""Self-attention over the tokens of a unit, in every head h by itself.

.. math:: a^h_{lm} \propto \exp\big(q_l^\top k_m / \sqrt C
    - \textstyle\sum_d \alpha_d |i_{ld} - i_{md}| + \beta_d (i_{ld} - i_{md})\big)

(Vaswani et al., NeurIPS 2017; the penalty on distance after Press et al., ICLR 2022, with a signed
part so that past and future differ.)  Tokens that do not exist get no weight.  Heads start with
reaches of their own: with a single one neighbouring places get nearly the same features, and it
takes weights too large to be found to tell them apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avi_theory.numeric.nets.dense import Linear

HEADS = 4
REACHES = (4.0, 1.0)
"""What a place costs at first, in the logarithm of a weight; for each pair of heads in turn."""
NEVER = -1e30
LEAN = 0.8
"""How much of it one side is let off: one head of a pair looks back, the other ahead."""


class Attention(nn.Module):
    """Tokens ``[U, L, C]`` at places ``[L, A]`` to states ``[U, L, H]``, one layer per width."""

    def __init__(
        self, inputs: int, axes: int, widths: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        sizes = itertools.pairwise((inputs, *widths))
        self.layers = nn.ModuleList(_Layer(a, b, axes, generator) for a, b in sizes)
        self.width = widths[-1]

    def forward(self, x: Tensor, valid: Tensor, places: Tensor) -> Tensor:
        """States; zero where there is no token."""
        apart = places.T[:, :, None] - places.T[:, None, :]
        sides = torch.cat([-apart.abs(), apart]).flatten(1)
        absent = torch.where(valid, 0.0, NEVER)[:, None, None, :].to(x.dtype)
        for layer in self.layers:
            x = layer(x, absent, sides)
        return x * valid[..., None]


class _Layer(nn.Module):
    """Heads that look to either side, near and farther, so that their averages differ at first."""

    def __init__(self, inputs: int, width: int, axes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.heads = math.gcd(width, HEADS)
        self.asked = Linear(inputs, 2 * width, generator)
        self.value = Linear(inputs, width, generator)
        self.joined = Linear(inputs + width, width, generator)
        far = torch.full((self.heads, axes), -1.0, dtype=torch.float64)  # softplus of it is α
        signed = torch.zeros_like(far)
        for k in range(self.heads if self.heads > 1 else 0):
            reach = REACHES[k // 2 % len(REACHES)]
            far[k, 1:] = math.log(math.expm1(reach))
            signed[k, 1:] = LEAN * reach * (-1) ** k
        self.far, self.signed = nn.Parameter(far), nn.Parameter(signed)

    def forward(self, x: Tensor, absent: Tensor, sides: Tensor) -> Tensor:
        """Everything known goes into one term of the scores, for these are all pairs of places."""
        query, key = self.asked(x).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        value = self.value(x).unflatten(-1, (self.heads, -1))
        costs = torch.cat([nn.functional.softplus(self.far), self.signed], -1)
        known = (costs @ sides).unflatten(-1, (x.shape[1], x.shape[1])) + absent
        scaled = query / math.sqrt(query.shape[-1])
        scores = torch.einsum("ulhc,umhc->uhlm", scaled, key) + known
        mixed = torch.einsum("uhlm,umhc->ulhc", torch.softmax(scores, -1), value).flatten(-2)
        return torch.tanh(self.joined(torch.cat([x, mixed], -1)))
