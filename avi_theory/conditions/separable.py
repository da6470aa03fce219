"""Locals of different units do not interact."""

from __future__ import annotations

from avi_theory.conditions.context import Context
from avi_theory.results.report import Condition
from avi_theory.symbolic.analysis import LocalVerdict

NAME = "separable locals"
REFERENCE = "docs/theory.md (when the gap can be zero); necessity: MB Thm 3.4"


def separable(context: Context) -> Condition:
    r"""Given θ the density splits over units: \(\log p = A(\theta) + \sum_u L(z_u; \theta, w_u)\).

    Then the ELBO is \(A(\nu_0) + \sum_u L(\nu_u; \nu_0, w_u)\), and f(w) ∈ argmax L attains F-VI's
    value for any factor family.
    """
    verdicts = context.analysis.locals.values()
    stuck = [v for v in verdicts if v.closes == "unknown"]
    if stuck:
        return Condition(NAME, "unknown", stuck[0].stuck, REFERENCE)
    tied = [v for v in verdicts if v.component is not None and v.component.grows]
    if tied:
        return Condition(NAME, "fails", _tie(tied[0]), REFERENCE)
    shifted = [v for v in verdicts if v.component is not None and v.component.shifted]
    if shifted:
        return Condition(NAME, "fails", _tie(shifted[0]), REFERENCE)
    several = [v for v in verdicts if v.component is not None and v.component.several]
    if several and not context.analysis.unit:
        return Condition(NAME, "fails", _tie(several[0]), REFERENCE)
    unit = ", ".join(context.analysis.unit)
    because = "no two locals interact"
    if any(v.links for v in verdicts):
        because = f"locals interact only inside one unit ({unit})"
    return Condition(NAME, "holds", because, REFERENCE)


def _tie(verdict: LocalVerdict) -> str:
    others = ", ".join(verdict.interacts_with) or "others"
    return f"{verdict.name} interacts with {others}"
