"""Every unit has the same conditional densities."""

from __future__ import annotations

from collections.abc import Iterator

from avi_theory.conditions.context import HIERARCHICAL, Context
from avi_theory.results.report import Condition

NAME = "identical forms"


def identical_forms(context: Context) -> Condition:
    r"""\(p(z_u \mid \theta)\, p(x_u \mid z_u, \theta)\) has one form for all u: no special edge."""
    found = [
        f"{verdict.name} at {edge}"
        for verdict in context.analysis.locals.values()
        for edge in verdict.edges
        if edge.split("=")[0] in context.unit
    ]
    found += [
        f"{verdict.name} differs between {' and '.join(verdict.parts)}"
        for verdict in context.analysis.locals.values()
        if verdict.parts
    ]
    found += list(_shorter(context))
    if any(v.closes == "unknown" for v in context.analysis.locals.values()):
        return Condition(NAME, "unknown", "the analysis got stuck", HIERARCHICAL)
    if found:
        return Condition(NAME, "fails", f"another form: {', '.join(found)}", HIERARCHICAL)
    return Condition(NAME, "holds", "no position has another form", HIERARCHICAL)


def _shorter(context: Context) -> Iterator[str]:
    """Observed variables that some units, or all of them, lack."""
    model = context.analysis.model
    whole = {
        (a.letter, a.low, a.high) for v in model.locals for a in v.axes if a.letter in context.unit
    }
    letters = {letter for letter, _, _ in whole}
    for variable in model.observed:
        if context.analysis.unit and not context.varying & set(variable.letters):
            yield f"{variable.name} belongs to no unit"
        for axis in variable.axes:
            if axis.letter in letters and (axis.letter, axis.low, axis.high) not in whole:
                yield f"{variable.name} covers {axis.low}:{axis.high} alone"
