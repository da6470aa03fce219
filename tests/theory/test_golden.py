"""Every number that THEORY states for linear-Gaussian models, from declared models."""

from __future__ import annotations

import numpy as np
import pytest

from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory import predict
from avi_theory.theory.chain import decay_rate, window_zero_limit
from avi_theory.theory.gaussian import posterior
from avi_theory.theory.quadratic import log_density

CHAIN = """
index t = 1:T
given phi = 0.9, q = 1, r = 1
local z[1] ~ Normal(0, q/sqrt(1 - phi**2))
local z[t] ~ Normal(phi*z[t-1], q) for t in 2:T
observed x[t] ~ Normal(z[t], r)
"""
WALK = """
index n = 1:N
local z[1] ~ Normal(0, 1)
local z[n] ~ Normal(z[n-1], 1) for n in 2:N
observed x[n] ~ Normal(z[n], 1)
"""
WALK_FROM_ZERO = """
index n = 1:N
local z[0] ~ Normal(0, 1)
local z[n] ~ Normal(z[n-1], 1)
observed x[n] ~ Normal(z[n], 1)
"""
LINEAR = """
index n = 1:N
given tau = 1.155, sigma = 2.43
global theta ~ Flat()
local z[n] ~ Normal(0, 1)
observed x[n] ~ Normal(theta + tau*z[n], sigma)
"""
PROPER_LINEAR = LINEAR.replace("Flat()", "Normal(0, 1)")
SAW = """
index n = 1:N
given a = 0.75
given x[0] = 0
global theta ~ Flat()
local z[n] ~ Normal(x[n-1], 1)
observed x[n] ~ Normal(a*(theta + z[n]), 1)
"""


def foretell(text, data=None, *, values=None, **options):
    return predict(bind(Model(text, **(values or {})), data), **options)


def test_the_example_of_the_contract():
    found = foretell(CHAIN, values={"T": 60}, window=1, function="affine")
    assert found.kind == "exact"
    assert found.latents == 60
    assert found.inputs == ("x[t+1]", "x[t-1]", "x[t]")
    assert found.gap == pytest.approx(2.19632, abs=5e-6)
    assert found.gap_per_latent == pytest.approx(0.0366053, abs=5e-8)
    assert found.limit_per_latent == pytest.approx(0.0377148, abs=5e-8)
    assert found.approximation_gap == pytest.approx(3.68490, abs=5e-6)


@pytest.mark.parametrize(("phi", "limit"), [(0.5, 0.0727273), (0.9, 0.4698648)])
def test_window_zero_in_closed_form(phi, limit):
    assert window_zero_limit(phi, 1, 1) == pytest.approx(limit, abs=5e-8)
    found = foretell(CHAIN, values={"T": 30, "phi": phi}, window=0, function="affine")
    assert found.limit_per_latent == pytest.approx(window_zero_limit(phi, 1, 1), rel=1e-9)


@pytest.mark.parametrize(("q", "r"), [(1.0, 10.0), (0.3, 1.0), (4.0, 0.25)])
def test_the_closed_form_holds_for_any_variances(q, r):
    values = {"T": 30, "phi": 0.8, "q": np.sqrt(q), "r": np.sqrt(r)}
    found = foretell(CHAIN, values=values, window=0)
    assert found.limit_per_latent == pytest.approx(window_zero_limit(0.8, q, r), rel=1e-9)


@pytest.mark.parametrize(
    ("window", "limit", "digits"),
    [(0, 0.470, 5e-4), (1, 0.0377, 5e-5), (2, 0.00444, 5e-6), (3, 0.000571, 5e-7),
     (4, 0.0000747, 5e-8)],
)  # fmt: skip
def test_the_limit_decays_with_the_window(window, limit, digits):
    found = foretell(CHAIN, values={"T": 30}, window=window, function="affine")
    assert found.limit_per_latent == pytest.approx(limit, abs=digits)


def test_the_formula_of_the_limit_is_printed_with_its_values():
    found = foretell(CHAIN, values={"T": 30}, window=0, function="affine")
    assert r"\varphi^2" in found.latex and found._repr_latex_().startswith("$")
    values = {"phi": -0.7, "q": 0.6, "r": 1.4}
    other = foretell(CHAIN, values={"T": 30, **values}, window=0, function="affine")
    said = next(a for a in other.assumptions if "J₀" in a)
    assert "φ = -0.7, q = 0.36, r = 1.96 (variances)" in said
    assert other.limit_per_latent == pytest.approx(window_zero_limit(-0.7, 0.36, 1.96), rel=1e-9)
    faint = foretell(CHAIN, values={"T": 30, "phi": 1e-183}, window=0, function="affine")
    assert any("φ = 1e-183" in a for a in faint.assumptions) and faint.limit_per_latent == 0.0
    wider = foretell(CHAIN, values={"T": 30}, window=1, function="affine")
    assert r"\int" in wider.latex and not any("J₀" in a for a in wider.assumptions)
    assert "latex" not in found.to_dict()


def test_the_random_walk_s_limit_is_the_formula_s_at_one():
    found = foretell(WALK, values={"N": 20}, window=0, function="affine")
    assert any("φ = 1," in a for a in found.assumptions)
    assert found.limit_per_latent == pytest.approx(window_zero_limit(1, 1, 1), rel=1e-6)
    assert window_zero_limit(1, 2.0, 3.0) == pytest.approx(1.5)


def test_the_decay_approaches_rho_squared():
    limits = [foretell(CHAIN, values={"T": 30}, window=k).limit_per_latent for k in (5, 6)]
    assert limits[1] / limits[0] == pytest.approx(decay_rate(0.9, 1, 1) ** 2, rel=0.01)
    assert decay_rate(1, 1, 1) == pytest.approx(0.381966, abs=5e-7)
    assert decay_rate(-0.9, 1, 1) == decay_rate(0.9, 1, 1)


@pytest.mark.parametrize(
    ("window", "limit", "digits"),
    [(0, 1.0, 1e-9), (1, 0.0588, 5e-5), (2, 0.0072, 5e-5), (3, 0.0010, 5e-5), (4, 0.00015, 5e-6)],
)
def test_the_random_walk(window, limit, digits):
    for text in (WALK, WALK_FROM_ZERO):
        found = foretell(text, values={"N": 20}, window=window, function="affine")
        assert found.limit_per_latent == pytest.approx(limit, abs=digits)


def test_the_random_walk_at_four_hundred():
    found = foretell(WALK, values={"N": 400}, window=0, function="affine")
    assert found.gap_per_latent == pytest.approx(0.977, abs=5e-4)


@pytest.mark.parametrize(
    ("text", "first"),
    [(WALK_FROM_ZERO, [0.76393, 0.90983, 0.96556, 0.98684]), (WALK, [0.61803, 0.85410, 0.94427])],
)
def test_the_optimal_means_for_constant_data(text, first):
    post = posterior(bind(Model(text), {"x": np.ones(60)}))
    skip = 1 if "z[0]" in text else 0
    found = post.mean[skip : skip + len(first)]
    np.testing.assert_allclose(found, first, atol=5e-6)


def test_a_flat_start_leaves_no_trace_of_the_position():
    flat = WALK_FROM_ZERO.replace("local z[0] ~ Normal(0, 1)", "local z[0] ~ Flat()")
    post = posterior(bind(Model(flat), {"x": np.ones(20)}))
    np.testing.assert_allclose(post.mean, 1.0, atol=1e-12)


def test_a_spike_is_felt_at_a_distance():
    x = np.zeros(81)
    x[40] = 1.0
    mean = posterior(bind(Model(WALK_FROM_ZERO), {"x": x})).mean[1:]
    np.testing.assert_allclose(mean[41:60] / mean[40:59], 0.381966, atol=1e-6)


def test_the_linear_models_optimum_and_constant_function():
    x = np.random.default_rng(0).normal(size=200) * 2.7
    tau, sigma = 1.155, 2.43
    post = posterior(bind(Model(LINEAR), {"x": x}))
    np.testing.assert_allclose(
        post.mean[1:], tau / (sigma**2 + tau**2) * (x - x.mean()), atol=1e-12
    )
    np.testing.assert_allclose(1 / post.diagonal, sigma**2 / (sigma**2 + tau**2))
    found = foretell(LINEAR, {"x": x}, function="constant")
    expected = tau**2 * ((x - x.mean()) ** 2).sum() / (2 * sigma**2 * (sigma**2 + tau**2))
    assert found.gap == pytest.approx(expected, rel=1e-12)
    assert foretell(LINEAR, {"x": x}, inputs=["x[n]"], function="affine").gap == 0.0


def test_the_published_linear_experiment():
    """−ELBO 6088 (F-VI, affine) and 7232 (constant), without the constants ½ log 2π and log σ.

    Both depend on the data through Σ(x − x̄)² alone, and the two published values, to their
    rounding, name the same sum; the shipped data, of another seed, lie within their sampling error.
    """
    tau, sigma, n = 1.155, 2.43, 10_000
    bound = bind(Model(LINEAR), "models/data/linear.csv")
    spread = ((bound.known["x"] - bound.known["x"].mean()) ** 2).sum()
    constant = foretell(LINEAR, "models/data/linear.csv", function="constant")
    affine = foretell(LINEAR, "models/data/linear.csv", inputs=["x[n]"], function="affine")
    assert affine.gap == pytest.approx(0, abs=1e-7)
    loss = _loss(bound) - 0.5 * n * np.log(2 * np.pi) - n * np.log(sigma)
    published = (7232 - 6088) / constant.gap * spread
    implied = loss + (published - spread) / (2 * (sigma**2 + tau**2))
    assert implied == pytest.approx(6088, abs=0.5 + sigma**2 / tau**2)
    assert loss == pytest.approx(6088, abs=3 * np.sqrt(n / 2))
    assert loss + constant.gap == pytest.approx(7232, abs=3 * np.sqrt(n / 2) * 1.23)


@pytest.mark.parametrize(("size", "gap"), [(2, 0.0714), (5, 0.3448), (20, 1.8269), (100, 9.8214)])
def test_reuse_of_the_linear_model(size, gap):
    values = {"N": size, "tau": 1, "sigma": 1}
    found = foretell(PROPER_LINEAR, values=values, regime="reuse", inputs=["x[n]"])
    assert found.kind == "exact"
    assert found.gap == pytest.approx(gap, abs=5e-5)
    both = foretell(PROPER_LINEAR, values=values, regime="reuse", inputs=["x[n]", "mean(x)"])
    assert (both.gap, both.kind) == (0.0, "exact")


@pytest.mark.parametrize(
    ("inputs", "function", "objective"),
    [(["x[n]"], "affine", 892.634), (["x[n]"], "polynomial:5", 884.330),
     ((), "constant", 2933.567), (["x[n-1]", "x[n]"], "affine", 553.014)],
)  # fmt: skip
def test_the_saw_series(inputs, function, objective):
    found = foretell(SAW, "models/data/saw.csv", inputs=inputs, function=function)
    assert found.kind == "exact"
    assert _saw_optimum() + found.gap == pytest.approx(objective, abs=1e-3)


def _saw_optimum():
    """−ELBO of F-VI without the constants ½ log 2π, as the reference counts it."""
    return _loss(bind(Model(SAW), "models/data/saw.csv")) - 0.5 * 999 * np.log(2 * np.pi)


def _loss(bound):
    """−ELBO of F-VI, normalised."""
    q, post = log_density(bound, joint=False), posterior(bound)
    peak = q.constant + 0.5 * post.linear @ post.mean
    entropy = 0.5 * (len(post.linear) * np.log(2 * np.pi) - np.log(q.precision.diagonal()).sum())
    return -(peak + entropy)


def test_the_saw_optimum():
    assert _saw_optimum() == pytest.approx(553.014, abs=1e-3)
    assert _saw_optimum() + 0.5 * 999 * np.log(2 * np.pi) == pytest.approx(1471.034, abs=1e-3)


def test_the_slip_in_the_published_matrix_is_caught():
    from avi_theory.errors import InputError

    slip = """
    index n = 1:N
    local z[n] ~ Flat()
    observed x[n] ~ Normal(z[n], 1)
    potential -z[n]**2 for n in 1:N
    potential {factor}*z[n]*z[n+1] for n in 1:N-1
    """
    data = {"x": np.ones(10)}
    with pytest.raises(InputError, match=r"not positive definite, and fails at z\["):
        foretell(slip.format(factor=2), data)
    assert foretell(slip.format(factor=1), data).approximation_gap > 0
