"""A factor at its point, as a reader names it: `p(x[t] | z[t]) [3]`."""

from __future__ import annotations

import sympy
from sympy import Expr

from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis
from avi_theory.symbolic.components import references
from avi_theory.symbolic.entries import reference_text
from avi_theory.symbolic.instances import Generic, Instance

RANDOM = ("local", "observed", "global")


def shown(analysis: Analysis, instance: Instance, texts: list[str], log: str = "") -> str:
    """A factor at its point: `p(x[t] | z[t])`, with the statement's number."""
    term = analysis.structure.terms[instance.term]
    number = texts.index(term.text) + 1
    free = list(instance.free)
    atoms = [a for a in references(instance) if analysis.structure.role(a) in RANDOM]
    names = list(dict.fromkeys(named(a, free) for a in atoms))
    head = _head(analysis, instance, atoms)
    if head is None:
        return f"{log}psi({', '.join(names)}) [{number}]"
    first = named(head, free)
    rest = ", ".join(n for n in names if n != first)
    return f"{log}p({first}{' | ' if rest else ''}{rest}) [{number}]"


def _head(analysis: Analysis, instance: Instance, atoms: list[Expr]) -> Expr | None:
    """Whose density it is: the member that stands where the statement's left side stands."""
    term = analysis.structure.terms[instance.term]
    here = [a for a in atoms if terms.name_of(a) == term.variable]
    if len(here) <= 1:
        return here[0] if here else None
    plain = {r.letter for r in term.ranges}
    there = [a for a in term.references if terms.name_of(a) == term.variable]
    heads = [a for a in there if all(s in plain or s.is_number for s in terms.subscripts_of(a))]
    if len(heads) != 1:
        return None
    wanted = sorted(str(_apart(heads[0], a)) for a in there)
    fitting = [a for a in here if sorted(str(_apart(a, b)) for b in here) == wanted]
    return fitting[0] if len(fitting) == 1 else None


def _apart(a: Expr, b: Expr) -> list[Expr]:
    pairs = zip(terms.subscripts_of(a), terms.subscripts_of(b), strict=True)
    return [sympy.expand(p - q) for p, q in pairs]


def named(atom: Expr, free: list[Generic]) -> str:
    """A reference in which letters that run free become ``:``."""
    return reference_text(atom, [g for g in free if g.letter in atom.free_symbols])
