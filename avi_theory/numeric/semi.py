r"""Semi-amortization: a few steps of F-VI's solver from where the inference function points.

.. math:: \nu^{(0)} = f_\phi(w),\qquad \nu^{(k+1)} = \nu^{(k)} + \text{one accepted Newton step}

(Kim et al., ICML 2018, with gradient steps.)  Every accepted step raises the ELBO, so the gap to
F-VI falls with k, and the network only has to point into the right basin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.parameters import Free, Parametrisation
from avi_theory.numeric.solve import Options, Problem, Run, newton

Tables = Mapping[str, Tensor]


def checked(steps: int) -> int:
    """The number of steps.

    Raises:
        InputError: it is negative.
    """
    if steps < 0:
        raise InputError(f"refine is {steps}: a number of steps, so give 0, 1, 2, …")
    return steps


def climb(
    elbo: Elbo, start: Tables, names: Sequence[str], options: Options
) -> tuple[dict[str, Tensor], Run]:
    """Free factors of some latents from a start, all others held.

    Args:
        elbo: the objective.
        start: tables of all latents.
        names: of the latents that move.
        options: `Options.iterations` is the number of steps.

    Returns:
        The tables of those latents, and the run; its trace starts with the ELBO at the start.
    """
    held = {n: t for n, t in start.items() if n not in names}
    moving = {n: elbo.families[n] for n in names}
    parameters = Parametrisation(moving, {n: Free(f) for n, f in moving.items()})
    problem = Problem(lambda p: -elbo({**held, **parameters.tables(p)}), parameters.scales)
    run = newton(problem, parameters.start(start), options)
    return parameters.tables(run.parameters), run


def gaps_after(elbo: Elbo, start: Tables, best: Tables, steps: int) -> tuple[float, ...]:
    """The gap to given factors before the first step and after each, in nats.

    Args:
        elbo: the objective.
        start: the tables to which the inference function points, globals among them.
        best: F-VI's.
        steps: k, of F-VI's solver on all latents together.

    Returns:
        k + 1 numbers; once the solver has arrived, the last is repeated.
    """
    _, run = climb(elbo, start, list(start), Options(iterations=steps))
    with torch.no_grad():
        reached = float(elbo(best))
    found = [reached - value for value in run.trace] or [float("nan")]
    return tuple(found + found[-1:] * (steps + 1 - len(found)))
