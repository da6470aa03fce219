r"""Continuous models averaged over data: a function fitted to drawn data sets, judged on others.

.. math:: \widehat{\mathrm{gap}} = \frac1M \sum_{d=1}^M \big[\max_q \mathrm{ELBO}_d(q)
    - \max_{q_d(\theta)} \mathrm{ELBO}_d(q_d(\theta), \hat f)\big], \qquad x_d \sim p(x \mid \theta)

F-VI and q(θ) are optimised at each data set, f̂ at M others: the mean over the fresh ones is an
unbiased estimate of the gap of f̂, which is no smaller than that of the best function of the class.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avi_theory.errors import InputError
from avi_theory.theory.design import clean
from avi_theory.theory.features import columns
from avi_theory.theory.functions import FunctionClass
from avi_theory.theory.quadrature import NotConverged, NotIntegrable
from avi_theory.theory.quadrature.newton import Separate, ascend
from avi_theory.theory.quadrature.sample import FIRST_LEVEL, SEED, Half, Sample, finer, sample
from avi_theory.theory.quadrature.shared import (
    Group,
    Shared,
    TooManyFunctions,
    features,
    grouped,
    intercepts,
    owners,
)
from avi_theory.theory.quadrature.tails import BOUNDED, exponential
from avi_theory.theory.question import Answer, Question

REFERENCE = "ELBOs by quadrature on drawn data sets (docs/theory.md, other continuous models)"
MOST_USES = 8
"""Globals whose means functions use, at most."""
UNBOUNDED = (
    "constants are tried: an exponential of a polynomial of unbounded data need have no "
    "expectation, which no sample would show.  All functions (any) may do much better."
)
UNSETTLED = 0.1
"""How far a finer quadrature may move the gap, in standard errors."""


class DrawnFunctions:
    """An upper bound with its standard error, from a function fitted to other data sets."""

    def accepts(self, question: Question) -> str:
        """An averaging regime of scalar real or positive latents that can be drawn."""
        if question.regime == "dataset":
            return "it is asked about one data set"
        found = _drawn(question)
        return found if isinstance(found, str) else ""

    def apply(self, question: Question) -> Answer:
        """Fit on one half, evaluate on the other."""
        drawn = _drawn(question)
        assert isinstance(drawn, Sample)
        asked, question = question, _tamed(question, drawn)
        try:
            groups, shown = _groups(question, drawn.fit)
            reached = _fitted(question, drawn, groups, shown)
            missed, moved = _missed(question, drawn, groups, reached)
        except (NotConverged, NotIntegrable, TooManyFunctions, InputError) as e:
            return Answer(None, "none", (f"{e}.", "Measure the gap instead."), REFERENCE)
        gap, error = float(missed.mean()), float(missed.std(ddof=1) / np.sqrt(len(missed)))
        if abs(moved) > UNSETTLED * error + 1e-8 * question.bound.latents:
            words = f"A finer quadrature moves the gap by {moved:.1e} nats, which is too much."
            return Answer(None, "none", (words, "Measure the gap instead."), REFERENCE)
        total = clean(max(gap, 0.0), question.bound.latents)
        told = _words(question, drawn)
        if question is not asked:
            told = (*told, f"Among {asked.function.text} functions only {UNBOUNDED}")
        return Answer(total, "upper", told, REFERENCE, standard_error=error)


def _tamed(question: Question, drawn: Sample) -> Question:
    """Constants instead of polynomials, where these may have no expected ELBO.

    The class holds the constants, so their gap bounds that of the class.
    """
    seen = {i.name for found in question.resolved.values() for i in found if i.role == "observed"}
    variables = question.bound.model.variables
    if question.function.degree in {None, 0} or not exponential(drawn.fit.target):
        return question
    if all(variables[name].support in BOUNDED for name in seen):
        return question
    return replace(question, function=FunctionClass.parse("constant"))


def _drawn(question: Question) -> Sample | str:
    """The drawn data sets, or why there are none."""
    theta: np.ndarray | str = np.zeros(0)
    if question.regime == "population":
        theta = question.theta()
        if isinstance(theta, str):
            return theta
    at, start = {}, 0
    for v in question.bound.model.globals if question.regime == "population" else ():
        size = question.bound.tables[v.name].size
        at[v.name] = np.asarray(theta[start : start + size], float)
        start += size
    try:
        return sample(question.bound, at)
    except (NotIntegrable, NotConverged) as e:
        return str(e)


def _shown(question: Question, half: Half) -> list[np.ndarray]:
    """The inputs of each local at all data sets, ``[D, points, columns]``."""
    return [
        np.stack([columns(b, v, question.resolved[v.name]).offset for b in half.bounds])
        for v in question.bound.model.locals
    ]


def _groups(question: Question, half: Half) -> tuple[list[list[Group]], list[np.ndarray]]:
    shown = _shown(question, half)
    groups = []
    for v, own in zip(question.bound.model.locals, shown, strict=True):
        inputs = question.resolved[v.name]
        found = columns(half.bounds[0], v, inputs)
        groups.append(grouped(own, found, inputs, question.function, question.per_position))
    return groups, shown


def _family(
    question: Question, half: Half, groups: list[list[Group]], shown: list[np.ndarray]
) -> Shared:
    """The class of functions at the inputs of one half."""
    copies, g = half.target.copies, half.target.globals
    means = [features(own, x) for own, x in zip(groups, shown, strict=True)]
    levels = (
        means
        if question.function.degree is None
        else [intercepts(own, copies, x.shape[1]) for own, x in zip(groups, shown, strict=True)]
    )
    used = question.regime == "population" and question.function.degree != 0 and 0 < g <= MOST_USES
    centre = half.start[0, :g]
    return Shared(g, _blocks(means), _blocks(levels), owners(question.bound), used, centre)


def _blocks(parts: list[np.ndarray]) -> np.ndarray:
    """Block-diagonal over points and features."""
    copies = len(parts[0])
    out = np.zeros((copies, sum(p.shape[1] for p in parts), sum(p.shape[2] for p in parts)))
    row = column = 0
    for p in parts:
        out[:, row : row + p.shape[1], column : column + p.shape[2]] = p
        row, column = row + p.shape[1], column + p.shape[2]
    return out


def _fitted(
    question: Question, drawn: Sample, groups: list[list[Group]], shown: list[np.ndarray]
) -> np.ndarray:
    """The coefficients of the best function on the half to fit."""
    half, family = drawn.fit, _family(question, drawn.fit, groups, shown)
    shared, own = family.nearest(*drawn.fit_free)
    shared, _, _ = ascend(half.curvature, family, shared, own)
    return shared


def _missed(
    question: Question, drawn: Sample, groups: list[list[Group]], shared: np.ndarray
) -> tuple[np.ndarray, float]:
    """The gap at each fresh data set, and by how much a finer quadrature moves its mean."""
    half = drawn.fresh
    family = _family(question, half, groups, _shown(question, half))
    copies, g = len(family.mean), family.globals
    own = np.concatenate([half.start[:, :g].ravel(), np.full(copies * g, FIRST_LEVEL)])
    mean, level = family.factors(shared, own)
    if g:
        size = len(mean)
        _, thin = family.slopes(shared, own)
        follow = thin[:size, : copies * g]
        at = (np.arange(copies)[:, None] * (size // copies) + np.arange(g)).ravel()
        base = mean - follow @ own[: copies * g]
        _, _, best = ascend(half.curvature, Separate(base, level, at, follow), np.zeros(0), own)
        mean, level = best.mean, best.level
    free_mean, free_level = _free(drawn, mean, level)
    gap = half.target.each(free_mean, free_level) - half.target.each(mean, level)
    settled = finer(half, free_mean, free_level) - finer(half, mean, level)
    return gap, float((settled - gap).mean())


def _free(drawn: Sample, mean: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F-VI's optimum; where it may not be unique, the better with that above f̂ at each data set."""
    if drawn.sure:
        return drawn.mean, drawn.level
    target = drawn.fresh.target
    other = drawn.fresh.free(mean, level)
    better = target.each(*other) > target.each(drawn.mean, drawn.level)
    rows = np.repeat(better, len(mean) // target.copies)
    return np.where(rows, other[0], drawn.mean), np.where(rows, other[1], drawn.level)


def _words(question: Question, drawn: Sample) -> tuple[str, ...]:
    where = "with θ from its prior; f does not see q(θ)"
    if question.regime == "population":
        theta = question.theta()
        names = [
            f"{drawn.fit.target.layout.label(k)}={value:g}" for k, value in enumerate(theta[:6])
        ]
        where = f"at {', '.join(names)}" if names else "from the model itself"
        where += ", …" if len(theta) > 6 else ""
    count = drawn.copies
    words = [
        f"Estimated on {count:,} data sets drawn {where} (seed {SEED}); the function was fitted to "
        f"{count:,} others, so the estimate is unbiased for an upper bound.",
        "Upper bound: the best function of a flexible class (sums of functions of each input)."
        if question.function.degree is None
        else "The location is a polynomial of the inputs, the scale one shared constant; a "
        "position with missing inputs has its own constants.",
    ]
    if question.regime == "population" and drawn.fit.target.globals:
        words.append("f may use the mean of q(θ), linearly; q(θ) is optimised at each data set.")
    words.append(
        "F-VI's optimum is unique: the target is log-concave and the factors are Normal "
        "(Challis & Barber, JMLR 14, 2013)."
        if drawn.sure
        else "The target is not known to be log-concave: F-VI's optimum is the best of two starts. "
        "If it is the global one, the value is an upper bound."
    )
    return tuple(words)
