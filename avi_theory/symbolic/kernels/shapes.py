"""Scalars, vectors and matrices: what an expression in references is."""

from __future__ import annotations

import sympy
from sympy import Expr, Indexed, Symbol
from sympy.core.function import AppliedUndef

from avi_theory.spec import terms
from avi_theory.symbolic.structure import Structure

ORDER = ("scalar", "vector", "matrix")


def shape_of(structure: Structure, expr: Expr) -> str | None:
    """``scalar``, ``vector``, ``matrix``; None if the text does not tell."""
    if isinstance(expr, (Symbol, Indexed)):
        return _of_reference(structure, expr)
    if isinstance(expr, (terms.total, terms.logsumexp, terms.mvn_log_density)):
        return "scalar"
    if isinstance(expr, AppliedUndef):
        return None
    shapes = [shape_of(structure, a) for a in expr.args]
    if isinstance(expr, (terms.pick, terms.matvec)):
        return {"matrix": "vector", "vector": "scalar"}.get(shapes[0] or "")
    if isinstance(expr, terms.vector):
        return {"scalar": "vector", "vector": "matrix"}.get(shapes[0] or "")
    if None in shapes:
        return None
    return max((s for s in shapes if s is not None), key=ORDER.index, default="scalar")


def _of_reference(structure: Structure, atom: Expr) -> str | None:
    name = terms.name_of(atom)
    variable = structure.model.variables.get(name)
    if variable is not None:
        return "vector" if variable.dim is not None else "scalar"
    if name in structure.tables:
        depth, table = -len(terms.subscripts_of(atom)), structure.tables[name]
        while isinstance(table, tuple):
            depth, table = depth + 1, table[0]
        return dict(enumerate(ORDER)).get(depth)
    return "scalar"


def width_of(structure: Structure, expr: Expr) -> Expr | None:
    """The number of coordinates of an elementwise expression; None if the text does not tell."""
    if isinstance(expr, (Symbol, Indexed)):
        variable = structure.variable(expr)
        return sympy.sympify(variable.dim) if variable and variable.dim is not None else None
    if isinstance(expr, (terms.matvec, terms.pick, terms.total, terms.logsumexp, AppliedUndef)):
        return None
    if isinstance(expr, terms.vector):
        return sympy.Integer(len(expr.args))
    widths = (width_of(structure, a) for a in expr.args)
    return next((w for w in widths if w is not None), None)
