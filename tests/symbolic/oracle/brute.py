r"""Components and inputs of an unrolled model, by evaluating mixed differences of its density.

.. math:: K_n \ni z_n \text{ connected}, \qquad W_n = \bigcup_{j \in K_n} D_j

Everything is read off numbers: exact fractions in Gaussian and discrete models, floats in mixed
ones.  Positions count as inputs if the density at another position differs at equal values.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

from .densities import zero
from .reader import Program
from .world import Factor, Ref, Values, World

TRIALS = 2
POSITION = "position"


class Brute:
    """What interacts with what at one size.

    Args:
        world: the unrolled model.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._pairs: dict[frozenset[Ref], bool] = {}
        self._neighbours: dict[Ref, list[Ref]] = {}
        self._data: dict[Ref, list[Ref]] = {}

    def interact(self, u: Ref, v: Ref, factors: list[Factor] | None = None) -> bool:
        """Whether the mixed second difference of the summed factors is not identically zero."""
        world = self.world
        if factors is None:
            factors = [f for f in world.holders.get(u, []) if v in f.holds]
        others = {r for f in factors for r in f.holds} - {u, v}
        trials, many = _effort(factors)
        for trial in range(trials):
            us = world.choices(u, f"u{trial}", many)
            vs = world.choices(v, f"v{trial}", many)
            base = Values(world, trial)
            for put in world.assignments(others, trial):
                table = [
                    [world.energy(factors, base.changed({**put, u: a, v: b})) for b in vs]
                    for a in us
                ]
                for r, s in combinations(table, 2):
                    for j, k in combinations(range(len(vs)), 2):
                        if not zero((r[j] + s[k]) - (r[k] + s[j])):
                            return True
        return False

    def neighbours(self, z: Ref) -> list[Ref]:
        """The locals that interact with a local."""
        if z not in self._neighbours:
            self._neighbours[z] = [
                v for v in self.world.scopes(z, "local") if self._coupled(z, v)
            ]  # fmt: skip
        return self._neighbours[z]

    def _coupled(self, u: Ref, v: Ref) -> bool:
        pair = frozenset((u, v))
        if pair not in self._pairs:
            self._pairs[pair] = self.interact(u, v)
        return self._pairs[pair]

    def data(self, z: Ref) -> list[Ref]:
        """The observations, covariates and selecting maps that interact with a local."""
        if z not in self._data:
            world = self.world
            found = [v for v in world.scopes(z, "observed") if self.interact(z, v)]
            for c in world.scopes(z, "given"):
                if self.interact(z, c, world.holders[z]):
                    found.append(c)
            self._data[z] = found
        return self._data[z]

    def component(self, root: Ref) -> list[Ref]:
        """The locals connected with a local."""
        seen, queue = {root: None}, deque([root])
        while queue:
            for v in self.neighbours(queue.popleft()):
                if v not in seen:
                    seen[v] = None
                    queue.append(v)
        return sorted(seen)

    def inputs(self, root: Ref) -> set[Ref]:
        """All data of a component."""
        return {d for z in self.component(root) for d in self.data(z)}

    def tuple_of(self, ref: Ref) -> frozenset[tuple[str, int]]:
        """Its index tuple: letters with values."""
        return frozenset(zip(self.world.program.axes[ref[0]], ref[1], strict=True))

    def closure(self, ref: Ref) -> frozenset[tuple[str, int]]:
        """Its index tuple with what membership maps say about it."""
        found = set(self.tuple_of(ref))
        for name, letter in self.world.program.maps.items():
            axes = self.world.program.axes[name]
            known = dict(found)
            if name in self.world.shape and all(a in known for a in axes):
                found.add((letter, self.world.shape[name][tuple(known[a] for a in axes)]))
        return frozenset(found)


def _effort(factors: list[Factor]) -> tuple[int, int]:
    """Random points, and values per variable: more where a density is piecewise linear."""
    kinks = any(f.statement.family == "Laplace" for f in factors)
    return (20, 3) if kinks else (TRIALS, 2)


class Shifted:
    """Compares the density of a local with that of the same local at another position.

    Args:
        brute: of a balanced world.
    """

    def __init__(self, brute: Brute) -> None:
        self.brute, self.world = brute, brute.world

    def differs(self, z: Ref, letter: str, steps: tuple[int, ...] = (-1, 1)) -> bool:
        """Whether the density at a position differs from that `steps` further, at equal values."""
        here = dict(self.brute.closure(z))[letter]
        first = self._differences(z, letter, here)
        for step in steps:
            other = self._moved(z, letter, step)
            if other is None:
                continue
            second = self._differences(other, letter, here + step)
            if any(not zero(a - b) for a, b in zip(first, second, strict=True)):
                return True
        return False

    def _moved(self, z: Ref, letter: str, step: int) -> Ref | None:
        axes = self.world.program.axes[z[0]]
        if letter in axes:
            place = tuple(i + step * (a == letter) for a, i in zip(axes, z[1], strict=True))
            return (z[0], place) if place in self.world.points[z[0]] else None
        target = self._relative(z, letter, dict(self.brute.closure(z))[letter])
        new = dict(self.brute.closure(z))[letter] + step
        for place in self.world.points[z[0]]:
            if self._relative((z[0], place), letter, new) == target:
                return z[0], place
        return None

    def _relative(self, ref: Ref, letter: str, at: int) -> object:
        """A reference seen from a position: offsets along the letter, ranks within groups."""
        if self.world.role(ref) == "global":
            return ref
        parts: list[object] = []
        for axis, i in zip(self.world.program.axes.get(ref[0], ()), ref[1], strict=True):
            if axis == letter:
                parts.append(("by", i - at))
                continue
            maps = [
                m for m, to in self.world.program.maps.items()
                if to == letter and self.world.program.axes[m] == (axis,)
                and m in self.world.shape
            ]  # fmt: skip
            if maps:
                shape = self.world.shape[maps[0]]
                group = sorted(p for p, g in shape.items() if g == shape[i,])
                parts.append(("member", shape[i,] - at, group.index((i,))))
            else:
                parts.append(i)
        return ref[0], tuple(parts)

    def _differences(self, z: Ref, letter: str, at: int) -> list[Any]:
        world = self.world
        found = []
        for trial in range(_effort(world.holders[z])[0]):
            values = Values(world, ("shift", trial), key=lambda r: self._relative(r, letter, at))
            values.edges = False
            energies = [
                world.energy(world.holders[z], values.changed({z: a}))
                for a in world.choices((z[0], ()), trial, 3)
            ]
            found += [e - energies[0] for e in energies[1:]]
        return found


@dataclass
class Answer:
    """The oracle's verdict on one local variable.

    Attributes:
        closes: own, inputs, component or no.
        far: whether the component grows although its data do not; positions are then left open.
        needed: per position looked at: references and `(POSITION, letter)`.
    """

    closes: str
    needed: dict[Ref, set[Any]]
    far: bool = False

    @property
    def names(self) -> set[str]:
        """Of everything needed but positions."""
        return {r[0] for w in self.needed.values() for r in w if r[0] != POSITION}

    @property
    def union(self) -> set[Any]:
        """What all the positions need together."""
        return {r for w in self.needed.values() for r in w}


@dataclass
class Oracle:
    """Decides a program at two sizes.

    Args:
        program: the text, read.
        sizes: two values for every size, the smaller first.
        seed: for maps.
    """

    program: Program
    small: dict[str, int]
    large: dict[str, int]
    seed: int = 0

    @cached_property
    def first(self) -> Brute:
        """At the smaller size."""
        return Brute(World(self.program, self.small, self.seed))

    @cached_property
    def second(self) -> Brute:
        """At the larger size."""
        return Brute(World(self.program, self.large, self.seed))

    @cached_property
    def balanced(self) -> Brute:
        """At the smaller size with equal groups, to compare positions."""
        return Brute(World(self.program, self.small, self.seed, balanced=True))

    def answer(self, name: str) -> Answer:
        """The verdict on a local."""
        order = ("own", "inputs", "component", "no")
        verdicts = {z: self._one(z) for z in self.interior(self.first, name)}
        closes = max((v for v, _ in verdicts.values()), key=order.index)
        far = closes == "inputs" and any(
            len({j[0] for j in self.first.component(z)}) < len(self.first.component(z))
            for z in verdicts
        )
        return Answer(closes, {z: w for z, (_, w) in verdicts.items()}, far)

    def interior(self, brute: Brute, name: str) -> list[Ref]:
        """Points in the middle along ranges that grow; all points along fixed ones."""
        world, program = brute.world, self.program
        chosen: list[dict[str, int]] = [{}]
        for letter in program.axes[name]:
            interval = program.letters[letter]
            fixed = set(interval.high.code.co_names) <= set(interval.high.constants)
            ragged = set(interval.high.code.co_names) & set(program.axes)
            line = [2] if ragged else [p[letter] for p in world.grid((interval,))]
            if not fixed or len(line) > 6:
                line = [line[len(line) // 2]]
            chosen = [{**env, letter: k} for env in chosen for k in line]
        return [(name, tuple(env[x] for x in program.axes[name])) for env in chosen]

    def _one(self, z: Ref) -> tuple[str, set[Any]]:
        component = self.first.component(z)
        needed = self.first.inputs(z)
        own = self.first.tuple_of(z)
        tuples = {self.first.tuple_of(j) for j in component}
        middle = self.interior(self.second, z[0])[0]
        if len(tuples) == 1:
            needed = self._varying(needed, self._letters(z))
            needed |= self._positions(z, {x for x, _ in own})
            attached = all(
                r[0] in self.program.roles and own <= self.first.closure(r) for r in needed
            )
            return ("own" if attached else "inputs"), needed
        shared = frozenset.intersection(*(self.first.closure(j) for j in component))
        names = [j[0] for j in component]
        one_each = len(set(names)) == len(names)
        if one_each and self._conflict(tuples):
            needed = self._varying(needed, self._letters(z))
            return "inputs", needed | self._positions(z, {x for x, _ in own})
        if shared:
            unit = {x for x, _ in shared}
            needed = self._varying(needed, unit)
            return "component", needed | self._positions(z, unit)
        if len(self.second.component(middle)) == len(component):
            return ("component" if not one_each else "inputs"), needed
        more = self.second.inputs(middle)
        return ("no" if len(more) > len(needed) else "inputs"), needed

    def _conflict(self, tuples: set[frozenset[tuple[str, int]]]) -> bool:
        seen: dict[str, set[int]] = {}
        for t in tuples:
            for x, k in t:
                seen.setdefault(x, set()).add(k)
        return any(len(v) > 1 for v in seen.values())

    def _letters(self, z: Ref) -> set[str]:
        return {x for x, _ in self.first.closure(z)}

    def _varying(self, needed: set[Any], letters: set[str]) -> set[Any]:
        """Needed references without the givens that every unit needs alike."""
        return {
            r for r in needed
            if self.first.world.role(r) != "given"
            or {x for x, _ in self.first.closure(r)} & letters
        }  # fmt: skip

    def _positions(self, z: Ref, letters: set[str]) -> set[Any]:
        balanced = self.balanced
        shifted = Shifted(balanced)
        found: set[Any] = set()
        start = self.interior(balanced, z[0])[0] if z not in balanced.world.holders else z
        for letter in letters:
            if any(
                shifted.differs(j, letter)
                for j in balanced.component(start)
                if letter in dict(balanced.closure(j))
            ):
                found.add((POSITION, letter))
        return found
