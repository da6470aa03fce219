r"""The ELBO of any posterior by drawing from it.

.. math:: \mathcal L[q] = \mathrm{E}_q\big[\log p(x, z) - \log q(z)\big]
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from avi_theory.vae.gaps.problem import Problem
from avi_theory.vae.posteriors import Posterior

TOGETHER = 1000
"""Draws per image at a time, at most."""


@torch.no_grad()
def drawn_elbo(
    problem: Problem,
    q: Posterior,
    generator: Generator,
    *,
    least: int,
    most: int,
    enough: float,
) -> tuple[Tensor, Tensor]:
    """Values and standard errors, ``[B]`` nats in float64.

    Args:
        problem: the decoder and the images.
        q: one distribution per image.
        generator: of the draws.
        least: draws per image, at least.
        most: at most.
        enough: standard error at which all images are done, in nats.
    """
    step = max(1, min(TOGETHER, problem.rows // len(problem)))
    total = torch.zeros(len(problem), dtype=torch.float64, device=problem.images.device)
    squares, about, count = total.clone(), total, 0
    error = torch.full_like(total, torch.inf)
    while count < most:
        z, log_q = q.sample(step, generator)
        each = (problem.log_joint(z) - log_q).double()
        if not count:
            about = each[0]  # sums about a value nearby keep their digits
        total = total + (each - about).sum(0)
        squares = squares + (each - about).square().sum(0)
        count += step
        if count > 1:
            spread = (squares - total.square() / count).clamp(min=0) / (count - 1)
            error = (spread / count).sqrt()
        if count >= least and not bool((error > enough).any()):
            break
    return about + total / count, error
