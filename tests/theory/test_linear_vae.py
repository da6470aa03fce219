"""Probabilistic PCA, factor analysis, the linear VAE: the ladder in closed form, a diagonal q.

With x | z ~ N(Wz + b, Ψ) and z ~ N(0, I): Λ = I + WᵀΨ⁻¹W, µ = Λ⁻¹WᵀΨ⁻¹(x − b), cov µ = I − Λ⁻¹.
"""

from __future__ import annotations

import numpy as np
import pytest

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
