"""An affine decoder with Gaussian pixels: every rung equals its closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from avi_theory.vae import vae_gaps
from avi_theory.vae.gaps import Settings
from avi_theory.vae.gaps.affine import affine_of
from avi_theory.vae.gaps.evidence import estimated
from avi_theory.vae.gaps.fresh import evaluate
from avi_theory.vae.gaps.optimum import optimum
from avi_theory.vae.gaps.problem import problem_of
from avi_theory.vae.likelihoods import Gaussian
from avi_theory.vae.posteriors import Diagonal

D, PIXELS, SCALE, BATCH = 3, 8, 0.5, 6


@pytest.fixture(scope="module")
def linear():
    """W, b, images and a wrong encoder's mean and log variance."""
    g = torch.Generator().manual_seed(2)
    w = torch.randn(PIXELS, D, generator=g, dtype=torch.float64)
    b = torch.randn(PIXELS, generator=g, dtype=torch.float64)
    z = torch.randn(BATCH, D, generator=g, dtype=torch.float64)
    x = z @ w.T + b + SCALE * torch.randn(BATCH, PIXELS, generator=g, dtype=torch.float64)
    v = torch.full((BATCH, D), -2.0, dtype=torch.float64)
    return w, b, x.view(BATCH, 2, 4), Diagonal(0.8 * z, v)


def by_hand(w, b, x, q):
    """ELBO, best ELBO and evidence by Kullback-Leibler divergences to the exact posterior."""
    w, b, x = w.numpy(), b.numpy(), x.numpy().reshape(len(x), -1)
    precision = np.eye(D) + w.T @ w / SCALE**2
    cov = np.linalg.inv(precision)
    evidence = multivariate_normal(b, w @ w.T + SCALE**2 * np.eye(PIXELS)).logpdf(x)
    mean = (x - b) @ w @ cov / SCALE**2

    def kl(m, v):
        off = m - mean
        quadratic = (off @ precision * off).sum(1) + (v * np.diag(precision)).sum(1)
        return 0.5 * (quadratic - D - np.log(v).sum(1) - np.linalg.slogdet(precision)[1])

    best = np.broadcast_to(1 / np.diag(precision), mean.shape)
    given = kl(q.mean.numpy(), q.log_variance.exp().numpy())
    return evidence - given, evidence - kl(mean, best), evidence


def test_every_rung_is_exact(linear):
    w, b, x, q = linear
    decoder = lambda z: (z @ w.T + b).view(*z.shape[:-1], 2, 4)  # noqa: E731
    found = vae_gaps(
        lambda images: (q.mean, q.log_variance), decoder, x, likelihood="gaussian", scale=SCALE
    )
    assert found.methods == {"elbo": "exact", "elbo_optimum": "exact", "log_evidence": "exact"}
    elbo, best, evidence = by_hand(w, b, x, q)
    for name, exact in (("elbo", elbo), ("elbo_optimum", best), ("log_evidence", evidence)):
        np.testing.assert_allclose(found.per_image[name], exact, atol=1e-6, err_msg=name)
        assert not found.per_image[f"{name}_standard_error"].any()
    assert not found.per_image["flag"].any() and (found.per_image["amortization_gap"] > 0).all()


def test_the_sampled_way_agrees_with_the_closed_form(linear):
    w, b, x, q = linear
    problem = problem_of(lambda z: z @ w.T + b, Gaussian(SCALE), x, D)
    elbo, best, evidence = (torch.as_tensor(v) for v in by_hand(w, b, x, q))
    found = optimum(problem, q, seed=3)
    closed = affine_of(problem)
    # Balanced noise has the moments of a quadratic: the optimum itself is exact, not only near.
    assert (best - closed.elbo(found.q)).abs().max() < 2e-3
    assert (found.gradient_norm < 0.1).all() and (found.status == 0).all()
    sampled = evaluate(problem, q, found.q, seed=4)
    for value, error, exact in (
        (sampled.elbo, sampled.elbo_error, elbo),
        (sampled.best, sampled.best_error, closed.elbo(found.q)),
        (sampled.iwae, sampled.iwae_error, evidence),
    ):
        assert ((value - exact).abs() <= 4 * error + 1e-3).all(), (value - exact, error)
    assert (torch.maximum(sampled.elbo_error, sampled.best_error) <= 0.02).all()
    gap = sampled.best - sampled.elbo - (closed.elbo(found.q) - elbo)
    assert (gap.abs() <= 4 * sampled.gap_error + 1e-3).all()
    annealed = estimated(problem, found.q, sampled, temperatures=60, chains=12, seed=0)
    off = (annealed.columns["ais"] - evidence).abs()
    assert (off <= 4 * annealed.columns["ais_standard_error"] + 0.05).all()


def test_a_decoder_that_bends_far_away_is_not_affine(linear):
    w, b, x, _ = linear
    for kink, affine in ((lambda o: o, True), (lambda o: o.clamp(max=30.0), False)):
        problem = problem_of(lambda z, k=kink: k(z @ w.T + b), Gaussian(SCALE), x, D)
        assert (affine_of(problem) is not None) is affine


def test_two_runs_agree_and_seeds_matter(linear):
    w, b, x, q = linear
    some = {"settings": Settings(temperatures=5, chains=2, draws=1000), "likelihood": "bernoulli"}
    light = (x > 0).double()
    run = lambda seed: vae_gaps(  # noqa: E731
        lambda _: (q.mean, q.log_variance), lambda z: z @ w.T + b, light, seed=seed, **some
    )
    first, again, other = run(1), run(1), run(2)
    for name, column in first.per_image.items():
        np.testing.assert_array_equal(column, again.per_image[name], err_msg=name)
    assert (first.per_image["elbo"] != other.per_image["elbo"]).all()
    assert first.provenance["seed"] == 1
