"""One model, both answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .brute import POSITION, Brute
from .fixpoint import discrete_dependence, gaussian_dependence
from .reader import read
from .verdict import Answer, Oracle
from .world import World
from .written import expanded, loose_ends

Verdicts = Mapping[str, tuple[str, tuple[str, ...]]]
"""A local's name to what `check` says: closes, inputs."""

SMALL = {1: 11, 2: 6, 3: 4}
TINY = 4
LARGE = {1: 15, 2: 8, 3: 5}


@dataclass(frozen=True)
class Outcome:
    """What came of one comparison.

    Attributes:
        text: the model.
        closes: the oracle's verdicts by local.
        unknown: whether `check` could not decide some local.
        trouble: the disagreements, or "".
        solved: locals whose optimum was computed.
        coincidences: those whose optimum ignores an input at the given numbers.
    """

    text: str
    closes: Mapping[str, str]
    unknown: bool
    trouble: str
    solved: int = 0
    coincidences: int = 0

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
                small[size], large[size] = 3 * SMALL[rank], 3 * LARGE[rank]
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
            continue
        problem = _problem(answer, closes, texts, brute, inputs)
        if problem and closes != "no":
            fewer = brute.answer(name, reduced=True)
            problem = _problem(fewer, closes, texts, brute, inputs)
        if problem:
            trouble.append(f"{name}: {problem}")
    solved, ignored, wrong = _fixpoints(brute, list(verdicts))
    return Outcome(text, found, unknown, "\n".join([*trouble, *wrong]), solved, ignored)


def _fixpoints(brute: Oracle, names: list[str]) -> tuple[int, int, list[str]]:
    """How many optima were computed, how many ignore an input, which need more than the inputs."""
    solved, ignored = 0, 0
    wrong: list[str] = []
    if brute.first.world.kind == "mixed":
        return 0, 0, []
    small = brute.first
    if small.world.kind == "discrete":
        small = Brute(World(brute.program, dict.fromkeys(brute.small, TINY), brute.seed))
    for name in names:
        z = brute.interior(small, name)[0]
        needed = small.inputs(z)
        if small.world.kind == "discrete":
            found = discrete_dependence(small, z)
            needed = {r for r in needed if small.world.role(r) == "observed"}
        else:
            found = gaussian_dependence(small, z)
        if found is None:
            continue
        solved += 1
        ignored += found < needed
        if not found <= needed:
            wrong.append(f"{name}: its optimum moves with {sorted(found - needed)}")
    return solved, ignored, wrong


def _problem(
    answer: Answer, closes: str, texts: tuple[str, ...], brute: Oracle, inputs: bool
) -> str:
    if closes != answer.closes:
        return f"check says {closes} {texts}, brute force {_said(answer)}"
    if inputs and not _same(answer, texts, brute):
        return f"({closes}) check reads {texts}, brute force {_said(answer)}"
    return ""


def _said(answer: Answer) -> str:
    shown = {z: sorted(map(str, w)) for z, w in answer.needed.items()}
    return f"{answer.closes} {shown}"


def _same(answer: Answer, texts: tuple[str, ...], brute: Oracle) -> bool:
    world = brute.first.world
    if answer.closes == "no":
        named = {t.partition("[")[0] for t in texts}
        return named in (answer.names, answer.names | _names_beside(answer, brute.first))
    at = {z: expanded(texts, z, world) for z in answer.needed}
    needed = answer.needed
    if answer.far:
        at = {z: _without_positions(w) for z, w in at.items()}
        needed = {z: _without_positions(w) for z, w in needed.items()}
    spare = {z: loose_ends(texts, z, world) for z in at}
    if all(needed[z] <= w and w - needed[z] <= spare[z] for z, w in at.items()):
        return True
    return all(answer.union <= w and w - answer.union <= spare[z] for z, w in at.items())


def _names_beside(answer: Answer, brute: Brute) -> set[str]:
    """What the next positions need: odd and even positions can be chains of their own."""
    beside = {
        (name, (*place[:k], place[k] + step, *place[k + 1 :]))
        for name, place in answer.needed
        for k in range(len(place))
        for step in (-1, 1)
    }
    return {r[0] for z in beside if z in brute.world.holders for r in brute.inputs(z)}


def _without_positions(needed: set) -> set:  # type: ignore[type-arg]
    return {r for r in needed if r[0] != POSITION}
