"""No covariate distinguishes one unit from another."""

from __future__ import annotations

from avi_theory.conditions.context import HIERARCHICAL, Context
from avi_theory.results.report import Condition
from avi_theory.spec import terms

NAME = "no covariates"


def no_covariates(context: Context) -> Condition:
    r"""No given that varies with the unit enters a density.

    .. math:: p(x_u \mid z_u, \theta) \quad \text{and not} \quad p(x_u \mid z_u, \theta; c_u)
    """
    found: dict[str, str] = {}
    for term in context.terms:
        for given, selects in context.givens(term):
            if not selects and context.varies(given):
                found.setdefault(terms.name_of(given), term.text)
    if not found:
        return Condition(NAME, "holds", "no given varies with the unit", HIERARCHICAL)
    listed = "; ".join(f"{name} enters '{text}'" for name, text in found.items())
    return Condition(NAME, "fails", listed, HIERARCHICAL)
