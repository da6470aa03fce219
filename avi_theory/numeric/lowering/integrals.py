"""Expectations without a closed form, evaluated: quadrature in one or two directions, or sampling.

Instances that share their latents and known numbers share one integral: ``softplus(z[g])`` in the
45 outcomes of one player is integrated once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from sympy import Symbol
from torch import Tensor

from avi_theory.numeric import laws
from avi_theory.numeric.laws import Law
from avi_theory.numeric.lowering.heads import Program
from avi_theory.numeric.lowering.latents import Integral
from avi_theory.numeric.lowering.places import Place, take
from avi_theory.numeric.lowering.quadrature import Rule
from avi_theory.numeric.lowering.sums import SumPart
from avi_theory.numeric.lowering.values import (
    Environment,
    Marginals,
    Values,
    Where,
    covariance_symbol,
    linked_to,
    moment_symbols,
)


@dataclass(frozen=True, eq=False)
class Lowered:
    """A `Direction` with programs for its parameters."""

    symbol: Symbol
    law: Law
    first: Program
    second: Program

    def points(self, env: Environment, x: Tensor, w: Tensor, h: float) -> tuple[Tensor, Tensor]:
        """Nodes and weights ``[Q, …]`` from a rule for a standard Gaussian and its spacing."""
        first, second = torch.broadcast_tensors(self.first(env), self.second(env))
        if self.law != "normal":
            return laws.nodes(self.law, first, second, h)
        shape = (-1, *[1] * first.dim())
        return first + torch.sqrt(second) * x.reshape(shape), w.reshape(shape)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """One integral, ready to be evaluated.

    Attributes:
        symbol: that stands for its value.
        text: the integrand.
        integrand: in directions (quadrature) or latents (Monte Carlo).
        directions: each with its law and its two parameters; empty for Monte Carlo.
        values: of its own placeholders, distinct instances only; None to use the factor's.
        inverse: which distinct instance each instance is; None if all are.
        rule: of the quadrature; None for Monte Carlo.
        nodes: of the rule.
        where: device and dtype.
        wanted: moment symbols that the directions need.
    """

    symbol: Symbol
    text: str
    integrand: Program
    directions: tuple[Lowered, ...]
    values: Values | None
    inverse: Tensor | None
    rule: Rule | None
    nodes: tuple[tuple[Tensor, ...], Tensor] | None
    where: Where
    wanted: frozenset[Symbol]

    @property
    def sampled(self) -> bool:
        """Whether it needs Monte Carlo."""
        return self.rule is None

    @property
    def rank(self) -> int:
        """Coordinate axes of its value."""
        return self.integrand.rank

    @property
    def symbols(self) -> frozenset[Symbol]:
        """What it needs from the factor's own environment."""
        return self.wanted if self.values is None else frozenset()

    def value(
        self,
        q: Marginals,
        env: Environment,
        noise: Mapping[str, Tensor],
        sums: Sequence[SumPart],
    ) -> Tensor:
        """E[integrand] for every instance."""
        if self.rule is None:
            return self._sampled(q, noise, sums)
        own = env if self.values is None else self.values.moments(q, self.wanted)
        found = self._quadrature(own)
        if self.inverse is not None and found.shape[0] > 1:
            return found.index_select(0, self.inverse)
        return found

    def _quadrature(self, env: Environment) -> Tensor:
        assert self.nodes is not None
        nodes, weights = self.nodes
        if any(d.law != "normal" for d in self.directions):
            return self._product_rule(env)
        env = dict(env)
        for d, x in zip(self.directions, nodes, strict=True):
            centre, spread = torch.broadcast_tensors(d.first(env), d.second(env))
            grid = x.reshape(-1, *([1] * centre.dim()))
            env[d.symbol] = centre + torch.sqrt(spread) * grid
        each = self.integrand(env)
        return torch.tensordot(weights, each, dims=1)

    def _product_rule(self, env: Environment) -> Tensor:
        """Each direction by a rule of its own law, whose weights depend on the instance."""
        assert self.rule is not None
        x, w = self.rule.one(self.where)
        env, weights = dict(env), []
        for k, d in enumerate(self.directions):
            u, own = d.points(env, x, w, self.rule.spacing)
            grid = [1] * len(self.directions)
            grid[k] = len(u)
            env[d.symbol] = u.reshape(*grid, *u.shape[1:])
            lifts = [1] * (self.rank - max(d.first.rank, d.second.rank))
            weights.append(own.reshape(*grid, *own.shape[1:], *lifts))
        each = self.integrand(env)
        return (math.prod(weights[1:], start=weights[0]) * each).sum(tuple(range(len(weights))))

    def _sampled(
        self, q: Marginals, noise: Mapping[str, Tensor], sums: Sequence[SumPart]
    ) -> Tensor:
        assert self.values is not None
        samples, weights = {}, {}
        names = {name for name, _ in self.values.latent.values()}
        names |= {n for s in sums for n in s.names}
        for name in names:
            samples[name], weight = q[name].at(noise[name])
            if weight is not None:
                weights[name] = weight
        env = self.values.samples(samples, self.integrand.symbols)
        for s in sums:
            env |= s.samples(samples, self.integrand.symbols)
        each = self.integrand(env)
        level = self.values.log_weight(weights, self.integrand.symbols)
        if level is None:
            return each.mean(0)
        level = level.reshape(*level.shape, *[1] * self.rank)
        return (torch.softmax(level, 0) * each).sum(0)

    def finer(self) -> Evaluated:
        """The same with half the spacing (itself at the finest, or if sampled)."""
        rule = self.rule.finer() if self.rule is not None else None
        if rule is None:
            return self
        nodes, weights = rule.nodes(self.where)
        return replace(self, rule=rule, nodes=(tuple(nodes), weights))


def evaluated(
    integral: Integral,
    places: Sequence[Place],
    count: int,
    ranks: Mapping[Symbol, int],
    sums: Sequence[SumPart],
    where: Where,
) -> Evaluated:
    """Lower an integral and find the instances that share it."""
    directions = [
        Lowered(d.symbol, d.law, Program(d.first, ranks), Program(d.second, ranks))
        for d in integral.directions
    ]
    own = {**ranks, **{d.symbol: max(d.first.rank, d.second.rank) for d in directions}}
    integrand = Program(integral.integrand, own)
    wanted = frozenset(
        x for d in directions for x in (*d.first.symbols, *d.second.symbols)
    ) | frozenset(integrand.symbols)
    values, inverse = None, None
    if integral.sampled:
        values = Values(places, where)
    elif not any(wanted & s.symbols for s in sums):
        used = [p for p in places if _used(p, wanted)]
        rows, back = distinct(used, count)
        if len(rows) < 0.8 * count:
            values, inverse = Values(take(used, rows, count), where), where.index(back)
    rule = None if integral.sampled else Rule.start(len(integral.directions))
    nodes = None
    if rule is not None:
        found, weights = rule.nodes(where)
        nodes = (tuple(found), weights)
    return Evaluated(
        integral.symbol, integral.text, integrand, tuple(directions), values, inverse,
        rule, nodes, where, wanted,
    )  # fmt: skip


def _used(p: Place, wanted: frozenset[Symbol]) -> bool:
    own = {p.symbol, *moment_symbols(p.symbol), covariance_symbol(p.symbol)}
    return bool(own & wanted) or linked_to(p.symbol, wanted)


def distinct(places: Sequence[Place], count: int) -> tuple[np.ndarray, np.ndarray]:
    """First rows of distinct instances, and which of them each instance is."""
    keys = [np.zeros(count, np.int64)]
    for p in places:
        array = p.values if p.positions is None else p.positions
        assert array is not None
        if p.whole or array.shape[0] == 1:
            continue
        if array.ndim > 1:
            return np.arange(count), np.arange(count)
        keys.append(np.unique(array, return_inverse=True)[1].reshape(-1))
    _, first, inverse = np.unique(np.stack(keys, 1), axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)
