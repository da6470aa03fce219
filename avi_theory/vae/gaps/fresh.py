r"""L[q], L[q*] and IWAE on fresh noise that both share.

.. math:: \mathcal L[q] = \overline{A} - \mathrm{KL} - c\,(\overline{K} - \mathrm{KL}),\qquad
          A = \log p(x \mid z),\quad K = \log q(z) - \log p(z)

K's mean is known, so it takes along whatever of A's error it explains, with the least-squares c
(Lavenberg and Welch, 1981).  The noise comes in blocks of orthogonal antithetic members (`noise`),
which integrate most of a quadratic; on 784-pixel images both together save 30 of 31 samples.
Errors are those between the independent blocks.  An image leaves when both are small enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.vae.gaps.problem import Problem
from avi_theory.vae.noise import members, orthogonal
from avi_theory.vae.posteriors import Diagonal, standard

LEAST = 5000
MOST = 80_000
ENOUGH = 0.02
"""Nats, of a standard error."""
TOGETHER = 1000
"""Draws per image at a time, about."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """Values per image ``[B]`` in nats, in float64.

    Attributes:
        elbo, elbo_error: of the first factor.
        best, best_error: of the second.
        gap_error: standard error of best − elbo, from common noise.
        iwae, iwae_error: of the second factor with all draws.
        effective_blocks: of IWAE's weights, out of draws / `noise.members`.
        draws: per image.
    """

    elbo: Tensor
    elbo_error: Tensor
    best: Tensor
    best_error: Tensor
    gap_error: Tensor
    iwae: Tensor
    iwae_error: Tensor
    effective_blocks: Tensor
    draws: Tensor


@torch.no_grad()
def evaluate(
    problem: Problem, q: Diagonal, best: Diagonal, *, seed: int, least: int = LEAST,
    most: int = MOST, enough: float = ENOUGH,
) -> Sampled:  # fmt: skip
    """Both ELBOs and the importance-weighted bound.

    Args:
        problem: the decoder and the images.
        q: the encoder's factors.
        best: the optimal ones.
        seed: of the noise.
        least: draws per image, at least.
        most: draws per image, at most: the cap on images whose error stays large.
        enough: standard error at which an image is done, in nats.
    """
    parts = [
        _portion(problem.take(at), _some(q, at), _some(best, at), seed + k, least, most, enough)
        for k, at in enumerate(problem.portions(2 * TOGETHER))
    ]
    return Sampled(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _portion(
    problem: Problem, q: Diagonal, best: Diagonal, seed: int, least: int, most: int, enough: float
) -> tuple[Tensor, ...]:
    generator = torch.Generator(problem.images.device).manual_seed(seed)
    tally = _Tally(len(problem), problem.images.device)
    known = torch.stack([q.divergence(), best.divergence()], -1).double()
    left, drawn = torch.arange(len(problem), device=problem.images.device), 0
    while len(left) and drawn < most:
        blocks = max(2, min(TOGETHER, most - drawn) // members(problem.d))
        some, a, b = problem.take(left), _some(q, left), _some(best, left)
        noise = orthogonal(blocks, len(left), problem.d, generator, problem.images)
        columns = []
        for factor in (a, b):
            z = factor.at(noise)
            level = standard(noise) - 0.5 * factor.log_variance.sum(-1) - standard(z)
            columns += [some.log_likelihood(z).double(), level.double()]
        tally.add(left, torch.stack(columns, -1))
        drawn += len(noise) * blocks
        if drawn >= least:
            errors = _elbos(tally, known)[1]
            left = left[errors[left].amax(-1) > enough]
    values, errors, gap_error = _elbos(tally, known)
    return (
        values[:, 0], errors[:, 0], values[:, 1], errors[:, 1], gap_error, *tally.iwae(),
        members(problem.d) * tally.blocks,
    )  # fmt: skip


class _Tally:
    """Running sums over blocks of (A, K) of both factors, about each image's first block."""

    def __init__(self, images: int, device: torch.device) -> None:
        zero = torch.zeros(images, 4, dtype=torch.float64, device=device)
        self.blocks = torch.zeros(images, dtype=torch.long, device=device)
        self.about, self.sums = zero.clone(), zero.clone()
        self.products = torch.zeros(images, 4, 4, dtype=torch.float64, device=device)
        self.weight = torch.full((images,), -torch.inf, dtype=torch.float64, device=device)
        self.square = self.weight.clone()

    def add(self, ids: Tensor, each: Tensor) -> None:
        """Take in ``[members, blocks, images, 4]``."""
        block = each.mean(0)
        new = self.blocks[ids] == 0
        self.about[ids[new]] = block[0, new]
        off = block - self.about[ids]
        self.blocks[ids] += len(block)
        self.sums[ids] += off.sum(0)
        self.products[ids] += torch.einsum("nbi,nbj->bij", off, off)
        log_w = torch.logsumexp(each[..., 2] - each[..., 3], 0) - math.log(len(each))
        self.weight[ids] = torch.logaddexp(self.weight[ids], torch.logsumexp(log_w, 0))
        self.square[ids] = torch.logaddexp(self.square[ids], torch.logsumexp(2 * log_w, 0))

    def moments(self) -> tuple[Tensor, Tensor]:
        """Means ``[B, 4]`` and covariances of a block ``[B, 4, 4]``."""
        count = self.blocks.double()
        mean = self.sums / count[:, None]
        outer = torch.einsum("bi,bj->bij", mean, mean)
        spread = (self.products / count[:, None, None] - outer) * (count / (count - 1))[
            :, None, None
        ]
        return self.about + mean, spread

    def iwae(self) -> tuple[Tensor, Tensor, Tensor]:
        """log mean weight, its standard error by the delta method, effective blocks."""
        count = self.blocks.double()
        size = torch.exp(2 * self.weight - self.square)
        error = ((1 / size - 1 / count).clamp(min=0) * count / (count - 1)).sqrt()
        return self.weight - count.log(), error, size


def _elbos(tally: _Tally, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Values ``[B, 2]``, standard errors ``[B, 2]``, standard error of their difference ``[B]``."""
    mean, spread = tally.moments()
    var_k = torch.stack([spread[:, 1, 1], spread[:, 3, 3]], -1)
    cov = torch.stack([spread[:, 0, 1], spread[:, 2, 3]], -1)
    c = torch.where(var_k > 0, cov / var_k.clamp(min=1e-300), 0.0)
    value = mean[:, [0, 2]] - known - c * (mean[:, [1, 3]] - known)
    one = torch.ones_like(c[:, 0])
    zero = torch.zeros_like(one)
    ways = torch.stack(
        [
            torch.stack([one, -c[:, 0], zero, zero], -1),
            torch.stack([zero, zero, one, -c[:, 1]], -1),
            torch.stack([-one, c[:, 0], one, -c[:, 1]], -1),
        ],
        1,
    )
    variance = torch.einsum("bri,bij,brj->br", ways, spread, ways).clamp(min=0)
    count = tally.blocks.double()[:, None]
    error = (variance / count * (count - 1) / (count - 2).clamp(min=1)).sqrt()  # c is fitted, too
    return value, error[:, :2], error[:, 2]


def _some(q: Diagonal, ids: Tensor) -> Diagonal:
    return Diagonal(q.mean[ids], q.log_variance[ids])
