r"""Discrete chains and small discrete graphs: the best table of the inputs, by enumeration.

.. math:: \mathrm{gap} = \sum_d p(x_d) \big[\max_q \mathrm{ELBO}_d(q)
    - \mathrm{ELBO}_d(q^{\mathrm{table}})\big], \qquad
    q_c = \operatorname{softmax}\, E[s_{di} \mid (d, i) \in c]

The best of all functions of the inputs is a table with one factor for each of their values, so
coordinate ascent knows it without a network (docs/theory.md, discrete models).
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from avi_theory.results.prediction import Kind
from avi_theory.spec.inputs import Input
from avi_theory.theory.design import clean
from avi_theory.theory.discrete import Optimum, Pool, classes, table_optimum
from avi_theory.theory.discrete.ascent import STARTS
from avi_theory.theory.question import Answer, Question

REFERENCE = "coordinate ascent on tables over all data sets (docs/theory.md, discrete models)"
_OFFSET = re.compile(r"[+-]\d+(?=[\],])")


class DiscreteTables:
    """Exact where the coordinate map is a contraction, else an upper bound from many starts."""

    def accepts(self, question: Question) -> str:
        """Discrete latents that interact in pairs, and all functions (or a constant one)."""
        if question.function.degree not in {None, 0}:
            return f"the class {question.function.text} is no table"
        return question.discrete if isinstance(question.discrete, str) else ""

    def apply(self, question: Question) -> Answer:
        """Coordinate ascent, free and tabled, on every data set."""
        found = question.discrete
        assert isinstance(found, Optimum)
        reached = best_table(question, found, question.resolved)
        gap = float(found.weights @ (found.elbo - found.field.elbo(reached)))
        kind: Kind = "exact" if found.certified else "upper"
        return Answer(
            clean(max(gap, 0.0), question.bound.latents),
            kind,
            (*_setting(question, found), certificate(found)),
            REFERENCE,
        )


def best_table(
    question: Question, found: Optimum, resolved: dict[str, tuple[Input, ...]]
) -> np.ndarray:
    """The factors of the best table of these inputs, ``[D, n, K]``.

    Where the optimum is not certified, the table of a narrower window is one of the starts, so
    that a wider window is never reported as worse.
    """
    pool = pool_of(question, found, resolved)
    narrower = _narrower(resolved)
    if found.certified or narrower is None:
        return table_optimum(found.field, pool, found.free)
    warm = best_table(question, found, narrower)
    return table_optimum(found.field, pool, found.free, (warm,))


def pool_of(question: Question, found: Optimum, resolved: dict[str, tuple[Input, ...]]) -> Pool:
    """The places that show a function the same inputs.

    Inputs that no fitted data set shows take the factor of the inputs nearby alone, or in the end
    of no inputs.
    """
    members = classes(question.bound, found.field, resolved, question.per_position)
    pool = Pool(members, found.weights)
    if np.all(pool.mass > 0):
        return pool
    fewer = _narrower(resolved) or dict.fromkeys(resolved, ())
    return replace(pool, coarser=pool_of(question, found, fewer))


def _narrower(resolved: dict[str, tuple[Input, ...]]) -> dict[str, tuple[Input, ...]] | None:
    """The inputs without those farthest away; None if none is away."""
    reach = {i.text: _reach(i.text) for found in resolved.values() for i in found}
    farthest = max(reach.values(), default=0)
    if farthest == 0:
        return None
    return {k: tuple(i for i in v if reach[i.text] < farthest) for k, v in resolved.items()}


def _reach(text: str) -> int:
    """How many positions away an input lies.

    Example:
        >>> _reach("x[t-2]"), _reach("x[t]")
        (2, 0)
    """
    return max((abs(int(m[0])) for m in _OFFSET.finditer(text)), default=0)


def certificate(found: Optimum) -> str:
    """Why the optima are the only ones, or what is known of them."""
    constant = found.field.contraction
    if constant < 1:
        return (
            f"Each optimum is unique: the coordinate map is a contraction (constant "
            f"{constant:.4g} < 1)."
        )
    return (
        f"Several optima are possible (the coordinate map's constant is {constant:.4g} ≥ 1): "
        f"F-VI's is the best of {1 + STARTS} starts for each data set.  If that is the global one, "
        "the value is an upper bound, since a better table may exist."
    )


def _setting(question: Question, found: Optimum) -> tuple[str, ...]:
    each = (
        "Each position has its own table of the values of its inputs."
        if question.per_position
        else "Positions with equal inputs share one factor; one with missing inputs has its own."
    )
    if question.regime == "dataset":
        return (each,)
    count = len(found.weights)
    return (f"Exact expectation over all {count:,} data sets, with their probabilities.", each)
