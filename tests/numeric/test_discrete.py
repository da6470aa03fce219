"""Discrete models against enumeration and coordinate ascent in plain numpy."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from avi_theory import Model
from avi_theory.numeric import measure

CHAIN = """
index t = 1:T
given A = [[0.7, 0.3], [0.3, 0.7]]
given B = [[0.8, 0.2], [0.2, 0.8]]
local z[1] ~ Categorical([0.5, 0.5])
local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T
observed x[t] ~ Categorical(B[z[t]])
"""
STICKY = CHAIN.replace("0.7", "0.97").replace("0.3", "0.03")


def chain_optimum(x, stay, emit, starts=1, seed=0):
    """Coordinate ascent on q(z₁)…q(z_T), and log p(x) by enumeration of all sequences."""
    log_a = np.log([[stay, 1 - stay], [1 - stay, stay]])
    log_b = np.log([[emit, 1 - emit], [1 - emit, emit]])
    level = log_b[:, x].T.copy()
    level[0] += np.log(0.5)
    g, best = np.random.default_rng(seed), -np.inf
    for _ in range(starts):
        q = softmax(g.normal(size=level.shape), -1)
        for _ in range(300):
            for t in range(len(x)):
                s = level[t].copy()
                s += q[t - 1] @ log_a if t else 0
                s += log_a @ q[t + 1] if t + 1 < len(x) else 0
                q[t] = softmax(s)
        elbo = (q * level).sum() - (q * np.log(q)).sum()
        elbo += sum(q[t] @ log_a @ q[t + 1] for t in range(len(x) - 1))
        best = max(best, elbo)
    total = [
        sum(level[t, z[t]] for t in range(len(x)))
        + sum(log_a[z[t], z[t + 1]] for t in range(len(x) - 1))
        for z in itertools.product((0, 1), repeat=len(x))
    ]
    return best, logsumexp(total), q


SEQUENCES = ["00000010", "01010101", "00011110", "11111111"]


@pytest.mark.parametrize("text", SEQUENCES)
def test_chains_equal_coordinate_ascent_and_enumeration(text):
    x = np.array([int(c) for c in text])
    elbo, evidence, q = chain_optimum(x, 0.7, 0.8)
    found = measure(Model(CHAIN), {"x": x})
    assert found.fvi.status == "converged" and found.fvi.certified
    assert found.fvi.elbo == pytest.approx(elbo, abs=1e-9)
    assert found.log_evidence["value"] == pytest.approx(evidence, abs=1e-10)
    np.testing.assert_allclose(found.posterior().mean, q[:, 1], atol=1e-7)


def test_the_witness_of_a_spike_has_the_known_factors():
    """x = 00000010: q₄(0) = .9476 and q₅(0) = .9424 although both see the window 000."""
    found = measure(Model(CHAIN), {"x": np.array([0, 0, 0, 0, 0, 0, 1, 0])})
    p = found.posterior()
    assert p["z[4]"]["probabilities"][0] == pytest.approx(0.9476, abs=5e-5)
    assert p["z[5]"]["probabilities"][0] == pytest.approx(0.9424, abs=5e-5)


def test_a_sticky_chain_is_not_certified_and_finds_the_best_of_many_starts():
    x = np.array([0, 0, 1, 0, 1, 1, 0, 1])
    elbo, evidence, _ = chain_optimum(x, 0.97, 0.8, starts=12)
    found = measure(Model(STICKY), {"x": x})
    assert not found.fvi.certified
    assert found.fvi.starts > 1 and found.fvi.spread > 0
    assert found.fvi.elbo == pytest.approx(elbo, abs=1e-8)
    assert found.fvi.elbo < evidence


def test_responsibilities_of_a_mixture_with_known_means_are_exact():
    """Independent discrete locals: q is the posterior, and the ELBO is log p(x)."""
    text = """
    index n = 1:N
    given m = [-1.0, 0.5, 3.0]
    local c[n] ~ Categorical([0.2, 0.3, 0.5])
    observed x[n] ~ Normal(m[c[n]], 0.7)
    """
    x = np.random.default_rng(0).normal(size=12)
    found = measure(Model(text), {"x": x}, inputs=["x[n]"], function="affine")
    log_p = np.log([0.2, 0.3, 0.5]) - 0.5 * ((x[:, None] - [-1.0, 0.5, 3.0]) / 0.7) ** 2
    log_p -= np.log(0.7) + 0.5 * np.log(2 * np.pi)
    assert found.fvi.elbo == pytest.approx(logsumexp(log_p, -1).sum(), abs=1e-9)
    assert found.avi.elbo == pytest.approx(found.fvi.elbo, abs=1e-9)
    probabilities = np.stack([found.posterior()[f"c[{n + 1}]"]["probabilities"] for n in range(12)])
    np.testing.assert_allclose(probabilities, softmax(log_p, -1), atol=1e-9)


def test_coupled_discrete_and_continuous_latents():
    """Factorial switches: E over a category that multiplies, by exact sums."""
    text = """
    index n = 1:N
    global w ~ Normal(1, 1)
    local b[n] ~ Bernoulli(0.3)
    local c[n] ~ Categorical([0.2, 0.3, 0.5])
    observed x[n] ~ Normal(w*b[n]*c[n], 1)
    """
    x = np.array([0.1, 2.2, -0.4, 1.9, 0.8])
    found = measure(Model(text), {"x": x}, starts=6)
    m, v, best = 1.0, 0.1, -np.inf
    g = np.random.default_rng(1)
    for _ in range(20):
        m, v = g.normal(1, 1), 0.2
        b, c = softmax(g.normal(size=(5, 2)), -1), softmax(g.normal(size=(5, 3)), -1)
        for _ in range(500):
            product = np.multiply.outer(np.arange(2), np.arange(3))[None]
            fit = -0.5 * ((x[:, None, None] - m * product) ** 2 + v * product**2)
            b = softmax(np.log([0.7, 0.3]) + np.einsum("nbc,nc->nb", fit, c), -1)
            c = softmax(np.log([0.2, 0.3, 0.5]) + np.einsum("nbc,nb->nc", fit, b), -1)
            weight = np.einsum("nb,nc->nbc", b, c)
            v = 1 / (1 + (weight * product**2).sum())
            m = v * (1 + (weight * product * x[:, None, None]).sum())
        fit = -0.5 * ((x[:, None, None] - m * product) ** 2 + v * product**2 + np.log(2 * np.pi))
        elbo = (weight * fit).sum() + (b * (np.log([0.7, 0.3]) - np.log(b))).sum()
        elbo += (c * (np.log([0.2, 0.3, 0.5]) - np.log(c))).sum()
        elbo += -0.5 * ((m - 1) ** 2 + v) + 0.5 * np.log(v) + 0.5
        best = max(best, elbo)
    assert found.fvi.elbo == pytest.approx(best, abs=1e-8)
