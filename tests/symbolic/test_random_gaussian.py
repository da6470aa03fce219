"""Random linear-Gaussian models against exact linear algebra at two sizes.

The oracle writes the precision matrix down as fractions, finds components by walking over its
non-zero entries, and reads the inputs off the non-zero entries of the data's coefficients.  It
shares no code with the analysis.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

import pytest

from avi_theory.conditions import check
from avi_theory.spec.model import Model

Site = tuple[str, int]


@dataclass(frozen=True)
class Row:
    """Some variable at n given others at offsets: coefficients by (name, offset)."""

    name: str
    mean: tuple[tuple[Fraction, str, int], ...]
    scale: int
    low: int
    high: int  # below N


@dataclass(frozen=True)
class Spec:
    """A random model: rows of locals and of observations."""

    locals: tuple[str, ...]
    rows: tuple[Row, ...]

    def text(self) -> str:
        lines = ["index n = 1:N"]
        for row in self.rows:
            role = "local" if row.name in self.locals else "observed"
            mean = " + ".join(f"({c})*{v}[n{o:+d}]" for c, v, o in row.mean) or "0"
            mean = mean.replace("[n+0]", "[n]")
            if role == "local" and row.low > 1:
                lines += [f"local {row.name}[{k}] ~ Normal(0, 1)" for k in range(1, row.low)]
            if role == "local" and row.high:
                lines += [
                    f"local {row.name}[N{'' if not k else f'-{k}'}] ~ Normal(0, 1)"
                    for k in range(row.high)
                ]
            high = f"N-{row.high}" if row.high else "N"
            lines.append(
                f"{role} {row.name}[n] ~ Normal({mean}, {row.scale}) for n in {row.low}:{high}"
            )
        return "\n".join(lines)


def draw(seed: int) -> Spec:
    stream = random.Random(seed)
    names = ["a", "b"][: stream.choice([1, 2, 2])]
    coefficients = [Fraction(1), Fraction(-1), Fraction(1), Fraction(2), Fraction(0)]
    rows: list[Row] = []
    for k, name in enumerate(names):
        kind = stream.choice(["plain", "plain", "plain", "chain", "parent"])
        if kind == "chain":
            phi = stream.choice([Fraction(1, 2), Fraction(0), Fraction(1)])
            rows.append(Row(name, ((phi, name, -1),), 1, 2, 0))
        elif kind == "parent" and k:
            offset = stream.choice([0, 0, -1])
            rows.append(Row(name, ((Fraction(1), names[0], offset),), 1, 1 - offset, 0))
        else:
            rows.append(Row(name, (), 1, 1, 0))
    for x in ["x", "y", "w"][: stream.choice([1, 2, 2, 3])]:
        parts: dict[tuple[str, int], Fraction] = {}
        for _ in range(stream.choice([1, 2, 2])):
            key = (stream.choice(names), stream.choice([0, 0, 0, 1, -1]))
            parts[key] = stream.choice(coefficients)
        if stream.random() < 0.15:
            parts[x, -1] = Fraction(1)
        mean = tuple((c, v, o) for (v, o), c in parts.items())
        rows.append(Row(x, mean, stream.choice([1, 1, 2]), 2, 1))
    if stream.random() < 0.4 and len(names) == 2:
        rows = [r for r in rows if r.name in names]
        a, b = (names[0], 0), (names[1], stream.choice([0, 1]))
        for x, signs in (("x", 1), ("y", -1)):
            scale = 1 if stream.random() < 0.8 else 2
            mean = ((Fraction(1), *a), (Fraction(signs), *b))
            rows.append(Row(x, mean, scale, 2, 1))
    return Spec(tuple(names), tuple(rows))


def normal_equations(
    spec: Spec, size: int
) -> tuple[dict[tuple[Site, Site], Fraction], dict[tuple[Site, Site], Fraction]]:
    """Λ between locals and B from observations to locals, at N = size."""
    precision: dict[tuple[Site, Site], Fraction] = {}
    weights: dict[tuple[Site, Site], Fraction] = {}
    for row in spec.rows:
        points: list[tuple[int, bool]] = [
            (n, True) for n in range(row.low, size - row.high + 1)
        ]  # fmt: skip
        if row.name in spec.locals:
            points += [(n, False) for n in range(1, row.low)]
            points += [(size - k, False) for k in range(row.high)]
        for n, full in points:
            residual: dict[Site, Fraction] = {(row.name, n): Fraction(1)}
            for c, v, o in row.mean if full else ():
                residual[v, n + o] = residual.get((v, n + o), Fraction(0)) - c
            for p, cp in residual.items():
                for q, cq in residual.items():
                    amount = cp * cq / Fraction(row.scale if full else 1) ** 2
                    if p[0] in spec.locals and q[0] in spec.locals:
                        precision[p, q] = precision.get((p, q), Fraction(0)) + amount
                    elif p[0] in spec.locals:
                        weights[p, q] = weights.get((p, q), Fraction(0)) - amount
    return precision, weights


def component(precision: dict[tuple[Site, Site], Fraction], root: Site) -> set[Site]:
    neighbours: dict[Site, set[Site]] = {}
    for (p, q), value in precision.items():
        if value and p != q:
            neighbours.setdefault(p, set()).add(q)
    seen, queue = {root}, [root]
    while queue:
        for q in neighbours.get(queue.pop(), ()):
            if q not in seen:
                seen.add(q)
                queue.append(q)
    return seen


def inverse_row(
    precision: dict[tuple[Site, Site], Fraction], members: list[Site], root: Site
) -> dict[Site, Fraction]:
    size = len(members)
    rows = [
        [precision.get((p, q), Fraction(0)) for q in members] + [Fraction(int(p == root))]
        for p in members
    ]
    for k in range(size):
        for i in range(size):
            if i != k and rows[i][k]:
                ratio = rows[i][k] / rows[k][k]
                rows[i] = [x - ratio * y for x, y in zip(rows[i], rows[k], strict=True)]
    return {p: rows[k][size] / rows[k][k] for k, p in enumerate(members)}


def oracle(spec: Spec, name: str) -> tuple[str, set[str]]:
    """The verdict and the inputs of a local, from two sizes."""
    small, large = 13, 17
    middle = 7
    found = []
    for size in (small, large):
        precision, weights = normal_equations(spec, size)
        members = component(precision, (name, middle))
        data = {q for (p, q), value in weights.items() if p in members and value}
        found.append((precision, weights, members, data))
    precision, weights, members, data = found[0]
    if len(found[1][2]) > len(members):
        if len(found[1][3]) > len(data):
            return "no", {f"{x}[:]" for x, _ in data}
        return "far", set()
    ordered = sorted(members)
    row = inverse_row(precision, ordered, (name, middle))
    effect: dict[Site, Fraction] = {}
    for (p, q), value in weights.items():
        if p in members:
            effect[q] = effect.get(q, Fraction(0)) + row[p] * value
    needed = {q for q, value in effect.items() if value}
    inputs = {f"{x}[n{k - middle:+d}]".replace("[n+0]", "[n]") for x, k in needed}
    places = {k for _, k in members}
    own = places == {middle} and all(k == middle for _, k in needed)
    return ("own" if own else "inputs"), inputs


def compare(seed: int) -> None:
    spec = draw(seed)
    report = check(Model(spec.text()), witness=False)
    for name in spec.locals:
        closes, inputs = oracle(spec, name)
        got = report.locals[name]
        message = f"seed {seed}\n{spec.text()}\noracle {closes} {sorted(inputs)}\n{report}"
        if closes == "far":
            assert got.closes == "inputs", message
            continue
        assert got.closes == closes, message
        assert set(got.inputs) == inputs, message


@pytest.mark.parametrize("block", range(5))
def test_random_gaussian_models(block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        compare(seed)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("block", range(10))
def test_five_thousand_random_gaussian_models(block: int) -> None:
    for seed in range(block * 500, block * 500 + 500):
        compare(seed)
