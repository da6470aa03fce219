"""The verbs, wired: which data, which inputs and which function a question is asked with.

Only here does the verdict of `check` choose defaults for the others; `predict` and `measure`
never see each other, and `compare` sees what both return.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from avi_theory.errors import InputError
from avi_theory.gallery import data_path
from avi_theory.results.prediction import Prediction
from avi_theory.results.report import Report
from avi_theory.results.simulation import Simulation
from avi_theory.spec.bound import Bound, bind
from avi_theory.spec.columns import own_points
from avi_theory.spec.model import Model
from avi_theory.spec.read import Raw, read
from avi_theory.spec.simulate import simulate_bound
from avi_theory.spec.tables import Table

if TYPE_CHECKING:
    from avi_theory.results.comparison import Comparison
    from avi_theory.results.measurement import Measurement

Inputs = str | Sequence[str] | None
DEFAULT_WINDOW = 1
"""For a model that no bounded inputs close: the observation, its neighbours, and nothing more."""
DEFAULT_NETWORK = "mlp:32x32"


def check(model: Model, *, witness: bool = True) -> Report:
    """Can one inference function attain F-VI's ELBO on every data set?

    See `avi_theory.conditions.check`.
    """
    from avi_theory.conditions import check as decide

    return decide(model, witness=witness)


@dataclass(frozen=True)
class Choice:
    """What the inference function is given, and what it is.

    Attributes:
        inputs: named inputs, or None where `window` says them.
        window: the half-width, or None.
        function: the class.
        remark: why this choice, where the verdict alone did not make it.
    """

    inputs: tuple[str, ...] | None
    window: int | None
    function: str
    remark: str = ""


def choose(
    model: Model, report: Report, inputs: Inputs, window: int | None, function: str | None
) -> Choice:
    """The user's inputs and function, completed by the verdict's.

    Without a choice of inputs a closing model gets its own sufficient inputs; one that does not
    close gets a window of one neighbour on each side, since whole arrays are no usable input.

    Raises:
        InputError: both inputs and a window.
    """
    if inputs is not None and window is not None:
        raise InputError("--inputs and --window exclude each other. Give one of them.")
    listed = _listed(inputs)
    remark = ""
    if listed is None and window is None:
        whole = any(
            set(i.partition("[")[2]) <= set(":,]") and "[" in i
            for local in report.locals.values()
            for i in local.inputs
        )
        if report.closes == "no" or whole:
            window = DEFAULT_WINDOW
            remark = (
                "no bounded inputs close this model; the window of one neighbour on each side is "
                "this package's default (--window K widens it)"
            )
        else:
            listed = tuple(sorted({i for local in report.locals.values() for i in local.inputs}))
    return Choice(listed, window, function or _default_function(model, report), remark)


def _listed(inputs: Inputs) -> tuple[str, ...] | None:
    if inputs is None:
        return None
    if isinstance(inputs, str):
        return split_inputs(inputs)
    return tuple(inputs)


def split_inputs(text: str) -> tuple[str, ...]:
    """Comma-separated inputs, commas inside brackets kept: ``y[g,:],s[g]``.

    Example:
        >>> split_inputs("y[g,:], s[g]")
        ('y[g,:]', 's[g]')
    """
    parts, depth, current = [], 0, ""
    for c in text:
        depth += (c in "[(") - (c in "])")
        if c == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += c
    return tuple(p.strip() for p in [*parts, current] if p.strip())


def _default_function(model: Model, report: Report) -> str:
    """The optimal factor's class where it holds for all inputs, else a small network.

    The class speaks of observations at given covariates: with a covariate among the inputs only a
    general function will do.
    """
    observed = {v.name for v in model.observed}
    names = {i.partition("[")[0] for local in report.locals.values() for i in local.inputs}
    if not names <= observed:
        return DEFAULT_NETWORK
    classes = {
        local.optimal_factor.function_class if local.optimal_factor else "none"
        for local in report.locals.values()
    }
    only = next(iter(classes)) if len(classes) == 1 else "none"
    known = only in {"constant", "affine"} or only.startswith("polynomial")
    return only if known else DEFAULT_NETWORK


def data_for(model: Model, data: Any) -> Raw | None:
    """The user's data, else the model's own file, else None."""
    if data is not None:
        return read(data)
    path = data_path(model)
    return read(path) if path is not None else None


def bound_for(model: Model, data: Any, *, seed: int = 0, simulate_missing: bool) -> Bound:
    """A model with its data; simulated at `seed` where there are none and that is allowed."""
    raw = data_for(model, data)
    if raw is not None:
        return bind(model, raw, require_data=True)
    bound = bind(model)
    return simulate_bound(bound, seed=seed).bound if simulate_missing else bound


def predict(
    model: Model,
    data: Any = None,
    *,
    regime: str | None = None,
    window: int | None = None,
    inputs: Inputs = None,
    function: str = "any",
    sharing: str = "shared",
) -> Prediction:
    """The amortization gap by theory, in nats, where mathematics gives it.

    See `avi_theory.theory.predict`.  Defaults: the dataset regime where there are data, else the
    population; the inputs of the verdict; all functions; one shared function.

    Raises:
        InputError: an unknown regime, function or input, or a window wider than the series.
        DataError: data that do not fit the model.
    """
    report = check(model, witness=False)
    choice = choose(model, report, inputs, window, function)
    bound = _bound_to_predict(model, data, regime)
    return _predict(bound, report, choice, regime=regime, function=function, sharing=sharing)


def _bound_to_predict(model: Model, data: Any, regime: str | None) -> Bound:
    """Data for a prediction; averaging regimes need only the covariates and the sizes."""
    raw = data_for(model, data)
    if raw is None:
        return bind(model)
    if (
        regime in {"population", "reuse"}
        and data is None
        and not set(raw.columns) & set(model.givens)
    ):
        told = bind(model.replace(values=_without_sizes(model)), raw).sizes
        return bind(model.replace(default_sizes={**model.default_sizes, **told}))
    return bind(model, raw, require_data=regime not in {"population", "reuse"})


def _without_sizes(model: Model) -> dict[str, Any]:
    return {k: v for k, v in model.values.items() if k not in model.sizes}


def _predict(
    bound: Bound,
    report: Report,
    choice: Choice,
    *,
    regime: str | None,
    function: str,
    sharing: str = "shared",
) -> Prediction:
    from avi_theory.theory import predict as foretell

    found = foretell(
        bound,
        regime=regime,
        inputs=choice.inputs,
        window=choice.window,
        function=function,
        sharing=sharing,
        verdict=report.to_dict(),
    )
    extra = (choice.remark,) if choice.remark else ()
    return replace(found, assumptions=(*found.assumptions, *extra))


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
