"""Givens: constants, arrays, covariates, maps, values outside a range; and networks."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from sympy import Expr

from avi_theory.spec.model import Axis, EdgeValue, Given, Network, Range
from avi_theory.spec.notation import arithmetic
from avi_theory.spec.notation.expressions import Reader
from avi_theory.spec.notation.names import VARIABLES, is_edge
from avi_theory.spec.notation.places import Declared, space
from avi_theory.spec.notation.ranges import axis_of
from avi_theory.spec.notation.scope import RESERVED, Scope
from avi_theory.spec.notation.syntax import Code, Item, Raw


def read_givens(raws: Sequence[Raw], scope: Scope, declared: Declared) -> None:
    """Every given with its axes and value, and every value outside a variable's range."""
    variables = {n for n, k in scope.kinds.items() if k in VARIABLES}
    letters = set(scope.indices)
    later: list[tuple[Item, Raw]] = []
    for raw in raws:
        for item in raw.items:
            name = item.name.text
            if name in scope.broken or name in RESERVED:
                continue
            given = scope.kinds.get(name) == "given"
            if is_edge(item, variables, letters) or (given and _shape_given(item, raw, scope)):
                later.append((item, raw))
            else:
                scope.broken.add(name)
    for item, raw in later:
        if is_edge(item, variables, letters):
            _read_edge(item, raw, scope, declared)
        else:
            _value_given(item, scope, declared)
    _refuse_circular_givens(scope, declared)


def _shape_given(item: Item, raw: Raw, scope: Scope) -> bool:
    """A given's axes, map target and constraint."""
    name = item.name.text
    axes: list[Axis] = []
    for code in item.subscripts or ():
        letter = code.node.id if isinstance(code.node, ast.Name) else ""
        axis = axis_of(letter, scope)
        if axis is None:
            if letter not in scope.broken:
                shown = letter or "this"
                scope.problems.add(
                    code.place(code.node),
                    f"{shown!r} is not a declared index.",
                    f"Declare 'index {letter or 'n'} = 1:N', or write '{name} = […]' for an array.",
                )
            return False
        axes.append(axis)
    target = item.member_of
    if target is not None and target.text not in scope.indices:
        if target.text not in scope.broken:
            scope.undeclared(target, target.text, scope.indices, " as an index")
        return False
    constraint, positive = "", False
    if item.comparison is not None:
        sign, code = item.comparison
        bound = Reader(scope, code, {}).scalar()
        if bound.broken:
            return False
        if not bound.expr.is_Rational:
            scope.problems.add(sign, "A constraint compares with a number.", "For example '> 0'.")
            return False
        constraint = f"{sign.text} {bound.expr}"
        limit = arithmetic.constant(bound.expr) or 0.0
        positive = (sign.text == ">" and limit >= 0) or (sign.text == ">=" and limit > 0)
    scope.givens[name] = Given(
        name, tuple(axes), None, positive, constraint,
        target.text if target is not None else None, (), raw.statement.line,
    )  # fmt: skip
    return True


def _value_given(item: Item, scope: Scope, declared: Declared) -> None:
    name = item.name.text
    given = scope.givens.get(name)
    if item.value is None or given is None:
        return
    code = item.value
    if isinstance(code.node, ast.List):
        array = _array(code, code.node, scope)
        if array is None:
            scope.broken.add(name)
            del scope.givens[name]
            return
        shape = _shape(array)
        if given.axes and not _fits(given, shape):
            lengths = ", ".join(str(a.high - a.low + 1) for a in given.axes)
            scope.problems.add(
                item.name, f"{name!r} has the shape {shape}, but its indices want ({lengths}).",
                "Write one entry per index point.",
            )  # fmt: skip
        scope.givens[name] = replace(given, value=array, shape=() if given.axes else shape)
        return
    letters = {a.letter: scope.indices[a.letter].range for a in given.axes}
    reader = Reader(scope, code, letters)
    value = reader.scalar()
    declared.uses.setdefault(name, set()).update(reader.uses)
    if value.broken or not _known(reader, code, scope, VARIABLES):
        scope.broken.add(name)
        return
    number = arithmetic.constant(value.expr)
    if name in scope.integers and number is not None and number != int(number):
        scope.problems.add(
            item.name, f"{name!r} stands in a range or subscript, but {number} is not whole."
        )
    scope.givens[name] = replace(given, value=value.expr)


def _known(reader: Reader, code: Code, scope: Scope, kinds: Sequence[str]) -> bool:
    """Whether a given's value uses no variable."""
    for name in sorted(reader.uses):
        if scope.kinds.get(name) in kinds:
            scope.problems.add(
                code.place(code.node),
                f"A given is known, but this one depends on the {scope.kinds[name]} {name!r}.",
                "Use numbers, sizes and other givens.",
            )
            return False
    return True


def _array(code: Code, node: ast.List, scope: Scope, depth: int = 0) -> tuple | None:
    """A nested list as nested tuples of exact numbers."""
    if not node.elts or depth > 5:
        scope.problems.add(code.place(node), "An empty or very deep array means nothing.")
        return None
    entries: list[object] = []
    for element in node.elts:
        entry: object
        if isinstance(element, ast.List):
            entry = _array(code, element, scope, depth + 1)
        else:
            entry = _entry(code.at(element), scope)
        if entry is None:
            return None
        entries.append(entry)
    if len({_shape(e) for e in entries}) > 1:
        scope.problems.add(code.place(node), "The rows of this array differ in length.")
        return None
    return tuple(entries)


def _entry(code: Code, scope: Scope) -> Expr | None:
    value = Reader(scope, code, {}).scalar()
    if value.broken:
        return None
    if not value.expr.is_Rational:
        scope.problems.add(code.place(code.node), "An array literal holds numbers only.")
        return None
    return value.expr


def _shape(array: object) -> tuple[int, ...]:
    return (len(array), *_shape(array[0])) if isinstance(array, tuple) else ()


def _fits(given: Given, shape: tuple[int, ...]) -> bool:
    if len(shape) != len(given.axes):
        return False
    lengths = [a.high - a.low + 1 for a in given.axes]
    return all(not n.is_Integer or n == s for n, s in zip(lengths, shape, strict=True))


def _read_edge(item: Item, raw: Raw, scope: Scope, declared: Declared) -> None:
    """``given x[s,0] = 0``: letters run over their index sets, numbers stand for themselves."""
    name = item.name.text
    if name not in scope.variables and name not in scope.givens:
        if name not in scope.broken:
            scope.undeclared(item.name, name, what=" as a variable")
        return
    if item.value is None or item.subscripts is None:
        scope.problems.add(
            item.name,
            f"{name!r} is a {scope.kinds[name]}; a value outside its range needs one.",
            f"For example 'given {name}[0] = 0'.",
        )
        return
    axes = scope.axes(name)
    if len(item.subscripts) != len(axes):
        shown = f"{name}[{','.join(a.letter for a in axes)}]"
        scope.problems.add(
            item.name, f"{name!r} has {len(axes)} indices ({shown}), but found "
            f"{len(item.subscripts)}.",
        )  # fmt: skip
        return
    ranges: list[Range] = []
    subscripts: list[Expr] = []
    for code in item.subscripts:
        letter = code.node.id if isinstance(code.node, ast.Name) else ""
        if letter in scope.indices:
            ranges.append(scope.indices[letter].range)
        value = Reader(scope, code, {str(r.letter): r for r in ranges}).index()
        if value.broken:
            return
        subscripts.append(value.expr)
    reader = Reader(scope, item.value, {str(r.letter): r for r in ranges})
    value = reader.scalar()
    if value.broken or not _known(reader, item.value, scope, ("local", "observed")):
        return
    declared.uses.setdefault(name, set()).update(reader.uses)
    edge = EdgeValue(name, tuple(subscripts), tuple(ranges), value.expr, raw.statement.line)
    declared.edges.append(edge)
    declared.edge_places[edge] = item.name


def _refuse_circular_givens(scope: Scope, declared: Declared) -> None:
    """A given's value may use other givens, but not itself in the end."""
    pending = {n: {u for u in declared.uses.get(n, ()) if u in scope.givens} for n in scope.givens}
    while pending:
        ready = [n for n, uses in pending.items() if not uses & set(pending)]
        if not ready:
            name = next(iter(pending))
            scope.problems.add(scope.places[name], f"The value of {name!r} depends on itself.")
            scope.broken.update(pending)
            return
        for name in ready:
            del pending[name]


def read_network(raw: Raw, scope: Scope) -> None:
    """A network's spaces; its prior is read with the densities."""
    inputs = [space(c, scope) for c in raw.inputs]
    output = space(raw.output, scope)
    if output is None or any(i is None for i in inputs):
        scope.broken.add(raw.name)
        return
    known = tuple(i for i in inputs if i is not None)
    scope.networks[raw.name] = Network(raw.name, known, output, None, raw.statement.line)
