r"""What F-VI's optimum really depends on, found without looking for interactions.

Gaussian models: the rows of \(\Lambda_{zz}^{-1} B\) in exact fractions.  Discrete models:
coordinate ascent from many starts for every data set.  Both must stay inside the inputs; they can
be smaller only where the given numbers happen to cancel.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from .brute import Brute
from .world import Factor, Ref, Values, World

LARGEST = 12
"""Components with more locals are not solved."""
FEW = 4
"""Components with more locals are not solved again for every changed given, unless asked for."""


def gaussian_dependence(brute: Brute, z: Ref, few: int = FEW) -> set[Ref] | None:
    """Observations and givens that move a local's optimal factor; None if it was not computed.

    Args:
        brute: the unrolled model.
        z: the local.
        few: in a component with more locals every given that interacts counts.
    """
    component = brute.component(z)
    if len(component) > LARGEST:
        return None
    rows = _Rows(brute.world, component)
    base = rows.factor_of(z, Values(brute.world, "semantic"))
    if base is None:
        return None
    found = {r for r, c in base.items() if brute.world.role(r) == "observed" and c != 0}
    givens = {g for j in component for g in brute.world.scopes(j, "given")}
    if len(component) > few:
        return found | (givens & brute.inputs(z))
    for given in givens:
        for seed in range(2):
            values = Values(brute.world, "semantic")
            poked = brute.world.choices(given, seed, 3)
            others = [v for v in poked if v != values(given)]
            if not others:
                continue
            other = rows.factor_of(z, values.changed({given: others[0]}))
            if other is not None and _differ(base, other):
                found.add(given)
    return found


def _differ(a: dict[Any, Fraction], b: dict[Any, Fraction]) -> bool:
    return any(a.get(k, 0) != b.get(k, 0) for k in {*a, *b})


class _Rows:
    """Second differences of a quadratic log density, at zero."""

    def __init__(self, world: World, component: list[Ref]) -> None:
        self.world, self.component = world, component

    def factor_of(self, z: Ref, values: Values) -> dict[Any, Fraction] | None:
        """The optimal mean's coefficients on data, globals and 1, and the precision."""
        table = [self._row(j, values) for j in self.component]
        matrix = [[row.get(k, Fraction(0)) for k in self.component] for row in table]
        weights = solved(matrix, [Fraction(int(j == z)) for j in self.component])
        if weights is None:
            return None
        at = self.component.index(z)
        answer: dict[Any, Fraction] = {("precision", ()): matrix[at][at]}
        for w, row in zip(weights, table, strict=True):
            for ref, q in row.items():
                if ref not in self.component:
                    answer[ref] = answer.get(ref, Fraction(0)) - w * q
        return answer

    def _row(self, j: Ref, values: Values) -> dict[Any, Fraction]:
        world = self.world
        factors = world.holders[j]
        others = sorted({r for f in factors for r in f.holds if world.role(r) != "given"} - {j})
        still = {r: Fraction(0) for r in (j, *others)}

        def at(put: dict[Ref, Fraction], some: list[Factor] = factors) -> Fraction:
            return Fraction(world.energy(some, values.changed({**still, **put})))

        one = Fraction(1)
        zero, up, twice = at({}), at({j: one}), at({j: 2 * one})
        row: dict[Any, Fraction] = {j: -(twice - 2 * up + zero)}
        row["one", ()] = -(up - zero + row[j] / 2)
        for r in others:
            some = [f for f in factors if r in f.holds]
            row[r] = -(
                at({j: one, r: one}, some) - at({j: one}, some) - at({r: one}, some) + at({}, some)
            )
        return row


def solved(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """The solution of a positive definite system; None if it is not positive definite."""
    size = len(matrix)
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for k in range(size):
        if rows[k][k] <= 0:
            return None
        for i in range(k + 1, size):
            if rows[i][k]:
                ratio = rows[i][k] / rows[k][k]
                rows[i] = [a - ratio * b for a, b in zip(rows[i], rows[k], strict=True)]
    answer = [Fraction(0)] * size
    for k in reversed(range(size)):
        rest = sum((rows[k][j] * answer[j] for j in range(k + 1, size)), Fraction(0))
        answer[k] = (rows[k][size] - rest) / rows[k][k]
    return answer


def discrete_dependence(
    brute: Brute, z: Ref, starts: int = 6, sweeps: int = 150
) -> set[Ref] | None:
    """Observations that move a local's best mean-field factor, over all data sets.

    Args:
        brute: the unrolled model, at a small size.
        z: the local.
        starts: random starting points per data set.
        sweeps: of coordinate ascent.
    """
    world = brute.world
    component = brute.component(z)
    data = sorted({x for j in component for x in world.scopes(j, "observed")})
    sizes = {r: world.program.supports[r[0]][1] for r in (*component, *data)}
    total = int(np.prod([sizes[x] for x in data])) if data else 1
    if len(component) > 6 or total > 2048:
        return None
    field = MeanField(world, component, Values(world, "semantic"), data)
    best = field.optimum(z, starts, sweeps).reshape(*(sizes[x] for x in data), sizes[z])
    return {x for k, x in enumerate(data) if np.ptp(best, axis=k).max() > 1e-7}


class MeanField:
    """Coordinate ascent for every data set at once; arrays are [data sets, starts, states…].

    Args:
        world: the unrolled model.
        component: the locals that are solved together.
        values: of all else.
        data: observations whose values are all enumerated, instead of taken from `values`.
    """

    def __init__(
        self, world: World, component: list[Ref], values: Values, data: list[Ref] | None = None
    ) -> None:
        data = data or []
        sizes = {r: world.program.supports[r[0]][1] for r in (*component, *data)}
        self.component, self.sizes = component, sizes
        grids = list(product(*(range(sizes[x]) for x in data)))
        self.total = len(grids)
        columns = {x: np.array([g[k] for g in grids]) for k, x in enumerate(data)}
        members = set(component)
        factors = {id(f): f for j in component for f in world.holders[j]}
        self.tables: list[tuple[list[Ref], np.ndarray]] = []
        for f in factors.values():
            inside = sorted(r for r in f.holds if r in members)
            seen = sorted(r for r in f.holds if r in columns)
            table = _table(world, f, [*seen, *inside], sizes, values)
            index = tuple(columns[x] for x in seen)
            shape = (self.total, *table.shape)
            self.tables.append((inside, table[index] if seen else np.broadcast_to(table, shape)))

    def optimum(self, z: Ref, starts: int, sweeps: int) -> np.ndarray:
        """The factor of a local at the best optimum found; ties share their mean."""
        q, top = self._converged(starts, sweeps)
        return np.sum(q[z] * top[..., None], 1) / top.sum(1)[:, None]

    def best(self, z: Ref, starts: int, sweeps: int) -> np.ndarray:
        """The factors of a local at all best optima found, for the first data set."""
        q, top = self._converged(starts, sweeps)
        return q[z][0][top[0]]

    def _converged(self, starts: int, sweeps: int) -> tuple[dict[Ref, np.ndarray], np.ndarray]:
        """Factors from every start, and which starts reach the best ELBO."""
        rng = np.random.default_rng(0)
        q = {
            j: rng.dirichlet(np.full(self.sizes[j], 0.5), (self.total, starts))
            for j in self.component
        }  # fmt: skip
        for _ in range(sweeps):
            moved = 0.0
            for j in self.component:
                energy = sum(
                    self._expected(table, inside, q, j)
                    for inside, table in self.tables if j in inside
                )  # fmt: skip
                new = np.exp(energy - energy.max(-1, keepdims=True))  # type: ignore[union-attr]
                new /= new.sum(-1, keepdims=True)
                moved = max(moved, float(np.abs(new - q[j]).max()))
                q[j] = new
            if moved < 1e-13:
                break
        elbo = sum(self._expected(table, inside, q, None) for inside, table in self.tables)
        for j in self.component:
            elbo = elbo - np.sum(q[j] * np.log(np.maximum(q[j], 1e-300)), -1)
        return q, elbo >= np.max(elbo, 1, keepdims=True) - 1e-9  # type: ignore[operator]

    def _expected(
        self, table: np.ndarray, inside: list[Ref], q: dict[Ref, np.ndarray], keep: Ref | None
    ) -> np.ndarray:
        letters = "abcdef"[: len(inside)]
        operands: list[Any] = [table]
        script = "z" + letters
        for letter, r in zip(letters, inside, strict=True):
            if r != keep:
                script += f",zy{letter}"
                operands.append(q[r])
        out = "".join(x for x, r in zip(letters, inside, strict=True) if r == keep)
        if len(operands) == 1:
            return table[:, None, :]
        return np.einsum(f"{script}->zy{out}", *operands)


def _table(
    world: World, f: Factor, order: list[Ref], sizes: dict[Ref, int], values: Values
) -> np.ndarray:
    """log φ over some references, everything else at its value."""
    table = np.zeros([sizes[r] for r in order])
    for place in product(*(range(sizes[r]) for r in order)):
        put = dict(zip(order, place, strict=True))
        table[place] = float(world.energy([f], values.changed(put)))
    return table
