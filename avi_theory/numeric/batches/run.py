"""`measure` for data that do not fit into memory: the same answer, batch by batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
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
from avi_theory.numeric.batches.amortized import NO_RATE, Heads, within_units
from avi_theory.numeric.batches.evidence import evidence_of
from avi_theory.numeric.batches.factorized import Factorized
from avi_theory.numeric.batches.progress import telling
from avi_theory.numeric.batches.shards import Shard, Shards, refined
from avi_theory.numeric.checkpoint import Checkpoint, identity_of
from avi_theory.numeric.elbo import Elbo, elbo_of
from avi_theory.numeric.fit import ROUNDS, Fit, fit
from avi_theory.numeric.functions.registry import split_name
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.measure import FRESH, factorized
from avi_theory.numeric.parameters import Amortized, Parametrisation, amortized
from avi_theory.numeric.partial import Partial
from avi_theory.numeric.posterior import summarise
from avi_theory.numeric.settle import settle
from avi_theory.numeric.shortage import within_memory
from avi_theory.numeric.solve import Options, Run, Status
from avi_theory.numeric.trained import Trained, held_out
from avi_theory.results.measurement import AmortizedSolution, Measurement, Solution
from avi_theory.spec.bound import Bound
from avi_theory.spec.units import Units

PILOT = 500
"""Units, at least, on which starting values are found and the class of functions is fixed."""


def measure_in_batches(
    units: Units,
    *,
    batch: int,
    function: str | None = None,
    inputs: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    window: int | None = None,
    device: str = "cpu",
    dtype: str = "float64",
    factors: Mapping[str, str] | None = None,
    seed: int = 0,
    samples: int = 256,
    tolerance: float = 1e-9,
    iterations: int = 200,
    evidence: bool = True,
    holdout: Units | None = None,
    checkpoint: str | Path | None = None,
    pilot: int | None = None,
    progress: Progress | None = None,
) -> Measurement:
    r"""Fit F-VI and A-VI with at most one batch of units in memory.

    .. math:: \mathrm{ELBO} = G(\nu_\theta) + \sum_{k=1}^{K} E_k(\nu_\theta, \nu_{z \in k})

    Args:
        units: the data.
        batch: how many units are lowered at a time.
        function: any but a table, by name; None with no inputs measures F-VI alone.
        inputs: what the function sees of one unit, for all locals or by local.
        window: instead of inputs, the observations within so many positions.
        device: ``cpu`` or ``cuda``.
        dtype: ``float64`` or ``float32``.
        factors: the kinds of factors of some latents.
        seed: of batches, starts, networks and Monte Carlo.
        samples: Monte Carlo samples for terms without a closed form.
        tolerance: on the gradient norm.
        iterations: of Newton's method, or of L-BFGS for networks.
        evidence: whether to compute log p(x) where the locals of a unit do not interact.
        holdout: units kept from fitting, for the generalization gap.
        checkpoint: a folder from which the same call goes on after an interruption.
        pilot: units on which starting values are found; None for a batch, or 500 if that is more.
        progress: called with (run, iteration, ELBO in nats, gradient norm).

    Returns:
        Both solutions.  The posterior holds the globals; those of the locals come from
        `Measurement.infer`, batch by batch.

    Raises:
        InputError: a model that does not split into these units, an input that reaches beyond
            one, or an option that cannot be used.
        DataError: data that do not fit the model.
        ResourceError: batches too large for this machine.
    """
    if batch < 1:
        raise InputError(f"The batch {batch} must hold at least one unit. Try --batch 10000.")
    if function is not None and split_name(function)[0] == "table":
        raise InputError(
            "A table has a row for every distinct input, which needs all data at once. "
            "Use another function, or measure without batch."
        )
    where = Where(device_named(device), dtype_named(dtype))
    tell = telling(progress)
    with within_memory(units.model.name, len(units), unit=units.letter, batch=batch):
        shards = Shards(units, min(batch, len(units)), where, samples, seed, factors)
        bound = shards.sample(max(batch, PILOT) if pilot is None else pilot)
        chosen = chosen_inputs(bound, inputs, window, function)
        settings = {"function": function, "inputs": chosen, "device": device, "dtype": dtype,
                    "seed": seed, "samples": samples, "tolerance": tolerance, "pilot": pilot,
                    "iterations": iterations, "factors": dict(factors or {}),
                    "batch": batch}  # fmt: skip
        memory = None
        if checkpoint is not None:
            told = {**units.raw.columns, "the units": units.chosen}
            identity = identity_of(units.model, {}, told, settings)
            memory = Checkpoint(checkpoint, identity, device=where.device)
        options = Options(tolerance, iterations, memory=memory)
        small = _piloted(shards, bound, reporting(options, progress, "pilot"))
        fvi_options = reporting(options, progress, "F-VI")
        locals_ = {v.name for v in bound.model.locals}
        families = {n: f for n, f in small.elbo.families.items() if n not in locals_}
        profile = Factorized(shards, families, tolerance, tell)
        theta = torch.cat([where.tensor(np.zeros(0)), profile.globals.start(small.fit.tables)])
        fvi = _settled(shards, profile.run, profile.tables, theta, fvi_options)
        avi = heads = parameters = None
        if chosen is not None and fvi.exists:
            within_units(bound, chosen, units.letter)
            kind, weight = function or DEFAULT, len(units) / bound.units(units.letter)
            parameters = amortized(bound, small.elbo.families, chosen, kind, where, seed=seed)
            heads = Heads(shards, parameters, chosen, kind, weight, tell)
            bounded = replace(reporting(options, progress, "A-VI"), bound=fvi.run.value)
            start = _start(small, parameters, {**small.fit.tables, **fvi.tables}, options)
            avi = _settled(shards, heads.run, heads.tables, start, bounded)
            fvi = _never_below(shards, fvi, avi, profile, heads, fvi_options)
        elbos = _fresh(shards, fvi, avi, profile, heads, seed)
        trained = None
        if avi is not None and parameters is not None and avi.exists:
            kind = function or DEFAULT
            trained = Trained.of(bound, parameters, avi.run.parameters, kind, where, factors)
        answer = {"value": None, "method": "not asked for", "standard_error": None}
        if evidence:
            of_batch = partial(_at, profile, fvi.run.parameters)
            answer = evidence_of(shards, fvi, of_batch).to_dict()
        certain = {"certified": fvi.run.status is Status.converged and shards.concave}
        both = {**fields(small.elbo, fvi, elbos.fvi, elbos.fvi_error, profile.globals), **certain}
        tuning = {"fvi": NO_RATE, "avi": heads.tuning if heads else NO_RATE}
        return Measurement(
            model=units.model.name,
            fvi=Solution(**both),
            avi=None
            if avi is None or parameters is None or chosen is None
            else _amortized(
                small.elbo,
                avi,
                elbos,
                parameters,
                function or DEFAULT,
                chosen,
                bound,
                shards.concave,
            ),
            latents=sum(shards.latents.values()),
            standard_error=elbos.gap_error,
            methods=small.elbo.methods,
            log_evidence=answer,
            holdout=None
            if holdout is None or trained is None
            else _held_out(trained, holdout, batch, fvi.tables, options),
            provenance={
                **provenance(units.raw.source, where, seed),
                "batch": batch,
                "batches": len(shards),
                "tuning": tuning,
            },
            traces={
                "fvi": thinned(fvi.run.trace),
                **({"avi": thinned(avi.run.trace)} if avi is not None else {}),
            },
            saved=saved(bound, fvi, trained, function, seed, where, factors)
            if fvi.exists
            else None,
            summary=summarise(bound, families, fvi.tables) if fvi.exists else None,
            apply=trained.infer if trained is not None else None,
        )


@dataclass(frozen=True, eq=False)
class _Pilot:
    """F-VI on a sample of the units: where to start, and how finely to integrate."""

    elbo: Elbo
    fit: Fit


def _piloted(shards: Shards, bound: Bound, options: Options) -> _Pilot:
    first = elbo_of(
        bound, shards.where, samples=shards.samples, seed=shards.seed, factors=shards.factors
    )
    found, elbo = factorized(first, shards.seed, None, options)
    shards.refined(_levels(first, elbo))
    return _Pilot(elbo, found)


def _start(
    small: _Pilot, parameters: Parametrisation, tables: Mapping[str, Tensor], options: Options
) -> Tensor:
    """A-VI's parameters: polynomials fitted to the pilot's factors, networks trained on them."""
    start = parameters.start(tables)
    if parameters.smooth:
        return start
    trained, _ = fit(small.elbo, parameters, [small.fit.tables], options)
    parts = {n: parameters.part(trained.run.parameters, n) for n in parameters.blocks}
    own = {n: parameters.part(start, n) for n in parameters.blocks}
    chosen = [
        parts[n] if isinstance(b, Amortized) else own[n] for n, b in parameters.blocks.items()
    ]
    return torch.cat(chosen)


def _settled(
    shards: Shards,
    solve: Callable[[Tensor, Options], Run],
    tables: Callable[[Shard, Tensor], Mapping[str, Tensor]],
    start: Tensor,
    options: Options,
) -> Fit:
    """Solve, refine the quadrature where two spacings disagree in any batch, and go on."""
    began = time.perf_counter() + options.spent
    run, note = solve(start, options), ""
    for _ in range(ROUNDS):
        if not math.isfinite(run.value):
            break
        levels: dict[str, int] = {}
        for k in range(len(shards)):
            shard = shards[k]
            finer, trouble = settle(shard.elbo, tables(shard, run.parameters))
            if trouble.fatal:
                run = replace(run, value=math.inf, status=Status.non_integrable, remaining=None)
            note = note if trouble.text in note else trouble.text
            for text, more in _levels(shard.elbo, finer).items():
                levels[text] = max(levels.get(text, 0), shards.levels.get(text, 0) + more)
        if not levels or not math.isfinite(run.value):
            break
        shards.refined(levels)
        run = solve(run.parameters, options)
    with torch.no_grad():
        found = dict(tables(shards[0], run.parameters)) if math.isfinite(run.value) else {}
    shared = {n: t.detach() for n, t in found.items() if n not in shards[0].locals}
    return Fit(run, shared, time.perf_counter() + options.spent - began, note=note)


def _levels(coarse: Elbo, fine: Elbo) -> dict[str, int]:
    """How many times each statement's spacing was halved between two lowered ELBOs."""
    found: dict[str, int] = {}
    for a, b in zip(coarse.factors, fine.factors, strict=True):
        times = 0
        while [i.rule for i in a.integrals] != [i.rule for i in b.integrals]:
            a, times = refined(a, 1), times + 1
        if times:
            found[a.text] = max(found.get(a.text, 0), times)
    return found


def _never_below(
    shards: Shards, fvi: Fit, avi: Fit, profile: Factorized, heads: Heads, options: Options
) -> Fit:
    """F-VI restarted at A-VI's solution where that is the better one."""
    if not avi.exists or avi.run.value >= fvi.run.value - 1e-9 * (1 + abs(fvi.run.value)):
        return fvi
    with torch.no_grad():
        for k in range(len(shards)):
            profile.begin_at(shards[k], heads.tables(shards[k], avi.run.parameters))
    theta = profile.globals.start(avi.tables)
    again = _settled(shards, profile.run, profile.tables, theta, options)
    run = replace(again.run, iterations=fvi.run.iterations + again.run.iterations)
    return replace(again, run=run, seconds=fvi.seconds + again.seconds, starts=2)


def _fresh(
    shards: Shards, fvi: Fit, avi: Fit | None, profile: Factorized, heads: Heads | None, seed: int
) -> Elbos:
    """Both ELBOs; where terms are sampled, evaluated again with fresh common noise."""
    if avi is None or heads is None:
        missing = math.nan
    else:
        missing = avi.elbo
    if not shards[0].elbo.sampled or not fvi.exists:
        top = max(fvi.elbo, missing) if avi is not None and avi.exists else fvi.elbo
        return Elbos(top, missing)
    pairs = []
    for r in range(FRESH):
        other = shards.reseeded(seed + 10_000 + r)
        both = [_value(other, lambda s: profile.tables(s, fvi.run.parameters)), math.nan]
        if avi is not None and avi.exists and heads is not None:
            both[1] = _value(other, lambda s: heads.tables(s, avi.run.parameters))
        pairs.append(both)
    return Elbos.of(np.asarray(pairs))


def _at(profile: Factorized, theta: Tensor, shard: Shard) -> Mapping[str, Tensor]:
    """All tables of one batch at F-VI's solution."""
    return profile.tables(shard, theta)


def _value(shards: Shards, tables: Callable[[Shard], Mapping[str, Tensor]]) -> float:
    with torch.no_grad():
        found = [float(shards[k].own(tables(shards[k]))) for k in range(len(shards))]
        return math.fsum([float(shards[0].shared(tables(shards[0]))), *found])


def _held_out(
    trained: Trained, units: Units, batch: int, tables: Mapping[str, Tensor], options: Options
) -> dict[str, Any]:
    """The gap on held-out units, batch by batch."""
    parts = [
        held_out(trained, units.take(places), tables, options)
        for places in np.array_split(np.arange(len(units)), -(-len(units) // batch))
    ]
    worst = next((p["status"] for p in parts if p["status"] != "converged"), "converged")
    return {
        "gap": math.fsum(p["gap"] for p in parts),
        "latents": sum(p["latents"] for p in parts),
        "status": worst,
    }


def _amortized(
    elbo: Elbo, avi: Fit, elbos: Elbos, parameters: Parametrisation, function: str,
    chosen: Mapping[str, tuple[str, ...]], bound: Bound, concave: bool,
) -> AmortizedSolution:  # fmt: skip
    found = amortized_solution(elbo, avi, elbos, parameters, function, chosen, bound, Partial())
    certified = avi.run.status is Status.converged and concave and parameters.smooth
    return replace(found, certified=certified)
