"""All locals live on one plate."""

from __future__ import annotations

from avi_theory.conditions.context import HIERARCHICAL, Context
from avi_theory.results.report import Condition

NAME = "single plate"


def single_plate(context: Context) -> Condition:
    r"""One unit u holds every local: \(p(\theta) \prod_u\) is one product."""
    verdicts = list(context.analysis.locals.values())
    if any(v.closes == "unknown" for v in verdicts):
        return Condition(NAME, "unknown", "the analysis got stuck", HIERARCHICAL)
    if any(v.closes == "no" for v in verdicts):
        plates = {tuple(context.analysis.model.variables[v.name].letters) for v in verdicts}
    else:
        plates = {v.unit for v in verdicts}
    if len(plates) > 1:
        listed = "; ".join(
            f"{v.name} on [{','.join(context.analysis.model.variables[v.name].letters)}]"
            for v in verdicts
        )
        return Condition(NAME, "fails", listed, HIERARCHICAL)
    if plates == {()}:
        return Condition(NAME, "fails", "no index splits the locals into units", HIERARCHICAL)
    return Condition(NAME, "holds", "every local belongs to the same unit", HIERARCHICAL)
