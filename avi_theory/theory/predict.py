"""`predict`: put a question to the closed forms, the first that accepts it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from avi_theory.errors import InputError
from avi_theory.results.prediction import Prediction
from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import for_locals
from avi_theory.spec.variational import unlike_default
from avi_theory.spec.windows import window as window_inputs
from avi_theory.theory.closed_forms import ANY_FACTORS, CLOSED_FORMS
from avi_theory.theory.discrete import Optimum
from avi_theory.theory.functions import FunctionClass, unknown
from avi_theory.theory.gaussian import Posterior
from avi_theory.theory.question import (
    REGIMES,
    SHARINGS,
    Answer,
    Question,
    Verdict,
)


def predict(
    bound: Bound,
    *,
    regime: str | None = None,
    inputs: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    window: int | None = None,
    function: str = "any",
    sharing: str = "shared",
    verdict: Mapping[str, Any] | Verdict | None = None,
    factors: Mapping[str, str] | None = None,
) -> Prediction:
    r"""The amortization gap by theory, in nats.

    .. math:: \mathrm{gap} = \max_{\nu} \mathrm{ELBO} - \max_{f \in \mathcal F} \mathrm{ELBO}(f)

    Args:
        bound: the model with its sizes, covariates and (for the dataset regime) data.
        regime: dataset, population or reuse; by default dataset if there are data.
        inputs: what f sees: names in the local's letters (``x[t-1]``, ``mean(x)``), for all
            locals or by local; None for the verdict's, or those of `window`.
        window: the observations within this many positions instead.
        function: any, constant, affine or polynomial:D.
        sharing: shared, or per-position.
        verdict: of the structural check: the JSON form of its report, or a `Verdict`.
        factors: the kinds of factors of some latents (``{"z": "gamma"}``).  Numbers are for the
            factors that go with each support; with others only what holds for any family remains.

    Returns:
        The gap with its kind: exact, upper, lower, or none with the reason in `assumptions`.

    Raises:
        InputError: an unknown option, input or factor, a window wider than the series, an improper
            posterior (names the offending variable).
    """
    question = ask(
        bound, regime=regime, inputs=inputs, window=window, function=function, sharing=sharing,
        verdict=verdict, factors=factors,
    )  # fmt: skip
    approximation = _approximation_gap(question)
    answer = _answer(question)
    names = sorted({i.text for found in question.resolved.values() for i in found})
    latents = bound.latents
    return Prediction(
        model=bound.model.name,
        regime=question.regime,
        inputs=tuple(names),
        function=question.function.text,
        sharing=sharing,
        kind=answer.kind,
        latents=latents,
        gap=answer.gap,
        gap_per_latent=None if answer.gap is None else answer.gap / latents,
        limit_per_latent=answer.limit,
        approximation_gap=approximation,
        assumptions=answer.assumptions,
        reference=answer.reference,
        standard_error=answer.standard_error,
        latex=answer.latex,
    )


def ask(
    bound: Bound,
    *,
    regime: str | None,
    inputs: Sequence[str] | Mapping[str, Sequence[str]] | None,
    window: int | None,
    function: str,
    sharing: str,
    verdict: Mapping[str, Any] | Verdict | None,
    factors: Mapping[str, str] | None = None,
) -> Question:
    """Validate the options and make them one question.

    Raises:
        InputError: an unknown option or input, or both inputs and a window.
    """
    chosen = regime or ("dataset" if bound.has_data else "population")
    if chosen not in REGIMES:
        raise unknown("regime", chosen, REGIMES)
    if sharing not in SHARINGS:
        raise unknown("sharing", sharing, SHARINGS)
    if chosen == "dataset" and not bound.has_data:
        raise InputError(
            f"The dataset regime needs data, and {bound.model.name} has none. "
            "Give --data FILE, or ask for --regime population."
        )
    if not bound.model.locals:
        raise InputError(f"{bound.model.name} has no local latents, so nothing is amortized.")
    if inputs is not None and window is not None:
        raise InputError("Inputs and a window exclude each other. Give one of them.")
    known = Verdict.of_report(verdict) if isinstance(verdict, Mapping) else verdict
    if window is not None:
        named: Mapping[str, tuple[str, ...]] = window_inputs(bound, window)
    elif inputs is not None:
        named = for_locals(bound, inputs)
    elif known is not None:
        named = for_locals(bound, known.inputs)
    else:
        named = window_inputs(bound, 0)
    return Question(
        bound, chosen, named, FunctionClass.parse(function),
        sharing == "per-position", known, unlike_default(bound.model, factors),
    )  # fmt: skip


def _approximation_gap(question: Question) -> float | None:
    """log evidence − ELBO(F-VI), nats, where it is exact."""
    if question.factors:
        return None
    if isinstance(question.posterior, Posterior):
        return question.posterior.approximation_gap
    return question.discrete.approximation_gap if isinstance(question.discrete, Optimum) else None


def _answer(question: Question) -> Answer:
    """The first closed form that accepts; else none, with every form's reason."""
    reasons = []
    for form in CLOSED_FORMS:
        other = "" if isinstance(form, ANY_FACTORS) else question.other_factors
        reason = other or form.accepts(question)
        if not reason:
            return form.apply(question)
        reasons.append((form, reason))
    wanted = "QuadratureDataset" if question.regime == "dataset" else "DrawnFunctions"
    if all(v.support in {"binary", "categories"} for v in question.bound.model.locals):
        wanted = "DiscreteTables" if question.regime == "dataset" else "DrawnTables"
    words = [r for f, r in reasons if type(f).__name__ in {wanted, "Separable"}]
    return Answer(
        None,
        "none",
        (
            f"No closed form: {words[-1]}; and not zero by structure: {words[0]}.",
            "Measure the gap instead (avi compare), or give inputs that suffice (avi check).",
        ),
        "",
    )
