r"""One driver for both families: starts, solver, refined quadrature, certificates.

.. math:: \max_{\nu}\ \mathrm{ELBO}(\nu)\quad\text{and}\quad \max_{\phi}\ \mathrm{ELBO}(f_\phi(w))
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.parameters import Parametrisation
from avi_theory.numeric.settle import settle
from avi_theory.numeric.solve import Options, Run, Status, newton
from avi_theory.numeric.solve.conjugate import conjugate
from avi_theory.numeric.solve.coordinate import coordinate_ascent
from avi_theory.numeric.train import problem_of, train

ROUNDS = 4
SMALL = 600
FIRST_SHAPE = 1.4
"""Log shape of Gamma and Beta factors at the start: about 4, where E 1/z and E 1/z² exist."""
NARROWER = 4
"""How often a start is made so much narrower again, where a higher moment is needed."""


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


def starting_tables(elbo: Elbo, seed: int, spread: float) -> dict[str, Tensor]:
    """Standard factors, jittered so that no symmetry of the model holds the solver at a saddle.

    Gamma and Beta factors are as narrow as the moments in the model's closed forms need.
    """
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, f in elbo.families.items():
        noise = torch.randn(f.shape, generator=generator, dtype=torch.float64)
        table = spread * noise
        if f.real and f.width > f.location:
            table[..., f.location :] *= 0.1
        if f.law != "normal":
            table[..., 1] += FIRST_SHAPE
        found[name] = table.to(elbo.where.device, elbo.where.dtype)
    lawful = [name for name, f in elbo.families.items() if f.law != "normal"]
    for _ in range(NARROWER if lawful else 0):
        if not elbo.without_moments(found):
            break
        for name in lawful:
            found[name][..., 1] += FIRST_SHAPE
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
        ascend: whether to begin with coordinate ascent where it has closed-form updates.

    Returns:
        The best fit, and the ELBO with the quadrature that it needed.
    """
    began = time.perf_counter() + options.spent
    elbo, trouble = settle(elbo, starts[0])
    if trouble.fatal:
        run = Run(parameters.start(starts[0]), math.inf, math.inf, 0, Status.non_integrable)
        seconds = time.perf_counter() + options.spent - began
        return Fit(run, dict(starts[0]), seconds, note=trouble.text), elbo
    runs: list[Run] = []
    note = ""
    for start in starts:
        if ascend and any(f.discrete or conjugate(f) for f in elbo.families.values()):
            start = _ascended(elbo, start, options)
        p = parameters.start(start)
        run = _solve(elbo, parameters, p, start, options)
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
            run = _solve(elbo, parameters, run.parameters, None, options)
        runs.append(run)
    best = min(runs, key=lambda r: r.value)
    finite = [r.value for r in runs if math.isfinite(r.value)]
    if not math.isfinite(best.value) and not note:
        culprit = elbo.culprit(parameters.tables(best.parameters))
        note = f"'{culprit}' has no finite expectation." if culprit else ""
    return Fit(
        best,
        {k: v.detach() for k, v in parameters.tables(best.parameters).items()},
        time.perf_counter() + options.spent - began,
        len(runs),
        max(finite) - min(finite) if finite else 0.0,
        note,
    ), elbo


def _ascended(elbo: Elbo, start: Mapping[str, Tensor], options: Options) -> Mapping[str, Tensor]:
    """Where coordinate ascent leads from a start."""
    if options.memory is None:
        return coordinate_ascent(elbo, start)
    return options.memory.result(lambda: coordinate_ascent(elbo, start))


def _without_value(run: Run) -> Run:
    return Run(
        run.parameters, math.inf, math.inf, run.iterations, Status.non_integrable, None, run.trace
    )


def _solve(
    elbo: Elbo,
    parameters: Parametrisation,
    p: Tensor,
    target: Mapping[str, Tensor] | None,
    options: Options,
) -> Run:
    """Newton's method for few or linear parameters; networks are fitted to the target first."""
    if parameters.smooth:
        return options.run(lambda: newton(problem_of(elbo, parameters), p, options))
    return train(elbo, parameters, p, target, options)
