"""Layers of tanh units."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """``[…, inputs]`` to ``[…, outputs]``, with weights from a generator and no global state.

    Args:
        inputs, outputs: widths; 0 inputs leave a constant.
        generator: of weights with variance ``gain² / inputs`` and biases with ``(gain / 2)²``.
        gain: 0 for a layer that starts silent.
    """

    def __init__(
        self, inputs: int, outputs: int, generator: torch.Generator, *, gain: float = 1.0
    ) -> None:
        super().__init__()
        weight = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
        bias = torch.randn(outputs, generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(gain / math.sqrt(max(inputs, 1)) * weight)
        self.bias = nn.Parameter(0.5 * gain * bias)

    def forward(self, x: Tensor) -> Tensor:
        """The affine map."""
        return nn.functional.linear(x, self.weight, self.bias)


class Dense(nn.Module):
    r"""``[…, F]`` to ``[…, H]``: :math:`h_{k+1} = \tanh(W_k h_k + b_k)`, each place by itself."""

    def __init__(self, inputs: int, widths: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        sizes = itertools.pairwise((inputs, *widths))
        self.layers = nn.ModuleList(Linear(a, b, generator) for a, b in sizes)
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's units."""
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x
