"""Random linear-Gaussian models on nested and crossed plates against exact linear algebra.

Locals live on subsets of two indices g and i; observations hold sums of them with signs, so that
cancellations between statements occur.  The oracle writes everything down at two sizes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import pytest

from avi_theory.conditions import check
from avi_theory.spec.model import Model

Point = tuple[str, tuple[int, ...]]
LETTERS = ("g", "i")


@dataclass(frozen=True)
class Statement:
    """An observation over some letters: mean as signed sum of locals, unit or double scale."""

    name: str
    axes: tuple[str, ...]
    mean: tuple[tuple[int, str], ...]
    scale: int


@dataclass(frozen=True)
class Spec:
    """Locals with their axes, and statements."""

    locals: dict[str, tuple[str, ...]]
    statements: tuple[Statement, ...]

    def text(self) -> str:
        used = {x for axes in self.locals.values() for x in axes}
        used |= {x for s in self.statements for x in s.axes}
        lines = [f"index {x} = 1:{x.upper()}" for x in LETTERS if x in used]
        for name, axes in self.locals.items():
            lines.append(f"local {_ref(name, axes)} ~ Normal(0, 1)")
        for s in self.statements:
            mean = " + ".join(f"({c})*{_ref(v, self.locals[v])}" for c, v in s.mean)
            lines.append(f"observed {_ref(s.name, s.axes)} ~ Normal({mean}, {s.scale})")
        return "\n".join(lines)


def _ref(name: str, axes: tuple[str, ...]) -> str:
    return f"{name}[{','.join(axes)}]" if axes else name


def draw(seed: int) -> Spec:
    stream = random.Random(seed)
    shapes = [("g",), ("i",), ("g", "i"), ("g",), ("g", "i")]
    locals_ = {n: stream.choice(shapes) for n in ("a", "b", "c")[: stream.choice([1, 2, 2, 3])]}
    statements = []
    names = ["x", "y", "w"]
    while names and len(statements) < stream.choice([1, 2, 3]):
        chosen = stream.sample(sorted(locals_), stream.choice([1, 1, 2]) if len(locals_) > 1 else 1)
        axes = tuple(x for x in LETTERS if any(x in locals_[v] for v in chosen))
        if stream.random() < 0.4:
            axes = LETTERS
        mean = tuple((stream.choice([1, -1, 1, 2]), v) for v in sorted(chosen))
        scale = stream.choice([1, 1, 2])
        statements.append(Statement(names.pop(0), axes, mean, scale))
        if len(mean) == 2 and names and stream.random() < 0.6:
            flipped = (mean[0], (-mean[1][0], mean[1][1]))
            statements.append(Statement(names.pop(0), axes, flipped, scale))
    return Spec(locals_, tuple(statements))


def equations(
    spec: Spec, sizes: dict[str, int]
) -> tuple[dict[tuple[Point, Point], Fraction], dict[tuple[Point, Point], Fraction]]:
    """Off-diagonal precision between locals, and weights of observations on locals."""
    precision: dict[tuple[Point, Point], Fraction] = {}
    weights: dict[tuple[Point, Point], Fraction] = {}
    for s in spec.statements:
        for place in product(*(range(sizes[x]) for x in s.axes)):
            env = dict(zip(s.axes, place, strict=True))
            sites = [
                (c, (v, tuple(env[x] for x in spec.locals[v]))) for c, v in s.mean
            ]  # fmt: skip
            for c, p in sites:
                amount = Fraction(c, s.scale**2)
                key = (p, (s.name, place))
                weights[key] = weights.get(key, Fraction(0)) + amount
                for d, q in sites:
                    if p != q:
                        precision[p, q] = precision.get((p, q), Fraction(0)) + amount * d
    return precision, weights


def component(precision: dict[tuple[Point, Point], Fraction], root: Point) -> set[Point]:
    neighbours: dict[Point, set[Point]] = {}
    for (p, q), value in precision.items():
        if value:
            neighbours.setdefault(p, set()).add(q)
    seen, queue = {root}, [root]
    while queue:
        for q in neighbours.get(queue.pop(), ()):
            if q not in seen:
                seen.add(q)
                queue.append(q)
    return seen


def oracle(spec: Spec, name: str) -> str:
    """The verdict of a local, by growing one index at a time."""
    axes = spec.locals[name]
    base = {"g": 4, "i": 5}

    def look(sizes: dict[str, int]) -> tuple[set[Point], set[Point]]:
        precision, weights = equations(spec, sizes)
        members = component(precision, (name, (1,) * len(axes)))
        data = {q for (p, q), value in weights.items() if p in members and value}
        return members, data

    members, data = look(base)
    if len(members) == 1:
        statements = {s.name: s.axes for s in spec.statements}
        own = all(
            all(dict(zip(statements[q], place, strict=True)).get(x) == 1 for x in axes)
            for q, place in data
        )
        return "own" if own else "inputs"
    kept = [
        x for x in LETTERS
        if all(
            x in spec.locals[v] and place[spec.locals[v].index(x)] == 1 for v, place in members
        )
    ]  # fmt: skip
    several = any(set(spec.locals[v]) != set(kept) for v, _ in members)
    if not several:
        return "own"
    if kept:
        return "component"
    return "no" if len(look({"g": 6, "i": 7})[1]) > len(data) else "inputs"


def compare(seed: int) -> None:
    spec = draw(seed)
    report = check(Model(spec.text()), witness=False)
    for name in spec.locals:
        closes = oracle(spec, name)
        assert report.locals[name].closes == closes, f"seed {seed} {name} {closes}\n{report}"


@pytest.mark.parametrize("block", range(5))
def test_random_plates(block: int) -> None:
    for seed in range(block * 12, block * 12 + 12):
        compare(seed)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("block", range(4))
def test_two_thousand_random_plates(block: int) -> None:
    for seed in range(block * 500, block * 500 + 500):
        compare(seed)
