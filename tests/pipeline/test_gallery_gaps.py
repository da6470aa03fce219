"""Every gallery model, found by itself: the predicted gap against two independent fits.

Exact predictions equal the measurement, bounds hold, and a missing number has its reason.  Small
sizes always; the models' own sizes with the long tests.  In the averaging regimes predictions are
held to data sets drawn from the model: to very many at once, and to what no single one can exceed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avi_theory import Model, gallery_names, load
from avi_theory.conditions.advice.replicate import replicated
from avi_theory.pipeline import check, choose
from avi_theory.pipeline.data import bound_to_predict, fitted_and_held
from avi_theory.pipeline.verbs import _measure, predict_bound
from avi_theory.spec.bound import bind
from avi_theory.spec.inputs import for_locals, resolve
from avi_theory.spec.simulate import simulate_bound
from avi_theory.theory import predict as foretell
from avi_theory.theory.features import columns
from avi_theory.theory.predict import ask

SMALL = {"N": 12, "T": 12, "G": 5, "I": 4, "J": 4}
OWN = {"linear": {"N": 500}}
"""Models whose own size adds nothing but time."""
SLOW = {"item_response", "poisson_exposure", "mixture", "pupils", "varieties"}
"""Too slow to fit even when small, for every push: they run with the long tests."""


def runs(name):
    model = load(name)
    return "Check and show only" not in model.about and not model.networks


def small(name):
    """The model with its sizes capped, as far as its data let them be."""
    model = load(name)
    for size, most in SMALL.items():
        if size not in model.sizes:
            continue
        try:
            shrunk = model.with_values(**{size: most})
            fitted_and_held(shrunk, None, check(shrunk, witness=False), None, 0)
        except Exception:
            continue
        model = shrunk
    return model


def fitted(model, function):
    """The prediction for a function class on the data, and the fits of both families."""
    report = check(model, witness=False)
    bound, _ = fitted_and_held(model, None, report, None, 0)
    choice = choose(model, report, None, None, function).within(bound)
    found = predict_bound(bound, report, choice, regime="dataset", function=function)
    return found, _measure(bound, choice, None, report.unit)


def hold_together(found, run):
    """Whether the measured gap respects the prediction, to the fits' accuracy."""
    gap = run.fvi.elbo - run.avi.elbo
    slack = 1e-6 * (1 + abs(run.fvi.elbo))
    assert run.fvi.status == "converged" and run.avi.status == "converged"
    assert gap >= -slack
    if found.kind == "none":
        assert found.gap is None and found.assumptions
        return gap
    if found.kind in {"exact", "upper"}:
        assert gap <= found.gap + slack, found
    if found.kind in {"exact", "lower"}:
        assert gap >= found.gap - slack, found
    return gap


NAMES = [n for n in gallery_names() if runs(n)]


@pytest.mark.parametrize("function", ["constant", "affine"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long) if n in SLOW else n for n in NAMES]
)
def test_small_gallery_models_keep_the_prediction(name, function):
    hold_together(*fitted(small(name), function))


@pytest.mark.long
@pytest.mark.parametrize("function", ["constant", "affine"])
@pytest.mark.parametrize("name", NAMES)
def test_gallery_models_keep_the_prediction(name, function):
    hold_together(*fitted(load(name).with_values(**OWN.get(name, {})), function))


@pytest.mark.parametrize(
    ("name", "function"), [("eight_schools", "constant"), ("strikes", "affine")]
)
def test_bounds_are_tight_somewhere(name, function):
    found, run = fitted(load(name), function)
    gap = hold_together(found, run)
    assert found.kind == "upper"
    assert found.gap <= 2 * gap + 1e-6


SETS = 300
"""Data sets drawn to meet an expectation."""
DRAWN = {"coagulation", "eight_schools", "item_response", "lattice", "logistic_groups", "newcomb",
         "poisson_exposure", "stochastic_volatility", "strikes"}  # fmt: skip
"""Answered from drawn data sets, or slowly: with the long tests."""


def averaged(model, regime, function, window=None):
    """The prediction, at the verdict's inputs."""
    report = check(model, witness=False)
    bound = bound_to_predict(model, None, regime)
    closes = report.closes != "no"
    choice = choose(model, report, None, None if closes else window, function).within(bound)
    found = predict_bound(bound, report, choice, regime=regime, function=function)
    return bound, report.to_dict(), found


def complete(bound, inputs):
    """Whether every latent has all inputs, so that none has a function of its own."""
    named = for_locals(bound, inputs)
    shown = [columns(bound, v, resolve(bound, v, named[v.name])) for v in bound.model.locals]
    return all(np.all(c.complete) for c in shown)


def at_theta(bound):
    """The model with its globals set to where population data are drawn, improper ones to 0.7."""
    question = ask(
        bound, regime="population", inputs=(), window=None, function="constant", sharing="shared",
        verdict=None,
    )  # fmt: skip
    theta, values, start = question.theta(0.7), dict(bound.model.values), 0
    for v in bound.model.globals:
        size = bound.tables[v.name].size
        own = theta[start : start + size]
        values[v.name] = own if v.axes else float(own[0])
        start += size
    return replace(bound, model=bound.model.replace(values=values))


def alone(name):
    """Whether data sets have nothing in common: no globals, covariates or networks."""
    model = load(name)
    covariates = any(g.value is None for g in model.givens.values())
    return not (model.globals or model.networks or model.potentials or covariates)


@pytest.mark.parametrize("function", ["constant", "affine"])
@pytest.mark.parametrize("name", [n for n in NAMES if alone(n)])
def test_many_drawn_data_sets_together_have_the_expected_gap(name, function):
    """One function for all of 300 data sets loses 300 times the population's gap, to 15 %."""
    model = small(name)
    window = 0 if function == "affine" else None
    _, _, found = averaged(model, "population", function, window)
    if found.kind != "exact":
        return
    letter, text = replicated(model)
    many = Model(text, **{**model.default_sizes, **model.values, letter.upper(): SETS})
    drawn = simulate_bound(bind(many), seed=1).bound
    inputs = [i.replace("[", f"[{letter},") for i in found.inputs]
    if not complete(drawn, inputs):
        return
    verdict = check(many, witness=False).to_dict()
    once = foretell(drawn, regime="dataset", inputs=inputs, function=function, verdict=verdict)
    assert once.kind == "exact"
    assert once.gap / SETS == pytest.approx(found.gap, rel=0.15, abs=1e-6)


@pytest.mark.parametrize("regime", ["population", "reuse"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.long) if n in DRAWN else n
        for n in NAMES
        if not alone(n) and not load(n).potentials  # data sets of a potential cannot be drawn
    ],
)
def test_no_average_is_below_what_single_data_sets_lose_on_average(name, regime):
    """E min over f is at most min over f of E: an exact zero is a zero on every data set."""
    model = small(name)
    for function in ("constant", "affine"):
        bound, verdict, found = averaged(model, regime, function)
        if found.kind == "none":
            assert found.gap is None and found.assumptions
            continue
        source, gaps = at_theta(bound) if regime == "population" else bound, []
        for seed in range(6):
            drawn = replace(simulate_bound(source, seed=seed).bound, model=model)
            own = foretell(drawn, regime="dataset", inputs=found.inputs, function=function,
                           verdict=verdict)  # fmt: skip
            if own.kind != "exact":
                return
            gaps.append(own.gap)
        slack = 4 * np.std(gaps, ddof=1) / np.sqrt(len(gaps)) + 4 * (found.standard_error or 0.0)
        assert np.mean(gaps) <= found.gap + slack + 1e-6 * (1 + abs(found.gap)), (function, gaps)
