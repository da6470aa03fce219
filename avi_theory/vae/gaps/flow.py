r"""A flow per image, with parameters of its own for every image, evaluated by einsum.

.. math:: z = \mu + \sigma \odot L\,T_2(T_1(\epsilon)),\qquad
          \log q(z) = \log N(\epsilon; 0, I) - \textstyle\sum \log\sigma - \sum_k \sum s_k

with L lower triangular with a unit diagonal and affine couplings T (Dinh, Sohl-Dickstein and
Bengio, 2017) whose networks have one tanh layer.  All weights that change anything start at zero:
the flow starts as the diagonal Gaussian.  (A design of this project: Cremer, Li and Duvenaud, 2018,
use two couplings of 200 units with auxiliary variables per image.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from avi_theory.vae.posteriors import Diagonal, standard

HIDDEN = 16
LAYERS = 2


@dataclass(frozen=True, eq=False)
class Flow:
    """q(z | x) for each of B images.

    Attributes:
        base: µ and log σ², both ``[B, d]``.
        lower: ``[B, d, d]``, of which the part below the diagonal counts.
        into: ``[B, layers, d, h]``, from the coordinates that stay; offset: ``[B, layers, h]``.
        out: ``[B, layers, h + 1, 2d]``, to log scales and shifts; the last row is constant.
    """

    base: Diagonal
    lower: Tensor
    into: Tensor
    offset: Tensor
    out: Tensor

    @classmethod
    def at(cls, q: Diagonal, generator: Generator) -> Flow:
        """The flow that is q."""
        batch, d = q.mean.shape
        into = q.mean.new_empty(batch, LAYERS, d, HIDDEN).normal_(generator=generator) / d**0.5
        zero = q.mean.new_zeros
        out = zero(batch, LAYERS, HIDDEN + 1, 2 * d)
        return cls(q, zero(batch, d, d), into, zero(batch, LAYERS, HIDDEN), out)

    @classmethod
    def of(cls, parts: tuple[Tensor, ...]) -> Flow:
        """From what `parts` returned."""
        return cls(Diagonal(parts[0], parts[1]), *parts[2:])

    def parts(self) -> tuple[Tensor, ...]:
        """All parameters, images first."""
        q = self.base
        return q.mean, q.log_variance, self.lower, self.into, self.offset, self.out

    def sample(self, k: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Codes ``[k, B, d]`` and log densities ``[k, B]``."""
        mean = self.base.mean
        return self.push(mean.new_empty(k, *mean.shape).normal_(generator=generator))

    def push(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The codes of noise ``[k, B, d]`` and their log densities ``[k, B]``."""
        d = noise.shape[-1]
        stays = torch.arange(d, device=noise.device) % 2
        at, log_q = noise, standard(noise) - 0.5 * self.base.log_variance.sum(-1)
        for k in range(LAYERS):
            kept = (stays == k % 2).to(noise)
            seen = torch.einsum("kbi,bih->kbh", at * kept, self.into[:, k]) + self.offset[:, k]
            both = torch.einsum("kbh,bho->kbo", seen.tanh(), self.out[:, k, :-1])
            scale, shift = (both + self.out[:, k, -1]).chunk(2, -1)
            scale = scale.tanh() * (1 - kept)
            at = at * scale.exp() + shift * (1 - kept)
            log_q = log_q - scale.sum(-1)
        turned = at + torch.einsum("kbj,bij->kbi", at, self.lower.tril(-1))
        return self.base.at(turned), log_q
