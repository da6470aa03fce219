r"""The class of an optimal factor in the observations: constant, affine, polynomial, log-linear.

.. math:: \eta(x) = \sum_{|\alpha| \le d} c_\alpha x^\alpha

Covariates, q(θ) and the shape of inner ranges are held fixed.  For coupled locals the class is
that of the fixpoint, known where the log density is jointly quadratic.
"""

from __future__ import annotations

import sympy
from sympy import Dummy, Expr, Indexed, Symbol
from sympy.core.function import AppliedUndef

from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis
from avi_theory.symbolic.kernels.heads import (
    diagonal,
    diagonal_of,
    over,
    product,
    references,
    rest,
    transpose,
)
from avi_theory.symbolic.kernels.site import Site
from avi_theory.symbolic.structure import Row, opaque

FINITE = {"categories", "binary"}
"""Supports with finitely many values: any function of one such observation is linear in indicators."""  # noqa: E501
_LINEAR = (over, rest, terms.total, diagonal, diagonal_of, terms.vector, transpose)


def degree(site: Site, expr: Expr, *, indicators: bool = False) -> int | None:
    """Total degree in the observations; None if the expression is no polynomial in them.

    Args:
        site: tells what is observed.
        expr: in references and heads.
        indicators: count a function of one discrete observation as linear: it is affine in the
            indicators of its values.
    """
    data = site.data(expr)
    if not data:
        return 0
    if expr in data and not any(site.data(s) for s in terms.subscripts_of(expr)):
        return 1

    def joined(parts: tuple[Expr, ...], how: str) -> int | None:
        degrees = [degree(site, p, indicators=indicators) for p in parts]
        if None in degrees:
            return None
        known = [d for d in degrees if d is not None]
        return sum(known) if how == "product" else max(known, default=0)

    found: int | None = None
    if expr.is_Add:
        found = joined(expr.args, "sum")
    elif expr.is_Mul or isinstance(expr, (product, terms.matvec)):
        found = joined(expr.args, "product")
    elif expr.is_Pow and expr.exp.is_Integer and expr.exp > 0:
        inner = degree(site, expr.base, indicators=indicators)
        found = None if inner is None else inner * int(expr.exp)
    elif isinstance(expr, (over, rest)):
        plain = not any(site.data(a) for a in expr.args[2:])
        found = degree(site, expr.args[0], indicators=indicators) if plain else None
    elif isinstance(expr, _LINEAR):
        found = joined(expr.args, "sum")
    if indicators and found is None and len(data) == 1:
        one = next(iter(data))
        found = 1 if site.analysis.model.variables[terms.name_of(one)].support in FINITE else None
    return found


def function_class(
    site: Site, linear: list[Expr], fixed: list[Expr], *, indicators: bool = False
) -> str:
    """The class of one factor, from what may depend on the observations and what may not.

    Args:
        site: the local.
        linear: parameters that may be polynomials in the observations.
        fixed: parameters that must be free of them.
        indicators: see `degree`.
    """
    degrees = [degree(site, sympy.expand(e), indicators=indicators) for e in linear]
    if None in degrees or any(degree(site, sympy.expand(e)) != 0 for e in fixed):
        return "none"
    highest = max((d for d in degrees if d is not None), default=0)
    affine = "log-linear" if indicators else "affine"
    return {0: "constant", 1: affine}.get(highest, f"polynomial:{highest}")


def coupled(site: Site) -> bool:
    """Whether other locals' factors enter this one."""
    component = site.verdict.component
    several = component is not None and len(component.nodes) > 1
    return bool(site.links) or several


def gaussian_class(site: Site, linear: list[Expr], fixed: list[Expr]) -> str:
    """The class of a Normal factor: of its mean, where the precision is free of data.

    A coupled local's mean is affine in the data if the log density of all that it is coupled to is
    jointly quadratic, with second derivatives free of data and first ones affine in them.
    """
    if coupled(site):
        return "affine" if _jointly_affine(site) else "none"
    return function_class(site, linear, fixed)


def _jointly_affine(site: Site) -> bool:
    analysis = site.analysis
    structure = analysis.named.structure
    held = [
        {terms.name_of(a) for a in references(t.expr) if structure.role(a) == "local"}
        for t in structure.terms
    ]
    names = {terms.name_of(site.atom)}
    while True:
        more = names.union(*(h for h in held if h & names))
        if more == names:
            break
        names = more
    key = "jointly affine: " + ", ".join(sorted(names))
    if key not in analysis.sites:
        analysis.sites[key] = all(
            analysis.model.variables[n].support == "real" for n in names
        ) and all(
            _quadratic(analysis, t.expr, names)
            for t, h in zip(structure.terms, held, strict=True)
            if h & names
        )
    return bool(analysis.sites[key])


def _quadratic(analysis: Analysis, expr: Expr, names: set[str]) -> bool:
    """Whether one log density is quadratic in locals as `_jointly_affine` says."""
    size, weight = Dummy("size"), Dummy("weight")
    scaled: dict[Expr, Expr] = {}
    for atom in set(references(expr)):
        inside = (a for s in terms.subscripts_of(atom) for a in references(s))
        if any(analysis.structure.role(a) in {"local", "observed"} for a in inside):
            return False
        if terms.name_of(atom) in names:
            scaled[atom] = size * Dummy("z")
        elif analysis.structure.role(atom) == "observed":
            scaled[atom] = weight * Dummy("x")
    plain = _degrees_kept(expr).xreplace(scaled)
    if plain.has(AppliedUndef, opaque, Row, terms.mvn_log_density):
        return False
    if all(_is_square(part, {size, weight}) for part in sympy.Add.make_args(plain)):
        return True
    for term in sympy.Add.make_args(sympy.expand(plain)):
        coefficient, power = term.as_coeff_exponent(size)
        if power not in (0, 1, 2) or coefficient.has(size):
            return False
        other, moved = coefficient.as_coeff_exponent(weight)
        if power and (other.has(weight) or moved not in (0, 1) or (power == 2 and moved != 0)):
            return False
    return True


def _is_square(part: Expr, marks: set[Expr]) -> bool:
    """Whether a term is free of marks, or a multiple of the square of a form linear in them."""
    marked = [f for f in sympy.Mul.make_args(part) if f.free_symbols & marks]
    if not marked:
        return True
    square = marked[0]
    if len(marked) > 1 or not (square.is_Pow and square.exp == 2):
        return False
    for term in sympy.Add.make_args(square.base):
        held = [f for f in sympy.Mul.make_args(term) if f.free_symbols & marks]
        if held and held not in ([m] for m in marks):
            return False
    return True


def _degrees_kept(expr: Expr) -> Expr:
    """An expression of the same degrees without sums, matrices and joint densities."""
    if isinstance(expr, (Symbol, Indexed)) or not expr.args:
        return expr
    args = [_degrees_kept(a) for a in expr.args]
    if isinstance(expr, (Row, sympy.Sum)):
        return args[0]
    if isinstance(expr, terms.total):
        return args[0]
    if isinstance(expr, terms.pick):
        return args[0] * Dummy() if expr.args[1].is_number else expr
    if isinstance(expr, terms.matvec):
        return args[0] * args[1]
    if isinstance(expr, terms.vector):
        return sympy.Add(*(Dummy() * a for a in args))
    if isinstance(expr, terms.mvn_log_density):
        value, mean, cov = args
        return Dummy() * (value - mean) ** 2 * (1 + cov**2) ** -1
    if isinstance(expr, opaque) and len(args) == 5:
        _, first, second, cov, mean = args
        return Dummy() * (first - mean) * (second - mean) * (1 + cov**2) ** -1
    return expr.func(*args)
