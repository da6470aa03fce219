r"""L-BFGS in coordinates in which an estimate of the curvature is all but the identity.

.. math:: p = p_0 + W u,\qquad W W^\top = (J^\top F J + \lambda I)^{-1}

Gauss–Newton steps are only as good as their matrix; where it comes from some of the points they
crawl.  L-BFGS asks the matrix for a metric alone (preconditioned: Nocedal & Wright 2006, ch. 7) and
learns the rest from gradients, which see all points and cost a fraction of the matrix.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from avi_theory.numeric.solve.gauss_newton import Curvature
from avi_theory.numeric.solve.problem import AT_BOUND, Options, Problem, Run, Status, close
from avi_theory.numeric.solve.quasi_newton import FLAT, chunk, lbfgs

FIRST_ROUND, LAST_ROUND = 20, 160
"""Iterations between two matrices; doubled from round to round."""
DAMPING = 1e-2
"""λ, as a share of the curvature's mean diagonal."""


def whitened(problem: Problem, curvature: Curvature, start: Tensor, options: Options) -> Run:
    """Minimise from `start`; no round ends above where it began.

    Args:
        problem: the objective.
        curvature: parameters to the diagonal blocks of JᵀFJ, in order.
        start: parameters ``[n]``.
        options: tolerance, and iterations of L-BFGS.
    """
    state = options.recall(p=start.detach(), trace=None, done=0, round=FIRST_ROUND, flat=0)
    p, value, g = problem.gradient(state["p"])
    p, reached = p.detach(), float(value)
    if not math.isfinite(reached):
        return Run(p, math.inf, math.inf, 0, Status.non_integrable)
    norm = float((g / problem.scales(p).sqrt()).norm())
    trace = list(state["trace"] or [-reached])
    done, length, flat = int(state["done"]), int(state["round"]), int(state["flat"])
    status = Status.stopped_early
    while True:
        if norm <= options.tolerance or close(reached, options.bound):
            status = Status.converged
            break
        if flat >= 3:
            status = Status.stalled
            break
        if done >= options.iterations:
            break
        options.keep(p=p, trace=trace, done=done, round=length, flat=flat)
        try:
            new = _round(problem, curvature, p, length)
        except torch.linalg.LinAlgError:
            status = Status.diverged
            break
        _, value, g = problem.gradient(new)
        gained = reached - float(value)
        if gained > 0 and bool(torch.isfinite(g).all()):
            p, reached = new, float(value)
            norm = float((g / problem.scales(p).sqrt()).norm())
        flat = 0 if gained > FLAT * (1 + abs(reached)) else flat + 1
        done, length = done + length, min(2 * length, LAST_ROUND)
        trace.append(-reached)
        if options.progress:
            options.progress(done, -reached, norm)
    why = AT_BOUND if close(reached, options.bound) else ""
    return Run(p, reached, norm, done, status, None, tuple(trace), why)


def _round(problem: Problem, curvature: Curvature, p: Tensor, iterations: int) -> Tensor:
    """Where so many iterations from p lead, in the metric of the curvature there."""
    blocks = curvature(p)
    sizes = [b.size for b in blocks]

    def at(u: Tensor) -> Tensor:
        parts = zip(blocks, torch.split(u, sizes), strict=True)
        return p + torch.cat([b.widen(x, DAMPING) for b, x in parts])

    u = torch.zeros_like(p, requires_grad=True)
    inside = Problem(lambda u: problem.objective(at(u)), torch.ones_like)
    chunk(inside, u, lbfgs(u, iterations))
    return at(u.detach())
