"""Leave some latents un-amortized: the rest closes, alone or in blocks.

A latent with a factor of its own is, for the others, what a global is; so the advice is checked on
the model in which the cover is declared global.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import gcd

from avi_theory.conditions.advice.cover import Cover, Pattern, covers
from avi_theory.conditions.advice.lines import Unfit, lines_of, listed, text_of
from avi_theory.conditions.advice.residues import split
from avi_theory.conditions.advice.suggestion import BOUNDED, SEPARATE, Suggestion
from avi_theory.conditions.advice.ties import Ties, ties_of
from avi_theory.spec.model import Model
from avi_theory.symbolic.analysis import Analysis, analyse


def partial(analysis: Analysis) -> Iterator[Suggestion]:
    """The smallest covers, and longer blocks between fewer members of a chain."""
    model = analysis.model
    ties = ties_of(analysis)
    growing = _growing(analysis, ties)
    found = covers(ties, growing)
    for cover in found:
        others = [c for c in found if c != cover]
        try:
            applied = _applied(model, cover)
        except Unfit:
            continue
        sentence = _sentence(analysis, ties, cover, others, growing)
        yield Suggestion(sentence, applied, SEPARATE, values=model.values)
    yield from _blocks(analysis, ties)


def smallest_cover(model: Model) -> dict[str, str]:
    """The members to leave un-amortized so that no two others are tied, as the advice names them.

    Returns:
        By local ``all``, or a condition as in ``t mod 2 = 0``; empty where none is known.
    """
    analysis = analyse(model)
    ties = ties_of(analysis)
    for cover in covers(ties, _growing(analysis, ties)):
        found = dict.fromkeys(cover.whole, "all")
        for pattern in cover.patterns:
            letters = ties.families[pattern.families[0]]
            for family, kept in zip(pattern.families, pattern.kept, strict=True):
                if len(kept) < pattern.period:
                    found[family] = _residues(letters, pattern, kept) if kept else "all"
        return found
    return {}


def _growing(analysis: Analysis, ties: Ties) -> dict[str, int]:
    """How many axes of each family grow with the data."""
    return {
        v.name: sum(not (a.high - a.low).is_number for a in v.axes)
        for v in analysis.model.locals if v.name in ties.families
    }  # fmt: skip


def declared_global(text: str, names: Iterable[str]) -> str:
    """A model text with some locals declared global."""
    chosen = set(names)
    return text_of(
        replace(line, keyword="global") if line.name in chosen and line.keyword == "local" else line
        for line in lines_of(text)
    )


def _applied(model: Model, cover: Cover) -> str:
    text = declared_global(model.text, cover.whole)
    for pattern in cover.patterns:
        text = _patterned(text, pattern)
    return text


def _patterned(text: str, pattern: Pattern) -> str:
    """The text with the members of a pattern's families that are not kept declared global."""
    model = Model(text)
    if not set(pattern.families) <= set(model.variables):
        raise Unfit(f"{', '.join(pattern.families)} share their index with another pattern")
    classes = {f: {f: 0} for f in pattern.families}  # new name to its residue so far
    for letter, weight in zip(model.variables[pattern.families[0]].letters, pattern.step,
                              strict=True):  # fmt: skip
        period = pattern.period // gcd(weight, pattern.period)
        if period == 1:
            continue
        text, names = split(model, letter, period)
        model = Model(text)
        classes = {
            f: {
                new: (residue + weight * place) % pattern.period
                for old, residue in known.items()
                for place, new in enumerate(names[old], 1)
            }
            for f, known in classes.items()
        }
    left = [
        name
        for family, kept in zip(pattern.families, pattern.kept, strict=True)
        for name, residue in classes[family].items()
        if residue not in kept
    ]
    return declared_global(text, left)


def _sentence(
    analysis: Analysis, ties: Ties, cover: Cover, others: list[Cover], growing: dict[str, int]
) -> str:
    fixed = [n for n in cover.whole if growing[n] == 0]
    whole = [n for n in cover.whole if growing[n] > 0]
    steps: list[str] = []
    if fixed:
        steps.append(
            f"declare {listed(fixed)} global (the number does not grow with the data, so there is "
            "nothing to amortize, and the others no longer interact through it)"
        )
    if whole:
        rivals = [listed([n for n in c.whole if growing[n] > 0]) for c in others]
        least = (
            f"; or {listed(rivals, 'or')} instead, whichever leaves fewer latents" if rivals else ""
        )
        steps.append(f"leave {listed(whole)} un-amortized (a factor of its own each{least})")
    for pattern in cover.patterns:
        steps.append(_part(ties, pattern))
    return _capital("; ".join(steps)) + _gain(analysis, ties, cover)


def _part(ties: Ties, pattern: Pattern) -> str:
    share = pattern.share
    letters = ties.families[pattern.families[0]]
    smallest = ", and no smaller share does" if pattern.smallest else ""
    which = "; ".join(
        f"{family}[{','.join(letters)}] at {_residues(letters, pattern, kept)}"
        if kept
        else f"all of {family}"
        for family, kept in zip(pattern.families, pattern.kept, strict=True)
        if len(kept) < pattern.period
    )
    return (
        f"leave {share.numerator} of every {share.denominator} members of "
        f"{listed(pattern.families)} un-amortized ({which}{smallest})"
    )


def _residues(letters: tuple[str, ...], pattern: Pattern, kept: frozenset[int]) -> str:
    """``t mod 2 = 0`` of the members that are left un-amortized."""
    parts = [
        letter if weight == 1 else f"{weight}*{letter}"
        for letter, weight in zip(letters, pattern.step, strict=True)
        if weight
    ]
    inside = parts[0] if len(parts) == 1 else f"({'+'.join(parts)})"
    left = [str(r) for r in range(pattern.period) if r not in kept]
    return f"{inside} mod {pattern.period} = {' or '.join(left)}"


def _gain(analysis: Analysis, ties: Ties, cover: Cover) -> str:
    split_up = {f for p in cover.patterns for f in p.families}
    rest = [n for n in ties.families if n not in cover.whole and n not in split_up]
    met = [x for n in ties.families for x in analysis.locals[n].interacts_with
           if n not in cover.whole]  # fmt: skip
    subject = listed([*rest, *(["the other members"] if split_up else [])])
    plural = len(rest) > 1 or bool(split_up)
    return (
        f": then {subject} {'close' if plural else 'closes'}, if f also receives the variational "
        f"parameters of the neighbours ({', '.join(dict.fromkeys(met))})."
    )


def _blocks(analysis: Analysis, ties: Ties) -> Iterator[Suggestion]:
    """Fewer members of a chain, with whole blocks between them."""
    if len(ties.families) != 1 or ties.dense or not ties.shifts:
        return
    ((name, letters),) = ties.families.items()
    if len(letters) != 1:
        return
    reach = max(abs(s.offset[0]) for s in ties.shifts)
    period = reach + 2
    pattern = Pattern((name,), (1,), period, (frozenset(range(reach, period)),), False)
    try:
        applied = _patterned(analysis.model.text, pattern)
    except Unfit:
        return
    several = f"{reach} neighbouring members" if reach > 1 else "one member"
    yield Suggestion(
        f"Or leave only {several} of every B members of {name} un-amortized, for any B you like: "
        f"the blocks of B-{reach} between them close as wholes, if f sees the data of its block "
        "and receives the variational parameters at both ends.",
        applied, BOUNDED, values=analysis.model.values,
    )  # fmt: skip


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
