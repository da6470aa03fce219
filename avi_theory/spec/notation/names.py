"""Which names a text declares, and which of its undeclared names are sizes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

import sympy

from avi_theory.spec.model import Axis, Given
from avi_theory.spec.notation.scope import RESERVED, Scope
from avi_theory.spec.notation.syntax import Code, Item, Raw
from avi_theory.spec.notation.tokens import Token

VARIABLES = ("global", "local", "observed")
"""The keywords that declare random variables."""


def take_names(raws: Sequence[Raw], scope: Scope) -> None:
    """Every declared name, so that a failing line leads to no follow-up problems."""
    variables = {r.name for r in raws if r.keyword in VARIABLES and r.items}
    letters = {r.name for r in raws if r.keyword == "index" and r.items}
    for raw in raws:
        for item in raw.items:
            name = item.name.text
            if raw.broken and (raw.keyword != "given" or item == Item(item.name)):
                scope.broken.add(name)
            if raw.keyword == "given" and not raw.broken and is_edge(item, variables, letters):
                continue
            if raw.keyword == "given" and raw.broken and name in variables:
                continue
            taken = name in scope.kinds
            if not scope.declare(item.name, raw.keyword):
                if name in RESERVED:
                    scope.broken.add(name)
                continue
            if taken and raw.keyword == "given" and not raw.broken:
                line = scope.places[name].line
                scope.problems.add(
                    item.name, f"{name!r} is already given in line {line}.", "Keep one of the two."
                )


def _names(codes: Iterable[Code]) -> Iterable[tuple[str, Token, ast.Subscript | None]]:
    """Names in index expressions; a subscripted name comes with its node."""
    for code in codes:
        subscripted: dict[ast.AST, ast.Subscript] = {}
        for node in ast.walk(code.node):
            if isinstance(node, ast.Subscript):
                subscripted[node.value] = node
            if isinstance(node, ast.Name):
                yield node.id, code.place(node), subscripted.get(node)


def find_sizes(raws: Sequence[Raw], scope: Scope) -> None:
    """Sizes are the undeclared names in index ranges, in spaces, and in ranges of new letters."""
    for raw in raws:
        ends = [c for r in raw.ranges for c in (r.low, r.high)]
        letters = {r.letter.text for r in raw.ranges}
        for name, _, subscript in _names(ends):
            if name in scope.kinds and scope.kinds[name] == "given" and subscript is None:
                scope.integers.add(name)
        fresh = [
            c
            for r in raw.ranges
            if raw.keyword == "index" or r.letter.text not in scope.kinds
            for c in (r.low, r.high)
        ]
        spaces = [c for c in (*raw.inputs, raw.output) if c is not None]
        for name, place, subscript in _names([*fresh, *spaces]):
            if name in scope.kinds or name in RESERVED or name in letters:
                continue
            if subscript is None:
                scope.sizes[name] = None
            elif raw.keyword == "index" and name not in scope.sizes:
                _ragged_size(name, place, subscript, scope)
    for raw in raws:
        codes = [c for c in (raw.call, raw.body) if c is not None]
        for code in codes:
            for node in ast.walk(code.node):
                if isinstance(node, ast.Subscript):
                    for name, _, inner in _names([code.at(node.slice)]):
                        if scope.kinds.get(name) == "given" and inner is None:
                            scope.integers.add(name)


def _ragged_size(name: str, place: Token, node: ast.Subscript, scope: Scope) -> None:
    """``index j = 1:J[n]`` brings J along, as ``1:N`` brings N."""
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    letters = [n.id for n in inner if isinstance(n, ast.Name)]
    if len(letters) < len(inner) or any(scope.kinds.get(n) != "index" for n in letters):
        return
    scope.kinds[name] = "given"
    scope.places[name] = place
    zero = sympy.Integer(0)
    scope.givens[name] = Given(name, tuple(Axis(n, zero, zero) for n in letters), line=place.line)


def is_edge(item: Item, variables: set[str], letters: set[str]) -> bool:
    """``given x[0] = 0``: a value for a variable, or for one point of a given."""
    if item.name.text in variables:
        return True
    return any(
        not (isinstance(s.node, ast.Name) and s.node.id in letters) and _is_point(s.node)
        for s in item.subscripts or ()
    )


def _is_point(node: ast.expr) -> bool:
    return not isinstance(node, ast.Name | ast.Slice)
