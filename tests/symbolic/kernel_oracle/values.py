"""Formulas at numbers: moments by the atoms of q, sums by loops, matrices by NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.kernels import heads
from avi_theory.symbolic.kernels.printing import MISSING

from .brute import World

Env = Mapping[str, int]
Put = Mapping[tuple[str, tuple[int, ...]], Any]


class Values:
    """Evaluates a formula of one world.

    Args:
        world: data, givens and the factors of all latents.
    """

    def __init__(self, world: World) -> None:
        self.world, self.bound, self.model = world, world.bound, world.model

    def __call__(self, expr: Expr, env: Env, put: Put | None = None) -> Any:
        """The value of an expression at given letters."""
        put = put or {}

        def at(e: Expr) -> Any:
            return self(e, env, put)

        if expr.is_Integer or expr.is_Rational:
            return float(expr)
        if isinstance(expr, (Symbol, Indexed)):
            return self._reference(expr, env, put)
        if expr.is_Add:
            return sum(at(a) for a in expr.args)
        if expr.is_Mul:
            value: Any = 1.0
            for a in expr.args:
                value = value * at(a)
            return value
        if expr.is_Pow:
            return at(expr.base) ** at(expr.exp)
        args = expr.args
        match expr:
            case heads.expectation():
                return self._moment(args[0], env, put)
            case heads.over() | heads.rest():
                return self._sum(expr, env, put)
            case heads.chance():
                where = self._point(args[0], env, put)
                position = self._position(terms.name_of(args[0]), where)
                atoms = self.world.atoms[terms.name_of(args[0]), position]
                return sum(w for w, v in atoms if v == at(args[1]))
            case heads.indicator():
                return float(at(args[0]) == at(args[1]))
            case heads.transpose():
                return np.transpose(at(args[0]))
            case heads.gram():
                matrix, weights = np.atleast_2d(at(args[0])), at(args[1])
                if np.ndim(weights) < 2:
                    weights = np.diag(np.broadcast_to(weights, len(matrix)))
                return matrix.T @ weights @ matrix
            case heads.diagonal():
                return _Diagonal(at(args[0]))
            case heads.inverse():
                return np.linalg.inv(at(args[0]))
            case heads.product():
                matrix = at(args[0])
                return matrix @ np.broadcast_to(at(args[1]), matrix.shape[1])
            case heads.solve():
                matrix = _full(at(args[0]), np.size(at(args[1])))
                return np.linalg.solve(matrix, np.broadcast_to(at(args[1]), len(matrix)))
            case heads.diagonal_of():
                matrix = at(args[0])
                return matrix.entries if isinstance(matrix, _Diagonal) else np.diag(matrix)
            case heads.precision():
                cov, first, second, low, high, i, j, _ = args
                points = range(int(at(low)), int(at(high)) + 1)
                matrix = np.array([
                    [self(cov, {**env, str(first): a, str(second): b}, put) for b in points]
                    for a in points
                ])  # fmt: skip
                whole = np.linalg.inv(matrix)
                return whole[int(at(i)) - points[0], int(at(j)) - points[0]]
            case terms.vector():
                return np.array([at(a) for a in args])
            case terms.pick():
                return at(args[0])[int(at(args[1]))]
            case terms.total():
                return np.sum(at(args[0]))
            case terms.matvec():
                return at(args[0]) @ at(args[1])
        functions = {**terms.numpy_functions(), "log": np.log, "exp": np.exp, "Abs": np.abs}
        return functions[type(expr).__name__](*map(at, args))

    def _reference(self, atom: Expr, env: Env, put: Put) -> Any:
        name, where = terms.name_of(atom), self._point(atom, env, put)
        if (name, where) in put:
            return put[name, where]
        if isinstance(atom, Symbol) and atom.is_integer:
            return env[name] if name in env else self.bound.sizes[name]
        if name.startswith(MISSING):
            name = name.removeprefix(MISSING)
            return float(self.bound.present[name][self._position(name, where)])
        given = self.model.givens.get(name)
        if given is not None and not given.axes:
            return np.asarray(self.bound.known[name], float)[where]
        position = self._position(name, where)
        if position < 0:
            edges = [e for e in self.model.edge_values if e.variable == name]
            return float(next(
                e.value for e in edges
                if all(int(s) == w for s, w in zip(e.subscripts, where, strict=True) if s.is_number)
            ))  # fmt: skip
        return self.bound.known[name][position]

    def _point(self, atom: Expr, env: Env, put: Put) -> tuple[int, ...]:
        return tuple(round(float(self(s, env, put))) for s in terms.subscripts_of(atom))

    def _position(self, name: str, where: tuple[int, ...]) -> int:
        table = self.bound.tables[name]
        return int(table.positions(tuple(np.array(w) for w in where))) if where else 0

    def _moment(self, expr: Expr, env: Env, put: Put) -> Any:
        """Open the latents one after another, the ones that select others first."""
        for atom in heads.references(expr):
            if terms.name_of(atom) not in {*self.model.variables} or any(
                self._latent(a) for s in terms.subscripts_of(atom) for a in heads.references(s)
                if (terms.name_of(a), self._point(a, env, put)) not in put
            ):  # fmt: skip
                continue
            cell = terms.name_of(atom), self._point(atom, env, put)
            if self._latent(atom) and cell not in put:
                atoms = self.world.atoms[cell[0], self._position(*cell)]
                return sum(w * self._moment(expr, env, {**put, cell: v}) for w, v in atoms)
        return self(expr, env, put)

    def _latent(self, atom: Expr) -> bool:
        variable = self.model.variables.get(terms.name_of(atom))
        return variable is not None and variable.role != "observed"

    def _sum(self, expr: Expr, env: Env, put: Put) -> Any:
        body, letter, low, high, *more = expr.args
        total: Any = 0.0
        for i in range(int(self(low, env, put)), int(self(high, env, put)) + 1):
            inner = {**env, letter.name: i}
            if isinstance(expr, heads.rest):
                kept = i != self(more[0], env, put)
            else:
                kept = all(
                    self(a, inner, put) == self(b, inner, put)
                    for a, b in zip(more[::2], more[1::2], strict=True)
                )
            total = total + (self(body, inner, put) if kept else 0.0)
        return total


class _Diagonal:
    """A diagonal matrix whose size the formula does not say."""

    __array_priority__ = 1000

    def __init__(self, entries: Any) -> None:
        self.entries = entries

    def __mul__(self, scale: Any) -> _Diagonal:
        return _Diagonal(self.entries * scale)

    __rmul__ = __mul__

    def __add__(self, other: Any) -> Any:
        if isinstance(other, _Diagonal):
            return _Diagonal(self.entries + other.entries)
        if np.ndim(other) == 0 and other == 0:
            return self
        return other + np.diag(np.broadcast_to(self.entries, len(other)))

    __radd__ = __add__


def _full(matrix: Any, size: int) -> np.ndarray:
    if isinstance(matrix, _Diagonal):
        return np.diag(np.broadcast_to(matrix.entries, size))
    return np.asarray(matrix)


def letters(atom: Expr, point: tuple[int, ...]) -> dict[str, int]:
    """The letters of a reference at a point."""
    subs = terms.subscripts_of(atom)
    return {s.name: p for s, p in zip(subs, point, strict=True) if isinstance(s, sympy.Symbol)}
