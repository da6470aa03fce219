"""What every condition looks at: the analysis, the unit, and which letters vary with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sympy import Expr, Indexed, Symbol

from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis
from avi_theory.symbolic.structure import Term, base_letter

HIERARCHICAL = "MB (Margossian & Blei 2024, arXiv 2307.11018), Def. 3.3"
THEOREM = "MB (Margossian & Blei 2024, arXiv 2307.11018), Thm 3.4"


@dataclass(frozen=True)
class Context:
    """The analysis seen from one unit.

    Attributes:
        analysis: verdicts of all locals.
    """

    analysis: Analysis

    @cached_property
    def unit(self) -> frozenset[str]:
        """Letters of the unit; of all locals where the model does not split."""
        unit = self.analysis.unit
        if unit:
            return frozenset(unit)
        return frozenset(x for v in self.analysis.model.locals for x in v.letters)

    @cached_property
    def varying(self) -> frozenset[str]:
        """The unit's letters, and the letters that maps, and maps of maps, tie to them."""
        letters = set(self.unit)
        maps = [g for g in self.analysis.model.givens.values() if g.member_of is not None]
        for _ in maps:
            for given in maps:
                if given.member_of in letters:
                    letters |= {a.letter for a in given.axes}
        return frozenset(letters)

    @property
    def terms(self) -> tuple[Term, ...]:
        """The factors."""
        return self.analysis.structure.terms

    def givens(self, term: Term) -> Iterator[tuple[Expr, bool]]:
        """The givens of a term and whether each selects a global or a table.

        A membership map that only says which local or observation is meant is no covariate.
        """
        seen: set[tuple[Expr, bool]] = set()
        for found in self._walk(term.expr, ""):
            if found not in seen:
                seen.add(found)
                yield found

    def _walk(self, expr: Expr, owner: str) -> Iterator[tuple[Expr, bool]]:
        role = self.analysis.structure.role
        if isinstance(expr, Indexed):
            if role(expr) == "given" and owner not in {"local", "observed"}:
                yield expr, bool(owner)
            for sub in expr.indices:
                yield from self._walk(sub, role(expr))
            return
        for argument in expr.args:
            yield from self._walk(argument, owner)

    def varies(self, given: Expr) -> bool:
        """Whether a given has another value at another unit."""
        axes = self.analysis.structure.axes(terms.name_of(given))
        bare = {
            base_letter(s)
            for sub in terms.subscripts_of(given) if not sub.atoms(Indexed)
            for s in sub.free_symbols if isinstance(s, Symbol)
        }  # fmt: skip
        named = {
            a.letter
            for a, sub in zip(axes, terms.subscripts_of(given), strict=False)
            if sub.free_symbols and not sub.atoms(Indexed)
        }
        return bool((bare | named) & self.varying)

    def letters(self, term: Term) -> set[Symbol]:
        """The bound letters of a term that run over the unit."""
        found = {r.letter for r in term.ranges if base_letter(r.letter) in self.varying}
        own = {r.letter for r in term.ranges}
        for atom in term.references:
            for axis, sub in zip(
                self.analysis.structure.axes(terms.name_of(atom)), atom.indices, strict=False
            ):
                if axis.letter in self.unit and not sub.atoms(Indexed):
                    found |= {s for s in sub.free_symbols if s in own}
        return found
