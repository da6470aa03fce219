"""What a formula is made of besides references: moments, sums over indices, matrices.

The heads hold plain expressions, so that letters, references and degrees can be read off, and a
formula evaluated; they never compute anything by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Expr, Function, Indexed, Symbol


class _Real(Function):
    """A real-valued head that sympy leaves alone."""

    is_extended_real = True
    is_real = True


class expectation(_Real):
    """E_q of an expression, over all globals and locals in it."""

    nargs = 1


class over(_Real):
    """over(body, letter, low, high, map, value, …): Σ of body over the points where map = value."""


class rest(_Real):
    """rest(body, letter, low, high, left_out): Σ of body over the points but one."""

    nargs = 5


class chance(_Real):
    """chance(c, k): q(c = k) of a discrete latent."""

    nargs = 2


class indicator(_Real):
    """indicator(x, k): 1 where an observation or a given is k, else 0."""

    nargs = 2


class transpose(_Real):
    """Wᵀ; of a row the column."""

    nargs = 1


class gram(_Real):
    """gram(W, c): Wᵀ diag(c) W; c may be one number for all rows."""

    nargs = 2


class diagonal(_Real):
    """diagonal(c): the matrix with c on its diagonal; c may be one number for all entries."""

    nargs = 1


class inverse(_Real):
    """The inverse of a covariance matrix."""

    nargs = 1


class solve(_Real):
    """solve(P, h): the vector m with P m = h."""

    nargs = 2


class diagonal_of(_Real):
    """The vector on a matrix's diagonal."""

    nargs = 1


class product(_Real):
    """product(A, v): a matrix times a vector."""

    nargs = 2


class precision(_Real):
    """precision(cov, n, m, low, high, i, j, P): entry i, j of P, the inverse of [cov] over n, m."""

    nargs = 8


def references(expr: Expr) -> Iterator[Expr]:
    """Every reference in an expression, also in subscripts; letters and sizes are none."""
    if isinstance(expr, Indexed):
        yield expr
        for sub in expr.indices:
            yield from references(sub)
    elif isinstance(expr, Symbol):
        if not expr.is_integer:
            yield expr
    else:
        for a in expr.args:
            yield from references(a)


def count(letter: Symbol, low: Expr, high: Expr, *facts: Expr) -> Expr:
    """How many points a letter runs over."""
    return over(sympy.Integer(1), letter, low, high, *facts) if facts else high - low + 1
