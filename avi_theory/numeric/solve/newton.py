r"""Newton's method in a trust region, on exact Hessian–vector products.

.. math:: \min_d\; g^\top d + \tfrac12 d^\top H d \quad\text{subject to}\quad d^\top D d \le r^2

with D the Fisher information of q: steps are limited in units of posterior standard deviations.
Few parameters: the Hessian is formed, from few products where its zeros are known, and the
subproblem solved exactly.  Many: truncated conjugate
gradients (Steihaug 1983), preconditioned by D.  Convergence is quadratic, so the gradient norm that
is reported is a certificate and not a hope.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from avi_theory.numeric.solve.colouring import hessian
from avi_theory.numeric.solve.problem import Options, Problem, Run, Status

Product = Callable[[Tensor], Tensor]
SHRINK, GROW = 0.25, 4.0
ROUNDING = 1e-8
RUNAWAY = -1e15
"""An objective below this many nats falls without bound."""
TOO_GOOD = 20.0
"""A step that gains so many times more than promised has met rounding errors, not an optimum."""


def newton(problem: Problem, start: Tensor, options: Options | None = None) -> Run:
    """Minimise from `start`.

    Returns:
        The run; `Run.remaining` bounds what is left to gain.
    """
    options = options or Options()
    state = options.recall(
        p=start.detach().clone(), radius=math.sqrt(len(start)), trace=[], iteration=0
    )
    radius, trace = float(state["radius"]), list(state["trace"])
    status, first = Status.stopped_early, int(state["iteration"])
    p, value, g = problem.gradient(state["p"], graph=True)
    if not _finite(value, g):
        return Run(p.detach(), math.inf, math.inf, 0, Status.non_integrable)
    norm, iteration = math.inf, first
    for iteration in range(first, options.iterations + 1):
        options.keep(p=p.detach(), radius=radius, trace=trace, iteration=iteration)
        d = problem.scales(p.detach()).sqrt()
        norm = float((g.detach() / d).norm())
        trace.append(-float(value))
        if options.progress:
            options.progress(iteration, -float(value), norm)
        if norm <= options.tolerance:
            status = Status.converged
            break
        if iteration == options.iterations:
            break
        model = _Model(problem, g, p, d, options.dense)
        if not model.exists:
            status = Status.diverged
            break
        p_new, radius, outcome = _advance(problem, p.detach(), float(value), norm, model, radius)
        if outcome is not None:
            status = _ending(outcome, norm, options.tolerance)
            break
        del model
        last = (p, value, g)
        p, value, g = problem.gradient(p_new, graph=True)
        if not _finite(value, g) or bool(value < RUNAWAY):
            status = Status.diverged
            p, value, g = (p, value, g) if _finite(value, g) else last
            break
        del last
    d = problem.scales(p.detach()).sqrt()
    remaining = _Model(problem, g, p, d, options.dense).remaining()
    return Run(p.detach(), float(value), norm, iteration, status, remaining, tuple(trace))


def _ending(outcome: Status, norm: float, tolerance: float) -> Status:
    """Stopped by rounding with a gradient that is all but below the tolerance: converged."""
    near = norm <= max(1e3 * tolerance, 1e-6)
    return Status.converged if outcome is Status.stalled and near else outcome


def _finite(value: Tensor, g: Tensor) -> bool:
    return bool(torch.isfinite(value)) and bool(torch.isfinite(g).all())


def _advance(
    problem: Problem, p: Tensor, value: float, norm: float, model: _Model, radius: float
) -> tuple[Tensor, float, Status | None]:
    """One accepted step: shrink the region until the objective falls as the model says."""
    for _ in range(60):
        step, predicted = model.step(radius)
        new = p + step / model.d
        small = predicted < 1e-11 * (1 + abs(value))
        length = float(step.norm())
        if small:
            moved, _, g = problem.gradient(new)
            better = float((g / problem.scales(moved.detach()).sqrt()).norm()) < norm
            if better:
                return new, radius, None
            if length <= 1e-12 * (1 + float((p * model.d).norm())) or predicted <= 0:
                return p, radius, Status.stalled
            radius = min(radius, length) * SHRINK
            if predicted < 1e-15 * (1 + abs(value)):
                return p, radius, Status.stalled
            continue
        gained = value - problem.value(new)
        ratio = gained / predicted
        if 1e-4 < ratio < TOO_GOOD:
            if ratio > 0.75 and length > 0.8 * radius:
                radius *= GROW
            elif ratio < 0.25:
                radius = min(radius, length) * SHRINK * 2
            return new, radius, None
        radius = min(radius, length) * SHRINK
    return p, radius, Status.stalled


class _Model:
    """The quadratic model at a point, in whitened parameters d·p."""

    def __init__(self, problem: Problem, g: Tensor, p: Tensor, d: Tensor, dense: int) -> None:
        self.d = d
        self._graph, self._p = g, p
        self.g = g.detach() / d
        self.hessian: Tensor | None = None
        self.exists = True
        if len(self.g) <= dense:
            rows = hessian(g, p, problem.pattern) / d / d[:, None]
            self.hessian = 0.5 * (rows + rows.T)
            self.exists = bool(torch.isfinite(rows).all())
            if not self.exists:
                return
            self.values, self.vectors = torch.linalg.eigh(self.hessian)
            self._along = self.vectors.T @ self.g

    def _raw(self, v: Tensor) -> Tensor:
        if not self._graph.requires_grad:
            return torch.zeros_like(v)
        (h,) = torch.autograd.grad(
            self._graph, self._p, v, retain_graph=True, materialize_grads=True
        )
        return h

    def times(self, v: Tensor) -> Tensor:
        """H v, whitened."""
        return self._raw(v / self.d) / self.d

    def step(self, radius: float) -> tuple[Tensor, float]:
        """The step in whitened parameters, and the decrease it promises."""
        if self.hessian is None:
            step = _steihaug(self.times, self.g, radius)
            promised = -float(self.g @ step + 0.5 * step @ self.times(step))
            return step, promised
        along = _exact(self.values, self._along, radius)
        promised = -float(self._along @ along + 0.5 * along @ (self.values * along))
        return self.vectors @ along, promised

    def remaining(self) -> float | None:
        """½ gᵀ H⁻¹ g if H is positive definite up to rounding, else None."""
        if not self.exists:
            return None
        if self.hessian is not None:
            if float(self.values[0]) < -ROUNDING:
                return None
            return float(0.5 * (self._along**2 / (self.values + 2 * ROUNDING)).sum())
        step, definite = _conjugate(self.times, self.g)
        return float(-0.5 * self.g @ step) if definite else None


def _exact(values: Tensor, g: Tensor, radius: float) -> Tensor:
    """The trust-region step in the Hessian's eigenbasis: d = −g/(λ + s), ‖d‖ ≤ r."""
    lowest = float(values[0])
    floor = 1e-14 * float(values.abs().max())
    if lowest > floor:
        step = -g / values
        if float(step.norm()) <= radius:
            return step
    low = max(0.0, -lowest) + floor
    high = low + float(g.norm()) / radius + 1e-300
    while float((g / (values + high)).norm()) > radius:
        high = 2 * high
    near = -g / (values + low + 1e-300)
    if float(near.norm()) < radius and lowest <= floor:
        extra = torch.zeros_like(g)
        extra[0] = math.sqrt(radius**2 - float(near.norm()) ** 2)
        return near + (extra if float(g[0]) <= 0 else -extra)
    for _ in range(100):
        middle = 0.5 * (low + high)
        if float((g / (values + middle)).norm()) > radius:
            low = middle
        else:
            high = middle
        if high - low <= 1e-10 * high:
            break
    return -g / (values + high)


def _steihaug(times: Product, g: Tensor, radius: float) -> Tensor:
    """Conjugate gradients until small enough, to the boundary on negative curvature."""
    norm = float(g.norm())
    target = norm * min(0.1, math.sqrt(norm), 1e-2 if norm < 1e-3 else 1.0)
    step = torch.zeros_like(g)
    residual, direction = -g, -g
    squared = float(residual @ residual)
    for _ in range(min(10 * len(g), 2000)):
        bent = times(direction)
        curvature = float(direction @ bent)
        if curvature <= 1e-14 * float(direction @ direction):
            return step + _to_boundary(step, direction, radius) * direction
        a = squared / curvature
        longer = step + a * direction
        if float(longer.norm()) >= radius:
            return step + _to_boundary(step, direction, radius) * direction
        step, residual = longer, residual - a * bent
        new = float(residual @ residual)
        if math.sqrt(new) <= target:
            break
        direction = residual + (new / squared) * direction
        squared = new
    return step


def _to_boundary(step: Tensor, direction: Tensor, radius: float) -> float:
    a, b = float(direction @ direction), 2 * float(step @ direction)
    c = float(step @ step) - radius**2
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    return (-b + root) / (2 * a)


def _conjugate(times: Product, g: Tensor) -> tuple[Tensor, bool]:
    """−H⁻¹ g by conjugate gradients, and whether every curvature met was positive."""
    step = torch.zeros_like(g)
    residual, direction = -g, -g
    first = squared = float(residual @ residual)
    for _ in range(500):
        if squared <= 1e-8 * first or squared == 0.0:
            break
        bent = times(direction)
        curvature = float(direction @ bent) + ROUNDING * float(direction @ direction)
        if curvature <= 0:
            return step, False
        a = squared / curvature
        step, residual = step + a * direction, residual - a * (bent + ROUNDING * direction)
        new = float(residual @ residual)
        direction = residual + (new / squared) * direction
        squared = new
    return step, True
