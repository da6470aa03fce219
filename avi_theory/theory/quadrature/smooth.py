"""Is an expression smooth in its unknowns, so that Gauss–Hermite quadrature converges fast?"""

from __future__ import annotations

from collections.abc import Collection

import sympy
from sympy import Expr, Symbol

from avi_theory.spec import terms

ENTIRE = (sympy.exp, sympy.sin, sympy.cos, sympy.tanh, terms.sigmoid, terms.softplus)


def rough_part(e: Expr, unknown: Collection[Symbol], positive: Collection[Symbol]) -> Expr | None:
    """The first part that has a kink or a pole somewhere, or that is not known not to; else None.

    Args:
        e: the expression.
        unknown: symbols with a distribution.
        positive: those of them that are positive.
    """
    if not e.free_symbols & set(unknown) or isinstance(e, Symbol):
        return None
    if isinstance(e, sympy.log):
        inside = e.args[0]
        return rough_part(inside, unknown, positive) if is_positive(inside, positive) else e
    if e.is_Pow:
        base, power = e.args
        if power.free_symbols & set(unknown):
            return e
        if not (power.is_Integer and power >= 0) and not is_positive(base, positive):
            return e
        return rough_part(base, unknown, positive)
    if not (e.is_Add or e.is_Mul or isinstance(e, ENTIRE)):
        return e
    parts = (rough_part(a, unknown, positive) for a in e.args)
    return next((p for p in parts if p is not None), None)


def is_positive(e: Expr, positive: Collection[Symbol]) -> bool:
    """Whether an expression is positive for all values of its symbols, by its form alone.

    Example:
        >>> x, t = sympy.symbols("x t", real=True)
        >>> is_positive(1 + x**2 / t, {t}), is_positive(1 + x, {t})
        (True, False)
    """
    if e in positive or isinstance(e, (sympy.exp, terms.sigmoid, terms.softplus)):
        return True
    if e.is_number:
        return bool(e.is_positive)
    if e.is_Mul:
        return all(is_positive(a, positive) for a in e.args)
    if e.is_Pow:
        return is_positive(e.base, positive)
    if e.is_Add:
        return any(is_positive(a, positive) for a in e.args) and all(
            _is_non_negative(a, positive) for a in e.args
        )
    return False


def _is_non_negative(e: Expr, positive: Collection[Symbol]) -> bool:
    if is_positive(e, positive):
        return True
    if e.is_Mul:
        return all(_is_non_negative(a, positive) for a in e.args)
    return bool(e.is_Pow and e.exp.is_Integer and e.exp % 2 == 0 and e.exp > 0)
