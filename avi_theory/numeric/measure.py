r"""Measure both variational solutions of a model on its data.

.. math:: F^* = \max_\nu \mathrm{ELBO}(\nu),\qquad A^* = \max_\phi \mathrm{ELBO}(f_\phi(w))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avi_theory.errors import DataError, InputError
from avi_theory.numeric.answers import (
    Elbos,
    amortized_solution,
    fields,
    provenance,
    saved,
    thinned,
)
from avi_theory.numeric.asked import (
    DEFAULT,
    Progress,
    chosen_inputs,
    device_named,
    dtype_named,
    reporting,
)
from avi_theory.numeric.certificate import tight, unique
from avi_theory.numeric.checkpoint import Checkpoint, identity
from avi_theory.numeric.elbo import Elbo, elbo_of
from avi_theory.numeric.evidence import exact_marginals, log_evidence
from avi_theory.numeric.fit import SMALL, Fit, fit, starting_tables
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.parameters import Parametrisation, amortized
from avi_theory.numeric.parameters import free as own_factors
from avi_theory.numeric.partial import Partial
from avi_theory.numeric.posterior import summarise
from avi_theory.numeric.semi import checked, gaps_after
from avi_theory.numeric.solve import Options
from avi_theory.numeric.train import problem_of
from avi_theory.numeric.trained import Trained, held_out
from avi_theory.results.measurement import Measurement, Posterior, Solution
from avi_theory.spec.bound import Bound, bind
from avi_theory.spec.members import Members
from avi_theory.spec.model import Model

FRESH = 8


def measure(
    model: Model,
    data: Any = None,
    *,
    function: str | None = None,
    inputs: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    window: int | None = None,
    device: str = "cpu",
    dtype: str = "float64",
    factors: Mapping[str, str] | None = None,
    seed: int = 0,
    starts: int | None = None,
    samples: int = 256,
    tolerance: float = 1e-9,
    iterations: int = 200,
    evidence: bool = True,
    refine: int = 0,
    free: Mapping[str, Members] | None = None,
    ties: Mapping[str, Sequence[str]] | None = None,
    holdout: Any = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Measurement:
    r"""Fit F-VI and A-VI on one objective, each to a certified optimum where that is possible.

    .. math:: \text{gap} = F^* - A^* \ge 0

    F-VI gives every latent its own factor; A-VI computes each local's factor by a function of its
    inputs; globals are free in both.  A-VI starts at F-VI's solution projected on its class, so
    that both sit at the same mode; F-VI is restarted from A-VI's solution, so that it can never be
    reported below it.

    Args:
        model: the declaration.
        data: a path, arrays, a frame, or a `Bound` as it is.
        function: by name, one of `avi_theory.numeric.functions.FUNCTIONS`; None with no inputs
            measures F-VI alone.
        inputs: what the function sees, for all locals or by local.
        window: instead of inputs, the observations within so many positions.
        device: ``cpu`` or ``cuda``.
        dtype: ``float64`` or ``float32``.
        factors: the kinds of factors of some latents, as in ``{"z": "gamma"}``; the others have
            the one that goes with their support (`avi_theory.spec.variational.FACTORS`).
        seed: of starts, networks and Monte Carlo.
        starts: starting points for F-VI; None for one, or four where optima may multiply.
        samples: Monte Carlo samples for terms without a closed form.
        tolerance: on the gradient norm.
        iterations: of Newton's method.
        evidence: whether to compute log p(x) where that is cheap.
        refine: after so many steps of F-VI's solver from A-VI's solution the gap is told, too.
        free: members of locals that keep factors of their own, as `spec.members` reads them.
        ties: the locals that each local interacts with, as `check` names them; where the free
            ones cover them, f receives the factors of its neighbours.
        holdout: held-out data, for the generalization gap.
        checkpoint: a folder for the state of the runs, from which the same call goes on after an
            interruption, to bitwise the same answer on a CPU.
        progress: called with (run, iteration, ELBO in nats, gradient norm).

    Returns:
        Both solutions with status, gradient norm and remaining distance, in nats.

    Raises:
        DeviceError: a device that this machine does not have.
        InputError: an unknown function, input or factor, or a model that cannot be measured.
        DataError: data that do not fit the model.
    """
    where = Where(device_named(device), dtype_named(dtype))
    checked(refine)
    if model.networks:
        raise InputError(
            f"{model.name} has the network {next(iter(model.networks))!r}, whose weights this "
            "version does not fit. check and show answer; write the density out to measure it."
        )
    bound = data if isinstance(data, Bound) else bind(model, data)
    if not bound.has_data:
        raise DataError(
            f"{model.name} has no data to be fitted to. Give data, or simulate them first."
        )
    chosen = chosen_inputs(bound, inputs, window, function)
    partial = Partial.of(bound, free, ties)
    elbo = elbo_of(bound, where, samples=samples, seed=seed, factors=factors)
    settings = {"function": function, "inputs": chosen, "device": device, "dtype": dtype,
                "seed": seed, "starts": starts, "samples": samples, "tolerance": tolerance,
                "iterations": iterations, "factors": dict(factors or {}),
                "free": partial.labels(bound)}  # fmt: skip
    memory = None
    if checkpoint is not None:
        memory = Checkpoint(checkpoint, identity(bound, settings), device=where.device)
    options = Options(tolerance, iterations, memory=memory)
    fvi, elbo = factorized(elbo, seed, starts, reporting(options, progress, "F-VI"))
    avi: Fit | None = None
    parameters: Parametrisation | None = None
    if chosen is not None and fvi.exists:
        kind = function or DEFAULT
        parameters = amortized(
            bound, elbo.families, chosen, kind, where, seed=seed, partial=partial
        )
        bounded = replace(reporting(options, progress, "A-VI"), bound=fvi.run.value)
        avi, elbo = fit(elbo, parameters, [fvi.tables], bounded)
        fvi, elbo = _never_below(elbo, fvi, avi, options)
    elbos = _fresh(elbo, fvi, avi, seed)
    trained = None
    refined: tuple[float, ...] = ()
    if avi is not None and parameters is not None and avi.exists:
        refined = gaps_after(elbo, avi.tables, fvi.tables, refine) if refine else ()
        kind = function or DEFAULT
        trained = (
            None
            if partial.masks
            else Trained.of(bound, parameters, avi.run.parameters, kind, where, factors)
        )
    answer = {"value": None, "method": "not asked for", "standard_error": None}
    if evidence:
        answer = log_evidence(elbo, fvi, seed=seed)
    free_ones = Solution(
        **fields(elbo, fvi, elbos.fvi, elbos.fvi_error, own_factors(elbo.families))
    )
    if free_ones.status == "converged" and tight(fvi.elbo, answer):
        free_ones = replace(free_ones, certified=True)
    return Measurement(
        model=model.name,
        fvi=free_ones,
        avi=None
        if avi is None or parameters is None or chosen is None
        else replace(
            amortized_solution(
                elbo, avi, elbos, parameters, function or DEFAULT, chosen, bound, partial
            ),
            refined=refined,
        ),
        latents=bound.latents,
        standard_error=elbos.gap_error,
        methods=elbo.methods,
        log_evidence=answer,
        holdout=None
        if holdout is None or trained is None
        else held_out(trained, holdout, fvi.tables, options),
        provenance=provenance(bound.source, where, seed),
        traces={
            "fvi": thinned(fvi.run.trace),
            **({"avi": thinned(avi.run.trace)} if avi is not None else {}),
        },
        saved=saved(bound, fvi, trained, function, seed, where, factors) if fvi.exists else None,
        summary=summarise(bound, elbo.families, fvi.tables) if fvi.exists else None,
        apply=trained.infer if trained is not None else None,
        truth=lambda: _truth(bound, elbo, fvi),
    )


def _truth(bound: Bound, elbo: Elbo, fvi: Fit) -> Posterior | None:
    exact = exact_marginals(elbo, fvi)
    return None if exact is None else summarise(bound, elbo.families, fvi.tables, exact)


def factorized(elbo: Elbo, seed: int, starts: int | None, options: Options) -> tuple[Fit, Elbo]:
    """F-VI from one start, or from several where optima may multiply."""
    parameters = own_factors(elbo.families)
    if starts is None:
        starts = 1 if parameters.size > SMALL or unique(elbo, parameters) else 4
    tables = [
        starting_tables(elbo, seed + k, 0.05 if k == 0 else 1.0) for k in range(max(starts, 1))
    ]
    return fit(elbo, parameters, tables, options, ascend=True)


def _never_below(elbo: Elbo, fvi: Fit, avi: Fit, options: Options) -> tuple[Fit, Elbo]:
    """F-VI restarted at A-VI's solution, whose factors it contains; the better of the two."""
    parameters = own_factors(elbo.families)
    problem = problem_of(elbo, parameters)
    old = problem.value(parameters.start(fvi.tables))
    new = problem.value(parameters.start(avi.tables))
    if not avi.exists or (elbo.concave and new >= old):
        return fvi, elbo
    again, elbo = fit(elbo, parameters, [avi.tables], options)
    better = again if again.run.value <= old else fvi
    run = replace(
        better.run,
        iterations=fvi.run.iterations + again.run.iterations,
        trace=(*fvi.run.trace, *again.run.trace) if better is again else fvi.run.trace,
    )
    return Fit(
        run,
        better.tables,
        fvi.seconds + again.seconds,
        fvi.starts + 1,
        max(fvi.spread, abs(again.run.value - fvi.run.value)),
        better.note,
    ), elbo


def _fresh(elbo: Elbo, fvi: Fit, avi: Fit | None, seed: int) -> Elbos:
    if not elbo.sampled or not fvi.exists:
        if avi is None:
            return Elbos(fvi.elbo, float("nan"))
        # A-VI's factors belong to F-VI's family, so F-VI is worth at least as much: what is left
        # between the two after the restart is the rounding of a sum.
        return Elbos(max(fvi.elbo, avi.elbo) if avi.exists else fvi.elbo, avi.elbo)
    pairs = []
    with torch.no_grad():
        for k in range(FRESH):
            other = elbo.with_noise(seed + 10_000 + k)
            pairs.append(
                [float(other(f.tables)) if f is not None and f.exists else float("nan")
                 for f in (fvi, avi)]
            )  # fmt: skip
    return Elbos.of(np.asarray(pairs))
