"""A last look at a possible cycle: the graph of points at small sizes, edge by edge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sympy import Expr, Indexed

from avi_theory.spec.model import Range
from avi_theory.spec.notation.intervals import form
from avi_theory.spec.notation.places import Place
from avi_theory.spec.notation.scope import Reference, Scope
from avi_theory.spec.terms import ALL

MAX_POINTS = 4000
MAX_SIZE = 12
Point = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Edge:
    """The density of `child` in a statement names `parent`."""

    child: str
    parent: str
    place: Place
    reference: Reference


class _Unclear(Exception):
    """Too many points, or a subscript that is no number at given sizes."""


def acyclic_when_small(edges: Sequence[Edge], scope: Scope) -> bool:
    """Whether the points at small sizes have an order.

    Every size and ragged size becomes the largest constant of the statements plus 3.  Offsets
    repeat, so a cycle at any size shows itself there; what cannot be laid out counts as a cycle.
    """
    constants = [3]
    for e in edges:
        for expression in (*e.place.subscripts, *e.reference.subscripts):
            constants.append(abs(int(form(expression).constant)))
        for r in e.reference.ranges.values():
            constants += [abs(int(form(x).constant)) for x in (r.low, r.high)]
    size = max(constants) + 3
    if size > MAX_SIZE:
        return False
    parents: dict[Point, set[Point]] = {}
    count = 0
    try:
        for e in edges:
            for child, parent in _pairs(e, size, scope):
                parents.setdefault(child, set()).add(parent)
                count += 1
                if count > MAX_POINTS:
                    return False
    except _Unclear:
        return False
    return _has_order(parents)


def _pairs(edge: Edge, size: int, scope: Scope) -> Iterator[tuple[Point, Point]]:
    ranges = list(edge.reference.ranges.values())
    axes = scope.axes(edge.parent)
    for at in _points(ranges, {}, size):
        child = tuple(_number(s, at, size) for s in edge.place.subscripts)
        for parent in _spelled(edge.reference, axes, at, size):
            yield (edge.child, child), (edge.parent, parent)


def _points(
    ranges: Sequence[Range], at: Mapping[str, int], size: int
) -> Iterator[Mapping[str, int]]:
    if not ranges:
        yield at
        return
    first, rest = ranges[0], ranges[1:]
    low, high = _number(first.low, at, size), _number(first.high, at, size)
    if high - low > MAX_POINTS:
        raise _Unclear
    for value in range(low, high + 1):
        yield from _points(rest, {**at, str(first.letter): value}, size)


def _spelled(
    reference: Reference, axes: Sequence[object], at: Mapping[str, int], size: int
) -> Iterator[tuple[int, ...]]:
    """The points of a reference; rows and ``:`` are refused."""
    if len(reference.subscripts) < len(axes) or ALL in reference.subscripts:
        raise _Unclear
    yield tuple(_number(s, at, size) for s in reference.subscripts)


def _number(expression: Expr, at: Mapping[str, int], size: int) -> int:
    linear = form(expression)
    total = linear.constant
    for atom, coefficient in linear.parts:
        if not (atom.is_Symbol or isinstance(atom, Indexed)):
            raise _Unclear
        total += coefficient * at.get(str(atom), size)
    if not total.is_Integer:
        raise _Unclear
    return int(total)


def _has_order(parents: Mapping[Point, set[Point]]) -> bool:
    """Peel off points without unplaced parents until none is left (Kahn)."""
    waiting = {p: {q for q in qs if q in parents} for p, qs in parents.items()}
    children: dict[Point, list[Point]] = {}
    for p, qs in waiting.items():
        for q in qs:
            children.setdefault(q, []).append(p)
    ready = [p for p, qs in waiting.items() if not qs]
    placed = 0
    while ready:
        point = ready.pop()
        placed += 1
        for child in children.get(point, ()):
            waiting[child].discard(point)
            if not waiting[child]:
                ready.append(child)
    return placed == len(waiting)
