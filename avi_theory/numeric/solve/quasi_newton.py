"""Adam to get near, L-BFGS with a strong Wolfe line search to arrive; for neural functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from avi_theory.numeric.solve.problem import AT_BOUND, Options, Problem, Run, Status, close

ADAM_STEPS, ADAM_RATE = 300, 3e-3
CHUNK = 50
MUCH = 1e3
FLAT = 3e-8
"""A round that gains less than this share of the objective has gained nothing."""
RAN_AWAY = (
    "The steps of {} ran away at iteration {}: the ELBO is no number there. The best parameters "
    "met before are kept. Look for data of very different sizes, or a prior that is too wide."
)


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
    start = start.detach()
    state = options.recall(p=start, best=start, value=None, trace=None, done=0, flat=0, inner={})
    p = state["p"].clone().requires_grad_(True)
    best = state["best"].clone()
    best_value = problem.value(best) if state["value"] is None else float(state["value"])
    if not math.isfinite(best_value):
        return Run(best, math.inf, math.inf, 0, Status.non_integrable)
    trace = list(state["trace"] or [-best_value])
    done, flat, inner = int(state["done"]), int(state["flat"]), dict(state["inner"])
    status, why = Status.stopped_early, ""
    if done < adam:
        first = torch.optim.Adam([p], lr=ADAM_RATE)
        first.state[p] = inner
        for k in range(done, adam):
            options.keep(
                p=p.detach(), best=best, value=best_value, trace=trace, done=k, flat=0,
                inner=first.state[p],
            )  # fmt: skip
            first.param_groups[0]["lr"] = ADAM_RATE * 0.5 * (1 + math.cos(math.pi * k / adam))
            first.zero_grad()
            loss = problem.objective(p)
            reached = float(loss.detach())
            if not math.isfinite(reached):
                status, why = Status.diverged, RAN_AWAY.format("Adam", k)
                break
            loss.backward()
            if reached < best_value:
                best, best_value = p.detach().clone(), reached
            trace.append(-reached)
            first.step()
        with torch.no_grad():
            p.copy_(best)
        done, inner = adam, {}
    solver = lbfgs(p, CHUNK)
    solver.state[p] = inner
    while done - adam < options.iterations:
        options.keep(
            p=p.detach(), best=best, value=best_value, trace=trace, done=done, flat=flat,
            inner=solver.state[p],
        )  # fmt: skip
        value, norm = chunk(problem, p, solver)
        done += CHUNK
        if not math.isfinite(value) or not bool(torch.isfinite(p).all()):
            status, why = Status.diverged, RAN_AWAY.format("L-BFGS", done)
            break
        status, why = Status.stopped_early, ""
        gained = best_value - value
        if gained > 0:
            best, best_value = p.detach().clone(), value
        trace.append(-best_value)
        if options.progress:
            options.progress(done, -best_value, norm)
        if norm <= options.tolerance or close(best_value, options.bound):
            status = Status.converged
            break
        flat = flat + 1 if gained <= FLAT * (1 + abs(best_value)) else 0
        if flat == 1:
            solver = lbfgs(p, CHUNK)
        if flat >= 3:
            status = Status.stalled
            break
    _, last, g = problem.gradient(best)
    norm = float((g / problem.scales(best).sqrt()).norm())
    if norm <= options.tolerance or close(best_value, options.bound):
        status, why = Status.converged, ""
    if close(best_value, options.bound):
        why = AT_BOUND
    return Run(best, float(last), norm, done, status, None, tuple(trace), why)


def lbfgs(p: Tensor, iterations: int) -> torch.optim.LBFGS:
    """The solver, so many iterations at a time."""
    return torch.optim.LBFGS(
        [p], max_iter=iterations, history_size=50, line_search_fn="strong_wolfe",
        tolerance_grad=0.0, tolerance_change=0.0,
    )  # fmt: skip


def chunk(problem: Problem, p: Tensor, solver: torch.optim.LBFGS) -> tuple[float, float]:
    """Some L-BFGS iterations in place: the value and the gradient norm after them."""
    level = problem.value(p.detach())

    def closure() -> Tensor:
        nonlocal level
        solver.zero_grad()
        value = problem.objective(p)
        if not bool(torch.isfinite(value)):
            # The line search cannot handle a value that is no number: call it much worse.
            p.grad = torch.zeros_like(p)
            return value.new_tensor(level + MUCH * (1 + abs(level)))
        value.backward()
        level = float(value.detach())
        return value

    solver.step(closure)
    _, value, g = problem.gradient(p.detach())
    return float(value), float((g / problem.scales(p.detach()).sqrt()).norm())
