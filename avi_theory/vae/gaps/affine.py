r"""An affine decoder with Gaussian pixels: every rung in closed form.

.. math::
    p(x \mid z) = N(Wz + b, s^2 I),\qquad \Lambda = I + W^\top W / s^2,\qquad
    m = \Lambda^{-1} W^\top (x - b) / s^2

The posterior is N(m, Λ⁻¹); the best diagonal factor has its mean and the variances 1/Λᵢᵢ
(Bishop, 2006, §10.1.2); log p(x) is that of N(b, WWᵀ + s²I).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.vae.gaps.problem import Problem
from avi_theory.vae.posteriors import Diagonal

TRIALS = 12
SLACK = 64.0
"""Rounding errors by which an affine function may miss its own extrapolation."""


@dataclass(frozen=True, eq=False)
class Affine:
    """The Gaussian model with the images it is for, in float64.

    Attributes:
        weight: W, ``[D, d]``.
        apart: x − b, ``[B, D]``.
        scale: s.
    """

    weight: Tensor
    apart: Tensor
    scale: float

    @property
    def precision(self) -> Tensor:
        """Λ, ``[d, d]``."""
        eye = torch.eye(self.weight.shape[1], dtype=torch.float64, device=self.weight.device)
        return eye + self.weight.T @ self.weight / self.scale**2

    def optimum(self) -> Diagonal:
        """q*_FFG."""
        mean = torch.linalg.solve(self.precision, (self.apart @ self.weight / self.scale**2).T).T
        return Diagonal(mean, -self.precision.diagonal().log().expand_as(mean))

    def elbo(self, q: Diagonal) -> Tensor:
        """The exact ELBO, ``[B]`` nats."""
        mean, v = q.mean.double(), q.log_variance.double()
        miss = ((self.apart - mean @ self.weight.T) ** 2).sum(-1)
        spread = v.exp() @ (self.weight**2).sum(0)
        level = -0.5 * (miss + spread) / self.scale**2 - self._norm()
        return level - Diagonal(mean, v).divergence()

    def log_evidence(self) -> Tensor:
        """log p(x), ``[B]`` nats, by the determinant of Λ."""
        pull = self.apart @ self.weight / self.scale**2
        quadratic = (self.apart**2).sum(-1) / self.scale**2
        quadratic = quadratic - (pull * torch.linalg.solve(self.precision, pull.T).T).sum(-1)
        return -0.5 * (quadratic + torch.logdet(self.precision)) - self._norm()

    def _norm(self) -> float:
        return self.apart.shape[1] * math.log(self.scale * math.sqrt(2 * math.pi))


@torch.no_grad()
def affine_of(problem: Problem, seed: int = 0) -> Affine | None:
    """The closed form, if the pixels are Gaussian and the decoder extrapolates like a plane.

    It is compared with its own extrapolation from 0 and the unit vectors at random codes near and
    far, up to 30 standard deviations; a kink outside cannot matter.
    """
    if problem.likelihood.name != "gaussian":
        return None
    z0 = problem.images.new_zeros(1, problem.d)
    units = torch.eye(problem.d, dtype=z0.dtype, device=z0.device)
    at = problem.decode(torch.cat([z0, units])).flatten(1).double()
    weight, bias = (at[1:] - at[0]).T, at[0]
    generator = torch.Generator(z0.device).manual_seed(seed)
    far = torch.logspace(-1, 1.5, TRIALS, dtype=z0.dtype, device=z0.device)
    z = far[:, None] * z0.new_empty(TRIALS, problem.d).normal_(generator=generator)
    there = problem.decode(z).flatten(1).double()
    guess = bias + z.double() @ weight.T
    size = bias.abs().max() + z.double().abs() @ weight.abs().amax(0)
    slack = SLACK * torch.finfo(z0.dtype).eps * (1 + size)[:, None]
    if not bool(((there - guess).abs() <= slack).all()):
        return None
    scale = float(problem.likelihood.scale)  # type: ignore[attr-defined]
    return Affine(weight, problem.images.flatten(1).double() - bias, scale)
