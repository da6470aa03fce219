"""A unit's observations do not depend on other units' observations."""

from __future__ import annotations

import sympy
from sympy import Expr, Indexed

from avi_theory.conditions.context import HIERARCHICAL, Context
from avi_theory.results.report import Condition
from avi_theory.spec import terms
from avi_theory.symbolic.structure import Row, Term

NAME = "no cross-unit observations"


def own_data(context: Context) -> Condition:
    r"""\(x_u\) enters only u's densities: \(p(x_u \mid z_u, \theta)\), without \(x_{u-1}\)."""
    found: dict[str, None] = {}
    for term in context.terms:
        if _reaches_out(context, term):
            found.setdefault(term.text)
    if not found:
        return Condition(NAME, "holds", "every density holds one unit's observations", HIERARCHICAL)
    return Condition(NAME, "fails", "; ".join(f"'{t}'" for t in found), HIERARCHICAL)


def _reaches_out(context: Context, term: Term) -> bool:
    structure = context.analysis.structure
    letters = context.letters(term)
    observed: dict[str, set[Expr]] = {}
    others: dict[str, set[Expr]] = {}
    closed = {r.args[1] for r in term.expr.atoms(Row)}
    closed |= {lim[0] for s in term.expr.atoms(sympy.Sum) for lim in s.limits}
    for atom in term.references:
        role = structure.role(atom)
        if role not in {"observed", "local"}:
            continue
        for axis, sub in zip(structure.axes(terms.name_of(atom)), atom.indices, strict=True):
            if axis.letter not in context.unit:
                continue
            elsewhere = not sub.is_number and not sub.free_symbols & letters
            if role == "observed" and (sub.free_symbols & closed or elsewhere):
                return not sub.atoms(Indexed)
            (observed if role == "observed" else others).setdefault(axis.letter, set()).add(sub)
    for letter, subs in observed.items():
        if len(subs) > 1:
            return True
        own = others.get(letter, set())
        if own and not own <= subs and not any(s.atoms(Indexed) for s in own):
            return True
    return False
