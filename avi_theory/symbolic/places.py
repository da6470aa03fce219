"""Where the analysis looks from: generic points of index sets, and what lies in a range there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sympy
from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.differences import gap, letters_in, sign, slope
from avi_theory.symbolic.errors import Partial, Stuck
from avi_theory.symbolic.structure import EDGES, Structure

MIDDLE = 3
"""An index set of a fixed size may have so many points at an end that differ from its middle."""


@dataclass(frozen=True)
class Generic:
    """A letter standing for an unnamed interior point of a range.

    Attributes:
        letter: the symbol.
        low, high: the ends of the range it lies in.
        facts: membership maps whose value at this point is known: ``(g[i], n)``.
    """

    letter: Symbol
    low: Expr
    high: Expr
    facts: tuple[tuple[Expr, Expr], ...] = ()


@dataclass(frozen=True)
class Place:
    """Where we look from.

    Attributes:
        generics: the letters in scope.
        longer: sizes known to exceed others, written as these and a rest.
    """

    generics: Mapping[Symbol, Generic] = field(default_factory=dict)
    longer: Mapping[Symbol, Expr] = field(default_factory=dict)

    def sign(self, difference: Expr) -> int | None:
        """The sign of a difference of positions, with what is known about sizes."""
        return sign(difference.xreplace(self.longer) if self.longer else difference)

    def least(self, difference: Expr) -> int | None:
        """The sign of the least value of a difference while its letters run over their ranges."""
        for _ in self.generics:
            inner = [
                self.generics[s]
                for s in letters_in(difference)
                if s in self.generics
                and not any(
                    s in (g.low.free_symbols | g.high.free_symbols)
                    for x, g in self.generics.items()
                    if x in difference.free_symbols
                )
            ]
            if not inner:
                break
            step = slope(difference, inner[0].letter)
            if not step.is_number:
                return None
            end = inner[0].low if step > 0 else inner[0].high
            difference = gap(difference.xreplace({inner[0].letter: end}), sympy.S.Zero)
        return self.sign(difference)

    @property
    def facts(self) -> dict[Expr, Expr]:
        """What is known about maps."""
        return {k: v for g in self.generics.values() for k, v in g.facts}

    def with_generics(self, more: Iterable[Generic]) -> Place:
        """The same place with further letters."""
        return Place({**self.generics, **{g.letter: g for g in more}}, self.longer)


def generic_site(structure: Structure, name: str) -> tuple[Expr, Place]:
    """A variable at a generic interior point, named by its own letters."""
    axes = structure.axes(name)
    letters = [terms.index_symbol(a.letter) for a in axes]
    place = Place(
        {
            x: Generic(x, *structure.region(a.low, a.high))
            for x, a in zip(letters, axes, strict=True)
        },
        structure.longer,
    )
    return terms.ref(name, *letters), place


def inside(value: Expr, low: Expr, high: Expr, place: Place) -> bool:
    """Whether a position lies in a range; a generic letter is taken far from both ends.

    Raises:
        Stuck: the range covers an unknown part of the index set, or the position is shifted by an
            unknown amount.
    """
    if any(g.is_number and g < 0 for g in (gap(value, low), gap(high, value))):
        return False
    moving = [s for s in letters_in(value) if s in place.generics]
    if not moving:
        if value.atoms(Indexed):
            return True
        below, above = place.sign(gap(value, low)), place.sign(gap(high, value))
        if below is None or above is None:
            raise Stuck(f"{low}:{high}", f"whether {value} lies in this range is open")
        return below >= 0 and above >= 0
    if value.atoms(Indexed):
        return True
    if all(place.least(g) in (0, 1) for g in (gap(value, low), gap(high, value))):
        return True
    hull = place.generics[moving[0]]
    if any(place.sign(g) in (0, 1) for g in (gap(hull.low, high), gap(low, hull.high))):
        return False
    missing = [gap(low, hull.low), gap(hull.high, high)]
    length = gap(hull.high, hull.low)
    if length.is_number and all(m.is_number for m in missing):
        before, after = (int(m) for m in missing)
        return _around_the_middle(int(length) + 1, before, after, hull, (low, high))
    if not all(_reaches(m, place) for m in missing):
        raise Partial((hull.low, hull.high), (low, high))
    whole = all(place.sign(m) in (-1, 0) for m in missing)
    if not whole and not gap(value, moving[0]).is_number:
        raise Stuck(value, "a position shifted by an unknown amount")
    return True


def _around_the_middle(
    length: int, before: int, after: int, hull: Generic, part: tuple[Expr, Expr]
) -> bool:
    """Whether a range holds the middle of a short index set, up to a few points at its ends."""
    middle = length // 2
    holds = before <= middle < length - after
    few = max(before, after) if holds else length - before - after
    if few > MIDDLE:
        raise Partial((hull.low, hull.high), part)
    return holds


def few(missing: Expr) -> bool:
    """Whether so few points are missing at an end that they count as its edge."""
    return bool(missing.is_number and missing <= EDGES)


def _reaches(missing: Expr, place: Place) -> bool:
    """Whether a range that lacks this many points at one end still holds interior points."""
    return few(missing) if missing.is_number else place.sign(missing) == -1
