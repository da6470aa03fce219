r"""Standard Normal noise whose first moments are exact.

.. math:: \textstyle\sum_m \epsilon_m = 0,\qquad \tfrac1M \sum_m \epsilon_m \epsilon_m^\top = I

With it the mean of any quadratic over the noise is its expectation, so that an optimum found on
fixed noise is off only through the log joint's departure from a quadratic.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor


def balanced(count: int, d: int, generator: Generator, like: Tensor) -> Tensor:
    """Antithetic pairs of orthogonalised noise.

    Args:
        count: how many at least; raised to an even number of at least 2d.
        d: coordinates.
        generator: on the device of `like`.
        like: for dtype and device.

    Returns:
        ``[M, d]``.
    """
    half = max((count + 1) // 2, d)
    drawn = like.new_empty(half, d).normal_(generator=generator)
    orthogonal = torch.linalg.qr(drawn.double()).Q * math.sqrt(half)
    return torch.cat([orthogonal, -orthogonal]).to(like)
