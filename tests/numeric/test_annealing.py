"""Annealed importance sampling against Gaussian evidence, from below and from above."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from avi_theory.errors import InputError
from avi_theory.numeric import annealing
from avi_theory.numeric.annealing import Normal, anneal, anneal_back, linear, pilot, sigmoidal
from avi_theory.numeric.annealing.answer import log_mean
from avi_theory.numeric.annealing.transition import Bridge

BATCH, D, OUT, CHAINS = 5, 3, 4, 16


@pytest.fixture(scope="module")
def gaussian():
    """x = Wz + N(0, s²), another x per batch element: log joint, prior, log p(x), z that made x."""
    generator = torch.Generator().manual_seed(3)
    w = torch.randn(OUT, D, generator=generator, dtype=torch.float64)
    z = torch.randn(BATCH, D, generator=generator, dtype=torch.float64)
    s, eye = 0.4, torch.eye(OUT, dtype=torch.float64)
    x = z @ w.T + s * torch.randn(BATCH, OUT, generator=generator, dtype=torch.float64)
    start = Normal.standard(BATCH, D, like=z)

    def joint(at):
        level = -0.5 * (((x - at @ w.T) / s) ** 2).sum(-1) - OUT * math.log(s * math.sqrt(math.tau))
        return level + start.log_density(at)

    gain = w.T @ torch.linalg.inv(w @ w.T + s**2 * eye)
    cov = torch.eye(D, dtype=torch.float64) - gain @ w
    noise = torch.randn(CHAINS, BATCH, D, generator=generator, dtype=torch.float64)
    posterior = x @ gain.T + noise @ torch.linalg.cholesky(cov).T
    exact = torch.distributions.MultivariateNormal(eye[0] * 0, w @ w.T + s**2 * eye)
    return joint, start, exact.log_prob(x), z, posterior


@pytest.mark.parametrize("schedule", [linear(120), sigmoidal(120)], ids=["linear", "sigmoidal"])
def test_both_directions_meet_gaussian_evidence(gaussian, schedule):
    joint, start, exact, _, posterior = gaussian
    low = anneal(joint, start, schedule=schedule, chains=CHAINS, seed=1)
    high = anneal_back(joint, start, posterior, schedule=schedule, chains=CHAINS, seed=1)
    assert (low.bound, high.bound) == ("lower", "upper")
    for found in (low, high):
        off = (found.log_evidence - exact).abs()
        assert (off < 4 * found.standard_error + 0.02).all(), (off, found.standard_error)
        assert found.standard_error.median() < 0.4
        assert ((found.acceptance > 0.5) & (found.acceptance < 0.85)).all(), found.acceptance
    assert (low.effective_samples > 4).all()


def test_one_shared_exact_draw_bounds_from_above(gaussian):
    joint, start, exact, z, _ = gaussian
    high = anneal_back(joint, start, z, schedule=30, chains=4, seed=1)
    assert (high.log_evidence - exact).mean() > 0


def test_mean_weight_is_unbiased_even_with_few_distributions(gaussian):
    joint, start, exact, _, _ = gaussian
    found = anneal(joint, start, schedule=12, chains=4000, seed=5)
    share = (found.log_weights - exact).exp()
    error = share.std(0) / math.sqrt(len(share))
    assert ((share.mean(0) - 1).abs() < 4 * error).all(), (share.mean(0), error)
    assert (found.log_weights.mean(0) < exact).all()


def test_a_start_at_the_target_gives_its_constant_exactly(gaussian):
    _, start, _, _, _ = gaussian
    found = anneal(lambda z: start.log_density(z) + 2.5, start, schedule=5, chains=3)
    assert torch.allclose(found.log_evidence, torch.full((BATCH,), 2.5, dtype=torch.float64))
    assert (found.standard_error < 1e-9).all()


def test_same_seed_same_numbers_and_another_seed_others(gaussian):
    joint, start, _, _, _ = gaussian
    runs = [anneal(joint, start, schedule=12, chains=2, seed=s).log_weights for s in (4, 4, 5)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_steps_follow_the_width_of_each_batch_element():
    sd = torch.tensor([[1.0, 1.0], [0.01, 0.01]], dtype=torch.float64)
    start, narrow = Normal.standard(2, 2, like=sd), Normal(torch.zeros_like(sd), sd)
    bridge = Bridge(narrow.log_density, start, torch.ones_like(sd), 10)
    steps = pilot(bridge, linear(400), torch.Generator().manual_seed(0)).at(1.0)
    assert steps[1] < 0.1 * steps[0]
    scaled = dataclasses.replace(bridge, scale=sd)
    again = pilot(scaled, linear(400), torch.Generator().manual_seed(0)).at(1.0)
    assert again[1] > 10 * steps[1]


def test_a_single_heavy_chain_shows_in_the_error():
    level = torch.zeros(10, 1, dtype=torch.float64)
    level[0] = 30.0
    value, error, size = log_mean(level)
    assert value.item() == pytest.approx(30 - math.log(10))
    assert error.item() > 20 and size.item() == pytest.approx(1)


def test_a_density_that_is_not_finite_is_refused(gaussian):
    _, start, _, _, _ = gaussian

    def half(z):
        level = start.log_density(z)
        return torch.where(z[..., 0] > 0, level, level - torch.inf)

    found = anneal(half, start, schedule=9, chains=4)
    assert not torch.isnan(found.acceptance).any()


def test_unusable_arguments_are_named(gaussian):
    joint, start, _, z, _ = gaussian
    with pytest.raises(InputError, match="from 0 to 1"):
        anneal(joint, start, schedule=torch.tensor([0.0, 0.5]))
    with pytest.raises(InputError, match="at least 2"):
        anneal(joint, start, schedule=1)
    with pytest.raises(InputError, match="at least one chain"):
        anneal_back(joint, start, z, chains=0)
    with pytest.raises(InputError, match="log density of the target has shape"):
        anneal(lambda z: joint(z).sum(0), start, schedule=3, chains=2)
    with pytest.raises(InputError, match="scale has shape"):
        anneal(joint, start, schedule=3, scale=torch.ones(2))
    assert annealing.linear(2).tolist() == [0.0, 1.0]
