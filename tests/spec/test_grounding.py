"""Ground factors say where each value comes from; simulation and evaluation read the same ones."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from scipy import stats

from avi_theory.errors import DataError, InputError
from avi_theory.spec.bound import bind
from avi_theory.spec.grounding import ground
from avi_theory.spec.model import Model
from avi_theory.spec.simulate import simulate_bound
from avi_theory.spec.terms import numpy_functions


def log_density(bound, latents):
    """The joint log density at given latents, straight from the ground factors."""
    values = {**latents}
    total = 0.0
    for f in ground(bound).factors:
        scope = {}

        def value(s):
            if s.values is not None:
                return s.values
            return values[s.name][s.positions]

        for s in f.slots:
            scope[s.symbol.name] = value(s)
        for s in f.slots:
            if s.selectors:
                table = scope[s.symbol.name]
                index = [np.zeros(f.count, int) if len(table) == 1 else np.arange(f.count)]
                index += [scope[c.name].astype(int) for c in s.selectors]
                scope[s.symbol.name] = table[tuple(index)]
        for g in f.sums:
            inner = {s.symbol.name: value(s) for s in g.slots}
            summand = numbers(g.expression, inner) + np.zeros(len(g.segments))
            scope[g.symbol.name] = np.bincount(g.segments, summand, minlength=f.count)
        if f.kernel is not None:
            k = numbers(f.kernel.expression, {s.symbol.name: value(s) for s in f.kernel.slots})
            scope[f.kernel.symbol.name] = k
        total += float(np.sum(numbers(f.expression, scope) + np.zeros(f.count)))
    return total


def numbers(expression, scope):
    symbols = sorted(expression.free_symbols, key=str)
    function = sympy.lambdify(symbols, expression, modules=[numpy_functions(), "numpy"])
    return function(*(scope[s.name] for s in symbols))


def test_a_chain_with_an_edge_value_equals_scipy():
    text = """
    index t = 1:T
    given z[0] = 2
    local z[t] ~ Normal(0.9*z[t-1], 1.5)
    observed x[t] ~ Normal(z[t], 0.5)
    """
    x, z = np.array([1.0, -1.0, 0.5]), np.array([0.3, 0.2, -0.4])
    before = np.array([2, 0.3, 0.2])
    expected = stats.norm.logpdf(z, 0.9 * before, 1.5).sum() + stats.norm.logpdf(x, z, 0.5).sum()
    assert log_density(bind(Model(text), {"x": x}), {"z": z}) == pytest.approx(expected, abs=1e-12)


def test_a_reference_outside_the_range_is_named():
    text = """
    index t = 1:T
    local z[t] ~ Normal(0, 1)
    observed x[t] ~ Normal(z[t], 1)
    potential -(z[t] - z[t-1])**2 for t in 2:T
    """
    assert ground(bind(Model(text, T=3)), generative=True)
    with pytest.raises((DataError, InputError), match="no data"):
        ground(bind(Model(text, T=3)))


def test_a_selected_global_is_gathered_per_category():
    text = """
    index n = 1:N
    index k = 0:1
    global mu[k] ~ Normal(0, 1)
    local c[n] ~ Categorical([0.25, 0.75])
    observed x[n] ~ Normal(mu[c[n]], 1)
    """
    x = np.array([0.1, 0.2, 3.0])
    mu, c = np.array([0.0, 2.0]), np.array([0.0, 0.0, 1.0])
    expected = (
        stats.norm.logpdf(mu).sum() + np.log([0.25, 0.25, 0.75]).sum()
        + stats.norm.logpdf(x, mu[c.astype(int)]).sum()
    )  # fmt: skip
    found = log_density(bind(Model(text), {"x": x}), {"mu": mu, "c": c})
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_transition_matrix_is_selected_twice():
    text = """
    index t = 1:T
    given A = [[0.9, 0.1], [0.2, 0.8]]
    local z[1] ~ Categorical([0.5, 0.5])
    local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T
    observed x[t] ~ Bernoulli(0.2 + 0.6*z[t])
    """
    z, x = np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0])
    expected = np.log(0.5) + np.log(0.1) + np.log(0.8) + np.log([0.8, 0.8, 0.2]).sum()
    found = log_density(bind(Model(text), {"x": x}), {"z": z})
    assert found == pytest.approx(expected, abs=1e-12)


def test_inner_sums_and_joint_priors_equal_scipy():
    text = """
    index n = 1:N
    local f[:] ~ MultivariateNormal(0, exp(-(n - m)**2/4) + 0.1*exp(-100*(n - m)**2)) over n, m
    observed x[n] ~ Normal(f[n], 1)
    observed y ~ Normal(sum(f), 2)
    """
    f, x = np.array([0.1, -0.2, 0.3]), np.array([1.0, 0.0, -1.0])
    d = np.subtract.outer(np.arange(3), np.arange(3))
    cov = np.exp(-(d**2) / 4) + 0.1 * np.exp(-100.0 * d**2)
    expected = (
        stats.multivariate_normal(np.zeros(3), cov).logpdf(f)
        + stats.norm.logpdf(x, f).sum() + stats.norm.logpdf(0.7, f.sum(), 2)
    )  # fmt: skip
    found = log_density(bind(Model(text), {"x": x, "y": np.array(0.7)}), {"f": f})
    assert found == pytest.approx(expected, abs=1e-9)


def test_simulated_moments_are_those_of_the_prior():
    text = """
    index t = 1:T
    local z[1] ~ Normal(0, 1)
    local z[t] ~ Normal(z[t-1], 1) for t in 2:T
    observed x[t] ~ Normal(z[t], 1)
    """
    bound = bind(Model(text, T=3))
    draws = np.stack([simulate_bound(bound, seed=s).bound.known["x"] for s in range(400)])
    exact = np.minimum.outer([1, 2, 3], [1, 2, 3]) + np.eye(3)
    error = 4 * np.sqrt((exact**2 + np.outer(np.diag(exact), np.diag(exact))) / 400)
    assert np.all(np.abs(np.cov(draws.T) - exact) < error)


def test_simulation_follows_observed_chains_selectors_and_seeds():
    text = """
    index n = 1:N
    index k = 0:1
    given x[0] = 100
    global mu[k] ~ Normal(0, 1)
    local c[n] ~ Categorical([0.5, 0.5])
    observed x[n] ~ Normal(x[n-1] + mu[c[n]], 0.001)
    """
    model = Model(text, N=50, mu=np.array([1.0, 10.0]))
    one, two = simulate_bound(bind(model), seed=3), simulate_bound(bind(model), seed=3)
    steps = np.diff(one.bound.known["x"])
    np.testing.assert_allclose(steps, np.where(one.latents["c"] == 1, 10, 1), atol=0.01)
    np.testing.assert_array_equal(one.bound.known["x"], two.bound.known["x"])
    assert one.bound.known["x"][0] == 100


def test_an_improper_prior_must_be_set():
    text = """
    index n = 1:N
    global theta ~ Flat()
    local z[n] ~ Normal(theta, 1)
    observed x[n] ~ Normal(z[n], 1)
    """
    with pytest.raises(InputError, match="--set theta="):
        simulate_bound(bind(Model(text, N=3)))
    assert simulate_bound(bind(Model(text, N=3, theta=5.0))).bound.known["x"].shape == (3,)
