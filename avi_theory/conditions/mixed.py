"""Mixed second differences written out, factor by factor, where they are short enough to read."""

from __future__ import annotations

import sympy
from sympy import Expr

from avi_theory.spec.model import Variable
from avi_theory.symbolic.analysis import Analysis
from avi_theory.symbolic.entries import index_text
from avi_theory.symbolic.instances import Instance
from avi_theory.symbolic.reduction import second_derivative

LONGEST = 60
"""Longer expressions teach nothing."""


def evaluated(
    analysis: Analysis, instances: tuple[Instance, ...], u: Expr, v: Expr, *, zero: bool
) -> str:
    """The mixed differences of a pair and their sum, as ``(-4) + 4 = 0``.

    Args:
        analysis: the model.
        instances: the factors that hold both.
        u: reference to a local.
        v: reference to another.
        zero: whether the sum is known to vanish for all values; one that vanishes between the
            first two values of a discrete variable only is not shown.
    """
    if not instances:
        return "0"
    unclear = "depends on their values"
    if any(i.free for i in instances):
        return unclear
    parts = [_of_factor(analysis, i, u, v) for i in instances]
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return unclear
    total = _plain(sympy.Add(*known))
    if (total == 0) != zero:
        return unclear
    text = " + ".join(_number(p) for p in known)
    whole = text if len(known) == 1 else f"{text} = {_number(total)}"
    return whole if len(whole) <= LONGEST else unclear


def _of_factor(analysis: Analysis, instance: Instance, u: Expr, v: Expr) -> Expr | None:
    """Derivative or difference in u and in v of one factor; None where neither can be written."""
    variables = [analysis.structure.variable(a) for a in (u, v)]
    if any(x is None or x.dim is not None for x in variables):
        return None
    if not any(x.discrete for x in variables if x is not None):
        found = second_derivative(analysis.components, instance, u, v)
        return None if found is None else sympy.simplify(found)
    expr: Expr | None = instance.expr
    for atom, variable in zip((u, v), variables, strict=True):
        if expr is not None and variable is not None:
            expr = _difference(analysis, expr, atom, variable)
    return None if expr is None or expr.has(sympy.zoo, sympy.nan, sympy.oo) else _plain(expr)


def _difference(analysis: Analysis, expr: Expr, atom: Expr, variable: Variable) -> Expr | None:
    """How an expression changes from value 0 to 1, or its derivative if the values are real."""
    if variable.discrete:
        if variable.support not in {"binary", "categories"}:
            return None
        ends = [analysis.structure.plain(expr.xreplace({atom: sympy.Integer(k)})) for k in (0, 1)]
        return ends[1] - ends[0]
    return sympy.diff(expr, atom)


def _plain(expr: Expr) -> Expr:
    """Sums of logarithms of numbers as one logarithm."""
    if expr.is_number and expr.has(sympy.log):
        return sympy.log(sympy.nsimplify(sympy.exp(sympy.expand(expr))))
    return sympy.simplify(expr)


def _number(value: Expr) -> str:
    text = index_text(value).replace("**", "^")
    return f"({text})" if text.startswith("-") else text
