"""Index positions: letters, differences, and their signs with every size taken as large."""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms


@lru_cache(maxsize=4096)
def gap(left: Expr, right: Expr) -> Expr:
    """left − right, expanded."""
    if right.is_Integer and _plain(left):
        return terms.stepped(left, -right)
    difference = left - right
    return difference if _plain(difference) else sympy.expand(difference)


def _plain(expr: Expr) -> bool:
    """Whether an expression is a sum of numbers, references and multiples, so expanded already."""
    return all(
        part.is_Atom
        or isinstance(part, Indexed)
        or (part.is_Mul and [a.is_Number or 2 * a.is_Symbol for a in part.args] == [1, 2])
        for part in sympy.Add.make_args(expr)
    )


@lru_cache(maxsize=4096)
def slope(expr: Expr, letter: Symbol) -> Expr:
    """How fast a position moves with a letter."""
    if not _plain(expr) or any(letter in a.free_symbols for a in expr.atoms(Indexed)):
        return sympy.diff(expr, letter)
    parts = (part.as_coeff_Mul() for part in sympy.Add.make_args(expr))
    return sympy.Add(*(c for c, atom in parts if atom == letter))


@lru_cache(maxsize=4096)
def letters_in(expr: Expr) -> tuple[Symbol, ...]:
    """The free symbols of a position, by name."""
    return tuple(sorted(expr.free_symbols, key=attrgetter("name")))


@lru_cache(maxsize=4096)
def sign(expr: Expr) -> int | None:
    """The sign of a difference of positions with every size taken as large; None if open."""
    if not _plain(expr):
        expr = sympy.expand(expr)
    if expr.is_number:
        return int(sympy.sign(expr))
    if _plain(expr):
        parts = [p.as_coeff_Mul() for p in sympy.Add.make_args(expr)]
        slopes = [c for c, atom in parts if not atom.is_number]
    else:
        found = [expr.coeff(s) for s in expr.free_symbols | expr.atoms(Indexed)]
        slopes = [c for c in found if c != 0]
    if slopes and all(s.is_number and s > 0 for s in slopes):
        return 1
    if slopes and all(s.is_number and s < 0 for s in slopes):
        return -1
    return None
