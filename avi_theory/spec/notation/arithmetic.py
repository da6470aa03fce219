"""Exact arithmetic that cannot explode: every step is checked before sympy is asked to do it.

sympy evaluates numbers eagerly (``3**(10**9)`` would fill the memory), so exponents and sizes are
looked at first.  What is refused raises `TooLarge` or `Undefined` with the reason as its text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import sympy
from sympy import Expr, Rational

from avi_theory.spec import terms

MAX_EXPONENT = 100
MAX_BITS = 2048
MAX_VALUE = 1e300
MAX_INTEGER = 10**15
"""Largest index, size or range end."""


class TooLarge(ValueError):
    """A number too large (or too small) to mean anything."""


class Undefined(ValueError):
    """A number that does not exist: a division by zero, the logarithm of -1."""


_REAL: dict[type, Callable[..., float]] = {
    sympy.exp: math.exp,
    sympy.log: math.log,
    sympy.sin: math.sin,
    sympy.cos: math.cos,
    sympy.tanh: math.tanh,
    sympy.Abs: abs,
    terms.sigmoid: lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
    terms.softplus: lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    terms.maximum: max,
    terms.minimum: min,
}


def literal(text: str) -> Expr:
    """A decimal literal as the exact rational it writes."""
    mantissa, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) > 300:
        raise TooLarge(f"The number {text} is too large or too small to mean anything.")
    number = Rational(mantissa) * sympy.Integer(10) ** int(exponent or 0)
    return checked(number)


def constant(expression: Expr, known: Mapping[Expr, float] | None = None) -> float | None:
    """The value of an expression as a float, None if it holds a symbol that is not `known`.

    Raises:
        TooLarge: a step overflows.
        Undefined: a step has no real value.
    """
    if expression.is_Rational:
        return _fraction(expression)
    if expression.is_NumberSymbol:
        return float(expression)
    if not expression.args or isinstance(expression, sympy.Indexed):
        return known.get(expression) if known else None
    function = _REAL.get(expression.func)
    if not (function or expression.is_Add or expression.is_Mul or expression.is_Pow):
        return None
    parts = [constant(argument, known) for argument in expression.args]  # each may be refused
    numbers = [p for p in parts if p is not None]
    if len(numbers) < len(parts):
        return None
    try:
        if expression.is_Add:
            return _finite(math.fsum(numbers))
        if expression.is_Mul:
            return _finite(math.prod(numbers))
        if expression.is_Pow:
            return _power(numbers[0], numbers[1])
        assert function is not None
        return _finite(function(*numbers))
    except OverflowError:
        raise TooLarge("A number here is too large to mean anything.") from None
    except ValueError as error:
        if isinstance(error, TooLarge | Undefined):
            raise
        raise Undefined("A number here has no real value.") from None


def _fraction(number: Expr) -> float:
    try:
        return int(number.p) / int(number.q)
    except OverflowError:
        raise TooLarge("A number here is too large to mean anything.") from None


def _finite(value: float) -> float:
    if not abs(value) <= MAX_VALUE:
        raise TooLarge("A number here is too large to mean anything.")
    return float(value)


def _power(base: float, exponent: float) -> float:
    if base == 0 and exponent < 0:
        raise Undefined("This divides by zero.")
    if base < 0 and exponent != int(exponent):
        raise Undefined("This is a root of a negative number.")
    try:
        return _finite(float(base**exponent))
    except OverflowError:
        raise TooLarge("A number here is too large to mean anything.") from None


def checked(expression: Expr) -> Expr:
    """The expression itself, if its numbers are of sensible size and finite.

    Raises:
        TooLarge, Undefined: as `constant`.
    """
    for part in (expression, *expression.args):
        if part.is_Rational:
            if max(int(part.p).bit_length(), int(part.q).bit_length()) > MAX_BITS:
                raise TooLarge("A number here is too large to mean anything.")
        elif part in (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan):
            raise Undefined("A number here is not finite.")
        elif part.is_number and part.is_real is False:
            raise Undefined("A number here has no real value.")
    value = constant(expression)
    if value is not None:
        _finite(value)
    return expression


def plus(*summands: Expr) -> Expr:
    """a + b + …."""
    return checked(sympy.Add(*summands))


def times(*factors: Expr) -> Expr:
    """a·b·…."""
    return checked(sympy.Mul(*factors))


def divide(a: Expr, b: Expr) -> Expr:
    """a / b.

    Raises:
        Undefined: b is zero.
    """
    if b.is_zero or constant(b) == 0:
        raise Undefined("This divides by zero.")
    return times(a, sympy.Pow(b, -1))


def power(a: Expr, b: Expr) -> Expr:
    """a to the power b, with exponents of sensible size only.

    Raises:
        TooLarge: a number in the exponent beyond `MAX_EXPONENT`.
        Undefined: zero to a negative power, a root of a negative number.
    """
    for number in b.atoms(Rational):
        if abs(number) > MAX_EXPONENT or number.q > 10**6:
            raise TooLarge(f"The exponent {_shown(number)} is too large to mean anything.")
    value, base = constant(b), constant(a)
    if value is not None and base is not None:
        _power(base, value)
    if base is not None and not b.is_Integer and a.is_Rational and a.p.bit_length() > 300:
        raise TooLarge("A number here is too large to mean anything.")
    if value is not None:
        for coefficient in a.args if a.is_Mul or a.is_Pow else ():
            bits = coefficient.p.bit_length() if coefficient.is_Rational else 0
            if bits * abs(value) > MAX_BITS:
                raise TooLarge("A number here is too large to mean anything.")
    result = checked(sympy.Pow(a, b))
    for number in result.atoms(Rational) if result.is_Pow and not result.exp.is_Integer else ():
        if abs(number) > 10**6 and number in result.exp.atoms(Rational):
            raise TooLarge(f"The exponent {_shown(number)} is too large to mean anything.")
    return result


def apply(function: type[sympy.Function], *arguments: Expr) -> Expr:
    """A whitelisted function, left unevaluated where sympy's evaluation may explode."""
    numbers = [constant(a) for a in arguments]
    if all(n is not None for n in numbers):
        meaning = _REAL[function]
        try:
            _finite(meaning(*numbers))
        except OverflowError:
            raise TooLarge("A number here is too large to mean anything.") from None
        except (ValueError, ZeroDivisionError) as error:
            if isinstance(error, TooLarge):
                raise
            raise Undefined("A number here has no real value.") from None
    if function is sympy.Abs and not arguments[0].is_Rational:
        return sympy.Abs(arguments[0], evaluate=False)
    if function is sympy.exp:
        _refuse_hidden_power(arguments[0])
    return checked(function(*arguments))


def _refuse_hidden_power(exponent: Expr) -> None:
    """exp(k·log a) is a to the power k, and sympy knows it."""
    for term in sympy.Add.make_args(exponent):
        coefficient, rest = term.as_coeff_Mul()
        if rest.has(sympy.log) and (abs(coefficient) > MAX_EXPONENT or coefficient.q > 10**6):
            raise TooLarge(f"The exponent {_shown(coefficient)} is too large to mean anything.")


def _shown(number: Expr) -> str:
    text = str(number) if max(int(number.p).bit_length(), int(number.q).bit_length()) < 200 else ""
    return text if 0 < len(text) <= 24 else "(a number of many digits)"
