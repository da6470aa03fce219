"""Flows per image: exact densities, and optima that no diagonal Gaussian reaches."""

from __future__ import annotations

import numpy as np
import torch

from avi_theory.vae import FlowEncoder, dense, vae_gaps
from avi_theory.vae.gaps import Settings
from avi_theory.vae.gaps.flow import Flow
from avi_theory.vae.gaps.flow_optimum import flow_optimum
from avi_theory.vae.gaps.optimum import optimum
from avi_theory.vae.gaps.problem import problem_of
from avi_theory.vae.likelihoods import Gaussian
from avi_theory.vae.posteriors import Diagonal


def start(batch, d):
    zero = torch.zeros(batch, d, dtype=torch.float64)
    return Diagonal(zero + 0.3, zero - 0.7)


def test_a_flow_starts_as_its_gaussian_and_its_density_is_the_jacobians():
    g = torch.Generator().manual_seed(0)
    q = start(2, 3)
    flow = Flow.at(q, g)
    noise = torch.randn(5, 2, 3, generator=g, dtype=torch.float64)
    z, log_q = flow.push(noise)
    torch.testing.assert_close(z, q.at(noise))
    torch.testing.assert_close(log_q, q.log_prob(z))
    parts = [p + 0.5 * torch.randn(p.shape, generator=g).double() for p in flow.parts()]
    bent = Flow.of(tuple(parts))
    z, log_q = bent.push(noise)
    for k in range(2):
        one = Flow.of(tuple(p[k : k + 1] for p in parts))
        slope = torch.autograd.functional.jacobian(
            lambda e, f=one: f.push(e)[0].sum(), noise[:1, :1]
        )
        assert torch.isfinite(slope).all()
        full = torch.autograd.functional.jacobian(
            lambda e, f=one: f.push(e.view(1, 1, 3))[0].view(3), noise[0, k]
        )
        level = torch.distributions.Normal(0.0, 1.0).log_prob(noise[0, k]).sum()
        torch.testing.assert_close(log_q[0, k], level - torch.linalg.slogdet(full)[1])


def test_a_flow_closes_the_gap_of_a_correlated_posterior():
    g = torch.Generator().manual_seed(1)
    w = torch.tensor([[2.0, 1.8], [0.1, 0.2], [1.0, 1.1]], dtype=torch.float64)
    x = torch.randn(3, 3, generator=g, dtype=torch.float64)
    problem = problem_of(lambda z: z @ w.T, Gaussian(0.5), x, 2)
    exact = torch.distributions.MultivariateNormal(
        torch.zeros(3, dtype=w.dtype), w @ w.T + 0.25 * torch.eye(3)
    ).log_prob(x)
    diagonal = optimum(problem, start(3, 2), seed=0).q
    found = flow_optimum(problem, diagonal, seed=0, least=1000, most=2000, enough=0.02, steps=240)
    off = exact - found.elbo
    assert ((off > -4 * found.standard_error) & (off < 0.05)).all(), off
    precision = torch.eye(2) + 4 * w.T @ w
    gap = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))
    assert gap > 10 * off.max()  # what a diagonal Gaussian must leave


def test_a_flow_encoder_has_gaps_too():
    light = (torch.rand(3, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    encoder = FlowEncoder(dense((8,), 2, hidden=(6,)), hidden=(6,))
    few = Settings(draws=1000, most_draws=2000, flow=True)
    found = vae_gaps(encoder, torch.nn.Linear(2, 8), light, settings=few)
    assert not found.per_image["flag"].any() and "plug_in" not in found.per_image
    gain, best = found.per_image["flow_gain"], found.per_image["elbo_optimum"]
    np.testing.assert_allclose(gain, found.per_image["elbo_flow"] - best)
    assert (gain > -0.1).all()
    assert found.methods["elbo"] == "fresh samples" and "elbo_flow" in found.summary()
