"""Probabilistic PCA, factor analysis, the linear VAE: the ladder in closed form, a diagonal q.

With x | z ~ N(Wz + b, Ψ) and z ~ N(0, I): Λ = I + WᵀΨ⁻¹W, µ = Λ⁻¹WᵀΨ⁻¹(x − b), cov µ = I − Λ⁻¹.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory import predict

LOADINGS = [[1.0, 0.2], [0.8, 0.5], [0.3, 0.9], [0.1, 1.1], [0.6, 0.6]]
ROTATED = [[1.0, 0.0], [0.5, 0.0], [0.0, 0.9], [0.0, 1.1], [0.0, 0.3]]
TEXT = """
index n = 1:N
given W = {W}
given sigma = 0.7
local z[n] : R[2] ~ Normal(0, 1)
observed x[n] : R[5] ~ Normal(W @ z[n], sigma)
"""
NOISE = 0.49
PEOPLE = 7


def model(loadings):
    return Model(TEXT.format(W=loadings), N=PEOPLE)


def precision(loadings):
    w = np.array(loadings)
    return np.eye(2) + w.T @ w / NOISE


@pytest.mark.parametrize("loadings", [LOADINGS, ROTATED], ids=["oblique", "orthogonal"])
@pytest.mark.parametrize("regime", ["population", "reuse"])
def test_a_linear_encoder_is_optimal_and_the_diagonal_costs_the_rotation(loadings, regime):
    lam = precision(loadings)
    rotation = 0.5 * (np.log(np.diag(lam)).sum() - np.linalg.slogdet(lam)[1])
    found = predict(bind(model(loadings)), regime=regime, inputs=["x[n]"], function="affine")
    assert (found.gap, found.kind) == (0.0, "exact")
    assert found.latents == 2 * PEOPLE
    assert found.approximation_gap == pytest.approx(PEOPLE * rotation, abs=1e-10)
    assert bool(rotation < 1e-12) == (loadings is ROTATED)


def test_a_constant_encoder_costs_the_spread_of_the_means():
    lam = precision(LOADINGS)
    found = predict(bind(model(LOADINGS)), inputs=[], function="constant")
    assert found.kind == "exact"
    assert found.gap == pytest.approx(PEOPLE * (np.trace(lam) - 2) / 2, rel=1e-10)
    assert found.gap_per_latent == pytest.approx((np.trace(lam) - 2) / 4, rel=1e-10)


def test_the_constant_encoder_on_a_data_set():
    lam, w = precision(LOADINGS), np.array(LOADINGS)
    x = np.random.default_rng(3).normal(size=(PEOPLE, 5))
    found = predict(bind(model(LOADINGS), {"x": x}), inputs=[], function="constant")
    mu = np.linalg.solve(lam, w.T @ x.T / NOISE).T
    mu = mu - mu.mean(0)
    assert found.gap == pytest.approx(0.5 * np.einsum("nd,de,ne->", mu, lam, mu), rel=1e-10)
    affine = predict(bind(model(LOADINGS), {"x": x}), inputs=["x[n]"], function="affine")
    assert affine.gap == pytest.approx(0, abs=1e-10)


def test_the_mean_of_the_data_is_part_of_the_encoder():
    """The mean b of x as a flat global: q(b) is shared, and the encoder stays affine."""
    text = TEXT.format(W=LOADINGS).replace("W @ z[n]", "b + W @ z[n]")
    text = text.replace("local z", "global b ~ Normal(0, 3)\nlocal z")
    x = np.random.default_rng(4).normal(size=(PEOPLE, 5))
    found = predict(bind(Model(text), {"x": x}), inputs=["x[n]"], function="affine")
    assert found.kind == "exact" and found.gap == pytest.approx(0, abs=1e-10)
    assert found.approximation_gap > PEOPLE * 0.01


PARTS = """
index n = 1:N
given V = {V}, W = {W}
given s = 0.7, r = 1.1
local z[n] : R[2] ~ Normal(0, 1)
observed x[n] : R[2] ~ Normal(V @ z[n], s)
observed y[n] : R[3] ~ Normal(W @ z[n], r)
"""
V, W = np.array(LOADINGS[:2]), np.array(LOADINGS[2:])


def parts(**sizes):
    return Model(PARTS.format(V=V.tolist(), W=W.tolist()), **sizes)


def test_an_encoder_of_a_part_of_the_image_costs_what_the_rest_would_tell():
    """½ tr(Λ Cov(µ | x)) for each unit: all coordinates see the same, so the regression is best."""
    lam = np.eye(2) + V.T @ V / 0.7**2 + W.T @ W / 1.1**2
    gain = np.linalg.solve(lam, W.T) / 1.1**2
    seen = np.linalg.inv(np.eye(2) + V.T @ V / 0.7**2)
    rest = gain @ (W @ seen @ W.T + 1.1**2 * np.eye(3)) @ gain.T
    expected = 0.5 * np.trace(lam @ rest)
    for function in ("affine", "any"):
        found = predict(bind(parts(N=PEOPLE)), inputs=["x[n]"], function=function)
        assert found.kind == "exact"
        assert found.gap == pytest.approx(PEOPLE * expected, rel=1e-9)
    both = predict(bind(parts(N=PEOPLE)), inputs=["x[n]", "y[n]"], function="affine")
    assert (both.gap, both.kind) == (0.0, "exact")


def elbo(x, loadings, mean, log_sd):
    """Of independent Normals, from the definition: expected squares, and the entropy."""
    w, variance = np.array(loadings), np.exp(2 * log_sd)
    fit = ((x - mean @ w.T) ** 2).sum() + len(x) * ((w**2) @ variance).sum()
    energy = -0.5 * (fit / NOISE + x.size * np.log(2 * np.pi * NOISE))
    energy -= 0.5 * ((mean**2).sum() + len(x) * (variance.sum() + 2 * np.log(2 * np.pi)))
    return energy + len(x) * (log_sd.sum() + np.log(2 * np.pi * np.e))


def best(x, loadings, encode, start):
    """The largest ELBO over an encoder's parameters and one scale for each coordinate."""
    found = minimize(
        lambda u: -elbo(x, loadings, encode(u[2:]), u[:2]), start, options={"gtol": 1e-7}
    )
    return -found.fun


@pytest.mark.parametrize("loadings", [LOADINGS, ROTATED], ids=["oblique", "orthogonal"])
def test_the_ladder_by_maximising_the_elbo_itself(loadings):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(PEOPLE, 2)) @ np.array(loadings).T + 0.7 * rng.normal(size=(PEOPLE, 5))
    w = np.array(loadings)
    evidence = stats.multivariate_normal(np.zeros(5), w @ w.T + NOISE * np.eye(5)).logpdf(x).sum()
    free = best(x, loadings, lambda u: u.reshape(PEOPLE, 2), np.zeros(2 + 2 * PEOPLE))
    linear = best(x, loadings, lambda u: u[:2] + x @ u[2:].reshape(5, 2), np.zeros(2 + 12))
    nothing = best(x, loadings, lambda u: u[:2] + np.zeros((PEOPLE, 2)), np.zeros(4))
    bound = bind(model(loadings), {"x": x})
    affine = predict(bound, inputs=["x[n]"], function="affine")
    constant = predict(bound, inputs=[], function="constant")
    assert affine.approximation_gap == pytest.approx(evidence - free, abs=1e-6)
    assert affine.gap == pytest.approx(free - linear, abs=1e-6)
    assert constant.gap == pytest.approx(free - nothing, abs=1e-6)


def test_the_rotation_that_a_diagonal_factor_omits_is_the_whole_approximation_gap():
    """x has the same distribution under W and WR; in the eigenvectors of WᵀW nothing is lost."""
    w = np.array(LOADINGS)
    _, rotation = np.linalg.eigh(w.T @ w)
    plain = predict(bind(model(LOADINGS)), inputs=["x[n]"])
    turned = predict(bind(model((w @ rotation).tolist())), inputs=["x[n]"])
    assert plain.approximation_gap > 0.8
    assert turned.approximation_gap == pytest.approx(0, abs=1e-9)
