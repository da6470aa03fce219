"""Fits as the results that users see and save."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric.asked import DEFAULT
from avi_theory.numeric.certificate import unique
from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.fit import Fit
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.parameters import Amortized, Parametrisation
from avi_theory.numeric.partial import Partial
from avi_theory.numeric.solve import Status
from avi_theory.numeric.trained import Trained
from avi_theory.results.measurement import AmortizedSolution, Saved
from avi_theory.spec.bound import Bound

TRACE = 400


@dataclass(frozen=True)
class Elbos:
    """ELBOs re-evaluated with fresh common noise, and their standard errors."""

    fvi: float
    avi: float
    fvi_error: float = 0.0
    avi_error: float = 0.0
    gap_error: float = 0.0

    @classmethod
    def of(cls, pairs: np.ndarray) -> Elbos:
        """From evaluations ``[R, 2]`` of both, each row with noise of its own."""
        mean, error = pairs.mean(0), pairs.std(0, ddof=1) / np.sqrt(len(pairs))
        gap = float((pairs[:, 0] - pairs[:, 1]).std(ddof=1) / np.sqrt(len(pairs)))
        gap = gap if np.isfinite(gap) else 0.0
        return cls(float(mean[0]), float(mean[1]), float(error[0]), float(error[1]), gap)


def _number(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def fields(
    elbo: Elbo, found: Fit, value: float, error: float, parameters: Parametrisation
) -> dict[str, Any]:
    """What a `Solution` says of a fit, whose ELBO was evaluated again as `value` ± `error`."""
    run = found.run
    converged = run.status is Status.converged
    return {
        "elbo": _number(value) if found.exists else None,
        "status": run.status.name,
        "gradient_norm": _number(run.gradient_norm),
        "iterations": run.iterations,
        "seconds": found.seconds,
        "message": " ".join(x for x in (run.why or run.status.message, found.note) if x),
        "remaining": _number(run.remaining),
        "certified": converged and unique(elbo, parameters),
        "standard_error": _number(error) or 0.0,
        "starts": found.starts,
        "spread": found.spread,
    }


def amortized_solution(
    elbo: Elbo,
    found: Fit,
    elbos: Elbos,
    parameters: Parametrisation,
    function: str,
    inputs: Mapping[str, tuple[str, ...]],
    bound: Bound,
    partial: Partial,
) -> AmortizedSolution:
    """A-VI's solution."""
    edges = [
        bound.tables[name].label(int(k))
        for name, block in parameters.blocks.items()
        if isinstance(block, Amortized)
        for k in block.edge_points
        if name not in partial.masks or not partial.masks[name][k]
    ]
    received = {
        name: tuple(f"q({text})" for text, _, _ in partial.near[name])
        for name in parameters.couplings
    }
    inputs = {name: (*texts, *received.get(name, ())) for name, texts in inputs.items()}
    return AmortizedSolution(
        **fields(elbo, found, elbos.avi, elbos.avi_error, parameters),
        function=function,
        inputs=tuple(sorted({t for texts in inputs.values() for t in texts})),
        inputs_by_local=dict(inputs),
        edges=tuple(edges),
        free=partial.labels(bound),
    )


def thinned(trace: tuple[float, ...]) -> tuple[float, ...]:
    """At most `TRACE` values, the first and the last kept."""
    if len(trace) <= TRACE:
        return trace
    chosen = np.unique(np.linspace(0, len(trace) - 1, TRACE).round().astype(int))
    return tuple(trace[k] for k in chosen)


def provenance(source: str, where: Where, seed: int) -> dict[str, Any]:
    """Where the numbers come from."""
    import avi_theory

    return {
        "seed": seed,
        "device": str(where.device),
        "dtype": str(where.dtype).removeprefix("torch."),
        "data": source,
        "versions": {
            "avi_theory": avi_theory.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _arrays(tables: Mapping[str, Tensor], prefix: str) -> dict[str, np.ndarray]:
    return {f"{prefix}.{k}": v.detach().cpu().numpy() for k, v in tables.items()}


def saved(
    bound: Bound,
    fvi: Fit,
    trained: Trained | None,
    function: str | None,
    seed: int,
    where: Where,
    factors: Mapping[str, str] | None,
) -> Saved:
    """What `Measurement.save` is to keep."""
    arrays = _arrays(fvi.tables, "fvi")
    recipe: dict[str, Any] = {
        "text": bound.model.text,
        "name": bound.model.name,
        "values": {k: np.asarray(v).tolist() for k, v in bound.model.values.items()},
        "sizes": dict(bound.sizes),
        "dtype": str(where.dtype).removeprefix("torch."),
        "seed": seed,
        "factors": dict(factors or {}),
    }
    if trained is not None:
        arrays |= trained.arrays()
        recipe["function"] = function or DEFAULT
        recipe["inputs"] = {k: list(v) for k, v in trained.texts.items()}
    for g in bound.model.givens.values():
        if g.axes and g.value is None and g.name in bound.known:
            arrays[f"known.{g.name}"] = by_shape(bound, g.name)
    return Saved(arrays, recipe)


def by_shape(bound: Bound, name: str) -> np.ndarray:
    """A covariate's values over its index box, as data by shape are given."""
    table = bound.tables[name]
    box = np.full(table.box.shape, np.nan)
    box[tuple((table.points - np.asarray(table.low, np.int64)).T)] = bound.known[name]
    return box
