"""Index equations: a term's letters chosen so that its references meet given targets."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec.terms import put
from avi_theory.symbolic.differences import gap, letters_in, slope
from avi_theory.symbolic.errors import Stuck
from avi_theory.symbolic.places import Place
from avi_theory.symbolic.structure import base_letter


class Matching:
    """One attempt to make occurrences equal to targets by choosing a term's letters."""

    def __init__(self, place: Place, letters: Iterable[Symbol]) -> None:
        self.place = place
        self.open = set(letters)
        self.bound: dict[Symbol, Expr] = {}
        self.wanted: list[tuple[Expr, Expr]] = []
        self.limits: dict[Symbol, tuple[Expr | None, Expr | None]] = {}
        self.facts = place.facts

    def branch(self) -> Matching:
        """The same state, to go on from in another way."""
        new = copy(self)
        new.open, new.bound = set(self.open), dict(self.bound)
        new.wanted, new.limits = list(self.wanted), dict(self.limits)
        return new

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
        """Give a letter its value, also in the values of others."""
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
