"""Likelihoods, posteriors and bounds, against torch.distributions and a closed form."""

import math

import pytest
import torch
from torch import distributions as d
from torch import nn

from avi_theory.errors import DataError, InputError
from avi_theory.vae import (
    Bernoulli,
    Categorical,
    Diagonal,
    Gaussian,
    elbo,
    iwae,
    likelihood_of,
    plug_in,
    posterior_of,
)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def cases():
    g = torch.Generator().manual_seed(1)
    out = torch.randn(3, 5, 2, 4, generator=g, dtype=torch.float64)
    logits = torch.randn(3, 5, 2, 4, 6, generator=g, dtype=torch.float64)
    dark = torch.randint(0, 2, (5, 2, 4), generator=g).double()
    real = torch.randn(5, 2, 4, generator=g, dtype=torch.float64)
    level = torch.randint(0, 6, (5, 2, 4), generator=g).double()
    return {
        "bernoulli": (Bernoulli(), out, dark, d.Bernoulli(logits=out)),
        "gaussian": (Gaussian(0.3), out, real, d.Normal(out, 0.3)),
        "categorical": (Categorical(6), logits, level, d.Categorical(logits=logits)),
    }


@pytest.mark.parametrize("name", cases())
def test_likelihoods_equal_torch(name, rng):
    ours, output, images, theirs = cases()[name]
    ours.check(images)
    expected = theirs.log_prob(images).sum((-1, -2))
    torch.testing.assert_close(ours.log_prob(output, images), expected, rtol=1e-6, atol=1e-6)
    flat = output.flatten(2, 3)
    torch.testing.assert_close(ours.log_prob(flat, images), expected, rtol=1e-6, atol=1e-6)
    drawn = ours.draw(output, rng)
    assert drawn.shape == (3, 5, 2, 4)
    ours.check(drawn.flatten(0, 1))


def test_draws_follow_the_density(rng):
    for ours, output, _, theirs in cases().values():
        many = torch.stack([ours.draw(output, rng) for _ in range(2000)])
        if isinstance(theirs, d.Categorical):
            expected = (theirs.probs * torch.arange(6)).sum(-1)
        else:
            expected = theirs.mean
        error = many.std(0) / math.sqrt(len(many)) + 1e-9
        assert float(((many.mean(0) - expected).abs() / error).max()) < 5


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("bernouli", {}, "bernoulli"),
        ("gaussian", {}, "scale=0.1"),
        ("gaussian", {"scale": -1.0}, "not positive"),
        ("bernoulli", {"scale": 1.0}, "no scale"),
        ("categorical", {}, "levels=256"),
        ("categorical", {"levels": 1}, "levels"),
    ],
)
def test_unknown_likelihoods(name, options, words):
    with pytest.raises(InputError, match=words):
        likelihood_of(name, **options)


@pytest.mark.parametrize(
    ("likelihood", "images", "words"),
    [
        (Bernoulli(), torch.full((2, 3), 7.0), "from 7 to 7"),
        (Gaussian(1.0), torch.tensor([[0.0], [math.nan]]), "1 of 2 images"),
        (Categorical(4), torch.full((2, 3), 0.5), "fractions"),
        (Categorical(4), torch.full((2, 3), 4.0), "0 to 3"),
        (Bernoulli(), torch.zeros(0, 3), "shape"),
    ],
)
def test_images_out_of_range(likelihood, images, words):
    with pytest.raises(DataError, match=words):
        likelihood.check(images)


def test_outputs_of_another_shape():
    with pytest.raises(InputError, match=r"\[4, 5, 7\] for images \[5, 8\]"):
        Bernoulli().log_prob(torch.zeros(4, 5, 7), torch.zeros(5, 8))


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        (lambda x: x, "one output"),
        (lambda x: (x, x, x), "3 outputs"),
        (lambda x: (x, x[:, :2]), r"\[4, 2\]"),
        (lambda x: (x[:2], x[:2]), "4 images"),
        (lambda x: (x, x / 0), "log variance is NaN or infinite"),
        (lambda x: (x.numpy(), x), "ndarray"),
    ],
)
def test_encoders_that_are_none(encoder, words):
    with pytest.raises(InputError, match=words):
        posterior_of(encoder, torch.ones(4, 3))


def linear(rng):
    """A linear decoder, its exact posterior and evidence, and a worse q."""
    n, k, s = 6, 2, 0.7
    w = torch.randn(n, k, generator=rng, dtype=torch.float64)
    images = torch.randn(5, n, generator=rng, dtype=torch.float64)
    precision = torch.eye(k, dtype=torch.float64) + w.T @ w / s**2
    marginal = d.MultivariateNormal(
        torch.zeros(n, dtype=torch.float64),
        w @ w.T + s**2 * torch.eye(n, dtype=torch.float64),
    )
    mean = torch.linalg.solve(precision, (images @ w / s**2).T).T
    best = Diagonal(mean, -precision.diagonal().log().expand(5, k))
    full = d.MultivariateNormal(mean, precision_matrix=precision.expand(5, k, k))
    return (lambda z: z @ w.T), Gaussian(s).double(), images, best, full, marginal


def test_elbo_and_iwae_of_a_linear_decoder(rng):
    decoder, likelihood, images, best, full, marginal = linear(rng)
    evidence = marginal.log_prob(images)
    normal = d.Independent(d.Normal(best.mean, (0.5 * best.log_variance).exp()), 1)
    exact = evidence - d.kl_divergence(
        d.MultivariateNormal(normal.mean, torch.diag_embed(normal.variance)), full
    )
    sampled = elbo(decoder, likelihood, best, images, draws=4000, generator=rng, rows=9000)
    assert bool(((sampled.value - exact).abs() < 4 * sampled.standard_error).all())
    torch.testing.assert_close(
        best.divergence(),
        d.kl_divergence(normal, d.Independent(d.Normal(torch.zeros(5, 2), torch.ones(5, 2)), 1)),
        check_dtype=False,
    )

    class Sampled:  # the same q without its closed form
        sample = best.sample

    blind = elbo(decoder, likelihood, Sampled(), images, draws=4000, generator=rng)
    assert bool(((blind.value - exact).abs() < 4 * blind.standard_error).all())
    tight = iwae(decoder, likelihood, best, images, draws=20_000, generator=rng)
    assert bool(((tight.value - evidence).abs() < 4 * tight.standard_error + 1e-9).all())
    once = elbo(decoder, likelihood, best, images, draws=1, generator=rng)
    assert bool(once.standard_error.isnan().all())


def test_the_plug_in_value_flatters(rng):
    decoder, likelihood, images, best, _, marginal = linear(rng)
    sampled = elbo(decoder, likelihood, best, images, draws=4000, generator=rng)
    flattered = plug_in(decoder, likelihood, best, images)
    assert bool((flattered > sampled.value + 10 * sampled.standard_error).all())
    assert bool((flattered > marginal.log_prob(images)).all())


def test_a_module_with_its_own_posterior():
    class Own(nn.Module):
        def posterior(self, images):
            return Diagonal(images, images * torch.nan)

    with pytest.raises(InputError, match="NaN"):
        posterior_of(Own(), torch.ones(2, 3))
