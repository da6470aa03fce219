"""Closed form = dense oracle = brute force, on random small models.

The oracle shares no code with the predictions beyond the precision matrix, which has its own test.
Expectations are sums over sigma points, exact for quadratics; θ is free at every one of them.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory import predict
from avi_theory.theory.closed_forms.population import averaged
from avi_theory.theory.closed_forms.uses import Uses
from avi_theory.theory.gaussian import joint, posterior
from avi_theory.theory.moments import draws_at
from avi_theory.theory.predict import ask

CHAIN = """
index t = 1:T
given phi = 0.9, q = 1, r = 1, first = 1
local z[1] ~ Normal(0.5, first)
local z[t] ~ Normal(phi*z[t-1], q) for t in 2:T
observed x[t] ~ Normal(z[t], r)
"""
WITH_MEAN = """
index t = 1:T
given phi = 0.9, q = 1, r = 1, first = 1
global mu ~ Normal(0.5, first)
local z[1] ~ Normal(mu, 1)
local z[t] ~ Normal(mu + phi*(z[t-1] - mu), q) for t in 2:T
observed x[t] ~ Normal(z[t] + 0.3*mu, r)
"""
scales = st.floats(0.3, 3.0)
chains = st.fixed_dictionaries(
    {"phi": st.floats(-0.95, 0.95), "q": scales, "r": scales, "first": scales,
     "T": st.integers(3, 7)}
)  # fmt: skip
quick = settings(max_examples=15, deadline=None)


def windowed(x, half_width):
    """The features of each position and the function each position uses."""
    size = len(x)
    complete = [t for t in range(size) if half_width <= t < size - half_width]
    shared = 2 * half_width + 2
    width = shared if complete else 0
    rows, classes = [], []
    for t in range(size):
        near = [x[s] for s in range(t - half_width, t + half_width + 1) if 0 <= s < size]
        start = 0 if t in complete else width
        classes.append(-1 if t in complete else t)
        rows.append((start, [1.0, *near]))
        if t not in complete:
            width += len(near) + 1
    features = np.zeros((size, width))
    for t, (start, values) in enumerate(rows):
        features[t, start : start + len(values)] = values
    return features, np.asarray(classes)


def sigma_points(mean, covariance):
    """Points and a common weight that reproduce mean and covariance exactly."""
    n = len(mean)
    root = np.linalg.cholesky(covariance) * np.sqrt(n)
    return np.concatenate([mean + root.T, mean - root.T]), 1 / (2 * n)


def scale_cost(diagonal, classes):
    total = 0.0
    for c in np.unique(classes):
        own = diagonal[classes == c]
        total += 0.5 * (len(own) * np.log(own.mean()) - np.log(own).sum())
    return total


def least(found, data_sets, weight, features, use=None):
    """½ Σ w (m−µ)ᵀΛ(m−µ), minimised jointly over β and one θ per data set."""
    post = found.posterior
    precision = post.precision.toarray()
    root = np.linalg.cholesky(precision).T
    g, n = post.globals, len(precision) - post.globals
    use = np.zeros((n, g)) if use is None else use
    blocks, targets = [], []
    for s, x in enumerate(data_sets):
        mean = np.linalg.solve(precision, post.linear + found.b_matrix @ x)
        matrix = np.zeros((g + n, g * len(data_sets) + features(x).shape[1]))
        matrix[:g, s * g : (s + 1) * g] = np.eye(g)
        matrix[g:, s * g : (s + 1) * g] = use
        matrix[g:, g * len(data_sets) :] = features(x)
        blocks.append(np.sqrt(weight) * root @ matrix)
        targets.append(np.sqrt(weight) * root @ mean)
    matrix, target = np.concatenate(blocks), np.concatenate(targets)
    solution = np.linalg.lstsq(matrix, target, rcond=None)[0]
    return 0.5 * float(((matrix @ solution - target) ** 2).sum())


def distribution(found, theta=None):
    """Mean and covariance of x, at a θ or with θ from its prior."""
    p, c = found.precision.toarray(), found.linear
    g = found.posterior.globals
    if theta is not None:
        p, c = p[g:, g:], c[g:] - p[g:, :g] @ theta
    cov = np.linalg.inv(p)
    drawn = len(found.drawn)
    return (cov @ c)[-drawn:], cov[-drawn:, -drawn:]


@quick
@given(values=chains, half_width=st.integers(0, 2))
def test_the_population_of_a_chain(values, half_width):
    half_width = min(half_width, (values["T"] - 1) // 2)
    bound = bind(Model(CHAIN, **values))
    found = joint(bound)
    points, weight = sigma_points(*distribution(found, np.zeros(0)))
    _, classes = windowed(points[0], half_width)
    expected = least(found, points, weight, lambda x: windowed(x, half_width)[0])
    expected += scale_cost(found.posterior.diagonal, classes)
    answer = predict(bound, window=half_width, function="affine")
    assert answer.kind == "exact"
    assert answer.gap == pytest.approx(expected, rel=1e-7, abs=1e-9)


@quick
@given(values=chains, half_width=st.integers(0, 1))
def test_reuse_of_a_chain_with_an_unknown_mean(values, half_width):
    bound = bind(Model(WITH_MEAN, **values))
    found = joint(bound)
    points, weight = sigma_points(*distribution(found))
    _, classes = windowed(points[0], half_width)
    expected = least(found, points, weight, lambda x: windowed(x, half_width)[0])
    expected += scale_cost(found.posterior.diagonal, classes)
    answer = predict(bound, regime="reuse", window=half_width, function="affine")
    assert answer.kind == "exact"
    assert answer.gap == pytest.approx(expected, rel=1e-7, abs=1e-9)


@quick
@given(values=chains, use=st.floats(-1, 1), mu=st.floats(-2, 2))
def test_the_population_with_an_unknown_mean(values, use, mu):
    bound = bind(Model(WITH_MEAN, **values, mu=mu))
    found = joint(bound)
    theta = np.array([mu])
    points, weight = sigma_points(*distribution(found, theta))
    gamma = np.full((values["T"], 1), use)
    expected = least(found, points, weight, lambda x: windowed(x, 0)[0], gamma)
    options = {"inputs": ["x[t]"], "window": None, "sharing": "shared", "verdict": None}
    question = ask(bound, regime="population", function="affine", **options)
    average = averaged(question, draws_at(found, theta))
    assert average.gap(gamma) == pytest.approx(expected, rel=1e-7, abs=1e-9)
    answer = predict(bound, regime="population", inputs=["x[t]"], function="affine")
    assert answer.kind in {"exact", "upper"}
    assert answer.gap <= average.gap(gamma) + average.scales + 1e-9


@quick
@given(values=chains, half_width=st.integers(0, 2), seed=st.integers(0, 10))
def test_one_data_set(values, half_width, seed):
    half_width = min(half_width, (values["T"] - 1) // 2)
    x = np.random.default_rng(seed).normal(size=values["T"])
    for text in (CHAIN, WITH_MEAN):
        bound = bind(Model(text, **values), {"x": x})
        features, classes = windowed(x, half_width)
        found = joint(bound)
        expected = least(found, [x], 1.0, lambda _, f=features: f)
        expected += scale_cost(found.posterior.diagonal, classes)
        answer = predict(bound, window=half_width, function="affine")
        assert answer.gap == pytest.approx(expected, rel=1e-7, abs=1e-9)


@settings(max_examples=4, deadline=None)
@given(values=chains, seed=st.integers(0, 10))
def test_one_data_set_by_brute_force(values, seed):
    """Minimise KL(q ‖ p) itself over coefficients, the shared scale, and a free q(μ)."""
    x = np.random.default_rng(seed).normal(size=values["T"])
    bound = bind(Model(WITH_MEAN, **values), {"x": x})
    post = posterior(bound)
    precision, n = post.precision.toarray(), values["T"]

    def divergence(m, log_v):
        delta = m - post.mean
        terms = np.diagonal(precision) * np.exp(log_v) - log_v - 1
        return 0.5 * (terms.sum() + delta @ precision @ delta)

    def amortized(u):
        m = np.concatenate([u[:1], u[1] + u[2] * x])
        return divergence(m, np.concatenate([u[3:4], np.full(n, u[4])]))

    best = minimize(amortized, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).fun
    free = divergence(post.mean, -np.log(np.diagonal(precision)))
    answer = predict(bound, inputs=["x[t]"], function="affine")
    assert answer.gap == pytest.approx(best - free, rel=1e-6, abs=1e-8)


@quick
@given(values=chains)
def test_the_functions_and_regimes_are_ordered(values):
    bound = bind(Model(CHAIN, **values))
    gaps = [predict(bound, window=k, sharing="per-position").gap for k in (0, 1)]
    shared = predict(bound, window=1, function="affine").gap
    constant = predict(bound, function="constant").gap
    assert -1e-12 <= gaps[1] <= gaps[0] + 1e-9
    assert gaps[1] <= shared + 1e-9
    assert predict(bound, window=0, function="affine").gap <= constant + 1e-9


@quick
@given(values=chains)
def test_per_position_functions_solve_radners_equations(values):
    """Σⱼ Λₙⱼ E[mⱼ|wₙ] = E[hₙ|wₙ], solved densely position by position."""
    bound = bind(Model(CHAIN, **values))
    found = joint(bound)
    mean, cov = distribution(found, np.zeros(0))
    precision, n = found.posterior.precision.toarray(), len(mean)
    system = precision * cov / np.diagonal(cov)[:, None]
    right = np.diagonal(found.b_matrix @ cov) / np.diagonal(cov)
    slopes = np.linalg.solve(system, right)
    optimum = np.linalg.solve(precision, found.b_matrix.toarray())
    error = np.diag(slopes) - optimum
    expected = 0.5 * np.trace(precision @ error @ cov @ error.T)
    answer = predict(bound, window=0, sharing="per-position")
    assert answer.kind == "exact"
    assert answer.gap == pytest.approx(expected, rel=1e-8, abs=1e-10)
    assert n == answer.latents


def test_covariates_enter_as_features():
    text = """
    index n = 1:N
    given s[n] > 0
    global mu ~ Normal(0, 2)
    local z[n] ~ Normal(mu, 1)
    observed y[n] ~ Normal(z[n], s[n])
    """
    rng = np.random.default_rng(1)
    data = {"s": rng.uniform(0.5, 2, 6), "y": rng.normal(size=6)}
    bound = bind(Model(text), data)
    features = np.stack([np.ones(6), data["s"], data["y"]], 1)
    found = joint(bound)
    scale = scale_cost(found.posterior.diagonal, np.zeros(6))
    answer = predict(bound, inputs=["s[n]", "y[n]"], function="affine")
    expected = least(found, [data["y"]], 1.0, lambda _: features) + scale
    assert answer.gap == pytest.approx(expected, rel=1e-9)
    points, weight = sigma_points(*distribution(found))
    reuse = predict(bound, regime="reuse", inputs=["s[n]", "y[n]"], function="affine")
    expected = least(
        found, points, weight, lambda x: np.stack([np.ones(6), data["s"], x], 1)
    )  # fmt: skip
    assert reuse.gap == pytest.approx(expected + scale, rel=1e-7)
    assert reuse.kind == "exact"


def test_ties_share_mean_and_scale():
    text = CHAIN
    x = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 2.0])
    bound = bind(Model(text, T=6), {"x": x})
    found = joint(bound)
    groups = np.array([0, 1, 0, 1, 0, 2])
    features = np.eye(3)[groups]
    expected = least(found, [x], 1.0, lambda _: features)
    expected += scale_cost(found.posterior.diagonal, groups)
    answer = predict(bound, inputs=["x[t]"])
    assert answer.kind == "exact"
    assert answer.gap == pytest.approx(expected, rel=1e-9)
    assert answer.gap <= predict(bound, inputs=["x[t]"], function="affine").gap


@quick
@given(values=chains, half_width=st.integers(0, 1), seed=st.integers(0, 99))
def test_the_gap_at_every_use_of_a_global_follows_from_one_set_of_moments(values, half_width, seed):
    """And the search returns no worse a use than those it starts from."""
    bound = bind(Model(WITH_MEAN, **values, mu=30.0))
    options = {"inputs": None, "window": half_width, "sharing": "shared", "verdict": None}
    question = ask(bound, regime="population", function="affine", **options)
    average = averaged(question, draws_at(question.joint, np.array([30.0])))
    classes = average.design.classes
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(classes.max() + 1, 1))
    free = np.sort(rng.permutation(len(start))[: rng.integers(1, len(start) + 1)])
    start[free] = 0.0
    uses = Uses.of(average, start[classes], free)
    tried = [rng.normal(size=(len(free), 1)) for _ in range(3)]
    for gamma in tried:
        whole = start.copy()
        whole[free] = gamma
        expected = average.gap(whole[classes])
        assert uses.gap(gamma) == pytest.approx(expected, rel=1e-8, abs=1e-8)
    best = uses.search(tried)
    assert uses.gap(best) <= min(uses.gap(g) for g in tried) + 1e-9
