"""Evaluate a density at random exact points: floats first, fifty digits when a zero is suspected.

The evaluator walks the expression; vectors are Python lists, an infeasible value is minus
infinity, and a value outside a function's domain raises `OutOfDomain` so that the caller draws
again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import mpmath  # type: ignore[import-untyped]
import sympy
from sympy import Expr, Indexed, Symbol
from sympy.core.function import AppliedUndef

from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.structure import opaque

Value = Any
"""A float or mpf, or a list of them (a vector), or a list of lists (a matrix)."""


class OutOfDomain(Exception):
    """A function was asked for a value outside its domain; draw other numbers."""


@lru_cache(maxsize=8)
def arithmetic_of(digits: int = 0) -> Arithmetic:
    """The arithmetic of a precision, made once."""
    return Arithmetic(digits)


class Arithmetic:
    """Elementary functions at one precision.

    Args:
        digits: 0 for floats, else the number of decimal digits.
    """

    def __init__(self, digits: int = 0) -> None:
        self.digits = digits
        self.context = mpmath.mp.clone() if digits else None
        if self.context is not None:
            self.context.dps = digits
        lib: Any = self.context if self.context is not None else math
        self.exp = self._safe(lib.exp)
        self.sin, self.cos = self._safe(lib.sin), self._safe(lib.cos)
        self.tanh, self.sqrt = self._safe(lib.tanh), self._safe(lib.sqrt)
        self._log = lib.log
        self._lgamma = lib.loggamma if self.context is not None else math.lgamma
        self.infinity = self.context.inf if self.context is not None else math.inf
        self.pi = +self.context.pi if self.context is not None else math.pi

    def number(self, value: Any) -> Any:
        """A rational or float as a number of this precision.

        Raises:
            OutOfDomain: 1/0, or a root of a negative number.
        """
        if isinstance(value, Expr) and not value.is_extended_real:
            raise OutOfDomain
        if self.context is None:
            return float(value)
        if isinstance(value, sympy.Rational):
            return self.context.mpf(int(value.p)) / int(value.q)
        if isinstance(value, (int, float)):
            return self.context.mpf(value)
        return self.context.mpf(sympy.N(value, self.digits))

    @staticmethod
    def _safe(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def safe(x: Any) -> Any:
            try:
                return function(x)
            except (OverflowError, ValueError) as error:
                raise OutOfDomain from error

        return safe

    def log(self, x: Any) -> Any:
        """log x; minus infinity at 0."""
        if x == 0:
            return -self.infinity
        if not x > 0:
            raise OutOfDomain
        return self._log(x)

    def log_gamma(self, x: Any) -> Any:
        """log Γ(x); plus infinity at the poles, so that a count outside its range is infeasible."""
        if x <= 0:
            if x == int(x):
                return self.infinity
            raise OutOfDomain
        return self._lgamma(x)

    def power(self, base: Any, exponent: Any) -> Any:
        """base ** exponent over the reals."""
        if base == 0 and exponent < 0:
            raise OutOfDomain
        if base < 0 and exponent != int(exponent):
            raise OutOfDomain
        try:
            return base ** int(exponent) if exponent == int(exponent) else base**exponent
        except (OverflowError, ZeroDivisionError) as error:
            raise OutOfDomain from error


def lift(function: Callable[..., Any], *values: Value) -> Value:
    """Apply a scalar function elementwise; scalars repeat along vectors."""
    lengths = {len(v) for v in values if isinstance(v, list)}
    if not lengths:
        return function(*values)
    size = min(lengths)
    return [
        lift(function, *(v[k] if isinstance(v, list) else v for v in values)) for k in range(size)
    ]


def _product(a: Any, b: Any) -> Any:
    return 0 if a == 0 or b == 0 else a * b


class Evaluator:
    """Evaluates expressions given the value of every reference.

    Args:
        arithmetic: the precision.
        value_of: gives the value of a reference, a letter or a size.
        network: gives the value of an opaque function from its name and argument values.
    """

    def __init__(
        self,
        arithmetic: Arithmetic,
        value_of: Callable[[Expr, Evaluator], Value],
        network: Callable[[str, list[Value]], Value],
    ) -> None:
        self.arithmetic = arithmetic
        self.value_of = value_of
        self.network = network
        self.memo: dict[Expr, Value] = {}

    def __call__(self, expr: Expr) -> Value:
        """The value of an expression.

        Raises:
            OutOfDomain: the point is outside a function's domain.
            Stuck: a head that the evaluator does not know.
        """
        known = self.memo.get(expr)
        if known is None:
            known = self._evaluate(expr)
            self.memo[expr] = known
        return known

    def _evaluate(self, expr: Expr) -> Value:
        a = self.arithmetic
        if isinstance(expr, (sympy.Rational, sympy.Float)):
            return a.number(expr)
        if isinstance(expr, (Symbol, Indexed)):
            return self.value_of(expr, self)
        if isinstance(expr, sympy.Add):
            values = [self(x) for x in expr.args]
            total = values[0]
            for v in values[1:]:
                total = lift(lambda p, q: p + q, total, v)
            return total
        if isinstance(expr, sympy.Mul):
            values = [self(x) for x in expr.args]
            result = values[0]
            for v in values[1:]:
                result = lift(_product, result, v)
            return result
        if isinstance(expr, sympy.Pow):
            return lift(a.power, self(expr.base), self(expr.exp))
        if expr.is_number and not expr.args:
            return a.number(expr)
        if isinstance(expr, (AppliedUndef, opaque)):
            if isinstance(expr, opaque):
                return self.network(str(expr.args[0]), [self(x) for x in expr.args[1:]])
            return self.network(expr.func.__name__, [self(x) for x in expr.args])
        head = _HEADS.get(expr.func.__name__)
        if head is None:
            raise Stuck(expr, "a function that the analysis cannot evaluate")
        return head(a, *(self(x) for x in expr.args))


def _sigmoid(a: Arithmetic, x: Any) -> Any:
    return 1 / (1 + a.exp(-x))


def _softplus(a: Arithmetic, x: Any) -> Any:
    return a.log(1 + a.exp(-abs(x))) + (x if x > 0 else 0)


def _total(a: Arithmetic, x: Value) -> Value:
    return sum(_total(a, v) for v in x) if isinstance(x, list) else x


def _pick(a: Arithmetic, v: Value, k: Any) -> Value:
    if not isinstance(v, list):
        return v
    place = int(k)
    if not 0 <= place < len(v):
        raise OutOfDomain
    return v[place]


def _logsumexp(a: Arithmetic, v: Value) -> Any:
    entries = v if isinstance(v, list) else [v]
    top = max(entries)
    return top + a.log(sum(a.exp(x - top) for x in entries))


def _matvec(a: Arithmetic, m: Value, v: Value) -> Value:
    if not isinstance(m, list) or not isinstance(v, list):
        return lift(_product, m, v)
    if m and isinstance(m[0], list):
        return [_matvec(a, row, v) for row in m]
    return sum(_product(p, q) for p, q in zip(m, v, strict=False))


def _where(a: Arithmetic, condition: Any, value: Any) -> Any:
    return value if condition > 0 else -a.infinity


def _mvn(a: Arithmetic, x: Value, mean: Value, cov: Value) -> Any:
    """log N(x; mean, cov) up to the constant, by Gaussian elimination."""
    if not isinstance(x, list):
        x = [x]
    size = len(x)
    if not (isinstance(cov, list) and cov and isinstance(cov[0], list)):
        raise Stuck("MultivariateNormal", "its covariance is not a matrix")
    rows = [list(cov[i][:size]) for i in range(size)]
    delta = [x[i] - (mean[i] if isinstance(mean, list) else mean) for i in range(size)]
    value = a.number(0)
    for k in range(size):
        pivot = rows[k][k]
        if not pivot > 0:
            raise OutOfDomain
        value += -a.log(pivot) / 2 - delta[k] ** 2 / pivot / 2
        for i in range(k + 1, size):
            ratio = rows[i][k] / pivot
            delta[i] -= ratio * delta[k]
            for j in range(k, size):
                rows[i][j] -= ratio * rows[k][j]
    return value


_HEADS: Mapping[str, Callable[..., Value]] = {
    "exp": lambda a, x: lift(a.exp, x),
    "log": lambda a, x: lift(a.log, x),
    "sin": lambda a, x: lift(a.sin, x),
    "cos": lambda a, x: lift(a.cos, x),
    "tanh": lambda a, x: lift(a.tanh, x),
    "Abs": lambda a, x: lift(abs, x),
    "sign": lambda a, x: lift(lambda v: (v > 0) - (v < 0), x),
    "loggamma": lambda a, x: lift(a.log_gamma, x),
    "sigmoid": lambda a, x: lift(lambda v: _sigmoid(a, v), x),
    "softplus": lambda a, x: lift(lambda v: _softplus(a, v), x),
    "maximum": lambda a, x, y: lift(max, x, y),
    "minimum": lambda a, x, y: lift(min, x, y),
    "Max": lambda a, *xs: lift(max, *xs),
    "Min": lambda a, *xs: lift(min, *xs),
    "matvec": _matvec,
    "pick": _pick,
    "vector": lambda a, *entries: list(entries),
    "total": _total,
    "logsumexp": _logsumexp,
    "where_positive": lambda a, c, v: lift(lambda p, q: _where(a, p, q), c, v),
    "mvn_log_density": _mvn,
}
