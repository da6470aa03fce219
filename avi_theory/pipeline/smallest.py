"""The smallest inputs that are good enough."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations
from typing import Any

import numpy as np

from avi_theory.errors import InputError
from avi_theory.pipeline.choice import Choice, choose
from avi_theory.pipeline.data import bound_to_predict
from avi_theory.pipeline.verbs import check, predict_bound
from avi_theory.results.listing import Choice as Offer
from avi_theory.results.listing import Choices
from avi_theory.results.prediction import Prediction
from avi_theory.results.report import Report
from avi_theory.spec.bound import Bound
from avi_theory.spec.model import Model
from avi_theory.spec.windows import window

WINDOWS = 6
"""Windows that `smallest_inputs` shows at least: half-widths 0 to 5."""
WIDEST = 30
"""The half-width at which it gives up."""
MOST_SUBSETS = 5
"""The number of sufficient inputs up to which it tries every subset."""


def smallest_inputs(model: Model, data: Any = None, *, tolerance: float = 0.01) -> Choices:
    """The fewest inputs whose predicted amortization gap per latent stays within a tolerance.

    A model that closes is asked with every subset of its sufficient inputs, one that does not with
    windows of growing width, or, where no index has an order, with nothing, the own observations,
    and these with the mean of each observed variable.  All functions are allowed, in expectation
    over the model's data.
    Where gaps are estimated from drawn data sets, it stops when the next window's gain is smaller
    than their standard error, and counts a gap with two standard errors.

    Args:
        model: the declaration.
        data: covariates and sizes, where they matter.
        tolerance: nats per latent.

    Raises:
        InputError: a tolerance that is not positive and finite.
    """
    if not 0 < tolerance < np.inf:
        raise InputError(
            f"The tolerance is {tolerance:g}; it must be > 0 and finite, e.g. 0.01 nats."
        )
    report = check(model, witness=False)
    bound = bound_to_predict(model, data, "population")
    asked: list[tuple[Offer, Prediction]] = []
    for choice in _candidates(model, report, bound):
        found = predict_bound(bound, report, choice, regime="population", function="any")
        asked.append((_offer(found), found))
        shown = choice.window is not None and choice.window + 1 >= WINDOWS
        done = found.kind == "none" or _within(found, tolerance)
        if shown and (done or _hidden(asked[-2][1], found)):
            break
    asked = [_capped(found, [f for _, f in asked]) for _, found in asked]
    asked.sort(key=lambda a: len(a[0].inputs))
    good = (offer for offer, found in asked if _within(found, tolerance))
    return Choices(tuple(o for o, _ in asked), next(good, None), model.name, tolerance)


def _capped(found: Prediction, others: list[Prediction]) -> tuple[Offer, Prediction]:
    """A choice with its upper bound lowered to those of its subsets, which it may imitate.

    Estimates from drawn data sets are left as they are: the least of several is biased.
    """
    if found.kind == "upper" and found.gap is not None and found.standard_error is None:
        bounds = [
            f.gap
            for f in others
            if f.gap is not None
            and f.kind in {"exact", "upper"}
            and f.standard_error is None
            and set(f.inputs) <= set(found.inputs)
        ]
        lowest = min(bounds)
        if lowest < found.gap:
            words = "The bound is that of fewer of these inputs; a function may ignore the others."
            found = replace(
                found, gap=lowest, gap_per_latent=lowest / found.latents,
                kind="exact" if lowest == 0.0 else "upper",
                assumptions=(words, *found.assumptions),
            )  # fmt: skip
    return _offer(found), found


def _offer(found: Prediction) -> Offer:
    error = None if found.standard_error is None else found.standard_error / found.latents
    return Offer(found.inputs, found.gap_per_latent, found.kind, found.assumptions, error)


def _hidden(before: Prediction, found: Prediction) -> bool:
    """Whether the last step of an estimated gap is lost in its standard error."""
    if before.gap is None or found.gap is None or found.standard_error is None:
        return False
    return before.gap - found.gap < found.standard_error


def _within(found: Prediction, tolerance: float) -> bool:
    """Whether a gap is known to stay within the tolerance, an estimate by two standard errors."""
    if found.kind not in {"exact", "upper"} or found.gap is None:
        return False
    return found.gap + 2 * (found.standard_error or 0.0) <= tolerance * found.latents


def _candidates(model: Model, report: Report, bound: Bound) -> list[Choice]:
    whole = choose(model, report, None, None, "any")
    if whole.window == 0:
        own = sorted({i for found in window(bound, 0).values() for i in found})
        means = [f"mean({o.name})" for o in model.observed if o.axes]
        return [Choice((), None, "any"), whole, Choice((*own, *means), None, "any")]
    if whole.inputs is None:
        shortest = min(
            (int(np.ptp(bound.tables[v.name].points, 0).min()) for v in model.locals if v.axes),
            default=0,
        )
        return [Choice(None, k, "any") for k in range(min(WIDEST, shortest // 2) + 1)]
    if len(whole.inputs) > MOST_SUBSETS:
        return [Choice(whole.inputs[:k], None, "any") for k in range(len(whole.inputs) + 1)]
    subsets = chain.from_iterable(
        combinations(whole.inputs, k) for k in range(len(whole.inputs) + 1)
    )
    return [Choice(s, None, "any") for s in subsets]
