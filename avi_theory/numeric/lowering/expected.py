"""One factor of the log density under a factorized q, on torch tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import sympy
import torch
from sympy import Symbol
from torch import Tensor

from avi_theory.numeric.lowering.heads import Program
from avi_theory.numeric.lowering.integrals import Evaluated
from avi_theory.numeric.lowering.places import Place
from avi_theory.numeric.lowering.sums import SumPart
from avi_theory.numeric.lowering.values import Gather, Marginals, Values
from avi_theory.spec import terms

KINKED = (sympy.Abs, sympy.Max, sympy.Min, sympy.sign, terms.maximum, terms.minimum)
METHODS = ("exact", "quadrature", "monte carlo")


@dataclass(frozen=True, eq=False)
class ExpectedFactor:
    """One factor's expectation under a factorized q.

    Attributes:
        text: the statement.
        count: instances, categories enumerated.
        values: moments and known values of its placeholders.
        expected: E[e] per instance, without the constant.
        constant: Σ of the terms without latents, in nats.
        integrals: expectations without closed form that `expected` refers to.
        sums: ``sum`` terms, their means and variances.
        weights: probabilities of the enumerated categories, ``(variable, rows, categories)``.
        sites: the points of the discrete latents in each enumerated instance.
        pointwise: the log density at values of the latents (before their transforms).
        quadratic: whether it is a polynomial of degree two at most in Gaussian latents.
        concave: whether it is known to be concave in its latents, all of them Gaussian.
        latents: its latent variables' names.
        places: its placeholders, for second derivatives.
    """

    text: str
    count: int
    values: Values
    expected: Program
    constant: float
    integrals: tuple[Evaluated, ...]
    sums: tuple[SumPart, ...]
    weights: tuple[tuple[str, Gather, Tensor], ...]
    sites: tuple[tuple[str, np.ndarray], ...]
    pointwise: Program
    quadratic: bool
    concave: bool
    latents: tuple[str, ...]
    places: tuple[Place, ...]

    @property
    def method(self) -> str:
        """exact, quadrature or monte carlo: the least exact of its terms'."""
        ranks = [0, *(2 if i.sampled else 1 for i in self.integrals)]
        ranks += [1 if s.integrals else 0 for s in self.sums]
        return METHODS[max(ranks)]

    @property
    def held(self) -> list[tuple[np.ndarray, str, np.ndarray]]:
        """The latent points in its instances: (instances, variable, positions), all of a length."""
        rows = np.arange(self.count)
        inner = [(p.name, p.positions) for p in self.places if p.positions is not None]
        found = [(rows, name, positions) for name, positions in (*self.sites, *inner)]
        for s in self.sums:
            found += [(s.segments.cpu().numpy(), name, positions) for name, positions in s.sites]
        return [_paired(*each) for each in found]

    @cached_property
    def _wanted(self) -> frozenset[Symbol]:
        return frozenset(self.expected.symbols).union(*(i.symbols for i in self.integrals))

    def instances(self, q: Marginals, noise: Mapping[str, Tensor]) -> Tensor:
        """E[e] per enumerated instance (one value if it is the same for all), no constant."""
        env = self.values.moments(q, self._wanted)
        for s in self.sums:
            env |= s.moments(q, self._wanted)
        for i in self.integrals:
            env[i.symbol] = i.value(q, env, noise, self.sums)
        return self.expected(env)

    def value(self, q: Marginals, noise: Mapping[str, Tensor]) -> Tensor:
        """E_q[log p] of this factor, in nats."""
        each = self.instances(q, noise)
        if self.weights:
            return (self.weight(q) * each).sum() + self.constant
        return each.sum() * (self.count / max(each.numel(), 1)) + self.constant

    def weight(self, q: Marginals) -> Tensor:
        """The probability of each enumerated instance's categories, ``[I]``."""
        found: Tensor | None = None
        for name, rows, categories in self.weights:
            table = q[name].probability
            p = rows(table).expand(self.count, -1).gather(1, categories.unsqueeze(1)).squeeze(1)
            found = p if found is None else found * p
        assert found is not None
        return found

    def pointwise_instances(self, values: Mapping[str, Tensor], samples: int) -> Tensor:
        """log p per enumerated instance at values ``[S, P]`` before the transforms, ``[S, I]``."""
        wanted = self.pointwise.symbols
        env = self.values.samples(values, wanted)
        for s in self.sums:
            env |= s.samples(values, wanted)
        each = self.pointwise(env)
        return each.expand(samples, self.count)

    def log_density(self, values: Mapping[str, Tensor], categories: Mapping[str, Tensor]) -> Tensor:
        """log p of this factor at drawn values and categories ``[S, P]``: ``[S]``, in nats."""
        samples = next((len(v) for v in (*values.values(), *categories.values())), 1)
        each = self.pointwise_instances(values, samples)
        if self.weights:
            chosen = torch.ones_like(each, dtype=torch.bool)
            for name, rows, wanted_category in self.weights:
                drawn = rows(categories[name], 1).expand(samples, self.count)
                chosen = chosen & (drawn == wanted_category)
            each = torch.where(chosen, each, torch.zeros_like(each))
        return each.sum(1)

    @property
    def smooth(self) -> bool:
        """Whether its log density has no kinks."""
        return not self.pointwise.expression.has(*KINKED)

    def site_index(self, name: str, categories: int) -> Tensor:
        """Point and category of each enumerated instance as one number, for one discrete latent."""
        positions = next(p for n, p in self.sites if n == name)
        category = next(c for n, _, c in self.weights if n == name)
        return torch.as_tensor(positions, device=category.device) * categories + category

    def place_index(self, name: str) -> Tensor:
        """The point of one continuous latent in each instance."""
        positions = next(
            p.positions for p in self.places if p.name == name and p.positions is not None
        )
        return torch.as_tensor(np.broadcast_to(positions, (self.count,)).copy())

    def refined(self, symbols: Sequence[Symbol]) -> ExpectedFactor:
        """The same with the named integrals' rules at half the spacing."""
        return replace(
            self,
            integrals=tuple(i.finer() if i.symbol in symbols else i for i in self.integrals),
        )


def _paired(
    rows: np.ndarray, name: str, positions: np.ndarray
) -> tuple[np.ndarray, str, np.ndarray]:
    """Each position with its instance, where an instance holds several or all hold the same."""
    wide = np.broadcast_to(positions, (len(rows), *positions.shape[1:]))
    first = rows.reshape(-1, *[1] * (wide.ndim - 1))
    return np.broadcast_to(first, wide.shape).ravel(), name, wide.ravel()
