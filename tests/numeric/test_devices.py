"""Nothing of an objective stays behind on the processor, told without an accelerator.

Torch's `meta` device has shapes and no numbers, and refuses to mix with the processor's tensors as
an accelerator would; where the code asks for a number it gets 1.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avi_theory import Model
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.families import Family
from avi_theory.numeric.functions import FUNCTIONS, function_named
from avi_theory.numeric.lowering import Where
from avi_theory.spec.bound import bind

THERE = Where(torch.device("meta"), torch.float64)
COPIED = {"gaussian_process"}
"""Whose kernel is inverted once on the processor, by numpy."""


@pytest.fixture
def numbers_are_one(monkeypatch):
    told = {"__float__": 1.0, "item": 1.0, "__bool__": True, "__int__": 1, "__index__": 1}
    for name, value in told.items():
        own = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda x, o=own, v=value: v if x.is_meta else o(x)
        )  # fmt: skip


def test_an_objective_lies_on_one_device(measurable, bound_of, numbers_are_one):
    if measurable in COPIED:
        pytest.skip("its kernel is inverted once on the processor")
    elbo = elbo_of(bound_of(measurable, most=6), THERE)
    tables = {
        n: torch.zeros(f.shape, dtype=torch.float64, device="meta", requires_grad=True)
        for n, f in elbo.families.items()
    }
    value = elbo(tables)
    assert value.device.type == "meta" and value.shape == ()
    slopes = torch.autograd.grad(value, list(tables.values()), materialize_grads=True)
    assert {s.device.type for s in slopes} == {"meta"}


def test_what_stays_behind_is_found(bound_of, numbers_are_one):
    elbo = elbo_of(bound_of("linear", most=6), THERE)
    tables = {
        n: torch.zeros(f.shape, dtype=torch.float64, device="cpu" if n == "z" else "meta")
        for n, f in elbo.families.items()
    }
    with pytest.raises(RuntimeError, match="device"):
        elbo(tables)


SERIES = """
index s = 1:S
index t = 1:T
given a[s,t] > 0
local z[s,1] ~ Normal(0, 1)
local z[s,t] ~ Normal(0.9*z[s,t-1], a[s,t]) for t in 2:T
observed x[s,t] ~ Normal(z[s,t], 1)
"""


@pytest.mark.parametrize("kind", [k for k in FUNCTIONS if k != "table"])
def test_an_inference_function_lies_on_one_device(kind, numbers_are_one):
    g = np.random.default_rng(0)
    data = {"x": g.normal(size=(3, 6)), "a": g.uniform(1, 2, (3, 6))}
    bound = bind(Model(SERIES), data)
    whole = FUNCTIONS[kind].view == "masked"
    inputs = ("x[s,:]", "a[s,:]") if whole else ("x[s,t]", "a[s,t]")
    named = function_named(kind + FUNCTIONS[kind].example)
    seen = named.look(bound, bound.model.variables["z"], inputs)
    family = Family("z", "Normal", len(seen.fitted))
    function = named.build(family, seen.fitted, seen.layout, THERE, 0)
    p = torch.zeros(function.size, dtype=torch.float64, device="meta", requires_grad=True)
    rows = function.table(p)
    assert rows.device.type == "meta"
    (slope,) = torch.autograd.grad(rows.sum(), p)
    assert slope.device.type == "meta"
