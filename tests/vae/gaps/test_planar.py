"""Codes of one and two coordinates behind a curved decoder: all estimators equal a dense grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from avi_theory.vae.elbo import elbo, plug_in
from avi_theory.vae.gaps import bdmc
from avi_theory.vae.gaps.evidence import annealed, estimated
from avi_theory.vae.gaps.fresh import evaluate
from avi_theory.vae.gaps.optimum import optimum
from avi_theory.vae.gaps.problem import problem_of
from avi_theory.vae.gaps.quadrature import by_quadrature
from avi_theory.vae.likelihoods import Bernoulli
from avi_theory.vae.posteriors import Diagonal, standard

PIXELS, BATCH = 12, 4


@pytest.fixture(scope="module", params=[1, 2])
def curved(request):
    """A problem of d coordinates, a poor start and log p(x) on a grid of its own."""
    d, g = request.param, torch.Generator().manual_seed(11)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    a, c, bias = 1.5 * draw(d, 6), 1.5 * draw(6, PIXELS), draw(PIXELS)
    decoder = lambda z: torch.tanh(z @ a) @ c + bias  # noqa: E731
    light = Bernoulli().draw(decoder(draw(BATCH, d)), g)
    problem = problem_of(decoder, Bernoulli(), light, d)
    line = torch.linspace(-8, 8, 401, dtype=torch.float64)
    z = torch.cartesian_prod(*[line] * d).reshape(-1, 1, d)
    out, weight = decoder(z), standard(z) + d * np.log(16 / 400)
    joints = [Bernoulli().log_prob(out, light[k : k + 1]) + weight for k in range(BATCH)]
    exact = torch.logsumexp(torch.cat(joints, 1), 0)
    zero = torch.zeros(BATCH, d, dtype=torch.float64)
    return problem, Diagonal(zero + 0.5, zero - 1), exact


def test_quadrature_iwae_and_annealing_agree(curved):
    problem, begin, exact = curved
    found = optimum(problem, begin, seed=0)
    sampled = evaluate(problem, begin, found.q, seed=1)
    value, change = by_quadrature(problem, found.q)
    np.testing.assert_allclose(value, exact, atol=1e-5)
    assert (change < 1e-5).all()
    off = (sampled.iwae - exact).abs()
    assert (off <= 4 * sampled.iwae_error + 0.01).all(), (off, sampled.iwae_error)
    assert (sampled.best <= exact + 4 * sampled.best_error).all()
    assert (sampled.best - sampled.elbo > -4 * sampled.gap_error).all()
    ais = annealed(problem, found.q, temperatures=60, chains=12, seed=0)
    off = (ais["ais"] - exact).abs()
    assert (off <= 4 * ais["ais_standard_error"] + 0.05).all(), (off, ais["ais_standard_error"])
    chosen = estimated(problem, found.q, sampled, temperatures=9, chains=2, seed=0)
    assert chosen.method == "quadrature" and torch.equal(chosen.value, value)


def test_no_start_nearby_beats_the_optimum(curved):
    problem, begin, _ = curved
    found = optimum(problem, begin, seed=0)
    for k in range(4):
        g = torch.Generator().manual_seed(k)
        mean = found.q.mean + 0.2 * torch.randn(found.q.mean.shape, generator=g).double()
        v = found.q.log_variance + 0.3 * torch.randn(mean.shape, generator=g).double()
        other = evaluate(problem, Diagonal(mean, v), found.q, seed=7 + k)
        assert (other.best - other.elbo > -4 * other.gap_error - 2e-3).all()


def test_plug_in_is_not_the_elbo(curved):
    problem, begin, _ = curved
    q = optimum(problem, begin, seed=0).q
    flattering = plug_in(problem.decode, problem.likelihood, q, problem.images)
    honest = elbo(
        problem.decode, problem.likelihood, q, problem.images, draws=4000,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    sampled = evaluate(problem, q, q, seed=3)
    assert torch.equal(sampled.elbo, sampled.best) and (sampled.gap_error < 1e-6).all()
    noise = torch.hypot(honest.standard_error, sampled.elbo_error)
    assert ((honest.value - sampled.elbo).abs() < 4 * noise).all()
    assert ((flattering - honest.value).abs() > 10 * honest.standard_error).all()


def test_the_sandwich_closes():
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, PIXELS)).double()
    found = bdmc(decoder, Bernoulli(), 3, images=30, temperatures=60, chains=8, seed=1)
    assert found.upper - found.lower == pytest.approx(found.width)
    assert abs(found.width) < 0.1 and found.standard_error < 0.05
    short = bdmc(decoder, Bernoulli(), 3, images=30, temperatures=3, chains=2, seed=1)
    assert short.width > 3 * abs(found.width)
