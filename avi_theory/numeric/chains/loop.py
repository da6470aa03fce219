r"""Forward and backward messages in a loop over time.

.. math:: \alpha_t = r_t \circ (\alpha_{t-1} A_t), \qquad \beta_{t-1} = A_t (r_t \circ \beta_t)

All sequences take a step together.  On a CPU the loop runs on NumPy views of the tensors: with few
states the arithmetic of a step is shorter than a call into torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric.chains.potentials import Potentials

Messages = tuple[Tensor, Tensor, Tensor]


def by_loop(p: Potentials, lengths: Tensor | None, *, backward: bool = True) -> Messages:
    """α ``[B, T, S]``, β ``[B, T, S]`` (α again without `backward`) and log evidence ``[B]``.

    Messages are up to a factor per step and sequence (logarithms: a summand).

    Args:
        p: potentials, plain or logarithms.
        lengths: ``[B]``, or None where all are T.
        backward: whether β is wanted.
    """
    b, t, _ = p.unary.shape
    unary = p.unary.transpose(0, 1).contiguous()
    alpha = torch.empty_like(unary)
    alpha[0] = unary[0]
    each = p.transition.ndim == 4
    run = _Run.of(p, each)
    moves = p.transition.transpose(0, 1) if each else p.transition
    sizes = run.forward(alpha, unary, moves)
    last = torch.full((b,), t - 1, device=unary.device) if lengths is None else lengths - 1
    evidence = p.shift + _level(alpha, last.to(unary.device), sizes, p.every)
    if not backward:
        return alpha.transpose(0, 1), alpha.transpose(0, 1), evidence
    beta = torch.empty_like(unary)
    run.backward(beta, unary, moves.mT, last)
    return alpha.transpose(0, 1), beta.transpose(0, 1), evidence


def _level(alpha: Tensor, last: Tensor, sizes: list[Any], every: int | None) -> Tensor:
    """The logarithm of what α holds at each sequence's end, and of what was divided out."""
    final = alpha[last, torch.arange(len(last), device=last.device)]
    if every is None:
        return final.logsumexp(-1)
    level = final.sum(-1).log()
    if not sizes:
        return level
    factors = torch.stack([torch.as_tensor(x) for x in sizes]).reshape(len(sizes), -1)
    at = every * torch.arange(1, len(sizes) + 1, device=last.device)
    return level + torch.where(at[:, None] <= last, factors.log(), 0.0).sum(0)


@dataclass(frozen=True)
class _Run:
    """One kind of arithmetic, and the shape in which it takes the messages.

    Attributes:
        product: a row vector for each sequence times its matrix.
        times: the elementwise product.
        every: steps between rescalings; 0 for none.
        one: the neutral message.
        each: whether every sequence has a matrix of its own.
        plain: whether NumPy views are wanted.
    """

    product: Callable[..., Any]
    times: Callable[..., Any]
    every: int
    one: float
    each: bool
    plain: bool

    @classmethod
    def of(cls, p: Potentials, each: bool) -> _Run:
        if p.every is None:
            return cls(_log_product, torch.add, 0, 0.0, each, False)
        if p.unary.is_cuda:
            return cls(torch.matmul, torch.mul, p.every, 1.0, each, False)
        product = np.matmul if each else np.dot
        return cls(product, np.multiply, p.every, 1.0, each, True)

    def forward(self, alpha: Tensor, unary: Tensor, moves: Tensor) -> list[Any]:
        """Fill α from its first step on; the sizes that were divided out."""
        alphas, unaries = self._view(alpha), self._view(unary)
        x, before = alphas[0], self._view(torch.empty_like(alpha[:1]))[0]
        sizes = []
        steps = zip(alphas[1:], unaries[1:], self._moves(moves, len(alpha) - 1), strict=True)
        for step, (a, r, m) in enumerate(steps, start=1):
            self.product(x, m, out=before)
            self.times(before, r, out=a)
            if self.every and step % self.every == 0:
                size = a.sum(-1)[..., None]
                a /= size
                sizes.append(size)
            x = a
        return sizes

    def backward(self, beta: Tensor, unary: Tensor, moves: Tensor, last: Tensor) -> None:
        """Fill β from each sequence's last step down."""
        betas, unaries = self._view(beta), self._view(unary)
        betas[-1][...] = self.one
        ends: dict[int, list[int]] = {}
        for row, end in enumerate(last.tolist()):
            ends.setdefault(end, []).append(row)
        x, after = betas[-1], self._view(torch.empty_like(beta[:1]))[0]
        matrices = list(self._moves(moves, len(beta) - 1))
        for step in range(len(beta) - 1, 0, -1):
            self.times(x, unaries[step], out=after)
            x = betas[step - 1]
            self.product(after, matrices[step - 1], out=x)
            if self.every and step % self.every == 0:
                x /= x.sum(-1)[..., None]
            if step - 1 in ends:
                x[ends[step - 1]] = self.one

    def _view(self, x: Tensor) -> Any:
        x = x[..., None, :] if self.each else x
        return x.numpy() if self.plain else x

    def _moves(self, moves: Tensor, count: int) -> Any:
        found = moves.numpy() if self.plain else moves
        return repeat(found, count) if moves.ndim == 2 else found


def _log_product(x: Tensor, m: Tensor, *, out: Tensor) -> Tensor:
    """log Σᵢ exp(xᵢ + mᵢⱼ), for rows ``[B, S]`` and one matrix or ``[B, 1, S]`` and one each."""
    if x.ndim == 3:
        return torch.logsumexp(x.transpose(-1, -2) + m, -2, keepdim=True, out=out)
    return torch.logsumexp(x[..., None] + m, -2, out=out)
