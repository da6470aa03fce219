"""Index points as integer arrays: the arithmetic behind grounding, in numpy and without loops.

An *environment* maps every bound letter to an integer array, one entry per instance of a
statement.  A `Table` numbers the points at which a variable lives, so that ``z[t-1]`` becomes an
array of positions: cost is linear in the number of instances, whatever the nesting or raggedness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.errors import DataError, InputError
from avi_theory.spec.model import Range
from avi_theory.spec.terms import name_of

Ints = np.ndarray
Lookup = Callable[[Expr, tuple[Ints, ...]], Ints]
MAX_POINTS = 200_000_000


def evaluate_index(expression: Expr, env: Mapping[str, Ints | int], lookup: Lookup) -> Ints:
    """An index expression (``t-1``, ``J[n]``, ``g[i]``, ``2*N``) at every instance.

    Args:
        expression: built from integers, letters, sizes, maps and ragged sizes.
        env: letters (arrays) and sizes (integers) by name.
        lookup: the value of a given at integer subscripts.

    Raises:
        InputError: a size without a value, or an expression that is no index.
    """
    if isinstance(expression, Indexed):
        subs = tuple(evaluate_index(s, env, lookup) for s in expression.indices)
        return lookup(expression, subs)
    if expression.is_Integer:
        return np.asarray(int(expression))
    if isinstance(expression, Symbol):
        if expression.name in env:
            return np.asarray(env[expression.name])
        return lookup(expression, ())
    if expression.is_Rational:
        raise InputError(f"The index expression {expression} is not a whole number.")
    parts = [evaluate_index(a, env, lookup) for a in expression.args]
    if expression.is_Add:
        return sum(parts[1:], parts[0])
    if expression.is_Mul:
        return np.asarray(np.prod(np.broadcast_arrays(*parts), axis=0))
    if isinstance(expression, sympy.Pow) and expression.exp.is_Integer and expression.exp > 0:
        return parts[0] ** int(expression.exp)
    raise InputError(
        f"The index expression {expression} cannot be computed. "
        "Use sums and products of letters, sizes, maps and whole numbers."
    )


def expand(
    env: Mapping[str, Ints], ranges: Sequence[Range], sizes: Mapping[str, int], lookup: Lookup
) -> dict[str, Ints]:
    """Every instance of nested ranges: the environment after binding each range in turn.

    An environment without letters stands for one instance.  Ragged ends (``1:J[n]``) are allowed.
    """
    env = dict(env)
    count = len(next(iter(env.values()))) if env else 1
    for r in ranges:
        scope: dict[str, Ints | int] = {**sizes, **env}
        low = np.broadcast_to(evaluate_index(r.low, scope, lookup), (count,)).astype(np.int64)
        high = np.broadcast_to(evaluate_index(r.high, scope, lookup), (count,)).astype(np.int64)
        lengths = np.maximum(high - low + 1, 0)
        total = int(lengths.sum())
        if total > MAX_POINTS:
            raise InputError(
                f"The range {r} has {total:,} instances, more than the {MAX_POINTS:,} that fit. "
                "Set a smaller size."
            )
        parent = np.repeat(np.arange(count), lengths)
        env = {k: v[parent] for k, v in env.items()}
        starts = np.cumsum(lengths) - lengths
        env[r.letter.name] = low[parent] + np.arange(total) - starts[parent]
        env["#parent"] = env["#parent"][parent] if "#parent" in env else parent
        count = total
    env.pop("#parent", None)
    return env


@dataclass(frozen=True, eq=False)
class Table:
    """The numbered points of one variable or given.

    Attributes:
        name: of the variable.
        letters: its index letters.
        points: integers ``[P, axes]``; for a scalar ``[1, 0]``.
        low: the smallest value on each axis.
        box: positions over the bounding box, -1 where there is no point.
    """

    name: str
    letters: tuple[str, ...]
    points: Ints
    low: tuple[int, ...]
    box: Ints

    @classmethod
    def of(cls, name: str, letters: Sequence[str], points: Ints) -> Table:
        """Number the given points (``[P, axes]``), sorted and without doubles."""
        if not letters:
            return cls(name, (), np.zeros((1, 0), np.int64), (), np.zeros((), np.int64))
        points = np.asarray(points, np.int64).reshape(-1, len(letters))
        if len(points) == 0:
            raise DataError(
                f"{name}[{','.join(letters)}] has no index point at these sizes. "
                "Check the sizes: each range must hold at least one point."
            )
        low, high = points.min(0), points.max(0)
        shape = tuple(int(s) for s in high - low + 1)
        if float(np.prod([float(s) for s in shape])) > MAX_POINTS:
            raise DataError(
                f"The index box of {name} has {shape} cells, too many to number. Use fewer points."
            )
        flat = np.ravel_multi_index(tuple((points - low).T), shape)
        if np.any(flat[1:] <= flat[:-1]):
            flat = np.unique(flat)
        box = np.full(int(np.prod(shape)), -1, np.int64)
        box[flat] = np.arange(len(flat))
        sorted_points = np.stack(np.unravel_index(flat, shape), -1) + low
        return cls(
            name, tuple(letters), sorted_points, tuple(int(v) for v in low), box.reshape(shape)
        )

    @property
    def size(self) -> int:
        """The number of points."""
        return len(self.points)

    def positions(self, subscripts: Sequence[Ints]) -> Ints:
        """Positions of points; -1 where the variable has none."""
        if not self.letters:
            shape = np.broadcast_shapes(*(np.shape(s) for s in subscripts)) if subscripts else ()
            return np.zeros(shape, np.int64)
        offsets = [np.asarray(s) - lo for s, lo in zip(subscripts, self.low, strict=True)]
        shape = self.box.shape
        broadcast = np.broadcast_arrays(*offsets)
        inside = np.ones(broadcast[0].shape, bool)
        for o, n in zip(broadcast, shape, strict=True):
            inside &= (o >= 0) & (o < n)
        clipped = tuple(np.clip(o, 0, n - 1) for o, n in zip(broadcast, shape, strict=True))
        return np.where(inside, self.box[clipped], -1)

    def label(self, position: int) -> str:
        """The point as users write it, e.g. ``z[3]``."""
        if not self.letters:
            return self.name
        return f"{self.name}[{','.join(str(int(v)) for v in self.points[position])}]"


def atom_letters(expression: Expr) -> set[str]:
    """Names of plain symbols inside an index expression, bases of maps left out."""
    if isinstance(expression, Indexed):
        return set().union(*(atom_letters(s) for s in expression.indices))
    if isinstance(expression, Symbol):
        return {name_of(expression)}
    return set().union(*(atom_letters(a) for a in expression.args), set())
