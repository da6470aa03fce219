"""Defaults and data of the verbs; the smallest inputs; simulation round trips."""

from __future__ import annotations

import numpy as np
import pytest

from avi_theory import InputError, Model, load, measure, predict, simulate, smallest_inputs
from avi_theory.spec.bound import bind
from avi_theory.spec.simulate import simulate_bound

CHAIN = """
index t = 1:T
given phi = 0.9
local z[1] ~ Normal(0, 1/sqrt(1 - phi**2))
local z[t] ~ Normal(phi*z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)
"""


def test_the_contract_s_example_of_a_prediction():
    found = predict(Model(CHAIN, T=60), window=1, function="affine")
    assert found.regime == "population"
    assert found.kind == "exact"
    assert found.latents == 60
    assert found.gap == pytest.approx(2.19632, abs=5e-6)
    assert found.gap_per_latent == pytest.approx(0.0366053, abs=5e-8)
    assert found.limit_per_latent == pytest.approx(0.0377148, abs=5e-8)
    assert found.approximation_gap == pytest.approx(3.68490, abs=5e-6)


def test_the_dataset_regime_is_the_default_where_there_are_data():
    assert predict(load("local_level"), function="affine").regime == "dataset"
    assert predict(load("random_walk"), function="affine").regime == "population"
    with pytest.raises(InputError, match="needs data"):
        predict(load("random_walk"), regime="dataset")


def test_averaging_regimes_keep_the_size_of_the_shipped_data():
    assert predict(load("local_level"), regime="population").latents == 100
    assert predict(load("local_level").with_values(T=30), regime="population").latents == 30


def test_the_smallest_window_is_within_the_tolerance_and_the_next_smaller_is_not():
    found = smallest_inputs(load("random_walk"), tolerance=0.01)
    assert len(found.smallest.inputs) == 5
    gaps = [c.gap_per_latent for c in found.choices]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[1] > 0.01 >= gaps[2]


def test_the_smallest_inputs_of_a_closing_model_are_its_verdict_s():
    found = smallest_inputs(load("eight_schools"))
    assert found.smallest.inputs == ("s[n]", "y[n]")
    assert found.smallest.gap_per_latent == 0
    with pytest.raises(InputError, match="must be > 0"):
        smallest_inputs(load("eight_schools"), tolerance=0)


@pytest.mark.parametrize(
    "text",
    [
        CHAIN,
        "index n = 1:T\ngiven x[0] = 3\nlocal z[n] ~ Normal(x[n-1], 1)\n"
        "observed x[n] ~ Normal(z[n], 1)",
        "index g = 1:T\nindex i = 1:J[g]\ngiven J[g]\nlocal a[g] ~ Normal(0, 1)\n"
        "observed y[g,i] ~ Normal(a[g], 1)",
    ],
    ids=["chain", "edge", "ragged"],
)
def test_simulated_data_can_be_bound_again(text):
    model = Model(text, T=4)
    if "J" in model.givens:
        model = model.with_values(J=np.array([1, 3, 2, 2]))
    drawn = simulate(model, seed=5)
    again = bind(model, drawn.data)
    assert again.has_data
    first = next(iter(v.name for v in model.observed))
    drawn_values = drawn.data[first][np.isfinite(drawn.data[first])]
    known = again.known[first]
    np.testing.assert_array_equal(known[known.size - drawn_values.size :], drawn_values)
    np.testing.assert_array_equal(simulate(model, seed=5).data[first], drawn.data[first])


def test_measure_simulates_where_there_are_no_data_and_says_so():
    found = measure(Model(CHAIN, T=10), seed=4)
    assert found.provenance["data"] == "simulated with seed 4"
    assert found.avi.inputs == ("x[t+1]", "x[t-1]", "x[t]")


def test_inputs_and_a_window_exclude_each_other():
    with pytest.raises(InputError, match="exclude each other"):
        measure(Model(CHAIN, T=10), window=1, inputs="x[t]")


def test_averaging_regimes_take_ragged_sizes_from_the_shipped_data():
    for regime in ("population", "reuse"):
        assert predict(load("coagulation"), regime=regime).latents == 4


def test_the_smallest_inputs_without_an_order_are_no_windows():
    found = smallest_inputs(load("crossed_effects"))
    own = ("y[:,j]", "y[i,:]")
    assert [c.inputs for c in found.choices] == [(), own, ("mean(y)", *own)]
    assert found.smallest.inputs == own and found.smallest.gap_per_latent == 0.0


def test_a_gaussian_process_is_drawn_with_its_kernel():
    bound = bind(load("gaussian_process").with_values(N=6), "models/data/gaussian_process.csv")
    drawn = np.stack([simulate_bound(bound, seed=k).latents["f"] for k in range(200)])
    s = bound.known["s"]
    assert np.abs(np.cov(drawn.T) - np.exp(-np.abs(s[:, None] - s))).max() < 0.4
    assert np.abs(drawn.mean(0)).max() < 0.3


def test_every_choice_of_inputs_says_what_it_rests_on_or_why_it_has_no_number():
    found = smallest_inputs(load("coal_mining"))
    assert found.smallest is None
    assert all(c.kind == "none" and "potential" in c.assumptions[0] for c in found.choices)
    assert "Why there is no number" in str(found) and "avi compare" in str(found)
    walk = smallest_inputs(load("random_walk"))
    assert any("unique" in a for a in walk.smallest.assumptions) and "unique" in str(walk)
    assert set(walk.to_dict()["smallest"]) == {"inputs", "gap_per_latent", "kind"}
