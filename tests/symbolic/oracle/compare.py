"""One model, both answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .brute import POSITION, Answer, Oracle
from .reader import read
from .written import expanded

Verdicts = Mapping[str, tuple[str, tuple[str, ...]]]
"""A local's name to what `check` says: closes, inputs."""

SMALL = {1: 11, 2: 6, 3: 4}
LARGE = {1: 15, 2: 8, 3: 5}


@dataclass(frozen=True)
class Outcome:
    """What came of one comparison.

    Attributes:
        text: the model.
        closes: the oracle's verdicts by local.
        unknown: whether `check` could not decide some local.
        trouble: the disagreements, or "".
    """

    text: str
    closes: Mapping[str, str]
    unknown: bool
    trouble: str

    def __str__(self) -> str:
        return f"{self.text}\n{self.trouble}"


def oracle(text: str) -> Oracle:
    """The oracle for a text, at sizes that leave interior positions."""
    program = read(text)
    letters = {x for s in program.statements for r in s.ranges for x in [r.letter]}
    rank = 2 if len(letters) > 1 else 1
    small = dict.fromkeys(program.sizes, SMALL[rank])
    large = dict.fromkeys(program.sizes, LARGE[rank])
    for name in program.maps:
        for letter in program.axes[name]:
            size = program.letters[letter].high.text
            if size in small and rank > 1:
                small[size], large[size] = 4 * (SMALL[rank] - 1), 4 * (LARGE[rank] - 1)
    return Oracle(program, small, large)


def compared(text: str, decide: Callable[[str], Verdicts], inputs: bool = True) -> Outcome:
    """Decide a text by brute force and by the analysis.

    Args:
        text: the model.
        decide: the analysis, from the text.
        inputs: whether the input sets are compared, too.
    """
    brute = oracle(text)
    verdicts = decide(text)
    found: dict[str, str] = {}
    trouble: list[str] = []
    unknown = False
    for name, (closes, texts) in verdicts.items():
        answer = brute.answer(name)
        found[name] = answer.closes
        if closes == "unknown":
            unknown = True
        elif closes != answer.closes:
            trouble.append(f"{name}: check says {closes} {texts}, brute force {_said(answer)}")
        elif inputs and not _same(answer, texts, brute):
            trouble.append(f"{name} ({closes}): check reads {texts}, brute force {_said(answer)}")
    return Outcome(text, found, unknown, "\n".join(trouble))


def _said(answer: Answer) -> str:
    shown = {z: sorted(map(str, w)) for z, w in answer.needed.items()}
    return f"{answer.closes} {shown}"


def _same(answer: Answer, texts: tuple[str, ...], brute: Oracle) -> bool:
    world = brute.first.world
    if answer.closes == "no":
        return {t.partition("[")[0] for t in texts} == answer.names
    named = {z: expanded(texts, z, world) for z in answer.needed}
    needed = answer.needed
    if answer.far:
        named = {z: _without_positions(w) for z, w in named.items()}
        needed = {z: _without_positions(w) for z, w in needed.items()}
    if named == needed:
        return True
    return all(w == answer.union for w in named.values())


def _without_positions(needed: set) -> set:  # type: ignore[type-arg]
    return {r for r in needed if r[0] != POSITION}
