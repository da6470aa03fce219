r"""F-VI's optimum of a linear-Gaussian model, in fractions, from its density alone.

.. math:: \log p = -\tfrac12 z^\top \Lambda z + h^\top z + \dots
    \;\Rightarrow\; q^\star(z_n) = N\big((\Lambda^{-1} h)_n,\ \Lambda_{nn}^{-1}\big)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import cached_property
from itertools import combinations

from .fixpoint import solved
from .world import Factor, Ref, Values, World

Quadratic = dict[tuple[Ref, ...], Fraction]
"""Coefficients: (j,) to h_j, (j, k) and (k, j) to Λ_jk."""


class Linear:
    """Optimal factors of a model that is linear-Gaussian given its globals.

    Args:
        world: the unrolled model; its numbers become fractions if the model fits.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._parts: dict[object, Quadratic] = {}
        self.locals = [r for r in world.holders if world.role(r) == "local"]
        if {f.statement.family for r in self.locals for f in world.holders[r]} <= {"Normal", ""}:
            world.kind = "gaussian"

    @cached_property
    def fits(self) -> bool:
        """Whether every density is quadratic in the locals, with rational coefficients."""
        if self.world.kind != "gaussian":
            return False
        values = Values(self.world, "fits")
        factors = {id(f): f for r in self.locals for f in self.world.holders[r]}
        return all(self._is_quadratic(f, values) for f in factors.values())

    def _is_quadratic(self, f: Factor, values: Values) -> bool:
        ours = self._inside(f)

        def at(step: int) -> Fraction:
            put = {j: Fraction(step * (k + 1), 7) for k, j in enumerate(ours)}
            return self.world.energy([f], values.changed(put))  # type: ignore[no-any-return]

        e = [at(step) for step in range(4)]
        return all(isinstance(x, Fraction) for x in e) and e[3] - 3 * e[2] + 3 * e[1] - e[0] == 0

    @cached_property
    def proper(self) -> bool:
        """Whether the density is a Gaussian in the locals that F-VI can fit."""
        values = Values(self.world, "fits")
        done: set[Ref] = set()
        for z in self.locals:
            if z not in done:
                members, matrix, _ = self._system(z, values)
                done |= set(members)
                if solved(matrix, [Fraction(0)] * len(members)) is None:
                    return False
        return True

    def data(self, z: Ref) -> Iterator[Values]:
        """A few random data sets: almost every one shows what matters."""
        for trial in range(3):
            yield Values(self.world, ("data", trial))

    def factor(self, z: Ref, values: Values) -> tuple[Fraction, Fraction]:
        """Mean and precision of a local's optimal factor.

        Args:
            z: the local.
            values: of the data, the givens and the globals' means.
        """
        members, matrix, right = self._system(z, values)
        at = members.index(z)
        means = solved(matrix, right)
        assert means is not None, "the density is not a proper Gaussian in the locals"
        return means[at], matrix[at][at]

    def _system(
        self, z: Ref, values: Values
    ) -> tuple[list[Ref], list[list[Fraction]], list[Fraction]]:
        """The locals that hang together with one, their Λ and their h."""
        members = self._connected(z)
        total: Quadratic = {}
        for f in {id(f): f for j in members for f in self.world.holders[j]}.values():
            for key, value in self._part(f, values).items():
                total[key] = total.get(key, Fraction(0)) + value
        none = Fraction(0)
        matrix = [[total.get((j, k), none) for k in members] for j in members]
        return members, matrix, [total.get((j,), none) for j in members]

    def differ(self, one: object, other: object) -> bool:
        """Whether two factors differ, exactly."""
        return one != other

    def _connected(self, z: Ref) -> list[Ref]:
        """The locals that hang together with one by any density at all."""
        seen, queue = {z}, [z]
        while queue:
            for f in self.world.holders[queue.pop()]:
                new = set(self._inside(f)) - seen
                seen |= new
                queue += new
        return sorted(seen)

    def _inside(self, f: Factor) -> list[Ref]:
        return sorted(r for r in f.holds if self.world.role(r) == "local")

    def _part(self, f: Factor, values: Values) -> Quadratic:
        ours = self._inside(f)
        key = id(f), tuple(values(r) for r in sorted(f.holds - set(ours)))
        if key not in self._parts:
            self._parts[key] = self._coefficients(f, ours, values)
        return self._parts[key]

    def _coefficients(self, f: Factor, ours: list[Ref], values: Values) -> Quadratic:
        still = dict.fromkeys(ours, Fraction(0))

        def at(some: Iterable[Ref], size: int = 1) -> Fraction:
            put = {**still, **dict.fromkeys(some, Fraction(size))}
            return self.world.energy([f], values.changed(put))  # type: ignore[no-any-return]

        rest = at(())
        one = {j: at((j,)) for j in ours}
        found: Quadratic = {}
        for j in ours:
            found[j, j] = -(at((j,), 2) - 2 * one[j] + rest)
            found[j,] = one[j] - rest + found[j, j] / 2
        for j, k in combinations(ours, 2):
            found[j, k] = found[k, j] = -(at((j, k)) - one[j] - one[k] + rest)
        return found
