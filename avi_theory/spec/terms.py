"""The sympy vocabulary of a declared density: every other layer reads these heads.

A model text becomes sympy expressions made of

* plain symbols: sizes and bound index letters (`index_symbol`), unindexed scalars, vectors and
  whole arrays (`scalar_symbol`); elementwise arithmetic on a vector is written as on a scalar;
* ``Indexed(IndexedBase(name), *subscripts)``: a variable, given, map or size array at index
  points (`ref`).  With fewer subscripts than axes it denotes the remaining row (``A[z[t-1]]``);
* ``AppliedUndef``: an opaque network applied to its arguments (`network_call`);
* ``sympy.Sum`` for ``sum`` over index points, with a bound letter found nowhere else;
* the heads below, which sympy does not have or evaluates too eagerly.

The heads never evaluate anything by themselves; `avi_theory.numeric.lowering` gives them torch
meanings, `numpy_functions` numpy ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Self

import sympy
from sympy import Add, Expr, Function, Indexed, IndexedBase, Integer, Symbol
from sympy.core.function import AppliedUndef

ALL = Symbol(":")
"""The subscript of a whole axis, as in a network's argument ``y[g,:]``."""


@lru_cache(maxsize=4096)
def index_symbol(name: str) -> Symbol:
    """The symbol of an index letter or a size."""
    return Symbol(name, integer=True)


def scalar_symbol(name: str) -> Symbol:
    """The symbol of an unindexed variable, given, vector or whole array."""
    return Symbol(name, real=True)


def ref(name: str, *subscripts: Any) -> Expr:
    """A variable, given or map at index points; without subscripts the plain symbol."""
    if not subscripts:
        return scalar_symbol(name)
    return _indexed(name, tuple(sympy.sympify(s) for s in subscripts))


class Reference(Indexed):
    """A real-valued `sympy.Indexed` that takes its facts from its base, not deduced anew."""

    def __new__(cls, base: IndexedBase, *subscripts: Expr) -> Self:
        """As `Indexed` does it; what holds for the base (it is real) holds for the reference."""
        made: Self = Expr.__new__(cls, base, *map(sympy.sympify, subscripts))
        made._assumptions = base._assumptions
        return made

    def _hashable_content(self) -> tuple[object, ...]:
        return self._args

    def __str__(self) -> str:
        return f"{name_of(self)}[{', '.join(map(text_of, self.indices))}]"


@lru_cache(maxsize=8192)
def _indexed(name: str, subscripts: tuple[Expr, ...]) -> Expr:
    return Reference(_base(name), *subscripts)


@lru_cache(maxsize=4096)
def _base(name: str) -> IndexedBase:
    return IndexedBase(name, real=True)


def put(expr: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """Values put in for symbols and references, as `xreplace` does; names stay as they are.

    References are taken from the store of `ref`, which is much faster than making them anew.
    """
    if not values or not isinstance(expr, sympy.Basic):
        return expr
    if expr in values:
        return values[expr]
    if isinstance(expr, Indexed):
        subscripts = tuple(put(s, values) for s in expr.indices)
        same = all(a is b for a, b in zip(subscripts, expr.indices, strict=True))
        return expr if same else _indexed(name_of(expr), subscripts)
    if not expr.args:
        return expr
    if _is_step(expr):
        step, letter = expr.args
        return stepped(sympy.sympify(values.get(letter, letter)), step)
    args = [put(a, values) for a in expr.args]
    if all(a is b for a, b in zip(args, expr.args, strict=True)):
        return expr
    return expr.func(*args)


def _is_step(position: Expr) -> bool:
    """Whether a position is a letter plus a number, as most written ones are."""
    return position.is_Add and [a.is_Integer + 2 * a.is_Symbol for a in position.args] == [1, 2]


@lru_cache(maxsize=8192)
def stepped(position: Expr, step: Integer) -> Expr:
    """position + step in normal form, which is known without a search where it is `_is_step`."""
    if position.is_Symbol and step:
        return Add(step, position, evaluate=False)
    if _is_step(position):
        return stepped(position.args[1], position.args[0] + step)
    return position + step


def name_of(atom: Expr) -> str:
    """The declared name behind a reference made by `ref`."""
    if isinstance(atom, Indexed):
        return str(atom.base.label.name)
    return text_of(atom)


def text_of(expr: Expr) -> str:
    """`str` of an expression, without the printer where it is a reference or a written position."""
    if isinstance(expr, Symbol):
        return str(expr.name)
    if isinstance(expr, Integer):
        return str(expr.p)
    if _is_step(expr):
        step, letter = expr.args
        return f"{letter.name} {'-' if step.p < 0 else '+'} {abs(step.p)}"
    return str(expr)


def subscripts_of(atom: Expr) -> tuple[Expr, ...]:
    """The subscripts of a reference made by `ref` (empty for a plain symbol)."""
    return tuple(atom.indices) if isinstance(atom, Indexed) else ()


def network_call(name: str, *arguments: Expr) -> Expr:
    """An opaque network applied to arguments (several are concatenated)."""
    return sympy.Function(name, real=True)(*arguments)


def network_calls(expression: Expr) -> set[AppliedUndef]:
    """All applications of opaque networks inside an expression."""
    return expression.atoms(AppliedUndef)


class _Real(Function):
    """A real-valued head that sympy leaves alone."""

    is_extended_real = True
    is_real = True


class sigmoid(_Real):
    """1 / (1 + exp(-x))."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.args[0]) * (1 - sigmoid(self.args[0]))


class softplus(_Real):
    """log(1 + exp(x))."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.args[0])


class maximum(_Real):
    """max(a, b), elementwise."""

    nargs = 2


class minimum(_Real):
    """min(a, b), elementwise."""

    nargs = 2


class matvec(_Real):
    """A @ v: a matrix times a vector (or a row vector times a vector, a scalar)."""

    nargs = 2


class pick(_Real):
    """Entry k of a vector: pick(v, k), k zero-based; also the coordinate ``z[n][k]``."""

    nargs = 2


class vector(_Real):
    """A vector written out, as in ``Categorical([0.5, 0.5])``: vector(a, b, …)."""


class total(_Real):
    """The sum over the coordinates of a vector expression."""

    nargs = 1


class logsumexp(_Real):
    """log Σ exp over the coordinates of a vector expression."""

    nargs = 1


class where_positive(_Real):
    """where_positive(c, a): a where c > 0, minus infinity elsewhere (a support)."""

    nargs = 2


class mvn_log_density(_Real):
    """log N(x; mean, cov) of a vector: mvn_log_density(x, mean, cov)."""

    nargs = 3


HEADS: dict[str, type[Function]] = {
    h.__name__: h
    for h in (
        sigmoid, softplus, maximum, minimum, matvec, pick, vector, total, logsumexp,
        where_positive, mvn_log_density,
    )
}  # fmt: skip
"""Heads that `lambdify` must be told about, by the name they print under."""


def numpy_functions() -> dict[str, Any]:
    """Numpy meanings of the heads, for ``lambdify(…, modules=[numpy_functions(), "numpy"])``.

    Vector values carry their coordinates on the last axis.
    """
    import numpy as np
    from scipy import special

    def _pick(v: Any, k: Any) -> Any:
        v, k = np.asarray(v), np.asarray(k).astype(int)
        shape = np.broadcast_shapes(v.shape[:-1], k.shape)
        v = np.broadcast_to(v, shape + v.shape[-1:])
        return np.take_along_axis(v, np.broadcast_to(k, shape)[..., None], -1)[..., 0]

    def _matvec(a: Any, v: Any) -> Any:
        a, v = np.asarray(a), np.asarray(v)
        if a.ndim == 1:
            return np.einsum("i,...i->...", a, v)
        return np.einsum("...ij,...j->...i", a, v)

    def _mvn(x: Any, mean: Any, cov: Any) -> Any:
        cov = np.asarray(cov, float)
        chol = np.linalg.cholesky(cov)
        delta = np.asarray(x - mean, float)
        white = np.linalg.solve(chol, delta[..., None])[..., 0]
        log_det = 2 * np.log(np.diagonal(chol, axis1=-2, axis2=-1)).sum(-1)
        return -0.5 * ((white**2).sum(-1) + log_det + cov.shape[-1] * np.log(2 * np.pi))

    return {
        "sigmoid": special.expit,
        "softplus": lambda x: np.logaddexp(0.0, x),
        "maximum": np.maximum,
        "minimum": np.minimum,
        "matvec": _matvec,
        "pick": _pick,
        "vector": lambda *entries: np.stack(np.broadcast_arrays(*entries), -1),
        "total": lambda v: np.sum(v, -1),
        "logsumexp": lambda v: special.logsumexp(v, -1),
        "where_positive": lambda c, a: np.where(np.asarray(c) > 0, a, -np.inf),
        "mvn_log_density": _mvn,
        "loggamma": special.gammaln,
    }
