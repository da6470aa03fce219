"""Variables and the places of their statements: axes, hulls, boxes, dimensions."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import sympy
from sympy import Expr, Symbol

from avi_theory.errors import nearest
from avi_theory.spec.model import Axis, EdgeValue, Range, Variable
from avi_theory.spec.notation.expressions import Reader
from avi_theory.spec.notation.intervals import Box, Interval, compare, hull
from avi_theory.spec.notation.ranges import dummy, read_ranges
from avi_theory.spec.notation.scope import RESERVED, Scope
from avi_theory.spec.notation.syntax import Code, Raw
from avi_theory.spec.notation.tokens import Token
from avi_theory.spec.terms import index_symbol


@dataclass(frozen=True)
class Place:
    """Where one statement's density lives.

    Attributes:
        raw: the statement; subscripts: of its left side, without ``:``.
        ranges: its bound letters, outermost first; box: its points, one interval per axis, in
            the variable's own letters; over: the kernel's letters.
    """

    raw: Raw
    subscripts: tuple[Expr, ...]
    ranges: tuple[Range, ...]
    box: Box = ()
    over: tuple[Symbol, ...] = ()


@dataclass
class Declared:
    """What the first pass hands to the second."""

    places: dict[str, list[Place]] = field(default_factory=dict)
    edges: list[EdgeValue] = field(default_factory=list)
    potentials: list[tuple[Raw, tuple[Range, ...]]] = field(default_factory=list)
    uses: dict[str, set[str]] = field(default_factory=dict)
    edge_places: dict[EdgeValue, Token] = field(default_factory=dict)


def read_variables(raws: Sequence[Raw], scope: Scope, declared: Declared) -> None:
    """Every variable with the hull of its statements, and where each statement lives."""
    by_name: dict[str, list[Raw]] = {}
    for raw in raws:
        if raw.items:
            by_name.setdefault(raw.name, []).append(raw)
    for name, statements in by_name.items():
        if name in scope.broken or name in RESERVED:
            scope.broken.add(name)
            continue
        places = [_read_place(r, scope) for r in statements]
        whole = [p for p in places if p is not None]
        if len(whole) < len(places) or not _agree(name, whole, scope):
            scope.broken.add(name)
            continue
        axes = _axes(name, whole, scope)
        boxed = [replace(p, box=_box(p, axes)) for p in whole]
        hulls = [
            hull([p.box[i] for p in boxed], _index(letter, scope)) for i, letter in enumerate(axes)
        ]
        final = tuple(Axis(a, h.low, h.high) for a, h in zip(axes, hulls, strict=True))
        first = whole[0].raw
        scope.variables[name] = Variable(
            name,
            first.keyword,  # type: ignore[arg-type]
            final,
            _dim(whole, scope),
            any(p.raw.missing for p in whole),
            support="",
            line=first.statement.line,
        )
        declared.places[name] = boxed


def _index(letter: str, scope: Scope) -> Interval | None:
    """The range of a declared index letter."""
    if letter not in scope.indices:
        return None
    return Interval(scope.indices[letter].range.low, scope.indices[letter].range.high)


def _read_place(raw: Raw, scope: Scope) -> Place | None:
    """The left side of a statement and its ranges."""
    item = raw.items[0]
    nodes = item.subscripts or ()
    explicit = {r.letter.text for r in raw.ranges}
    left: list[str] = []
    over = [t.text for t in raw.over]
    failed = False
    for code in nodes:
        node = code.node
        if isinstance(node, ast.Slice):
            if len(over) != 2 or node.lower or node.upper or node.step:
                scope.problems.add(
                    code.place(node) if hasattr(node, "col_offset") else item.name,
                    f"{item.name.text}[:] needs a joint density over two letters.",
                    "For example '~ MultivariateNormal(0, k) over n, m'.",
                )
                return None
        elif isinstance(node, ast.Name) and (node.id in scope.indices or node.id in explicit):
            if node.id in left:
                scope.problems.add(
                    code.place(node), f"The letter {node.id!r} stands twice.", "Use two letters."
                )
                failed = True
            left.append(node.id)
    slices = sum(isinstance(c.node, ast.Slice) for c in nodes)
    if over and (slices != 1 or not isinstance(nodes[-1].node, ast.Slice)):
        scope.problems.add(
            raw.over[0], "'over' belongs to a joint density of a whole index.", "Write f[:] ~ …"
        )
        return None
    if over and (over[0] not in scope.indices or over[0] == over[1]):
        if over[0] not in scope.broken:
            scope.problems.add(
                raw.over[0],
                f"'over' needs a declared index and a second letter, but found {over}.",
                "For example 'index n = 1:N' and 'over n, m'.",
            )
        return None
    ranges = read_ranges(raw, left, scope)
    if failed or ranges is None:
        return None
    subscripts: list[Expr] = []
    for code in nodes:
        if isinstance(code.node, ast.Slice):
            continue
        name = code.node.id if isinstance(code.node, ast.Name) else ""
        if name in left:
            subscripts.append(index_symbol(name))
            continue
        if name and name not in (*scope.kinds, *scope.sizes):
            hint = nearest(name, scope.indices) or f"Declare 'index {name} = 1:N'."
            hint += f" Or add 'for {name} in 1:N'."
            scope.problems.add(code.place(code.node), f"{name!r} is not a declared index.", hint)
            return None
        value = Reader(scope, code, {n: dummy(n) for n in left}).index()
        if value.broken:
            return None
        if {s.name for s in value.expr.free_symbols} & set(left) or value.expr.has(sympy.Indexed):
            scope.problems.add(
                code.place(code.node),
                f"The left side holds {value.expr}, which is neither a letter nor a number.",
                "Write the letter alone on the left and shift the range.",
            )
            return None
        subscripts.append(value.expr)
    unused = [r for r in ranges if r.letter not in subscripts]
    if unused:
        letter = str(unused[0].letter)
        scope.problems.add(
            next((r.letter for r in raw.ranges if r.letter.text == letter), item.name),
            f"{letter!r} is bound but does not stand on the left side: "
            f"{item.name.text!r} would get a density for every {letter}.",
            f"Add {letter} as a subscript of {item.name.text}, or drop it.",
        )
        return None
    if over:
        ranges = (*ranges, scope.indices[over[0]].range)
    return Place(raw, tuple(subscripts), ranges, over=tuple(index_symbol(t) for t in over))


def _agree(name: str, places: list[Place], scope: Scope) -> bool:
    """Statements of one variable have one role and one number of subscripts."""
    first = places[0].raw
    count = len(first.items[0].subscripts or ())
    for place in places[1:]:
        found = len(place.raw.items[0].subscripts or ())
        if found != count:
            scope.problems.add(
                place.raw.items[0].name,
                f"{name!r} has {count} subscripts in line {first.statement.line}, "
                f"but {found} here.",
                "Use the same number.",
            )
            return False
        if place.raw.keyword != first.keyword:
            return False
    return True


def _axes(name: str, places: list[Place], scope: Scope) -> list[str]:
    """One letter per axis: a declared index letter if there is one."""
    count = len(places[0].raw.items[0].subscripts or ())
    letters: list[str] = []
    for axis in range(count):
        written = [_letter_at(p, axis) for p in places]
        named = [w for w in written if w in scope.indices and w not in letters]
        if named:
            letters.append(named[0])
            continue
        interval = hull([_interval_at(p, axis) for p in places])
        holders = [
            n
            for n, s in scope.indices.items()
            if n not in letters
            and not s.parents
            and compare(s.range.low, interval.low) in (0, -1)
            and compare(s.range.high, interval.high) in (0, 1)
        ]
        plain = [w for w in written if w and w not in letters]
        if len(holders) == 1:
            letters.append(holders[0])
        else:
            spare = (c for c in ("i", "j", "k", "l", "i_", "j_", "k_") if c not in scope.kinds)
            letters.append(plain[0] if plain else next(c for c in spare if c not in letters))
    return letters


def _letter_at(place: Place, axis: int) -> str:
    if axis >= len(place.subscripts):
        return str(place.over[0])
    subscript = place.subscripts[axis]
    bound = {r.letter for r in place.ranges}
    return str(subscript) if subscript in bound else ""


def _interval_at(place: Place, axis: int) -> Interval:
    if axis >= len(place.subscripts):
        return Interval(place.ranges[-1].low, place.ranges[-1].high)
    subscript = place.subscripts[axis]
    for r in place.ranges:
        if r.letter == subscript:
            return Interval(r.low, r.high)
    return Interval(subscript, subscript)


def _box(place: Place, letters: list[str]) -> Box:
    renamed = {
        index_symbol(_letter_at(place, i)): index_symbol(letter)
        for i, letter in enumerate(letters)
        if _letter_at(place, i)
    }
    intervals = [_interval_at(place, i) for i in range(len(letters))]
    return tuple(Interval(v.low.xreplace(renamed), v.high.xreplace(renamed)) for v in intervals)


def _dim(places: list[Place], scope: Scope) -> Expr | None:
    """The number of coordinates after the colon; R[1] is a scalar."""
    dims = [(p, c) for p in places if (c := p.raw.output) is not None]
    values = [space(code, scope) for _, code in dims]
    known = [v for v in values if v is not None]
    if any(compare(v, known[0]) not in (0, None) for v in known[1:]):
        scope.problems.add(
            dims[-1][0].raw.items[0].name, "The dimensions of its statements differ.", "Use one."
        )
    return known[0] if known and known[0] != 1 else None


def space(code: Code | None, scope: Scope) -> Expr | None:
    """The dimension in ``R[50]``, a positive whole number or a size."""
    if code is None:
        return sympy.S.One
    value = Reader(scope, code, {}).index()
    if value.broken:
        return None
    if compare(value.expr, sympy.S.One) == -1 or value.expr.has(sympy.Indexed):
        scope.problems.add(
            code.place(code.node), f"A space of dimension {value.expr} means nothing.", "R[1]?"
        )
        return None
    return value.expr
