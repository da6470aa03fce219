"""Other continuous models on a data set: against closed forms, finite differences, the Gaussian."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory import predict
from avi_theory.theory.closed_forms.dataset import GaussianDataset
from avi_theory.theory.closed_forms.quadrature import QuadratureDataset
from avi_theory.theory.predict import ask
from avi_theory.theory.quadrature import NotIntegrable, best_free, concave, objective

SCHOOLS = """
index n = 1:N
given s[n] > 0
global mu ~ Normal(0, 5)
global tau ~ HalfNormal(10)
local z[n] ~ Normal(mu, tau)
observed y[n] ~ Normal(z[n], s[n])
"""
EFFECTS = {"y": [28.0, 8, -3, 7, -1, 1, 18, 12], "s": [15.0, 10, 16, 11, 9, 11, 10, 18]}
COUNTS = """
index n = 1:N
local z[n] ~ Normal(0.3, 0.8)
observed x[n] ~ Poisson(log_rate=z[n])
"""
NUMBERS = np.array([0.0, 1, 1, 2, 4, 7])
CHAIN = """
index t = 1:T
global m ~ Normal(0, 2)
local z[1] ~ Normal(m, 1)
local z[t] ~ Normal(0.8*z[t-1] + 0.2*m, 0.7) for t in 2:T
observed x[t] ~ Normal(z[t], 0.5)
"""


def foretell(text, data, **options):
    return predict(bind(Model(text), data), **options)


def poisson_elbo(m, s, x):
    """Σ E[log p(x, z)] + H for Normal factors, in closed form; constants in x alone left out."""
    prior = -0.5 * ((m - 0.3) ** 2 + s**2) / 0.64 - np.log(0.8)
    return np.sum(x * m - np.exp(m + s**2 / 2) + prior + 0.5 + np.log(s))


@pytest.mark.parametrize(("function", "degree"), [("constant", 0), ("affine", 1)])
def test_counts_equal_the_closed_form_elbo(function, degree):
    x = NUMBERS
    found = foretell(COUNTS, {"x": x}, inputs=["x[n]"], function=function)
    size = len(x)
    features = np.stack([x**k for k in range(degree + 1)], 1)
    free = minimize(lambda p: -poisson_elbo(p[:size], np.exp(p[size:]), x), np.zeros(2 * size))
    tied = minimize(
        lambda p: -poisson_elbo(features @ p[:-1], np.exp(p[-1]) * np.ones(size), x),
        np.zeros(degree + 2),
        options={"gtol": 1e-9},
    )
    assert found.kind == "exact"
    assert found.gap == pytest.approx(tied.fun - free.fun, abs=1e-8)
    assert any("Challis & Barber" in a for a in found.assumptions)


def test_equal_counts_share_a_factor_without_loss():
    found = foretell(COUNTS, {"x": NUMBERS}, inputs=["x[n]"])
    assert found.kind == "exact" and found.gap == pytest.approx(0, abs=1e-9)


def test_eight_schools_without_their_standard_errors():
    """The ELBO in closed form: E τ⁻² = exp(−2a + 2b²), E τ² = exp(2a + 2b²), E log τ = a."""
    bound = bind(Model(SCHOOLS), EFFECTS)
    found = predict(bound, inputs=["y[n]"], function="affine")
    assert found.kind == "upper"
    assert found.gap == pytest.approx(0.0955013, abs=5e-8)
    target = objective(bound)
    assert not concave(target)
    best = best_free(target)
    mean, scale = best.mean, np.exp(best.level)
    mu, a, m = mean[0], mean[1], mean[2:]
    v, b, w = scale[0] ** 2, scale[1], scale[2:] ** 2
    y, s = (np.array(EFFECTS[k]) for k in ("y", "s"))
    normal = 0.5 * np.log(2 * np.pi)
    value = -normal - np.log(5) - (mu**2 + v) / 50
    value += 0.5 * np.log(2 / np.pi) - np.log(10) - np.exp(2 * a + 2 * b**2) / 200
    value += np.sum(-normal - a - ((m - mu) ** 2 + w + v) * np.exp(-2 * a + 2 * b**2) / 2)
    value += np.sum(-normal - np.log(s) - ((y - m) ** 2 + w) / (2 * s**2))
    value += np.sum(np.log(scale) + 0.5 + normal) + a
    assert best.elbo == pytest.approx(value, abs=1e-9)


def test_the_gradient_is_that_of_the_elbo():
    target = objective(bind(Model(SCHOOLS), EFFECTS))
    stream = np.random.default_rng(0)
    mean, level = stream.normal(size=10), 0.3 * stream.normal(size=10)
    _, by_mean, by_level = target(mean, level)
    for k in range(10):
        step = 1e-6 * (np.arange(10) == k)
        slope = (target(mean + step, level)[0] - target(mean - step, level)[0]) / 2e-6
        assert by_mean[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)
        slope = (target(mean, level + step)[0] - target(mean, level - step)[0]) / 2e-6
        assert by_level[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("function", ["constant", "affine", "polynomial:2", "any"])
@pytest.mark.parametrize("window", [0, 1])
def test_gaussian_models_have_the_gap_of_least_squares(function, window):
    x = np.random.default_rng(1).normal(size=9)
    x[3] = x[5]
    question = ask(
        bind(Model(CHAIN), {"x": x}), regime="dataset", inputs=None, window=window,
        function=function, sharing="shared", verdict=None,
    )  # fmt: skip
    by_quadrature = QuadratureDataset().apply(question)
    assert by_quadrature.kind == "exact"
    assert by_quadrature.gap == pytest.approx(GaussianDataset().apply(question).gap, abs=1e-8)


@pytest.mark.parametrize(
    ("density", "certain"),
    [
        ("Normal(z[n], 1)", True),
        ("Poisson(log_rate=z[n])", True),
        ("Bernoulli(logit=2*z[n] - 1)", True),
        ("Normal(0, exp(z[n]/2))", True),
        ("Normal(sin(z[n]), 1)", False),
        ("StudentT(4, z[n], 1)", False),
    ],
)
def test_log_concave_targets_are_recognised(density, certain):
    text = f"index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nobserved x[n] ~ {density}"
    bound = bind(Model(text), {"x": np.array([0.0, 1.0, 1.0])})
    assert concave(objective(bound)) is certain
    found = predict(bound, inputs=[])
    assert found.kind == ("exact" if certain else "upper")
    assert found.gap >= 0


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ("local z[n] ~ Laplace(0, 1)\nobserved x[n] ~ Normal(z[n], 1)", "kink"),
        ("local z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(z[n], cos(z[n]))", "pole"),
        ("local z[n] ~ Beta(2, 2)\nobserved x[n] ~ Normal(z[n], 1)", "neither real nor positive"),
        ("local z[n] : R[2] ~ Normal(0, 1)\nobserved x[n] ~ Normal(z[n][0]**3, 1)", "vector"),
    ],
)
def test_what_cannot_be_integrated_says_why(statements, words):
    bound = bind(Model(f"index n = 1:N\n{statements}"), {"x": np.array([0.5, 0.2, 0.2])})
    with pytest.raises(NotIntegrable, match=words):
        objective(bound)
    found = predict(bound, inputs=["x[n]"], function="affine")
    assert found.kind == "none"
    assert words in found.assumptions[0]
