"""Positions at which a local's density has another form than inside its range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.components import Components, Node
from avi_theory.symbolic.differences import sign
from avi_theory.symbolic.entries import index_text
from avi_theory.symbolic.instances import Instance
from avi_theory.symbolic.positions import suspects

Form = tuple[Expr, tuple[object, ...]]
"""A factor's expression, and the ranges of the letters it is summed over."""


def edges(components: Components, name: str) -> list[str]:
    """The edge positions of a local, as ``t=1``.

    A position is an edge if a statement's range leaves it out, or the text writes it down
    literally, and the factors that hold it then have another form than at an interior point.

    Args:
        components: the analysis so far.
        name: of the local.
    """
    structure = components.structure
    found: list[str] = []
    for axis, owner in enumerate(structure.axes(name)):
        for position in suspects(structure, name, axis):
            if _differs(components, name, axis, position):
                found.append(f"{owner.letter}={index_text(position)}")
    return list(dict.fromkeys(found))


def _differs(components: Components, name: str, axis: int, position: Expr) -> bool:
    node = Node(name, tuple(
        position if k == axis else None for k in range(len(components.structure.axes(name)))
    ))  # fmt: skip
    inner = Node(name, (None,) * len(node.pattern))
    if any(_beyond(components, atom) for atom in _references(components, node)):
        return True
    letter = terms.index_symbol(components.structure.axes(name)[axis].letter)
    return not same_form(components, node, inner, letter, position)


def same_form(
    components: Components, node: Node, inner: Node, letter: Symbol, position: Expr
) -> bool:
    """Whether a member at a literal position has the density of an interior member."""
    here = Counter(_forms(components, node, letter, position))
    there = Counter(_forms(components, inner, letter, None))
    more, fewer = here - there, there - here
    if any(free for _, free in (*more, *fewer)):
        return _expanded(more) == _expanded(fewer)
    whole = sympy.Add(*(e for e, _ in more.elements())) - sympy.Add(
        *(e for e, _ in fewer.elements())
    )
    site, _ = components.site(inner)
    return not components.tester.depends(whole, site)


def _expanded(forms: Counter[Form]) -> Counter[Form]:
    return Counter((sympy.expand(e), free) for e, free in forms.elements())


def _instances(components: Components, node: Node) -> list[Instance]:
    site, place = components.site(node)
    return components.tester.finder.holding(place, site)


def _references(components: Components, node: Node) -> Iterator[Expr]:
    for instance in _instances(components, node):
        yield from instance.expr.atoms(Indexed)


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


def _forms(
    components: Components, node: Node, letter: Symbol, position: Expr | None
) -> Iterator[Form]:
    """The factors holding a node, written as if it stood at the interior point."""
    for instance in _instances(components, node):
        expr = instance.expr
        if position is not None:
            expr = expr.xreplace(_shifted(components, expr, letter, position))
        yield expr, tuple((g.low, g.high, g.facts) for g in instance.free)


def _shifted(
    components: Components, expr: Expr, letter: Symbol, position: Expr
) -> dict[Expr, Expr]:
    put: dict[Expr, Expr] = {}
    for atom in expr.atoms(Indexed):
        axes = components.structure.axes(terms.name_of(atom))
        if components.structure.role(atom) == "global" or len(axes) != len(atom.indices):
            continue
        subs = []
        for sub, axis in zip(atom.indices, axes, strict=True):
            gap = sympy.expand(sub - position)
            here = str(letter) == axis.letter and gap.is_number
            subs.append(letter + gap if here else sub)
        put[atom] = terms.ref(terms.name_of(atom), *subs)
    return put
