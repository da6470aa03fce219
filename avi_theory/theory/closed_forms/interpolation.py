r"""All functions on one data set without ties: any optimum is a function of its inputs.

.. math:: w_n \neq w_m \text{ for all } n \neq m \implies f(w_n) := \nu^*_n \text{ is a function}
"""

from __future__ import annotations

import numpy as np

from avi_theory.theory.features import columns, tie_groups
from avi_theory.theory.question import Answer, Question


class Interpolation:
    """Exactly 0 on a data set where no two positions share all inputs, or each has its own f."""

    def accepts(self, question: Question) -> str:
        """The dataset regime without ties, or one function per position."""
        if question.regime != "dataset":
            return "only one fixed data set can be interpolated"
        if question.per_position:
            return ""
        if question.function.degree is not None:
            return f"the class {question.function.text} is limited"
        for v in question.bound.model.locals:
            groups = tie_groups(columns(question.bound, v, question.resolved[v.name]))
            tied = len(groups) - len(np.unique(groups))
            if tied:
                return f"{tied} positions of {v.name} have the same inputs as another one"
        return ""

    def apply(self, question: Question) -> Answer:
        """Zero, and what it does not mean."""
        if question.per_position:
            why = "On one data set a function for each position is as free as F-VI."
        else:
            why = "No two positions of this data set share all inputs, so some f attains every ν*ₙ."
        return Answer(
            0.0,
            "exact",
            (why, "This says nothing about other data: ask for the population regime."),
            "interpolation (docs/theory.md, the dataset regime)",
        )


class EverythingSeen:
    """Exactly 0 where each function sees all observations: F-VI's optimum is a function of them."""

    def accepts(self, question: Question) -> str:
        """All functions, shown every observed array whole."""
        if question.function.degree is not None:
            return f"the class {question.function.text} is limited"
        for v in question.bound.model.locals:
            resolved = question.resolved[v.name]
            known = {a for i in resolved for a in i.reading}
            known |= {i.name for i in resolved if i.role == "position"}
            if not known >= set(v.letters):
                return f"{v.name} does not know its position"
            whole = {i.name for i in resolved if i.fixed and not i.averaged}
            for o in question.bound.model.observed:
                if o.name not in whole:
                    return f"{v.name} does not see all of {o.name}"
        return ""

    def apply(self, question: Question) -> Answer:
        """Zero; the position is understood to be known."""
        return Answer(
            0.0,
            "exact",
            (
                "Each function sees every observation and knows its own position, so f(x) = ν*ₙ(x) "
                "is allowed; its inputs grow with the data.",
            ),
            "definition of F-VI's optimum",
            limit=0.0,
        )
