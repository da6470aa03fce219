r"""The derivation of a verdict, step by step, with the mixed differences that decide it.

.. math:: u \text{ and } v \text{ interact} \iff
    \sum_{\text{factors}} \Delta_u \Delta_v \log p \not\equiv 0

where Δ is a derivative in a continuous variable and a difference of two values of a discrete one.
docs/theory.md tells why this decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from avi_theory.conditions.mixed import evaluated
from avi_theory.conditions.pointing import named, shown
from avi_theory.conditions.words import reasons
from avi_theory.results.report import OptimalFactor, Step
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.components import Node
from avi_theory.symbolic.entries import index_text
from avi_theory.symbolic.instances import Instance


def steps(analysis: Analysis, factors: dict[str, OptimalFactor | None]) -> tuple[Step, ...]:
    """The derivation.

    Args:
        analysis: the verdicts.
        factors: the optimal factor of each local where one is known.
    """
    return tuple(_steps(analysis, factors))


def _steps(analysis: Analysis, factors: dict[str, OptimalFactor | None]) -> Iterator[Step]:
    texts = list(dict.fromkeys(t.text for t in analysis.structure.terms))
    yield Step(
        "What is the log density made of?",
        "log p is a sum of factors: one for each statement, at every point of its indices.",
        ("", "statement"),
        tuple((f"[{k}]", text) for k, text in enumerate(texts, 1)),
        f"{_count(len(texts), 'kind')} of factors.",
        "Find out along which of them data can reach a local's optimum.",
    )
    names = [str(analysis.model.variables[n]) for n in analysis.locals]
    yield Step(
        "What can an optimal factor depend on?",
        "F-VI maximises ELBO = E_q[log p] + entropy over one free factor per latent. If log p = "
        "a(u) + b(v), what v learns cannot move the factor of u. So two variables interact "
        "exactly if the mixed second difference of log p in both, summed over all factors that "
        "hold both, is not identically zero.",
        result="A local's optimum depends on data only along interactions; globals do not count, "
        "since q0, the factor of the globals, is free in both families.",
        then=f"Test the interactions of {', '.join(names)}." if names else "",
    )
    for name, verdict in analysis.locals.items():
        yield from _of_local(analysis, verdict, texts, factors.get(name))
    yield _conclusion(analysis)


def _of_local(
    analysis: Analysis, verdict: LocalVerdict, texts: list[str], factor: OptimalFactor | None
) -> Iterator[Step]:
    name = str(analysis.model.variables[verdict.name])
    if verdict.component is None:
        yield Step(
            f"What is known of {name}?", f"The analysis is stuck at {verdict.stuck}.",
            result=f"Nothing is claimed. Hence {name}: {verdict.closes}.",
        )  # fmt: skip
        return
    root = verdict.component.root
    atom, place = analysis.components.site(root)
    holding = analysis.tester.finder.holding(place, atom)
    where = "at an interior point" if analysis.structure.axes(verdict.name) else "which is alone"
    yield Step(
        f"Which factors hold {name}?",
        f"Stand at {index_text(atom)}, {where}, and solve each statement's subscripts for it.",
        ("factor", "statement"),
        tuple(
            dict.fromkeys(
                (shown(analysis, i, texts), analysis.structure.terms[i.term].text) for i in holding
            )
        ),
        f"{_count(len(dict.fromkeys(shown(analysis, i, texts) for i in holding)), 'factor')}.",
        f"Test {index_text(atom)} against every other local in them.",
    )
    yield _pairs(analysis, verdict, root, texts)
    yield _component(verdict, name)
    needed = ", ".join(verdict.inputs) or "nothing"
    yield Step(
        f"Which data inform {name}?",
        "Data enter through the same test: an observation, a covariate or the position counts if "
        f"it interacts with a member of the component of {name}, after cancellation.",
        ("why",) if reasons(analysis, verdict) else (),
        tuple((reason,) for reason in reasons(analysis, verdict)),
        f"{needed}.",
        "Write down the ELBO given q0.",
    )
    yield _elbo(analysis, verdict, name, holding, texts, factor is not None)
    if factor is not None:
        yield _factor(verdict, name, factor)


def _factor(verdict: LocalVerdict, name: str, factor: OptimalFactor) -> Step:
    neighbours = bool(verdict.interacts_with)
    words = {"none": "of no simple form", "log-linear": "log-linear"}
    kind = words.get(
        factor.function_class, factor.function_class.replace(":", " of degree ")
    )  # fmt: skip
    return Step(
        f"What is the optimal factor of {name}?",
        "At the optimum q(z) is proportional to exp E_q[log p] over the factors that hold z, and "
        "E[.] are moments under q" + (", of the neighbours too." if neighbours else "."),
        ("fixpoint equation" if neighbours else "ideal inference function",),
        ((factor.text,),),
        f"A {factor.family} whose natural parameters are {kind} in the observations.",
        f"Hence {name}: {verdict.closes}.",
    )


def _pairs(analysis: Analysis, verdict: LocalVerdict, root: Node, texts: list[str]) -> Step:
    """Every other local met: the factors shared, the mixed difference, and what it says."""
    atom, place = analysis.components.site(root)
    rows: dict[tuple[str, ...], None] = {}
    for versions in analysis.components.candidates(root, ("local",)):
        other, scope = versions[0]
        if other == atom:
            continue
        decided = analysis.tester.pair(scope, atom, other)
        free = [g for x, g in scope.generics.items()
                if x not in place.generics and x in other.free_symbols]  # fmt: skip
        if decided.present:
            says = "interact"
        elif any(analysis.tester.pair(s, atom, v).present for v, s in versions[1:]):
            says = "interact at the ends of the range"
        else:
            sure = "" if decided.evidence == "symbolic" else " (with probability one)"
            says = f"do not interact{sure}"
        shared = ", ".join(dict.fromkeys(shown(analysis, i, texts) for i in decided.instances))
        pair = f"{index_text(atom)} and {named(other, free)}"
        value = evaluated(analysis, decided.instances, atom, other, zero=not decided.present)
        rows.setdefault((pair, shared or "none", value, says))
    here = index_text(atom)
    tied = ", ".join(verdict.interacts_with)
    return Step(
        f"Which locals interact with {here}?",
        "Take the mixed second difference of log p in both, factor by factor, and add up: terms "
        "of opposite sign cancel."
        if rows
        else f"No other local occurs in a factor with {here}, so there is nothing to test.",
        ("pair", "factors with both", "mixed second difference", "they") if rows else (),
        tuple(rows),
        f"{here} interacts with {tied}." if tied else f"{here} interacts with no other local.",
        "Walk along the ties: how far do they reach?",
    )


def _component(verdict: LocalVerdict, name: str) -> Step:
    component = verdict.component
    assert component is not None
    question = f"How far do the ties of {name} reach?"
    tied = ", ".join(verdict.interacts_with)
    then = "Collect the data that inform the component."
    if not tied:
        return Step(
            question, "There are no ties.", result=f"The component is {name} alone.", then=then
        )
    tested = f"From {name} go to {tied}, and on from each of them to its own neighbours."
    if component.grows:
        return Step(
            question, tested,
            result="No index stays fixed on the way: the component takes in further index points "
            "without end, and grows with the data.",
            then=then,
        )  # fmt: skip
    if component.several:
        unit = f" [{','.join(verdict.unit)}]" if verdict.unit else ""
        return Step(
            question, tested,
            result=f"Every tie keeps the unit{unit}: the component stays inside one unit, however "
            "many there are.",
            then=then,
        )  # fmt: skip
    return Step(
        question, tested, result="All are at the same index point: the component is that point.",
        then=then,
    )  # fmt: skip


def _elbo(
    analysis: Analysis, verdict: LocalVerdict, name: str, holding: list[Instance],
    texts: list[str], more: bool,
) -> Step:  # fmt: skip
    question = "Does the ELBO separate?"
    hence = f"Hence {name}: {verdict.closes}."
    then = f"What does the optimal factor of {name} look like?" if more else hence
    if verdict.closes == "no":
        return Step(
            question,
            f"The terms with {name} hold its neighbours' factors, theirs hold those of their "
            "neighbours, and so on.",
            result=f"The ELBO does not separate: the optimal factor of {name} answers to "
            "observations arbitrarily far away. Generically no bounded set of inputs determines "
            "it; the witness shows it in numbers.",
            then=then,
        )
    held = " + ".join(dict.fromkeys(shown(analysis, i, texts, "log ") for i in holding))
    inputs = ", ".join(verdict.inputs) or "no data"
    whose = name if not verdict.interacts_with else f"the component of {name}"
    rest = " + …" if verdict.interacts_with else ""
    return Step(
        question,
        f"Given q0, collect the terms that hold {whose}; w stands for the data found above.",
        ("ELBO = A(q0) + the sum over units of L(nu; q0, w)", "w"),
        ((f"L = E_q[{held}{rest}] + entropy of {whose}", inputs),),
        "The ELBO separates. Each L is maximised on its own, so its maximiser is a function of w "
        "alone: that function is the ideal inference function, and A-VI with it attains F-VI's "
        "ELBO on every data set.",
        then,
    )


def _conclusion(analysis: Analysis) -> Step:
    verdict = analysis.closes
    several = len(analysis.locals) > 1
    each = ", ".join(f"{n}: {v.closes}" for n, v in analysis.locals.items())
    meaning = {
        "own": "one function of each unit's own observations serves every data set",
        "inputs": "one function serves every data set if it sees the inputs listed",
        "component": "one function of a whole unit's observations serves every data set",
        "no": "no function of a bounded set of inputs serves every data set",
        "unknown": "the question is open",
    }[verdict]
    ways = "'What to do' lists the ways out, each applied to the model and checked again."
    return Step(
        "What does this say of the model?",
        f"A model is as good as the worst of its locals ({each})." if several else
        f"It has one kind of local ({each})." if each else "It has no locals.",
        result=f"The model: {verdict}; {meaning}.",
        then=ways if verdict == "no" else "",
    )  # fmt: skip


def _count(number: int, what: str) -> str:
    words = {1: "One", 2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}
    return f"{words.get(number, str(number))} {what}{'' if number == 1 else 's'}"
