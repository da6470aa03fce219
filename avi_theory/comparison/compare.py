"""`compare`: the one place that sees both a prediction and a measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from avi_theory.comparison.ladder import Evidence, Known, generalization, ladder
from avi_theory.comparison.outcome import Run, judge
from avi_theory.errors import InputError
from avi_theory.results.comparison import Amortization, Comparison, Rung

if TYPE_CHECKING:
    from avi_theory.results.measurement import Measurement, Solution
    from avi_theory.results.prediction import Prediction
    from avi_theory.results.report import Report


@dataclass(frozen=True)
class Predictions:
    """What theory says about one choice of inputs and function.

    Attributes:
        of_class: the dataset regime for exactly the function class that was fitted.
        of_inputs: the dataset regime for all functions of the inputs, the conditioning gap.
        population: the population regime for all functions of the inputs, or None.
    """

    of_class: Prediction
    of_inputs: Prediction
    population: Prediction | None = None


def compare(report: Report, predictions: Predictions, measurement: Measurement) -> Comparison:
    """Set a measurement beside its predictions.

    Args:
        report: the verdict on the model.
        predictions: by theory, for the measured data, inputs and function.
        measurement: F-VI and A-VI, fitted on one objective.

    Returns:
        The ladder of gaps (nats), and the outcome.

    Raises:
        InputError: a measurement without A-VI.
    """
    if measurement.avi is None:
        raise InputError(
            f"The measurement of {measurement.model} holds no A-VI, so there is nothing to compare."
            " Measure again with a function."
        )
    fvi, avi = _run(measurement.fvi), _run(measurement.avi)
    error, of_class = measurement.standard_error, predictions.of_class
    gap = fvi.elbo - avi.elbo
    gaps = ladder(
        fvi,
        avi,
        evidence=_evidence(measurement.log_evidence),
        conditioning=_known(predictions.of_inputs),
        of_class=_known(of_class),
        class_name=measurement.avi.function,
        standard_error=error,
        by_theory=predictions.of_inputs.approximation_gap,
        remark=population_remark(report, predictions.population, measurement.avi.inputs),
    )
    outcome = judge(
        fvi,
        avi,
        of_class.gap,
        of_class.kind,
        latents=measurement.latents,
        standard_error=error,
    )
    return Comparison(
        model=measurement.model,
        fvi=measurement.fvi.to_dict(),
        avi=measurement.avi.to_dict(),
        gaps={**gaps, "generalization": _generalization(measurement, gap)},
        amortization=Amortization(
            gap if math.isfinite(gap) else None, error, of_class.gap, of_class.kind, outcome
        ),
        log_evidence=dict(measurement.log_evidence),
        provenance=dict(measurement.provenance),
        measurement=measurement,
    )


def _known(prediction: Prediction) -> Known:
    """A prediction's gap, with the words that go into a rung's ``how``."""
    if prediction.kind == "none" or prediction.gap is None:
        reason = "; ".join(prediction.assumptions) or "theory has no number here"
        return Known(None, "none", reason)
    return Known(float(prediction.gap), prediction.kind, _words(prediction))


def _words(prediction: Prediction) -> str:
    where = "on this data set" if prediction.regime == "dataset" else f"{prediction.regime} value"
    source = f" ({prediction.reference})" if prediction.reference else ""
    return f"best of all functions of {', '.join(prediction.inputs) or 'nothing'} {where}{source}"


def population_remark(
    report: Report, population: Prediction | None, inputs: tuple[str, ...] | list[str]
) -> str:
    """What the conditioning gap is in the population: what "cannot be closed" speaks of."""
    if population is not None and population.kind != "none" and population.gap is not None:
        sign = {"upper": "at most ", "lower": "at least "}.get(population.kind, "")
        per_latent = population.gap / max(population.latents, 1)
        return f"population value: {sign}{population.gap:.6g} nats, {per_latent:.6g} per latent"
    needed = {name for local in report.locals.values() for name in local.inputs}
    if report.closes in {"own", "inputs", "component"} and needed <= set(inputs):
        return "population value: 0, since the model closes with these inputs"
    return "population value: not known"


def _run(solution: Solution) -> Run:
    return Run(
        math.nan if solution.elbo is None else solution.elbo,
        solution.remaining,
        solution.certified and solution.status == "converged",
    )


def _evidence(found: Mapping[str, Any]) -> Evidence:
    return Evidence(found["value"], str(found["method"]), float(found["standard_error"] or 0.0))


def _generalization(measurement: Measurement, fitted: float) -> Rung:
    held = measurement.holdout
    if not held:
        return Rung.unknown("no data were held out; --holdout FRACTION measures it")
    if held.get("gap") is None or not math.isfinite(fitted):
        return Rung.unknown(str(held.get("reason") or "a gap could not be measured"))
    return generalization(fitted, float(held["gap"]), (measurement.latents, int(held["latents"])))
