"""Partial amortization: what the advice of `check` promises of a cover, measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from avi_theory import InputError, Model, load
from avi_theory.numeric import measure as fit
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.parameters import amortized
from avi_theory.numeric.partial import Partial
from avi_theory.pipeline import check, measure
from avi_theory.pipeline.cover import free_members, ties_of
from avi_theory.pipeline.data import fitted_and_held
from avi_theory.spec.bound import bind
from avi_theory.spec.members import members

WHERE = Where(torch.device("cpu"), torch.float64)
TIED = {
    "random_walk": ({"N": 9}, 1 / 2), "local_level": ({"T": 9}, 1 / 2), "hmm": ({"T": 8}, 1 / 2),
    "lattice": ({"I": 4, "J": 4}, 1 / 2), "factorial_hmm": ({"T": 7}, 1 / 2),
    "co2": ({"T": 12}, 2 / 3), "seasonal": ({"T": 12}, 5 / 8),
}  # fmt: skip
"""Conjugate models that do not close, with the share of latents that the advice leaves free."""


def small(name):
    return load(name).with_values(**TIED[name][0])


@pytest.mark.parametrize("name", TIED)
def test_a_cover_closes_the_others_with_affine_functions(name):
    """Of their own observations and the factors of their neighbours, and of nothing less."""
    model = small(name)
    found = measure(model, function="affine", free="cover")
    share = len(found.avi.free) / found.latents
    assert share == pytest.approx(TIED[name][1], abs=1.5 / found.latents)
    assert not set(found.avi.free) & set(found.avi.edges)
    assert 0 <= found.gap <= 1e-6 * found.latents
    assert any(i.startswith("q(") for i in found.avi.inputs)


def test_without_the_neighbours_factors_a_cover_is_not_enough():
    model = small("local_level")
    report = check(model, witness=False)
    bound, _ = fitted_and_held(model, None, report, None, 0)
    free = free_members(model, "cover")
    options = {"inputs": ["x[t]"], "function": "affine", "evidence": False}
    with_them = fit(model, bound, free=free, ties=ties_of(report), **options)
    alone = fit(model, bound, free=free, **options)
    nothing = fit(model, bound, **options)
    assert with_them.gap < 1e-8 < 1e-2 < alone.gap < nothing.gap
    assert alone.avi.inputs == ("x[t]",)


def test_some_free_locals_that_are_no_cover_help_a_little():
    model = small("local_level")
    every = measure(model, function="affine", window=0).gap
    some = measure(model, function="affine", window=0, free={"z": [2, 3]})
    assert some.avi.free == ("z[2]", "z[3]")
    assert 1e-3 < some.gap < every
    assert not any(i.startswith("q(") for i in some.avi.inputs)


def test_networks_receive_neighbours_too():
    found = measure(load("stochastic_volatility").with_values(T=9), function="mlp:3", free="cover")
    assert found.gap < 1e-6 * found.latents and "q(h[t-1])" in found.avi.inputs
    with pytest.raises(InputError, match="without free"):
        found.infer({})


@pytest.mark.parametrize("function", ["affine", "mlp:3", "recurrent:2"])
def test_a_coupled_parametrisation_is_consistent(function):
    """Sizes, Jacobian and metric agree with the tables that it makes."""
    model = small("local_level")
    report = check(model, witness=False)
    bound, _ = fitted_and_held(model, None, report, None, 0)
    kinds = elbo_of(bound, WHERE).families
    partial = Partial.of(bound, free_members(model, "cover"), ties_of(report))
    inputs = {"z": ("x[t]",)}
    made = amortized(bound, kinds, inputs, function, WHERE, seed=0, partial=partial)
    g = torch.Generator().manual_seed(0)
    tables = {n: torch.randn(f.shape, generator=g, dtype=torch.float64) for n, f in kinds.items()}
    p = made.start(tables)
    assert len(p) == made.size == len(made.scales(p))
    free = torch.as_tensor(partial.masks["z"])
    torch.testing.assert_close(made.tables(p)["z"][free], tables["z"][free])
    if function != "affine":
        assert sum(b.size for b in made.curvature(p)) == made.size
        p = p + 0.1 * torch.randn(made.size, generator=g, dtype=torch.float64)

        def flat(q):
            return torch.cat([t.reshape(-1) for t in made.tables(q).values()])

        wanted = torch.autograd.functional.jacobian(flat, p)
        torch.testing.assert_close(made.jacobian(p), wanted)


def test_members_are_read_as_the_advice_writes_them():
    model = Model("index i = 1:I\nindex j = 1:J\nlocal z[i,j] ~ Normal(0, 1)\n"
                  "observed x[i,j] ~ Normal(z[i,j], 1)", I=3, J=4)  # fmt: skip
    bound = bind(model)
    z = model.variables["z"]
    i, j = bound.tables["z"].points.T
    for text, wanted in (
        ("all", i > 0),
        ("i mod 2 = 1", i % 2 == 1),
        ("(i+2*j) mod 3 = 0 or 2", (i + 2 * j) % 3 != 1),
        ([(1, 2), (3, 4)], ((i == 1) & (j == 2)) | ((i == 3) & (j == 4))),
    ):
        np.testing.assert_array_equal(members(bound, z, text), wanted)
    for bad, message in (("t mod 2 = 0", "cannot be read"), ("i mod 0 = 0", "modulo 0"),
                         ([(9, 9)], r"no member 9, 9")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            members(bound, z, bad)


def test_misuse_is_named():
    model = small("local_level")
    for free, message in (
        ("z", "nothing is amortized"), ("w", "'w'"), ("z at", "cannot be read"),
        ({"z": [99]}, "no member 99"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            measure(model, function="affine", window=0, free=free)
    with pytest.raises(InputError, match="no locals are tied"):
        measure(load("eight_schools"), free="cover")
