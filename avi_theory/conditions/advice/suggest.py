"""All advice on a model, each piece applied and checked before it is given."""

from __future__ import annotations

from collections.abc import Iterator

from avi_theory.conditions.advice.partial import partial
from avi_theory.conditions.advice.reparametrise import reparametrised
from avi_theory.conditions.advice.replicate import replicated
from avi_theory.conditions.advice.suggestion import Suggestion
from avi_theory.conditions.advice.ties import ties_of
from avi_theory.symbolic.analysis import Analysis


def advice(analysis: Analysis) -> tuple[str, ...]:
    """Sentences, most useful first; empty where nothing is to be done."""
    return tuple(dict.fromkeys(s.sentence for s in suggestions(analysis)))


def suggestions(analysis: Analysis) -> tuple[Suggestion, ...]:
    """The advice whose outcome `check` confirms."""
    return tuple(s for s in candidates(analysis) if s.holds())


def candidates(analysis: Analysis) -> Iterator[Suggestion]:
    """Advice before it is checked."""
    for verdict in analysis.locals.values():
        if verdict.closes == "inputs":
            yield Suggestion(
                f"Give the inference function of {verdict.name} the inputs "
                f"{', '.join(verdict.inputs)}."
            )
        elif verdict.closes == "component" and verdict.unit:
            yield Suggestion(
                f"Amortize at the level of [{','.join(verdict.unit)}]: let the function of "
                f"{verdict.name} see {', '.join(verdict.inputs) or 'nothing'} and its place there."
            )
        elif verdict.closes == "unknown":
            yield Suggestion(
                f"Rewrite the expression that the analysis cannot decide: {verdict.stuck}."
            )
    if analysis.closes == "no":
        yield from reparametrised(analysis)
        yield from partial(analysis)
        yield from _whole(analysis)


def _whole(analysis: Analysis) -> Iterator[Suggestion]:
    """Many data sets of the same kind, each one unit.

    No factor holds latents of two data sets, which proves the verdict; joint priors are looked at
    again, and so are models of which some part is undecided.
    """
    model = analysis.model
    letter, text = replicated(model)
    tied = [v for v in analysis.locals.values() if v.closes == "no"]
    inputs = sorted({x for v in tied for x in v.inputs})
    chained = any(len(s.offset) == 1 for s in ties_of(analysis).shifts)
    plain = not any(d.over for d in model.densities)
    decided = all(v.closes != "unknown" for v in analysis.locals.values())
    yield Suggestion(
        f"Amortize whole {'sequences' if chained else 'data sets'}: with many of them (a new outer "
        f"index {letter}), f may see all of {', '.join(inputs)} and its place there, and the model "
        "closes at that level.",
        text, ("component",), (letter,), model.values, plain and decided,
    )  # fmt: skip
