"""Hessians from few products: the same numbers, however many points there are."""

import numpy as np
import pytest
import torch

from avi_theory import Model
from avi_theory.numeric.elbo import elbo_of
from avi_theory.numeric.fit import starting_tables
from avi_theory.numeric.lowering import Where
from avi_theory.numeric.parameters import free
from avi_theory.numeric.solve import Options, Problem, newton
from avi_theory.numeric.solve.colouring import hessian
from avi_theory.numeric.structure import pattern_of
from avi_theory.numeric.train import problem_of
from avi_theory.spec.bound import bind

WHERE = Where(torch.device("cpu"), torch.float64)
ARROW = """
index n = 1:N
global theta ~ Flat()
local z[n] ~ Normal(0, 1)
observed x[n] ~ Normal(theta + z[n]*(1 + sin(z[n])), exp(cos(z[n])))
"""
SUMS = """
index n = 1:N
index g = 1:G
global a ~ Normal(0, 1)
global b ~ Normal(0, 1)
local z[g,n] ~ Normal(a, exp(b))
observed y[g] ~ Normal(sum(z[g,:]), 1)
"""


def arrow(size):
    x = np.random.default_rng(size).normal(1.0, 2.0, size)
    return elbo_of(bind(Model(ARROW), {"x": x}), WHERE)


def both(elbo, seed=1):
    """The Hessian of −ELBO at a random place, from its pattern and from all products."""
    parameters = free(elbo.families)
    p = parameters.start(starting_tables(elbo, seed, 0.3))
    p, _, g = problem_of(elbo, parameters).gradient(p, graph=True)
    known = pattern_of(elbo)
    assert known is None or known.products <= len(p) / 2
    return known, hessian(g, p, known).numpy(), hessian(g, p, None).numpy()


CHEAP = ("coal_mining", "item_response", "lattice", "rats", "seasonal", "switching", "topics")


@pytest.mark.parametrize("name", CHEAP)
def test_few_products_tell_the_whole_hessian(name, bound_of, elbo_at):
    known, few, all_ = both(elbo_at(bound_of(name)))
    assert known is not None
    np.testing.assert_allclose(few, all_, atol=1e-13 * np.abs(all_).max())


@pytest.mark.long
def test_few_products_tell_the_hessian_of_every_gallery_model(measurable, bound_of, elbo_at):
    _, few, all_ = both(elbo_at(bound_of(measurable, most=60)))
    np.testing.assert_allclose(few, all_, atol=1e-13 * np.abs(all_).max())


@pytest.mark.parametrize("factors", [None, {"a,b": "full"}])
def test_latents_of_one_sum_and_of_one_factor_interact(factors):
    model = Model(SUMS)
    bound = bind(model.with_values(N=3), {"y": np.arange(9.0)})
    known, few, all_ = both(elbo_of(bound, WHERE, factors=factors))
    assert known is not None
    np.testing.assert_allclose(few, all_, atol=1e-13 * np.abs(all_).max())


def test_an_arrow_takes_as_many_products_whatever_its_length():
    """A local's two parameters and the global's two."""
    assert [pattern_of(arrow(n)).products for n in (8, 80, 3000)] == [4, 4, 4]


def test_newtons_method_finds_the_same_optimum_either_way():
    elbo = arrow(30)
    parameters = free(elbo.families)
    start = parameters.start(starting_tables(elbo, 0, 0.05))
    problem = problem_of(elbo, parameters)
    plain = Problem(problem.objective, problem.scales)
    few, all_ = newton(problem, start, Options()), newton(plain, start, Options())
    assert problem.pattern is not None and plain.pattern is None
    assert few.status is all_.status
    assert few.value == pytest.approx(all_.value, abs=1e-10)
    torch.testing.assert_close(few.parameters, all_.parameters, atol=1e-8, rtol=0)
