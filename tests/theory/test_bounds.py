"""Upper bounds respect inclusion, and each kind of bound is within a factor 2 of the gap somewhere.

A larger class, or more inputs, never has the larger bound.  Bounds from drawn data sets meet exact
gaps in `test_drawn_functions` and `test_discrete`, those of one data set in `test_gallery_gaps`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, xlogy

from avi_theory import Model, predict, smallest_inputs
from avi_theory.pipeline import smallest

GROWING = """
index n = 1:N
given L = 8
global mu ~ Normal(0, 2)
local z[n] ~ Normal(mu, 1)
observed x[n] ~ Normal(z[n], 1)
observed y[n] ~ Normal(z[n], 1/2) for n in 1:L
"""
MODEL = Model(GROWING, N=20)


@pytest.mark.parametrize("inputs", [(), ("n",), ("n", "x[n]"), ("n", "y[n]"), ("x[n]", "y[n]")])
@pytest.mark.parametrize("sharing", ["shared", "per-position"])
def test_a_larger_class_never_has_the_larger_bound(inputs, sharing):
    gaps = {
        f: predict(MODEL, inputs=inputs, function=f, sharing=sharing).gap
        for f in ("any", "polynomial:2", "affine", "constant")
    }
    assert gaps["any"] <= gaps["polynomial:2"] * (1 + 1e-9)
    assert gaps["polynomial:2"] <= gaps["affine"] * (1 + 1e-9)
    assert gaps["affine"] <= gaps["constant"] * (1 + 1e-9)


def test_a_position_among_the_inputs_never_raises_the_bound_and_the_source_is_named():
    without, known = (predict(MODEL, inputs=i) for i in ([], ["n"]))
    assert known.kind == "upper"
    assert known.gap <= without.gap == pytest.approx(20 * 1.272364, rel=1e-6)
    assert any("affine functions" in a for a in known.assumptions)
    for inputs in (["x[n]"], ["y[n]"]):
        without, known = (predict(MODEL, inputs=i) for i in (inputs, ["n", *inputs]))
        assert known.gap <= without.gap * (1 + 1e-9)
    own = predict(MODEL, inputs=["n", "x[n]"])
    assert not any("which the class contains" in a for a in own.assumptions)


def test_more_inputs_never_have_the_larger_bound():
    found = smallest_inputs(MODEL)
    assert len(found.choices) == 8
    for few, many in combinations(found.choices, 2):
        if set(few.inputs) <= set(many.inputs):
            assert many.gap_per_latent <= few.gap_per_latent
    assert found.smallest.inputs == ("x[n]", "y[n]")


@pytest.mark.parametrize(("error", "expected"), [(None, 1.272364), (0.1, 5.0)])
def test_a_worse_bound_of_more_inputs_gives_way_to_that_of_fewer(monkeypatch, error, expected):
    """Estimates from drawn data sets do not: the least of several would be biased."""
    ask = smallest.predict_bound

    def poor(bound, report, choice, **options):
        found = ask(bound, report, choice, **options)
        if found.inputs != ("n",):
            return found
        return replace(found, gap=100.0, gap_per_latent=5.0, standard_error=error)

    monkeypatch.setattr(smallest, "predict_bound", poor)
    offers = {c.inputs: c for c in smallest_inputs(MODEL).choices}
    assert offers["n",].gap_per_latent == pytest.approx(expected, rel=1e-6)
    assert offers["n",].kind == "upper"
    capped = any("fewer of these inputs" in a for a in offers["n",].assumptions)
    assert capped is (error is None)


WALK = """
index n = 1:N
local z[1] ~ Normal(0, 1)
local z[n] ~ Normal(z[n-1], 1) for n in 2:N
observed x[n] ~ Normal(z[n], 1)
"""
HIERARCHY = """
index n = 1:N
global theta ~ Normal(0, 1)
local z[n] ~ Normal(0, 1)
observed x[n] ~ Normal(theta + z[n], 1)
"""
STICKY = """
index t = 1:T
given p = 0.9, e = 0.6
local z[1] ~ Bernoulli(0.5)
local z[t] ~ Bernoulli(p*z[t-1] + (1 - p)*(1 - z[t-1])) for t in 2:T
observed x[t] ~ Bernoulli(e*z[t] + (1 - e)*(1 - z[t]))
"""


@pytest.mark.parametrize("function", ["any", "polynomial:3"])
@pytest.mark.parametrize("window", [0, 1])
def test_the_affine_bound_for_unequal_positions_is_near_functions_of_each(function, window):
    """A function for each position is exact and no worse than any shared one: a lower end."""
    shared = predict(Model(WALK, N=20), window=window, function=function)
    each = predict(Model(WALK, N=20), window=window, sharing="per-position")
    assert (shared.kind, each.kind) == ("upper", "exact")
    assert each.gap <= shared.gap <= 2 * each.gap


@pytest.mark.parametrize("size", [3, 20])
def test_the_bound_with_a_global_is_near_the_best_function_of_its_mean(size):
    """Functions of q(θ)'s mean are functions of x̄: the best misses c(xₙ − x̄), in total ½(N−1)."""
    found = predict(Model(HIERARCHY, N=size), inputs=[])
    exact = 0.5 * (size - 1)
    assert found.kind == "upper"
    assert exact - 1e-9 <= found.gap <= 2 * exact


def sticky_gap(size):
    """F-VI and the best table of each position's own symbol, by plain search from many starts."""
    data = np.array(list(product([0, 1], repeat=size)))
    rng = np.random.default_rng(0)
    stay, emit = np.log([[0.9, 0.1], [0.1, 0.9]]), np.log([[0.6, 0.4], [0.4, 0.6]])
    paths = np.exp(
        np.log(0.5)
        + sum(stay[data[:, t - 1], data[:, t]] for t in range(1, size))[None]
        + sum(emit[data[None, :, t], data[:, None, t]] for t in range(size))
    )
    weights = paths.sum(1)

    def elbo(x, m):
        value = np.log(0.5) + ((1 - m) * emit[0][x] + m * emit[1][x]).sum(1)
        a, b = m[..., :-1], m[..., 1:]
        same = (a * b + (1 - a) * (1 - b)).sum(-1)
        value = value + same * stay[0, 0] + (size - 1 - same) * stay[0, 1]
        return value - (xlogy(m, m) + xlogy(1 - m, 1 - m)).sum(-1)

    def best(objective, width, starts):
        runs = (minimize(objective, 2 * rng.normal(size=width)).fun for _ in range(starts))
        return -min(runs)

    free = [best(lambda u, x=x: -elbo(x[None], expit(u)[None])[0], size, 12) for x in data]
    rows = np.arange(size)
    table = best(
        lambda u: -weights @ elbo(data, expit(u.reshape(size, 2))[rows, data]), 2 * size, 25
    )
    return weights @ np.array(free) - table


def test_the_bound_of_a_chain_with_several_optima_is_near_a_plain_search():
    found = predict(Model(STICKY, T=4), window=0, sharing="per-position")
    assert found.kind == "upper"
    exact = sticky_gap(4)
    assert exact > 0.01
    assert exact - 1e-6 <= found.gap <= 2 * exact
