"""The networks behind the names that users write: batches in, features out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avi_theory.numeric.functions.neural import Trunk
from avi_theory.numeric.functions.reading import Batch
from avi_theory.numeric.functions.units import (
    Attentive,
    OverUnit,
    Sequential,
    Tokenwise,
    Windowed,
)
from avi_theory.numeric.nets import Kernel, Modulated

Widths = tuple[int, ...]


class Flat(nn.Module):
    """A network of the fixed columns, which stand beside its features."""

    def __init__(self, net: nn.Module, width: int, batch: Batch) -> None:
        super().__init__()
        self.net = net
        self.width = width + batch.fixed.shape[1]

    def forward(self, batch: Batch) -> Tensor:
        """``[M, width]``."""
        return torch.cat([self.net(batch.fixed), batch.fixed], -1)


def over_set(widths: Widths) -> Trunk:
    """``set:32``: the average over the members, blind to their order."""
    return lambda b, g: OverUnit(Tokenwise(b, widths, g), b, widths[-1], g)


def recurrent(widths: Widths) -> Trunk:
    """``recurrent:16``: both ways along the unit."""
    return lambda b, g: OverUnit(Sequential(b, widths, g), b, widths[-1], g)


def attention(widths: Widths) -> Trunk:
    """``attention:16x16``: every member attends to every other."""
    return lambda b, g: OverUnit(Attentive(b, widths, g), b, widths[-1], g)


def convolution(text: str) -> Trunk:
    """``conv:2:16x16``: two neighbours on each side, layer by layer."""
    half_width, _, rest = text.partition(":")
    widths = tuple(map(int, rest.split("x")))
    return lambda b, g: OverUnit(Windowed(b, int(half_width), widths, g), b, widths[-1], g)


def hyper(widths: Widths) -> Trunk:
    """``hyper:16x16``: a network whose units are scaled and shifted for each input."""

    def make(batch: Batch, generator: torch.Generator) -> nn.Module:
        net = Modulated(batch.fixed.shape[1], widths, generator)
        return Flat(net, net.width, batch)

    return make


def gp(centres: int) -> Trunk:
    """``gp:32``: the posterior mean of a Gaussian process at so many centres."""

    def make(batch: Batch, generator: torch.Generator) -> nn.Module:
        net = Kernel(batch.fixed.double(), centres)
        return Flat(net, net.width, batch)

    return make
