"""Gather a local's site, and refuse where the factors do not show the local in one place each."""

from __future__ import annotations

import sympy
from sympy import Expr

from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.instances import Instance
from avi_theory.symbolic.kernels.heads import references
from avi_theory.symbolic.kernels.site import Site, same
from avi_theory.symbolic.structure import Row, opaque


def site_of(analysis: Analysis, verdict: LocalVerdict) -> Site | None:
    """The site of a local at its root; None if the analysis got stuck, or it has no plain form."""
    known = analysis.sites
    if verdict.name not in known:
        known[verdict.name] = _site(analysis, verdict)
    found = known[verdict.name]
    return found if isinstance(found, Site) else None


def _site(analysis: Analysis, verdict: LocalVerdict) -> Site | None:
    if verdict.component is None:
        return None
    atom, place = analysis.components.site(verdict.component.root)
    instances = list(analysis.named.finder.holding(place, atom))
    instances = [i for i in instances if not _mirrored(i, atom)]
    if any(not i.expr.has(atom) or not _apart(i, atom) for i in instances):
        return None
    if not all(_closed_sum_is_plain(analysis, i, atom) for i in instances if i.inner):
        return None
    return Site(analysis, verdict, atom, instances)


def _mirrored(instance: Instance, atom: Expr) -> bool:
    """Whether this is a joint prior seen from its second letter; the first sees it all."""
    return isinstance(instance.expr, opaque) and instance.expr.args[1] != atom


def _apart(instance: Instance, atom: Expr) -> bool:
    """Whether the local's family enters a factor at no other reference that may be the local.

    In ``x[i,j] ~ Normal(z[i] + z[j], 1)`` the letter j passes through i itself.
    """
    if isinstance(instance.expr, opaque):
        return True
    letters = frozenset(g.letter for g in instance.free)
    return not any(a != atom and same(a, atom, letters) for a in references(instance.expr))


def _closed_sum_is_plain(analysis: Analysis, instance: Instance, atom: Expr) -> bool:
    """Whether a factor holds one ``sum``, over the local itself at its own letter if at all."""
    term = analysis.named.structure.terms[instance.term]
    sums = list(term.expr.atoms(sympy.Sum))
    if len(sums) != 1 or term.expr.has(Row) or len(sums[0].limits) != 1:
        return False
    letter, body = sums[0].limits[0][0], sums[0].function
    name = terms.name_of(atom)
    held = [a for a in references(term.expr) if terms.name_of(a) == name]
    own = [a for a in references(body) if terms.name_of(a) == name]
    if not body.has(letter) or len(instance.inner) != 2:
        return False
    return not own or (len(set(held)) == 1 and terms.subscripts_of(own[0]) == (letter,))
