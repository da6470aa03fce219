"""With sufficient inputs A-VI reaches F-VI on every gallery model that needs more than its own.

Those that close point by point are compared whole in `test_compare.py`; here are the rest, found by
themselves: units as a whole by what `choose` picks, and models that do not close by a function of
the whole data set, which on one data set can tell all positions apart.
"""

from __future__ import annotations

import pytest

from avi_theory import Model, gallery_names, load
from avi_theory.numeric import measure
from avi_theory.pipeline import check, choose
from avi_theory.pipeline import measure as measured
from avi_theory.pipeline.data import bound_to_predict, fitted_and_held

NATS_PER_LATENT = 1e-3
NAMES = [
    n
    for n in gallery_names()
    if "Check and show only" not in load(n).about
    and not load(n).networks
    and check(load(n), witness=False).closes in {"component", "no"}
]


def reached(name, most):
    model = load(name)
    sizes = bound_to_predict(model, None, None).sizes
    model = model.with_values(**{k: min(v, most) for k, v in sizes.items() if k in model.sizes})
    report = check(model, witness=False)
    bound, _ = fitted_and_held(model, None, report, None, 0)
    inputs = {n: v.inputs for n, v in report.locals.items()}
    function = "recurrent:6"
    if report.closes == "component":
        function = choose(model, report, None, None, None).function
    found = measure(model, bound, inputs=inputs, function=function, evidence=False)
    assert found.avi.edges == ()
    assert 0 <= found.gap < NATS_PER_LATENT * found.latents, str(found)


@pytest.mark.parametrize("name", NAMES)
def test_sufficient_inputs_close_small_gallery_models(name):
    reached(name, 4)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_sufficient_inputs_close_gallery_models(name):
    reached(name, 20)


def test_a_declared_autoencoder_closes():
    """The encoder is solved at the decoder that training left, as every image's own factor is."""
    found = measured(load("vae_digits").with_values(N=20))
    assert abs(found.gap) < NATS_PER_LATENT * found.latents, str(found)


CHAINS = """
index s = 1:S
index t = 1:T
global r ~ Normal(0, 1)
local z[s,1] ~ Normal(0, 1)
local z[s,t] ~ Normal(0.9*z[s,t-1] + r, 1) for t in 2:T
observed x[s,t] ~ Poisson(log_rate=z[s,t])
"""


def test_sequences_in_a_plate_follow_the_order():
    model = Model(CHAINS, S=6, T=5)
    report = check(model, witness=False)
    assert report.closes == "component"
    chosen = choose(model, report, None, None, None)
    assert chosen.function == "recurrent:16" and chosen.inputs == ("x[s,:]",)
    found = measured(model)
    assert found.avi.function == "recurrent:16"
    assert 0 <= found.gap < NATS_PER_LATENT * found.latents


def test_units_without_order_are_read_as_sets():
    for name in ("topics", "pupils"):
        model = load(name)
        assert choose(model, check(model, witness=False), None, None, None).function == "set:32"


def test_the_users_function_overrides_the_choice():
    model = load("pupils")
    chosen = choose(model, check(model, witness=False), None, None, "attention:8")
    assert chosen.function == "attention:8" and chosen.inputs == ("y[s,:,:]",)
