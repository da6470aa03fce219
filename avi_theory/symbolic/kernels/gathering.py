"""Gather a local's site, and refuse where the factors do not show the local in one place each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from itertools import product

import sympy
from sympy import Expr

from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.components import Node
from avi_theory.symbolic.instances import Instance
from avi_theory.symbolic.kernels.heads import references
from avi_theory.symbolic.kernels.site import Formula, Site, same
from avi_theory.symbolic.structure import Row, opaque

ClosedForm = Callable[[Site], Formula | None]


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
    root = verdict.component.root
    site = _at(analysis, verdict, root)
    others = [_at(analysis, verdict, node) for node in _siblings(analysis, root)]
    if site is None or None in others:
        return None
    site.others = tuple(other for other in others if other is not None)
    return site


def _siblings(analysis: Analysis, root: Node) -> list[Node]:
    """The members at the other positions of axes that the text writes out."""
    axes = analysis.structure.axes(root.name)
    choices: list[list[Expr | None]] = [
        [None] if at is None else [axis.low + k for k in range(int(axis.high - axis.low) + 1)]
        for axis, at in zip(axes, root.pattern, strict=True)
    ]
    return [n for n in (Node(root.name, p) for p in product(*choices)) if n != root]


def _at(analysis: Analysis, verdict: LocalVerdict, node: Node) -> Site | None:
    atom, place = analysis.components.site(node)
    instances = list(analysis.named.finder.holding(place, atom))
    instances = [i for i in instances if not _mirrored(i, atom)]
    if any(not i.expr.has(atom) or not _apart(i, atom) for i in instances):
        return None
    if not all(_closed_sum_is_plain(analysis, i, atom) for i in instances if i.inner):
        return None
    return Site(analysis, verdict, atom, instances, analysis.components.links(node))


def everywhere(form: ClosedForm) -> ClosedForm:
    """A closed form that speaks of all members, where the text writes positions out.

    All must have the family; where their classes differ none is claimed.
    """

    @wraps(form)
    def of_all(site: Site) -> Formula | None:
        found = [form(s) for s in (site, *site.others)]
        formulas = [f for f in found if f is not None]
        if len(formulas) < len(found) or len({f.family for f in formulas}) > 1:
            return None
        kinds = {f.function_class for f in formulas}
        return replace(
            formulas[0],
            function_class=formulas[0].function_class if len(kinds) == 1 else "none",
            text="; ".join(sorted(f.text for f in formulas)),
            latex=r";\quad ".join(sorted(f.latex for f in formulas)),
        )

    return of_all


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
    if own and len(set(held)) > 1:
        return False
    return all([s for s in terms.subscripts_of(a) if s.has(letter)] == [letter] for a in own)
