"""Every branch of the verdict on a predicted and a measured gap."""

from __future__ import annotations

import math

import pytest

from avi_theory.comparison import Run, judge, tolerance

F, A = Run(-10.0), Run(-12.0)
SURE_F, SURE_A = Run(-10.0, 0.0, True), Run(-12.0, 0.0, True)


def verdict(predicted, kind, fvi=F, avi=A, latents=10, error=0.0):
    return judge(fvi, avi, predicted, kind, latents=latents, standard_error=error)


def test_exact_agrees_within_the_tolerance_only():
    tol = tolerance(F, A)
    assert verdict(2.0, "exact") == "agrees"
    assert verdict(2.0 + 0.99 * tol, "exact") == "agrees"
    assert verdict(2.0 - 0.99 * tol, "exact") == "agrees"
    assert verdict(2.0 + 1.01 * tol, "exact") == "inconclusive"
    assert verdict(2.0 - 1.01 * tol, "exact") == "inconclusive"


@pytest.mark.parametrize(
    ("predicted", "fvi", "avi", "expected"),
    [
        (1.0, F, SURE_A, "contradicts"),  # measured more, A-VI surely at its optimum
        (1.0, SURE_F, A, "inconclusive"),  # measured more, A-VI may have fallen short
        (3.0, SURE_F, A, "contradicts"),  # measured less, F-VI surely at its optimum
        (3.0, F, SURE_A, "inconclusive"),  # measured less, F-VI may have fallen short
    ],
)
def test_exact_is_contradicted_by_the_certified_side_only(predicted, fvi, avi, expected):
    assert verdict(predicted, "exact", fvi, avi) == expected


def test_lower_bound():
    assert verdict(2.0, "lower") == "agrees"
    assert verdict(1.995, "lower") == "agrees"  # within 1e-3 nats for each of 10 latents
    assert verdict(1.985, "lower") == "bound_respected"
    assert verdict(1.985, "lower", latents=100) == "agrees"
    assert verdict(2.1, "lower") == "inconclusive"
    assert verdict(2.1, "lower", avi=SURE_A) == "inconclusive"
    assert verdict(2.1, "lower", fvi=SURE_F) == "contradicts"


def test_upper_bound():
    assert verdict(2.5, "upper") == "bound_respected"
    assert verdict(2.0, "upper") == "bound_respected"
    assert verdict(1.9, "upper") == "inconclusive"
    assert verdict(1.9, "upper", fvi=SURE_F) == "inconclusive"
    assert verdict(1.9, "upper", avi=SURE_A) == "contradicts"


@pytest.mark.parametrize("kind", ["exact", "lower", "upper"])
@pytest.mark.parametrize("predicted", [None, math.nan, math.inf])
def test_no_number_no_verdict(kind, predicted):
    assert verdict(predicted, kind, SURE_F, SURE_A) == "inconclusive"


def test_no_theory_no_verdict():
    assert verdict(2.0, "none", SURE_F, SURE_A) == "inconclusive"


@pytest.mark.parametrize("elbo", [math.nan, -math.inf, math.inf])
def test_a_run_without_elbo_decides_nothing(elbo):
    assert verdict(2.0, "exact", fvi=Run(elbo, 0.0, True)) == "inconclusive"
    assert verdict(2.0, "exact", avi=Run(elbo, 0.0, True)) == "inconclusive"


def test_tolerance_adds_size_noise_and_distance():
    assert tolerance(Run(-99.0), Run(3.0)) == pytest.approx(1e-4)
    assert tolerance(Run(0.0), Run(0.0), 0.1) == pytest.approx(0.3 + 1e-6)
    assert tolerance(Run(0.0, 0.5), Run(0.0, 0.25)) == pytest.approx(0.75 + 1e-6)
    assert tolerance(Run(0.0, None), Run(0.0, math.nan)) == pytest.approx(1e-6)


def test_noise_and_distance_widen_agreement():
    assert verdict(2.2, "exact", SURE_F, SURE_A) == "contradicts"
    assert verdict(2.2, "exact", SURE_F, SURE_A, error=0.1) == "agrees"
    assert verdict(1.8, "exact", SURE_F, Run(-12.0, 0.3, True)) == "agrees"
