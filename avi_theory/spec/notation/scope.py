"""What a text declares, while it is being read: one table per kind of name, and who uses what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sympy
from sympy import Expr, Symbol

from avi_theory.errors import nearest
from avi_theory.spec.distributions import DISTRIBUTIONS
from avi_theory.spec.model import Axis, Given, IndexSet, Network, Range, Variable
from avi_theory.spec.notation.tokens import KEYWORDS, TAIL_WORDS, Problems, Token
from avi_theory.spec.terms import index_symbol, scalar_symbol

FUNCTIONS = (
    "exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus", "abs", "min", "max", "sum",
)  # fmt: skip
"""The functions of the notation."""

RESERVED = {*FUNCTIONS, *DISTRIBUTIONS, *KEYWORDS, *TAIL_WORDS}
"""Words that cannot be names."""


@dataclass(frozen=True)
class Reference:
    """A variable or given at index points, as it stands in an expression."""

    name: str
    subscripts: tuple[Expr, ...]
    ranges: Mapping[Symbol, Range]
    place: Token


@dataclass
class Scope:
    """The declared names by kind, and what was learnt about them on the way.

    Attributes:
        places: where each name was declared.
        broken: names whose statement failed; using one is never a further problem.
        discrete: supports of variables as far as their distribution tells.
        integers: scalar givens that stand in a range or subscript.
        pointing: givens used as subscripts, and the index set they were seen to point into.
        fresh: bound letters made up for sums.
        proper_reals: variables that certainly take every real value.
    """

    problems: Problems
    places: dict[str, Token] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    indices: dict[str, IndexSet] = field(default_factory=dict)
    sizes: dict[str, None] = field(default_factory=dict)
    givens: dict[str, Given] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    discrete: dict[str, str] = field(default_factory=dict)
    integers: set[str] = field(default_factory=set)
    pointing: dict[str, str] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    proper_reals: set[str] = field(default_factory=set)

    def declare(self, name: Token, kind: str) -> bool:
        """Take a name, or report that it is reserved or taken.

        A name whose first statement failed is taken silently: that failure is already known.
        """
        text = name.text
        if text in RESERVED:
            self.problems.add(name, f"{text!r} is a word of the notation.", "Choose another name.")
            return False
        if self.kinds.get(text, kind) != kind or (
            text in self.kinds and kind not in ("given", "global", "local", "observed")
        ):
            before = self.places[text]
            self.problems.add(
                name,
                f"{text!r} is already declared in line {before.line} ({self.kinds[text]}).",
                "Choose another name.",
            )
            return False
        self.places.setdefault(text, name)
        self.kinds[text] = kind
        return True

    def known(self) -> list[str]:
        """Every name that an expression may use (the first few hundred)."""
        return [*self.kinds, *self.sizes][:300]

    def undeclared(self, place: Token, name: str, more: Iterable[str] = (), what: str = "") -> None:
        """Report an undeclared name with the nearest ones."""
        hint = nearest(name, [*self.known(), *more])
        self.problems.add(
            place,
            f"{name!r} is not declared{what}.",
            hint or f"Declare it, for example 'given {name}' or 'global {name} ~ Normal(0, 1)'.",
        )

    def fresh_letter(self, axis_letter: str) -> Symbol:
        """A bound letter found nowhere else in the text."""
        base = axis_letter or "k"
        number = 1
        taken = {*self.kinds, *self.sizes, *self.fresh}
        while f"{base}_{number}" in taken:
            number += 1
        self.fresh.add(f"{base}_{number}")
        return index_symbol(f"{base}_{number}")

    def numbers(self) -> dict[Expr, float]:
        """Scalar givens that the text gives a number."""
        known: dict[Expr, float] = {}
        for name, given in self.givens.items():
            if isinstance(given.value, Expr) and not given.axes and given.value.is_Rational:
                value = float(given.value)
                known[scalar_symbol(name)] = known[index_symbol(name)] = value
        return known

    def axes(self, name: str) -> tuple[Axis, ...]:
        """The axes of a variable or given; an array literal's are zero-based and letterless."""
        if name in self.variables:
            return self.variables[name].axes
        given = self.givens[name]
        if given.shape and not given.axes:
            zero = sympy.Integer(0)
            return tuple(Axis("", zero, sympy.Integer(s - 1)) for s in given.shape)
        return given.axes

    def dim(self, name: str) -> Expr | None:
        """The number of coordinates of a vector variable."""
        return self.variables[name].dim if name in self.variables else None
