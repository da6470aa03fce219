"""The verbs: check, predict, measure, compare.

`predict` and `measure` never see each other; `compare` sees what both return.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avi_theory.errors import InputError
from avi_theory.pipeline.choice import Choice, Inputs, choose, is_closed_class
from avi_theory.pipeline.cover import Free, free_members, ties_of
from avi_theory.pipeline.data import bound_to_predict, fitted_and_held, in_units
from avi_theory.results.prediction import Prediction
from avi_theory.results.report import Report
from avi_theory.spec.bound import Bound
from avi_theory.spec.model import Model
from avi_theory.spec.units import Units

if TYPE_CHECKING:
    from avi_theory.results.comparison import Comparison
    from avi_theory.results.measurement import Measurement

Progress = Callable[[str, int, float, float], None]
Factors = Mapping[str, str] | None


def check(model: Model, *, witness: bool = True) -> Report:
    """Can one inference function attain F-VI's ELBO on every data set?

    See `avi_theory.conditions.check`.
    """
    from avi_theory.conditions import check as decide

    return decide(model, witness=witness)


def predict(
    model: Model,
    data: Any = None,
    *,
    regime: str | None = None,
    window: int | None = None,
    inputs: Inputs = None,
    function: str = "any",
    sharing: str = "shared",
    factors: Factors = None,
) -> Prediction:
    """The amortization gap by theory, in nats, where mathematics gives it.

    See `avi_theory.theory.predict`.  Defaults: the dataset regime where there are data, else the
    population; the inputs of the verdict; all functions; one shared function; the factors that
    `measure` uses.

    Raises:
        InputError: an unknown regime, function or input, or a window wider than the series.
        DataError: data that do not fit the model.
    """
    report = check(model, witness=False)
    choice = choose(model, report, inputs, window, function, factors)
    bound = bound_to_predict(model, data, regime)
    choice = choice.within(bound)
    return predict_bound(bound, report, choice, regime=regime, function=function, sharing=sharing)


def predict_bound(
    bound: Bound,
    report: Report,
    choice: Choice,
    *,
    regime: str | None,
    function: str,
    sharing: str = "shared",
) -> Prediction:
    """`predict` for a bound model whose verdict and inputs are settled."""
    from avi_theory.theory import predict as foretell

    found = foretell(
        bound,
        regime=regime,
        inputs=choice.inputs,
        window=choice.window,
        function=function,
        sharing=sharing,
        verdict=report.to_dict(),
        factors=choice.factors,
    )
    extra = (choice.remark,) if choice.remark else ()
    return replace(found, assumptions=(*found.assumptions, *extra))


def measure(
    model: Model,
    data: Any = None,
    *,
    function: str | None = None,
    inputs: Inputs = None,
    window: int | None = None,
    holdout: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
    refine: int = 0,
    free: Free = None,
    batch: int | None = None,
    checkpoint: str | Path | None = None,
    factors: Factors = None,
    progress: Progress | None = None,
) -> Measurement:
    """Fit factorized and amortized inference on one objective, with certificates.

    See `avi_theory.numeric.measure`.  Inputs and function default to the verdict's; without data
    the model's own are used, else data simulated at `seed`.

    Args:
        model: the declaration.
        data: a path, a mapping of arrays, or a data frame.
        function: constant, affine, polynomial:D, table, mlp:32x32, set:32, recurrent:16,
            attention:16x16, conv:2:16x16, hyper:16x16 or gp:32.
        inputs: what the function sees.
        window: instead of inputs, the observations within so many positions.
        holdout: the fraction of units kept from fitting, for the generalization gap.
        seed: of simulation, starts, networks and Monte Carlo.
        device: cpu or cuda.
        dtype: float64 or float32.
        refine: steps of F-VI's solver from A-VI's solution, the gap after each (`avi.refined`).
        free: locals that keep factors of their own, as `free_members` reads them: ``cover``, or
            ``z[t] at t mod 2 = 0``, or ``{"z": [2, 4, 6]}``.
        batch: how many units to hold in memory at once, for data too large to be measured as one;
            NPZ, NPY and Parquet files are then read from the disk as they are needed.
        checkpoint: a folder from which the same call goes on after an interruption.
        factors: the kinds of factors of some latents, ``{"z": "gamma"}``: normal, full (a Normal
            with all covariances, of a vector or of latents at equal points, ``{"a,b": "full"}``),
            lognormal, gamma, inversegamma, logitnormal, beta, dirichlet, categorical, or point (a
            global without spread).  The others have the family of the optimal factor where `check`
            names it, else the one that goes with their support.
        progress: called with (run, iteration, ELBO, gradient norm).

    Raises:
        InputError: an option, input or function that cannot be used.
        DataError: data that do not fit the model.
        DeviceError: a device that this machine does not have.
        ResourceError: not enough memory.
    """
    report = check(model, witness=False)
    choice = choose(model, report, inputs, window, function, factors)
    left = free_members(model, free)
    if left and choice.default:  # given the free ones, the others need their own observations
        choice = replace(choice, window=0, remark="")
    settings: dict[str, Any] = {
        "seed": seed, "device": device, "dtype": dtype, "checkpoint": checkpoint,
        "progress": progress,
    }  # fmt: skip
    if batch is not None:
        if left:
            raise InputError("--free and --batch exclude each other. Give one of them.")
        units, kept = in_units(model, data, report, holdout, seed)
        return _in_batches(units, choice, kept, batch, refine, **settings)
    bound, held = fitted_and_held(model, data, report, holdout, seed)
    choice = choice.within(bound)
    return _measure(
        bound, choice, held, report.unit, refine=refine, free=left, ties=ties_of(report),
        **settings,
    )  # fmt: skip


def _measure(
    bound: Bound, choice: Choice, held: Bound | None, unit: tuple[str, ...], **settings: Any
) -> Measurement:
    from avi_theory.numeric import measure as fit
    from avi_theory.numeric import within_memory

    if bound.model.networks:
        return _autoencoder(bound, choice, held, **settings)
    letter = unit[0] if unit else ""
    count = bound.units(letter) if unit else bound.latents
    with within_memory(bound.model.name, count, unit=letter):
        return fit(
            bound.model,
            bound,
            function=choice.function,
            inputs=choice.inputs,
            window=choice.window,
            factors=choice.factors,
            holdout=held,
            **settings,
        )


def _autoencoder(bound: Bound, choice: Choice, held: Bound | None, **settings: Any) -> Measurement:
    """A model with a network, by the laboratory for autoencoders."""
    from avi_theory.vae.measure import measure_declared

    asked = {
        "--refine": settings["refine"], "--free": settings.get("free"),
        "--factor": choice.factors, "--dtype": settings["dtype"] not in ("float64", "float32"),
    }  # fmt: skip
    for option, value in asked.items():
        if value:
            raise InputError(
                f"{bound.model.name} has a network, and {option} is not for autoencoders. "
                "Leave it out."
            )
    kept = {k: settings[k] for k in ("seed", "device", "checkpoint", "progress")}
    return measure_declared(bound, function=choice.function or "mlp:64x64", holdout=held, **kept)


def _in_batches(
    units: Units, choice: Choice, held: Units | None, batch: int, refine: int, **settings: Any
) -> Measurement:
    from avi_theory.numeric import measure_in_batches

    if refine:
        raise InputError("--refine and --batch exclude each other. Give one of them.")
    return measure_in_batches(
        units,
        batch=batch,
        function=choice.function,
        inputs=choice.inputs,
        window=choice.window,
        factors=choice.factors,
        holdout=held,
        **settings,
    )


def compare(
    model: Model,
    data: Any = None,
    *,
    function: str | None = None,
    inputs: Inputs = None,
    window: int | None = None,
    holdout: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float64",
    refine: int = 0,
    batch: int | None = None,
    checkpoint: str | Path | None = None,
    factors: Factors = None,
    progress: Progress | None = None,
) -> Comparison:
    """Check, predict and measure one model on one data set, and set them side by side.

    Arguments, defaults and errors are those of `measure`.  The prediction speaks of exactly the
    function class, inputs and data that are measured.

    Returns:
        The ladder of gaps (nats), and whether theory and measurement agree.
    """
    from avi_theory.comparison import Predictions
    from avi_theory.comparison import compare as set_side_by_side

    report = check(model, witness=False)
    choice = choose(model, report, inputs, window, function, factors)
    settings: dict[str, Any] = {
        "seed": seed, "device": device, "dtype": dtype, "refine": refine,
        "checkpoint": checkpoint, "progress": progress,
    }  # fmt: skip
    if batch is None:
        bound, held = fitted_and_held(model, data, report, holdout, seed)
    else:
        units, kept = in_units(model, data, report, holdout, seed)
        bound = units.take(np.arange(len(units)))
    choice = choice.within(bound)
    of_inputs = predict_bound(bound, report, choice, regime="dataset", function="any")
    of_class = _of_class(bound, report, choice, of_inputs)
    population = predict_bound(bound, report, choice, regime="population", function="any")
    if batch is None:
        measurement = _measure(bound, choice, held, report.unit, **settings)
    else:
        measurement = _in_batches(units, choice, kept, batch, **settings)
    return set_side_by_side(report, Predictions(of_class, of_inputs, population), measurement)


def _of_class(bound: Bound, report: Report, choice: Choice, of_inputs: Prediction) -> Prediction:
    """The gap of the best function of the class that is fitted."""
    if choice.function == "table" and of_inputs.kind != "none":
        return replace(of_inputs, function="table")  # a table of the inputs is any function of them
    if not is_closed_class(choice.function):
        return _floor(of_inputs, choice.function)
    found = predict_bound(bound, report, choice, regime="dataset", function=choice.function)
    if found.kind == "none" and choice.sufficient:
        holds = f"the optimal factor is itself {choice.function} in these inputs"
        return replace(
            of_inputs, function=choice.function, assumptions=(*of_inputs.assumptions, holds)
        )
    return _floor(found, choice.function) if found.kind == "none" else found


def _floor(of_inputs: Prediction, function: str) -> Prediction:
    """What the best of all functions loses bounds the loss of a network from below."""
    if of_inputs.kind in {"exact", "lower"}:
        return replace(of_inputs, kind="lower", function=function)
    return replace(
        of_inputs,
        kind="lower",
        function=function,
        gap=0.0,
        gap_per_latent=0.0,
        assumptions=(*of_inputs.assumptions, "No function can beat F-VI's optimum."),
    )
