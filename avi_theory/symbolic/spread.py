r"""Vectors written out coordinate by coordinate, and networks replaced by one small fixed net.

.. math:: f(u)_k = a_k \tanh\Big(\sum_j b_{kj} u_j\Big)

The reference solver knows numbers only: a vector-valued `z[n]` becomes its coordinates
`z[n, 0], z[n, 1], …`, a product with a matrix becomes sums.  An opaque network is some function; a
witness may choose which, so it takes one hidden unit per output and says so.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sympy
from sympy import Expr, Indexed, Rational, Symbol
from sympy.core.function import AppliedUndef

from avi_theory.spec import terms
from avi_theory.symbolic.errors import Stuck

if TYPE_CHECKING:
    from avi_theory.symbolic.small import Small

SEED = 0
"""Of the weights of the small net."""
LIVE = 3
"""Outputs of the small net that are not identically zero."""
MOST = 4000
"""Coordinates in one expression beyond which it is not written out."""

Entries = Any
"""A scalar expression, a list of them (a vector), or a list of lists (a matrix)."""


class Spread:
    """Writes expressions out for one written-out model.

    Args:
        small: gives dimensions, tables and roles.

    Attributes:
        nets: by network the formula of the small net that stands for it.
    """

    def __init__(self, small: Small) -> None:
        self.small = small
        self.nets: dict[str, str] = {}

    def __call__(self, expr: Expr) -> Entries:
        """The expression in coordinates.

        Raises:
            Stuck: an expression that has no coordinates, or too many.
        """
        if isinstance(expr, (Symbol, Indexed)):
            return self._atom(expr)
        if isinstance(expr, AppliedUndef):
            return self._network(expr)
        if not expr.args:
            return expr
        special = _SPECIAL.get(expr.func)
        arguments = [self(a) for a in expr.args]
        if special is not None:
            return special(*arguments)
        if isinstance(expr, terms.vector):
            return arguments
        return _elementwise(expr.func, arguments)

    def _atom(self, atom: Expr) -> Entries:
        structure, name = self.small.structure, terms.name_of(atom)
        if isinstance(atom, Symbol) and name in structure.tables:
            return _listed(structure.tables[name])
        if isinstance(atom, Indexed) and name in structure.tables:
            table = structure.tables[name]
            for sub in atom.indices:
                if not (isinstance(table, tuple) and sub.is_Integer):
                    return atom
                table = table[int(sub)]
            return _listed(table)
        variable = structure.model.variables.get(name)
        if variable is None or variable.dim is None:
            return atom
        subs = terms.subscripts_of(atom)
        if len(subs) > len(variable.axes):
            return atom
        return self.small.coordinates(atom)

    def _network(self, call: Expr) -> Entries:
        name = call.func.__name__
        network = self.small.structure.model.networks[name]
        count = self.small.whole(network.output)
        arguments = [_flat(self(a)) for a in call.args]
        stream = random.Random(SEED)
        outputs: list[Expr] = []
        formulas: list[str] = []
        for k in range(count):
            if k >= LIVE:
                outputs.append(sympy.Integer(0))
                continue
            width = 2 if len(arguments) == 1 else 1
            picked = [
                (p, (k + j) % len(a))
                for p, a in enumerate(arguments) for j in range(min(width, len(a)))
            ]  # fmt: skip
            scale = Rational(stream.randrange(8, 16), 10)
            weights = [Rational(stream.randrange(5, 13), 10) for _ in picked]
            inside = sympy.Add(
                *(w * arguments[p][j] for w, (p, j) in zip(weights, picked, strict=True))
            )
            outputs.append(scale * sympy.tanh(inside))
            starts = [sum(len(a) for a in arguments[:p]) for p, _ in picked]
            shown = " + ".join(
                f"{w} u[{s + j}]" for w, s, (_, j) in zip(weights, starts, picked, strict=True)
            )
            formulas.append(f"{scale} tanh({shown})")
        rest = ", the others 0" if count > LIVE else ""
        self.nets[name] = f"{name}(u) = ({', '.join(formulas)}{rest}), weights of seed {SEED}"
        return outputs[0] if count == 1 else outputs


def _listed(table: Any) -> Entries:
    return [_listed(row) for row in table] if isinstance(table, tuple) else table


def _flat(entries: Entries) -> list[Expr]:
    if not isinstance(entries, list):
        return [entries]
    return [e for entry in entries for e in _flat(entry)]


def _elementwise(head: Callable[..., Expr], arguments: list[Entries]) -> Entries:
    lengths = {len(a) for a in arguments if isinstance(a, list)}
    if not lengths:
        return head(*arguments)
    if len(lengths) > 1 or max(lengths) > MOST:
        raise Stuck(sympy.Tuple(*map(_tupled, arguments)), "vectors of different or huge sizes")
    return [
        _elementwise(head, [a[k] if isinstance(a, list) else a for a in arguments])
        for k in range(lengths.pop())
    ]


def _tupled(entries: Entries) -> Any:
    return sympy.Tuple(*map(_tupled, entries)) if isinstance(entries, list) else entries


def _pick(values: Entries, place: Expr) -> Entries:
    if not isinstance(values, list):
        return terms.pick(values, place)
    if place.is_Integer:
        return values[int(place)]
    return terms.pick(terms.vector(*values), place)


def _total(values: Entries) -> Expr:
    return sympy.Add(*_flat(values))


def _logsumexp(values: Entries) -> Expr:
    return sympy.log(sympy.Add(*(sympy.exp(v) for v in _flat(values))))


def _matvec(matrix: Entries, right: Entries) -> Entries:
    if not isinstance(matrix, list) or not isinstance(right, list):
        return _elementwise(sympy.Mul, [matrix, right])
    if isinstance(matrix[0], list):
        return [_matvec(row, right) for row in matrix]
    return sympy.Add(*(a * b for a, b in zip(matrix, right, strict=True)))


def _mvn(x: Entries, mean: Entries, cov: Entries) -> Expr:
    """log N(x; mean, cov) up to a constant, for a covariance of numbers."""
    if not (isinstance(cov, list) and isinstance(cov[0], list)):
        raise Stuck("MultivariateNormal", "its covariance is not a matrix of numbers")
    matrix = sympy.Matrix(cov)
    if matrix.free_symbols or matrix.atoms(Indexed):
        raise Stuck("MultivariateNormal", "its covariance is not a matrix of numbers")
    precision = matrix.inv()
    centred = [a - (mean[k] if isinstance(mean, list) else mean) for k, a in enumerate(x)]
    return sympy.Add(
        *(-precision[i, j] * a * b / 2 for i, a in enumerate(centred)
          for j, b in enumerate(centred))
    )  # fmt: skip


_SPECIAL: dict[Any, Callable[..., Entries]] = {
    terms.pick: _pick,
    terms.total: _total,
    terms.logsumexp: _logsumexp,
    terms.matvec: _matvec,
    terms.mvn_log_density: _mvn,
}
