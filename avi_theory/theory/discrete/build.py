"""From a bound model to a discrete field: the given data, or every data set there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod

import numpy as np
import sympy

from avi_theory.spec import terms
from avi_theory.spec.bound import Bound
from avi_theory.spec.factors import GroundFactor, Slot
from avi_theory.spec.grounding import ground
from avi_theory.spec.model import Variable
from avi_theory.spec.tables import evaluate_index
from avi_theory.theory.discrete.elimination import Table, TooWide, draw
from avi_theory.theory.discrete.field import NEVER, Field

MOST_DATA_SETS = 2**16
MOST_STATES = 12
MOST_SITES = 20_000


class NotDiscrete(Exception):
    """Why a model is no discrete pairwise model of a size that can be enumerated."""


def given_data(bound: Bound) -> Field:
    """The conditional model at the bound data, D = 1.

    Raises:
        NotDiscrete: a latent that is not discrete, or a factor of more than two of them.
    """
    return _Build(bound, generative=False).run()


def every_data_set(bound: Bound) -> Field:
    """The conditional models at all values of the observations that have a density.

    Raises:
        NotDiscrete: as above; observations that are not discrete; more than `MOST_DATA_SETS`.
    """
    return _Build(bound, generative=True).run()


def drawn_data(bound: Bound, count: int, seed: int) -> Field:
    """The conditional models at independent draws of the observations that have a density.

    Args:
        bound: the model at its sizes.
        count: how many data sets.
        seed: of numpy's PCG64 generator.

    Raises:
        NotDiscrete: as above, but for any number of possible data sets; summing the latents out is
            too expensive.
    """
    return _Build(bound, generative=True, count=count, seed=seed).run()


@dataclass
class _Build:
    bound: Bound
    generative: bool
    count: int | None = None
    seed: int = 0
    pairs: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = self.bound.model
        if model.globals:
            raise NotDiscrete(f"the global {model.globals[0]} is unknown")
        self.offset: dict[str, int] = {}
        states: list[np.ndarray] = []
        count = 0
        for v in model.locals:
            self.offset[v.name] = count
            size = self.bound.tables[v.name].size
            states.append(np.full(size, self._states(v)))
            count += size
        if count > MOST_SITES:
            raise NotDiscrete(f"it has {count:,} discrete latents, more than {MOST_SITES:,}")
        self.states = np.concatenate(states)

    def _states(self, v: Variable) -> int:
        if v.dim is not None:
            raise NotDiscrete(f"{v} is a vector")
        if v.support == "binary":
            return 2
        if v.support != "categories" or v.categories is None:
            raise NotDiscrete(f"{v} takes other values than finitely many categories")
        found = int(evaluate_index(v.categories, self.bound.sizes, self.bound.lookup))
        if found > MOST_STATES:
            raise NotDiscrete(f"{v} has {found} categories, more than {MOST_STATES}")
        return found

    def run(self) -> Field:
        factors = ground(self.bound, generative=self.generative).factors
        for f in factors:
            _refuse(f)
        self.cells, values = self._drawn(factors)
        self.data = self._every(values) if self.count is None else self._draws(factors, values)
        width = int(self.states.max())
        inside = np.arange(width) < self.states[:, None]
        self.unary = np.zeros((len(self.data), len(self.states), width))
        self.unary[:, ~inside] = NEVER
        for f in factors:
            self._add(f)
        np.maximum(self.unary, NEVER, out=self.unary)
        edges = np.array(sorted(self.pairs), np.int64).reshape(-1, 2)
        depth = max((len(p) for p in self.pairs.values()), default=1)
        pair = np.zeros((depth, len(edges), width, width))
        for e, key in enumerate(sorted(self.pairs)):
            table = self.pairs[key]
            pair[:, e, : table.shape[1], : table.shape[2]] = table
        if not np.all(np.isfinite(pair)):
            raise NotDiscrete("some pair of states has probability zero")
        return Field(
            self.unary, self.states, edges[:, 0], edges[:, 1], pair, self.data, self.cells
        )  # fmt: skip

    def _every(self, sizes: list[int]) -> np.ndarray:
        if prod(sizes) > MOST_DATA_SETS:
            raise NotDiscrete(
                f"it has more than {MOST_DATA_SETS:,} possible data sets, too many to enumerate"
            )
        grid = np.indices(sizes).reshape(len(sizes), -1).T if sizes else np.zeros((1, 0), int)
        return np.asarray(grid, np.int64)

    def _draws(self, factors: tuple[GroundFactor, ...], sizes: list[int]) -> np.ndarray:
        """Draws of latents and observations together, of which the observations are kept."""
        assert self.count is not None
        tables = [t for f in factors for t in self._joint_tables(f)]
        states = [*self.states.tolist(), *sizes]
        try:
            found = draw(tables, states, self.count, np.random.default_rng(self.seed))
        except TooWide as e:
            raise NotDiscrete(f"its data sets are too expensive to draw: {e}") from e
        return found[:, len(self.states) :]

    def _joint_tables(self, f: GroundFactor) -> Iterator[Table]:
        """The factor at each instance, over latents and the open observations after them."""
        free = [s for s in f.slots if s.latent]
        tables = self._tables(f, free, [])
        for i in np.flatnonzero(self._kept(f)).tolist():
            scope: list[int] = []
            table = tables[i]
            for s in free:
                p = int(_positions(s, f.count)[i])
                axis = len(scope)
                if s.role == "local":
                    site = self.offset[s.name] + p
                elif (s.name, p) in self.cells:
                    site = len(self.states) + self.cells[s.name, p]
                else:
                    table = table.take(int(self._known(s.name, p)), axis)
                    continue
                if site in scope:
                    first = scope.index(site)
                    table = np.moveaxis(np.diagonal(table, 0, first, axis), -1, first)
                else:
                    scope.append(site)
            yield tuple(scope), table

    def _known(self, name: str, position: int) -> float:
        """The value of an observation that is not drawn."""
        known = self.bound.known.get(name)
        if known is None or not np.isfinite(known[position]):
            raise NotDiscrete(f"{name} is conditioned on, but there are no data for it")
        return float(known[position])

    def _drawn(
        self, factors: tuple[GroundFactor, ...]
    ) -> tuple[dict[tuple[str, int], int], list[int]]:
        """Numbers of the open observations that have a density, and their numbers of values."""
        cells: dict[tuple[str, int], int] = {}
        values: list[int] = []
        for f in factors:
            for s in f.slots:
                if s.symbol != f.target or s.role != "observed" or not s.latent:
                    continue
                v = self.bound.model.variables[s.name]
                states = self._states(v)
                for p in _positions(s, f.count)[self._kept(f)].tolist():
                    if (s.name, p) not in cells:
                        cells[s.name, p] = len(values)
                        values.append(states)
        return cells, values

    def _kept(self, f: GroundFactor) -> np.ndarray:
        """Instances whose observed target is no empty cell (that one integrates out)."""
        for s in f.slots:
            mask = self.bound.present.get(s.name)
            if s.symbol == f.target and mask is not None:
                return np.asarray(mask[_positions(s, f.count)])
        return np.ones(f.count, bool)

    def _add(self, f: GroundFactor) -> None:
        free = [s for s in f.slots if s.latent]
        own = [s for s in free if s.role == "local"]
        seen = [s for s in free if s.role == "observed"]
        if len(own) > 2:
            raise NotDiscrete(f"'{f.source.text}' ties more than two latents at once")
        sites = [self.offset[s.name] + _positions(s, f.count) for s in own]
        tables = self._tables(f, own, seen)
        for i in np.flatnonzero(self._kept(f)).tolist():
            columns = [self._column(s, _positions(s, f.count)[i]) for s in seen]
            table = tables[i]
            seen_first = np.moveaxis(table, range(len(own)), range(-len(own), 0))
            picked = seen_first[tuple(columns)] if seen else seen_first[None]
            self._put([int(s[i]) for s in sites], np.asarray(picked))

    def _column(self, s: Slot, position: int) -> np.ndarray:
        number = self.cells.get((s.name, int(position)))
        if number is not None:
            return np.asarray(self.data[:, number])
        return np.full(len(self.data), int(self._known(s.name, int(position))))

    def _put(self, sites: list[int], table: np.ndarray) -> None:
        if not sites:
            self.unary[:, 0] += np.reshape(table, (-1, 1))
            return
        if len(sites) == 1:
            self.unary[:, sites[0], : table.shape[-1]] += table
            return
        if sites[0] == sites[1]:
            diagonal = np.diagonal(table, axis1=-2, axis2=-1)
            self.unary[:, sites[0], : diagonal.shape[-1]] += diagonal
            return
        if sites[0] > sites[1]:
            sites, table = sites[::-1], np.swapaxes(table, -1, -2)
        key = (sites[0], sites[1])
        self.pairs[key] = self.pairs[key] + table if key in self.pairs else table

    def _tables(self, f: GroundFactor, own: list[Slot], seen: list[Slot]) -> np.ndarray:
        """The factor at all values of its latents and open observations: ``[I, K…, V…]``."""
        choosing = [*own, *seen]
        counts = [self._states(self.bound.model.variables[s.name]) for s in choosing]
        symbols = [s.symbol for s in f.slots]
        modules = [terms.numpy_functions(), "numpy"]
        function = sympy.lambdify(symbols, f.expression, modules=modules)
        out = np.empty((f.count, *counts))
        with np.errstate(divide="ignore"):
            for number, values in enumerate(product(*map(range, counts))):
                chosen = {s.symbol: v for s, v in zip(choosing, values, strict=True)}
                arguments = [_argument(s, chosen, f.count) for s in f.slots]
                out.reshape(f.count, -1)[:, number] = function(*arguments)
        if np.any(np.isnan(out)):
            raise NotDiscrete(f"'{f.source.text}' is undefined for some states")
        return out


def _argument(s: Slot, chosen: dict[sympy.Symbol, int], count: int) -> np.ndarray:
    if s.symbol in chosen:
        return np.full(count, chosen[s.symbol])
    values = np.asarray(s.values, float)
    for selector in s.selectors:
        values = values[:, chosen[selector]]
    return values


def _positions(s: Slot, count: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(s.positions), (count,))


def _parts(f: GroundFactor) -> Iterator[str]:
    if f.sums:
        yield "sums over latents or observations"
    if f.kernel is not None:
        yield "has a joint Gaussian density"
    if terms.network_calls(f.expression):
        yield "applies a network"
    if any(s.latent and (s.selectors or np.ndim(np.asarray(s.positions)) > 1) for s in f.slots):
        yield "uses a whole row of unknowns"


def _refuse(f: GroundFactor) -> None:
    for part in _parts(f):
        raise NotDiscrete(f"'{f.source.text}' {part}")
