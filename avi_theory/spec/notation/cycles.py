r"""Does any point of the model depend on itself?  Decided by offsets, for every size at once.

Statements make a graph: an edge from a variable to each variable its density names, weighted by
the offset :math:`o` of the subscript (``z[t-1]`` under ``z[t]``: -1).  Along a direction
:math:`s = \pm 1` no point can depend on itself if no closed walk has :math:`\sum s\,o > 0` and
the closed walks with sum 0 are acyclic along the remaining axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy
from sympy import Expr, Symbol

from avi_theory.spec.model import Range
from avi_theory.spec.notation.densities import Written
from avi_theory.spec.notation.intervals import Interval, form, spread
from avi_theory.spec.notation.places import Place
from avi_theory.spec.notation.scope import Reference, Scope
from avi_theory.spec.notation.small import Edge, acyclic_when_small
from avi_theory.spec.terms import ALL, name_of


def find_cycles(written: Written, scope: Scope) -> None:
    """Report one problem for every group of variables that depend on themselves."""
    edges = [
        Edge(place.raw.name, reference.name, place, reference)
        for place, references in written.parents
        for reference in references
        if reference.name in scope.variables and place.raw.name in scope.variables
    ]
    for group in components(edges):
        inner = [
            e
            for e in edges
            if e.child in group and e.parent in group and not _mapped(e.reference, scope)
        ]
        if _ordered(inner, sorted(group), scope) or acyclic_when_small(inner, scope):
            continue
        first = inner[0]
        shown = [repr(n) for n in sorted(group)]
        names = " → ".join([*shown[:5], *(["…"] if len(shown) > 5 else []), shown[0]])
        scope.problems.add(
            first.reference.place,
            f"A cycle: {first.child!r} depends on itself ({names}).",
            "A density may use other points only in one direction, such as z[t-1].",
        )


def _mapped(reference: Reference, scope: Scope) -> bool:
    """A parent chosen by a map that comes with the data: whether it cycles is for the data."""
    return any(
        name_of(i) in scope.givens and scope.givens[name_of(i)].value is None
        for s in reference.subscripts
        for i in s.atoms(sympy.Indexed)
    )


def components(edges: Sequence[Edge]) -> list[set[str]]:
    """Groups of variables that reach each other and so may lie on a cycle (Kosaraju)."""
    forward: dict[str, set[str]] = {}
    backward: dict[str, set[str]] = {}
    for e in edges:
        for table, start, end in ((forward, e.child, e.parent), (backward, e.parent, e.child)):
            table.setdefault(start, set()).add(end)
            table.setdefault(end, set())
    order: list[str] = []
    seen: set[str] = set()
    for name in forward:
        _visit(name, forward, seen, order)
    groups: list[set[str]] = []
    seen = set()
    for name in reversed(order):
        group: list[str] = []
        _visit(name, backward, seen, group)
        if len(group) > 1 or (group and name in forward[name]):
            groups.append(set(group))
    return groups


def _visit(start: str, graph: Mapping[str, set[str]], seen: set[str], order: list[str]) -> None:
    """Depth first without recursion; `order` gets the names as they are left."""
    if start in seen:
        return
    seen.add(start)
    stack = [(start, iter(sorted(graph[start])))]
    while stack:
        name, following = stack[-1]
        fresh = next((n for n in following if n not in seen), None)
        if fresh is None:
            order.append(name)
            stack.pop()
        else:
            seen.add(fresh)
            stack.append((fresh, iter(sorted(graph[fresh]))))


def _ordered(edges: list[Edge], group: list[str], scope: Scope) -> bool:
    """Whether some order of the points respects all edges."""
    if not edges:
        return True
    shared = [
        a.letter
        for a in scope.variables[group[0]].axes
        if all(a.letter in scope.variables[n].letters for n in group)
    ]
    return _acyclic(edges, shared, scope)


def _acyclic(edges: list[Edge], letters: list[str], scope: Scope) -> bool:
    """Peel off one axis after the other, keeping the edges that may lie on closed walks."""
    groups = components(edges)
    if not groups:
        return True
    for group in groups:
        inner = [e for e in edges if e.child in group and e.parent in group]
        if not any(
            (rest := _remaining(inner, letter, side, scope)) is not None
            and _acyclic(rest, [x for x in letters if x != letter], scope)
            for letter in letters
            for side in (-1, 1)
        ):
            return False
    return True


def _remaining(edges: list[Edge], letter: str, side: int, scope: Scope) -> list[Edge] | None:
    """Edges on closed walks that stay at one point of the axis; None if a walk goes against it."""
    nodes = {e.child for e in edges} | {e.parent for e in edges}
    weights: list[int] = []
    for e in edges:
        weight = _weight(e, letter, side, scope)
        if weight is None:
            return None
        weights.append(weight)
    height = dict.fromkeys(nodes, 0)
    for _ in range(len(nodes) + 1):
        changed = False
        for e, w in zip(edges, weights, strict=True):
            if height[e.child] + w > height[e.parent]:
                height[e.parent] = height[e.child] + w
                changed = True
        if not changed:
            break
    else:
        return None
    return [
        e for e, w in zip(edges, weights, strict=True) if height[e.child] + w == height[e.parent]
    ]


def _weight(edge: Edge, letter: str, side: int, scope: Scope) -> int | None:
    """The largest side·(parent's position - child's position), as far as it is bounded."""
    at = scope.variables[edge.child].letters.index(letter)
    to = scope.variables[edge.parent].letters.index(letter)
    own = _own(edge.place, at)
    if own is None or to >= len(edge.reference.subscripts):
        return None
    subscript = edge.reference.subscripts[to]
    if subscript is ALL:
        return None
    interval = _difference(subscript, own, edge.reference)
    end = interval.high if side > 0 else interval.low
    value = side * end
    linear = form(value)
    if not linear.parts and linear.constant.is_Integer:
        return int(linear.constant)
    return -1 if linear.sign() == -1 else None


def _own(place: Place, axis: int) -> Expr | None:
    return place.subscripts[axis] if axis < len(place.subscripts) else None


def _difference(subscript: Expr, own: Expr, reference: Reference) -> Interval:
    """The range of subscript - own; a letter bound by a sum runs over its whole range."""
    ranges: dict[Symbol, Range] = dict(reference.ranges)
    return spread(subscript - own, ranges)
