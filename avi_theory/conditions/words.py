"""The verdict in words: why each input is needed, the proof, the derivation."""

from __future__ import annotations

from collections.abc import Iterator

from avi_theory.spec import terms
from avi_theory.symbolic.analysis import Analysis, LocalVerdict
from avi_theory.symbolic.components import references
from avi_theory.symbolic.entries import Input, reference_text


def reasons(analysis: Analysis, verdict: LocalVerdict) -> tuple[str, ...]:
    """Why a local needs each of its inputs, and why its own observations alone do not do."""
    if verdict.closes == "unknown":
        return (f"stuck at {verdict.stuck}",)
    lines = [_reason(analysis, verdict, entry) for entry in verdict.needed]
    if verdict.closes == "inputs":
        own = [e.text for e in verdict.needed if e.role == "observed" and _attached(verdict, e)]
        rest = [e.text for e in verdict.needed if e.text not in own]
        if own and rest:
            enters = "enters" if len(rest) == 1 else "enter"
            suffice = "does not suffice" if len(own) == 1 else "do not suffice"
            lines.append(
                f"{' and '.join(own)} alone {suffice}, because {' and '.join(rest)} "
                f"{enters} the optimal factor of {_name(analysis, verdict)}"
            )
    return tuple(dict.fromkeys(lines))


def _attached(verdict: LocalVerdict, entry: Input) -> bool:
    if verdict.component is None:
        return False
    subs = set(terms.subscripts_of(entry.atom))
    letters = {g.letter for g in entry.free}
    return all(s in letters or s.is_Symbol or s.is_number for s in subs)


def _reason(analysis: Analysis, verdict: LocalVerdict, entry: Input) -> str:
    if entry.role == "position" and verdict.parts:
        parts = " and in ".join(verdict.parts)
        name = _name(analysis, verdict)
        return f"{entry.text} is the position: the density of {name} is another in {parts}"
    texts = list(_statements(analysis, verdict, entry))
    where = f" through '{texts[0]}'" if texts else ""
    kind = {
        "observed": "is observed and informs",
        "given": "comes with the data and changes",
        "position": "is the position and selects or changes the density of",
    }[entry.role]
    return f"{entry.text} {kind} {_name(analysis, verdict)}{where}"


def _statements(analysis: Analysis, verdict: LocalVerdict, entry: Input) -> Iterator[str]:
    name = terms.name_of(entry.atom)
    if verdict.component is not None:
        site, place = analysis.components.site(verdict.component.root)
        for instance in analysis.tester.finder.holding(place, site):
            if entry.atom in references(instance):
                yield analysis.structure.terms[instance.term].text
    for term in analysis.structure.terms:
        if any(terms.name_of(a) == name for a in term.references) and term.variable != name:
            yield term.text
    for term in analysis.structure.terms:
        if term.variable == name:
            yield term.text


def _name(analysis: Analysis, verdict: LocalVerdict) -> str:
    return str(analysis.model.variables[verdict.name])


def proof(analysis: Analysis, verdict: LocalVerdict) -> str:
    """The separated ELBO term, or the interaction that forbids it."""
    if verdict.component is None:
        return ""
    name = _name(analysis, verdict)
    if verdict.closes == "no":
        if not verdict.links:
            return ""
        link = verdict.links[0]
        texts = sorted({analysis.structure.terms[i.term].text for i in link.interaction.instances})
        _, place = analysis.components.site(verdict.component.root)
        free = [
            g for x, g in link.place.generics.items()
            if x not in place.generics and x in link.atom.free_symbols
        ]  # fmt: skip
        other = reference_text(link.atom, free)
        return (
            f"{name} and {other} share {' and '.join(repr(t) for t in texts)}, whose mixed "
            "difference does not vanish; step by step the tie reaches every index point"
        )
    holding = analysis.components.site(verdict.component.root)
    factors = analysis.tester.finder.holding(holding[1], holding[0])
    texts = list(dict.fromkeys(analysis.structure.terms[i.term].text for i in factors))
    inputs = ", ".join(verdict.inputs) or "nothing"
    unit = ",".join(verdict.unit)
    target = name if not verdict.component.several else f"the locals of one {unit or 'unit'}"
    ends = ""
    if verdict.parts:
        ends = f"; each part, {' and '.join(verdict.parts)}, has the factors that cover it"
    return (
        f"given q0 the ELBO is A(q0) plus one term L(nu; q0, w) per unit, with w = {inputs}: "
        f"L = E_q[log {'; log '.join(texts)}] + entropy of q({target}){ends}"
    )
