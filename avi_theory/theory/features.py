"""Inputs as columns: what is known of them, and which random observations enter with what weight.

On a data set every column is numbers.  In the averaging regimes an observation is a random
coordinate: a column is then a sparse affine function of the drawn observations at every point.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from avi_theory.spec.bound import Bound, edge_points
from avi_theory.spec.inputs import Input
from avi_theory.spec.model import Variable
from avi_theory.theory.gaussian import Joint


@dataclass(frozen=True, eq=False)
class Columns:
    """The scalar inputs of one local at its P points.

    Attributes:
        names: one per column.
        offset: ``[P, C]``, the deterministic part; NaN where the input does not exist.
        point, column, source, weight: the random part, one entry per term; `source` numbers the
            drawn observations of a `Joint`, or as -1, -2, … the functionals.
        functionals: random numbers that every point sees (``mean(x)``): numbers of drawn
            observations, and their weights.
        reading: ``[P, …]``, the coordinates of its position that the function knows because it
            reads whole rows from there; they count for all functions, not for polynomials.
        sets: for set-valued inputs the sorted members, to tell ties; one array of keys per input.
    """

    names: tuple[str, ...]
    offset: np.ndarray
    point: np.ndarray
    column: np.ndarray
    source: np.ndarray
    weight: np.ndarray
    functionals: tuple[tuple[np.ndarray, np.ndarray], ...]
    reading: np.ndarray
    sets: tuple[np.ndarray, ...]

    @property
    def complete(self) -> np.ndarray:
        """Points at which every input exists."""
        return ~np.isnan(self.offset).any(1)

    @property
    def random(self) -> np.ndarray:
        """Columns with a random part, ``[C]`` booleans."""
        found = np.zeros(len(self.names), bool)
        found[self.column] = True
        return found


@dataclass
class _Builder:
    bound: Bound
    local: Variable
    joint: Joint | None

    def __post_init__(self) -> None:
        self.points = self.bound.tables[self.local.name].size
        self.names: list[str] = []
        self.offsets: list[np.ndarray] = []
        self.entries: list[tuple[np.ndarray, ...]] = []
        self.functionals: list[tuple[np.ndarray, np.ndarray]] = []
        self.sets: list[np.ndarray] = []

    def add(self, x: Input) -> None:
        if x.values is not None:
            self._append(x.text, x.values, x.fixed)
            return
        cells, point, slot = self._flat(x)
        table_values, sources = self._table(x)
        for k in range(table_values.shape[1]):
            suffix = f"[{k}]" if table_values.shape[1] > 1 else ""
            values = np.where(cells >= 0, table_values[cells, k], np.nan)
            random = np.where(cells >= 0, sources[cells, k], -1)
            if x.is_set or x.averaged:
                self._aggregate(x, suffix, point, values, random)
                continue
            assert x.cells is not None
            for j in range(x.cells.shape[1]):
                at = slot == j
                name = x.text + suffix + (f"#{j}" if x.cells.shape[1] > 1 else "")
                self._append(name, values[at], x.fixed, random[at])

    def _flat(self, x: Input) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if x.members is not None:
            assert x.starts is not None
            point = np.repeat(np.arange(self.points), np.diff(x.starts))
            return x.members, point, np.zeros(len(point), np.int64)
        assert x.cells is not None
        length = x.cells.shape[1]
        if x.fixed and x.averaged:
            return x.cells[0], np.zeros(length, np.int64), np.arange(length)
        point = np.repeat(np.arange(self.points), length)
        return x.cells.ravel(), point, np.tile(np.arange(length), self.points)

    def _table(self, x: Input) -> tuple[np.ndarray, np.ndarray]:
        """Known values ``[Q, d]`` (NaN: none) and numbers of drawn observations (-1: known)."""
        bound, name = self.bound, x.name
        if x.role == "given":
            values = np.asarray(bound.known[name], float)
            values = values.reshape(bound.tables[name].size if name in bound.tables else 1, -1)
            return values, np.full(values.shape, -1)
        variable = bound.model.variables[name]
        shape = (bound.tables[name].size, bound.dim(variable))
        values = np.full(shape, np.nan)
        if name in bound.known:
            values = np.array(bound.known[name], float).reshape(shape)
        for points, edge in edge_points(bound.model, name, bound.sizes, bound.lookup):
            values[bound.tables[name].positions(tuple(points.T))] = np.asarray(edge)[:, None]
        if name in bound.present:
            values[~bound.present[name]] = np.nan
        sources = np.full(shape, -1)
        if self.joint is not None and name in self.joint.form.layout.offsets:
            block = self.joint.form.layout.block(name)
            number = np.full(self.joint.form.layout.size, -1)
            number[self.joint.drawn] = np.arange(len(self.joint.drawn))
            sources = number[block].reshape(shape)
            values = np.where(sources >= 0, 0.0, values)
        return values, sources

    def _append(
        self, name: str, values: np.ndarray, fixed: bool, random: np.ndarray | None = None
    ) -> None:
        c = len(self.names)
        self.names.append(name)
        self.offsets.append(np.array(values, float))
        if random is None or not np.any(random >= 0):
            return
        if fixed:
            self._functional(c, random[:1], np.ones(1))
            return
        at = np.flatnonzero(random >= 0)
        self.entries.append((at, np.full(len(at), c), random[at], np.ones(len(at))))

    def _functional(self, column: int, sources: np.ndarray, weights: np.ndarray) -> None:
        """A random number that every point sees as this column."""
        self.functionals.append((sources, weights))
        every = np.arange(self.points)
        number = np.full(self.points, -len(self.functionals))
        self.entries.append((every, np.full(self.points, column), number, np.ones(self.points)))

    def _aggregate(
        self, x: Input, suffix: str, point: np.ndarray, values: np.ndarray, random: np.ndarray
    ) -> None:
        """The mean; or, for a set, its sum and its size, which is all an affine function sees."""
        seen = ~np.isnan(values)
        point, values, random = point[seen], values[seen], random[seen]
        size = np.bincount(point, minlength=self.points).astype(float)
        total = np.bincount(point, values, minlength=self.points)
        one = x.fixed and x.averaged
        if one:
            size, total = np.full(self.points, size[0]), np.full(self.points, total[0])
        drawn = random >= 0
        at, source = point[drawn], random[drawn]
        scale = 1 / size[at] if x.averaged else np.ones(len(at))
        c = len(self.names)
        self.names.append(x.text + suffix)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.offsets.append(total / size if x.averaged else total)
        if one and len(at):
            self._functional(c, source, scale)
        elif len(at):
            self.entries.append((at, np.full(len(at), c), source, scale))
        if x.averaged:
            return
        self.sets.append(_keys(point, values, self.points))
        if np.ptp(size) > 0:
            self._append(f"size of {x.text}", size, False)

    def _reading(self, inputs: tuple[Input, ...]) -> np.ndarray:
        letters = sorted({a for x in inputs for a in x.reading})
        at = [self.local.letters.index(a) for a in letters]
        return np.asarray(self.bound.tables[self.local.name].points[:, at], float)

    def build(self, inputs: tuple[Input, ...]) -> Columns:
        for x in inputs:
            self.add(x)
        parts = [np.concatenate(p) for p in zip(*self.entries, strict=True)]
        point, column, source, weight = parts or [np.zeros(0, np.int64)] * 4
        return Columns(
            tuple(self.names),
            np.stack(self.offsets, 1) if self.offsets else np.zeros((self.points, 0)),
            point,
            column,
            source,
            weight,
            tuple(self.functionals),
            self._reading(inputs),
            tuple(self.sets),
        )


def _keys(point: np.ndarray, values: np.ndarray, points: int) -> np.ndarray:
    """A number per point that is equal where the multisets of values are equal."""
    order = np.lexsort((values, point))
    bounds = np.searchsorted(point[order], np.arange(points + 1))
    seen: dict[bytes, int] = {}
    ordered = values[order]
    return np.asarray(
        [float(seen.setdefault(ordered[a:b].tobytes(), len(seen))) for a, b in pairwise(bounds)]
    )


def columns(
    bound: Bound, local: Variable, inputs: tuple[Input, ...], joint: Joint | None = None
) -> Columns:
    """The inputs of a local as columns: numbers, or with `joint` random where drawn."""
    return _Builder(bound, local, joint).build(inputs)


def tie_groups(found: Columns) -> np.ndarray:
    """A number per point, equal where all inputs are equal; incomplete points stand alone."""
    count = len(found.offset)
    keys = np.concatenate([found.offset, found.reading, *(s[:, None] for s in found.sets)], 1)
    complete = found.complete
    group = np.arange(count)
    if keys.shape[1] == 0:
        group[complete] = 0
    elif np.any(complete):
        _, inverse = np.unique(keys[complete] + 0.0, axis=0, return_inverse=True)
        group[complete] = inverse.reshape(-1)
    group[~complete] = count + np.flatnonzero(~complete)
    return group
