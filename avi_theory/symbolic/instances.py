r"""Which factors hold a variable at a point: index equations solved, nothing unrolled.

Put `z[n]` at a generic interior point.  An occurrence `z[t-1]` in a statement over `t` holds it
where `t - 1 = n`, so at `t = n+1`; `z[g[i]]` where `g[i] = n`, so at every `i` of the group; a
statement whose subscripts do not fix a letter holds it for every value of that letter.  Each
solution is an `Instance`: the factor's expression there, with the letters that stay free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.spec.terms import put
from avi_theory.symbolic.differences import gap, letters_in, slope
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.places import Generic, Place, inside
from avi_theory.symbolic.structure import Row, Structure, Term, base_letter


@dataclass(frozen=True)
class Instance:
    """A factor at the points where it holds the wanted variables.

    Attributes:
        term: number of the factor.
        expr: its log density there, in the place's generic letters and `free` ones.
        free: letters over which the instance stands for a sum.
        inner: letters of two unnamed further entries of a closed sum.
    """

    term: int
    expr: Expr
    free: tuple[Generic, ...]
    inner: tuple[Generic, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """The letters summed over; instances with equal keys add point by point."""
        return self.free


class _Matching:
    """One attempt to make occurrences equal to targets by choosing a term's letters."""

    def __init__(self, place: Place, letters: Iterable[Symbol]) -> None:
        self.place = place
        self.open = set(letters)
        self.bound: dict[Symbol, Expr] = {}
        self.wanted: list[tuple[Expr, Expr]] = []
        self.limits: dict[Symbol, tuple[Expr | None, Expr | None]] = {}
        self.facts = place.facts

    def reduce(self, expr: Expr) -> Expr:
        """The expression with bound letters and known map values put in."""
        if not (self.bound or self.facts) or not expr.free_symbols:
            return expr
        for _ in range(4):
            new = put(put(expr, self.bound), self.facts)
            if new == expr:
                break
            expr = new
        return expr

    def equal(self, left: Expr, right: Expr) -> bool:
        """Make one subscript equal to its target; False if that is impossible."""
        left = self.reduce(left)
        free = [s for s in letters_in(left) if s in self.open]
        if not free:
            right = self.reduce(right)
            if left == right or gap(left, right) == 0:
                return True
            if left.atoms(Indexed) and not left.free_symbols & set(self.place.generics):
                raise Stuck(left, f"whether this map leads to {right} is open")
            return False
        if left == free[-1]:
            self.bind(free[-1], gap(right, sympy.S.Zero))
            return True
        if isinstance(left, Indexed):
            self.wanted.append((left, right))
            return True
        if left.atoms(Indexed):
            shift, mapped = left.as_coeff_Add()
            if not isinstance(mapped, Indexed):
                raise Stuck(left, "an index that is computed from a map")
            self.wanted.append((mapped, gap(right, shift)))
            return True
        letter = free[-1]
        step = slope(left, letter)
        if step not in (1, -1):
            raise Stuck(left, f"the index is not a shift of {base_letter(letter)}")
        self.bind(letter, gap(right * step, left * step - letter))
        return True

    def bind(self, letter: Symbol, value: Expr) -> None:
        self.bound = {k: put(v, {letter: value}) for k, v in self.bound.items()}
        self.bound[letter] = value
        self.open.discard(letter)

    def narrowed(self, value: Expr, low: Expr, high: Expr) -> tuple[Expr, Expr]:
        """The ends of a range around a value; an end that an open letter sets bounds that letter.

        The value n lies in 1:m exactly for m from n on.

        Raises:
            Stuck: the end is not a shift of the letter, or the value's own range is not known.
        """
        ends = [low, high]
        for side, end in enumerate(ends):
            letters = [s for s in letters_in(end) if s in self.open]
            if not letters:
                continue
            hulls = [self.place.generics[s] for s in letters_in(value) if s in self.place.generics]
            if len(letters) > 1 or slope(end, letters[0]) != 1 or len(hulls) != 1:
                raise Stuck(end, "the end of a range that other letters set")
            before, after = self.limits.get(letters[0], (None, None))
            bound = gap(value, end - letters[0])
            self.limits[letters[0]] = (before, bound) if side == 0 else (bound, after)
            ends[side] = (hulls[0].low, hulls[0].high)[side]
        return ends[0], ends[1]

    def settle(self) -> bool:
        """Check the wanted map values that have become known; False if one fails."""
        rest: list[tuple[Expr, Expr]] = []
        for left, right in self.wanted:
            now = self.reduce(left)
            if any(s in self.open for s in now.free_symbols):
                rest.append((now, right))
            elif now != self.reduce(right):
                return False
        self.wanted = rest
        return True


def occurrences(term: Term, name: str) -> list[tuple[Expr, tuple[Symbol, ...]]]:
    """References to a variable in a term, each with the letters of the closed sums around it."""
    found: list[tuple[Expr, tuple[Symbol, ...]]] = []

    def walk(expr: Expr, closed: tuple[Symbol, ...]) -> None:
        if isinstance(expr, (Indexed, Symbol)) and terms.name_of(expr) == name:
            found.append((expr, closed))
        if isinstance(expr, Row):
            walk(expr.args[0], (*closed, expr.args[1]))
        elif isinstance(expr, sympy.Sum):
            walk(expr.function, (*closed, *(limit[0] for limit in expr.limits)))
        elif isinstance(expr, Indexed):
            for s in expr.indices:
                walk(s, closed)
        else:
            for a in expr.args:
                walk(a, closed)

    walk(term.expr, ())
    unique: dict[tuple[Expr, tuple[Symbol, ...]], None] = dict.fromkeys(found)
    return list(unique)


class Finder:
    """Finds the instances that hold given references.

    Args:
        structure: the prepared model.
    """

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self._occurrences: dict[tuple[int, str], list[tuple[Expr, tuple[Symbol, ...]]]] = {}
        self._known: dict[object, list[Instance]] = {}
        self._selecting: dict[Expr, bool] = {}

    def _where(self, number: int, name: str) -> list[tuple[Expr, tuple[Symbol, ...]]]:
        key = (number, name)
        if key not in self._occurrences:
            self._occurrences[key] = occurrences(self.structure.terms[number], name)
        return self._occurrences[key]

    def holding(self, place: Place, *targets: Expr) -> list[Instance]:
        """All instances that hold every one of the targets.

        Raises:
            Stuck: an index equation that cannot be solved.
        """
        key = (targets, tuple(place.generics.values()))
        if key not in self._known:
            self._known[key] = list(self._holding(place, targets))
        return self._known[key]

    def _holding(self, place: Place, targets: tuple[Expr, ...]) -> Iterator[Instance]:
        names = [terms.name_of(t) for t in targets]
        for number, term in enumerate(self.structure.terms):
            lists = [self._where(number, name) for name in names]
            seen: set[object] = set()
            for choice in product(*lists):
                matching = self._match(term, place, targets, choice)
                if matching is None:
                    continue
                own = {r.letter for r in term.ranges}
                signature = (
                    frozenset((k, v) for k, v in matching.bound.items() if k in own),
                    frozenset(matching.wanted),
                )
                if signature in seen:
                    continue
                seen.add(signature)
                yield self._build(number, term, place, targets, matching)

    def _match(
        self,
        term: Term,
        place: Place,
        targets: tuple[Expr, ...],
        choice: tuple[tuple[Expr, tuple[Symbol, ...]], ...],
    ) -> _Matching | None:
        own = {r.letter for r in term.ranges}
        matching = _Matching(place, own)
        for number, ((pattern, closed), target) in enumerate(zip(choice, targets, strict=True)):
            inner = {c: Symbol(f"{c.name}·{number}", integer=True) for c in closed}
            matching.open |= set(inner.values())
            if isinstance(pattern, Symbol):
                continue
            patterns = terms.subscripts_of(put(pattern, inner))
            for left, right in zip(patterns, terms.subscripts_of(target), strict=True):
                if self._selects(left):
                    continue
                if not matching.equal(left, right):
                    return None
        if not matching.settle():
            return None
        for r in term.ranges:
            if r.letter not in matching.bound:
                continue
            value = matching.bound[r.letter]
            if value.free_symbols & matching.open:
                continue
            low, high = matching.narrowed(value, matching.reduce(r.low), matching.reduce(r.high))
            if not inside(value, low, high, place):
                return None
        return matching

    def _selects(self, subscript: Expr) -> bool:
        """Whether a subscript is the value of a random variable (any point may be meant)."""
        if subscript not in self._selecting:
            self._selecting[subscript] = any(
                self.structure.role(a) in {"local", "observed", "global"}
                for a in subscript.atoms(Indexed, Symbol)
            )
        return self._selecting[subscript]

    def _build(
        self,
        number: int,
        term: Term,
        place: Place,
        targets: tuple[Expr, ...],
        matching: _Matching,
    ) -> Instance:
        names: dict[Symbol, Symbol] = {}
        free: list[Generic] = []
        taken = set(place.generics)
        for r in term.ranges:
            if r.letter in matching.bound:
                continue
            facts = [
                (left, right) for left, right in matching.wanted if r.letter in left.free_symbols
            ]
            letter = terms.index_symbol(base_letter(r.letter))
            while letter in taken:
                letter = terms.index_symbol(letter.name + "'")
            taken.add(letter)
            names[r.letter] = letter
            known = {**matching.bound, **names}
            lowest, highest = matching.limits.get(r.letter, (None, None))
            free.append(
                Generic(
                    letter,
                    put(matching.reduce(r.low if lowest is None else lowest), known),
                    put(matching.reduce(r.high if highest is None else highest), known),
                    tuple((put(a, names), put(b, names)) for a, b in facts),
                )
            )
        scope = place.with_generics(free)
        bound = {k: put(v, names) for k, v in matching.bound.items()}
        inner: dict[Symbol, Generic] = {}
        expr = self._opened(put(term.expr, {**bound, **names}), scope, targets, inner)
        led = scope.facts
        for _ in range(3):
            expr = put(expr, led)
        return Instance(number, expr, tuple(free), tuple(inner.values()))

    def _opened(
        self, expr: Expr, place: Place, targets: tuple[Expr, ...], inner: dict[Symbol, Generic]
    ) -> Expr:
        """Closed sums and rows written as the wanted entries plus two that stand for the rest."""
        if isinstance(expr, Row):
            body, letter, low, high = expr.args
            entries = self._entries(body, letter, low, high, place, targets, inner)
            return terms.vector(*entries)
        if isinstance(expr, sympy.Sum):
            body = expr.function
            for letter, low, high in expr.limits:
                entries = self._entries(body, letter, low, high, place, targets, inner)
                body = sympy.Add(*entries)
            return body
        if not expr.args or isinstance(expr, Indexed) or not expr.has(sympy.Sum, Row):
            return expr
        return expr.func(*(self._opened(a, place, targets, inner) for a in expr.args))

    def _entries(
        self,
        body: Expr,
        letter: Symbol,
        low: Expr,
        high: Expr,
        place: Place,
        targets: tuple[Expr, ...],
        inner: dict[Symbol, Generic],
    ) -> list[Expr]:
        values: list[Expr] = []
        for atom in sorted(body.atoms(Indexed), key=str):
            for target in targets:
                if terms.name_of(atom) != terms.name_of(target):
                    continue
                matching = _Matching(place, {letter})
                pairs = zip(terms.subscripts_of(atom), terms.subscripts_of(target), strict=True)
                if all(matching.equal(a, b) for a, b in pairs) and letter in matching.bound:
                    values.append(matching.bound[letter])
        values = list(dict.fromkeys(values))
        name = base_letter(letter)
        for _ in range(2):
            name += "'"
            while terms.index_symbol(name) in place.generics:
                name += "'"
            rest = terms.index_symbol(name)
            inner[rest] = Generic(rest, low, high)
            values.append(rest)
        return [self._opened(put(body, {letter: v}), place, targets, inner) for v in values]
