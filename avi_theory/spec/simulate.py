r"""Draw data from a declared model: globals, locals and observations in causal order.

.. math:: \theta \sim p(\theta),\; z \sim p(z \mid \theta),\; x \sim p(x \mid z, \theta)

Every instance of every density waits for the instances it depends on; those that are ready are
drawn together, so independent sites cost one vectorised draw and a chain one draw per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy
from sympy import Expr

from avi_theory.errors import InputError
from avi_theory.spec.bound import Bound, edge_points
from avi_theory.spec.grounding import GroundFactor, Slot, ground, ground_argument
from avi_theory.spec.model import Density
from avi_theory.spec.terms import network_calls, numpy_functions


@dataclass(frozen=True, eq=False)
class Draw:
    """One draw from the joint distribution.

    Attributes:
        bound: the model with the drawn observations as data.
        latents: drawn values of globals and locals by name, ``[P]`` or ``[P, d]``.
        seed: of the generator.
    """

    bound: Bound
    latents: Mapping[str, np.ndarray]
    seed: int


def simulate_bound(bound: Bound, *, seed: int = 0) -> Draw:
    """Draw globals, locals and observations at the bound sizes.

    Globals with a value in ``model.values`` keep it.

    Args:
        bound: the model at its sizes; data it already has are replaced.
        seed: of numpy's PCG64 generator.

    Raises:
        InputError: an improper prior that is not set, a potential (it has no sampler), or an
            opaque network.
    """
    model = bound.model
    if model.potentials:
        raise InputError(
            f"{model.name} has a potential, which cannot be drawn from. Bring data with --data."
        )
    generator = np.random.default_rng(seed)
    values: dict[str, np.ndarray] = {}
    done: dict[str, np.ndarray] = {}
    for v in model.variables.values():
        table = bound.tables[v.name]
        shape = (table.size, bound.dim(v)) if v.dim is not None else (table.size,)
        values[v.name] = np.full(shape, np.nan)
        done[v.name] = np.zeros(table.size, bool)
        if v.role == "global" and v.name in model.values:
            values[v.name] = np.broadcast_to(np.asarray(model.values[v.name], float), shape).copy()
            done[v.name][:] = True
    for v in model.observed:
        _fix_known_points(bound, v.name, values, done)
    jobs = [_Job.of(f, bound) for f in ground(bound, generative=True).factors]
    pending = [j for j in jobs if j is not None]
    while pending:
        progressed = False
        for job in pending:
            ready = job.ready(done)
            if len(ready):
                job.draw(ready, values, done, generator)
                progressed = True
        pending = [j for j in pending if not np.all(j.finished)]
        if pending and not progressed:
            raise InputError(
                f"{pending[0].source.text} cannot be drawn: what it depends on has no value. "
                "Set it with --set, or bring data with --data."
            )
    known = {**bound.known, **{v.name: values[v.name] for v in model.observed}}
    latents = {v.name: values[v.name] for v in (*model.globals, *model.locals)}
    new = Bound(model, bound.sizes, bound.tables, known, {}, f"simulated with seed {seed}")
    return Draw(new, latents, seed)


def _fix_known_points(
    bound: Bound, name: str, values: dict[str, np.ndarray], done: dict[str, np.ndarray]
) -> None:
    """Points that are given in the text, and observed points without a density, are known."""
    model, table = bound.model, bound.tables[name]
    for points, edge in edge_points(model, name, bound.sizes, bound.lookup):
        at = table.positions(tuple(points.T))
        values[name][at] = edge if values[name].ndim == 1 else edge[:, None]
        done[name][at] = True
    if not any(d.variable == name for d in model.densities):
        if name not in bound.known:
            raise InputError(
                f"{model.variables[name]} has no density, so it cannot be drawn. "
                f"Bring it as data with --data."
            )
        values[name] = np.array(bound.known[name], float)
        done[name][:] = True


@dataclass(eq=False)
class _Job:
    """The instances of one ground density that still wait to be drawn."""

    factor: GroundFactor
    source: Density
    target: Slot
    arguments: dict[str, GroundFactor]
    finished: np.ndarray

    @classmethod
    def of(cls, factor: GroundFactor, bound: Bound) -> _Job | None:
        source = factor.source
        assert isinstance(source, Density)
        if source.family.sample is None and source.variable in bound.model.values:
            return None
        if source.family.sample is None:
            raise InputError(
                f"{source.variable} has the improper prior {source.distribution}(), which cannot "
                f"be drawn. Set it with --set {source.variable}=… or bring data with --data."
            )
        targets = [s for s in factor.slots if s.symbol == factor.target]
        if not targets:
            return None
        arguments = {}
        for name in source.arguments:
            arguments[name] = _checked_argument(factor, bound, name)
        count = factor.count
        return cls(factor, source, targets[0], arguments, np.zeros(count, bool))

    def _parents(self) -> list[Slot]:
        slots = [s for part in self.arguments.values() for s in part.slots]
        return [s for s in slots if s.latent and s.positions is not None]

    def ready(self, done: Mapping[str, np.ndarray]) -> np.ndarray:
        """Instances whose parents all have values and that are not drawn yet."""
        assert self.target.positions is not None
        ok = ~self.finished
        if self.source.over:
            free = all(np.all(done[s.name][s.positions]) for s in self._parents())
            already = bool(np.all(done[self.source.variable][self.target.positions]))
            self.finished |= already
            return np.flatnonzero(ok & free & ~self.finished)
        already = done[self.source.variable][self.target.positions]
        self.finished |= already
        ok &= ~already
        for s in self._parents():
            there = done[s.name][s.positions]
            ok &= np.broadcast_to(there.reshape(there.shape[0], -1).all(1), ok.shape)
        for group in (g for part in self.arguments.values() for g in part.sums):
            for s in group.slots:
                if s.latent and s.positions is not None:
                    waiting = ~done[s.name][s.positions]
                    ok[group.segments[waiting]] = False
        return np.flatnonzero(ok)

    def draw(
        self,
        at: np.ndarray,
        values: dict[str, np.ndarray],
        done: dict[str, np.ndarray],
        generator: np.random.Generator,
    ) -> None:
        """Draw the instances `at` and store them."""
        if self.source.over:
            self._draw_together(values, done, generator)
            return
        arguments = {name: _evaluate(part, at, values) for name, part in self.arguments.items()}
        family = self.source.family
        assert self.target.positions is not None and family.sample is not None
        store = values[self.source.variable]
        shape = (len(at), *store.shape[1:])
        if store.ndim == 1 or not family.multivariate:
            arguments = {
                k: _lift(a, len(at), store.ndim) for k, a in arguments.items()
            } if store.ndim == 2 else arguments  # fmt: skip
        store[self.target.positions[at]] = family.sample(generator, arguments, shape)
        done[self.source.variable][self.target.positions[at]] = True
        self.finished[at] = True

    def _draw_together(
        self,
        values: dict[str, np.ndarray],
        done: dict[str, np.ndarray],
        generator: np.random.Generator,
    ) -> None:
        """All points of an index under one joint prior; its kernel has a row for each point."""
        sample = self.source.family.sample
        assert self.target.positions is not None and sample is not None
        points = self.target.positions[0]
        shape = (1, len(points))
        cov = _evaluate(self.arguments["cov"], np.arange(len(points)), values)
        mean = np.broadcast_to(_evaluate(self.arguments["mean"], np.zeros(1, int), values), shape)
        values[self.source.variable][points] = sample(generator, {"mean": mean, "cov": cov}, shape)
        done[self.source.variable][points] = True
        self.finished[:] = True


def _lift(argument: np.ndarray, count: int, rank: int) -> np.ndarray:
    """A scalar per instance as a column, so that it broadcasts over a vector's coordinates."""
    argument = np.asarray(argument)
    return argument[:, None] if argument.ndim == rank - 1 and len(argument) == count else argument


def _checked_argument(factor: GroundFactor, bound: Bound, name: str) -> GroundFactor:
    source = factor.source
    assert isinstance(source, Density)
    calls = network_calls(sympy.sympify(source.arguments[name]))
    if calls:
        call = sorted(calls, key=str)[0]
        raise InputError(
            f"{source.text or source.variable} uses the network {call.func}, whose weights are "
            "not known, so it cannot be drawn. Bring data with --data."
        )
    return ground_argument(factor, bound, name)


def _slot_value(s: Slot, at: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The values behind a placeholder at the instances `at`; a single shared row broadcasts."""

    def rows(array: np.ndarray) -> np.ndarray:
        return array if len(array) == 1 else array[at]

    if s.values is not None:
        return rows(s.values) if s.batched else s.values
    assert s.positions is not None
    return values[s.name][rows(s.positions)]


def _evaluate(part: GroundFactor, at: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
    scope: dict[str, np.ndarray] = {}
    for s in part.slots:
        scope[s.symbol.name] = _slot_value(s, at, values)
        if s.selectors:
            scope[s.symbol.name] = _select(s, scope, len(at))
    for g in part.sums:
        everywhere = np.arange(len(g.segments))
        inner = {s.symbol.name: _slot_value(s, everywhere, values) for s in g.slots}
        summand = np.broadcast_to(_numbers(g.expression, inner), g.segments.shape)
        scope[g.symbol.name] = np.bincount(g.segments, summand, minlength=part.count)[at]
    return _numbers(part.expression, scope)


def _select(s: Slot, scope: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """The value of ``mu[c[n]]`` at the drawn categories (selectors stand before in the slots)."""
    table = scope[s.symbol.name]
    index = [np.zeros(count, int) if len(table) == 1 else np.arange(count)]
    index += [np.broadcast_to(scope[c.name], (count,)).astype(int) for c in s.selectors]
    return np.asarray(table[tuple(index)])


def _numbers(expression: Expr, scope: Mapping[str, np.ndarray]) -> np.ndarray:
    symbols = sorted(expression.free_symbols, key=str)
    function = sympy.lambdify(symbols, expression, modules=[numpy_functions(), "numpy"])
    return np.asarray(function(*(scope[x.name] for x in symbols)), float)
