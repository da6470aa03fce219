"""What a network costs: parameters and arithmetic, for controls that are matched in either."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def parameter_count(module: nn.Module) -> int:
    """Numbers that training changes.

    Example:
        >>> parameter_count(nn.Linear(3, 2))
        8
    """
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def flop_count(module: nn.Module, images: Tensor) -> int:
    """Multiplications and additions in matrix products and convolutions, for one image.

    Args:
        module: called with images.
        images: ``[B, …]``, any B.
    """
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(images)
    return int(counter.get_total_flops()) // len(images)
