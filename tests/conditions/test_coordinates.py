"""A change of coordinates leaves the density as it is: evaluated at random points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import sympy
from sympy import Expr, Indexed

from avi_theory.conditions.advice import Suggestion, suggestions
from avi_theory.gallery import load
from avi_theory.spec import terms
from avi_theory.spec.model import Model, Range
from avi_theory.symbolic.analysis import analyse

Values = Mapping[str, np.ndarray | float]


def points(ranges: tuple[Range, ...], sizes: Mapping[Expr, int]) -> Iterator[dict[Expr, int]]:
    """Every index point of some ranges, as sizes and letters."""
    if not ranges:
        yield dict(sizes)
        return
    first, *rest = ranges
    for n in range(int(first.low.xreplace(sizes)), int(first.high.xreplace(sizes)) + 1):
        yield from points(tuple(rest), {**sizes, first.letter: n})


def log_density(model: Model, sizes: Mapping[str, int], values: Values) -> float:
    """The log density; arrays hold the index points from 1 on."""
    known = {terms.index_symbol(k): sympy.Integer(v) for k, v in sizes.items()}
    known |= {terms.ref(k): sympy.Float(v) for k, v in values.items() if np.ndim(v) == 0}
    for given in model.givens.values():
        if isinstance(given.value, Expr) and not given.axes:
            known[terms.ref(given.name)] = given.value
    total = 0.0
    for factor in model.factors():
        for env in points(factor.ranges, known):
            expr = factor.expression.xreplace(env).doit()
            atoms = {
                a: float(np.asarray(values[terms.name_of(a)])[tuple(int(s) - 1 for s in a.indices)])
                for a in expr.atoms(Indexed)
            }
            total += float(expr.xreplace(atoms))
    return total


def change(model: Model) -> Suggestion:
    (found,) = [s for s in suggestions(analyse(model)) if s.sentence.startswith("Change coord")]
    return found


def helmert(size: int) -> np.ndarray:
    """An orthonormal matrix whose first row is constant."""
    rows = np.eye(size)
    rows[0] = 1
    return np.linalg.qr(rows.T)[0].T * np.sign(np.linalg.qr(rows.T)[1][0, 0])


def test_contrasts_of_crossed_effects() -> None:
    model, sizes = load("crossed_effects"), {"I": 3, "J": 4}
    rng = np.random.default_rng(0)
    a, b, y, mu = rng.normal(size=3), rng.normal(size=4), rng.normal(size=(3, 4)), 0.7
    left, right = helmert(3), helmert(4)
    turned = left @ y @ right.T
    before = log_density(model, sizes, {"mu": mu, "a": a, "b": b, "y": y})
    after = log_density(change(model).model(), sizes, {
        "mu": mu, "a_mean": (left @ a)[0], "a_c": (left @ a)[1:],
        "b_mean": (right @ b)[0], "b_c": (right @ b)[1:], "y_mean": turned[0, 0],
        "y_i": turned[1:, 0], "y_j": turned[0, 1:], "y_ij": turned[1:, 1:],
    })  # fmt: skip
    assert after == pytest.approx(before, rel=1e-12)


def test_contrasts_of_a_benchmarked_total() -> None:
    model, sizes = load("benchmarked"), {"N": 5}
    rng = np.random.default_rng(1)
    z, x, total, mu = rng.normal(size=5), rng.normal(size=5), 1.3, 9.0
    turn = helmert(5)
    before = log_density(model, sizes, {"mu": mu, "z": z, "x": x, "total": total})
    after = log_density(change(model).model(), sizes, {
        "mu": mu, "z_mean": (turn @ z)[0], "z_c": (turn @ z)[1:], "x_mean": (turn @ x)[0],
        "x_n": (turn @ x)[1:], "total_mean": total,
    })  # fmt: skip
    assert after == pytest.approx(before, rel=1e-12)


def prior_of_walk(first: float, step: float, start: float, size: int) -> tuple[np.ndarray, ...]:
    """Mean and covariance of z[1] ~ Normal(start, first), z[t] ~ Normal(z[t-1], step)."""
    lower = np.tril(np.ones((size, size)))
    scales = np.array([first, *[step] * (size - 1)])
    return np.full(size, start), lower @ np.diag(scales**2) @ lower.T


@pytest.mark.parametrize(
    ("name", "walk", "phi"),
    [("local_level", (1000.0, 38.33, 1120.0), 0.0), ("inflation", (2.0, 0.4, 2.0), 0.4)],
)
def test_the_eigenbasis_of_a_chain(name: str, walk: tuple[float, ...], phi: float) -> None:
    """Joint density in z and x; inflation's data are taken less phi times the one before."""
    model, size = load(name), 5
    mean, covariance = prior_of_walk(*walk, size)
    values, vectors = np.linalg.eigh(covariance)
    rng = np.random.default_rng(2)
    z, x = mean + rng.normal(size=size), mean + rng.normal(size=size)
    rest = phi * np.array([0, *x[:-1]])
    plain = load(name)
    if phi:  # the value before the first point is given as 0
        plain = Model(model.text.replace("given x[0] = 0", "").replace(
            "x[t] ~ Normal(z[t] + phi*x[t-1], 2)",
            "x[1] ~ Normal(z[1], 2)\nobserved x[t] ~ Normal(z[t] + phi*x[t-1], 2) for t in 2:T",
        ))  # fmt: skip
    before = log_density(plain, {"T": size}, {"z": z, "x": x})
    after = log_density(change(model).model(), {"T": size}, {
        "w": vectors.T @ z, "m": vectors.T @ mean, "scale": np.sqrt(values),
        "x_rotated": vectors.T @ (x - rest),
    })  # fmt: skip
    assert after == pytest.approx(before, rel=1e-10)
    data = "U'(x[t] - (phi*x[t-1]))" if phi else "U'x"
    assert f"x_rotated = {data} fall apart" in change(model).sentence


def test_increments() -> None:
    model = Model("""index t = 1:T
given phi = 0.9
global q ~ HalfNormal(1)
local z[1] ~ Normal(1, 0.5)
local z[t] ~ StudentT(4, phi*z[t-1], q) for t in 2:T
observed x[1] ~ Normal(z[1], 2)
observed x[t] ~ Normal(z[t] - phi*z[t-1], 0.5) for t in 2:T
observed y[t] ~ Poisson(exp(2*z[t+1] - 2*phi*z[t])) for t in 1:T-1""")
    rng = np.random.default_rng(3)
    z, x, y = rng.normal(size=5), rng.normal(size=5), rng.poisson(2.0, size=5)
    w = z - 0.9 * np.array([0, *z[:-1]])
    before = log_density(model, {"T": 5}, {"q": 0.8, "z": z, "x": x, "y": y})
    after = log_density(change(model).model(), {"T": 5}, {"q": 0.8, "w": w, "x": x, "y": y})
    assert after == pytest.approx(before, rel=1e-12)
    assert analyse(change(model).model()).locals["w"].inputs == ("x[t]", "y[t-1]")
