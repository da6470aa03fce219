"""First pass over the statements: which names exist, over which indices, with which ranges."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import sympy
from sympy import Expr, Symbol

from avi_theory.errors import nearest
from avi_theory.spec.model import Axis, EdgeValue, Given, IndexSet, Network, Range, Variable
from avi_theory.spec.notation import arithmetic
from avi_theory.spec.notation.expressions import Reader
from avi_theory.spec.notation.intervals import Box, Interval, compare, hull
from avi_theory.spec.notation.scope import RESERVED, Scope
from avi_theory.spec.notation.syntax import Code, Item, Raw, RawRange
from avi_theory.spec.notation.tokens import Token
from avi_theory.spec.terms import index_symbol

VARIABLES = ("global", "local", "observed")


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


def declare(raws: Sequence[Raw], scope: Scope) -> Declared:
    """Fill the scope with everything the statements declare."""
    declared = Declared()
    _take_names(raws, scope)
    _find_sizes(raws, scope)
    _provisional_givens(raws, scope)
    _read_indices([r for r in raws if r.keyword == "index"], scope)
    _read_variables([r for r in raws if r.keyword in VARIABLES], scope, declared)
    _read_givens([r for r in raws if r.keyword == "given"], scope, declared)
    for raw in raws:
        if raw.keyword == "network" and not raw.broken and raw.name not in scope.broken:
            _read_network(raw, scope)
    for raw in raws:
        if raw.keyword == "potential" and raw.body is not None:
            bound = read_ranges(raw, [], scope)
            if bound is not None:
                declared.potentials.append((raw, bound))
    return declared


def _is_edge(item: Item, variables: set[str], letters: set[str]) -> bool:
    """``given x[0] = 0``: a value for a variable, or for one point of a given."""
    if item.name.text in variables:
        return True
    return any(
        not (isinstance(s.node, ast.Name) and s.node.id in letters) and _is_point(s.node)
        for s in item.subscripts or ()
    )


def _is_point(node: ast.expr) -> bool:
    return not isinstance(node, ast.Name | ast.Slice)


def _take_names(raws: Sequence[Raw], scope: Scope) -> None:
    """Every declared name, so that a failing line leads to no follow-up problems."""
    variables = {r.name for r in raws if r.keyword in VARIABLES and r.items}
    letters = {r.name for r in raws if r.keyword == "index" and r.items}
    for raw in raws:
        for item in raw.items:
            name = item.name.text
            if raw.broken and (raw.keyword != "given" or item == Item(item.name)):
                scope.broken.add(name)
            if raw.keyword == "given" and not raw.broken and _is_edge(item, variables, letters):
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


def _find_sizes(raws: Sequence[Raw], scope: Scope) -> None:
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


# -- index sets and ranges ---------------------------------------------------------------------


def _dummy(name: str) -> Range:
    return Range(index_symbol(name), sympy.Integer(0), sympy.Integer(0))


def _read_range(raw: RawRange, letters: Iterable[str], scope: Scope) -> Range | None:
    known = {n: _dummy(n) for n in letters}
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


def _read_indices(raws: Sequence[Raw], scope: Scope) -> None:
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


def _provisional_givens(raws: Sequence[Raw], scope: Scope) -> None:
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


# -- variables ---------------------------------------------------------------------------------


def _read_variables(raws: Sequence[Raw], scope: Scope, declared: Declared) -> None:
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
        hulls = [hull([p.box[i] for p in boxed]) for i in range(len(axes))]
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
        value = Reader(scope, code, {n: _dummy(n) for n in left}).index()
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


# -- givens and networks -----------------------------------------------------------------------


def _read_givens(raws: Sequence[Raw], scope: Scope, declared: Declared) -> None:
    variables = {n for n, k in scope.kinds.items() if k in VARIABLES}
    letters = set(scope.indices)
    later: list[tuple[Item, Raw]] = []
    for raw in raws:
        for item in raw.items:
            name = item.name.text
            if name in scope.broken or name in RESERVED:
                continue
            given = scope.kinds.get(name) == "given"
            if _is_edge(item, variables, letters) or (given and _shape_given(item, raw, scope)):
                later.append((item, raw))
            else:
                scope.broken.add(name)
    for item, raw in later:
        if _is_edge(item, variables, letters):
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


def _read_network(raw: Raw, scope: Scope) -> None:
    inputs = [space(c, scope) for c in raw.inputs]
    output = space(raw.output, scope)
    if output is None or any(i is None for i in inputs):
        scope.broken.add(raw.name)
        return
    known = tuple(i for i in inputs if i is not None)
    scope.networks[raw.name] = Network(raw.name, known, output, None, raw.statement.line)
