"""Every gallery model, found by itself: the predicted gap against two independent fits.

Exact predictions equal the measurement, bounds hold, and a missing number has its reason.  Small
sizes always; the models' own sizes with the long tests.
"""

from __future__ import annotations

import pytest

from avi_theory import gallery_names, load
from avi_theory.pipeline import check, choose
from avi_theory.pipeline.data import fitted_and_held
from avi_theory.pipeline.verbs import _measure, predict_bound

SMALL = {"N": 12, "T": 12, "G": 5, "I": 4, "J": 4}
OWN = {"linear": {"N": 500}}
"""Models whose own size adds nothing but time."""
SLOW = {"item_response", "poisson_exposure", "mixture", "pupils", "varieties"}
"""Too slow to fit even when small, for every push: they run with the long tests."""


def runs(name):
    return "Check and show only" not in load(name).about


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
