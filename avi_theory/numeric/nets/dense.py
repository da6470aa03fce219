"""Layers of tanh units."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def linear(
    inputs: int, outputs: int, generator: torch.Generator, *, gain: float = 1.0
) -> nn.Linear:
    """A linear layer with weights from a generator, so that no global state is touched."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=torch.float64)
    scale = gain / math.sqrt(max(inputs, 1))
    noise = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
    bias = torch.randn(outputs, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(scale * noise)
        layer.bias.copy_(0.5 * gain * bias)
    return layer


class Dense(nn.Module):
    r"""``[…, F]`` to ``[…, H]``: :math:`h_{k+1} = \tanh(W_k h_k + b_k)`, each place by itself."""

    def __init__(self, inputs: int, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        sizes = itertools.pairwise((inputs, *widths))
        self.layers = nn.ModuleList(linear(a, b, generator) for a, b in sizes)
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's units."""
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x
