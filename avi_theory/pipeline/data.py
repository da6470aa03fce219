"""Which data a question is asked of: the user's, the model's own, or simulated ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from avi_theory.errors import InputError
from avi_theory.gallery import data_path
from avi_theory.results.report import Report
from avi_theory.results.simulation import Simulation
from avi_theory.spec.bound import Bound, bind
from avi_theory.spec.columns import own_points
from avi_theory.spec.mapped import mapped
from avi_theory.spec.model import Model
from avi_theory.spec.read import Raw, read
from avi_theory.spec.simulate import simulate_bound
from avi_theory.spec.split import split
from avi_theory.spec.tables import Table
from avi_theory.spec.units import Units, steps


def data_for(model: Model, data: Any) -> Raw | None:
    """The user's data, else the model's own file, else None."""
    if data is not None:
        return read(data)
    path = data_path(model)
    return replace(read(path), source=str(model.data_file)) if path is not None else None


def bound_to_predict(model: Model, data: Any, regime: str | None) -> Bound:
    """Data for a prediction; averaging regimes need only the covariates and the sizes."""
    raw = data_for(model, data)
    if raw is None:
        return bind(model)
    averaging = regime in {"population", "reuse"}
    if averaging and data is None and not _needs_data(model):
        told = bind(model.replace(values=_without_sizes(model)), raw).sizes
        return bind(model.replace(default_sizes={**model.default_sizes, **told}))
    return bind(model, raw, require_data=not averaging)


def _needs_data(model: Model) -> bool:
    """Whether a covariate, a map or a ragged size comes with the data alone."""
    return any(g.value is None and g.name not in model.values for g in model.givens.values())


def _without_sizes(model: Model) -> dict[str, Any]:
    return {k: v for k, v in model.values.items() if k not in model.sizes}


def fitted_and_held(
    model: Model, data: Any, report: Report, holdout: float | None, seed: int
) -> tuple[Bound, Bound | None]:
    """The data to fit, and those held out: units of a plate at random, the end of a series."""
    raw = data_for(model, data)
    if holdout is None:
        if raw is not None:
            return bind(model, raw, require_data=True), None
        return simulate_bound(bind(model), seed=seed).bound, None
    if raw is None:
        raw = Raw(simulate(model, seed=seed).data, False, f"simulated with seed {seed}")
    if report.unit and not steps(model, report.unit[0]):
        parts = Units.of(model, raw, report.unit[0]).split(holdout, seed)
        first, last = (p.take(np.arange(len(p))) for p in parts)
        return first, last
    fitted, held = split(model, raw, holdout)
    resized = model.replace(values=_without_sizes(model))
    return bind(resized, fitted, require_data=True), bind(resized, held, require_data=True)


def in_units(
    model: Model, data: Any, report: Report, holdout: float | None, seed: int
) -> tuple[Units, Units | None]:
    """The data by unit, on the disk where their format allows it, and the units held out.

    Raises:
        InputError: a model that does not split into units given its globals.
    """
    if not report.unit:
        raise InputError(
            f"{model.name} cannot be measured in batches: given its globals it does not split into "
            "units, so any batch would cut through what belongs together. Measure without batch."
        )
    source = data if data is not None else data_path(model)
    if source is not None:
        raw = mapped(source)
    else:
        raw = Raw(simulate(model, seed=seed).data, False, f"simulated with seed {seed}")
    units = Units.of(model, raw, report.unit[0])
    return units.split(holdout, seed) if holdout is not None else (units, None)


def simulate(model: Model, *, seed: int = 0) -> Simulation:
    """Draw latents and data from the model's prior.

    Raises:
        InputError: an improper prior that is not set, a size that nothing tells, a network.
    """
    raw = data_for(model, None)
    covariates = None
    if raw is not None:
        kept = {k: v for k, v in raw.columns.items() if k not in model.variables}
        covariates = Raw(kept, raw.is_frame, raw.source) if set(kept) & set(model.givens) else None
    draw = simulate_bound(bind(model, covariates), seed=seed)
    tables = draw.bound.tables
    data = {
        name: _by_shape(model, name, values, tables.get(name))
        for name, values in draw.bound.known.items()
        if name in model.variables or (name in model.givens and model.givens[name].value is None)
    }
    latents = {n: _by_shape(model, n, values, tables[n]) for n, values in draw.latents.items()}
    return Simulation(model.name, data, latents, dict(draw.bound.sizes), seed)


def _by_shape(model: Model, name: str, values: np.ndarray, table: Table | None) -> np.ndarray:
    """Values at a table's points as an array over its index box (NaN where there is no point)."""
    if table is None or not table.letters:
        return np.asarray(values[0] if table is not None else values)
    own = own_points(model, model.variables.get(name) or model.givens[name], table)
    points = table.points[own] - table.points[own].min(0)
    box = np.full((*(points.max(0) + 1), *np.shape(values)[1:]), np.nan)
    box[tuple(points.T)] = values[own]
    return box
