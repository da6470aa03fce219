r"""`check`: decide, judge every condition, explain, and find a witness.

.. math:: \exists f:\ \nu^\star_n(x) = f(w_n; q_0) \quad \forall x, N
"""

from __future__ import annotations

from collections.abc import Callable

from avi_theory.conditions.advice import advice
from avi_theory.conditions.context import Context
from avi_theory.conditions.covariates import no_covariates
from avi_theory.conditions.derivation import steps
from avi_theory.conditions.forms import identical_forms
from avi_theory.conditions.own_data import own_data
from avi_theory.conditions.plates import single_plate
from avi_theory.conditions.position import no_position
from avi_theory.conditions.selectors import no_selectors
from avi_theory.conditions.separable import separable
from avi_theory.conditions.words import proof, reasons
from avi_theory.results.report import Condition, LocalReport, OptimalFactor, Report, Witness
from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import Analysis, LocalVerdict, analyse
from avi_theory.symbolic.kernels import CLOSED_FORMS, site_of

CONDITIONS: tuple[Callable[[Context], Condition], ...] = (
    separable,
    identical_forms,
    single_plate,
    own_data,
    no_covariates,
    no_selectors,
    no_position,
)
"""Every condition of a simple hierarchical model; a model that meets all of them is one."""


def check(model: Model, *, witness: bool = True) -> Report:
    r"""Can one inference function attain F-VI's ELBO on every data set, and from which inputs?

    .. math:: \log p = A(\theta) + \sum_u L(z_u; \theta, w_u)
        \;\Rightarrow\; f(w) \in \arg\max_\nu L(\nu; \nu_0, w)

    Locals that interact form components; a component inside one unit closes with that unit's
    inputs, one that grows with the data does not (docs/theory.md; MB Thm 3.4).

    Args:
        model: a declared model; its sizes and data do not matter.
        witness: whether to look for two positions with equal inputs and different optima
            where the verdict is ``no``.

    Returns:
        The report: verdict, inputs, conditions, optimal factors, witness, advice.

    Example:
        >>> report = check(Model('''
        ... index n = 1:N
        ... local z[n] ~ Normal(0, 1)
        ... observed x[n] ~ Normal(z[n], 1)
        ... '''))
        >>> report.closes, report.locals["z"].inputs
        ('own', ('x[n]',))
    """
    analysis = analyse(model)
    context = Context(analysis)
    judged = tuple(condition(context) for condition in CONDITIONS)
    simple = analysis.closes in {"own", "component"} and all(c.verdict == "holds" for c in judged)
    found: Witness | None = None
    lines = advice(analysis)
    if witness and analysis.closes == "no":
        from avi_theory.symbolic.witness import Search

        search = Search(analysis)
        found = search.run()
        if found is None:
            lines = (*lines, search.silence)
    locals_ = {name: _local(analysis, v) for name, v in analysis.locals.items()}
    return Report(
        model=model.name,
        closes=analysis.closes,  # type: ignore[arg-type]
        simple_hierarchical=simple and bool(analysis.locals),
        unit=analysis.unit,
        locals=locals_,
        conditions=judged,
        evidence=analysis.evidence,  # type: ignore[arg-type]
        witness=found,
        advice=lines,
        steps=steps(analysis, {k: v.optimal_factor for k, v in locals_.items()}),
    )


def _local(analysis: Analysis, verdict: LocalVerdict) -> LocalReport:
    factor = _factor(analysis, verdict)
    return LocalReport(
        closes=verdict.closes,  # type: ignore[arg-type]
        inputs=verdict.inputs,
        interacts_with=verdict.interacts_with,
        edges=verdict.edges,
        optimal_factor=factor,
        because=reasons(analysis, verdict),
        proof=proof(analysis, verdict),
    )


def _factor(analysis: Analysis, verdict: LocalVerdict) -> OptimalFactor | None:
    site = None if verdict.parts else site_of(analysis, verdict)
    if site is None:
        return None
    for closed_form in CLOSED_FORMS:
        formula = closed_form(site)
        if formula is not None:
            return OptimalFactor(
                formula.family, formula.function_class, formula.text, formula.latex
            )
    return None
