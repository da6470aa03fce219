r"""One driver for both families: starts, solver, refined quadrature, certificates.

.. math:: \max_{\nu}\ \mathrm{ELBO}(\nu)\quad\text{and}\quad \max_{\phi}\ \mathrm{ELBO}(f_\phi(w))
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.parameters import Parametrisation
from avi_theory.numeric.settle import settle
from avi_theory.numeric.solve import (
    Options,
    Problem,
    Run,
    Status,
    gauss_newton,
    newton,
    quasi_newton,
)
from avi_theory.numeric.solve.coordinate import coordinate_ascent
from avi_theory.numeric.solve.gauss_newton import Block, Curvature, Gram

ROUNDS = 4
SMALL = 600
MOST_ROWS, ROWS_AT_ONCE = 700, 100
NETWORK_TOLERANCE = 1e-5
"""On the Euclidean gradient norm of a network's weights, in nats."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The best of several runs.

    Attributes:
        run: of the best start.
        tables: the factors' parameters there.
        seconds: of all starts together.
        starts, spread: how many, and how far apart their optima lie, in nats.
        note: what the numbers leave open, in words.
    """

    run: Run
    tables: Mapping[str, Tensor]
    seconds: float
    starts: int = 1
    spread: float = 0.0
    note: str = ""

    @property
    def elbo(self) -> float:
        """In nats."""
        return -self.run.value

    @property
    def exists(self) -> bool:
        """Whether the ELBO exists."""
        return self.run.status is not Status.non_integrable


def problem_of(elbo: Elbo, parameters: Parametrisation) -> Problem:
    """−ELBO as a function of a flat parameter vector, with the Fisher metric."""
    return Problem(lambda p: -elbo(parameters.tables(p)), parameters.scales)


def starting_tables(elbo: Elbo, seed: int, spread: float) -> dict[str, Tensor]:
    """Standard factors, jittered so that no symmetry of the model holds the solver at a saddle."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, f in elbo.families.items():
        noise = torch.randn(f.shape, generator=generator, dtype=torch.float64)
        table = spread * noise
        if f.gaussian:
            table[..., 1] *= 0.1
        found[name] = table.to(elbo.where.device, elbo.where.dtype)
    return found


def fit(
    elbo: Elbo,
    parameters: Parametrisation,
    starts: Sequence[Mapping[str, Tensor]],
    options: Options,
    *,
    ascend: bool = False,
) -> tuple[Fit, Elbo]:
    """Maximise the ELBO from each start and keep the best.

    Quadrature is refined where two spacings disagree at the solution, and the solver continues.

    Args:
        elbo: the objective.
        parameters: of the family.
        starts: tables to start from.
        options: of the solver.
        ascend: whether to begin with coordinate ascent where there are discrete latents.

    Returns:
        The best fit, and the ELBO with the quadrature that it needed.
    """
    began = time.perf_counter()
    elbo, trouble = settle(elbo, starts[0])
    if trouble.fatal:
        run = Run(parameters.start(starts[0]), math.inf, math.inf, 0, Status.non_integrable)
        seconds = time.perf_counter() - began
        return Fit(run, dict(starts[0]), seconds, note=trouble.text), elbo
    runs: list[Run] = []
    note = ""
    for start in starts:
        if ascend and any(f.discrete for f in elbo.families.values()):
            start = coordinate_ascent(elbo, start)
        p = parameters.start(start)
        run = _solve(elbo, parameters, p, options)
        for _ in range(ROUNDS):
            if not math.isfinite(run.value):
                break
            finer, trouble = settle(elbo, parameters.tables(run.parameters))
            note = trouble.text
            if trouble.fatal:
                run = _without_value(run)
                break
            if finer is elbo:
                break
            elbo = finer
            run = _solve(elbo, parameters, run.parameters, options)
        runs.append(run)
    best = min(runs, key=lambda r: r.value)
    finite = [r.value for r in runs if math.isfinite(r.value)]
    if not math.isfinite(best.value) and not note:
        culprit = elbo.culprit(parameters.tables(best.parameters))
        note = f"'{culprit}' has no finite expectation." if culprit else ""
    return Fit(
        best,
        {k: v.detach() for k, v in parameters.tables(best.parameters).items()},
        time.perf_counter() - began,
        len(runs),
        max(finite) - min(finite) if finite else 0.0,
        note,
    ), elbo


def _without_value(run: Run) -> Run:
    return Run(
        run.parameters, math.inf, math.inf, run.iterations, Status.non_integrable, None, run.trace
    )


def _solve(elbo: Elbo, parameters: Parametrisation, p: Tensor, options: Options) -> Run:
    problem = problem_of(elbo, parameters)
    if parameters.smooth:
        return newton(problem, p, options)
    tolerance = max(options.tolerance, NETWORK_TOLERANCE)
    if not parameters.curved:
        longer = replace(options, tolerance=tolerance, iterations=10 * options.iterations)
        return quasi_newton(problem, p, longer)
    settings = replace(options, tolerance=tolerance, iterations=options.iterations // 2)
    first = gauss_newton(problem, _curvature(elbo, parameters), p, settings)
    if first.status in (Status.converged, Status.non_integrable):
        return first
    settings = replace(settings, iterations=3 * options.iterations)
    then = quasi_newton(problem, first.parameters, settings, adam=0)
    return replace(
        then, iterations=first.iterations + then.iterations, trace=(*first.trace, *then.trace)
    )


def _curvature(elbo: Elbo, parameters: Parametrisation) -> Curvature:
    """JᵀHJ with the ELBO's own Hessian in the tables, or the factors' Fisher information.

    The first sees how latents and globals pull at each other, and is formed where the tables are
    small; where it is not positive its eigenvalues are taken by size.
    """
    if parameters.rows > MOST_ROWS:
        return parameters.curvature

    def coupled(p: Tensor) -> list[Block]:
        with torch.no_grad():
            flat = torch.cat([t.reshape(-1) for t in parameters.tables(p).values()])
        flat = flat.requires_grad_(True)
        (g,) = torch.autograd.grad(-elbo(parameters.split(flat)), flat, create_graph=True)
        identity = torch.eye(len(flat), dtype=flat.dtype, device=flat.device)
        rows = [
            torch.autograd.grad(
                g, flat, part, retain_graph=True, is_grads_batched=True, materialize_grads=True
            )[0]
            for part in torch.split(identity, ROWS_AT_ONCE)
        ]
        hessian = torch.cat(rows)
        values, vectors = torch.linalg.eigh(0.5 * (hessian + hessian.T))
        values = values.abs().clamp_min(1e-8 * float(values.abs().max()))
        return [Gram((values.sqrt() * vectors).T @ parameters.jacobian(p.detach()))]

    return coupled
