r"""Levenberg–Marquardt in the Fisher metric of the factors: natural gradient for small networks.

.. math:: \delta = -(J^\top F J + \lambda I)^{-1} J^\top \nabla_\nu(-\mathrm{ELBO})

J is the Jacobian of the factors' parameters ν in the weights, F their Fisher information.  Near the
optimum F is all but the ELBO's own curvature in ν, so a network that can represent the optimal
factors reaches them in tens of steps, where first-order methods crawl.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from avi_theory.numeric.solve.problem import AT_BOUND, Options, Problem, Run, Status, close

FIRST_DAMPING = 1e-2
LEAST_DAMPING = 1e-9


class Block(Protocol):
    """A diagonal block B of the curvature."""

    size: int

    def solve(self, g: Tensor, damping: float) -> Tensor:
        """(B + damping · mean(diag B) · I)⁻¹ g."""

    def widen(self, u: Tensor, damping: float) -> Tensor:
        """W u with W Wᵀ the matrix of `solve`."""


class Diagonal:
    """The curvature of free parameters."""

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self.size = len(values)

    def solve(self, g: Tensor, damping: float) -> Tensor:
        """Elementwise."""
        return g / (self._values * (1 + damping))

    def widen(self, u: Tensor, damping: float) -> Tensor:
        """Elementwise."""
        return u / (self._values * (1 + damping)).sqrt()


class Gram:
    """AᵀA for A ``[rows, n]``: solved by Cholesky, or in A's rows where they are fewer."""

    def __init__(self, a: Tensor) -> None:
        self.size = a.shape[1]
        self._mean = float((a**2).sum()) / self.size + 1e-300
        self._factored: tuple[float, Tensor | None] | None = None
        self._narrow = len(a) < self.size
        if self._narrow:
            values, vectors = torch.linalg.eigh(a @ a.T)
            keep = values > 1e-14 * values[-1].clamp_min(1e-300)
            self._values = values[keep]
            self._basis = (vectors[:, keep] / self._values.sqrt()).T @ a
        else:
            self._matrix = a.T @ a

    def solve(self, g: Tensor, damping: float) -> Tensor:
        """On the row space for few rows (where g lies), else by Cholesky."""
        lift = damping * self._mean
        if self._narrow:
            return self._basis.T @ ((self._basis @ g) / (self._values + lift))
        chol = self._factor(damping)
        if chol is None:
            return g / (torch.diagonal(self._matrix) + self._mean)
        return torch.cholesky_solve(g[:, None], chol)[:, 0]

    def widen(self, u: Tensor, damping: float) -> Tensor:
        """By the symmetric root for few rows, else by the Cholesky factor's transpose."""
        lift = damping * self._mean
        if self._narrow:
            along = (self._values + lift) ** -0.5 - lift**-0.5
            return u * lift**-0.5 + self._basis.T @ (along * (self._basis @ u))
        chol = self._factor(damping)
        if chol is None:
            return u / (torch.diagonal(self._matrix) + self._mean).sqrt()
        return torch.linalg.solve_triangular(chol.T, u[:, None], upper=True)[:, 0]

    def _factor(self, damping: float) -> Tensor | None:
        """The Cholesky factor of the lifted matrix, None where there is none."""
        if self._factored is None or self._factored[0] != damping:
            lifted = self._matrix.clone()
            torch.diagonal(lifted).add_(max(damping, 1e-14) * self._mean)
            chol, info = torch.linalg.cholesky_ex(lifted)
            self._factored = damping, None if int(info) else chol
        return self._factored[1]


Curvature = Callable[[Tensor], list[Block]]


def gauss_newton(problem: Problem, curvature: Curvature, start: Tensor, options: Options) -> Run:
    """Minimise from `start`; every accepted step lowers the objective.

    Args:
        problem: the objective.
        curvature: parameters to the diagonal blocks of JᵀFJ, in order.
        start: parameters ``[n]``.
        options: tolerance and iterations.
    """
    state = options.recall(p=start.detach(), damping=FIRST_DAMPING, trace=None, iteration=0)
    p, value, g = problem.gradient(state["p"])
    if not math.isfinite(float(value)):
        return Run(p.detach(), math.inf, math.inf, 0, Status.non_integrable)
    damping, first, norm = float(state["damping"]), int(state["iteration"]), float(g.norm())
    trace = list(state["trace"] or [-float(value)])
    if close(float(value), options.bound):
        return Run(
            p.detach(), float(value), norm, first, Status.converged, None, tuple(trace), AT_BOUND
        )
    status, k = Status.stopped_early, first
    for k in range(first + 1, options.iterations + 1):
        options.keep(p=p.detach(), damping=damping, trace=trace, iteration=k - 1)
        try:
            blocks = curvature(p.detach())
        except torch.linalg.LinAlgError:
            status = Status.diverged
            break
        best: Tensor | None = None
        for _ in range(12):
            step = _step(blocks, g, damping)
            new = p.detach() + step
            reached = problem.value(new)
            if reached < float(value):
                best, damping = new, max(damping / 4, LEAST_DAMPING)
                break
            damping *= 6
        if best is None:
            status = Status.stalled
            break
        gained = float(value) - reached
        p, value, g = problem.gradient(best)
        norm = float(g.norm())
        trace.append(-float(value))
        if options.progress:
            options.progress(k, -float(value), norm)
        if norm <= options.tolerance or close(float(value), options.bound):
            status = Status.converged
            break
        if gained <= 1e-13 * (1 + abs(float(value))):
            status = Status.stalled
            break
    why = AT_BOUND if close(float(value), options.bound) else ""
    return Run(p.detach(), float(value), norm, k, status, None, tuple(trace), why)


def _step(blocks: list[Block], g: Tensor, damping: float) -> Tensor:
    parts = torch.split(g, [b.size for b in blocks])
    return -torch.cat([b.solve(x, damping) for b, x in zip(blocks, parts, strict=True)])
