"""Random values for everything a density mentions, the same value wherever it is mentioned.

A `World` gives every reference a value that respects its domain.  Two references are the same
unknown exactly if they are the same expression; globals and constant tables are looked up by the
*value* of their subscripts, so that what selects them counts as an input.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping
from typing import Any

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.numbers import Arithmetic, Evaluator, OutOfDomain, Value
from avi_theory.symbolic.structure import Structure

FEW = 12
"""Vectors of probabilities and categories are cut to this many entries."""

MODES = 4
"""Ways to draw real numbers: positive, both signs, wide, and mixed."""

Key = Hashable


class Domains:
    """What values a name may take, read once from a model."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.selectors: set[str] = set()
        self.labelled: set[tuple[str, int]] = set()
        self.givens: dict[str, str] = {}
        largest = 2
        for term in structure.terms:
            for atom in term.references:
                for axis, sub in enumerate(atom.indices):
                    inner = sub.atoms(Indexed)
                    self.selectors |= {terms.name_of(a) for a in inner}
                    random_inner = any(structure.variable(a) is not None for a in inner)
                    if random_inner and structure.role(atom) in {"local", "observed"}:
                        self.labelled.add((terms.name_of(atom), axis))
            for pick in term.expr.atoms(terms.pick):
                place = pick.args[1]
                self.selectors |= {terms.name_of(a) for a in place.atoms(Indexed)}
                if place.is_number:
                    largest = max(largest, int(place))
        self.width = largest + 1
        self.labels = max([3, *(s for t in structure.tables.values() for s in _shape(t))])
        for density in structure.model.densities:
            for parameter in density.family.parameters:
                value = density.arguments.get(parameter.name)
                if value is not None and isinstance(value, (Indexed, Symbol)):
                    name = terms.name_of(value)
                    if name in structure.model.givens:
                        self.givens[name] = parameter.domain
        self.letters_labelled: set[str] = set()
        for name, axis in self.labelled:
            self.letters_labelled.add(structure.axes(name)[axis].letter)

    def kind(self, name: str) -> str:
        """A support or a parameter domain."""
        variable = self.structure.model.variables.get(name)
        if variable is not None:
            return variable.support
        if name.startswith("missing·"):
            return "unit"
        if name in self.selectors:
            return "label"
        given = self.structure.model.givens.get(name)
        kind = self.givens.get(name, "given")
        if kind in {"real", "given"}:
            return "positive" if given is not None and given.positive else "given"
        return kind

    def categories(self, name: str) -> int:
        """How many values a discrete variable is taken to have."""
        variable = self.structure.model.variables.get(name)
        if variable is None:
            return 3
        if variable.support == "binary":
            return 2
        return _cut(variable.categories, max(FEW, self.labels))

    def length(self, name: str) -> int | None:
        """Number of coordinates of a vector variable, cut to a few; None for a scalar."""
        variable = self.structure.model.variables.get(name)
        if variable is None or variable.dim is None:
            return None
        if variable.support == "simplex":
            return _cut(variable.dim, max(FEW, self.labels))
        return _cut(variable.dim, self.width)


def _shape(table: Any) -> list[int]:
    return [len(table), *_shape(table[0])] if isinstance(table, tuple) and table else []


def _cut(size: Any, most: int) -> int:
    if size is None:
        return 3
    size = sympy.sympify(size)
    return min(int(size), most) if size.is_number else 3


class World:
    """One random point.

    Args:
        domains: what may be drawn.
        seed: of the draw.
        mode: which way real numbers are drawn, 0 to `MODES` - 1.
        arithmetic: the precision of the evaluation.
    """

    def __init__(self, domains: Domains, seed: int, mode: int, arithmetic: Arithmetic) -> None:
        self.domains = domains
        self.seed = seed
        self.mode = mode
        self.arithmetic = arithmetic
        self.fixed: dict[Key, Value] = {}

    def evaluator(self, overrides: Mapping[Key, Value]) -> Evaluator:
        """An evaluator at this point with some values replaced."""
        return Evaluator(
            self.arithmetic,
            lambda atom, e: self._value(atom, e, overrides),
            self._network,
        )

    def key(self, atom: Expr, evaluate: Any) -> Key:
        """What identifies the unknown behind a reference."""
        structure = self.domains.structure
        if not isinstance(atom, Indexed):
            return atom
        name, role = terms.name_of(atom), structure.role(atom)
        parts: list[Hashable] = []
        for axis, sub in enumerate(atom.indices):
            inner = sub.atoms(Indexed)
            by_value = role == "global" or (name, axis) in self.domains.labelled
            if inner and role == "given":
                by_value = True
            parts.append(_whole(evaluate(sub)) if by_value else sub)
        return (name, *parts)

    def draw(self, name: str, stream: random.Random) -> Value:
        """A random value of a variable, a given or a letter."""
        kind, length = self.domains.kind(name), self.domains.length(name)
        if kind == "simplex":
            weights = [stream.uniform(0.1, 1.0) for _ in range(length or 3)]
            whole = sum(weights)
            return [self.arithmetic.number(w) / self.arithmetic.number(whole) for w in weights]
        if length is not None:
            return [self._scalar(name, kind, stream) for _ in range(length)]
        return self._scalar(name, kind, stream)

    def _scalar(self, name: str, kind: str, stream: random.Random) -> Any:
        number = self.arithmetic.number
        if kind in {"categories", "binary"}:
            return number(stream.randrange(self.domains.categories(name)))
        if kind == "label":
            return number(stream.randrange(self.domains.labels))
        if kind == "count":
            low = 6 if name in self.domains.structure.model.givens else 0
            return number(stream.randrange(low, low + 6))
        if kind == "bounded_count":
            return number(stream.randrange(0, 6))
        if kind in {"unit", "interval", "simplex"}:
            wide = kind == "interval" and self.mode % 2 == 1
            return number(stream.uniform(0.1, 0.9) * (3 if wide else 1))
        if kind == "positive":
            return number(stream.uniform(0.2, 2.5))
        if kind == "given" and self.mode != 3:
            return number(stream.uniform(0.2, 2.5))
        if self.mode == 0:
            return number(stream.uniform(0.1, 1.9))
        span = {1: 2.0, 2: 6.0, 3: 1.0}[self.mode]
        return number(stream.uniform(-span, span))

    def stream(self, key: Key) -> random.Random:
        """The random numbers that belong to a key."""
        parts = key if isinstance(key, tuple) else (key,)
        texts = [terms.text_of(p) if isinstance(p, Expr) else str(p) for p in parts]
        return random.Random(f"{self.seed}|{self.mode}|{','.join(texts)}")

    def _value(self, atom: Expr, evaluate: Evaluator, overrides: Mapping[Key, Value]) -> Value:
        name = terms.name_of(atom)
        structure = self.domains.structure
        if name in structure.tables:
            looked_up = self._table(structure.tables[name], atom, evaluate)
            if looked_up is not None:
                return looked_up
        key = self.key(atom, evaluate)
        if key in overrides:
            return overrides[key]
        if key not in self.fixed:
            self.fixed[key] = self._fresh(atom, name, key)
        return self.fixed[key]

    def _fresh(self, atom: Expr, name: str, key: Key) -> Value:
        structure = self.domains.structure
        if isinstance(atom, Symbol) and not structure.role(atom):
            stream = self.stream(key)
            if name.rstrip("'") in self.domains.letters_labelled:
                return self.arithmetic.number(stream.randrange(self.domains.labels))
            return self.arithmetic.number(stream.randrange(30, 90))
        return self.draw(name, self.stream(key))

    def _table(self, table: Any, atom: Expr, evaluate: Evaluator) -> Value | None:
        structure = self.domains.structure
        for sub in terms.subscripts_of(atom):
            if not sub.atoms(Indexed) and any(not structure.role(s) for s in sub.free_symbols):
                return None
            place = _whole(evaluate(sub))
            if not isinstance(table, tuple) or not 0 <= place < len(table):
                raise OutOfDomain
            table = table[place]
        return self._numbers(table)

    def _numbers(self, table: Any) -> Value:
        if isinstance(table, tuple):
            return [self._numbers(row) for row in table]
        return self.arithmetic.number(table)

    def _network(self, name: str, arguments: list[Value]) -> Value:
        stream = random.Random(f"{self.seed}|{name}|{_printed(arguments)}")
        network = self.domains.structure.model.networks.get(name)
        draw = self.arithmetic.number
        if network is None:
            return draw(stream.uniform(0.1, 0.9))
        size = _cut(network.output, self.domains.width)
        if sympy.sympify(network.output) == 1:
            return draw(stream.uniform(0.1, 0.9))
        return [draw(stream.uniform(0.1, 0.9)) for _ in range(size)]


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_whole(v) for v in value)
    return int(value) if value == int(value) else float(value)


def _printed(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(_printed(v) for v in value) + "]"
    return f"{float(value):.15g}"
