"""Random discrete models against exact odds ratios of their tables.

A pair of discrete variables interacts exactly if some odds ratio of the joint table, all other
variables fixed, is not one.  Tables are random or products of margins, so separability occurs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import pytest

from avi_theory.conditions import check
from avi_theory.spec.model import Model

Site = tuple[str, int]
Vector = list[Fraction]


@dataclass(frozen=True)
class Row:
    """A categorical variable at n given parents at offsets, through a table."""

    name: str
    parents: tuple[tuple[str, int], ...]
    table: str
    low: int
    high: int


@dataclass(frozen=True)
class Spec:
    """Locals, rows and tables."""

    locals: tuple[str, ...]
    states: int
    rows: tuple[Row, ...]
    tables: dict[str, list[object]]

    def text(self) -> str:
        lines = ["index n = 1:N"]
        lines += [f"given {k} = {_written(v)}" for k, v in self.tables.items()]
        for row in self.rows:
            role = "local" if row.name in self.locals else "observed"
            subs = ", ".join(f"{v}[n{o:+d}]".replace("[n+0]", "[n]") for v, o in row.parents)
            p = f"{row.table}[{subs}]" if row.parents else row.table
            if role == "local":
                flat = "[" + ", ".join([f"1/{self.states}"] * self.states) + "]"
                lines += [f"local {row.name}[{k}] ~ Categorical({flat})" for k in range(1, row.low)]
            high = f"N-{row.high}" if row.high else "N"
            lines.append(f"{role} {row.name}[n] ~ Categorical({p}) for n in {row.low}:{high}")
        return "\n".join(lines)


def _written(table: object) -> str:
    if isinstance(table, list):
        return "[" + ", ".join(_written(t) for t in table) + "]"
    return str(table)


def draw(seed: int) -> Spec:
    stream = random.Random(seed)
    states = stream.choice([2, 2, 3])
    names = ("a", "b")[: stream.choice([1, 2])]
    tables: dict[str, list[object]] = {}

    def row() -> Vector:
        weights = [stream.randrange(1, 6) for _ in range(states)]
        return [Fraction(w, sum(weights)) for w in weights]

    def table(depth: int, blind: set[int]) -> list[object]:
        name = "ABCDEFGH"[len(tables)]
        rows: dict[tuple[int, ...], Vector] = {}

        def build(place: tuple[int, ...]) -> list[object]:
            if len(place) == depth:
                seen = tuple(p for k, p in enumerate(place) if k not in blind)
                return list(rows.setdefault(seen, row()))
            return [build((*place, k)) for k in range(states)]

        tables[name] = build(())
        return [name]

    rows: list[Row] = []
    for name in names:
        kind = stream.choice(["plain", "chain", "plain"])
        if kind == "chain":
            blind = {0} if stream.random() < 0.5 else set()
            (t,) = table(1, blind)
            rows.append(Row(name, ((name, -1),), str(t), 2, 0))
        else:
            (t,) = table(0, set())
            rows.append(Row(name, (), str(t), 1, 0))
    for x in ("x", "y")[: stream.choice([1, 2])]:
        count = stream.choice([1, 2])
        parents = []
        for _ in range(count):
            parent = (stream.choice(names), stream.choice([0, 0, 1, -1]))
            if parent not in parents:
                parents.append(parent)
        blind = {k for k in range(len(parents)) if stream.random() < 0.3}
        (t,) = table(len(parents), blind)
        rows.append(Row(x, tuple(parents), str(t), 2, 1))
    return Spec(names, states, tuple(rows), tables)


def interactions(spec: Spec, size: int) -> dict[frozenset[Site], bool]:
    """All pairs that share a factor, and whether some odds ratio differs from one."""
    factors: list[tuple[list[Site], list[object]]] = []
    for row in spec.rows:
        for n in range(row.low, size - row.high + 1):
            sites = [*((v, n + o) for v, o in row.parents), (row.name, n)]
            factors.append((sites, spec.tables[row.table]))
    pairs: dict[frozenset[Site], list[tuple[list[Site], list[object]]]] = {}
    for sites, table in factors:
        for i, p in enumerate(sites):
            for q in sites[i + 1 :]:
                pairs.setdefault(frozenset((p, q)), []).append((sites, table))
    return {pair: _tied(spec, sorted(pair), shared) for pair, shared in pairs.items()}


def _tied(spec: Spec, pair: list[Site], shared: list[tuple[list[Site], list[object]]]) -> bool:
    others = sorted({s for sites, _ in shared for s in sites} - set(pair))
    for rest in product(range(spec.states), repeat=len(others)):
        known = dict(zip(others, rest, strict=True))

        def value(a: int, b: int, known: dict[Site, int] = known) -> Fraction:
            env = {**known, pair[0]: a, pair[1]: b}
            result = Fraction(1)
            for sites, table in shared:
                entry: object = table
                for s in sites:
                    assert isinstance(entry, list)
                    entry = entry[env[s]]
                assert isinstance(entry, Fraction)
                result *= entry
            return result

        for a in range(1, spec.states):
            for b in range(1, spec.states):
                if value(a, b) * value(0, 0) != value(a, 0) * value(0, b):
                    return True
    return False


def oracle(spec: Spec, name: str) -> tuple[str, set[str]]:
    """The verdict of a local and, where its component is bounded, its inputs."""
    middle = 6
    seen = []
    for size in (11, 14):
        tied = {pair for pair, value in interactions(spec, size).items() if value}
        members, queue = {(name, middle)}, [(name, middle)]
        data: set[Site] = set()
        while queue:
            p = queue.pop()
            for pair in tied:
                if p in pair:
                    (q,) = pair - {p}
                    if q[0] not in spec.locals:
                        data.add(q)
                    elif q not in members:
                        members.add(q)
                        queue.append(q)
        seen.append((members, data))
    members, data = seen[0]
    if len(seen[1][0]) > len(members):
        return ("no" if len(seen[1][1]) > len(data) else "inputs"), set()
    inputs = {f"{x}[n{k - middle:+d}]".replace("[n+0]", "[n]") for x, k in data}
    own = {k for _, k in members} == {middle} and all(k == middle for _, k in data)
    return ("own" if own else "inputs"), inputs


def compare(seed: int) -> None:
    spec = draw(seed)
    report = check(Model(spec.text()), witness=False)
    for name in spec.locals:
        closes, inputs = oracle(spec, name)
        got = report.locals[name]
        message = f"seed {seed} {name} {closes} {sorted(inputs)}\n{spec.text()}\n{report}"
        assert got.closes == closes, message
        if inputs:
            assert set(got.inputs) == inputs, message


@pytest.mark.parametrize("block", range(5))
def test_random_discrete_models(block: int) -> None:
    for seed in range(block * 8, block * 8 + 8):
        compare(seed)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("block", range(4))
def test_a_thousand_random_discrete_models(block: int) -> None:
    for seed in range(block * 250, block * 250 + 250):
        compare(seed)
