r"""Index ends as integer linear forms, compared for generically large sizes.

An end such as ``T-1`` is the form :math:`c_0 + \sum_a c_a a` over atoms a (sizes, ragged sizes,
letters).  The sign of a form is decided when all its atoms pull the same way, as they then do for
every large enough size; otherwise it is unknown, and nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import sympy
from sympy import Expr, Symbol

from avi_theory.spec.model import Range


@dataclass(frozen=True)
class Form:
    """c₀ + Σ cₐ·a with rational coefficients."""

    constant: sympy.Rational
    parts: tuple[tuple[Expr, sympy.Rational], ...] = ()

    def __sub__(self, other: Form) -> Form:
        parts = dict(self.parts)
        for atom, coefficient in other.parts:
            parts[atom] = parts.get(atom, sympy.Integer(0)) - coefficient
        kept = tuple((a, c) for a, c in parts.items() if c != 0)
        return Form(self.constant - other.constant, kept)

    def sign(self) -> int | None:
        """-1, 0 or 1 for all large sizes; None if that cannot be said."""
        if not self.parts:
            return int(bool(self.constant > 0)) - int(bool(self.constant < 0))
        signs = {1 if bool(c > 0) else -1 for _, c in self.parts}
        return signs.pop() if len(signs) == 1 else None


@lru_cache(maxsize=8192)
def form(expression: Expr) -> Form:
    """The linear form of an index expression; anything else counts as one atom."""
    if expression.is_Rational:
        return Form(expression)
    if not expression.is_Add:
        coefficient, rest = expression.as_coeff_Mul()
        return Form(sympy.Integer(0), ((rest, coefficient),))
    constant = sympy.Integer(0)
    parts: dict[Expr, sympy.Rational] = {}
    for term in expression.args:
        if term.is_Rational:
            constant += term
        else:
            coefficient, rest = term.as_coeff_Mul()
            parts[rest] = parts.get(rest, sympy.Integer(0)) + coefficient
    return Form(constant, tuple(parts.items()))


def compare(a: Expr, b: Expr) -> int | None:
    """The sign of a - b for generically large sizes, or None."""
    return (form(a) - form(b)).sign()


@dataclass(frozen=True)
class Interval:
    """The whole numbers low..high."""

    low: Expr
    high: Expr

    @property
    def empty(self) -> bool:
        """True if it is certainly empty."""
        return compare(self.high, self.low) == -1

    @property
    def nonempty(self) -> bool:
        """True if it certainly holds a point."""
        return compare(self.high, self.low) in (0, 1)

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}:{self.high}"


Box = tuple[Interval, ...]


def meet(a: Interval, b: Interval) -> Interval | None:
    """The common part, or None if an end cannot be compared."""
    low, high = compare(a.low, b.low), compare(a.high, b.high)
    if low is None or high is None:
        return None
    return Interval(a.low if low >= 0 else b.low, a.high if high <= 0 else b.high)


def subtract(box: Box, hole: Box) -> list[Box] | None:
    """What of a box lies outside a hole, as boxes; None if that cannot be said."""
    rest: list[Box] = []
    core: list[Interval] = list(box)
    for axis, (interval, gap) in enumerate(zip(box, hole, strict=True)):
        common = meet(interval, gap)
        if common is None:
            return None
        if common.empty:
            return [box]
        if not common.nonempty:
            return None
        below = Interval(interval.low, common.low - 1)
        above = Interval(common.high + 1, interval.high)
        for piece in (below, above):
            if not piece.empty:
                if not piece.nonempty:
                    return None
                rest.append((*core[:axis], piece, *core[axis + 1 :]))
        core[axis] = common
    return rest


def uncovered(box: Box, cover: list[Box]) -> list[Box]:
    """Points of a box that certainly lie in none of the covering boxes."""
    left = [box]
    for hole in cover:
        following: list[Box] = []
        for piece in left:
            rest = subtract(piece, hole)
            if rest is None:
                continue
            following += rest
        left = following
        if len(left) > 64:
            return []
    return [b for b in left if all(i.nonempty for i in b)]


def hull(intervals: list[Interval], index: Interval | None = None) -> Interval:
    """The smallest range that holds all, as far as its ends can be compared.

    Ranges that follow one another (``1:M`` and ``M+1:T``) join, and an end of the declared index
    set counts as outermost; other ends that cannot be compared keep the first.

    Args:
        intervals: the ranges.
        index: of the declared index set.
    """
    low, high = intervals[0].low, intervals[0].high
    for _ in intervals:
        for interval in intervals:
            below, above = compare(interval.low, low), compare(interval.high, high)
            if below == -1 or (below is None and compare(interval.high + 1, low) == 0):
                low = interval.low
            if above == 1 or (above is None and compare(interval.low - 1, high) == 0):
                high = interval.high
            if index is not None and below is None and compare(interval.low, index.low) == 0:
                low = interval.low
            if index is not None and above is None and compare(interval.high, index.high) == 0:
                high = interval.high
    return Interval(low, high)


def spread(expression: Expr, ranges: Mapping[Symbol, Range]) -> Interval:
    """The range of an index expression while its letters run over their ranges.

    Letters inside subscripts (the n of ``J[n]``) stay as they are.
    """
    low, high = expression, expression
    for _ in range(len(ranges) + 1):
        new_low, new_high = _extreme(low, ranges, -1), _extreme(high, ranges, 1)
        if (new_low, new_high) == (low, high):
            break
        low, high = new_low, new_high
    return Interval(low, high)


def _extreme(expression: Expr, ranges: Mapping[Symbol, Range], side: int) -> Expr:
    linear = form(expression)
    total: Expr = linear.constant
    for atom, coefficient in linear.parts:
        end: Expr = atom
        if isinstance(atom, Symbol) and atom in ranges:
            r = ranges[atom]
            end = r.high if (coefficient > 0) == (side > 0) else r.low
        total = total + coefficient * end
    return total
