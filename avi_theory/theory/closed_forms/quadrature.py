r"""Continuous models on one data set that are not Gaussian: both optima by quadrature.

.. math:: \mathrm{gap} = \max_{m, s} \mathrm{ELBO}(m, s)
    - \max_{\beta, \lambda} \mathrm{ELBO}(F\beta, e^{\lambda})

q(θ) is free in both and maximised together with the rest, which profiles it out.  Exact where the
target is log-concave and all factors are Normal: both objectives are concave then (Challis &
Barber, JMLR 14, 2013).
"""

from __future__ import annotations

from avi_theory.results.prediction import Kind
from avi_theory.theory.design import clean, dataset_design
from avi_theory.theory.features import columns
from avi_theory.theory.quadrature import (
    NotConverged,
    NotIntegrable,
    Objective,
    Reached,
    best_of_design,
    concave,
    objective,
)
from avi_theory.theory.question import Answer, Question

REFERENCE = "maximisation of the ELBO by quadrature (docs/theory.md, other continuous models)"
SETTLED = 1e-8
"""How far a finer quadrature may move an ELBO, relative to 1 + |ELBO|."""


class QuadratureDataset:
    """Exact for log-concave targets, else an upper bound from the best of several starts."""

    def accepts(self, question: Question) -> str:
        """The dataset regime of scalar real or positive latents with smooth terms of at most 3."""
        if question.regime != "dataset":
            return "it is not asked about one data set"
        return question.mean_field if isinstance(question.mean_field, str) else ""

    def apply(self, question: Question) -> Answer:
        """Maximise twice, and see whether a finer quadrature agrees."""
        found = question.mean_field
        assert not isinstance(found, str)
        target, free = found
        bound = question.bound
        design = dataset_design(
            bound,
            {v.name: columns(bound, v, question.resolved[v.name]) for v in bound.model.locals},
            question.function,
            question.per_position,
        )
        sure = concave(target)
        try:
            best = best_of_design(target, design, free)
            error = _quadrature_error(question, free) + _quadrature_error(question, best)
        except (NotConverged, NotIntegrable) as e:
            return Answer(None, "none", (f"{e}.", "Measure the gap instead."), REFERENCE)
        if error > SETTLED * (1 + abs(free.elbo)):
            words = f"A finer quadrature moves the ELBO by {error:.1e} nats, which is too much."
            return Answer(None, "none", (words, "Measure the gap instead."), REFERENCE)
        kind: Kind = "exact" if sure else "upper"
        return Answer(
            clean(max(free.elbo - best.elbo, 0.0), bound.latents),
            kind,
            (*_class(question, target), _certificate(sure)),
            REFERENCE,
        )


def _quadrature_error(question: Question, reached: Reached) -> float:
    finer = objective(question.bound, finer=True)
    return abs(finer(reached.mean, reached.level)[0] - reached.elbo)


def _class(question: Question, target: Objective) -> tuple[str, ...]:
    shared = (
        "Positions with equal inputs share location and scale."
        if question.function.degree is None
        else "The location is a polynomial of the inputs, the scale one shared constant; a "
        "position with missing inputs has its own."
    )
    kinds = "Factors are Normal" + (
        ", LogNormal for positive latents (location and scale are those of the logarithm)."
        if target.positive.any()
        else "."
    )
    return shared, kinds


def _certificate(sure: bool) -> str:
    if sure:
        return (
            "Each optimum is unique: the target is log-concave and the factors are Normal, so both "
            "ELBOs are concave (Challis & Barber, JMLR 14, 2013)."
        )
    return (
        "The target is not known to be log-concave: each optimum is the best of several starts.  "
        "If F-VI's is the global one, the value is an upper bound, since a better function of the "
        "class may exist."
    )
