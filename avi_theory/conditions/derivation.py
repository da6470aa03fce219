r"""The derivation of a verdict, step by step, with the mixed differences that decide it.

.. math:: u \text{ and } v \text{ interact} \iff
    \sum_{\text{factors}} \frac{\partial^2 \log p}{\partial u\, \partial v} \not\equiv 0

(for discrete variables the second difference).  docs/theory.md tells why this decides.
"""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Expr

from avi_theory.conditions.words import reasons
from avi_theory.results.report import OptimalFactor
from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.components import Node, references
from avi_theory.symbolic.entries import index_text, reference_text
from avi_theory.symbolic.instances import Generic, Instance
from avi_theory.symbolic.reduction import second_derivative

RANDOM = ("local", "observed", "global")


def steps(analysis: Analysis, factors: dict[str, OptimalFactor | None]) -> tuple[str, ...]:
    """The derivation, one paragraph a step.

    Args:
        analysis: the verdicts.
        factors: the optimal factor of each local where one is known.
    """
    return tuple(_steps(analysis, factors))


def _steps(analysis: Analysis, factors: dict[str, OptimalFactor | None]) -> Iterator[str]:
    texts = list(dict.fromkeys(t.text for t in analysis.structure.terms))
    listed = "; ".join(f"[{k}] {text}" for k, text in enumerate(texts, 1))
    yield f"The log density is a sum of factors, one per statement and index point: {listed}."
    yield (
        "F-VI maximises the ELBO over one factor per latent, so a local's optimum can depend on "
        "data only along interactions: pairs whose mixed second difference of log p, summed over "
        "all factors that hold both, is not identically zero. Globals do not count: q0 is shared."
    )
    for name, verdict in analysis.locals.items():
        yield from _of_local(analysis, verdict, texts, factors.get(name))
    yield _conclusion(analysis)


def _of_local(
    analysis: Analysis, verdict: LocalVerdict, texts: list[str], factor: OptimalFactor | None
) -> Iterator[str]:
    name = str(analysis.model.variables[verdict.name])
    if verdict.component is None:
        yield f"{name}: the analysis is stuck at {verdict.stuck}; nothing is claimed."
        return
    root = verdict.component.root
    atom, place = analysis.components.site(root)
    holding = analysis.tester.finder.holding(place, atom)
    held = ", ".join(dict.fromkeys(_shown(analysis, i, texts) for i in holding))
    where = "at an interior point" if analysis.structure.axes(verdict.name) else "alone"
    yield f"{name}: stand {where}. The factors that hold {index_text(atom)} are {held}."
    ties, cancelled = _pairs(analysis, root, texts)
    if not ties and not cancelled:
        yield f"{name} meets no other local in them."
    yield from (*ties, *cancelled)
    yield _component(verdict, name)
    needed = ", ".join(verdict.inputs) or "nothing"
    because = "; ".join(reasons(analysis, verdict))
    yield f"What informs {name} through its component: {needed}." + (
        f" Why: {because}." if because else ""
    )
    yield _elbo(analysis, verdict, name, holding, texts)
    if factor is not None:
        neighbours = bool(verdict.interacts_with)
        what = "fixpoint equation" if neighbours else "ideal inference function"
        yield (
            f"The {what} of {name}: {factor.text} "
            f"(a {factor.family} whose natural parameters are {_class(factor)} in the "
            "observations; E[.] are moments under q)."
        )
    yield f"Hence {name}: {verdict.closes}."


def _class(factor: OptimalFactor) -> str:
    words = {"constant": "constant", "affine": "affine", "log-linear": "log-linear",
             "none": "of no simple form"}  # fmt: skip
    return words.get(factor.function_class, factor.function_class.replace(":", " of degree "))


def _pairs(analysis: Analysis, root: Node, texts: list[str]) -> tuple[list[str], list[str]]:
    """A sentence for every other local met, apart those that interact and those that do not."""
    atom, place = analysis.components.site(root)
    ties: list[str] = []
    cancelled: list[str] = []
    for versions in analysis.components.candidates(root, ("local",)):
        other, scope = versions[0]
        if other == atom:
            continue
        decided = analysis.tester.pair(scope, atom, other)
        free = [g for x, g in scope.generics.items()
                if x not in place.generics and x in other.free_symbols]  # fmt: skip
        pair = f"{index_text(atom)} and {_named(other, free)}"
        line = f"{pair}: {_sum(analysis, decided.instances, atom, other, texts)}"
        if decided.present:
            ties.append(f"{line}. They interact.")
        elif any(analysis.tester.pair(s, atom, v).present for v, s in versions[1:]):
            ties.append(f"{line}. They interact at the ends of the range.")
        else:
            sure = "" if decided.evidence == "symbolic" else " (with probability one)"
            cancelled.append(f"{line}. They do not interact{sure}.")
    return list(dict.fromkeys(ties)), list(dict.fromkeys(cancelled))


def _sum(
    analysis: Analysis, instances: tuple[Instance, ...], u: Expr, v: Expr, texts: list[str]
) -> str:
    """The mixed differences of a pair, factor by factor."""
    if not instances:
        return "no factor holds both at one point"
    smooth = all(_smooth(analysis, a) for a in (u, v))
    parts = [second_derivative(analysis.components, i, u, v) if smooth else None for i in instances]
    shown = ", ".join(dict.fromkeys(_shown(analysis, i, texts) for i in instances))
    if any(p is None for p in parts) or any(i.free for i in instances):
        return f"they share {shown}; the mixed difference depends on their values"
    total = sympy.simplify(sympy.Add(*parts))
    if len(parts) == 1:
        return f"they share {shown}; the mixed difference is {_number(total)}"
    added = " + ".join(_number(p) for p in parts)
    return f"they share {shown}; the mixed differences add up to {added} = {_number(total)}"


def _smooth(analysis: Analysis, atom: Expr) -> bool:
    variable = analysis.structure.variable(atom)
    return variable is not None and not variable.discrete and variable.dim is None


def _number(value: Expr) -> str:
    text = index_text(value).replace("**", "^")
    return f"({text})" if text.startswith("-") else text


def _component(verdict: LocalVerdict, name: str) -> str:
    component = verdict.component
    assert component is not None
    tied = ", ".join(verdict.interacts_with)
    if not tied:
        return f"No interaction: the component of {name} is {name} alone."
    if component.grows:
        return (
            f"{name} is tied to {tied}. Walking along these ties no index stays fixed, so the "
            "component reaches further with every further index point: it grows with the data."
        )
    if component.several:
        unit = f" [{','.join(verdict.unit)}]" if verdict.unit else ""
        return (
            f"{name} is tied to {tied}. Every tie keeps the unit{unit}, so the component stays "
            "inside one unit, however many there are."
        )
    return f"{name} is tied to {tied} at the same index point only: the component is that point."


def _elbo(
    analysis: Analysis, verdict: LocalVerdict, name: str, holding: list[Instance], texts: list[str]
) -> str:
    if verdict.closes == "no":
        return (
            f"The ELBO does not separate: at the optimum the factor of {name} answers to its "
            "neighbours' factors, those to theirs, and so to observations arbitrarily far away. "
            "Generically no bounded set of inputs determines it; the witness shows it in numbers."
        )
    held = " + ".join(dict.fromkeys(_shown(analysis, i, texts, "log ") for i in holding))
    inputs = ", ".join(verdict.inputs) or "no data"
    whose = name if not verdict.interacts_with else f"the component of {name}"
    return (
        f"The ELBO separates: ELBO = A(q0) + sum of L(nu; q0, w) over units, with w = {inputs} "
        f"and L = E_q[{held}{' + …' if verdict.interacts_with else ''}] + entropy of {whose}. "
        "Each L is maximised on its own, so its maximiser is a function of w alone: that function "
        "is the ideal inference function, and A-VI with it attains F-VI's ELBO."
    )


def _shown(analysis: Analysis, instance: Instance, texts: list[str], log: str = "") -> str:
    """A factor at its point: `p(x[t] | z[t])`, with the statement's number."""
    term = analysis.structure.terms[instance.term]
    number = texts.index(term.text) + 1
    free = list(instance.free)
    atoms = [a for a in references(instance) if analysis.structure.role(a) in RANDOM]
    names = list(dict.fromkeys(_named(a, free) for a in atoms))
    head = _head(analysis, instance, atoms)
    if head is None:
        return f"{log}psi({', '.join(names)}) [{number}]"
    first = _named(head, free)
    rest = ", ".join(n for n in names if n != first)
    return f"{log}p({first}{' | ' if rest else ''}{rest}) [{number}]"


def _head(analysis: Analysis, instance: Instance, atoms: list[Expr]) -> Expr | None:
    """Whose density it is: the member that stands where the statement's left side stands."""
    term = analysis.structure.terms[instance.term]
    here = [a for a in atoms if terms.name_of(a) == term.variable]
    if len(here) <= 1:
        return here[0] if here else None
    plain = {r.letter for r in term.ranges}
    there = [a for a in term.references if terms.name_of(a) == term.variable]
    heads = [a for a in there if all(s in plain or s.is_number for s in terms.subscripts_of(a))]
    if len(heads) != 1:
        return None
    wanted = sorted(str(_apart(heads[0], a)) for a in there)
    fitting = [a for a in here if sorted(str(_apart(a, b)) for b in here) == wanted]
    return fitting[0] if len(fitting) == 1 else None


def _apart(a: Expr, b: Expr) -> list[Expr]:
    pairs = zip(terms.subscripts_of(a), terms.subscripts_of(b), strict=True)
    return [sympy.expand(p - q) for p, q in pairs]


def _named(atom: Expr, free: list[Generic]) -> str:
    return reference_text(atom, [g for g in free if g.letter in atom.free_symbols])


def _conclusion(analysis: Analysis) -> str:
    verdict = analysis.closes
    several = len(analysis.locals) > 1
    worst = ", the worst of its locals" if several else ""
    meaning = {
        "own": "one function of each unit's own observations serves every data set",
        "inputs": "one function serves every data set if it sees the inputs listed",
        "component": "one function of a whole unit's observations serves every data set",
        "no": "no function of a bounded set of inputs serves every data set",
        "unknown": "the question is open",
    }[verdict]
    return f"The model: {verdict}{worst}; {meaning}."
