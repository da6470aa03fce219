"""No map and no category decides which global a unit uses."""

from __future__ import annotations

from avi_theory.conditions.context import HIERARCHICAL, Context
from avi_theory.results.report import Condition
from avi_theory.spec import terms

NAME = "same globals for every unit"


def no_selectors(context: Context) -> Condition:
    r"""No given selects a global or a table entry, as k does in \(b_{k_u}\)."""
    found: dict[str, str] = {}
    for term in context.terms:
        for given, selects in context.givens(term):
            if selects and context.varies(given):
                found.setdefault(terms.name_of(given), term.text)
    if not found:
        return Condition(NAME, "holds", "nothing selects a global", HIERARCHICAL)
    listed = "; ".join(f"{name} selects in '{text}'" for name, text in found.items())
    return Condition(NAME, "fails", listed, HIERARCHICAL)
