"""Adam to get near, L-BFGS with a strong Wolfe line search to arrive; for neural functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from avi_theory.numeric.solve.problem import AT_BOUND, Options, Problem, Run, Status, close

ADAM_STEPS, ADAM_RATE = 300, 3e-3
CHUNK = 50


def quasi_newton(
    problem: Problem, start: Tensor, options: Options | None = None, *, adam: int = ADAM_STEPS
) -> Run:
    """Minimise from `start`; the best point met is returned.

    Args:
        problem: the objective.
        start: parameters ``[n]``.
        options: `Options.iterations` counts L-BFGS iterations.
        adam: steps of Adam first, with a rate that falls to zero along a cosine.
    """
    options = options or Options(iterations=2000, tolerance=1e-6)
    p = start.detach().clone().requires_grad_(True)
    best, best_value = p.detach().clone(), problem.value(p.detach())
    if not math.isfinite(best_value):
        return Run(best, math.inf, math.inf, 0, Status.non_integrable)
    trace = [-best_value]
    first = torch.optim.Adam([p], lr=ADAM_RATE)
    for k in range(adam):
        first.param_groups[0]["lr"] = ADAM_RATE * 0.5 * (1 + math.cos(math.pi * k / adam))
        first.zero_grad()
        loss = problem.objective(p)
        loss.backward()
        if float(loss.detach()) < best_value:
            best, best_value = p.detach().clone(), float(loss.detach())
        trace.append(-float(loss.detach()))
        first.step()
    with torch.no_grad():
        p.copy_(best)
    norm, done, flat = math.inf, adam, 0
    solver = _solver(p)
    status = Status.stopped_early
    while done - adam < options.iterations:
        value, norm = _chunk(problem, p, solver)
        done += CHUNK
        if not math.isfinite(value):
            with torch.no_grad():
                p.copy_(best)
            status = Status.stalled
            break
        gained = best_value - value
        if gained > 0:
            best, best_value = p.detach().clone(), value
        trace.append(-best_value)
        if options.progress:
            options.progress(done, -best_value, norm)
        if norm <= options.tolerance or close(best_value, options.bound):
            status = Status.converged
            break
        flat = flat + 1 if gained <= 3e-8 * (1 + abs(best_value)) else 0
        if flat == 1:
            solver = _solver(p)
        if flat >= 3:
            status = Status.stalled
            break
    _, last, g = problem.gradient(best)
    norm = float((g / problem.scales(best).sqrt()).norm())
    if norm <= options.tolerance or close(best_value, options.bound):
        status = Status.converged
    why = AT_BOUND if close(best_value, options.bound) else ""
    return Run(best, float(last), norm, done, status, None, tuple(trace), why)


def _solver(p: Tensor) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(
        [p], max_iter=CHUNK, history_size=50, line_search_fn="strong_wolfe",
        tolerance_grad=0.0, tolerance_change=0.0,
    )  # fmt: skip


def _chunk(problem: Problem, p: Tensor, solver: torch.optim.LBFGS) -> tuple[float, float]:
    """Some L-BFGS iterations in place: the value and the gradient norm after them."""

    def closure() -> Tensor:
        solver.zero_grad()
        value = problem.objective(p)
        value.backward()
        return value

    solver.step(closure)
    _, value, g = problem.gradient(p.detach())
    return float(value), float((g / problem.scales(p.detach()).sqrt()).norm())
