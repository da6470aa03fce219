"""Where the optimiser of an image's own factor begins, what it keeps, and when it says so."""

from __future__ import annotations

from dataclasses import replace

import torch

from avi_theory.vae.gaps import optimum as module
from avi_theory.vae.gaps.ascent import CONVERGED
from avi_theory.vae.gaps.problem import problem_of
from avi_theory.vae.likelihoods import Gaussian
from avi_theory.vae.posteriors import Diagonal

X = 4 * torch.sin(torch.tensor([[0.6], [0.45]], dtype=torch.float64))
PROBLEM = problem_of(lambda z: 4 * torch.sin(1.5 * z), Gaussian(1.0), X, 1)
"""Modes at 0.4 and 0.3 and again a turn of 4.2 further, where the prior is less."""


def start(mean):
    return Diagonal(torch.full_like(X, mean), torch.full_like(X, -3.0))


def test_the_prior_is_a_start_too():
    found = module.optimum(PROBLEM, start(4.6), seed=0)
    assert found.from_zero.all() and (found.q.mean.abs() < 2).all(), found.q.mean
    assert (found.start_spread > 1).all()
    near = module.optimum(PROBLEM, start(0.4), seed=0)
    assert not near.from_zero.any() and (near.status == CONVERGED).all()


def test_a_start_that_is_better_is_kept_and_no_optimum(monkeypatch):
    real, begin = module.ascend, start(0.9)

    def lost(*given, **options):
        found = real(*given, **options)
        return replace(found, theta=found.theta + 5)

    monkeypatch.setattr(module, "ascend", lost)
    found = module.optimum(PROBLEM, begin, seed=0)
    assert torch.equal(found.q.mean, begin.mean)
    assert torch.equal(found.q.log_variance, begin.log_variance)
    assert not found.from_zero.any()
    assert (found.gradient_norm > module.LARGEST_NORM).all() and (found.status != CONVERGED).all()
