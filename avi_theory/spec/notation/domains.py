"""Is a parameter inside its domain?  Only what is certain is refused: constants, literal arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy
from sympy import Expr, Indexed

from avi_theory.spec import terms
from avi_theory.spec.distributions import Parameter
from avi_theory.spec.notation.arithmetic import TooLarge, Undefined, constant
from avi_theory.spec.notation.scope import Scope
from avi_theory.spec.notation.shapes import Value

TOLERANCE = 1e-6
"""How far probabilities written as decimals may be from adding up to one."""

_SCALAR: dict[str, tuple[Callable[[float], bool], str]] = {
    "positive": (lambda v: v > 0, "positive"),
    "unit": (lambda v: 0 <= v <= 1, "between 0 and 1"),
    "count": (lambda v: v >= 0 and v == int(v), "a whole number 0, 1, 2, …"),
}


def complaint(parameter: Parameter, expression: Expr, scope: Scope) -> str:
    """Why a parameter is certainly outside its domain, or ""."""
    try:
        known = _known(expression, scope)
        if parameter.domain == "simplex":
            return _simplex(expression, scope, known)
        if parameter.domain == "covariance":
            return _covariance(expression, scope, known)
        if parameter.domain not in _SCALAR:
            _entries(expression, scope, known)
            return ""
        inside, wanted = _SCALAR[parameter.domain]
        for value in _entries(expression, scope, known):
            if not inside(value):
                return f"must be {wanted}, but is {value:g}."
        return _real_variable(parameter.domain, wanted, expression, scope)
    except (TooLarge, Undefined) as error:
        return f"is no sensible number: {error}"


def increasing(values: Mapping[str, Value], scope: Scope) -> bool:
    """Whether low < high may hold."""
    try:
        known = scope.numbers()
        ends = [constant(values[k].expr, known) for k in ("low", "high") if k in values]
    except (TooLarge, Undefined):
        return True
    low, high = (*ends, None, None)[:2]
    return low is None or high is None or low < high


def _real_variable(domain: str, wanted: str, expression: Expr, scope: Scope) -> str:
    """A variable on the whole real line can be no scale."""
    name = terms.name_of(expression) if isinstance(expression, Indexed | sympy.Symbol) else ""
    variable = scope.variables.get(name)
    if variable is None or domain == "count" or name not in scope.proper_reals:
        return ""
    return f"must be {wanted}, but {name!r} takes every real value; use exp or sigmoid of it."


def undefined(expression: Expr, scope: Scope) -> str:
    """Why an expression certainly has no value, or ""."""
    try:
        constant(expression, _known(expression, scope))
    except (TooLarge, Undefined) as error:
        return str(error)
    return ""


def _known(expression: Expr, scope: Scope) -> dict[Expr, float]:
    """Givens that the text gives a number, indexed ones that have one number everywhere too."""
    known = scope.numbers()
    for atom in expression.atoms(Indexed):
        given = scope.givens.get(terms.name_of(atom))
        if given is not None and isinstance(given.value, Expr) and given.value.is_Rational:
            known[atom] = float(given.value)
    return known


def _literal(name: str, scope: Scope) -> Any:
    given = scope.givens.get(name)
    return given.value if given is not None and isinstance(given.value, tuple) else None


def _numbers(expression: Expr, scope: Scope, known: Mapping[Expr, float]) -> Any:
    """A vector or matrix expression as nested tuples of floats, None where it is unknown."""
    if isinstance(expression, terms.vector):
        rows = [_numbers(a, scope, known) for a in expression.args]
        return None if any(r is None for r in rows) else tuple(rows)
    if isinstance(expression, Indexed | sympy.Symbol):
        array = _literal(terms.name_of(expression), scope)
        if array is not None:
            return _floats(array)
    return constant(expression, known)


def _floats(array: Any) -> Any:
    return tuple(_floats(a) for a in array) if isinstance(array, tuple) else float(array)


def _flat(array: Any) -> list[float]:
    if isinstance(array, tuple):
        return [v for a in array for v in _flat(a)]
    return [] if array is None else [array]


def _entries(expression: Expr, scope: Scope, known: Mapping[Expr, float]) -> list[float]:
    return _flat(_numbers(expression, scope, known))


def _rows(array: Any) -> list[list[float]]:
    if not isinstance(array, tuple):
        return []
    if array and isinstance(array[0], tuple):
        return [r for a in array for r in _rows(a)]
    return [list(array)]


def _simplex(expression: Expr, scope: Scope, known: Mapping[Expr, float]) -> str:
    for row in _rows(_numbers(expression, scope, known)):
        if any(v < 0 for v in row):
            return f"holds probabilities, but found {min(row):g}."
        if abs(sum(row) - 1) > TOLERANCE:
            return f"must add up to 1, but adds up to {sum(row):g}."
    return ""


def _covariance(expression: Expr, scope: Scope, known: Mapping[Expr, float]) -> str:
    array = _numbers(expression, scope, known)
    if not isinstance(array, tuple) or not all(isinstance(r, tuple) for r in array):
        return ""
    matrix = np.asarray(array, float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        return "is not square."
    if not np.allclose(matrix, matrix.T):
        return "is not symmetric."
    if len(matrix) <= 200 and np.linalg.eigvalsh(matrix)[0] <= 0:
        return "is not positive definite."
    return ""
