"""A model's graph at a generic index point: never unrolled, so it looks the same for every size."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Expr, Symbol

from avi_theory.results.portrait import Node, Portrait
from avi_theory.spec import terms
from avi_theory.spec.latex import model_latex
from avi_theory.spec.model import Density, Given, Model, Variable


def portrait(model: Model) -> Portrait:
    r"""The model's text, its equation in LaTeX and its graph.

    Edge statements (``z[1] ~ …`` beside ``z[t] ~ …``) are left to the text; the graph shows a
    generic point and, where a density looks there, its neighbours.

    Example:
        >>> p = portrait(Model("index n = 1:N\nlocal z[n] ~ Normal(0, 1)\n"
        ...                    "observed x[n] ~ Normal(z[n], 1)"))
        >>> p.edges
        (('z[n]', 'x[n]'),)
    """
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], None] = {}
    ties: dict[tuple[str, str], None] = {}
    for density in _generic(model):
        child = _node(model, density.target, nodes)
        for argument in density.arguments.values():
            for parent in _parents(model, argument, nodes):
                if parent != child:
                    edges[parent, child] = None
    for potential in model.potentials:
        members = list(dict.fromkeys(_parents(model, potential.expression, nodes)))
        for i, a in enumerate(members):
            for b in members[i + 1 :]:
                ties[a, b] = None
    return Portrait(
        model.name,
        model.title,
        model.about,
        model.references,
        model.text.strip(),
        model_latex(model),
        tuple(nodes.values()),
        tuple(edges),
        tuple(ties),
    )


def _generic(model: Model) -> Iterator[Density]:
    """The statements about interior points: one with letters wherever a variable has one."""
    for d in model.densities:
        others = [o for o in model.densities if o.variable == d.variable]
        lettered = any(o.ranges for o in others)
        if d.ranges or not lettered:
            yield d


def _parents(model: Model, expression: Expr, nodes: dict[str, Node]) -> Iterator[str]:
    pending = [expression]
    while pending:
        current = pending.pop(0)
        for call in sorted(terms.network_calls(current), key=str):
            name = str(call.func)
            nodes.setdefault(name, Node(name, "network"))
            yield name
        for reference in model.references_in(current):
            declared = model.declared(reference)
            if isinstance(declared, Variable) or (isinstance(declared, Given) and declared.axes):
                yield _node(model, reference, nodes)
            pending += list(terms.subscripts_of(reference))


def _node(model: Model, reference: Expr, nodes: dict[str, Node]) -> str:
    """The node of a reference; where a map or a category selects, the variable's own letters."""
    declared = model.declared(reference)
    assert isinstance(declared, Variable | Given)
    role = declared.role if isinstance(declared, Variable) else "given"
    subscripts = terms.subscripts_of(reference)
    selected = any(model.references_in(s) for s in subscripts)
    own = [terms.index_symbol(a.letter) for a in declared.axes]
    if selected or len(subscripts) < len(own):
        subscripts = tuple(own)
    name = declared.name + (
        f"[{','.join(str(s).replace(' ', '') for s in subscripts)}]" if subscripts else ""
    )
    letters = tuple(str(x) for s in subscripts for x in _letters(s))
    nodes.setdefault(name, Node(name, role, letters, _offset(subscripts)))
    return name


def _letters(subscript: Expr) -> list[Symbol]:
    return sorted(subscript.free_symbols - {terms.ALL}, key=str)


def _offset(subscripts: tuple[Expr, ...]) -> int:
    for s in reversed(subscripts):
        letters = _letters(s)
        if len(letters) == 1 and (s - letters[0]).is_Integer:
            return int(s - letters[0])
    return 0
