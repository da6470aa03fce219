"""One model, both answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from avi_theory.results.report import LocalReport, Report

from .brute import POSITION, Brute
from .fixpoint import discrete_dependence, gaussian_dependence
from .reader import Program, read
from .verdict import Answer, Oracle
from .whole import Whole
from .world import Ref, World
from .written import expanded, loose_ends

Decide = Callable[[str], Report]
"""What `check` says of a text."""

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
        made: how many comparisons of each kind were made.
    """

    text: str
    closes: Mapping[str, str]
    unknown: bool
    trouble: str
    solved: int = 0
    coincidences: int = 0
    made: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return f"{self.text}\n{self.trouble}"


def oracle(text: str) -> Oracle:
    """The oracle for a text, at sizes that leave interior positions."""
    program = read(text)
    letters = {x for s in program.statements for r in s.ranges for x in [r.letter]}
    rank = 2 if len(letters) > 1 else 1
    reach = 2 * _reach(program) if rank == 1 else -9
    small = dict.fromkeys(program.sizes, max(SMALL[rank], reach + 7))
    large = dict.fromkeys(program.sizes, max(LARGE[rank], reach + 11))
    for name in program.maps:
        for letter in program.axes[name]:
            size = program.letters[letter].high.text
            if size in small and rank > 1:
                small[size], large[size] = 3 * SMALL[rank], 3 * LARGE[rank]
    return Oracle(program, small, large)


def _reach(program: Program) -> int:
    """The last position near the start that a range names."""
    ends = [end.text for s in program.statements for r in s.ranges for end in (r.low, r.high)]
    return max([0, *(int(e) for e in ends if e.isdigit())])


def compared(text: str, decide: Decide) -> Outcome:
    """Decide a text by brute force and by `check`.

    Args:
        text: the model.
        decide: `check`, from the text.
    """
    brute = oracle(text)
    report = decide(text)
    answers = {name: brute.answer(name) for name in report.locals}
    found = {name: answer.closes for name, answer in answers.items()}
    names = list(report.locals)
    if any(v.closes == "unknown" for v in report.locals.values()):
        return Outcome(text, found, True, "")
    made: Counter[str] = Counter()
    trouble: list[str] = []
    for name, local in report.locals.items():
        problem = _problem(answers[name], local, brute)
        if problem and local.closes != "no":
            problem = _problem(brute.answer(name, reduced=True), local, brute)
        trouble += [f"{name}: {problem}"] * bool(problem)
        made.update(("verdict", "inputs"))
    solved, ignored, wrong = _fixpoints(brute, names)
    made["optima"] = solved
    beside = _beside(Whole(brute, answers), report, made)
    troubles = "\n".join([*trouble, *wrong, *beside])
    return Outcome(text, found, False, troubles, solved, ignored, made)


def _beside(whole: Whole, report: Report, made: Counter[str]) -> list[str]:
    """What is wrong with a report's neighbours, edges, unit and `simple_hierarchical`."""
    wrong = []
    for name, local in report.locals.items():
        for problem in (
            whole.neighbours_wrong(name, local.interacts_with),
            whole.edges_wrong(name, local.edges),
        ):
            wrong += [f"{name}: check says {problem}"] * bool(problem)
        made.update(("interacts_with", "edges"))
    if set(report.unit) != whole.unit:
        wrong.append(f"check says unit {report.unit}, brute force {sorted(whole.unit)}")
    if report.simple_hierarchical != whole.simple:
        wrong.append(f"check says simple_hierarchical {report.simple_hierarchical}, not so")
    made.update(("unit", "simple_hierarchical"))
    return wrong


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


def _problem(answer: Answer, local: LocalReport, brute: Oracle) -> str:
    if local.closes != answer.closes:
        return f"check says {local.closes} {local.inputs}, brute force {_said(answer)}"
    if not _same(answer, local.inputs, brute):
        return f"({local.closes}) check reads {local.inputs}, brute force {_said(answer)}"
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
    if answer.closes != "component":
        return len(at) > 1 and _by_members(texts, needed, world)
    inside = {z: _without_positions(w) for z, w in needed.items()}
    return (len(at) > 1 and _by_members(texts, inside, world)) or all(
        answer.union <= w and w - answer.union <= spare[z] for z, w in at.items()
    )


def _by_members(texts: tuple[str, ...], needed: Mapping[Ref, set[Any]], world: World) -> bool:
    """Whether members at written-out places find all they need, and each input serves one."""
    said = {z: {t: expanded((t,), z, world) for t in texts} for z in needed}
    enough = all(w <= {r for refs in said[z].values() for r in refs} for z, w in needed.items())
    return enough and all(any(said[z][t] and said[z][t] <= w for z, w in needed.items())
                          for t in texts)  # fmt: skip


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
