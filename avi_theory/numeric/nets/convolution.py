r"""Convolutions over places on a grid of any dimension, with holes.

.. math:: h_l = \tanh\Big(b + \sum_{|\delta| \le K} W_\delta\, x_{l + \delta}\Big)

Neighbours that do not exist, beyond an edge or inside a hole, contribute nothing, so the same
function serves interior and edges; shifting the series shifts the answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from avi_theory.numeric.nets.dense import Linear


class Convolution(nn.Module):
    """Tokens ``[U, L, C]`` to states ``[U, L, H]``, one layer per width.

    Args:
        inputs: C.
        reach: places in the neighbourhood, as `neighbours` counts them.
        widths: of the layers.
        generator: of the weights.
    """

    def __init__(
        self, inputs: int, reach: int, widths: Sequence[int], generator: torch.Generator
    ) -> None:
        super().__init__()
        sizes = itertools.pairwise((inputs + 1, *widths))
        self.layers = nn.ModuleList(Linear(reach * a, b, generator) for a, b in sizes)
        self.width = widths[-1]

    def forward(self, x: Tensor, valid: Tensor, near: Tensor) -> Tensor:
        """States; the neighbours ``[L, D]`` of a place are numbered, L stands for none."""
        exists = valid[..., None].to(x.dtype)
        x = torch.cat([x, exists], -1)
        for layer in self.layers:
            padded = nn.functional.pad(x * exists, (0, 0, 0, 1))
            x = torch.tanh(layer(padded[:, near].flatten(-2)))
        return x * exists


def neighbours(places: np.ndarray, half_width: int) -> np.ndarray:
    """The tokens within a half-width along every axis but the first, which must be equal.

    Args:
        places: ``[L, A]``, whole numbers.
        half_width: K.

    Returns:
        ``[L, (2K + 1)^(A − 1)]``; L where there is none.
    """
    length, axes = places.shape
    steps = list(itertools.product(range(-half_width, half_width + 1), repeat=axes - 1))
    here = {tuple(p): k for k, p in enumerate(places.astype(int).tolist())}
    found = np.full((length, len(steps)), length)
    for place, k in here.items():
        for d, step in enumerate(steps):
            moved = (place[0], *(a + b for a, b in zip(place[1:], step, strict=True)))
            found[k, d] = here.get(moved, length)
    return found
