r"""The optimal factor's log density by enumeration, without the analysis and without formulas.

.. math:: g(z) = E_{q_{-n}}[\log p(z, \cdot)], \qquad q = \prod \text{of few atoms}

Every other latent has a factor with two atoms (a discrete one: all its values), so each expectation
is a finite sum over the ground factors that hold the latent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import sympy

from avi_theory.spec.bound import Bound, bind, edge_points
from avi_theory.spec.factors import GroundFactor, Slot
from avi_theory.spec.grounding import ground
from avi_theory.spec.model import Model, Variable
from avi_theory.spec.terms import numpy_functions

Cell = tuple[str, int]
Atoms = list[tuple[float, Any]]


class World:
    """A model at small sizes with random data, and a random product factor for all latents.

    Args:
        model: with sizes and givens set.
        seed: of data and factors.
    """

    def __init__(self, model: Model, seed: int) -> None:
        self.model = model
        self.generator = np.random.default_rng(seed)
        bound = bind(model)
        known, present = dict(bound.known), dict(bound.present)
        for variable in model.observed:
            size = bound.tables[variable.name].size
            known[variable.name] = np.array([self.draw(bound, variable) for _ in range(size)])
            if variable.missing:
                present[variable.name] = self.generator.random(size) < 0.7
        self.bound = replace(bound, known=known, present=present)
        self.atoms = {
            (v.name, p): self._atoms(v)
            for v in (*model.globals, *model.locals)
            for p in range(bound.tables[v.name].size)
        }
        self.observe({v.name: known[v.name] for v in model.observed})

    def observe(self, data: Mapping[str, np.ndarray]) -> None:
        """Take these data, except where the text gives a value before the first point."""
        bound = self.bound
        for name, array in data.items():
            table, values = bound.tables[name], np.array(array, float)
            for points, edge in edge_points(self.model, name, bound.sizes, bound.lookup):
                at = table.positions(tuple(points.T))
                values[at[at >= 0]] = edge
            bound = replace(bound, known={**bound.known, name: values})
        self.bound = bound
        self.factors = ground(bound).factors

    def draw(self, bound: Bound, variable: Variable) -> Any:
        """A value in a variable's support."""
        g = self.generator
        shape = () if variable.dim is None else (bound.dim(variable),)
        match variable.support:
            case "real":
                return g.normal(0.0, 1.0, shape)
            case "positive":
                return g.gamma(3.0, 0.5, shape)
            case "unit" | "interval":
                return g.uniform(0.2, 0.8, shape)
            case "count":
                return g.integers(1, 6, shape).astype(float)
            case "bounded_count" | "binary":
                return g.integers(0, 2, shape).astype(float)
            case "categories":
                return g.integers(0, variable.categories or 2, shape).astype(float)
            case "simplex":
                return g.dirichlet(np.full(shape, 2.0))
        raise AssertionError(variable.support)

    def _atoms(self, variable: Variable) -> Atoms:
        if variable.support in {"binary", "categories"}:
            count = 2 if variable.support == "binary" else variable.categories or 2
            return list(zip(self.generator.dirichlet(np.ones(count)), range(count), strict=True))
        weight = self.generator.uniform(0.3, 0.7)
        values = [self.draw(self.bound, variable) for _ in range(2)]
        return list(zip((weight, 1 - weight), values, strict=True))

    # -- E_q of the factors that hold one latent -------------------------------------------

    def energy(self, cell: Cell, values: list[Any]) -> np.ndarray:
        """E of the log density at some values of one latent, up to a constant; ``[V]``."""
        total = np.zeros(len(values))
        for factor in self.factors:
            for i in range(factor.count):
                held = set(self._cells(factor, i))
                if cell not in held:
                    continue
                others = sorted(held - {cell})
                for choice in product(*(self.atoms[c] for c in others)):
                    weight = float(np.prod([w for w, _ in choice]))
                    put = {c: v for c, (_, v) in zip(others, choice, strict=True)}
                    for k, value in enumerate(values):
                        total[k] += weight * self._log_density(factor, i, {**put, cell: value})
        return total

    def _cells(self, factor: GroundFactor, i: int) -> Iterator[Cell]:
        slots = [(s, i) for s in factor.slots]
        slots += [
            (s, m) for g in factor.sums for m in np.flatnonzero(g.segments == i) for s in g.slots
        ]
        for slot, at in slots:
            if slot.latent:
                for p in np.ravel(_row(slot.positions, at)):
                    yield slot.name, int(p)

    def _log_density(self, factor: GroundFactor, i: int, put: Mapping[Cell, Any]) -> float:
        scope = self._scope(factor.slots, i, put)
        for g in factor.sums:
            scope[g.symbol] = sum(
                _number(g.expression, self._scope(g.slots, int(m), put))
                for m in np.flatnonzero(g.segments == i)
            )
        if factor.kernel is not None:
            scope[factor.kernel.symbol] = _number(
                factor.kernel.expression, {s.symbol: s.values for s in factor.kernel.slots}
            )
        return float(_number(factor.expression, scope))

    def _scope(
        self, slots: tuple[Slot, ...], i: int, put: Mapping[Cell, Any]
    ) -> dict[sympy.Symbol, Any]:
        scope: dict[sympy.Symbol, Any] = {}
        for slot in slots:
            if slot.values is not None:
                value = _row(slot.values, i) if slot.batched else slot.values
            else:
                where = _row(slot.positions, i)
                cells = [put[slot.name, int(p)] for p in np.ravel(where)]
                value = np.array(cells, float).reshape((*np.shape(where), *np.shape(cells[0])))
            for selector in slot.selectors:
                value = value[int(scope[selector])]
            scope[slot.symbol] = value
        return scope


def _row(array: Any, i: int) -> Any:
    return array[0] if len(array) == 1 else array[i]


_FUNCTIONS: dict[sympy.Expr, tuple[list[sympy.Symbol], Any]] = {}


def _number(expression: sympy.Expr, scope: Mapping[sympy.Symbol, Any]) -> Any:
    if expression not in _FUNCTIONS:
        symbols = sorted(expression.free_symbols, key=str)
        _FUNCTIONS[expression] = (
            symbols,
            sympy.lambdify(symbols, expression, modules=[numpy_functions(), "numpy"]),
        )
    symbols, function = _FUNCTIONS[expression]
    return function(*(scope[s] for s in symbols))
