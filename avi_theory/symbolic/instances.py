r"""Which factors hold a variable at a point: index equations solved, nothing unrolled.

Put `z[n]` at a generic interior point.  An occurrence `z[t-1]` in a statement over `t` holds it
where `t - 1 = n`, so at `t = n+1`; `z[g[i]]` where `g[i] = n`, so at every `i` of the group; a
statement whose subscripts do not fix a letter holds it for every value of that letter.  Each
solution is an `Instance`: the factor's expression there, with the letters that stay free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.spec.terms import put
from avi_theory.symbolic.matching import Matching
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

    @cached_property
    def atoms(self) -> frozenset[Expr]:
        """The references in the expression."""
        return frozenset(self.expr.atoms(Indexed))

    @property
    def key(self) -> tuple[object, ...]:
        """The letters summed over; instances with equal keys add point by point."""
        return self.free


Occurrence = tuple[Expr, tuple[Symbol, ...]]
"""A reference, and the letters of the closed sums around it."""


def occurrences(term: Term, name: str) -> list[Occurrence]:
    """References to a variable in a term, each with the letters of the closed sums around it."""
    found: list[Occurrence] = []

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
    unique: dict[Occurrence, None] = dict.fromkeys(found)
    return list(unique)


class Finder:
    """Finds the instances that hold given references.

    Args:
        structure: the prepared model.
    """

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self._occurrences: dict[tuple[int, str], list[Occurrence]] = {}
        self._known: dict[object, list[Instance]] = {}
        self._selecting: dict[Expr, bool] = {}
        self._inside: dict[object, bool] = {}
        self._direct: dict[int, bool] = {}

    def _where(self, number: int, name: str) -> list[Occurrence]:
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
        singles = self._known.get((targets[:1], tuple(place.generics.values())), [])
        for number, term in enumerate(self.structure.terms):
            if len(targets) > 1 and self._settled(number, targets[1:], singles):
                yield from (i for i in singles if i.term == number and i.atoms >= {*targets[1:]})
                continue
            lists = [self._where(number, name) for name in names]
            if not all(lists):
                continue
            seen: set[object] = set()
            own = {r.letter for r in term.ranges}
            for matching in self._matches(term, Matching(place, own), targets, lists):
                signature = (
                    frozenset((k, v) for k, v in matching.bound.items() if k in own),
                    frozenset(matching.wanted),
                )
                if signature in seen:
                    continue
                seen.add(signature)
                yield self._build(number, term, place, targets, matching)

    def _settled(self, number: int, others: tuple[Expr, ...], singles: list[Instance]) -> bool:
        """Whether the instances that hold the first target alone show which hold the others too.

        So it is where the first target fixes every letter of the term, and no reference is found
        by a map or by the value of a variable: what the term holds there stands in its expression.

        Args:
            number: of the term.
            others: the further targets.
            singles: what holds the first target; empty also if that has not been asked for.
        """
        if number not in self._direct:
            term = self.structure.terms[number]
            self._direct[number] = not term.expr.has(sympy.Sum, Row) and all(
                self._named(atom) for atom in term.references
            )
        mine = [i for i in singles if i.term == number]
        return (
            bool(mine)
            and self._direct[number]
            and all(isinstance(t, Indexed) and self._named(t) for t in others)
            and not any(i.free or i.inner for i in mine)
        )

    def _matches(
        self,
        term: Term,
        matching: Matching,
        targets: tuple[Expr, ...],
        lists: list[list[Occurrence]],
        done: int = 0,
    ) -> Iterator[Matching]:
        """All ways to meet the targets from the given one on, each with an occurrence of its own.

        What the first targets bind or rule out is found once for all occurrences of the next.
        """
        for occurrence in lists[done]:
            changes = bool(matching.open or occurrence[1])
            tried = matching.branch() if changes and len(lists[done]) > 1 else matching
            if not self._met(tried, occurrence, targets[done], done):
                continue
            if done + 1 < len(targets):
                if not self._outside(term, tried, final=False):
                    yield from self._matches(term, tried, targets, lists, done + 1)
            elif tried.settle() and not self._outside(term, tried, final=True):
                yield tried

    def _met(self, matching: Matching, occurrence: Occurrence, target: Expr, number: int) -> bool:
        """Whether an occurrence can be the target; binds the letters that this takes."""
        pattern, closed = occurrence
        inner = {c: Symbol(f"{c.name}·{number}", integer=True) for c in closed}
        matching.open |= set(inner.values())
        if isinstance(pattern, Symbol):
            return True
        patterns = terms.subscripts_of(put(pattern, inner) if inner else pattern)
        return all(
            self._selects(left) or matching.equal(left, right)
            for left, right in zip(patterns, terms.subscripts_of(target), strict=True)
        )

    def _outside(self, term: Term, matching: Matching, *, final: bool) -> bool:
        """Whether a bound letter has left its range; before the end, as far as ranges are known."""
        for r in term.ranges:
            if r.letter not in matching.bound:
                continue
            value = matching.bound[r.letter]
            if value.free_symbols & matching.open:
                continue
            low, high = matching.reduce(r.low), matching.reduce(r.high)
            if not final and (low.free_symbols | high.free_symbols) & matching.open:
                continue
            low, high = matching.narrowed(value, low, high)
            key = (value, low, high, tuple(matching.place.generics.values()))
            if key not in self._inside:
                self._inside[key] = inside(value, low, high, matching.place)
            if not self._inside[key]:
                return True
        return False

    def _named(self, reference: Expr) -> bool:
        """Whether a reference's subscripts are letters, sizes and numbers alone."""
        return not any(
            sub.atoms(Indexed) or self._selects(sub) for sub in terms.subscripts_of(reference)
        )

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
        matching: Matching,
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
                matching = Matching(place, {letter})
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
