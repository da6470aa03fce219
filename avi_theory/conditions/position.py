"""No density depends on which unit it is: the position itself is no input."""

from __future__ import annotations

from avi_theory.conditions.context import Context
from avi_theory.results.report import Condition

NAME = "no position dependence"
REFERENCE = "MB (arXiv 2307.11018), Remark 3.9: f(n, x), not f(x)"


def no_position(context: Context) -> Condition:
    r"""The unit's index enters no density by value and names no global: no \(\mu_u\)."""
    found: dict[str, None] = {}
    for term in context.terms:
        for letter in context.letters(term):
            if context.analysis.tester.mentions(term.expr, letter):
                found.setdefault(term.text)
    for verdict in context.analysis.locals.values():
        for text in verdict.inputs:
            if text in context.unit:
                found.setdefault(f"{verdict.name} needs the position {text}")
    if not found:
        return Condition(NAME, "holds", "the index only names units", REFERENCE)
    return Condition(NAME, "fails", "; ".join(found), REFERENCE)
