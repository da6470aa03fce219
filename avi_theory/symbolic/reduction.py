r"""Inputs that inform a component but cancel in the fixpoint of one of its members.

.. math:: \Lambda \mu = b_0 + B x \;\Rightarrow\; \mu_n = \sum_v (\Lambda^{-1} B)_{nv}\, x_v + \dots

In a linear-Gaussian component F-VI's means are the exact ones, so an input is needed exactly if
its entry of \(\Lambda^{-1}B\) is not zero: with \(\Lambda = [[2,1],[1,2]]\) and \(h = (x, 2x)\) the
first mean does not depend on x at all.
"""

from __future__ import annotations

from functools import lru_cache

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.components import Component, Components
from avi_theory.symbolic.entries import Input
from avi_theory.symbolic.instances import Instance, Place

LARGEST = 6
"""Components with more members than this keep all their inputs."""


def reduced(components: Components, sites: list[Expr], entries: list[Input]) -> list[Input]:
    """The inputs without those whose coefficient in the root's mean is identically zero.

    Args:
        components: the analysis so far.
        sites: every member of the component in the root's letters, the root first.
        entries: the component's inputs.
    """
    if not 1 < len(sites) <= LARGEST or not _all_real(components, sites):
        return entries
    root_place = components.place_of(sites[0])
    precision = [[_curvature(components, root_place, a, b) for b in sites] for a in sites]
    if any(value is None for row in precision for value in row):
        return entries
    matrix = sympy.Matrix(precision)
    cofactors = [matrix.cofactor(k, 0) for k in range(len(sites))]
    kept = []
    for entry in entries:
        if _linear(components, entry) and _cancels(components, root_place, sites, cofactors, entry):
            continue
        kept.append(entry)
    return kept


def level(components: Components, component: Component) -> bool:
    r"""Whether the exact means of a linear-Gaussian component are one constant for each family.

    .. math:: \Lambda \mu = h, \qquad \mu_{zn} = m_z

    Then its optimal factors do not depend on the position.
    """
    rows = []
    for node in component.nodes:
        site, place = components.site(node)
        row: Expr = sympy.Integer(0)
        for instance in components.tester.finder.holding(place, site):
            if instance.free or second_derivative(components, instance, site, site) is None:
                return False
            names = {a: sympy.Dummy() for a in instance.expr.atoms(Indexed)}
            slope = instance.expr.xreplace(names).diff(names[site])
            means = {
                d: Symbol(f"mean {terms.name_of(a)}")
                if components.structure.role(a) == "local" else a
                for a, d in names.items()
            }  # fmt: skip
            row += slope.xreplace(means)
        rows.append(sympy.expand(row))
    unknown = [Symbol(f"mean {name}") for name in sorted({n.name for n in component.nodes})]
    for solution in sympy.linsolve(rows, unknown):
        return not any(s.is_integer for m in solution for s in m.free_symbols)
    return False


def _linear(components: Components, entry: Input) -> bool:
    """Whether an input enters by its value alone: an observation, or a given that selects none."""
    if entry.role == "given":
        return terms.name_of(entry.atom) not in components.tester.domains.selectors
    return entry.role == "observed"


def _all_real(components: Components, sites: list[Expr]) -> bool:
    for site in sites:
        variable = components.structure.variable(site)
        if variable is None or variable.support != "real" or variable.dim is not None:
            return False
    return True


def _cancels(
    components: Components, place: Place, sites: list[Expr], cofactors: list[Expr], entry: Input
) -> bool:
    scope = place.with_generics(entry.free)
    versions = [entry.atom, *components.ends(entry.atom, place, scope)]
    for atom in versions:
        weights = [_curvature(components, scope, site, atom) for site in sites]
        if any(w is None for w in weights):
            return False
        total = sympy.Add(*(c * w for c, w in zip(cofactors, weights, strict=True)))
        if sympy.cancel(sympy.together(sympy.expand(total))) != 0:
            return False
    return True


def _curvature(components: Components, place: Place, u: Expr, v: Expr) -> Expr | None:
    """∂²ℓ/∂u∂v over all factors that hold both; None unless it is a plain constant."""
    targets = (u,) if u == v else (u, v)
    total: Expr = sympy.Integer(0)
    for instance in components.tester.finder.holding(place, *targets):
        part = second_derivative(components, instance, u, v)
        if part is None:
            return None
        total += part
    return sympy.expand(total)


def second_derivative(components: Components, instance: Instance, u: Expr, v: Expr) -> Expr | None:
    """∂²/∂u∂v of one factor; None unless it is a plain constant."""
    expr = instance.expr
    if instance.inner or expr.has(
        sympy.Abs, terms.where_positive, terms.maximum, terms.minimum, terms.total, terms.vector
    ):
        return None
    if any(terms.name_of(a).startswith("missing·") for a in expr.atoms(Indexed)):
        return None
    curve = _mixed(expr, *sorted((u, v), key=str))
    for atom in (*curve.atoms(Indexed), *curve.free_symbols):
        if components.structure.role(atom) in {"local", "observed", "global"}:
            return None
    for g in instance.free:
        if g.facts or g.letter in curve.free_symbols:
            return None
        curve *= g.high - g.low + 1
    return curve


@lru_cache(maxsize=4096)
def _mixed(expr: Expr, u: Expr, v: Expr) -> Expr:
    """∂²expr/∂u∂v, expanded.  Symbols differentiate faster than references."""
    atoms = sorted({*expr.atoms(Indexed), u, v}, key=str)
    names = {a: Symbol(f"·{k}") for k, a in enumerate(atoms)}
    first, second = names[u], names[v]
    parts = [
        p for p in sympy.Add.make_args(expr.xreplace(names)) if {first, second} <= p.free_symbols
    ]
    curve = sympy.expand(sympy.Add(*(_bent(p, first, second) for p in parts)))
    return curve.xreplace({symbol: atom for atom, symbol in names.items()})


def _bent(part: Expr, u: Symbol, v: Symbol) -> Expr:
    """∂²/∂u∂v of one summand: 2kab where it is k (a u + b v + …)², as Normal densities are."""
    both = {u, v}
    factors = sympy.Mul.make_args(part)
    held = [f for f in factors if f.free_symbols & both]
    outer = [f for f in factors if not f.free_symbols & both]
    if len(held) == 1 and isinstance(held[0], sympy.Pow) and held[0].exp == 2:
        slopes = [_slope(held[0].base, w, both) for w in (u, v)]
        if None not in slopes:
            return 2 * sympy.Mul(*outer, *slopes)
    return part.diff(u).diff(v)


def _slope(base: Expr, w: Symbol, both: set[Symbol]) -> Expr | None:
    """The coefficient of w in a sum; None where the sum is not linear in w with others apart."""
    slope: Expr = sympy.Integer(0)
    for term in sympy.Add.make_args(base):
        if w not in term.free_symbols:
            continue
        others = [a for a in sympy.Mul.make_args(term) if a != w]
        if len(others) == len(sympy.Mul.make_args(term)):
            return None
        if any(a.free_symbols & both for a in others):
            return None
        slope += sympy.Mul(*others)
    return slope
