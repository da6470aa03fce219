"""Linear-Gaussian models in the population: x drawn at given θ, f may use the mean of q(θ)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from avi_theory.results.prediction import Kind
from avi_theory.spec.inputs import Input
from avi_theory.theory.closed_forms.averaged import MOST_FUNCTIONALS, Average, TooLarge
from avi_theory.theory.closed_forms.uses import Uses
from avi_theory.theory.design import averaged_design, clean, same
from avi_theory.theory.features import columns
from avi_theory.theory.functions import FunctionClass
from avi_theory.theory.gaussian import Joint
from avi_theory.theory.limits import gap_limit
from avi_theory.theory.moments import Draws, Improper, draws_at
from avi_theory.theory.question import Answer, Question

MOST_POLISHED, MOST_SEARCHED = 12, 200
"""Coefficients of the mean of q(θ) that are searched, and features up to which they are."""
LONG = 20_000
"""Latents from which functions of single positions, at the ends, keep the decoupling use."""
NOTABLE = 1e-9
"""The fraction by which a smaller class's bound must be lower to be named as the source."""
REFERENCE = "static team problem, Radner (1962), theorem 4"


class GaussianPopulation:
    """The static team optimum, exact where affine functions are optimal, else a bound."""

    def accepts(self, question: Question) -> str:
        """The population regime of a jointly Gaussian model at a θ that can be drawn at."""
        if question.regime != "population":
            return "it is not asked about the population"
        if isinstance(question.joint, str):
            return question.joint
        theta = question.theta()
        return theta if isinstance(theta, str) else ""

    def apply(self, question: Question) -> Answer:
        """Solve the team problem; with globals also for the use of q(θ)."""
        joint, theta = question.joint, question.theta()
        assert isinstance(joint, Joint) and isinstance(theta, np.ndarray)
        try:
            draws = draws_at(joint, theta)
            average = averaged(question, draws)
            gap, assumptions, sure = _best_use(question, average, theta)
        except Improper as e:
            return Answer(None, "none", (f"{e}.",), REFERENCE)
        except TooLarge:
            return Answer(None, "none", (_too_large(question),), REFERENCE)
        total = clean(gap + average.scales, draws.locals)
        exact = total == 0.0 or (sure and _affine_is_best(question, average))
        if not exact and draws.globals:
            total, source = _lowest(question, average, theta, total)
            assumptions += source
        kind: Kind = "exact" if exact or total == 0.0 else "upper"
        words = [*assumptions, *describe(question, kind)]
        limit = gap_limit(question, theta)
        said = (*words, *limit.remarks)
        return Answer(total, kind, said, REFERENCE, limit.value, latex=limit.latex)


def _lowest(
    question: Question, asked: Average, theta: np.ndarray, total: float
) -> tuple[float, list[str]]:
    """The lowest bound of the class and of the classes it contains, and where it comes from.

    How f uses the mean of q(θ) is searched in each class apart, so that a smaller class may have
    the better bound.
    """
    source: list[str] = []
    draws, known = asked.draws, [asked.design]
    for contained, name in _contained(question):
        try:
            average = averaged(contained, draws)
            if any(same(average.design, d) for d in known):
                continue
            known.append(average.design)
            gap, _, _ = _best_use(contained, average, theta)
        except TooLarge:
            continue
        found = clean(gap + average.scales, draws.locals)
        if found < total * (1 - NOTABLE):
            source = [f"The bound is that of {name}, which the class contains."]
        total = min(total, found)
    return total, source


def _contained(question: Question) -> Iterator[tuple[Question, str]]:
    """Smaller classes of functions: shared, affine, and those that ignore a covariate."""
    if question.per_position:
        shared = replace(question, per_position=False)
        yield shared, "one function for all positions"
        for contained, name in _contained(shared):
            yield contained, f"{name}, the same for all positions"
    elif question.function.degree is None:
        yield replace(question, function=FunctionClass("affine", 1)), "affine functions"
        known = {i.text for v in question.resolved.values() for i in v if _fixed(i)}
        for name in sorted(known):
            kept = {k: tuple(i for i in v if i != name) for k, v in question.inputs.items()}
            yield replace(question, inputs=kept), f"functions that ignore {name}"


def _fixed(found: Input) -> bool:
    """Whether an input is a position or a covariate: nothing random."""
    return found.values is not None or found.role == "given"


class ZeroAtAnyTheta:
    """Exactly 0 whatever the value of a global that nothing tells: separable, inputs suffice.

    The gap is the expectation of a quadratic function whose covariance part does not depend on θ
    and whose mean part is a non-negative quadratic in θ: zero at three values on a line through
    all improper globals, for every proper choice of the rest, it is zero on that line.
    """

    def accepts(self, question: Question) -> str:
        """The population of a separable Gaussian model with an improper global not set."""
        if question.regime != "population":
            return "it is not asked about the population"
        if isinstance(question.joint, str):
            return question.joint
        reason = question.theta()
        if not isinstance(reason, str):
            return "every global has a value"
        if not question.joint.posterior.separable:
            return reason
        for value in (0.0, 1.0, -2.0):
            theta = question.theta(value)
            if isinstance(theta, str):
                return theta
            try:
                average = averaged(question, draws_at(question.joint, theta))
                gap, _, _ = _best_use(question, average, theta)
            except (Improper, TooLarge):
                return reason
            if clean(gap + average.scales, average.draws.locals) > 0:
                return reason
        return ""

    def apply(self, question: Question) -> Answer:
        """Zero, for every value of θ."""
        words = "The locals do not interact, and the optimal factor is in the class for every θ."
        return Answer(0.0, "exact", (words,), REFERENCE, 0.0)


def averaged(question: Question, draws: Draws) -> Average:
    """The averaged problem for the question's inputs and functions."""
    bound, joint = question.bound, draws.joint
    found = {
        v.name: columns(bound, v, question.resolved[v.name], joint) for v in bound.model.locals
    }
    design = averaged_design(
        bound, found, question.function, question.per_position, len(joint.drawn)
    )
    return Average(draws, design)


def _too_large(question: Question) -> str:
    return (
        "With one function per position and globals in common, the system is too large; "
        "ask for --sharing shared, or a smaller size."
        if question.per_position
        else "The system of all functions and globals is too large; use a smaller size."
    )


def _best_use(
    question: Question, average: Average, theta: np.ndarray
) -> tuple[float, list[str], bool]:
    """The gap at the best known use Γ of the mean of q(θ); whether that is surely the optimum."""
    globals_ = average.draws.globals
    if globals_ == 0:
        return average.gap(None), ["x is drawn from the model itself, which has no globals."], True
    names = [average.posterior.layout.label(k) for k in range(globals_)]
    at = ", ".join(f"{n}={t:g}" for n, t in zip(names[:6], theta, strict=False))
    where = [f"x is drawn at {at}{', …' if globals_ > 6 else ''}; q(θ) is optimised for each x."]
    if question.function.degree == 0:
        return average.gap(None), where, True
    decoupling = -average.posterior.zz_inverse_zt
    classes = average.design.classes
    counts = np.bincount(classes)
    shared = np.stack([np.bincount(classes, decoupling[:, g]) / counts for g in range(globals_)], 1)
    if np.all(counts == 1):
        words = "f uses the mean of q(θ) so that both decouple; this is the limit of many data."
        gaps = [average.gap(decoupling)]
        if gaps[0] > 0 and average.design.width * globals_ <= MOST_FUNCTIONALS:
            gaps.append(average.gap(None))
        return min(gaps), [*where, words], False

    best = average.gap(shared[classes])
    if best > 1e-10:
        best = min(best, average.gap(None), _searched(average, shared, counts))
    words = "The coefficient of the mean of q(θ) in f is the best found numerically."
    return best, [*where, words], False


def _searched(average: Average, decoupling: np.ndarray, counts: np.ndarray) -> float:
    """The gap at the best use Γ that is found, of as many functions as can be searched."""
    classes, globals_ = average.design.classes, decoupling.shape[1]
    most = MOST_POLISHED // globals_
    everyone = len(counts) <= most and len(classes) <= LONG
    free = np.arange(len(counts)) if everyone else np.flatnonzero(counts > 1)
    if len(free) > most or average.design.width >= MOST_SEARCHED:
        return np.inf
    use = decoupling.copy()
    use[free] = 0.0
    uses = Uses.of(average, use[classes], free)
    use[free] = uses.search([decoupling[free], np.zeros_like(decoupling[free])])
    return average.gap(use[classes])


def _affine_is_best(question: Question, average: Average) -> bool:
    """Whether no function of the class beats the affine ones."""
    if question.function.degree in {0, 1}:
        return True
    return bool(np.all(np.bincount(average.design.classes) == 1)) or average.same_law()


def describe(question: Question, kind: Kind) -> list[str]:
    """What a number of this kind assumes."""
    words = []
    if kind == "upper":
        words.append(
            "Upper bound: the best affine function; where the inputs of positions that share f "
            "are not equally distributed, another function may do better."
        )
    elif question.function.degree is None or question.function.degree > 1:
        words.append("For Gaussian inputs the best function of all is affine.")
    if question.per_position:
        words.append("Each position has its own function.")
    else:
        words.append("One mean and one scale for all positions whose inputs are complete.")
    words.append("The posterior is Gaussian, hence strictly log-concave: F-VI's optimum is unique.")
    return words
