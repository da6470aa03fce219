r"""Discrete models with too many data sets to enumerate: tables fitted and judged on drawn ones.

.. math:: \widehat{\mathrm{gap}} = \frac1M \sum_{d=1}^{M} \big[\max_q \mathrm{ELBO}_d(q)
    - \mathrm{ELBO}_d(q^{\hat f})\big], \qquad x_d \sim p(x)

The table (or the logits) f̂ is fitted to M other data sets, so over the fresh ones the mean is an
unbiased estimate of the gap of f̂, and no function of its class has a larger ELBO than the best:
an upper bound, up to the standard error.  Time is linear in the length of a chain.
"""

from __future__ import annotations

import numpy as np

from avi_theory.errors import InputError
from avi_theory.theory.closed_forms.discrete import best_table, certificate, pool_of
from avi_theory.theory.closed_forms.loglinear import polynomials
from avi_theory.theory.design import clean
from avi_theory.theory.discrete import Drawn, NotDiscrete, Optimum, loglinear_optimum
from avi_theory.theory.question import Answer, Question

REFERENCE = "coordinate ascent on tables, drawn data sets (docs/theory.md, discrete models)"


class DrawnTables:
    """An upper bound with its standard error, from a table fitted to other data sets."""

    def accepts(self, question: Question) -> str:
        """An averaging regime of discrete latents that interact in pairs."""
        if question.regime == "dataset":
            return "it is asked about one data set"
        return question.drawn if isinstance(question.drawn, str) else ""

    def apply(self, question: Question) -> Answer:
        """Fit to half of the drawn data sets, evaluate on the other half."""
        drawn = question.drawn
        assert isinstance(drawn, Drawn)
        found = drawn.optimum
        try:
            reached = _factors(question, found)
        except (NotDiscrete, InputError) as e:
            return Answer(None, "none", (str(e), "Measure the gap instead."), REFERENCE)
        if reached is None:
            words = "The maximisation over the coefficients stopped early."
            return Answer(None, "none", (words, "Measure the gap instead."), REFERENCE)
        missed = found.elbo - found.field.elbo(reached)
        gap, error = drawn.over_fresh(missed)
        total = clean(max(gap, 0.0), question.bound.latents)
        setting = _setting(question, drawn, float(found.weights @ missed))
        return Answer(
            total, "upper", (*setting, certificate(found)), REFERENCE, standard_error=error
        )


def _factors(question: Question, found: Optimum) -> np.ndarray | None:
    """Those of the best table; of polynomial logits where the question is about them."""
    reached = best_table(question, found, question.resolved)
    degree = question.function.degree
    if degree in {None, 0}:
        return reached
    assert degree is not None
    pool = pool_of(question, found, question.resolved)
    basis = polynomials(question, found, question.resolved, pool.classes, degree)
    return reached if basis.saturated else loglinear_optimum(found.field, pool, basis, reached)


def _setting(question: Question, drawn: Drawn, fitted: float) -> tuple[str, ...]:
    count, found = len(drawn.fresh), drawn.optimum
    what = "table" if question.function.degree in {None, 0} else "function"
    words = [
        f"Estimated on {count:,} data sets drawn from the model with seed {drawn.seed}; the {what} "
        f"was fitted to {count:,} others, so the estimate is unbiased for an upper bound.  "
        f"On those it was fitted to, it loses {fitted:.6g} nats."
    ]
    words.append(
        f"Each position has its own {what}."
        if question.per_position
        else f"One {what} for all positions whose inputs are complete."
    )
    if found.evidence is not None and found.certified:
        gap, error = drawn.over_fresh(found.evidence - found.elbo)
        words.append(f"The approximation gap is {gap:.6g} ± {error:.2g} nats on the same data.")
    return tuple(words)
