"""The main job on the gallery: theory and measurement agree, model by model."""

from __future__ import annotations

import pytest

from avi_theory import compare, gallery_names, load
from avi_theory.pipeline import check, choose
from avi_theory.pipeline.data import bound_to_predict

UNITS_IN_CI = 20
"""Of each index; `make check-long` compares every model whole."""


def runs(name):
    """Whether a gallery model is meant to be measured: its text says so if it is not."""
    model = load(name)
    return "Check and show only" not in model.about and not model.networks


RUNNING = [n for n in gallery_names() if runs(n)]


def at_most(name, units):
    model = load(name)
    sizes = bound_to_predict(model, None, None).sizes
    return model.with_values(**{k: min(v, units) for k, v in sizes.items() if k in model.sizes})


def agree(model):
    found = compare(model)
    report = check(model, witness=False)
    assert found.amortization.outcome in {"agrees", "bound_respected"}, str(found)
    if report.closes in {"own", "inputs"}:
        assert found.amortization.outcome == "agrees", str(found)
    assert found.fvi["status"] == "converged"
    assert found.amortization.measured >= -1e-6 * (1 + abs(found.fvi["elbo"]))


@pytest.mark.parametrize("name", RUNNING)
def test_nothing_contradicts_and_what_closes_agrees(name):
    agree(at_most(name, UNITS_IN_CI))


@pytest.mark.long
@pytest.mark.parametrize("name", RUNNING)
def test_the_same_on_all_the_data(name):
    agree(load(name))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("linear", {}),
        ("linear", {"function": "constant"}),
        ("saw", {}),
        ("saw", {"inputs": "x[n]", "function": "affine"}),
        ("saw", {"inputs": "x[n]", "function": "polynomial:5"}),
        ("local_level", {}),
        ("local_level", {"window": 0, "function": "affine"}),
        ("random_walk", {"window": 2, "function": "affine"}),
    ],
)
def test_affine_gaussian_gaps_are_exact_to_a_millionth(name, options):
    found = compare(load(name), **options).amortization
    assert found.kind == "exact"
    assert found.outcome == "agrees"
    assert abs(found.measured - found.predicted) <= 1e-6


def test_the_rungs_add_up_to_the_whole_ladder():
    found = compare(load("saw"), inputs="x[n]", function="affine")
    rungs = ("approximation", "conditioning", "capacity", "training")
    total = sum(found.gaps[r].value for r in rungs)
    whole = found.log_evidence["value"] - found.avi["elbo"]
    assert total == pytest.approx(whole, abs=1e-6)


def test_a_small_network_closes_eight_schools():
    found = compare(load("eight_schools"), function="mlp:32x32")
    assert tuple(found.avi["inputs"]) == ("s[n]", "y[n]")
    assert 0 <= found.amortization.measured + 1e-9 < 1e-2


def test_hiding_the_standard_errors_costs_something():
    without = compare(load("eight_schools"), inputs="y[n]", function="affine")
    assert without.amortization.measured > 0.01
    assert without.amortization.outcome == "bound_respected"


def test_held_out_units_give_the_generalization_gap():
    found = compare(load("linear").with_values(N=400), holdout=0.25)
    assert found.gaps["generalization"].value == pytest.approx(0, abs=1e-6)
    series = compare(load("local_level"), holdout=0.2, window=1, function="affine")
    assert series.gaps["generalization"].value is not None


def test_choices_follow_the_verdict():
    def chosen(name, **options):
        wanted = {"inputs": None, "window": None, "function": None} | options
        model = load(name)
        return choose(model, check(model, witness=False), **wanted)

    assert chosen("eight_schools").inputs == ("s[n]", "y[n]")
    assert chosen("eight_schools").function == "mlp:32x32"
    assert chosen("saw").function == "affine"
    assert chosen("saw").sufficient
    assert not chosen("saw", inputs="x[n]").sufficient
    assert chosen("random_walk").window == 1
    assert "no bounded inputs" in chosen("random_walk").remark
    assert chosen("mixture").function == "affine"
    assert chosen("coagulation").function == "mlp:32x32"  # the sd depends on the group's size
    assert chosen("newcomb").function == "mlp:32x32"  # natural parameters, not log mean and shape
