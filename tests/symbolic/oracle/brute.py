r"""Components and inputs of an unrolled model, by evaluating mixed differences of its density.

.. math:: K_n \ni z_n \text{ connected}, \qquad W_n = \bigcup_{j \in K_n} D_j

Everything is read off numbers: exact fractions in Gaussian and discrete models, floats in mixed
ones.  Positions count as inputs if the density at another position differs at equal values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from .densities import zero
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
        return any(self._interact(u, v, seen) for seen in _patterns(factors))

    def _interact(self, u: Ref, v: Ref, factors: list[Factor]) -> bool:
        world = self.world
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
        found = dict(self.tuple_of(ref))
        for axis, i in self.tuple_of(ref):
            found.update(self.world.led(axis, i))
        return frozenset(found.items())


def _patterns(factors: list[Factor]) -> Iterator[list[Factor]]:
    """The factors, and what is left of them where data lack a cell or two."""
    yield factors
    cells = [f for f in factors if f.statement.missing]
    for lost in (*((f,) for f in cells), *combinations(cells, 2)):
        yield [f for f in factors if f not in lost]


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
            parts.append(self.world.rank(axis, i, {letter: at}))
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
