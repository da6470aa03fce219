"""Continuous models averaged over data: against closed forms and sums over all data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.stats import poisson

from avi_theory import load, smallest_inputs
from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory import predict
from avi_theory.theory.closed_forms.drawn_functions import DrawnFunctions
from avi_theory.theory.predict import ask
from avi_theory.theory.quadrature import best_free, objective
from avi_theory.theory.quadrature.bases import flexible, polynomial
from avi_theory.theory.quadrature.draws import draw_many
from avi_theory.theory.quadrature.newton import Curvature, Separate, ascend
from avi_theory.theory.quadrature.sample import sample
from avi_theory.theory.quadrature.shared import Shared

CHAIN = """
index t = 1:T
local z[1] ~ Normal(0, 1/sqrt(1 - 0.81))
local z[t] ~ Normal(0.9*z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)
"""
GROUP = """
index n = 1:N
global mu ~ Normal(0.5, 2)
local z[n] ~ Normal(mu, 1)
observed x[n] ~ Normal(z[n], 1)
"""
COUNTS = """
index n = 1:N
local z[n] ~ Normal(0.3, 0.8)
observed x[n] ~ Poisson(log_rate=z[n])
"""
SCHOOLS = """
index n = 1:N
given s[n] > 0
global mu ~ Normal(0, 5)
global tau ~ HalfNormal(10)
local z[n] ~ Normal(mu, tau)
observed y[n] ~ Normal(z[n], s[n])
"""
ERRORS = np.array([15.0, 10, 9, 18])
VOLATILITY = """
index t = 1:T
given phi = 0.95, q = 0.3
global mu ~ Normal(0, 2)
local h[1] ~ Normal(mu, q/sqrt(1 - phi**2))
local h[t] ~ Normal(mu + phi*(h[t-1] - mu), q) for t in 2:T
observed x[t] ~ Normal(0, exp(h[t]/2))
"""


def answer(bound, **options):
    chosen = {"regime": "population", "inputs": None, "window": None, "function": "any",
              "sharing": "shared", "verdict": None, **options}  # fmt: skip
    return DrawnFunctions().apply(ask(bound, **chosen))


@pytest.mark.parametrize(
    ("text", "values", "options"),
    [
        (CHAIN, {"T": 20}, {"window": 1, "function": "affine"}),
        (CHAIN, {"T": 20}, {"window": 0}),
        (CHAIN, {"T": 6}, {"window": 1, "function": "affine", "sharing": "per-position"}),
        (CHAIN, {"T": 20}, {"window": 0, "function": "constant"}),
        (GROUP, {"N": 10}, {"window": 0, "function": "constant"}),
        (GROUP, {"N": 10}, {"window": 0, "function": "affine"}),
        (GROUP, {"N": 10}, {"window": 0, "function": "affine", "regime": "reuse"}),
        (GROUP, {"N": 10}, {"window": 0, "function": "constant", "regime": "reuse"}),
    ],
)
def test_gaussian_models_have_the_gap_of_the_team_problem(text, values, options):
    bound = bind(Model(text, **values))
    exact = predict(bound, **{"regime": "population", **options})
    assert exact.kind == "exact"
    found = answer(bound, **options)
    assert found.kind == "upper"
    assert abs(found.gap - exact.gap) < 3 * found.standard_error + 1e-9


def elbo_of_a_count(m, s, x):
    prior = -0.5 * ((m - 0.3) ** 2 + s**2) / 0.64 - np.log(0.8)
    return x * m - np.exp(m + s**2 / 2) + prior + 0.5 + np.log(s)


def test_counts_have_the_gap_of_a_sum_over_all_counts():
    """E over x ~ ∫Poisson(x | eᶻ) N(z; 0.3, 0.8) dz, summed; both optima by a plain search."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    x = np.arange(150.0)
    chance = poisson.pmf(x[:, None], np.exp(0.3 + 0.8 * nodes)) @ (weights / weights.sum())
    free = 0.0
    for count, p in zip(x, chance, strict=True):
        run = minimize(lambda u, c=count: -elbo_of_a_count(u[0], np.exp(u[1]), c), [0.3, -0.5])
        free -= p * run.fun
    tied = minimize(lambda u: -chance @ elbo_of_a_count(u[0], np.exp(u[1]), x), [0.3, -0.5])
    exact = 30 * (free + tied.fun)
    found = answer(bind(Model(COUNTS, N=30)), inputs=["x[n]"], function="constant")
    assert abs(found.gap - exact) < 3 * found.standard_error
    assert found.standard_error < 0.1 * exact
    assert any("log-concave" in a for a in found.assumptions)


def test_a_polynomial_without_an_expected_elbo_is_not_trusted_to_a_sample():
    """E exp(βx) is infinite for Poisson counts of a log-normal rate and any β > 0."""
    bound = bind(Model(COUNTS, N=30))
    constant = answer(bound, inputs=["x[n]"], function="constant")
    affine = answer(bound, inputs=["x[n]"], function="affine")
    assert affine.gap == constant.gap and affine.kind == "upper"
    assert "no expectation" in affine.assumptions[-1]
    text = COUNTS.replace("Poisson(log_rate=z[n])", "Bernoulli(logit=z[n])")
    safe = answer(bind(Model(text, N=30)), inputs=["x[n]"], function="affine")
    assert not any("no expectation" in a for a in safe.assumptions)


def test_all_functions_of_a_count_are_a_table():
    found = answer(bind(Model(COUNTS, N=30)), inputs=["x[n]"])
    constant = answer(bind(Model(COUNTS, N=30)), inputs=["x[n]"], function="constant")
    assert found.gap < 0.02 * constant.gap


@pytest.mark.long
def test_schools_without_their_standard_errors_in_the_population():
    bound = bind(Model(SCHOOLS, mu=2.0, tau=8.0), {"s": ERRORS})
    gaps = [
        predict(bound, regime="population", inputs=i, function="affine") for i in ([], ["y[n]"])
    ]
    assert all(g.kind == "upper" and g.standard_error > 0 for g in gaps)
    assert gaps[0].gap > gaps[1].gap > 3 * gaps[1].standard_error
    assert any("mu=2, tau=8" in a for a in gaps[0].assumptions)
    reuse = predict(bound, regime="reuse", inputs=["y[n]"], function="affine")
    assert reuse.gap > 3 * reuse.standard_error
    assert any("from its prior" in a for a in reuse.assumptions)


def test_stochastic_volatility_has_a_bound_that_falls_with_the_window():
    bound = bind(Model(VOLATILITY, T=20))
    found = [predict(bound, regime="population", window=k) for k in (0, 2)]
    assert all(f.kind == "upper" and f.to_dict()["standard_error"] > 0 for f in found)
    assert found[0].gap > found[1].gap > 0
    assert any("mu=0" in a for a in found[0].assumptions)


def test_without_a_value_for_an_improper_global_the_reason_says_what_to_set():
    text = COUNTS.replace("local z[n] ~ Normal(0.3, 0.8)",
                          "global m ~ Flat()\nlocal z[n] ~ Normal(m, 0.8)")  # fmt: skip
    found = predict(bind(Model(text, N=5)), regime="population", inputs=[])
    assert found.kind == "none" and "--set m=" in " ".join(found.assumptions)
    reuse = predict(bind(Model(text, N=5)), regime="reuse", inputs=[])
    assert reuse.kind == "none" and "improper" in " ".join(reuse.assumptions)
    settled = predict(bind(Model(text, N=5, m=0.3)), regime="population", inputs=[])
    assert settled.kind == "upper"


def test_the_prior_mean_is_where_data_are_drawn():
    question = ask(
        bind(Model(SCHOOLS), {"s": ERRORS}), regime="population", inputs=[], window=None,
        function="constant", sharing="shared", verdict=None,
    )  # fmt: skip
    np.testing.assert_allclose(question.theta(), [0.0, 10 * np.sqrt(2 / np.pi)], rtol=1e-12)


def test_draws_have_the_moments_of_the_model():
    drawn = draw_many(bind(Model(CHAIN, T=5)), {}, 40_000, seed=3)
    assert {k: v.shape for k, v in drawn.items()} == {"z": (40_000, 5), "x": (40_000, 5)}
    lag = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    np.testing.assert_allclose(np.cov(drawn["z"].T), 0.9**lag / 0.19, atol=0.2)
    np.testing.assert_allclose((drawn["x"] - drawn["z"]).std(0), 1, atol=0.02)
    at = draw_many(bind(Model(GROUP, N=2)), {"mu": np.array([7.0])}, 20_000, seed=3)
    assert np.all(at["mu"] == 7) and at["z"].mean() == pytest.approx(7, abs=0.05)


def test_the_curvature_is_that_of_the_gradient_and_newton_finds_the_optimum():
    effects = {"y": [28.0, 8, -1, 12], "s": ERRORS}
    target = objective(bind(Model(SCHOOLS), effects))
    curvature, stream = Curvature.of(target), np.random.default_rng(0)
    at = np.concatenate([stream.normal(size=6), 0.3 * stream.normal(size=6)])

    def slope(u):
        return np.concatenate(target(u[:6], u[6:])[1:])

    steps = 1e-5 * np.eye(12)
    numeric = np.array([(slope(at + e) - slope(at - e)) / 2e-5 for e in steps])
    found = curvature(at[:6], at[6:]).toarray()
    np.testing.assert_allclose(found, numeric, atol=1e-7 * np.abs(numeric).max())
    family = Separate(np.zeros(6), np.zeros(6), np.arange(6), sparse.identity(6, format="csr"))
    start = np.concatenate([np.zeros(6), -np.ones(6)])
    _, _, best = ascend(curvature, family, np.zeros(0), start)
    assert best.elbo == pytest.approx(best_free(target).elbo, abs=1e-6)


def test_every_data_set_has_its_own_elbo():
    bound = bind(Model(GROUP, N=3))
    drawn = {"x": np.random.default_rng(0).normal(size=(4, 3))}
    together = objective(bound, drawn=drawn)
    mean, level = np.random.default_rng(1).normal(size=(2, 16))
    total = 0.0
    for d in range(4):
        alone = objective(bind(Model(GROUP), {"x": drawn["x"][d]}))
        own = slice(4 * d, 4 * d + 4)
        total += alone(mean[own], level[own])[0]
    assert together(mean, level)[0] == pytest.approx(total, rel=1e-12)
    each = together.each(mean, level)
    assert each.shape == (4,)
    constant = total - each.sum()
    moved = together.each(mean + 0.1, level)
    assert together(mean + 0.1, level)[0] - moved.sum() == pytest.approx(constant, rel=1e-9)


def test_the_slopes_of_a_shared_function_are_its_derivatives():
    stream = np.random.default_rng(2)
    family = Shared(2, stream.normal(size=(3, 4, 2)), stream.normal(size=(3, 4, 1)),
                    np.array([0, 0, 1, 1]), True, np.array([0.5, -1.0]))  # fmt: skip
    shared, own = stream.normal(size=family.width), stream.normal(size=12)
    dense, thin = family.slopes(shared, own)
    weights = stream.normal(size=18)

    def joined(a, b):
        return np.concatenate(family.factors(a, b))

    for k in range(family.width):
        e = 1e-6 * (np.arange(family.width) == k)
        slope = (joined(shared + e, own) - joined(shared - e, own)) / 2e-6
        np.testing.assert_allclose(dense[:, k], slope, atol=1e-8)
        mixed = (
            weights @ (family.slopes(shared + e, own)[1] - family.slopes(shared - e, own)[1])[:18]
        )
        np.testing.assert_allclose(family.mixed(weights)[:, k], mixed / 2e-6, atol=1e-6)
    for k in range(12):
        e = 1e-6 * (np.arange(12) == k)
        slope = (joined(shared, own + e) - joined(shared, own - e)) / 2e-6
        np.testing.assert_allclose(thin.toarray()[:, k], slope, atol=1e-8)


def test_bases_hold_what_they_should():
    x = np.random.default_rng(0).normal(size=(500, 1))
    for basis, target in ((polynomial(x, 2), 3 * x**2 - x), (flexible(x), 2 * x + 1)):
        fitted = basis(x) @ np.linalg.lstsq(basis(x), target, rcond=None)[0]
        np.testing.assert_allclose(fitted, target, atol=1e-8)
    smooth = np.log(x**2 + 0.1)
    fitted = flexible(x)(x) @ np.linalg.lstsq(flexible(x)(x), smooth, rcond=None)[0]
    assert np.var(smooth - fitted) < 0.02 * np.var(smooth)
    few = np.random.default_rng(1).integers(0, 3, (500, 2)).astype(float)
    assert flexible(few).width == 9


@pytest.mark.long
def test_f_vi_on_a_drawn_data_set_is_what_is_measured():
    from avi_theory import measure

    model = Model(VOLATILITY, T=60)
    bound = bind(model)
    drawn = sample(bound, {"mu": np.zeros(1)})
    data = drawn.fresh.bounds[0].known["x"]
    target = objective(bind(model, {"x": data}))
    size = target.layout.size
    reached = target(drawn.mean[:size], drawn.level[:size])[0]
    found = measure(model, {"x": data}, function="constant")
    assert reached == pytest.approx(found.fvi.elbo, abs=1e-5)


def test_the_smallest_inputs_allow_for_the_standard_error():
    model = Model(COUNTS, N=20)
    nothing, own = smallest_inputs(model, tolerance=0.01).choices
    assert (nothing.kind, own.kind, own.gap_per_latent) == ("upper", "exact", 0)
    gap = nothing.gap_per_latent
    assert smallest_inputs(model, tolerance=1.001 * gap).smallest.inputs == ("x[n]",)
    assert smallest_inputs(model, tolerance=1.5 * gap).smallest.inputs == ()


@pytest.mark.long
def test_windows_of_a_volatility_end_in_numbers():
    found = smallest_inputs(load("stochastic_volatility"), tolerance=0.01)
    assert all(c.kind == "upper" and c.gap_per_latent > 0 for c in found.choices)
    assert found.choices[0].gap_per_latent > 3 * found.choices[5].gap_per_latent
