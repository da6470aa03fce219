"""Parts of an index set that a statement's range cuts off: each is looked at by itself.

Where `for n in 1:L` labels only some of `1:N`, the set falls into `1:L` and `L+1:N`.  A generic
point of each part has a definite density; a component that stays at one point of the set never
crosses the cut, so the verdict on the whole is the worst of the parts', and which part it is (the
position) becomes an input where the parts' densities differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy
from sympy import Expr, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.components import Component, Node
from avi_theory.symbolic.differences import gap, letters_in, sign
from avi_theory.symbolic.entries import Input, index_text
from avi_theory.symbolic.errors import Partial
from avi_theory.symbolic.places import few
from avi_theory.symbolic.verdicts import ORDER, LocalVerdict

if TYPE_CHECKING:
    from avi_theory.symbolic.analysis import Analysis

Ends = tuple[Expr, Expr]


@dataclass(frozen=True)
class View:
    """Which part of each index set is looked at.

    Attributes:
        regions: the ends of an index set to those of its part.
        longer: sizes known to exceed others, written as these and a rest.
    """

    regions: Mapping[Ends, Ends]
    longer: Mapping[Symbol, Expr]

    def whole(self, part: Ends) -> Ends:
        """The ends of the index set that a part belongs to."""
        return next((k for k, v in self.regions.items() if v == part), part)


WHOLE = View({}, {})


def parts(view: View, cut: Partial) -> list[View]:
    """The views on both sides of a cut; empty if the order of its ends is not known."""
    hull = view.whole(cut.hull)
    (low, high), (start, stop) = cut.hull, cut.part
    longer = dict(view.longer)
    for missing in (gap(start, low), gap(high, stop)):
        known = sign(missing.xreplace(longer))
        if known == -1 or (known is None and hull in view.regions):
            return []
        if known is None:
            grown = [s for s in letters_in(missing) if missing.coeff(s) == 1]
            if not grown:
                return []
            rest = Symbol(f"beyond\N{MIDDLE DOT}{grown[0].name}", integer=True)
            longer[grown[0]] = sympy.expand(grown[0] - missing + rest)
    if not gap(high, low).is_number:
        start = low if few(gap(start, low)) else start
        stop = high if few(gap(high, stop)) else stop
    pieces = [(low, start - 1), (start, stop), (stop + 1, high)]
    kept = [p for p in pieces if sign(gap(*reversed(p)).xreplace(longer)) in (0, 1)]
    return [View({**view.regions, hull: p}, longer) for p in kept] if len(kept) > 1 else []


def crosses(component: Component, hull: Ends, axes: Mapping[str, list[Ends]]) -> bool:
    """Whether a component may reach from one part of an index set into another.

    Args:
        component: at a generic point of a part.
        hull: the ends of the index set.
        axes: the ends of every axis of every local.
    """
    for node in component.nodes:
        for axis, literal in enumerate(node.pattern):
            held = any(
                shared[node].axis == axis and start.map is None
                for start, shared in component.units.items()
            )
            if literal is None and axes[node.name][axis] == hull and not held:
                return True
    return False


def joined(
    analysis: Analysis, name: str, cut: Partial, found: list[Analysis], worst: Analysis
) -> LocalVerdict:
    """The verdict on a family from those on the parts of an index set.

    Args:
        analysis: of the whole, as far as it came.
        name: of the local.
        cut: what split it.
        found: the analyses of the parts.
        worst: the one of them whose components the verdict shows.
    """
    model = analysis.model
    verdicts = [part.locals[name] for part in found]
    closes = max((v.closes for v in verdicts), key=ORDER.index)
    if closes == "unknown":
        return next(v for v in verdicts if v.closes == "unknown")
    ends = {v.name: [(a.low, a.high) for a in v.axes] for v in model.locals}
    hull = analysis.view.whole(cut.hull)
    reached = [v.component for v in verdicts if v.component is not None]
    if closes != "no" and any(crosses(c, hull, ends) for c in reached):
        return LocalVerdict(name, "unknown", (), stuck=str(cut))
    needed = {e.text: e for v in verdicts for e in v.needed}
    pieces = tuple(dict.fromkeys(p for v in verdicts for p in v.parts))
    if hull in ends[name] and _forms_differ(found, name):
        pieces += tuple(":".join(map(index_text, part.view.regions[hull])) for part in found)
        for axis in model.variables[name].axes:
            if (axis.low, axis.high) == hull:
                letter = terms.index_symbol(axis.letter)
                needed[axis.letter] = Input(letter, (), "position", axis.letter)
        closes = "inputs" if closes == "own" else closes
    entries = analysis.collector.without_covered(list(needed.values()))
    if closes == "no":
        entries = [e for e in entries if e.role != "position"]
    texts = {analysis.whole(e) if closes == "no" else e.text for e in entries}
    own = worst.locals[name]
    return LocalVerdict(
        name,
        closes,
        tuple(sorted(texts)),
        tuple(entries),
        tuple(dict.fromkeys(x for v in verdicts for x in v.interacts_with)),
        tuple(e for e in verdicts[0].edges if all(e in v.edges for v in verdicts)),
        tuple(x for x in own.unit if all(x in v.unit for v in verdicts)),
        own.component,
        own.links,
        randomised=any(v.randomised for v in verdicts),
        parts=pieces,
    )


def _forms_differ(found: list[Analysis], name: str) -> bool:
    """Whether a generic member has different densities in different parts."""
    forms = []
    for part in found:
        node = Node(name, (None,) * len(part.structure.axes(name)))
        site, place = part.components.site(node)
        forms.append(
            Counter(
                (i.expr, tuple((g.low, g.high, g.facts) for g in i.free))
                for i in part.tester.finder.holding(place, site)
            )
        )
    return any(f != forms[0] for f in forms[1:])
