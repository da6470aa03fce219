"""How the locals of a model are tied: at fixed offsets, or each to a growing set."""

from __future__ import annotations

from dataclasses import dataclass

from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.components import Link

Offset = tuple[int, ...]


@dataclass(frozen=True)
class Shift:
    r"""A tie at a fixed offset: :math:`u_i` and :math:`v_{i+d}` interact for every i."""

    source: str
    target: str
    offset: Offset


@dataclass(frozen=True)
class Ties:
    """The local-local graph of the families whose verdict is ``no``.

    Attributes:
        families: their names, with the letters of their axes.
        shifts: ties at fixed offsets, each in one direction.
        dense: pairs of families whose members are tied to many of the other; a family that is
            tied to many of its own members stands alone in its set.
    """

    families: dict[str, tuple[str, ...]]
    shifts: tuple[Shift, ...]
    dense: frozenset[frozenset[str]]


def ties_of(analysis: Analysis) -> Ties:
    """Read the ties off the verdicts."""
    variables = analysis.model.variables
    tied = [v for v in analysis.locals.values() if v.closes == "no"]
    shifts: dict[Shift, None] = {}
    dense: set[frozenset[str]] = set()
    for verdict in tied:
        for link in verdict.links:
            shift = _shift(analysis, verdict, link)
            if shift is None:
                dense.add(frozenset((verdict.name, link.target.name)))
            elif Shift(shift.target, shift.source, _minus(shift.offset)) not in shifts:
                shifts[shift] = None
    names = {v.name for v in tied} | {x.target.name for v in tied for x in v.links}
    order = [v.name for v in analysis.model.locals if v.name in names]
    return Ties({n: variables[n].letters for n in order}, tuple(shifts), frozenset(dense))


def _minus(offset: Offset) -> Offset:
    return tuple(-d for d in offset)


def _shift(analysis: Analysis, verdict: LocalVerdict, link: Link) -> Shift | None:
    if verdict.component is None or any(p is not None for p in verdict.component.root.pattern):
        return None
    variables = analysis.model.variables
    if variables[verdict.name].letters != variables[link.target.name].letters:
        return None
    site, _ = analysis.components.site(verdict.component.root)
    pairs = zip(terms.subscripts_of(site), terms.subscripts_of(link.atom), strict=True)
    apart = [there - here for here, there in pairs]
    if not apart or not all(d.is_Integer for d in apart):
        return None
    return Shift(verdict.name, link.target.name, tuple(int(d) for d in apart))
