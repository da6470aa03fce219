"""Positions at which a local's density has another form than inside its range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.spec.terms import put
from avi_theory.symbolic.components import Component, Components, Node
from avi_theory.symbolic.differences import sign
from avi_theory.symbolic.entries import index_text
from avi_theory.symbolic.instances import Instance
from avi_theory.symbolic.positions import suspects

Form = tuple[Expr, tuple[object, ...]]
"""A factor's expression, and the ranges of the letters it is summed over."""


def edges(components: Components, component: Component) -> list[str]:
    """The edge positions of a component's root, as ``t=1``.

    A position is an edge if a statement's range leaves it out, or the text writes it down
    literally, and the factors that hold the root then have another form than at an interior point.
    The optimum there is another function also where this happens to a member of a bounded
    component, so its position counts, seen from the root.

    Args:
        components: the analysis so far.
        component: of the local.
    """
    root = component.root
    found = [(axis, p) for axis, _ in _loose(root) for p in _special(components, root, axis)]
    if not component.grows:
        for start, shared in component.units.items():
            if start.map is not None:
                continue
            for node in component.nodes:
                there = shared[node]
                if node == root or there.map is not None or node.pattern[there.axis] is not None:
                    continue
                shift = there.offset - start.offset
                found += [
                    (start.axis, sympy.expand(p + shift))
                    for p in _special(components, node, there.axis)
                ]
    axes = components.structure.axes(root.name)
    inside = [
        (axes[k], p) for k, p in found
        if -1 not in (sign(p - axes[k].low), sign(axes[k].high - p))
    ]  # fmt: skip
    order = sorted(inside, key=lambda e: (axes.index(e[0]), sign(e[1] - e[0].low) is None))
    return list(dict.fromkeys(f"{axis.letter}={index_text(p)}" for axis, p in order))


def _loose(node: Node) -> list[tuple[int, Expr | None]]:
    return [(k, p) for k, p in enumerate(node.pattern) if p is None]


def _special(components: Components, inner: Node, axis: int) -> list[Expr]:
    """Positions of a family along an axis whose form differs."""
    return [
        p for p in suspects(components.structure, inner.name, axis)
        if _differs(components, inner, axis, p)
    ]  # fmt: skip


def _differs(components: Components, inner: Node, axis: int, position: Expr) -> bool:
    pattern = (*inner.pattern[:axis], position, *inner.pattern[axis + 1 :])
    node = Node(inner.name, pattern)
    if any(_beyond(components, atom) for atom in _references(components, node)):
        return True
    letter = terms.index_symbol(components.structure.axes(inner.name)[axis].letter)
    here = Counter(_forms(components, node, {}))
    there = Counter(_forms(components, inner, {letter: position}))
    site, place = components.site(inner)
    known = set(place.generics)
    for atom in dict.fromkeys(_references(components, inner)):
        if atom.free_symbols & known and _lacking(components, put(atom, {letter: position}), known):
            letters = {x for sub in terms.subscripts_of(atom) for x in sub.free_symbols}
            if letters <= known and components.tester.pair(place, site, atom).present:
                return True
    return not _alike(components, node, here, there)


def same_form(components: Components, node: Node, other: Node, axis: int) -> bool:
    """Whether two members written out along an axis have the same density but for the position.

    Args:
        components: the analysis so far.
        node: one member.
        other: another one.
        axis: along which they differ.
    """
    here, there = node.pattern[axis], other.pattern[axis]
    if here is None or there is None:
        raise ValueError("same_form compares members written out along the axis")
    letter = components.structure.axes(node.name)[axis].letter
    moved = Counter(
        (put(e, _shifted(components, e, letter, here - there)), free)
        for e, free in _forms(components, other, {})
    )
    return _alike(components, node, Counter(_forms(components, node, {})), moved)


def _alike(components: Components, node: Node, here: Counter[Form], there: Counter[Form]) -> bool:
    """Whether two sets of factors hold a node in the same way."""
    more, fewer = here - there, there - here
    if any(free for _, free in (*more, *fewer)):
        return _expanded(more) == _expanded(fewer)
    site, _ = components.site(node)  # values tell; a normal form would cost more
    plus, minus = ([e for e, _ in forms.elements()] for forms in (more, fewer))
    return not components.tester.depends(plus, minus, site)


def _expanded(forms: Counter[Form]) -> Counter[Form]:
    return Counter((sympy.expand(e), free) for e, free in forms.elements())


def _instances(components: Components, node: Node) -> list[Instance]:
    site, place = components.site(node)
    return components.tester.finder.holding(place, site)


def _references(components: Components, node: Node) -> Iterator[Expr]:
    for instance in _instances(components, node):
        yield from instance.atoms


def _beyond(components: Components, atom: Expr) -> bool:
    """Whether a reference names a local outside its own range (a value that the text gives)."""
    structure = components.structure
    if structure.role(atom) != "local":
        return False
    for sub, axis in zip(
        terms.subscripts_of(atom), structure.axes(terms.name_of(atom)), strict=True
    ):
        if sub.atoms(Indexed):
            continue
        below, above = sign(sub - axis.low), sign(axis.high - sub)
        if (sub - axis.low).is_number and below == -1:
            return True
        if (axis.high - sub).is_number and above == -1:
            return True
    return False


def _forms(components: Components, node: Node, known: dict[Expr, Expr]) -> Iterator[Form]:
    """The factors holding a node with letters put in, and the ranges of their free letters."""
    for instance in _instances(components, node):
        free = {
            g.letter: terms.index_symbol(f"\N{MIDDLE DOT}{k}") for k, g in enumerate(instance.free)
        }

        both = {**known, **free}

        def moved(expr: Expr, both: Mapping[Expr, Expr] = both) -> Expr:
            return put(expr, both)

        yield (
            moved(instance.expr),
            tuple(
                (moved(g.low), moved(g.high), tuple((moved(a), moved(b)) for a, b in g.facts))
                for g in instance.free
            ),
        )


def _shifted(components: Components, expr: Expr, letter: str, step: Expr) -> dict[Expr, Expr]:
    """Written positions along an index, moved by a step."""
    moves: dict[Expr, Expr] = {}
    for atom in expr.atoms(Indexed):
        axes = components.structure.axes(terms.name_of(atom).removeprefix("missing\N{MIDDLE DOT}"))
        if components.structure.role(atom) == "global" or len(axes) != len(atom.indices):
            continue
        subs = [
            sub + step if axis.letter == letter and sub.is_number else sub
            for sub, axis in zip(atom.indices, axes, strict=True)
        ]
        moves[atom] = terms.ref(terms.name_of(atom), *subs)
    return moves


def _lacking(components: Components, atom: Expr, generic: set[Symbol]) -> bool:
    """Whether an observation lies outside its range, and the text gives no value for it."""
    if components.structure.role(atom) != "observed" or atom in components.structure.edge_values:
        return False
    axes = components.structure.axes(terms.name_of(atom))
    return any(
        not sub.atoms(Indexed)
        and not sub.free_symbols & generic
        and -1 in (sign(sub - axis.low), sign(axis.high - sub))
        for sub, axis in zip(terms.subscripts_of(atom), axes, strict=True)
    )
