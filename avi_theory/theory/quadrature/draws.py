r"""Many data sets at once, drawn from a model of scalar variables.

.. math:: \theta \sim p(\theta) \text{ or given}, \quad z \sim p(z \mid \theta), \quad
    x \sim p(x \mid z, \theta)

Instances whose parents have values are drawn together, for all data sets in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import sympy

from avi_theory.spec import terms
from avi_theory.spec.bound import Bound, edge_points
from avi_theory.spec.factors import GroundFactor, Slot
from avi_theory.spec.grounding import ground, ground_argument
from avi_theory.spec.model import Density
from avi_theory.theory.quadrature.elbo import NotIntegrable


def draw_many(
    bound: Bound, theta: Mapping[str, np.ndarray], count: int, seed: int
) -> dict[str, np.ndarray]:
    """Values of all variables, ``[count, points]`` each, by name.

    Args:
        bound: the model at its sizes.
        theta: values of the globals that are not drawn, ``[points]`` each.
        count: how many data sets.
        seed: of numpy's PCG64 generator.

    Raises:
        NotIntegrable: something here cannot be drawn; says what.
    """
    model = bound.model
    if model.potentials:
        raise NotIntegrable(f"{model.name} has a potential, from which no data are drawn here")
    generator = np.random.default_rng(seed)
    values, done = {}, {}
    for v in model.variables.values():
        size = bound.tables[v.name].size
        values[v.name] = np.full((count, size), np.nan)
        done[v.name] = np.zeros(size, bool)
        if v.name in theta:
            values[v.name][:] = theta[v.name]
            done[v.name][:] = True
    for v in model.observed:
        table = bound.tables[v.name]
        for points, edge in edge_points(model, v.name, bound.sizes, bound.lookup):
            at = table.positions(tuple(points.T))
            values[v.name][:, at] = np.asarray(edge, float)
            done[v.name][at] = True
        if v.name in bound.known and all(d.variable != v.name for d in model.densities):
            values[v.name][:] = bound.known[v.name]
            done[v.name][:] = True
    open_ = [
        f
        for f in ground(bound, generative=True).factors
        if isinstance(f.source, Density) and f.source.variable not in theta
    ]
    jobs = [_Job.of(f, bound) for f in open_]
    jobs = [j for j in jobs if not np.all(done[j.name][j.target])]
    while jobs:
        moved = [job.advance(values, done, generator) for job in jobs]
        jobs = [j for j in jobs if not np.all(done[j.name][j.target])]
        if jobs and not any(moved):
            raise NotIntegrable(f"'{jobs[0].factor.source.text}' depends on something without data")
    return values


@dataclass(frozen=True, eq=False)
class _Job:
    """The draws of one density statement."""

    factor: GroundFactor
    name: str
    target: np.ndarray
    sample: Callable[..., np.ndarray]
    arguments: Mapping[str, tuple[Callable[..., np.ndarray], tuple[Slot, ...]]]
    parents: tuple[tuple[str, np.ndarray], ...] = field(default=())

    @classmethod
    def of(cls, f: GroundFactor, bound: Bound) -> _Job:
        source = f.source
        assert isinstance(source, Density)
        if source.family.sample is None:
            raise NotIntegrable(
                f"{source.variable} has an improper prior, so no data can be drawn from it; "
                f"give it a proper one, or ask for the population at --set {source.variable}=…"
            )
        slot = next((s for s in f.slots if s.symbol == f.target), None)
        if slot is None or f.kernel is not None or slot.vector:
            raise NotIntegrable(f"'{source.text}' is no density of single scalars")
        arguments, parents = {}, []
        for name in source.arguments:
            part = ground_argument(f, bound, name)
            if part.sums or terms.network_calls(part.expression):
                raise NotIntegrable(f"'{source.text}' uses a sum or a network")
            if any(s.selectors or s.vector for s in part.slots):
                raise NotIntegrable(f"'{source.text}' uses rows or vectors")
            symbols = [s.symbol for s in part.slots]
            modules = [terms.numpy_functions(), "numpy"]
            arguments[name] = (sympy.lambdify(symbols, part.expression, modules=modules),
                               part.slots)  # fmt: skip
            parents += [(s.name, _at(s, f.count)) for s in part.slots if s.latent]
        target = _at(slot, f.count)
        return cls(f, source.variable, target, source.family.sample, arguments, tuple(parents))

    def advance(
        self,
        values: dict[str, np.ndarray],
        done: dict[str, np.ndarray],
        generator: np.random.Generator,
    ) -> bool:
        """Draw the instances whose parents are there; whether there were any."""
        ready = ~done[self.name][self.target]
        for name, at in self.parents:
            ready = ready & done[name][at]
        chosen = np.flatnonzero(ready)
        if not len(chosen):
            return False
        store = values[self.name]
        found = {
            name: np.asarray(function(*(_value(s, chosen, values) for s in slots)), float)
            for name, (function, slots) in self.arguments.items()
        }
        store[:, self.target[chosen]] = self.sample(generator, found, (len(store), len(chosen)))
        done[self.name][self.target[chosen]] = True
        return True


def _at(s: Slot, count: int) -> np.ndarray:
    if s.positions is None or np.ndim(s.positions) > 1:
        raise NotIntegrable(f"rows of {s.name} are used whole")
    return np.broadcast_to(np.asarray(s.positions), (count,))


def _value(s: Slot, chosen: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
    if s.values is None:
        at = np.asarray(s.positions)
        return values[s.name][:, at[chosen] if len(at) > 1 else np.repeat(at, len(chosen))]
    known = np.asarray(s.values, float)
    return known[chosen] if s.batched and known.ndim and len(known) > 1 else known
