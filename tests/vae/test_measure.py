"""A VAE in the notation and the laboratory are one thing."""

from __future__ import annotations

import numpy as np
import pytest

from avi_theory import Model, check, compare, load, predict
from avi_theory.errors import InputError
from avi_theory.spec.bound import bind
from avi_theory.vae.declared import declared
from avi_theory.vae.measure import measure_declared

TEXT = """
index n = 1:N
network f : R[2] -> R[6]
local z[n] : R[2] ~ Normal(0, 1)
observed x[n] : R[6] ~ {density}
"""
BINARY = "Bernoulli(logit=f(z[n]))"


def images(count=60):
    draw = np.random.default_rng(0)
    kind = draw.integers(0, 2, count)
    return (draw.random((count, 6)) < np.where(kind[:, None] == 1, 0.9, 0.2)).astype(float)


def fit(density=BINARY, function="mlp:8", **options):
    model = Model(TEXT.format(density=density))
    bound = bind(model, {"x": images()})
    return measure_declared(bound, function=function, epochs=30, **options)


@pytest.fixture(scope="module")
def found():
    return fit(holdout=bind(Model(TEXT.format(density=BINARY)), {"x": images(20)}))


def test_the_ladder_stands_in_order(found):
    noise = 4 * found.standard_error + 1e-3
    assert found.gap > -noise
    assert found.log_evidence["value"] > found.fvi.elbo - noise
    assert found.latents == 120
    assert found.fvi.status == "converged"
    assert found.avi.inputs == ("x[n]",)
    assert found.holdout["latents"] == 40


def test_training_pays(found):
    """A few epochs are better than none, by the sampled ELBO."""
    raw = fit(function="mlp:8", seed=1).avi.elbo
    assert raw > 60 * 6 * np.log(0.5)


def test_the_encoder_is_taken_to_its_own_optimum():
    """With as much freedom as images, it leaves next to nothing: the gap is one of capacity."""
    model, few = Model(TEXT.format(density=BINARY)), {"x": np.unique(images(), axis=0)[:8]}
    wide, narrow = (
        measure_declared(bind(model, few), function=f, epochs=30) for f in ("mlp:32", "mlp:1")
    )
    assert wide.gap < 1e-3 * wide.latents + 2 * wide.standard_error
    assert narrow.gap > 10 * (wide.gap + wide.standard_error)
    assert "nats gained" in wide.avi.message


def test_an_adaptive_encoder_and_gaussian_pixels():
    assert np.isfinite(fit("Normal(f(z[n]), 0.5)", "hyper:8").gap)


def test_the_gallery_model_is_read_and_closes():
    model = load("vae_digits")
    what = declared(model)
    assert (what.codes, what.pixels, what.likelihood, what.hidden) == (8, 64, "bernoulli", (64,))
    assert check(model, witness=False).simple_hierarchical
    assert predict(model).gap == 0


@pytest.mark.long
def test_the_gallery_model_is_compared():
    found = compare(load("vae_digits"), holdout=0.2)
    assert found.amortization.outcome in {"agrees", "bound_respected"}
    rungs = [found.gaps[name].value or 0 for name in ("approximation", "conditioning", "training")]
    total = found.log_evidence["value"] - found.avi["elbo"]
    assert sum(rungs) == pytest.approx(total, abs=1e-6 * abs(total))


@pytest.mark.parametrize(
    ("density", "hint"),
    [
        ("Poisson(log_rate=f(z[n]))", "Poisson"),
        ("Bernoulli(logit=2*f(z[n]))", "2"),
        ("Bernoulli(logit=f(z[n]) + z[n][0])", "Bernoulli"),
    ],
)
def test_other_forms_are_refused_with_what_is_fitted(density, hint):
    with pytest.raises(InputError, match="The laboratory fits") as error:
        declared(Model(TEXT.format(density=density)))
    assert hint in str(error.value)


def test_what_no_encoder_is_or_has_is_refused():
    with pytest.raises(InputError, match="mlp:64x64"):
        fit(function="affine")
    with pytest.raises(InputError, match="widths"):
        fit(function="mlp")
    with pytest.raises(InputError, match="--refine"):
        compare(load("vae_digits"), refine=2)
