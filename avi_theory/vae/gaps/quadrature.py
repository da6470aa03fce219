r"""log p(x) for codes of one or two coordinates, on a grid that follows the posterior.

.. math:: p(x) = \int p(x \mid z)\,N(z; 0, I)\,dz

The trapezoid rule converges faster than any power for smooth densities that vanish at the ends.  A
grid over ±9 shrinks to where the joint is within e^{-40} of its maximum until it no longer shrinks,
and is then refined until halving the spacing changes nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from avi_theory.vae.gaps.problem import Problem
from avi_theory.vae.posteriors import Diagonal

WIDEST = 2
"""Coordinates of a code, at most."""
REACH = 9.0
DEEP = 40.0
NODES = {1: 257, 2: 65}
FINEST = {1: 16_385, 2: 1025}
"""Nodes per coordinate, at first and at most."""
SHRINKS = 12
ENOUGH = 1e-5
"""Nats between the last two grids."""


@torch.no_grad()
def by_quadrature(problem: Problem, q: Diagonal) -> tuple[Tensor, Tensor]:
    """log p(x) and the difference of the last two grids, ``[B]`` each, nats.

    Args:
        problem: with d ≤ 2.
        q: factors near the posteriors, which the first grid might miss if they are very narrow.
    """
    values, errors = [], []
    for part in problem.portions(NODES[problem.d] ** problem.d):
        for k in part.tolist():
            ids = torch.tensor([k], device=problem.images.device)
            value, error = _one(problem.take(ids), q.mean[k], (0.5 * q.log_variance[k]).exp())
            values.append(value)
            errors.append(error)
    found = torch.tensor([values, errors], dtype=torch.float64, device=problem.images.device)
    return found[0], found[1]


def _one(problem: Problem, mean: Tensor, sd: Tensor) -> tuple[float, float]:
    """For a problem of one image."""
    d, n = problem.d, NODES[problem.d]
    low = torch.full_like(mean, -REACH)
    high = torch.full_like(mean, REACH)
    for _ in range(SHRINKS):
        z, level = _grid(problem, low, high, n)
        held = level > level.max() - DEEP
        spacing = (high - low) / (n - 1)
        kept = z[held]
        new_low = torch.minimum(kept.amin(0) - spacing, mean - DEEP**0.5 * sd).clamp(min=-REACH)
        new_high = torch.maximum(kept.amax(0) + spacing, mean + DEEP**0.5 * sd).clamp(max=REACH)
        done = bool((new_high - new_low > 0.7 * (high - low)).all())
        low, high = torch.maximum(low, new_low), torch.minimum(high, new_high)
        if done:
            break
    last = math.nan
    while True:
        _, level = _grid(problem, low, high, n)
        cell = float(((high - low).double() / (n - 1)).log().sum())
        value = float(torch.logsumexp(level, 0)) + cell
        change = abs(value - last)
        if change < ENOUGH or 2 * n - 1 > FINEST[d] or math.isnan(value):
            return value, change
        last, n = value, 2 * n - 1


def _grid(problem: Problem, low: Tensor, high: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Codes ``[n^d, d]`` and log p(x, z) there ``[n^d]`` in float64."""
    share = torch.linspace(0, 1, n, dtype=low.dtype, device=low.device)
    axes = [low[j] + (high[j] - low[j]) * share for j in range(problem.d)]
    z = torch.cartesian_prod(*axes).reshape(-1, problem.d)
    levels = [problem.log_joint(part.unsqueeze(1))[:, 0] for part in z.split(problem.rows)]
    return z, torch.cat(levels).double()
