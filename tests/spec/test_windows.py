"""Windows: neighbours where an index has an order, the own observations where it has none."""

from __future__ import annotations

import pytest

from avi_theory import InputError, Model, check, predict
from avi_theory.pipeline import choose
from avi_theory.spec.bound import bind
from avi_theory.spec.windows import ordered, widest, window

CROSSED = """
index i = 1:I
index j = 1:J
global mu ~ Normal(0, 5)
local a[i] ~ Normal(0, 1)
local b[j] ~ Normal(0, 1)
observed y[i,j] ~ Normal(mu + a[i] + b[j], 1)
"""
WALK = """
index n = 1:N
local z[1] ~ Normal(0, 1)
local z[n] ~ Normal(z[n-1], 1) for n in 2:N
observed x[n] ~ Normal(z[n], 1)
"""
BESIDE = """
index g = 1:G
index t = 1:T
local a[g] ~ Normal(0, 1)
local z[g,1] ~ Normal(a[g], 1)
local z[g,t] ~ Normal(z[g,t-1], 1) for t in 2:T
observed x[g,t] ~ Normal(z[g,t], 1)
"""
LATTICE = """
index i = 1:I
index j = 1:J
local z[i,j] ~ Normal(0, 1)
observed x[i,j] ~ Normal(z[i,j], 1)
potential -(z[i,j] - z[i+1,j])**2 for i in 1:I-1, j in 1:J
"""
PROCESS = """
index n = 1:N
given s[n]
local f[:] ~ MultivariateNormal(0, exp(-abs(s[n] - s[m]))) over n, m
observed y[n] ~ Normal(f[n], 0.5)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CROSSED, {"a": False, "b": False}),
        (WALK, {"z": True}),
        (WALK.replace("Normal(z[n-1], 1)", "Normal(x[n-1], 1)"), {"z": True}),
        (BESIDE, {"a": False, "z": True}),
        (LATTICE, {"z": True}),
        (PROCESS, {"f": True}),
    ],
    ids=["crossed", "walk", "neighbour's data", "beside", "lattice", "process"],
)
def test_an_order_is_what_statements_step_along(text, expected):
    model = Model(text)
    assert {v.name: ordered(model, v) for v in model.locals} == expected


def test_a_window_without_neighbours_is_the_own_observations():
    bound = bind(Model(CROSSED, I=5, J=4))
    assert window(bound, 0) == window(bound, 1) == {"a": ("y[i,:]",), "b": ("y[:,j]",)}
    found = window(bind(Model(BESIDE, G=3, T=5)), 1)
    assert found == {"a": ("x[g,:]",), "z": ("x[g,t+1]", "x[g,t-1]", "x[g,t]")}


def test_a_lattice_s_window_lies_along_the_index_that_is_stepped():
    found = window(bind(Model(LATTICE, I=4, J=4)), 1)
    assert found == {"z": ("x[i+1,j]", "x[i,j]", "x[i-1,j]")}


def test_the_default_of_crossed_effects_is_the_own_observations_and_says_so():
    model = Model(CROSSED, I=2, J=2)
    found = predict(model)
    assert found.inputs == ("y[:,j]", "y[i,:]")
    assert any("own observations of each latent" in a for a in found.assumptions)
    asked = predict(Model(CROSSED, I=5, J=4), window=1)
    assert asked.inputs == found.inputs
    assert any("a[i], b[j] have no neighbours" in a for a in asked.assumptions)


@pytest.mark.parametrize(("size", "reach"), [(1, 0), (2, 0), (3, 1), (9, 1)])
def test_the_default_window_narrows_to_fit_a_short_series(size, reach):
    model = Model(WALK, N=size)
    bound = bind(model)
    assert widest(bound, 1) == reach
    choice = choose(model, check(model, witness=False), None, None, None)
    assert choice.within(bound).window == reach
    assert len(predict(model).inputs) == 2 * reach + 1
    with pytest.raises(InputError, match="Use at most"):
        predict(model, window=reach + 1 + size // 2)
