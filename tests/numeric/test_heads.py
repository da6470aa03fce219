"""Lowered values and gradients equal sympy's own numbers."""

import numpy as np
import pytest
import sympy
import torch

from avi_theory.errors import InputError
from avi_theory.numeric.lowering.covariance import (
    COVARIANCES,
    cov_entry,
    cov_form,
    cov_rows,
    cov_trace,
)
from avi_theory.numeric.lowering.heads import COORDINATEWISE, ELEMENTWISE, Program, mvn_trace
from avi_theory.spec import terms

x, y, p = sympy.symbols("x y p", real=True)
NUMPY = [terms.numpy_functions(), {"polygamma": None}, "scipy", "numpy"]
ARGUMENTS = {
    sympy.log: (x**2 + 1,),
    sympy.loggamma: (x**2 + 1,),
    sympy.polygamma: (sympy.Integer(0), x**2 + 1),
    sympy.Max: (1.0, x, y),
    sympy.Min: (x, y),
    terms.maximum: (x, y),
    terms.minimum: (x, y),
    terms.where_positive: (x**2 + 1, y),
}


def numbers(expression, values):
    """Sympy's value at each instance, in high precision, without lambdify."""
    found = []
    for k in range(len(next(iter(values.values())))):
        point = {s: sympy.Float(float(v[k]), 25) for s, v in values.items()}
        exact = expression.subs(point)
        exact = exact.replace(terms.sigmoid, lambda a: 1 / (1 + sympy.exp(-a)))
        exact = exact.replace(terms.softplus, lambda a: sympy.log(1 + sympy.exp(a)))
        exact = exact.replace(terms.maximum, sympy.Max).replace(terms.minimum, sympy.Min)
        exact = exact.replace(terms.where_positive, lambda c, a: a)
        found.append(float(sympy.N(exact, 20)))
    return np.asarray(found)


@pytest.fixture
def points():
    g = np.random.default_rng(5)
    return {x: g.normal(size=6), y: g.normal(size=6)}


@pytest.mark.parametrize("head", ELEMENTWISE, ids=lambda h: h.__name__)
def test_elementwise_heads_have_sympys_values_and_gradients(head, points):
    expression = head(*ARGUMENTS.get(head, (x * y + x / 3,)))
    tensors = {s: torch.tensor(v, requires_grad=True) for s, v in points.items()}
    value = Program(expression)(tensors)
    np.testing.assert_allclose(value.detach(), numbers(expression, points), rtol=1e-12)
    if head in (sympy.sign, terms.where_positive):
        return
    gradient = torch.autograd.grad(value.sum(), list(tensors.values()), allow_unused=True)
    for s, found in zip(tensors, gradient, strict=True):
        h = 1e-6
        moved = {k: v + h * (k == s) for k, v in points.items()}
        back = {k: v - h * (k == s) for k, v in points.items()}
        slope = (numbers(expression, moved) - numbers(expression, back)) / (2 * h)
        found = torch.zeros(6) if found is None else found
        np.testing.assert_allclose(found, slope, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "expression",
    [
        sympy.log(2 * sympy.pi),
        sympy.sqrt(2) * x,
        sympy.Max(1.0, x),
        x**-2 + x**3 - x ** sympy.Rational(1, 2) * 0,
        (x + y) ** 2 / (2 * sympy.Rational(243, 100) ** 2),
        sympy.exp(x) * sympy.exp(-2 * y) - sympy.Rational(1, 3),
        1 / (1 + x**2) - sympy.E**y,
    ],
    ids=str,
)
def test_constants_are_folded_and_arithmetic_is_sympys(expression, points):
    tensors = {s: torch.tensor(v, requires_grad=True) for s, v in points.items()}
    value = Program(expression)(tensors).expand(6)
    np.testing.assert_allclose(value.detach(), numbers(expression, points), rtol=1e-12)
    for s in sorted(expression.free_symbols & tensors.keys(), key=str):
        (slope,) = torch.autograd.grad(value.sum(), tensors[s], retain_graph=True)
        wanted = numbers(sympy.diff(expression, s) + 0 * s, points)
        np.testing.assert_allclose(slope, np.broadcast_to(wanted, 6), rtol=1e-11, atol=1e-12)


def test_vectors_and_scalars_broadcast_by_rank_not_by_accident():
    v, a = sympy.Symbol("v", real=True), sympy.Symbol("a", real=True)
    vectors, scalars = torch.arange(9.0).reshape(3, 3), torch.tensor([1.0, 10.0, 100.0])
    value = Program(terms.total(v * a), {v: 1})({v: vectors, a: scalars})
    assert value.tolist() == [3.0, 120.0, 2100.0]


@pytest.mark.parametrize("head", COORDINATEWISE, ids=lambda h: h.__name__)
def test_heads_that_mix_coordinates_agree_with_numpy(head):
    g = np.random.default_rng(1)
    a, b, c, e, k, w = sympy.symbols("a b c e k w", real=True)
    root = g.normal(size=(3, 3))
    values = {
        a: g.normal(size=(4, 3)), b: g.normal(size=(4, 3)), c: root @ root.T + np.eye(3),
        k: np.array([0.0, 2.0, 1.0, 1.0]), w: g.normal(size=(2, 3)),
        e: 2 * root @ root.T + np.eye(3),
    }  # fmt: skip
    arguments = {
        terms.pick: (a, k), terms.mvn_log_density: (a, b, c), mvn_trace: (a, c),
        cov_form: (a, c), cov_rows: (w, c), cov_entry: (c, 0, 2), cov_trace: (c, e),
    }.get(head, (a,))  # fmt: skip
    found = Program(head(*arguments), {a: 1, b: 1, c: 2, w: 2, e: 2})(
        {s: torch.tensor(v) for s, v in values.items()}
    )
    if head in COVARIANCES:
        wanted = {
            cov_form: np.einsum("ni,ij,nj->n", values[a], values[c], values[a]),
            cov_rows: np.diag(values[w] @ values[c] @ values[w].T),
            cov_entry: values[c][0, 2],
            cov_trace: np.trace(np.linalg.solve(values[e], values[c])),
        }[head]
    elif head is mvn_trace:
        wanted = (values[a] * np.diag(np.linalg.inv(values[c]))).sum(-1)
    else:
        wanted = terms.numpy_functions()[head.__name__](*(values[s] for s in arguments))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_matrix_times_vector_and_written_vectors():
    w, v = sympy.symbols("w v", real=True)
    matrix, vectors = torch.arange(6.0).reshape(2, 3), torch.ones(4, 3)
    found = Program(terms.matvec(w, v), {w: 2, v: 1})({w: matrix, v: vectors})
    assert found.tolist() == [[3.0, 12.0]] * 4
    written = Program(terms.vector(x, 2, x**2))({x: torch.tensor([1.0, 3.0])})
    assert written.tolist() == [[1.0, 2.0, 1.0], [3.0, 2.0, 9.0]]


def test_an_unknown_head_is_named():
    with pytest.raises(InputError, match=r"zeta.*torch meaning"):
        Program(sympy.zeta(x))
