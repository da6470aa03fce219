"""Values that come from outside the text: ``tau=2``, ``N=1000``, ``--set mu=3``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy

from avi_theory.errors import InputError, nearest

if TYPE_CHECKING:
    from avi_theory.spec.model import Given, Model, Variable

MAX_SIZE = 10**12


def check_values(model: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for givens, sizes and globals, as plain ints, floats or arrays.

    Args:
        model: the model whose names count.
        values: numbers, nested lists, arrays, or the strings of a command line.

    Returns:
        The same names with an int for a size, a float or a float array for the rest.

    Raises:
        InputError: a name the text does not declare, or a value of the wrong kind, shape or sign.
    """
    return {name: _checked(model, name, value) for name, value in values.items()}


def _checked(model: Model, name: str, value: Any) -> Any:
    if name in model.sizes:
        return _size(name, _parsed(name, value))
    if name in model.givens:
        return _given(model.givens[name], _numbers(name, _parsed(name, value)))
    variable = model.variables.get(name)
    if variable is not None and variable.role == "global":
        return _global(variable, _numbers(name, _parsed(name, value)))
    valid = [*model.sizes, *model.givens, *(v.name for v in model.globals)]
    if variable is not None:
        raise InputError(
            f"{name!r} is {variable.role}: its values come with the data or from inference. "
            f"Set one of {', '.join(valid) or 'nothing; this model has no constants'}."
        )
    if name in model.networks or name in model.indices:
        kind = "a network" if name in model.networks else "an index"
        raise InputError(f"{name!r} is {kind} and has no value. Set a size, a given or a global.")
    hint = nearest(name, valid) or f"It declares {', '.join(valid) or 'no constants'}."
    raise InputError(f"The model {model.name!r} declares no {name!r}. {hint}")


def _parsed(name: str, value: Any) -> Any:
    """A string of the command line as a number or a nested list."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(
            f"The value {value!r} of {name!r} is no number. Write {name}=2 or {name}=[1, 2]."
        ) from None


def _size(name: str, value: Any) -> int:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if isinstance(value, float | np.floating) and float(value).is_integer():
        whole = True
    if not whole or not 1 <= int(value) <= MAX_SIZE:
        raise InputError(
            f"The size {name} must be a whole number from 1 to 10**12, but is {value!r}. "
            f"Write {name}=1000."
        )
    return int(value)


def _numbers(name: str, value: Any) -> float | np.ndarray:
    if isinstance(value, sympy.Expr):
        value = float(value) if value.is_number else value
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError(
            f"The value of {name!r} must be a number or an array of numbers, but is {value!r:.60}. "
            f"Write {name}=2 or {name}=[1, 2]."
        ) from None
    if not np.all(np.isfinite(array)):
        raise InputError(f"The value of {name!r} holds NaN or infinity. Give finite numbers.")
    return float(array) if array.ndim == 0 else array


def _given(given: Given, value: float | np.ndarray) -> float | np.ndarray:
    wanted = given.shape or (None,) * len(given.axes)
    _same_shape(given.name, value, wanted)
    whole = bool(np.all(np.asarray(value) == np.floor(value)))
    if given.member_of is not None and not whole:
        raise InputError(
            f"{given.name!r} points into the index {given.member_of!r} and must be whole numbers. "
            "Give the labels of its points."
        )
    if given.constraint and not _holds(given.constraint, np.asarray(value)):
        worst = float(np.min(value) if given.constraint.startswith(">") else np.max(value))
        raise InputError(
            f"{given.name!r} must be {given.constraint}, but holds {worst:g}. "
            "Give values that the constraint allows."
        )
    return value


def _holds(constraint: str, value: np.ndarray) -> bool:
    sign, _, bound = constraint.partition(" ")
    limit = float(sympy.Rational(bound))
    compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}[sign]
    return bool(np.all(compare(value, limit)))


def _global(variable: Variable, value: float | np.ndarray) -> float | np.ndarray:
    wanted: list[int | None] = []
    for axis in variable.axes:
        length = axis.high - axis.low + 1
        wanted.append(int(length) if length.is_Integer else None)
    if variable.dim is not None:
        wanted.append(int(variable.dim) if variable.dim.is_Integer else None)
    _same_shape(variable.name, value, tuple(wanted))
    array = np.asarray(value)
    inside = {
        "positive": bool(np.all(array > 0)),
        "unit": bool(np.all((array >= 0) & (array <= 1))),
        "simplex": bool(np.all(array >= 0)) and math.isclose(float(np.max(
            np.abs(np.sum(np.atleast_1d(array), -1) - 1))), 0.0, abs_tol=1e-6),
    }  # fmt: skip
    if not inside.get(variable.support, True):
        raise InputError(
            f"The global {variable.name!r} is {variable.support}, but the value {value} is not. "
            "Give a value inside its support."
        )
    return value


def _same_shape(name: str, value: float | np.ndarray, wanted: tuple[int | None, ...]) -> None:
    found = np.shape(value)
    fits = len(found) == len(wanted) and all(
        w is None or w == f for w, f in zip(wanted, found, strict=True)
    )
    if not fits:
        shown = "a number" if not wanted else f"an array of {len(wanted)} dimension(s)"
        sizes = ", ".join("any" if w is None else str(w) for w in wanted)
        lengths = f" with lengths ({sizes})" if wanted else ""
        raise InputError(
            f"The value of {name!r} has the shape {found}, but should be {shown}{lengths}. "
            "Give one entry per index point."
        )
