"""An encoder fitted to a fixed decoder: the affine one of a linear decoder has a closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from avi_theory.vae.gaps import refit as module
from avi_theory.vae.gaps.affine import affine_of
from avi_theory.vae.gaps.problem import problem_of
from avi_theory.vae.likelihoods import Gaussian
from avi_theory.vae.posteriors import Diagonal

D, PIXELS, COUNT = 2, 5, 40


@pytest.fixture
def task():
    """A linear decoder, images from it, and an affine encoder that knows nothing yet."""
    g = torch.Generator().manual_seed(1)
    weight = torch.randn(PIXELS, D, generator=g, dtype=torch.float64)
    x = torch.randn(COUNT, D, generator=g, dtype=torch.float64) @ weight.T
    x += 0.7 * torch.randn(COUNT, PIXELS, generator=g, dtype=torch.float64)
    encoder = nn.Linear(PIXELS, 2 * D, dtype=torch.float64)
    with torch.no_grad():
        for w in encoder.parameters():
            w.zero_()
    problem = problem_of(lambda z: z @ weight.T, Gaussian(0.7, learned=False), x, D)
    return encoder, lambda images: Diagonal(*encoder(images).chunk(2, -1)), problem


def total(problem, q):
    return float(affine_of(problem).elbo(q).sum())


def test_an_affine_encoder_reaches_the_closed_form(task):
    encoder, posterior, problem = task
    best = total(problem, affine_of(problem).optimum())
    with torch.no_grad():
        before = total(problem, posterior(problem.images))
    gain, evaluations = module.refit(encoder, posterior, problem)
    with torch.no_grad():
        after = total(problem, posterior(problem.images))
    assert best - before > 10
    assert best - after < 1e-6 * COUNT * D
    assert gain == pytest.approx(after - before, rel=0.02) and evaluations > 2


def test_the_gain_is_counted_on_noise_that_no_fit_saw(task, monkeypatch):
    encoder, posterior, problem = task
    used = []
    real = module.on_noise
    monkeypatch.setattr(module, "on_noise", lambda p, n: used.append(n) or real(p, n))
    monkeypatch.setattr(module, "_descend", lambda *_: None)
    module.refit(encoder, posterior, problem)
    before, fitted, after = used
    assert torch.equal(before, after)
    assert not any(torch.equal(a, b) for a in fitted for b in after)


def test_a_worse_fit_is_not_kept(task, monkeypatch):
    encoder, posterior, problem = task
    module.refit(encoder, posterior, problem)
    good = [w.detach().clone() for w in encoder.parameters()]
    monkeypatch.setattr(module, "_descend", lambda weights, *rest: weights[0].data.add_(1))
    gain, _ = module.refit(encoder, posterior, problem)
    assert gain == 0
    assert all(map(torch.equal, good, encoder.parameters()))
