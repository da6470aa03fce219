r"""Gated recurrent units, run over each unit in both directions.

.. math::
    r, u = \sigma(W x_l + V h_{l-1} + b),\quad
    \tilde h = \tanh(W' x_l + r \odot V' h_{l-1} + b'),\quad
    h_l = (1 - u) \odot \tilde h + u \odot h_{l-1}

(Cho et al., EMNLP 2014.)  Where there is no token the state is carried on unchanged.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avi_theory.numeric.nets.dense import Linear


class Recurrent(nn.Module):
    """Tokens ``[U, L, C]`` to states ``[U, L, 2H]``, one layer per width H."""

    def __init__(self, inputs: int, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        sizes = itertools.pairwise((inputs, *(2 * w for w in widths)))
        pairs = zip(sizes, widths, strict=True)
        self.layers = nn.ModuleList(_Layer(a, w, generator) for (a, _), w in pairs)
        self.width = 2 * widths[-1]

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """States; zero where there is no token."""
        for layer in self.layers:
            x = layer(x, valid)
        return x * valid[..., None]


class _Layer(nn.Module):
    """Both directions at once: the second reads the reversed tokens with its own weights."""

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.width = width
        self.forwards = Linear(inputs, 3 * width, generator)
        self.backwards = Linear(inputs, 3 * width, generator)
        states = [torch.randn(width, 3 * width, generator=generator, dtype=torch.float64)
                  for _ in range(2)]  # fmt: skip
        self.state = nn.Parameter(torch.stack(states) / width**0.5)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        width, length = self.width, x.shape[1]
        driven = torch.stack([self.forwards(x), self.backwards(x).flip(1)])  # [2, U, L, 3H]
        steps = torch.stack([valid, valid.flip(1)])[..., None]
        h = driven.new_zeros(*driven.shape[:2], width)
        states = []
        for k in range(length):
            held = h @ self.state
            pull = driven[:, :, k]
            reset, update = torch.sigmoid(pull[..., : 2 * width] + held[..., : 2 * width]).chunk(
                2, -1
            )
            new = torch.tanh(pull[..., 2 * width :] + reset * held[..., 2 * width :])
            h = torch.where(steps[:, :, k], (1 - update) * new + update * h, h)
            states.append(h)
        if not states:
            return x.new_zeros(*x.shape[:2], 2 * width)
        found = torch.stack(states, 2)
        return torch.cat([found[0], found[1].flip(1)], -1)
