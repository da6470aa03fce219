"""The oracle's verdict, read off the components and inputs at two sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .brute import POSITION, Brute, Shifted
from .fixpoint import LARGEST, gaussian_dependence
from .reader import Program
from .world import Ref, World


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
    reduced: bool = False

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

    def answer(self, name: str, reduced: bool = False) -> Answer:
        """The verdict on a local.

        Args:
            name: of the local.
            reduced: leave out what the optimum ignores at the given numbers (Gaussian models).
        """
        order = ("own", "inputs", "component", "no")
        self.reduced = reduced
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
                line = [self._middle(world, letter, line)]
            chosen = [{**env, letter: k} for env in chosen for k in line]
        return [(name, tuple(env[x] for x in program.axes[name])) for env in chosen]

    def _middle(self, world: World, letter: str, line: list[int]) -> int:
        """A position in the middle, and in a group in the middle if a map puts it into one."""
        middle = line[len(line) // 2]
        for name, target in self.program.maps.items():
            if self.program.axes[name] == (letter,) and name in world.shape:
                groups = [p[target] for p in world.grid((self.program.letters[target],))]
                wanted = groups[len(groups) // 2]
                return min(
                    (k for k in line if world.shape[name][k,] == wanted),
                    key=lambda k: abs(k - middle), default=middle,
                )  # fmt: skip
        return middle

    def _one(self, z: Ref) -> tuple[str, set[Any]]:
        component = self.first.component(z)
        needed: set[Any] = self._needed(z)
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
        units = self.units(component)
        names = [j[0] for j in component]
        one_each = len(set(names)) == len(names)
        if one_each and self._conflict(tuples):
            needed = self._varying(needed, self._letters(z))
            return "inputs", needed | self._positions(z, {x for x, _ in own})
        if units:
            needed = self._varying(needed, units)
            return "component", needed | self._positions(z, units)
        if len(self.second.component(middle)) == len(component):
            return ("component" if not one_each else "inputs"), needed
        more = self.second.inputs(middle)
        return ("no" if len(more) > len(needed) else "inputs"), needed

    def units(self, component: list[Ref]) -> set[str]:
        """Letters of which every family in a component has one value, up to offsets."""
        values: dict[str, dict[str, set[int]]] = {}
        for j in component:
            for x, k in self.first.closure(j):
                values.setdefault(x, {}).setdefault(j[0], set()).add(k)
        families = {j[0] for j in component}
        return {
            x for x, by in values.items()
            if set(by) == families and all(len(v) == 1 for v in by.values())
        }  # fmt: skip

    def _needed(self, z: Ref) -> set[Any]:
        needed = self.first.inputs(z)
        if self.reduced and self.first.world.kind == "gaussian":
            moving = gaussian_dependence(self.first, z, few=LARGEST)
            if moving is not None:
                return needed & moving
        return needed

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
