r"""A model made ready for the analysis: numbers put in, letters renamed apart, sums kept closed.

.. math:: \log p(\theta, z, x; c) = \sum_f \sum_{i \in I_f} \phi_f(i)

A `Term` is one \(\phi_f\) with its bound letters.  Nothing is unrolled: an index set stays a
symbol, and only ranges whose ends are both small numbers are written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import sympy
from sympy import Expr, Indexed, IndexedBase, Rational, Symbol

from avi_theory.spec import terms
from avi_theory.spec.model import Axis, Factor, Model, Range, Variable

WRITTEN_OUT = 6
"""A range with numeric ends is written out up to this many points."""

EDGES = 12
"""At most so many positions at an end of an index set count as its edge."""


class Row(sympy.Function):
    """A whole axis of an indexed variable: Row(entry, letter, low, high)."""

    nargs = 4
    is_real = True


class opaque(sympy.Function):
    """A function of which only the arguments are known."""

    is_real = True


@dataclass(frozen=True)
class Term:
    """One factor's log density at every point of its ranges.

    Attributes:
        expr: log density, with letters that no other term uses.
        ranges: the bound letters with their ends.
        text: the statement it comes from.
        variable: the variable whose density it is, "" for a potential.
    """

    expr: Expr
    ranges: tuple[Range, ...]
    text: str
    variable: str = ""

    @cached_property
    def references(self) -> tuple[Expr, ...]:
        """Every reference in the expression, also inside subscripts and sums; sorted."""
        return tuple(sorted(self.expr.atoms(Indexed), key=sympy.default_sort_key))


def base_letter(letter: Symbol) -> str:
    """The letter as the user wrote it: ``t`` for the renamed ``t·3``."""
    return letter.name.split("·")[0].rstrip("'")


def number(value: Any) -> Expr | None:
    """A number as sympy knows it (floats by their shortest decimal), or None."""
    if isinstance(value, sympy.Basic):
        return value if value.is_number else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return sympy.Integer(value)
    if isinstance(value, float):
        return Rational(repr(value)) if value == value and abs(value) != float("inf") else None
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return number(value.item())
    return None


def _nested(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        rows = tuple(_nested(v) for v in value)
        return None if any(r is None for r in rows) else rows
    return number(value)


def _flat(table: Any) -> Iterator[Any]:
    for row in table:
        if isinstance(row, tuple):
            yield from _flat(row)
        else:
            yield row


@dataclass
class Structure:
    """The analysis' view of a model.

    Attributes:
        model: the model.
        named: keep scalar givens as names unless they are 0 or 1 (for formulas).
        regions: the ends of an index set to those of the part of it that is looked at.
        longer: sizes known to exceed others, written as these and a rest.
        terms: the factors.
        tables: array literals by name, as nested tuples of numbers.
        edge_values: reference outside its own range to the value that the text gives it.
    """

    model: Model
    named: bool = False
    regions: Mapping[tuple[Expr, Expr], tuple[Expr, Expr]] = field(default_factory=dict)
    longer: Mapping[Symbol, Expr] = field(default_factory=dict)
    terms: tuple[Term, ...] = ()
    tables: dict[str, Any] = field(default_factory=dict)
    edge_values: dict[Expr, Expr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scalars: dict[Expr, Expr] = {}
        self._numbers: dict[Expr, Expr] = {}
        self._functions: dict[str, tuple[tuple[Axis, ...], Expr]] = {}
        self._counter = 0
        self._read_givens()
        self.literal_letters = self._literal_letters()
        for edge in self.model.edge_values:
            at = terms.ref(edge.variable, *edge.subscripts)
            self.edge_values[at] = self.plain(edge.value)
        found: list[Term] = []
        for factor in self.model.factors():
            found.extend(self._terms_of(factor))
        self.terms = tuple(t for t in found if t.expr != 0)

    # -- what names mean -------------------------------------------------------------------

    def variable(self, atom: Expr) -> Variable | None:
        """The random variable behind a reference, or None."""
        return self.model.variables.get(terms.name_of(atom))

    def role(self, atom: Expr) -> str:
        """``local``, ``observed``, ``global``, ``given`` or ``""`` (a size, a letter)."""
        name = terms.name_of(atom)
        if name in self.model.variables:
            return self.model.variables[name].role
        return "given" if name in self.model.givens else ""

    def axes(self, name: str) -> tuple[Axis, ...]:
        """The axes of a variable or a given."""
        owner = self.model.variables.get(name) or self.model.givens.get(name)
        return owner.axes if owner is not None else ()

    def region(self, low: Expr, high: Expr) -> tuple[Expr, Expr]:
        """The part of an index set that is looked at."""
        return self.regions.get((low, high), (low, high))

    def maps_on(self, letter: str) -> list[str]:
        """The membership maps whose only subscript is this letter."""
        return [
            g.name
            for g in self.model.givens.values()
            if g.member_of and len(g.axes) == 1 and g.axes[0].letter == letter
        ]

    def is_map(self, atom: Expr) -> bool:
        """Whether a reference is a membership map."""
        given = self.model.givens.get(terms.name_of(atom))
        return given is not None and given.member_of is not None

    def mask(self, atom: Expr) -> Expr | None:
        """The presence of a cell that may be missing, as a reference; None if none may."""
        variable = self.variable(atom)
        if variable is None or not variable.missing:
            return None
        return terms.ref("missing·" + variable.name, *terms.subscripts_of(atom))

    # -- preparation -----------------------------------------------------------------------

    def _read_givens(self) -> None:
        for given in self.model.givens.values():
            value = self.model.values.get(given.name, given.value)
            if value is None or given.member_of:
                continue
            if given.axes:
                if isinstance(given.value, Expr) and given.name not in self.model.values:
                    self._functions[given.name] = (given.axes, given.value)
                continue
            plain = number(value)
            if plain is not None:
                self._numbers[terms.ref(given.name)] = plain
                if not self.named or plain in (0, 1):
                    self._scalars[terms.ref(given.name)] = plain
            elif isinstance(value, Expr):
                self._scalars[terms.ref(given.name)] = value
            else:
                table = _nested(value)
                if table is not None:
                    self.tables[given.name] = table

    def plain(self, expr: Expr) -> Expr:
        """An expression with the numeric givens put in and coordinates written as `pick`."""
        for _ in range(8):
            before = expr
            expr = expr.xreplace(self._scalars)
            expr = expr.xreplace(
                {
                    r: self._functions[terms.name_of(r)][1].xreplace(
                        {
                            terms.index_symbol(a.letter): s
                            for a, s in zip(
                                self._functions[terms.name_of(r)][0],
                                terms.subscripts_of(r),
                                strict=False,
                            )
                        }
                    )
                    for r in expr.atoms(Indexed)
                    if terms.name_of(r) in self._functions
                }
            )
            if expr == before:
                break
        return self._coordinates(expr)

    def _coordinates(self, expr: Expr) -> Expr:
        """Trim references to as many subscripts as the variable has axes."""
        if isinstance(expr, Indexed):
            name, subs = terms.name_of(expr), [self._coordinates(s) for s in expr.indices]
            if name in self.tables:
                return self.looked_up(name, subs)
            count = len(self.axes(name))
            if name in self.model.givens and count == 0:
                return terms.ref(name, *subs)
            atom = self._row(name, subs[:count])
            for extra in subs[count:]:
                atom = terms.pick(atom, extra)
            return atom
        if isinstance(expr, Symbol):
            name = expr.name
            if self.axes(name) and expr == terms.scalar_symbol(name):
                return self._row(name, [])
            return expr
        if not expr.args or isinstance(expr, IndexedBase):
            return expr
        if isinstance(expr, sympy.Sum):
            body = self._coordinates(expr.function)
            for letter, low, high in reversed(expr.limits):
                body = self._summed(body, letter, low, high)
            return body
        args = [self._coordinates(a) for a in expr.args]
        if isinstance(expr, terms.pick) and isinstance(args[0], Row):
            entry, letter, low, _ = args[0].args
            return entry.xreplace({letter: low + args[1]})
        return expr.func(*args) if args != list(expr.args) else expr

    def looked_up(self, name: str, subs: list[Expr]) -> Expr:
        """An entry of an array literal: its number where the text tells which one."""
        table = self.tables[name]
        values = set(_flat(table))
        if _depth(table) == len(subs):
            if len(values) == 1:
                return values.pop()
            if all(s.is_Integer for s in subs):
                for place in subs:
                    if not 0 <= place < len(table):
                        return terms.ref(name, *subs)
                    table = table[int(place)]
                return table
        return terms.ref(name, *subs)

    def _row(self, name: str, subs: list[Expr]) -> Expr:
        """A reference with whole axes (``:`` or missing subscripts) as nested `Row`s."""
        axes = self.axes(name)
        subs = subs + [terms.ALL] * (len(axes) - len(subs))
        letters: list[tuple[Symbol, Axis]] = []
        for k, (sub, axis) in enumerate(zip(subs, axes, strict=True)):
            if sub == terms.ALL:
                letter = self._fresh(axis.letter)
                letters.append((letter, axis))
                subs[k] = letter
        known = {terms.index_symbol(a.letter): s for a, s in zip(axes, subs, strict=True)}
        entry = terms.ref(name, *subs)
        for letter, axis in reversed(letters):
            low, high = axis.low.xreplace(known), axis.high.xreplace(known)
            entry = Row(entry, letter, low, high)
        return entry

    def _literal_letters(self) -> set[str]:
        """Axis letters at which the text writes down a position, or reads an array literal."""
        found: set[str] = set()
        units = {letter for v in self.model.locals for letter in v.letters}
        for factor in self.model.factors():
            for atom in sympy.sympify(factor.expression).atoms(Indexed):
                name = terms.name_of(atom)
                if name in self.tables:
                    found |= {str(s) for sub in atom.indices for s in sub.free_symbols} - units
                for axis, sub in zip(self.axes(name), atom.indices, strict=False):
                    if sub.is_number:
                        found.add(axis.letter)
        return found

    def _written_out(self, letter: Symbol, low: Expr, high: Expr, expr: Expr) -> bool:
        """Whether a range is so short, and its points so special, that it is written out."""
        count = sympy.expand(high - low)
        if not (count.is_number and 0 <= count < EDGES):
            return False
        touched = {base_letter(letter)}
        open_ended = False
        for atom in expr.atoms(Indexed):
            for axis, sub in zip(self.axes(terms.name_of(atom)), atom.indices, strict=False):
                if any(
                    letter in m.free_symbols and terms.name_of(m) not in self.tables
                    for m in sub.atoms(Indexed)
                ):
                    return False  # where a map leads at a written position is not known
                if letter in sub.free_symbols:
                    touched.add(axis.letter)
                    open_ended |= not (axis.high - axis.low).is_number
        return open_ended or (count < WRITTEN_OUT and bool(touched & self.literal_letters))

    def _summed(self, body: Expr, letter: Symbol, low: Expr, high: Expr) -> Expr:
        if self._written_out(letter, low, high, body):
            entries = [body.xreplace({letter: low + k}) for k in range(int(high - low) + 1)]
            return sympy.Add(*entries)
        fresh = self._fresh(base_letter(letter).strip("_") or "i")
        return sympy.Sum(body.xreplace({letter: fresh}), (fresh, low, high))

    def _fresh(self, letter: str) -> Symbol:
        self._counter += 1
        return Symbol(f"{letter}·{self._counter}", integer=True)

    def _terms_of(self, factor: Factor) -> Iterator[Term]:
        source = factor.source
        expr, ranges = factor.expression, factor.ranges
        variable = getattr(source, "variable", "")
        over = getattr(source, "over", ())
        if over:
            arguments = source.arguments  # type: ignore[union-attr]
            outer = source.subscripts  # type: ignore[union-attr]
            first, second = (terms.ref(variable, *outer, letter) for letter in over)
            expr = opaque(
                Symbol(f"joint prior of {variable}"),
                first,
                second,
                *(sympy.sympify(a) for _, a in sorted(arguments.items())),
            )
            inner = self.axes(variable)[-1]
            ranges = (
                *(r for r in ranges if r.letter in outer),
                *(Range(letter, inner.low, inner.high) for letter in over),
            )
        expr = self.plain(sympy.sympify(expr)).xreplace(self.edge_values)
        wide: list[Range] = []
        spread: list[tuple[Symbol, list[Expr]]] = []
        for r in ranges:
            low, high = (self.plain(end).xreplace(self._numbers) for end in (r.low, r.high))
            if self._written_out(r.letter, low, high, expr):
                spread.append((r.letter, [low + k for k in range(int(high - low) + 1)]))
            else:
                wide.append(Range(r.letter, low, high))
        for choice in product(*(points for _, points in spread)):
            put = dict(zip((letter for letter, _ in spread), choice, strict=True))
            renamed = {r.letter: self._fresh(r.letter.name) for r in wide}
            known = {**put, **renamed}
            one = self._renamed_inside(expr).xreplace(known)
            one = one.xreplace({
                a: self.looked_up(terms.name_of(a), list(a.indices))
                for a in one.atoms(Indexed) if terms.name_of(a) in self.tables
            })  # fmt: skip
            masks = {self.mask(a) for a in one.atoms(Indexed)} - {None}
            if masks and one != 0:
                one = sympy.Mul(*sorted(masks, key=sympy.default_sort_key), one, evaluate=False)
            yield Term(
                one,
                tuple(
                    Range(renamed[r.letter], r.low.xreplace(known), r.high.xreplace(known))
                    for r in wide
                ),
                source.text,
                variable,
            )

    def _renamed_inside(self, expr: Expr) -> Expr:
        """The expression with new letters in its closed sums (terms must not share them)."""
        letters = {e.args[1] for e in expr.atoms(Row)}
        letters |= {limit[0] for e in expr.atoms(sympy.Sum) for limit in e.limits}
        return expr.xreplace({x: self._fresh(base_letter(x)) for x in sorted(letters, key=str)})


def _depth(table: Any) -> int:
    return 1 + _depth(table[0]) if isinstance(table, tuple) and table else 0
