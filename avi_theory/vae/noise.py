r"""Standard Normal noise whose members balance each other.

.. math:: \textstyle\sum_m \epsilon_m = 0,\qquad \tfrac1M \sum_m \epsilon_m \epsilon_m^\top = I

With `balanced` noise the mean of any quadratic is its expectation, so that an optimum found on
fixed noise is off only through the log joint's departure from a quadratic.  Its members are not
quite Normal.  Those of `orthogonal` blocks are, each by itself, so that means over them are
unbiased, and the second equation holds up to their random lengths.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

WIDEST = 64
"""Directions in a block, at most, so that some thousand samples are many blocks."""


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


def orthogonal(blocks: int, images: int, d: int, generator: Generator, like: Tensor) -> Tensor:
    """Blocks of antithetic pairs along orthogonal directions, each member N(0, I).

    Source: orthogonal Monte Carlo (Yu et al., 2016): independent lengths from the chi law of a
    Normal vector, on directions from the QR decomposition of a Gaussian matrix.

    Args:
        blocks: independent ones per image.
        images: B.
        d: coordinates.
        generator: on the device of `like`.
        like: for dtype and device.

    Returns:
        ``[members, blocks, B, d]`` with `members` of them in a block.
    """
    ways = members(d) // 2
    drawn = like.new_empty(blocks, images, d, ways).normal_(generator=generator)
    lengths = like.new_empty(blocks, images, d, ways).normal_(generator=generator).norm(dim=-2)
    half = torch.linalg.qr(drawn).Q * lengths.unsqueeze(-2)
    half = half.permute(3, 0, 1, 2)
    return torch.cat([half, -half])


def members(d: int) -> int:
    """How many members a block of `orthogonal` has."""
    return 2 * min(d, WIDEST)
