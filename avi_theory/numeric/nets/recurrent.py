r"""Gated recurrences, run over each unit in both directions and scanned in parallel.

.. math::
    u_l = \sigma(W x_l + b),\quad
    h_l = (1 - u_l) \odot h_{l-1} + u_l \odot (W' x_l + b')

A GRU (Cho et al., EMNLP 2014) whose gates read the inputs alone (Feng et al., arXiv 2410.01201), so
that the recurrence is linear in the state and L steps take log₂ L rounds.  The filtered mean of a
linear-Gaussian chain is of this form with a constant gate; what is not linear is left to the next
layer.  Where there is no token the state is carried on unchanged.
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
            x = torch.tanh(layer(x, valid))
        return x * valid[..., None]


class _Layer(nn.Module):
    """Both directions at once: the second reads the reversed tokens with its own weights."""

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.forwards = Linear(inputs, 2 * width, generator)
        self.backwards = Linear(inputs, 2 * width, generator)
        with torch.no_grad():
            for half in (self.forwards, self.backwards):
                half.bias[:width] = torch.linspace(-2.0, 2.0, width)  # memories of many lengths

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        driven = torch.stack([self.forwards(x), self.backwards(x).flip(1)])  # [2, U, L, 2H]
        steps = torch.stack([valid, valid.flip(1)])[..., None]
        gate, new = driven.chunk(2, -1)
        update = torch.sigmoid(gate) * steps
        ahead, behind = scan(1 - update, update * new, 2)
        return torch.cat([ahead, behind.flip(1)], -1)


def scan(keep: Tensor, add: Tensor, dim: int) -> Tensor:
    r"""All states of :math:`h_l = a_l h_{l-1} + b_l`, :math:`h_0 = 0`, by doubling (Hillis 1986).

    Args:
        keep: a, between 0 and 1.
        add: b, of the same shape.
        dim: along which to run.
    """
    length, reach = add.shape[dim], 1
    while reach < length:
        later = length - reach
        before = add.narrow(dim, 0, later)
        here, kept = add.narrow(dim, reach, later), keep.narrow(dim, reach, later)
        add = torch.cat([add.narrow(dim, 0, reach), here + kept * before], dim)
        products = kept * keep.narrow(dim, 0, later)
        keep = torch.cat([keep.narrow(dim, 0, reach), products], dim)
        reach *= 2
    return add
