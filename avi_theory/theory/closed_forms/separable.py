r"""No two locals interact and the inputs suffice: the gap is exactly zero.

.. math:: \mathrm{ELBO} = A(q_0) + \sum_n L(\nu_n;\, q_0,\, w_n)
    \implies f(w) \in \arg\max_\nu L(\nu; q_0, w) \text{ attains F-VI's value}

For any factor family and any data set; Margossian & Blei (2024), theorem 3.4, and for inputs beyond
the unit's own observations the same argument.  Where latents interact only inside one unit, the
unit's latents take the place of zₙ.
"""

from __future__ import annotations

from avi_theory.theory.question import Answer, Question


def _letter(edge: str) -> str:
    """The letter of an edge such as ``t=1``."""
    return edge.partition("=")[0].strip()


class Separable:
    """Exactly 0 for all functions of sufficient inputs, on a data set and in the population."""

    def accepts(self, question: Question) -> str:
        """All functions, of inputs that the verdict calls sufficient."""
        verdict = question.verdict
        if question.regime == "reuse":
            return "one function for all data sets does not see q(θ)"
        if question.function.degree is not None:
            return f"the class {question.function.text} is limited"
        if verdict is None:
            return "no structural verdict was given"
        for name, closes in verdict.closes.items():
            if closes == "no":
                return f"the locals of {name} interact without bound"
            if closes not in {"own", "inputs", "component"}:
                return f"the structure of {name} is undecided"
            given = set(question.inputs[name])
            absent = [i for i in verdict.inputs[name] if i not in given]
            if absent:
                return f"{name} needs the input {absent[0]} too"
            known = {a for i in question.resolved[name] for a in i.reading} | given
            unknown = [e for e in verdict.edges.get(name, ()) if _letter(e) not in known]
            if unknown and not question.per_position:
                return (
                    f"{name} has another form at {', '.join(unknown)}, which one shared function "
                    "of these inputs does not know"
                )
        return ""

    def apply(self, question: Question) -> Answer:
        """Zero, with the argument."""
        inside = question.verdict is not None and "component" in question.verdict.closes.values()
        where = "inside one unit only" if inside else "not at all"
        return Answer(
            0.0,
            "exact",
            (
                f"The locals interact {where}, so the ELBO splits given q(θ) and the best factor "
                "is a function of these inputs.",
                "Holds for any factor family, at any size, wherever an optimum exists.",
            ),
            "Margossian & Blei (2024), theorem 3.4",
            limit=0.0,
        )
