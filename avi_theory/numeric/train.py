r"""Training neural inference functions.

Three stages.  The network is first fitted to F-VI's factors by least squares in their Fisher
metric, which puts it at the same mode; then the ELBO itself is climbed by Gauss-Newton steps, and
finished with L-BFGS.  Where a curvature matrix costs far more than a gradient, it is formed now and
then, as the metric of L-BFGS, which takes the place of Gauss-Newton steps.  Networks too large for
curvature matrices go from Adam to L-BFGS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.parameters import Parametrisation, fisher
from avi_theory.numeric.solve import (
    Options,
    Problem,
    Run,
    Status,
    gauss_newton,
    quasi_newton,
    whitened,
)
from avi_theory.numeric.solve.colouring import hessian
from avi_theory.numeric.solve.gauss_newton import Block, Curvature, Gram
from avi_theory.numeric.solve.problem import close
from avi_theory.numeric.structure import pattern_of

MOST_ROWS = 700
NETWORK_TOLERANCE = 1e-5
"""On the Euclidean gradient norm of a network's weights, in nats."""
IMITATION_STEPS = 40
NEAR = 1e-4
"""Imitation ends so many nats per latent from F-VI's factors; then the ELBO itself is climbed."""


def problem_of(elbo: Elbo, parameters: Parametrisation) -> Problem:
    """−ELBO as a function of a flat parameter vector, with the Fisher metric."""
    zeros = partial(pattern_of, elbo) if parameters.plain else None
    return Problem(lambda p: -elbo(parameters.tables(p)), parameters.scales, zeros)


def train(
    elbo: Elbo,
    parameters: Parametrisation,
    p: Tensor,
    target: Mapping[str, Tensor] | None,
    options: Options,
) -> Run:
    """Climb the ELBO of a neural parametrisation.

    Args:
        elbo: the objective.
        parameters: with at least one network.
        p: where to start.
        target: tables to imitate first (F-VI's), or None.
        options: `Options.iterations` scales all stages; `Options.bound` ends them.
    """
    problem = problem_of(elbo, parameters)
    options = replace(options, tolerance=max(options.tolerance, NETWORK_TOLERANCE))
    if not parameters.curved:
        most = replace(options, iterations=10 * options.iterations)
        return options.run(lambda: quasi_newton(problem, p, most))
    if target is not None and not close(problem.value(p), options.bound):
        imitated = _imitate(parameters, p, target, options)
        p = min((p, imitated), key=problem.value)
    if not parameters.stepped:
        long = replace(options, iterations=4 * options.iterations)
        return options.run(lambda: whitened(problem, parameters.curvature, p, long))
    half = replace(options, iterations=options.iterations // 2)
    curvature = _curvature(elbo, parameters)
    first = options.run(lambda: gauss_newton(problem, curvature, p, half))
    if first.status in (Status.converged, Status.non_integrable):
        return first
    long = replace(options, iterations=3 * options.iterations)
    then = options.run(lambda: quasi_newton(problem, first.parameters, long, adam=0))
    return replace(
        then, iterations=first.iterations + then.iterations, trace=(*first.trace, *then.trace)
    )


def _imitate(
    parameters: Parametrisation, p: Tensor, target: Mapping[str, Tensor], options: Options
) -> Tensor:
    """Least squares to given tables in their Fisher metric."""
    metric = {n: fisher(parameters.families[n], t) for n, t in target.items()}

    def distance(p: Tensor) -> Tensor:
        tables = parameters.tables(p)
        each = [(metric[n] * (tables[n] - t) ** 2).sum() for n, t in target.items()]
        return 0.5 * torch.stack(each).sum()

    def curvature(p: Tensor) -> list[Block]:
        return parameters.curvature(p, metric)

    near = NEAR * sum(parameters.families[n].points for n in target)
    short = Options(
        tolerance=1e-6, iterations=IMITATION_STEPS, memory=options.memory, bound=near
    )  # fmt: skip
    problem = Problem(distance, torch.ones_like)
    solve = gauss_newton if parameters.stepped else whitened
    return options.run(lambda: solve(problem, curvature, p, short)).parameters


def _curvature(elbo: Elbo, parameters: Parametrisation) -> Curvature:
    """JᵀHJ with the ELBO's own Hessian in the tables, or the factors' Fisher information.

    The first sees how latents and globals pull at each other, and is formed where the tables are
    small; where it is not positive its eigenvalues are taken by size.
    """
    if parameters.rows > MOST_ROWS:
        return parameters.curvature

    known = pattern_of(elbo)

    def coupled(p: Tensor) -> list[Block]:
        with torch.no_grad():
            flat = torch.cat([t.reshape(-1) for t in parameters.tables(p).values()])
        flat = flat.requires_grad_(True)
        (g,) = torch.autograd.grad(-elbo(parameters.split(flat)), flat, create_graph=True)
        matrix = hessian(g, flat, known)
        values, vectors = torch.linalg.eigh(0.5 * (matrix + matrix.T))
        values = values.abs().clamp_min(1e-8 * float(values.abs().max()))
        return [Gram((values.sqrt() * vectors).T @ parameters.jacobian(p.detach()))]

    return coupled
