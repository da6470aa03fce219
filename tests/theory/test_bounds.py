"""Upper bounds respect inclusion: a larger class, or more inputs, never has the larger bound."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

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
