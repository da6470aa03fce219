"""The smallest inputs that are good enough."""

from __future__ import annotations

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

WINDOWS = 6
"""Windows that `smallest_inputs` shows at least: half-widths 0 to 5."""
WIDEST = 30
"""The half-width at which it gives up."""
MOST_SUBSETS = 5
"""The number of sufficient inputs up to which it tries every subset."""


def smallest_inputs(model: Model, data: Any = None, *, tolerance: float = 0.01) -> Choices:
    """The fewest inputs whose predicted amortization gap per latent stays within a tolerance.

    A model that closes is asked with every subset of its sufficient inputs, one that does not with
    windows of growing width; all functions are allowed, in expectation over the model's data.
    Where gaps are estimated from drawn data sets, it stops when the next window's gain is smaller
    than their standard error.

    Args:
        model: the declaration.
        data: covariates and sizes, where they matter.
        tolerance: nats per latent.

    Raises:
        InputError: a tolerance that is not positive.
    """
    if not tolerance > 0:
        raise InputError(f"The tolerance is {tolerance:g}; it must be > 0, e.g. 0.01 nats.")
    report = check(model, witness=False)
    bound = bound_to_predict(model, data, "population")
    offers = []
    for choice in _candidates(model, report, bound):
        found = predict_bound(bound, report, choice, regime="population", function="any")
        offers.append(Offer(found.inputs, found.gap_per_latent, found.kind))
        if choice.window is not None and choice.window + 1 >= WINDOWS:
            last = offers[-1]
            if last.kind == "none" or _within(last, tolerance) or _hidden(offers, found):
                break
    offers.sort(key=lambda o: len(o.inputs))
    good = (o for o in offers if _within(o, tolerance))
    return Choices(tuple(offers), next(good, None), model.name, tolerance)


def _hidden(offers: list[Offer], found: Prediction) -> bool:
    """Whether the last step of an estimated gap is lost in its standard error."""
    before, gap, error = offers[-2].gap_per_latent, found.gap_per_latent, found.standard_error
    if before is None or gap is None or error is None:
        return False
    return before - gap < error / found.latents


def _within(offer: Offer, tolerance: float) -> bool:
    """Whether a gap is known to stay within the tolerance."""
    gap = offer.gap_per_latent
    return offer.kind in {"exact", "upper"} and gap is not None and gap <= tolerance


def _candidates(model: Model, report: Report, bound: Bound) -> list[Choice]:
    whole = choose(model, report, None, None, "any")
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
