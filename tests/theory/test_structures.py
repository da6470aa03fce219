"""Nested, crossed, second-order, vector and mapped models: closed form = brute force.

The brute force knows nothing of sparse moments: data sets at sigma points, which reproduce mean and
covariance, features evaluated at each of them, one dense least-squares problem with θ free at each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avi_theory.spec.bound import bind
from avi_theory.spec.inputs import resolve
from avi_theory.spec.model import Model
from avi_theory.theory import predict
from avi_theory.theory.features import columns
from avi_theory.theory.gaussian import joint

NESTED = """
index g = 1:3
index i = 1:2
given s = 1, r = 1
global mu ~ Normal(1, 2)
local a[g] ~ Normal(mu, s)
local z[g,i] ~ Normal(a[g], 0.7)
observed y[g,i] ~ Normal(z[g,i], r)
"""
CROSSED = """
index i = 1:3
index j = 1:4
given s = 1, r = 1
global mu ~ Normal(0, 2)
local a[i] ~ Normal(0, s)
local b[j] ~ Normal(0, 1.3)
observed y[i,j] ~ Normal(mu + a[i] + b[j], r)
"""
SECOND = """
index t = 1:7
given s = 1, r = 1
local z[1] ~ Normal(0, 2)
local z[2] ~ Normal(0.4*z[1], s)
local z[t] ~ Normal(0.9*z[t-1] - 0.3*z[t-2], s) for t in 3:7
observed y[t] ~ Normal(z[t], r)
"""
VECTOR = """
index t = 1:4
given s = 1, r = 1, A = [[0.8, 0.3], [-0.2, 0.5]], W = [[1, 0.4], [0.2, 1], [0.5, -0.7]]
local z[1] : R[2] ~ Normal(0, 2)
local z[t] : R[2] ~ Normal(A @ z[t-1], s) for t in 2:4
observed y[t] : R[3] ~ Normal(W @ z[t], r)
"""
MAPPED = """
index n = 1:3
index i = 1:6
given s = 1, r = 1
given of[i] in n
global mu ~ Normal(0, 1)
local a[n] ~ Normal(mu, s)
local e[i] ~ Normal(a[of[i]], 0.6)
observed y[i] ~ Normal(e[i], r)
"""
CASES = {
    "nested": (NESTED, {"a": ["y[g,:]"], "z": ["y[g,i]"]}),
    "crossed": (CROSSED, {"a": ["y[i,:]"], "b": ["y[:,j]"]}),
    "second order": (SECOND, {"z": ["y[t-1]", "y[t]"]}),
    "vector": (VECTOR, {"z": ["y[t]", "y[t+1]"]}),
    "mapped": (MAPPED, {"a": ["mean(y[i: of[i]=n])"], "e": ["y[i]"]}),
}
scales = st.fixed_dictionaries({"s": st.floats(0.4, 2.5), "r": st.floats(0.4, 2.5)})
quick = settings(max_examples=6, deadline=None)


def bound_of(name, values):
    text, inputs = CASES[name]
    covariates = {"of": np.array([1, 2, 2, 3, 3, 3])} if "of[i]" in text else {}
    data = {**covariates, "y": np.zeros(6)} if covariates else None
    return bind(Model(text, **values), data), inputs


def with_data(bound, x):
    """The model bound to one drawn vector of observations."""
    table = bound.tables["y"]
    values = x.reshape(table.size, -1) if bound.dim(bound.model.variables["y"]) > 1 else x
    return replace(bound, known={**bound.known, "y": values})


def features(bound, inputs, per_position):
    """F at one data set, and the class of each row."""
    blocks, classes = [], []
    for v in bound.model.locals:
        found = columns(bound, v, resolve(bound, v, inputs[v.name]))
        shown, dim = found.offset, bound.dim(v)
        for p, row in enumerate(shown):
            for k in range(dim):
                lone = per_position or np.isnan(row).any()
                classes.append((v.name, k, p if lone else -1))
                blocks.append(np.concatenate([[1.0], row[~np.isnan(row)]]))
    names = sorted(set(classes))
    starts = np.cumsum(
        [0, *(max(len(b) for b, c in zip(blocks, classes, strict=True) if c == n) for n in names)]
    )
    out = np.zeros((len(blocks), starts[-1]))
    for i, (b, c) in enumerate(zip(blocks, classes, strict=True)):
        at = starts[names.index(c)]
        out[i, at : at + len(b)] = b
    return out, np.array([names.index(c) for c in classes])


def brute(bound, inputs, per_position, data_sets, weight):
    """½ Σ w (m−µ)ᵀΛ(m−µ) with β shared and θ free at each data set, plus the scales' price."""
    found = joint(bound)
    post = found.posterior
    precision, g = post.precision.toarray(), post.globals
    root = np.linalg.cholesky(precision).T
    rows, targets = [], []
    for s, x in enumerate(data_sets):
        f, classes = features(with_data(bound, x), inputs, per_position)
        mean = np.linalg.solve(precision, post.linear + found.b_matrix @ x)
        matrix = np.zeros((len(precision), g * len(data_sets) + f.shape[1]))
        matrix[:g, s * g : (s + 1) * g] = np.eye(g)
        matrix[g:, g * len(data_sets) :] = f
        rows.append(np.sqrt(weight) * root @ matrix)
        targets.append(np.sqrt(weight) * root @ mean)
    matrix, target = np.concatenate(rows), np.concatenate(targets)
    solution = np.linalg.lstsq(matrix, target, rcond=1e-13)[0]
    gap = 0.5 * float(((matrix @ solution - target) ** 2).sum())
    for c in np.unique(classes):
        own = np.diagonal(precision)[g:][classes == c]
        gap += 0.5 * (len(own) * np.log(own.mean()) - np.log(own).sum())
    return gap


def sigma_points(mean, covariance):
    n = len(mean)
    root = np.linalg.cholesky(covariance) * np.sqrt(n)
    return np.concatenate([mean + root.T, mean - root.T]), 1 / (2 * n)


def data_law(bound):
    """Mean and covariance of the data, θ from its prior, from the dense joint precision."""
    found = joint(bound)
    covariance = np.linalg.inv(found.precision.toarray())
    mean, drawn = covariance @ found.linear, len(found.drawn)
    return mean[-drawn:], covariance[-drawn:, -drawn:]


@pytest.mark.parametrize("name", CASES)
@quick
@given(values=scales, per_position=st.booleans())
def test_functions_reused_on_all_data(name, values, per_position):
    """Without globals this is the population, too."""
    bound, inputs = bound_of(name, values)
    expected = brute(bound, inputs, per_position, *sigma_points(*data_law(bound)))
    sharing = "per-position" if per_position else "shared"
    regimes = ["reuse"] if bound.model.globals else ["reuse", "population"]
    for regime in regimes:
        found = predict(bound, regime=regime, inputs=inputs, function="affine", sharing=sharing)
        assert found.kind == "exact"
        assert found.gap == pytest.approx(expected, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", CASES)
@quick
@given(values=scales, seed=st.integers(0, 99))
def test_one_data_set(name, values, seed):
    bound, inputs = bound_of(name, values)
    mean, covariance = data_law(bound)
    x = np.random.default_rng(seed).multivariate_normal(mean, covariance)
    drawn = with_data(bound, x)
    found = predict(drawn, regime="dataset", inputs=inputs, function="affine")
    assert found.kind == "exact"
    assert found.gap == pytest.approx(brute(bound, inputs, False, [x], 1.0), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", CASES)
@quick
@given(values=scales)
def test_the_approximation_gap_is_that_of_the_dense_precision(name, values):
    bound, inputs = bound_of(name, values)
    precision = joint(bound).posterior.precision.toarray()
    expected = 0.5 * (np.log(np.diagonal(precision)).sum() - np.linalg.slogdet(precision)[1])
    found = predict(bound, regime="reuse", inputs=inputs, function="affine")
    assert found.approximation_gap == pytest.approx(expected, rel=1e-9, abs=1e-10)
