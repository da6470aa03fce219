"""Limits of stationary models, and the trap: the regression is not the team optimum."""

from __future__ import annotations

import numpy as np
import pytest

from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory import predict
from avi_theory.theory.chain import window_zero_limit
from avi_theory.theory.spectral import NoLimit, Stencil, limit


def chain(phi, q, r):
    """The stationary chain's interior: z is component 0, x component 1."""
    near = np.array([[-phi / q, 0.0], [0.0, 0.0]])
    own = np.array([[(1 + phi**2) / q + 1 / r, -1 / r], [-1 / r, 1 / r]])
    return Stencil({-1: near, 0: own, 1: near}, 1)


def seen(half_width):
    return [{(0, 0, k): 1.0} for k in range(-half_width, half_width + 1)]


def test_the_regression_on_the_window_costs_more_than_four_times_the_optimum():
    stencil = chain(0.9, 1, 10)
    best, _ = limit(stencil, seen(0))
    trapped, _ = limit(stencil, seen(0), regression=True)
    assert best == pytest.approx(window_zero_limit(0.9, 1, 10), rel=1e-9)
    assert trapped / best == pytest.approx(4.66, abs=5e-3)


def test_the_regression_is_optimal_without_coupling():
    own = np.array([[2.0, -1.0], [-1.0, 1.0]])
    stencil = Stencil({0: own}, 1)
    shifted = [{(0, 0, 1): 1.0}]
    best, _ = limit(stencil, shifted)
    assert limit(stencil, shifted, regression=True)[0] == pytest.approx(best, rel=1e-12)


def test_a_walk_that_the_inputs_do_not_follow_has_no_limit():
    with pytest.raises(NoLimit, match="random walk"):
        limit(chain(1.0, 1, 1), [])


@pytest.mark.parametrize("phi", [0.3, 0.9, 1.0])
def test_rho_is_the_formulas(phi):
    from avi_theory.theory.chain import decay_rate

    assert chain(phi, 2.0, 0.7).decay() == pytest.approx(decay_rate(phi, 2.0, 0.7), rel=1e-9)


TWO = """
index t = 1:T
local a[1] ~ Normal(0, 1)
local a[t] ~ Normal(0.7*a[t-1], 1) for t in 2:T
local b[1] ~ Normal(0, 1)
local b[t] ~ Normal(0.4*b[t-1] + 0.5*a[t-1], 0.8) for t in 2:T
observed x[t] ~ Normal(a[t] + b[t], 1.3)
observed y[t] ~ Normal(b[t], 0.6)
"""
SAW = """
index n = 1:N
given x[0] = 0
global theta ~ Normal(0, 1)
local z[n] ~ Normal(x[n-1], 1)
observed x[n] ~ Normal(0.75*(theta + z[n]), 1)
"""


@pytest.mark.parametrize(("text", "size", "options"), [
    (TWO, "T", {"window": 1}),
    (TWO, "T", {"inputs": ["x[t]", "y[t-1]"]}),
    (SAW, "N", {"inputs": ["x[n]"]}),
])  # fmt: skip
def test_finite_sizes_approach_the_limit(text, size, options):
    gaps = {}
    for length in (1000, 2000):
        found = predict(bind(Model(text, **{size: length})), function="affine", **options)
        gaps[length] = found.gap
    growth = (gaps[2000] - gaps[1000]) / 1000 / (found.latents / 2000)
    assert found.limit_per_latent == pytest.approx(growth, rel=2e-4)


def test_no_limit_where_covariates_come_with_the_data():
    text = """
    index n = 1:N
    given s[n] > 0
    local z[n] ~ Normal(0, 1)
    observed y[n] ~ Normal(z[n], s[n])
    """
    data = {"s": np.array([1.0, 2.0, 3.0]), "y": np.zeros(3)}
    found = predict(
        bind(Model(text), data), regime="population", inputs=["y[n]"], function="affine"
    )
    assert found.gap > 0
    assert found.limit_per_latent is None


def test_a_long_chain_is_its_limit_and_its_ends():
    """Cost is linear in the length: no dense matrix of this size would fit."""
    gaps = {}
    for length in (5_000, 20_000):
        found = predict(bind(Model(TWO, T=length)), window=1, function="affine")
        gaps[length] = found.gap / 2
    growth = (gaps[20_000] - gaps[5_000]) / 15_000
    assert growth == pytest.approx(found.limit_per_latent, rel=1e-6)


MEAN = """
index t = 1:T
global mu ~ Normal(1, 2)
local z[1] ~ Normal(mu, 1)
local z[t] ~ Normal(mu + 0.8*(z[t-1] - mu), 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1.5)
"""
SLOPED = """
index n = 1:N
index k = 0:1
global b[k] ~ Normal(0, 1)
local z[n] ~ Normal(b[0], 1)
observed x[n] ~ Normal(z[n], 1)
observed y[n] ~ Normal(b[1] + 0.7*z[n], 0.8)
"""
PANEL = """
index t = 1:T
index g = 0:2
given level = [-1, 0, 3]
global mu ~ Normal(0, 1)
local z[g,1] ~ Normal(0, 1)
local z[g,t] ~ Normal(level[g] + mu + 0.5*z[g,t-1], 1) for t in 2:T
observed x[g,t] ~ Normal(z[g,t], 1)
"""


@pytest.mark.parametrize(("text", "size", "options"), [
    (MEAN, "T", {"window": 1}),
    (MEAN, "T", {"inputs": []}),
    (MEAN, "T", {"inputs": ["x[t]", "mean(x)"]}),
    (SLOPED, "N", {"inputs": ["x[n]", "y[n]"]}),
    (SLOPED, "N", {"inputs": ["y[n]"]}),
    (PANEL, "T", {"inputs": ["x[g,t]"]}),
    (SAW, "N", {"inputs": ["x[n]"]}),
    (TWO, "T", {"window": 1}),
])  # fmt: skip
@pytest.mark.parametrize("regime", ["population", "reuse"])
def test_growth_approaches_the_limit_in_both_averaging_regimes(regime, text, size, options):
    gaps = {}
    for length in (400, 800):
        model = Model(text, **{size: length})
        found = predict(bind(model), regime=regime, function="affine", **options)
        gaps[length] = found.gap
    growth = (gaps[800] - gaps[400]) / 400 / (found.latents / 800)
    assert found.limit_per_latent == pytest.approx(growth, rel=2e-3, abs=1e-6)


def test_a_simple_hierarchical_model_reused_has_its_limit():
    """z ~ N(0, 1), x ~ N(θ + z, 1): 2(β − ½)² + ½β² is least at β = 0.4, where it is 0.1."""
    text = """
    index n = 1:N
    global theta ~ Normal(0, 1)
    local z[n] ~ Normal(0, 1)
    observed x[n] ~ Normal(theta + z[n], 1)
    """
    found = predict(bind(Model(text, N=100)), regime="reuse", inputs=["x[n]"])
    assert found.limit_per_latent == pytest.approx(0.1, abs=1e-9)
    both = predict(bind(Model(text, N=100)), regime="reuse", inputs=["x[n]", "mean(x)"])
    assert both.limit_per_latent == 0.0


@pytest.mark.parametrize(("prior", "words"), [
    ("z[n-1] + d", "random walk"), ("d + e", "told by the data"),
])  # fmt: skip
def test_no_limit_in_reuse_says_why(prior, words):
    text = f"""
    index n = 1:N
    global d ~ Normal(0, 1)
    global e ~ Normal(0, 1)
    local z[1] ~ Normal(e, 1)
    local z[n] ~ Normal({prior}, 1) for n in 2:N
    observed x[n] ~ Normal(z[n], 1)
    """
    found = predict(bind(Model(text, N=30)), regime="reuse", inputs=["x[n]"], function="affine")
    assert found.limit_per_latent is None
    assert any(words in a for a in found.assumptions), found.assumptions
