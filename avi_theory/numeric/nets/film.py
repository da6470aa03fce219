r"""A network whose units are modulated by a second network of the same inputs.

.. math:: h_{k+1} = \tanh\big((1 + s_k(x)) \odot (W_k h_k + b_k) + t_k(x)\big)

Scale and shift per hidden unit (FiLM: Perez et al., AAAI 2018), as an instance-adaptive inference
function: a hypernetwork adapts a shared network to each input.  Its last layer starts at zero, so
the network starts exactly as the plain one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avi_theory.numeric.nets.dense import Dense, Linear


class Modulated(nn.Module):
    """``[…, F]`` to ``[…, H]``.

    Args:
        inputs: F.
        widths: of the hidden layers; the hypernetwork has one layer as wide as the first.
        generator: of the weights.
    """

    def __init__(self, inputs: int, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        sizes = itertools.pairwise((inputs, *widths))
        self.layers = nn.ModuleList(Linear(a, b, generator) for a, b in sizes)
        self.hyper = Dense(inputs, widths[:1], generator)
        self.modulation = Linear(widths[0], 2 * sum(widths), generator, gain=0.0)
        self.width = widths[-1]
        self._splits = [w for w in widths for _ in range(2)]

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's units."""
        parts = iter(torch.split(self.modulation(self.hyper(x)), self._splits, -1))
        for layer in self.layers:
            scale, shift = next(parts), next(parts)
            x = torch.tanh((1 + scale) * layer(x) + shift)
        return x
