"""Discrete models: golden values, and plain loops that know nothing of the vectorised code."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from avi_theory.spec.bound import bind
from avi_theory.spec.model import Model
from avi_theory.theory import predict
from avi_theory.theory.closed_forms.drawn_tables import DrawnTables
from avi_theory.theory.discrete import (
    Pool,
    drawn_data,
    every_data_set,
    free_optimum,
    given_data,
    log_evidence,
)
from avi_theory.theory.predict import ask

CHAIN = """
index t = 1:T
given p = 0.7, e = 0.8
local z[1] ~ Bernoulli(0.5)
local z[t] ~ Bernoulli(p*z[t-1] + (1 - p)*(1 - z[t-1])) for t in 2:T
observed x[t] ~ Bernoulli(e*z[t] + (1 - e)*(1 - z[t]))
"""
HMM = """
index t = 1:T
given A = [[0.7, 0.3], [0.3, 0.7]]
given B = [[0.8, 0.2], [0.2, 0.8]]
local z[1] ~ Categorical([0.5, 0.5])
local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T
observed x[t] ~ Categorical(B[z[t]])
"""
GOLDEN = {0: 4.0e-2, 1: 2.4e-3, 2: 1.7e-4, 3: 1.3e-5}


def foretell(text, data=None, *, values=None, **options):
    return predict(bind(Model(text, **(values or {})), data), **options)


@pytest.mark.parametrize("window", GOLDEN)
def test_the_golden_values_of_the_two_state_chain(window):
    each = foretell(HMM, values={"T": 8}, window=window, sharing="per-position")
    assert each.kind == "exact"
    assert each.gap_per_latent == pytest.approx(GOLDEN[window], rel=0.05)
    assert each.approximation_gap / 8 == pytest.approx(0.0257, abs=5e-5)
    assert any("contraction" in a for a in each.assumptions)
    shared = foretell(HMM, values={"T": 8}, window=window)
    assert shared.kind == "exact"
    assert each.gap <= shared.gap <= 1.006 * each.gap


def test_the_witness_sees_equal_windows_and_has_different_optima():
    field = given_data(bind(Model(HMM, T=8), {"x": [0, 0, 0, 0, 0, 0, 1, 0]}))
    q = free_optimum(field)[0, :, 0]
    assert q[3] == pytest.approx(0.9476, abs=5e-5)
    assert q[4] == pytest.approx(0.9424, abs=5e-5)


@pytest.mark.parametrize(("p", "sure"), [(0.6, True), (0.73, True), (0.74, False)])
def test_the_certificate_is_the_log_odds_of_staying(p, sure):
    field = every_data_set(bind(Model(CHAIN, T=4, p=p)))
    assert field.contraction == pytest.approx(np.log(p / (1 - p)), rel=1e-12)
    assert (field.contraction < 1) is sure


def test_a_sticky_chain_is_a_bound_that_a_wider_window_never_worsens():
    values = {"T": 6, "p": 0.9, "e": 0.6}
    gaps = []
    for window in range(3):
        found = foretell(CHAIN, values=values, window=window, sharing="per-position")
        assert found.kind == "upper" and found.approximation_gap is None
        assert any("upper bound" in a for a in found.assumptions)
        gaps.append(found.gap)
    assert gaps[0] >= gaps[1] >= gaps[2] >= 0


def test_several_optima_are_found():
    field = every_data_set(bind(Model(CHAIN, T=8, p=0.9, e=0.6)))
    best = field.elbo(free_optimum(field))
    evidence = log_evidence(field)
    assert np.all(best <= evidence + 1e-12)
    for d in (0, 37, 255):
        reached = max(loops(field, d, seed)[0] for seed in range(20))
        assert best[d] >= reached - 1e-9


def test_every_sequence_of_a_sticky_chain_has_a_worse_local_optimum():
    """p = .9, e = .6: coordinate ascent from many starts, on all 256 sequences together."""
    field = every_data_set(bind(Model(CHAIN, T=8, p=0.9, e=0.6)))
    best = field.elbo(free_optimum(field))
    step = field.pair[0, 0] - field.pair[0, 0].mean()
    worst = np.full(len(best), np.inf)
    for seed in range(200):
        q = softmax(np.random.default_rng(seed).normal(size=field.unary.shape), -1)
        for _ in range(1000):
            before = q.copy()
            for t in range(8):
                s = field.unary[:, t].copy()
                s += q[:, t - 1] @ step if t else 0.0
                s += q[:, t + 1] @ step.T if t < 7 else 0.0
                q[:, t] = softmax(s, -1)
            if np.abs(q - before).max() < 1e-9:
                break
        settled = np.abs(q - before).max((1, 2)) < 1e-9
        worst = np.where(settled, np.minimum(worst, field.elbo(q)), worst)
        if np.all(worst < best - 1e-3):
            break
    assert np.all(worst < best - 1e-3)


def loops(field, d, seed=0, sweeps=4000):
    """Coordinate ascent by plain loops over sites and neighbours."""
    n = field.sites
    q = softmax(np.random.default_rng(seed).normal(size=field.unary.shape[1:]), -1)
    edges = list(zip(field.first.tolist(), field.second.tolist(), strict=True))
    psi = [field.pair[d if len(field.pair) > 1 else 0, e] for e in range(len(edges))]
    for _ in range(sweeps):
        before = q.copy()
        for i in range(n):
            s = field.unary[d, i].copy()
            for (a, b), table in zip(edges, psi, strict=True):
                if a == i:
                    s += table @ q[b]
                elif b == i:
                    s += q[a] @ table
            q[i] = softmax(s)
        if np.abs(q - before).max() < 1e-14:
            break
    elbo = (q * field.unary[d]).sum() - (q * np.log(np.maximum(q, 1e-300))).sum()
    elbo += sum(q[a] @ table @ q[b] for (a, b), table in zip(edges, psi, strict=True))
    return elbo, q


def test_the_field_is_the_log_density_of_the_chain():
    """Against the probabilities multiplied out by hand."""
    field = every_data_set(bind(Model(CHAIN, T=4, p=0.65, e=0.9)))
    stay, emit = 0.65, 0.9
    logs = log_evidence(field)
    for d, x in enumerate(field.data):
        total = 0.0
        for z in itertools.product((0, 1), repeat=4):
            value = 0.5
            for t in range(4):
                value *= emit if z[t] == x[t] else 1 - emit
                value *= 1 if t == 0 else stay if z[t] == z[t - 1] else 1 - stay
            total += value
        assert logs[d] == pytest.approx(np.log(total), abs=1e-12)


GRAPH = """
index i = 1:3
index j = 1:3
given b = 0.15
local z[i,j] ~ Bernoulli(0.4)
observed x[i,j] ~ Bernoulli(logit=1.6*z[i,j] - 0.7)
potential b*(2*z[i,j] - 1)*(2*z[i,j+1] - 1) for i in 1:3, j in 1:2
potential b*(2*z[i,j] - 1)*(2*z[i+1,j] - 1) for i in 1:2, j in 1:3
"""
COUPLED_BY_DATA = """
index t = 1:T
local a[t] ~ Bernoulli(0.5)
local c[t] ~ Categorical([0.2, 0.5, 0.3])
observed x[t] ~ Bernoulli(logit=a[t] - 0.8*c[t] + 0.4)
potential 0.3*a[t]*a[t+1] for t in 1:T-1
"""


@pytest.mark.parametrize("text", [GRAPH, COUPLED_BY_DATA], ids=["lattice", "factorial"])
def test_evidence_and_optima_equal_enumeration(text):
    field = every_data_set(bind(Model(text, **({"T": 4} if "T" in text else {}))))
    assert field.contraction < 1
    q, logs = free_optimum(field), log_evidence(field)
    generator = np.random.default_rng(0)
    for d in generator.choice(len(field.data), 4, replace=False):
        pair = field.pair[d if len(field.pair) > 1 else 0]
        values = [
            sum(field.unary[d, i, z[i]] for i in range(field.sites))
            + sum(pair[e, z[field.first[e]], z[field.second[e]]] for e in range(len(pair)))
            for z in itertools.product(*(range(int(k)) for k in field.states))
        ]
        assert logs[d] == pytest.approx(logsumexp(values), abs=1e-11)
        elbo, by_loops = loops(field, d)
        np.testing.assert_allclose(q[d], by_loops, atol=1e-11)
        assert field.elbo(q)[d] == pytest.approx(elbo, abs=1e-11)


def table_by_loops(field, weights, keys, sweeps=3000):
    """The best table by sequential averaged updates; keys[d][i] name the entries."""
    entries = {k: softmax(np.zeros(field.unary.shape[2])) for row in keys for k in row}
    edges = list(zip(field.first.tolist(), field.second.tolist(), strict=True))
    near = {i: [] for i in range(field.sites)}
    for e, (a, b) in enumerate(edges):
        near[a].append((b, field.pair[0, e]))
        near[b].append((a, field.pair[0, e].T))
    members = {}
    for d, row in enumerate(keys):
        for i, k in enumerate(row):
            members.setdefault(k, []).append((d, i))
    for _ in range(sweeps):
        moved = 0.0
        for k, held in members.items():
            s, mass = 0.0, 0.0
            for d, i in held:
                level = field.unary[d, i] + sum(m @ entries[keys[d][j]] for j, m in near[i])
                s, mass = s + weights[d] * level, mass + weights[d]
            new = softmax(s / mass)
            moved = max(moved, np.abs(new - entries[k]).max())
            entries[k] = new
        if moved < 1e-13:
            break
    q = np.array([[entries[k] for k in row] for row in keys])
    return weights @ field.elbo(q)


@pytest.mark.parametrize("sharing", ["shared", "per-position"])
def test_tables_equal_plain_loops(sharing):
    size = 5
    found = foretell(HMM, values={"T": size}, window=1, sharing=sharing)
    field = every_data_set(bind(Model(HMM, T=size)))
    weights = np.exp(log_evidence(field))

    def key(x, t):
        seen = tuple(x[s] if 0 <= s < size else None for s in (t - 1, t, t + 1))
        own = sharing == "per-position" or None in seen
        return (seen, t if own else -1)

    keys = [[key(x, t) for t in range(size)] for x in field.data.tolist()]
    free = weights @ field.elbo(free_optimum(field))
    assert found.gap == pytest.approx(free - table_by_loops(field, weights, keys), abs=1e-11)


@given(st.lists(st.integers(0, 1), min_size=3, max_size=9), st.integers(0, 1))
@settings(max_examples=25, deadline=None)
def test_ties_of_a_data_set_share_a_factor(x, width):
    found = foretell(HMM, {"x": x}, window=width)
    field = given_data(bind(Model(HMM), {"x": x}))
    size = len(x)

    def key(t):
        seen = tuple(x[s] if 0 <= s < size else None for s in range(t - width, t + width + 1))
        return (seen, t if None in seen else -1)

    keys = [[key(t) for t in range(size)]]
    best = table_by_loops(field, np.ones(1), keys)
    assert found.kind == "exact"
    assert found.gap == pytest.approx(field.elbo(free_optimum(field))[0] - best, abs=1e-10)


def test_without_ties_a_data_set_is_interpolated():
    found = foretell(HMM, {"x": [0, 1, 1]}, window=1)
    assert (found.gap, found.kind) == (0.0, "exact")


def test_reuse_is_the_population_where_nothing_is_global():
    population = foretell(HMM, values={"T": 5}, window=1, regime="population")
    reuse = foretell(HMM, values={"T": 5}, window=1, regime="reuse")
    assert population.gap == pytest.approx(reuse.gap, rel=1e-12)


def test_a_constant_function_is_the_table_without_inputs():
    constant = foretell(HMM, values={"T": 5}, inputs=[], function="constant")
    table = foretell(HMM, values={"T": 5}, inputs=[])
    window = foretell(HMM, values={"T": 5}, window=0)
    assert constant.gap == pytest.approx(table.gap, rel=1e-12)
    assert constant.gap > window.gap


def test_empty_cells_are_not_observed():
    text = HMM.replace("Categorical(B[z[t]])", "Categorical(B[z[t]]) missing")
    x = [0.0, np.nan, 1.0, 0.0]
    field = given_data(bind(Model(text), {"x": x}))
    full = given_data(bind(Model(HMM), {"x": [0, 0, 1, 0]}))
    np.testing.assert_allclose(field.unary[0, 1], 0, atol=1e-12)
    np.testing.assert_allclose(field.unary[0, 2:], full.unary[0, 2:], atol=1e-12)
    assert foretell(text, {"x": x}, window=0).kind == "exact"


@pytest.mark.parametrize(
    ("text", "values", "reason"),
    [
        (HMM.replace("[0.3, 0.7]]  ", "[0.3, 0.7]]").replace("[[0.7, 0.3]", "[[1.0, 0.0]"),
         {"T": 4}, "probability zero"),
        ("index t = 1:T\nlocal z[t] ~ Bernoulli(0.5)\nobserved x[t] ~ Normal(z[t], 1)\n"
         "potential 0.1*z[t]*z[t+1] for t in 1:T-1", {"T": 4}, "finitely many"),
        ("index t = 1:T\nlocal z[t] ~ Bernoulli(0.5)\nobserved x[t] ~ Bernoulli(0.2 + 0.5*z[t])\n"
         "potential z[t]*z[t+1]*z[t+2] for t in 1:T-2", {"T": 4}, "more than two latents"),
        ("index t = 1:T\nglobal b ~ Normal(0, 1)\nlocal z[t] ~ Bernoulli(0.5)\n"
         "observed x[t] ~ Bernoulli(0.2 + 0.5*z[t])\npotential b*z[t]*z[t+1] for t in 1:T-1",
         {"T": 4}, "global b"),
    ],
)  # fmt: skip
def test_what_is_no_such_model_says_why(text, values, reason):
    found = foretell(text, values=values, window=0, regime="population")
    assert found.kind == "none" and found.gap is None
    assert reason in " ".join(found.assumptions)


def test_polynomials_that_separate_the_inputs_are_tables():
    for window, function in ((0, "affine"), (1, "polynomial:3")):
        table = foretell(HMM, values={"T": 6}, window=window)
        found = foretell(HMM, values={"T": 6}, window=window, function=function)
        assert found.kind == "exact"
        assert found.gap == pytest.approx(table.gap, abs=1e-12)


def test_affine_logits_lie_between_the_table_and_the_constant():
    gaps = [
        foretell(HMM, values={"T": 6}, window=1, function=f).gap
        for f in ("any", "affine", "constant")
    ]
    assert gaps[0] < gaps[1] < gaps[2]
    assert foretell(HMM, values={"T": 6}, window=1, function="affine").kind == "upper"


def test_affine_logits_on_a_data_set_equal_a_plain_search():
    x = np.array([0, 1, 0, 0, 0, 1, 1, 1, 0])
    found = foretell(HMM, {"x": x}, window=1, function="affine")
    size, log_a = len(x), np.log([[0.7, 0.3], [0.3, 0.7]])
    log_b = np.log([[0.8, 0.2], [0.2, 0.8]])[:, x].T.copy()
    log_b[0] += np.log(0.5)
    seen = np.stack([np.ones(size - 2), x[:-2], x[1:-1], x[2:]], 1)

    def elbo(logits):
        q = softmax(np.stack([0 * logits, logits], 1), -1)
        value = (q * log_b).sum() - (q * np.log(q)).sum()
        return value + sum(q[t] @ log_a @ q[t + 1] for t in range(size - 1))

    def affine(p):
        return -elbo(np.concatenate([p[:1], seen @ p[1:5], p[5:]]))

    free = minimize(lambda p: -elbo(p), np.zeros(size), options={"gtol": 1e-9})
    best = minimize(affine, np.zeros(6), options={"gtol": 1e-9})
    assert found.gap == pytest.approx(best.fun - free.fun, abs=1e-8)


def test_a_polynomial_of_a_set_has_no_number():
    text = """
    index n = 1:N
    index i = 1:I
    given g[i] in n
    local z[n] ~ Bernoulli(0.4)
    observed x[i] ~ Bernoulli(0.2 + 0.5*z[g[i]])
    potential 0.2*z[n]*z[n+1] for n in 1:N-1
    """
    data = {"x": [0, 1, 1, 0, 1], "g": [1, 1, 2, 3, 3]}
    options = {"inputs": ["x[i: g[i]=n]"], "regime": "population"}
    found = predict(bind(Model(text, N=3), data), function="affine", **options)
    assert found.kind == "none" and "set" in found.assumptions[0]
    table = predict(bind(Model(text, N=3), data), **options)
    assert table.kind == "exact" and table.gap > 0


ATTRACTED = """
index t = 1:T
local z[t] ~ Bernoulli(0.3)
observed x[t] ~ Bernoulli(0.2 + 0.6*z[t])
potential 1.5*z[t]*z[t+1] for t in 1:T-1
"""


def test_draws_follow_the_distribution_of_the_data():
    """Of a chain, and of one with potentials, which nothing else can draw from."""
    for text, values in ((HMM, {"T": 4}), (ATTRACTED, {"T": 4})):
        every = every_data_set(bind(Model(text, **values)))
        chances = np.exp(log_evidence(every) - logsumexp(log_evidence(every)))
        count = 50_000
        found = drawn_data(bind(Model(text, **values)), count, seed=1)
        assert found.cells == every.cells
        place = 2 ** np.arange(every.data.shape[1])
        of = np.zeros(len(every.data), int)
        of[every.data @ place] = np.arange(len(every.data))
        seen = np.bincount(of[found.data @ place], minlength=len(every.data))
        error = np.sqrt(count * chances * (1 - chances))
        worst = (
            np.abs(seen - count * chances).max() / error[np.abs(seen - count * chances).argmax()]
        )
        assert worst < 4.5, f"{worst} standard errors at seed 1"


def answer_by_draws(text, values, **options):
    chosen = {"inputs": None, "function": "any", "sharing": "shared", "verdict": None, **options}
    question = ask(bind(Model(text, **values)), regime="population", **chosen)
    return DrawnTables().apply(question)


@pytest.mark.parametrize("sharing", ["shared", "per-position"])
@pytest.mark.parametrize("window", [0, 1, 2])
def test_drawn_data_sets_agree_with_enumeration(window, sharing):
    exact = foretell(HMM, values={"T": 8}, window=window, sharing=sharing)
    assert exact.kind == "exact" and exact.standard_error is None
    found = answer_by_draws(HMM, {"T": 8}, window=window, sharing=sharing)
    assert found.kind == "upper"
    assert 0 < found.standard_error < 0.03 * exact.gap
    assert abs(found.gap - exact.gap) < 3 * found.standard_error


def test_a_function_of_drawn_data_sets_agrees_with_enumeration():
    exact = foretell(HMM, values={"T": 6}, window=1, function="affine")
    found = answer_by_draws(HMM, {"T": 6}, window=1, function="affine")
    assert abs(found.gap - exact.gap) < 3 * found.standard_error


def test_a_chain_too_long_to_enumerate_has_a_bound_with_its_error():
    gaps = []
    for window in (0, 1):
        found = foretell(HMM, values={"T": 60}, window=window)
        assert found.kind == "upper" and found.to_dict()["standard_error"] > 0
        assert any("seed 0" in a for a in found.assumptions)
        assert any("contraction" in a for a in found.assumptions)
        gaps.append(found.gap_per_latent)
    assert gaps[0] > gaps[1] > 0
    eight = foretell(HMM, values={"T": 8}, window=1).gap_per_latent
    assert gaps[1] == pytest.approx(eight, rel=0.5)


@pytest.mark.long
@pytest.mark.parametrize("size", [100, 1000])
def test_long_chains_lie_near_one_another(size):
    """Per latent, the ends count for less and less: 0.0459 and 0.00319 at T = 10,000."""
    for window, limit in ((0, 0.0459), (1, 0.00319)):
        found = foretell(HMM, values={"T": size}, window=window)
        assert found.gap_per_latent == pytest.approx(limit, rel=0.03)


def test_inputs_never_fitted_take_the_factor_of_fewer_inputs():
    classes = np.array([[0, 1], [0, 2], [3, 1]])
    weights = np.array([0.5, 0.5, 0.0])
    coarse = Pool(np.array([[0, 1], [0, 1], [0, 1]]), weights)
    pool = Pool(classes, weights, coarse)
    values = np.array([[[1.0], [5.0]], [[2.0], [7.0]], [[90.0], [80.0]]])
    found = pool.mean(values, slice(None))[..., 0]
    np.testing.assert_allclose(found, [[1.5, 5.0], [1.5, 7.0], [1.5, 5.0]])


def test_a_sticky_chain_is_drawn_too():
    found = foretell(CHAIN, values={"T": 20, "p": 0.9, "e": 0.6}, window=1)
    assert found.kind == "upper" and found.gap > 3 * found.standard_error
    assert any("F-VI's is the best of" in a for a in found.assumptions)
