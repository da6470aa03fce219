"""The small mean-field solver against published and exact values, and the witnesses it makes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy

from avi_theory.conditions import check
from avi_theory.spec import terms
from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import analyse
from avi_theory.symbolic.reference import Numeric, solve
from avi_theory.symbolic.small import Small
from avi_theory.symbolic.witness import find_witness

WALK = """
index n = 1:N
local z[0] ~ Normal(0, 1)
local z[n] ~ Normal(z[n-1], 1)
observed x[n] ~ Normal(z[n], 1)
"""
HMM = """
index t = 1:T
given A = [[0.7, 0.3], [0.3, 0.7]], B = [[0.8, 0.2], [0.2, 0.8]]
local z[1] ~ Categorical([0.5, 0.5])
local z[t] ~ Categorical(A[z[t-1]]) for t in 2:T
observed x[t] ~ Categorical(B[z[t]])
"""


def small(text: str, **sizes: int) -> Small:
    return Small(analyse(Model(text)).structure, sizes)


def test_random_walk_golden_values() -> None:
    """THEORY section 3: all x = 1 and z₀ ~ N(0,1) give .76393, .90983, .96556, .98684, …"""
    model = small(WALK, N=30)
    data = {a: sympy.Integer(1) for a in model.observed}
    (optimum,) = solve(model, data)
    assert optimum.exact
    means = [float(optimum.values[terms.ref("z", k)]) for k in range(1, 5)]
    assert means == pytest.approx([0.76393, 0.90983, 0.96556, 0.98684], abs=1e-5)


def test_exact_means_solve_the_normal_equations() -> None:
    model = small(WALK, N=6)
    data = {a: sympy.Integer(k % 3) for k, a in enumerate(sorted(model.observed, key=str))}
    (optimum,) = solve(model, data)
    precision = np.diag([2.0] + [3.0] * 5 + [2.0]) - np.eye(7, k=1) - np.eye(7, k=-1)
    right = [0.0] + [float(data[terms.ref("x", k)]) for k in range(1, 7)]
    means = np.linalg.solve(precision, right)
    found = [float(optimum.values[terms.ref("z", k)]) for k in range(7)]
    assert found == pytest.approx(means, abs=1e-12)
    assert all(isinstance(v, Fraction) for v in optimum.values.values())


def test_hidden_markov_golden_values() -> None:
    """THEORY section 4: x = 00000010 gives q₄(0) = .9476 and q₅(0) = .9424."""
    model = small(HMM, T=8)
    data = {terms.ref("x", k): sympy.Integer(int(k == 7)) for k in range(1, 9)}
    for optimum in solve(model, data):
        assert optimum.values[terms.ref("z", 4)][0] == pytest.approx(0.9476, abs=5e-5)
        assert optimum.values[terms.ref("z", 5)][0] == pytest.approx(0.9424, abs=5e-5)


def test_quadrature_agrees_with_exact_algebra() -> None:
    """A Normal chain written with exp(log(·)) is not recognised as quadratic, yet agrees."""
    exact = small(WALK, N=5)
    data = {a: sympy.Integer(k) for k, a in enumerate(sorted(exact.observed, key=str))}
    (optimum,) = solve(exact, data)
    (numeric,) = Numeric(exact, data).solve(1)
    for site, value in optimum.values.items():
        assert numeric.values[site] == pytest.approx(float(value), abs=1e-6)


def test_chain_witness_is_two_positions_of_one_data_set() -> None:
    witness = check(Model(WALK)).witness
    assert witness is not None and witness.other_data is None
    first, second = witness.positions
    assert first != second
    series = witness.data["x"]
    window = range(-witness.window, witness.window + 1)
    assert [series[first - 1 + k] for k in window] == [series[second - 1 + k] for k in window]
    model = small(WALK, N=len(series))
    data = {terms.ref("x", k): sympy.Integer(v) for k, v in enumerate(series, 1)}
    (optimum,) = solve(model, data)
    found = [float(optimum.values[terms.ref("z", p)]) for p in (first, second)]
    assert found == pytest.approx(list(witness.optima), abs=1e-9)
    assert "/" in witness.how


def test_exchangeable_witness_is_one_position_in_two_data_sets() -> None:
    witness = check(
        Model("index i = 1:I\nindex j = 1:J\nlocal a[i] ~ Normal(0, 1)\n"
              "local b[j] ~ Normal(0, 1)\nobserved y[i,j] ~ Normal(a[i] + b[j], 1)")
    ).witness  # fmt: skip
    assert witness is not None and witness.other_data is not None
    row = witness.positions[0] - 1
    assert witness.data["y"][row] == witness.other_data["y"][row]
    assert witness.data["y"] != witness.other_data["y"]
    assert witness.optima[0] != witness.optima[1]


def test_no_witness_is_looked_for_where_amortization_closes() -> None:
    model = Model("index n = 1:N\nlocal z[n] ~ Normal(0, 1)\nobserved x[n] ~ Normal(z[n], 1)")
    assert check(model).witness is None
    assert find_witness(analyse(model)) is None
