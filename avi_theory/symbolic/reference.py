r"""A small mean-field solver without torch: the optima that make a witness.

.. math:: \nu^\star = \arg\max_\nu \; E_{q_\nu}[\log p] + H[q_\nu], \qquad q = \prod_n q(z_n)

A model at a handful of points is written out; linear-Gaussian optima are exact rationals
(\(\Lambda \mu = h\)), all others come from enumeration of discrete latents and Gauss–Hermite
quadrature of continuous ones, maximised by L-BFGS from several starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy
from sympy import Expr, Rational, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.exact import solve_rational
from avi_theory.symbolic.mean_field import PLACEHOLDERS, Numeric, Optimum
from avi_theory.symbolic.small import Small

__all__ = ["Numeric", "Optimum", "solve"]


def solve(
    small: Small,
    data: Mapping[Expr, Any],
    *,
    starts: int = 4,
    until: float = math.inf,
    stop: float = math.inf,
) -> list[Optimum]:
    """All mean-field optima found for one data set.

    Args:
        small: the written-out model.
        data: value of every observation.
        starts: random starts where the optimum may not be unique.
        until: a time (of `time.process_time`) after which no further start is made.
        stop: a time after which a run is given up.

    Raises:
        Stuck: a factor that the solver cannot integrate.
    """
    quadratic = _quadratic(small, data)
    if quadratic is not None:
        latents, precision, linear = quadratic
        means = solve_rational(precision, linear)
        return [Optimum(dict(zip(latents, means, strict=True)), True)]
    return Numeric(small, data, stop).solve(starts, until)


def _quadratic(
    small: Small, data: Mapping[Expr, Any]
) -> tuple[list[Expr], list[list[Fraction]], list[Fraction]] | None:
    """Λ and h of a log density that is quadratic in all locals; None if it is not."""
    if any(small.discrete(z) or small.support(z) != "real" for z in small.locals):
        return None
    latents = list(small.locals)
    place = {z: k for k, z in enumerate(latents)}
    precision = [[Fraction(0)] * len(latents) for _ in latents]
    linear = [Fraction(0)] * len(latents)
    shapes: dict[tuple[Expr, int], tuple[list[list[Expr]], list[Expr]] | None] = {}
    for expr in small.factors:
        own = [a for a in small.atoms(expr) if a in place]
        known = {a: data[a] for a in small.atoms(expr) if a in data}
        names = {a: PLACEHOLDERS[k] for k, a in enumerate([*own, *known])}
        shape = expr.xreplace(names)
        symbols = [names[a] for a in own]
        key = (shape, len(own))
        if key not in shapes:
            shapes[key] = _derivatives(shape, symbols)
        found = shapes[key]
        if found is None:
            return None
        hessian, gradient = found
        put = {names[a]: v for a, v in known.items()}
        origin = {**put, **{s: sympy.Integer(0) for s in symbols}}
        for i, a in enumerate(own):
            slope = _fraction(gradient[i].xreplace(origin))
            if slope is None:
                return None
            linear[place[a]] += slope
            for j, b in enumerate(own):
                curve = _fraction(hessian[i][j].xreplace(put))
                if curve is None:
                    return None
                precision[place[a]][place[b]] -= curve
    return latents, precision, linear


def _derivatives(shape: Expr, symbols: list[Symbol]) -> tuple[list[list[Expr]], list[Expr]] | None:
    if shape.has(sympy.Abs, terms.where_positive, terms.maximum, terms.minimum, terms.pick):
        return None
    try:
        gradient = [sympy.diff(shape, s) for s in symbols]
        hessian = [[sympy.expand(sympy.diff(g, s)) for s in symbols] for g in gradient]
    except (ValueError, TypeError, AttributeError):
        return None
    if any(entry.free_symbols & set(symbols) for row in hessian for entry in row):
        return None
    return hessian, gradient


def _fraction(value: Expr) -> Fraction | None:
    value = sympy.nsimplify(value) if isinstance(value, sympy.Float) else value
    if isinstance(value, Rational):
        return Fraction(int(value.p), int(value.q))
    if value.is_number and value.is_real:
        return Fraction(str(sympy.N(value, 30)))
    return None
