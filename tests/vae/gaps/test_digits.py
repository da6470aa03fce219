"""The whole of vae_gaps and the sandwich on scikit-learn's digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from avi_theory.vae import Bernoulli, dense, dense_decoder, elbo, posterior_of, vae_gaps
from avi_theory.vae.gaps import Settings


@pytest.fixture(scope="module")
def trained():
    """An encoder and a decoder after 40 epochs, their training images and the others."""
    pixels = torch.as_tensor(load_digits().data > 8).float()
    training, rest = pixels[:-200], pixels[-200:]
    encoder = dense((64,), 10, hidden=(64,), seed=0)
    decoder = dense_decoder(10, (64,), hidden=(64,), seed=1)
    generator = torch.Generator().manual_seed(0)
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3)
    for _ in range(40):
        for x in training[torch.randperm(len(training), generator=generator)].split(100):
            q = posterior_of(encoder, x)
            loss = -elbo(decoder, Bernoulli(), q, x, draws=1, generator=generator).value.mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    return encoder, decoder, training, rest


@pytest.mark.long
def test_gaps_of_digits_are_unflagged_and_the_sandwich_closes(trained):
    encoder, decoder, training, rest = trained
    found = vae_gaps(encoder, decoder, rest[:60], training_images=training[:60], sandwich=60)
    columns = found.per_image
    assert not columns["flag"].any() and not found.unconverged
    assert (columns["elbo_standard_error"] <= 0.02).all()
    assert np.median(columns["amortization_gap"]) > 0.05
    assert np.mean(columns["plug_in"] - columns["elbo"]) > 0.5
    value, error = found.generalization
    assert value > -3 * error
    assert abs(found.sandwich.width) < 0.1, found.sandwich


def test_the_standard_errors_are_the_spread_over_seeds(trained):
    """Root mean squares over 15 images; 12 seeds tell a spread to about a tenth."""
    encoder, decoder, _, rest = trained
    runs = [
        vae_gaps(encoder, decoder, rest[:15], settings=Settings(temperatures=0), seed=k).per_image
        for k in range(12)
    ]
    for name in ("elbo", "elbo_optimum", "amortization_gap", "log_evidence", "approximation_gap"):
        spread = np.std([r[name] for r in runs], axis=0, ddof=1)
        told = np.mean([np.square(r[f"{name}_standard_error"]) for r in runs], axis=0)
        ratio = np.sqrt(np.mean(spread**2) / np.mean(told))
        assert 0.7 < ratio < 1.4, (name, ratio)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_an_accelerator_gives_the_processors_gaps(trained):
    encoder, decoder, _, rest = trained
    effort = Settings(temperatures=20)
    here, there = (
        vae_gaps(encoder.to(d), decoder.to(d), rest[:15].to(d), settings=effort, device=d)
        for d in ("cpu", "cuda")
    )
    for name in ("elbo", "elbo_optimum", "log_evidence"):
        error = np.hypot(
            *(g.per_image[f"{name}_standard_error"] for g in (here, there))
        )  # fmt: skip
        off = np.abs(here.per_image[name] - there.per_image[name])
        assert (off <= 5 * error + 0.02).all(), name
