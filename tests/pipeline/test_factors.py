"""The verbs speak of one choice of factors: the user's, else the optimal factor's family."""

import pytest

from avi_theory import Model, check, compare, load, measure, predict
from avi_theory.errors import InputError
from avi_theory.pipeline.choice import factors_of


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("local z[n] ~ Gamma(2, 1)\nobserved x[n] ~ Poisson(z[n])", {"z": "gamma"}),
        ("local z[n] ~ InverseGamma(2, 1)\nobserved x[n] ~ Normal(0, sqrt(z[n]))",
         {"z": "inversegamma"}),
        ("local z[n] ~ Beta(2, 1)\nobserved x[n] ~ Bernoulli(z[n])", {"z": "beta"}),
        ("local z[n] ~ LogNormal(0, 1)\nobserved x[n] ~ Poisson(z[n])", {}),
        ("local z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(z[n], 1)", {}),
    ],
)  # fmt: skip
def test_a_local_gets_the_family_of_its_optimal_factor(text, wanted):
    model = Model(f"index n = 1:N\n{text}")
    assert factors_of(model, check(model, witness=False)) == wanted


def test_the_optimal_family_leaves_the_smaller_approximation_gap():
    own, other = (measure(load("newcomb"), factors=f) for f in (None, {"w": "lognormal"}))
    assert own.fvi.elbo > other.fvi.elbo + 1
    assert 0 <= own.gap < 1e-3 * 66


def test_predictions_are_for_the_factors_that_are_measured():
    model = load("newcomb")
    assert predict(model, function="any").kind == "exact"  # holds for any family
    found = predict(model, function="affine")
    assert found.kind == "none" and found.gap is None
    assert "w has a gamma factor" in found.assumptions[0]
    assert predict(model, function="affine", factors={"w": "lognormal"}).kind == "upper"
    assert predict(model, function="affine", factors={"mu": "point"}).kind == "none"


def test_other_factors_take_a_gaussian_models_numbers_away():
    model = load("linear").with_values(N=20)
    assert predict(model, function="constant").kind == "exact"
    other = {"factors": {"theta": "point"}}
    found = predict(model, function="constant", **other)
    assert found.kind == "none" and found.approximation_gap is None
    side_by_side = compare(model, function="constant", **other)
    assert side_by_side.amortization.outcome in {"agrees", "bound_respected"}
    assert side_by_side.amortization.kind == "lower" and side_by_side.amortization.predicted == 0
    assert side_by_side.gaps["approximation"].kind == "none"


def test_a_shared_factor_takes_back_what_factorizing_a_unit_costs():
    """Rats: intercept and slope of one animal are correlated in the posterior."""
    model = load("rats")
    apart, shared = (measure(model, factors=f, function="affine") for f in (None, {"a,b": "full"}))
    exact = apart.log_evidence["value"]
    assert apart.fvi.elbo < shared.fvi.elbo - 10 and shared.fvi.elbo < exact
    assert shared.fvi.certified and shared.gap == pytest.approx(0, abs=1e-6)
    assert predict(model, function="affine", factors={"a,b": "full"}).kind == "none"


def test_impossible_factors_are_refused_before_anything_is_fitted():
    for verb in (predict, measure, compare):
        with pytest.raises(InputError, match="cannot have a beta factor"):
            verb(load("newcomb"), factors={"w": "beta"})
