"""Writing a random text: terms with offsets, ranges that fit them, factors that cancel."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fractions import Fraction

SCALES = (Fraction(1), Fraction(1), Fraction(2), Fraction(1, 2), Fraction(3, 2))
COEFFICIENTS = (
    Fraction(1),
    Fraction(1),
    Fraction(-1),
    Fraction(2),
    Fraction(1, 2),
    Fraction(-3, 2),
)


@dataclass(frozen=True)
class Site:
    """A reference with an offset along the moving letter: ``z[s,t-1]``.

    `shape` holds ``{}`` where the subscript with the offset goes.
    """

    shape: str
    letter: str = ""
    offset: int = 0

    def __str__(self) -> str:
        sign = f"{self.offset:+d}" if self.offset else ""
        return self.shape.replace("{}", f"{self.letter}{sign}")


Term = tuple[Fraction, Site]


def written(terms: list[Term]) -> str:
    """A linear form."""
    parts = [str(s) if c == 1 else f"({c})*{s}" for c, s in terms]
    return " + ".join(parts) or "0"


@dataclass
class Draft:
    """A text in the making.

    Args:
        rng: every choice comes from here.
        sizes: letter to the last index: ``{"n": "N"}``.
    """

    rng: random.Random
    sizes: dict[str, str]
    head: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    last: tuple[list[Term], Fraction, str] | None = None

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def coefficient(self) -> Fraction:
        return self.rng.choice(COEFFICIENTS)

    def scale(self) -> Fraction:
        return self.rng.choice(SCALES)

    def need(self, line: str) -> None:
        """A declaration, once."""
        if line not in self.used:
            self.used.add(line)
            self.head.append(line)

    def span(self, sites: list[Site], letter: str) -> tuple[int, int]:
        """How many points at the low and the high end a statement must leave out."""
        offsets = [s.offset for s in sites if s.letter == letter]
        return max([0, *(-o for o in offsets)]), max([0, *offsets])

    def ranged(self, sites: list[Site], letter: str, fixed: bool = False) -> str:
        """The ``for`` of a statement that holds these sites; empty if all points do."""
        low, high = self.span(sites, letter)
        if not (low or high or fixed):
            return ""
        end = self.sizes[letter]
        stop = end if not high else str(int(end) - high) if end.isdigit() else f"{end}-{high}"
        return f" for {letter} in {1 + low}:{stop}"

    def text(self) -> str:
        """The whole text."""
        return "\n".join(self.head + self.lines)

    def potential(self, coefficient: Fraction, first: Site, second: Site, outer: str = "") -> None:
        """A bilinear term at every point where both sites exist."""
        letter = first.letter or second.letter
        where = self.ranged([first, second], letter, fixed=True)
        self.lines.append(f"potential ({coefficient})*{first}*{second}{outer or where}")
