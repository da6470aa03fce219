r"""Forward and backward messages in a loop over time.

.. math:: \alpha_t = r_t \circ (\alpha_{t-1} A_t), \qquad \beta_{t-1} = A_t (r_t \circ \beta_t)

All sequences take a step together.  On a CPU the loop runs on NumPy views of the tensors: with few
states the arithmetic of a step is shorter than a call into torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric.chains.pieces import normalised, rows_in_a_piece
from avi_theory.numeric.chains.potentials import Potentials

Want = Literal["evidence", "marginals", "messages"]
Messages = tuple[Tensor, Tensor, Tensor]


def by_loop(p: Potentials, lengths: Tensor | None, want: Want) -> Messages:
    """α ``[B, T, S]``, β ``[B, T, S]`` and log evidence ``[B]``.

    Messages are up to a factor per step and sequence (logarithms: a summand).

    Args:
        p: potentials, plain or logarithms.
        lengths: ``[B]``, or None where all are T.
        want: ``evidence`` alone; ``marginals``, α∘β as probabilities, instead of α, in half the
            memory; or both ``messages``.  What is not wanted holds no meaning.
    """
    b, t, _ = p.unary.shape
    unary = p.unary.transpose(0, 1).contiguous()
    run = _Run.of(p)
    moves = p.transition.transpose(0, 1) if run.each else p.transition
    last = torch.full((b,), t - 1) if lengths is None else lengths - 1
    last = last.to(unary.device)
    alpha = torch.empty_like(unary)
    sizes = run.forward(alpha, unary, moves)
    evidence = p.shift + _level(alpha, last, sizes, p.every)
    beta = torch.empty_like(unary) if want == "messages" else None
    if want != "evidence":
        run.backward(alpha, beta, unary, moves.mT, last)
    alpha = alpha.transpose(0, 1)
    if want == "marginals" and p.every is None:
        alpha = normalised(alpha, log=True)
    return alpha, alpha if beta is None else beta.transpose(0, 1), evidence


def _level(alpha: Tensor, last: Tensor, sizes: list[Any], every: int | None) -> Tensor:
    """The logarithm of what α holds at each sequence's end, and of what was divided out."""
    final = alpha[last, torch.arange(len(last), device=last.device)]
    if every is None:
        return final.logsumexp(-1)
    level = final.sum(-1).log()
    if not sizes:
        return level
    if isinstance(sizes[0], Tensor):
        logs = torch.stack(sizes).log()
    else:
        logs = torch.as_tensor(np.log(np.stack(sizes)))
    at = every * torch.arange(1, len(sizes) + 1, device=last.device)
    return level + (logs.reshape(len(sizes), -1) * (at[:, None] <= last)).sum(0)


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
    def of(cls, p: Potentials) -> _Run:
        plain, each = not p.unary.is_cuda, p.transition.ndim == 4
        if p.every is None:
            product = _log_product_numpy if plain else _log_product
            return cls(product, np.add if plain else torch.add, 0, 0.0, each, plain)
        if not plain:
            return cls(torch.matmul, torch.mul, p.every, 1.0, each, plain)
        return cls(np.matmul if each else np.dot, np.multiply, p.every, 1.0, each, plain)

    def forward(self, alpha: Tensor, unary: Tensor, moves: Tensor) -> list[Any]:
        """Fill α; the sizes that were divided out."""
        alpha[0] = unary[0]
        product, times, every = self.product, self.times, self.every
        alphas, unaries = self._view(alpha), self._view(unary)
        x, before = alphas[0], self._view(torch.empty_like(alpha[:1]))[0]
        sizes = []
        ones = self._ones(alpha)
        rescaled = every or len(alpha)
        steps = zip(alphas[1:], unaries[1:], self._moves(moves, len(alpha) - 1), strict=True)
        for step, (a, r, m) in enumerate(steps, start=1):
            product(x, m, out=before)
            times(before, r, out=a)
            if step % rescaled == 0:
                size = a @ ones
                a /= size
                sizes.append(size)
            x = a
        return sizes

    def backward(
        self, alpha: Tensor, beta: Tensor | None, unary: Tensor, moves: Tensor, last: Tensor
    ) -> None:
        """Fill β from each sequence's last step down; without it, make α the product α∘β.

        β is scaled so that Σ α_t β_t = 1, which then holds from step to step until α was rescaled:
        the products are probabilities, and need no further pass.
        """
        product, times, every = self.product, self.times, self.every
        steps = len(alpha)
        width = steps if beta is not None else rows_in_a_piece(alpha)
        store = torch.empty_like(alpha[:width]) if beta is None else beta
        store[(steps - 1) % width] = self.one
        beside, products = self._view(store), self._view(alpha)
        betas, alphas, unaries = list(beside), list(products), list(self._view(unary))
        after = self._view(torch.empty_like(alpha[:1]))[0]
        ends: dict[int, list[int]] = {}
        for row, end in enumerate(last.tolist()):
            ends.setdefault(end, []).append(row)
        ones = self._ones(alpha)
        rescaled = every or steps + 1
        matrices = list(self._moves(moves, steps - 1))
        for step in range(steps - 1, -1, -1):
            x = betas[step % width]
            if step + 1 < steps:
                product(after, matrices[step], out=x)
            if step in ends:
                x[ends[step]] = self.one
            if every and (step in ends or (step + 1) % rescaled == 0):
                x /= (alphas[step] * x) @ ones
            times(x, unaries[step], out=after)
            if beta is None and step % width == 0:
                here = products[step : step + width]
                times(here, beside[: len(here)], out=here)

    def _ones(self, like: Tensor) -> Any:
        """A column that sums over the states, as a product: quicker than a short sum."""
        found = like.new_ones(like.shape[-1], 1)
        return found.numpy() if self.plain else found

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


def _log_product_numpy(x: np.ndarray, m: np.ndarray, *, out: np.ndarray) -> None:
    """The same; the summed state comes first, so that each operation runs along long rows."""
    if x.ndim == 3:
        terms = x[:, 0].T[..., None] + m.swapaxes(0, 1)
    else:
        terms = x.T[..., None] + m[:, None]
    top = terms.max(0)
    if not np.isfinite(top).all():
        top[np.isneginf(top)] = 0.0
    terms -= top
    total = np.exp(terms, out=terms).sum(0)
    with np.errstate(divide="ignore"):  # an impossible state's message is log 0
        np.log(total, out=total)
    total += top
    out[...] = total[:, None] if x.ndim == 3 else total
