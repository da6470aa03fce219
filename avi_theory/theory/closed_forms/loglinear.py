r"""Discrete models and factors whose logits are polynomials of the inputs.

.. math:: q_n = \operatorname{softmax}(\phi(w_n)^\top B)

Where the polynomials separate all values of the inputs this is the best table; else the best
coefficients found numerically, which bounds the gap from above.
"""

from __future__ import annotations

import numpy as np

from avi_theory.errors import InputError
from avi_theory.results.prediction import Kind
from avi_theory.spec.inputs import Input
from avi_theory.theory.closed_forms.discrete import best_table, certificate
from avi_theory.theory.design import clean
from avi_theory.theory.discrete import (
    Basis,
    NotDiscrete,
    Optimum,
    Pool,
    classes,
    inputs_by_class,
    loglinear_optimum,
    polynomial_basis,
)
from avi_theory.theory.question import Answer, Question

REFERENCE = "maximisation over log-linear factors (docs/theory.md, discrete models)"


class DiscretePolynomials:
    """Exact where the class is that of all tables (and optima are unique), else an upper bound."""

    def accepts(self, question: Question) -> str:
        """Discrete latents that interact in pairs, and polynomial logits."""
        if question.function.degree in {None, 0}:
            return f"the class {question.function.text} is a table"
        return question.discrete if isinstance(question.discrete, str) else ""

    def apply(self, question: Question) -> Answer:
        """Compare with the best table, then climb from it."""
        found, degree = question.discrete, question.function.degree
        assert isinstance(found, Optimum) and degree is not None
        bound, resolved = question.bound, question.resolved
        members = classes(bound, found.field, resolved, question.per_position)
        pool = Pool(members, found.weights)
        try:
            basis = polynomials(question, found, resolved, members, degree)
        except (NotDiscrete, InputError) as e:
            return Answer(None, "none", (str(e), "Measure the gap instead."), REFERENCE)
        reached = best_table(question, found, resolved)
        if not basis.saturated:
            climbed = loglinear_optimum(found.field, pool, basis, reached)
            if climbed is None:
                words = "The maximisation over the coefficients stopped early."
                return Answer(None, "none", (words, "Measure the gap instead."), REFERENCE)
            reached = climbed
        gap = float(found.weights @ (found.elbo - found.field.elbo(reached)))
        kind: Kind = "exact" if basis.saturated and found.certified else "upper"
        how = (
            "The polynomials separate all values of the inputs, so the class is that of all tables."
            if basis.saturated
            else "Upper bound: the best coefficients found; others may do better."
        )
        return Answer(
            clean(max(gap, 0.0), bound.latents),
            kind,
            (
                "The logits are polynomials of the inputs; a position with missing inputs has its "
                "own.",
                how,
                certificate(found),
            ),
            REFERENCE,
        )


def polynomials(
    question: Question,
    found: Optimum,
    resolved: dict[str, tuple[Input, ...]],
    members: np.ndarray,
    degree: int,
) -> Basis:
    """The polynomials of the inputs of each class.

    Raises:
        NotDiscrete: a set of varying size is among the inputs.
        InputError: too many monomials.
    """
    values, function = inputs_by_class(question.bound, found.field, resolved, members)
    if question.per_position:
        function = _by_position(members)
    return polynomial_basis(values, function, degree)


def _by_position(members: np.ndarray) -> np.ndarray:
    """The position of each class, where every position has its own function."""
    function = np.zeros(int(members.max()) + 1, np.int64)
    function[members] = np.broadcast_to(np.arange(members.shape[1]), members.shape)
    return function
