"""A read expression and its shape: a number, a vector or a matrix of known or unknown lengths."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr, Symbol

from avi_theory.spec.model import Axis

Shape = tuple[Expr | None, ...]


@dataclass(frozen=True)
class Value:
    """A read expression.

    Attributes:
        expr: the sympy expression.
        shape: () of a scalar, (length,) of a vector, two lengths of a matrix; None if unknown.
        integer: whether it may stand in a subscript.
        partial: why it is not a scalar, in words, if subscripts are missing.
        broken: a problem inside was already reported.
    """

    expr: Expr
    shape: Shape = ()
    integer: bool = False
    partial: str = ""
    broken: bool = False


BROKEN = Value(Symbol("?"), broken=True)


def same_shape(a: Shape, b: Shape) -> bool:
    """Whether two shapes may agree (only certain differences count)."""
    if len(a) != len(b):
        return False
    for x, y in zip(a, b, strict=True):
        if x is not None and y is not None:
            difference = x - y
            if difference.is_Integer and difference != 0:
                return False
    return True


def shown_shape(shape: Shape) -> str:
    """A shape in words."""
    if not shape:
        return "a number"
    sizes = " by ".join("?" if s is None else str(s) for s in shape)
    return f"a vector of length {sizes}" if len(shape) == 1 else f"a matrix of {sizes}"


def volume(shape: Shape) -> Expr | None:
    """The number of entries, None if a length is unknown."""
    if any(s is None for s in shape):
        return None
    return sympy.Mul(*[s for s in shape if s is not None])


def has_fractions(value: object) -> bool:
    """Whether a given's value holds something that is certainly no whole number."""
    if isinstance(value, tuple):
        return any(has_fractions(v) for v in value)
    return isinstance(value, Expr) and bool(value.is_Rational) and not value.is_Integer


def count_message(name: str, axes: tuple[Axis, ...], found: int) -> str:
    """What to say about a wrong number of subscripts."""
    shown = f"{name}[{','.join(a.letter or ':' for a in axes)}]" if axes else name
    count = f"{len(axes)} {'index' if len(axes) == 1 else 'indices'}" if axes else "no index"
    return f"{name!r} has {count} ({shown}), but found {found}."


def short(expression: Expr) -> str:
    """An expression for a message."""
    text = str(expression)
    return text if len(text) <= 40 else text[:37] + "..."
