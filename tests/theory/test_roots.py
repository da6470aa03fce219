"""Sparse roots of covariances: the same numbers as entry by entry, at sizes beyond those."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory import moments, predict, roots
from avi_theory.theory.closed_forms import averaged as closed
from avi_theory.theory.closed_forms.population import averaged
from avi_theory.theory.gaussian import joint
from avi_theory.theory.moments import draws_at, draws_from_prior
from avi_theory.theory.predict import ask

CROSSED = """
index i = 1:I
index j = 1:J
global mu ~ Normal(0.4, 1)
local a[i] ~ Normal(0, 1)
local b[j] ~ Normal(0.3*mu, 2)
observed y[i,j] ~ Normal(mu + a[i] + b[j], 0.7)
"""
NESTED = """
index g = 1:G
index i = 1:I
global mu ~ Normal(0, 3)
local a[g] ~ Normal(mu, 1)
local z[g,i] ~ Normal(0.8*a[g], 0.7)
observed y[g,i] ~ Normal(z[g,i] + 0.2*mu, 1.2)
"""
WALK = """
index t = 1:T
local z[1] ~ Normal(0, 1)
local z[t] ~ Normal(z[t-1], 1) for t in 2:T
observed x[t] ~ Normal(z[t], 1)
"""
WINDOWS = ["y[:,j+1]", "y[:,j-1]", "y[:,j]", "y[i+1,:]", "y[i,:]", "y[i-1,:]"]
CASES = [
    (CROSSED, {"I": 6, "J": 5}, WINDOWS),
    (CROSSED, {"I": 5, "J": 6}, ["mean(y)", "y[i,:]", "y[:,j]"]),
    (NESTED, {"G": 3, "I": 4}, ["y[g,i]", "mean(y)"]),
    (WALK, {"T": 8}, ["x[t]", "x[t-1]", "x[t+1]"]),
]


def always(monkeypatch):
    """Let every question be answered by a root where there is one."""
    monkeypatch.setattr(moments, "MANY", 0)
    monkeypatch.setattr(moments.Moments, "_pays", lambda *_: True)
    monkeypatch.setattr(roots, "FEW", 3)  # both ways of adding columns up


def average(text, sizes, inputs, regime, function="affine"):
    bound = bind(Model(text, **sizes))
    question = ask(
        bound, regime=regime, inputs=inputs, window=None, function=function, sharing="shared",
        verdict=None,
    )  # fmt: skip
    found = joint(bound)
    reuse = regime == "reuse" or found.posterior.globals == 0
    draws = draws_from_prior(found) if reuse else draws_at(found, np.array([0.7]))
    return averaged(question, draws)


@pytest.mark.parametrize("regime", ["population", "reuse"])
@pytest.mark.parametrize(("text", "sizes", "inputs"), CASES)
def test_moments_by_a_root_are_those_entry_by_entry(monkeypatch, regime, text, sizes, inputs):
    plain = average(text, sizes, inputs, regime)
    assert plain.moments.root is None
    always(monkeypatch)
    rooted = average(text, sizes, inputs, regime)
    assert rooted.moments.root is not None
    exact = {"rtol": 1e-11, "atol": 1e-11}
    for old, new in zip(plain.plain, rooted.plain, strict=True):
        old, new = (m.toarray() if sparse.issparse(m) else m for m in (old, new))
        np.testing.assert_allclose(new, old, **exact)
    design = plain.design
    shared = np.bincount(design.classes).argmax()
    rows, features = (
        np.flatnonzero(design.classes == shared),
        np.flatnonzero(design.groups == shared),
    )
    np.testing.assert_allclose(
        rooted.moments.within(rows, features), plain.moments.within(rows, features), **exact
    )
    across = np.random.default_rng(0).normal(size=(plain.draws.locals, 2))
    left, right = (a.moments.functional(across) for a in (plain, rooted))
    np.testing.assert_allclose(
        rooted.moments.cross(right, right), plain.moments.cross(left, left), **exact
    )
    if plain.draws.globals:
        use = np.full((plain.draws.locals, 1), 0.3)
        assert rooted.gap(use) == pytest.approx(plain.gap(use), rel=1e-10)
    assert rooted.gap(None) == pytest.approx(plain.gap(None), rel=1e-10)


def test_the_root_reproduces_the_covariance():
    for text, sizes, inputs in CASES:
        draws = average(text, sizes, inputs, "reuse").draws
        root = roots.covariance_root(draws.precision, draws.locals, draws.spread, draws.theta)
        expected = np.linalg.inv(draws.precision.toarray())
        expected += draws.spread @ draws.theta @ draws.spread.T
        np.testing.assert_allclose((root @ root.T).toarray(), expected, rtol=1e-11, atol=1e-12)
        a, b = np.indices(expected.shape).reshape(2, -1)
        np.testing.assert_allclose(roots.row_products(root, a, b), expected.ravel(), atol=1e-11)


def test_no_root_where_it_would_be_dense_or_observations_depend_on_each_other():
    long = average(WALK, {"T": 200}, ["x[t]"], "reuse").draws
    assert roots.covariance_root(long.precision, long.locals, long.spread, long.theta) is None
    text = """
    index n = 1:N
    local z[n] ~ Normal(0, 1)
    observed x[1] ~ Normal(z[1], 1)
    observed x[n] ~ Normal(z[n] + 0.5*x[n-1], 1) for n in 2:N
    """
    draws = average(text, {"N": 5}, ["x[n]"], "reuse").draws
    assert roots.covariance_root(draws.precision, draws.locals, draws.spread, draws.theta) is None


def test_a_large_definite_system_is_solved_as_a_small_one(monkeypatch):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(30, 30))
    size = 10.0 ** np.arange(-3, 3).repeat(5)
    system, right = np.outer(size, size) * (root @ root.T + np.eye(30)), rng.normal(size=30)
    monkeypatch.setattr(closed, "MANY", 0)
    expected = closed.best_shared(system, right)
    np.testing.assert_allclose(closed.solved(system, right), expected, rtol=1e-9)
    # Features told twice, up to rounding: the smallest solution halves each coefficient.
    doubled = np.kron(np.ones((2, 2)), system)
    doubled += 3e-14 * np.diag(np.diagonal(doubled))
    found = closed.solved(doubled, np.tile(right, 2))
    np.testing.assert_allclose(found, np.tile(expected, 2) / 2, rtol=1e-6)


def test_crossed_effects_of_a_size_that_pairs_of_observations_forbid():
    """10,000 observations, all in rows and columns; at size 30 the value is that of all pairs."""
    text = CROSSED.replace("0.3*mu, 2", "0, 1").replace("0.7", "1").replace("0.4", "0")
    small = predict(bind(Model(text, I=30, J=30)), inputs=WINDOWS, function="affine")
    assert small.gap == pytest.approx(1.8882976619, rel=1e-9)
    large = predict(bind(Model(text, I=100, J=100)), inputs=WINDOWS, function="affine")
    assert large.kind == "upper"
    assert small.gap < large.gap == pytest.approx(1.9689825540, rel=1e-9)
