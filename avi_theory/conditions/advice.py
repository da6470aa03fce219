"""What to do about a verdict: more inputs, another level, or fewer amortized locals."""

from __future__ import annotations

from itertools import combinations

from avi_theory.symbolic.analysis import Analysis, LocalVerdict


def advice(analysis: Analysis) -> tuple[str, ...]:
    """Sentences, most useful first; empty where nothing is to be done."""
    lines: list[str] = []
    verdicts = analysis.locals
    for verdict in verdicts.values():
        if verdict.closes == "inputs":
            lines.append(
                f"Give the inference function of {verdict.name} the inputs "
                f"{', '.join(verdict.inputs)}."
            )
        elif verdict.closes == "component" and verdict.unit:
            lines.append(
                f"Amortize at the level of [{','.join(verdict.unit)}]: let the function of "
                f"{verdict.name} see {', '.join(verdict.inputs) or 'nothing'} and its place there."
            )
        elif verdict.closes == "unknown":
            lines.append(
                f"Rewrite the expression that the analysis cannot decide: {verdict.stuck}."
            )
    tied = [v for v in verdicts.values() if v.closes == "no"]
    lines.extend(_scalars(analysis, tied))
    cover = _cover(analysis, tied)
    if cover:
        lines.append(cover)
    lines.extend(_chains(analysis, tied))
    return tuple(dict.fromkeys(lines))


def _scalars(analysis: Analysis, tied: list[LocalVerdict]) -> list[str]:
    return [
        f"Declare {v.name} global: a single latent has nothing to amortize, and the others "
        "no longer interact through it."
        for v in tied
        if not analysis.model.variables[v.name].axes
    ]


def _self_tied(verdict: LocalVerdict) -> bool:
    return any(link.target.name == verdict.name for link in verdict.links)


def _cover(analysis: Analysis, tied: list[LocalVerdict]) -> str:
    """The fewest families to leave un-amortized so that no two amortized locals interact."""
    names = [v.name for v in tied]
    ties = {frozenset((v.name, link.target.name)) for v in tied for link in v.links}
    if any(len(t) == 1 for t in ties) or not ties:
        return ""
    for size in range(1, len(names)):
        for chosen in combinations(names, size):
            if all(t & set(chosen) for t in ties):
                rest = [n for n in names if n not in chosen]
                return (
                    f"Leave {', '.join(chosen)} un-amortized (a factor of its own each): then "
                    f"{', '.join(rest)} closes, if f also receives the variational parameters of "
                    "its neighbours."
                )
    return ""


def _chains(analysis: Analysis, tied: list[LocalVerdict]) -> list[str]:
    lines = []
    for verdict in tied:
        if not _self_tied(verdict):
            continue
        neighbours = [x for x in verdict.interacts_with if x.startswith(f"{verdict.name}[")]
        reach = _reach(verdict)
        if reach:
            lines.append(
                f"Leave {reach} of every {reach + 1} members of {verdict.name} un-amortized: the "
                f"others close, if f also receives the variational parameters of their neighbours "
                f"({', '.join(neighbours)})."
            )
        lines.append(
            f"Amortize whole sequences: with many of them (a new outer index), f may see all of "
            f"{', '.join(verdict.inputs)} and the position, and the model closes at that level."
        )
    return lines


def _reach(verdict: LocalVerdict) -> int:
    """The largest offset of a local's ties to its own family; 0 if they are not offsets."""
    reach = 0
    for link in verdict.links:
        if link.target.name != verdict.name:
            continue
        offsets = []
        for here, there in zip(
            verdict.component.root.pattern if verdict.component else (),
            link.atom.indices,
            strict=True,
        ):
            if here is not None:
                continue
            constant = there.as_coeff_Add()[0]
            offsets.append(
                abs(int(constant)) if there.free_symbols & set(link.place.generics) else 0
            )
        reach = max([reach, *offsets])
    return reach
