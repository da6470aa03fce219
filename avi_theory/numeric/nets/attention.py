r"""Self-attention over the tokens of a unit.

.. math:: a_{lm} \propto \exp\big(q_l^\top k_m / \sqrt H
    - \textstyle\sum_d \alpha_d |i_{ld} - i_{md}| + \beta_d (i_{ld} - i_{md})\big)

(Vaswani et al., NeurIPS 2017; the penalty on distance after Press et al., ICLR 2022, with a signed
part so that past and future differ.)  Tokens that do not exist get no weight.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avi_theory.numeric.nets.dense import Linear


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
        apart = places[:, None, :] - places[None, :, :]
        for layer in self.layers:
            x = layer(x, valid, apart)
        return x * valid[..., None]


class _Layer(nn.Module):
    def __init__(self, inputs: int, width: int, axes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.width = width
        self.asked = Linear(inputs, 2 * width, generator)
        self.value = Linear(inputs, width, generator)
        self.joined = Linear(inputs + width, width, generator)
        self.far = nn.Parameter(torch.full((axes,), -1.0, dtype=torch.float64))
        self.signed = nn.Parameter(torch.zeros(axes, dtype=torch.float64))

    def forward(self, x: Tensor, valid: Tensor, apart: Tensor) -> Tensor:
        query, key = self.asked(x).chunk(2, -1)
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.width)
        scores = scores - apart.abs() @ nn.functional.softplus(self.far) + apart @ self.signed
        scores = scores.masked_fill(~valid[:, None, :], -1e30)
        mixed = torch.softmax(scores, -1) @ self.value(x)
        return torch.tanh(self.joined(torch.cat([x, mixed], -1)))
