"""Index sets, and the bound letters of a statement with their ranges."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace

import sympy

from avi_theory.spec.model import Axis, Given, IndexSet, Range
from avi_theory.spec.notation.expressions import Reader
from avi_theory.spec.notation.intervals import Interval
from avi_theory.spec.notation.scope import RESERVED, Scope
from avi_theory.spec.notation.syntax import Raw, RawRange
from avi_theory.spec.terms import index_symbol


def dummy(name: str) -> Range:
    """A range that only says that a letter is bound."""
    return Range(index_symbol(name), sympy.Integer(0), sympy.Integer(0))


def _read_range(raw: RawRange, letters: Iterable[str], scope: Scope) -> Range | None:
    known = {n: dummy(n) for n in letters}
    low = Reader(scope, raw.low, known).index()
    high = Reader(scope, raw.high, known).index()
    if low.broken or high.broken:
        return None
    if Interval(low.expr, high.expr).empty:
        scope.problems.add(
            raw.letter,
            f"The range {low.expr}:{high.expr} of {raw.letter.text!r} is empty.",
            "A range includes both ends, the smaller first.",
        )
        return None
    return Range(index_symbol(raw.letter.text), low.expr, high.expr)


def read_indices(raws: Sequence[Raw], scope: Scope) -> None:
    """Every index set with its range, ragged ones after their parents' names are known."""
    names = [r.name for r in raws if r.items]
    for raw in raws:
        if raw.broken or raw.name in scope.broken or raw.name in scope.indices:
            continue
        others = [n for n in names if n != raw.name]
        bound = _read_range(raw.ranges[0], others, scope)
        if bound is None:
            scope.broken.add(raw.name)
            continue
        free = {s.name for s in (bound.low.free_symbols | bound.high.free_symbols)}
        parents = tuple(n for n in others if n in free)
        scope.indices[raw.name] = IndexSet(raw.name, bound, parents, raw.statement.line)
    _refuse_circular_indices(scope)
    for name, given in list(scope.givens.items()):
        axes = [axis_of(a.letter, scope) for a in given.axes]
        if all(a is not None for a in axes):
            scope.givens[name] = replace(given, axes=tuple(a for a in axes if a is not None))


def provisional_givens(raws: Sequence[Raw], scope: Scope) -> None:
    """Givens as far as an index range may name them, before the indices have ranges."""
    zero = sympy.Integer(0)
    for raw in raws:
        for item in raw.items if raw.keyword == "given" else ():
            name = item.name.text
            nodes = [c.node for c in item.subscripts or ()]
            letters = [n.id for n in nodes if isinstance(n, ast.Name)]
            known = len(letters) == len(nodes) and scope.kinds.get(name) == "given"
            if known and name not in scope.broken:
                axes = tuple(Axis(n, zero, zero) for n in letters)
                scope.givens[name] = Given(name, axes, line=raw.statement.line)


def _refuse_circular_indices(scope: Scope) -> None:
    done: set[str] = set()
    pending = dict(scope.indices)
    while pending:
        ready = [n for n, s in pending.items() if all(p not in pending for p in s.parents)]
        if not ready:
            for name in pending:
                scope.problems.add(
                    scope.places[name], f"The range of index {name!r} depends on itself."
                )
                scope.broken.add(name)
                del scope.indices[name]
            return
        for name in ready:
            done.add(name)
            del pending[name]


def axis_of(letter: str, scope: Scope) -> Axis | None:
    """The axis of a declared index letter."""
    if letter not in scope.indices:
        return None
    bound = scope.indices[letter].range
    return Axis(letter, bound.low, bound.high)


def read_ranges(raw: Raw, left: Sequence[str], scope: Scope) -> tuple[Range, ...] | None:
    """The bound letters of a statement: those on its left side and those after ``for``."""
    explicit = {r.letter.text: r for r in raw.ranges}
    letters = [*explicit, *(n for n in left if n not in explicit)]
    ranges: dict[str, Range] = {}
    failed = False
    seen: set[str] = set()
    for r in raw.ranges:
        name = r.letter.text
        kind = scope.kinds.get(name, "size" if name in scope.sizes else "index")
        if name in seen:
            scope.problems.add(r.letter, f"{name!r} is bound twice.", "Use two letters.")
            failed = True
        elif kind != "index" or name in RESERVED:
            scope.problems.add(
                r.letter, f"{name!r} is already a {kind} and cannot be a bound letter.",
                "Choose another letter.",
            )  # fmt: skip
            failed = True
        seen.add(name)
    if failed:
        return None
    for name in letters:
        if name in explicit:
            bound = _read_range(explicit[name], [n for n in letters if n != name], scope)
        elif name in scope.indices:
            bound = scope.indices[name].range
            for parent in scope.indices[name].parents:
                if parent not in letters:
                    scope.problems.add(
                        raw.statement.keyword if not raw.items else raw.items[0].name,
                        f"The index {name!r} runs inside {parent!r}, which is not bound here.",
                        f"Add {parent!r} as a subscript on the left side.",
                    )
                    failed = True
        else:
            bound = None
        if bound is None:
            failed = True
        else:
            ranges[name] = bound
    if failed:
        return None
    return _outermost_first(raw, ranges, scope)


def _outermost_first(raw: Raw, ranges: dict[str, Range], scope: Scope) -> tuple[Range, ...] | None:
    ordered: list[Range] = []
    pending = dict(ranges)
    while pending:
        names = set(pending)
        ready = [
            n
            for n, r in pending.items()
            if not {s.name for s in r.low.free_symbols | r.high.free_symbols} & names
        ]
        if not ready:
            place = raw.ranges[0].letter if raw.ranges else raw.statement.keyword
            scope.problems.add(place, "These ranges depend on each other.", "Order them.")
            return None
        ordered.append(pending.pop(ready[0]))
    return tuple(ordered)
