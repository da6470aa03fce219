"""Placeholders filled with tensors: known numbers, moments of factors, samples from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sympy import Symbol
from torch import Tensor

from avi_theory.numeric.factors import Factors
from avi_theory.numeric.laws import Law
from avi_theory.numeric.lowering.latents import Latent, Root
from avi_theory.numeric.lowering.places import Place

Marginals = Mapping[str, Factors]
Environment = dict[Symbol, Tensor]


@dataclass(frozen=True)
class Where:
    """Device and floating type of every tensor of a run."""

    device: torch.device
    dtype: torch.dtype

    def tensor(self, array: np.ndarray) -> Tensor:
        """A numpy array as a floating tensor here."""
        return torch.as_tensor(np.array(array, float), dtype=self.dtype, device=self.device)

    def index(self, array: np.ndarray) -> Tensor:
        """A numpy array of positions here."""
        return torch.as_tensor(np.array(array, np.int64), device=self.device)


def mean_symbol(s: Symbol) -> Symbol:
    """The symbol of E u."""
    return Symbol(f"{s.name}_m", real=True)


def variance_symbol(s: Symbol) -> Symbol:
    """The symbol of Var u."""
    return Symbol(f"{s.name}_v", positive=True)


def alpha_symbol(s: Symbol) -> Symbol:
    """The symbol of the first parameter of a log-Gamma or logit-Beta u."""
    return Symbol(f"{s.name}_a", positive=True)


def beta_symbol(s: Symbol) -> Symbol:
    """The symbol of its second parameter."""
    return Symbol(f"{s.name}_b", positive=True)


def moment_symbols(s: Symbol) -> tuple[Symbol, ...]:
    """All symbols by which an expectation may know a latent."""
    logs = log_symbol(s)
    own = (mean_symbol(s), variance_symbol(s), alpha_symbol(s), beta_symbol(s))
    return (*own, logs, mean_symbol(logs))


def covariance_symbol(s: Symbol) -> Symbol:
    """The symbol of the covariance matrix of a vector u."""
    return Symbol(f"{s.name}_c", real=True)


def link_symbol(s: Symbol, t: Symbol) -> Symbol:
    """The symbol of Cov(u, v) for two latents that share a factor at equal points."""
    a, b = sorted((s.name, t.name))
    return Symbol(f"{a}&{b}", real=True)


def linked_to(s: Symbol, wanted: Iterable[Symbol]) -> bool:
    """Whether a covariance with this latent is among the symbols."""
    return any(s.name in w.name.split("&") for w in wanted if "&" in w.name)


def elementary(
    s: Symbol, law: Law, roots: frozenset[Root], separate: bool, correlated: bool = False
) -> Latent:
    """A latent known by its own moment symbols."""
    mean, variance = mean_symbol(s), variance_symbol(s)
    if correlated:
        return Latent(s, mean, variance, roots, covariance=covariance_symbol(s))
    if law == "normal":
        return Latent(s, mean, variance, roots, separate=separate)
    return Latent(
        s, mean, variance, roots, False, separate=separate,
        law=law, alpha=alpha_symbol(s), beta=beta_symbol(s),
    )  # fmt: skip


def log_symbol(s: Symbol) -> Symbol:
    """The symbol of the logarithm of a point of a simplex, which has a mean of its own."""
    return Symbol(f"{s.name}_l", real=True)


class Gather:
    """Rows of a table at positions: a slice where they are consecutive or all the same."""

    def __init__(self, positions: np.ndarray, where: Where) -> None:
        flat = positions.ravel()
        self.slice: slice | None = None
        if positions.ndim == 1 and len(flat):
            if np.all(flat == flat[0]):
                self.slice = slice(int(flat[0]), int(flat[0]) + 1)
            elif np.array_equal(flat, np.arange(flat[0], flat[0] + len(flat))):
                self.slice = slice(int(flat[0]), int(flat[0]) + len(flat))
        self.index = None if self.slice else where.index(flat)
        self.shape = positions.shape

    def __call__(self, table: Tensor, axis: int = 0) -> Tensor:
        """The rows; `axis` 1 for tables with samples first."""
        if self.slice is not None:
            start, stop = self.slice.start, self.slice.stop
            if start == 0 and stop == table.shape[axis]:
                return table
            return table.narrow(axis, start, stop - start)
        assert self.index is not None
        rows = table.index_select(axis, self.index)
        shape = (*table.shape[:axis], *self.shape, *table.shape[axis + 1 :])
        return rows if len(self.shape) == 1 else rows.reshape(shape)


def _row(q: Marginals, name: str) -> Tensor:
    row = q[name].row
    assert row is not None
    return row


class Values:
    """The values of a set of places.

    Args:
        places: known and latent placeholders.
        where: device and dtype.
    """

    def __init__(self, places: Sequence[Place], where: Where) -> None:
        self.known: Environment = {}
        self.latent: dict[Symbol, tuple[str, Gather]] = {}
        for p in places:
            if p.positions is not None:
                self.latent[p.symbol] = (p.name, Gather(p.positions, where))
            else:
                assert p.values is not None
                self.known[p.symbol] = where.tensor(p.values)

    def moments(self, q: Marginals, wanted: Iterable[Symbol]) -> Environment:
        """Known values, means and variances, as far as they are wanted."""
        wanted = set(wanted)
        env = dict(self.known)
        for s, (name, gather) in self.latent.items():
            factors = q[name]
            assert factors.mean is not None
            if mean_symbol(s) in wanted:
                env[mean_symbol(s)] = gather(factors.mean)
            if factors.expected_log is not None:
                env[mean_symbol(log_symbol(s))] = gather(factors.expected_log)
                continue
            assert factors.log_sd is not None
            if variance_symbol(s) in wanted:
                env[variance_symbol(s)] = torch.exp(2 * gather(factors.log_sd))
            if factors.root is not None and covariance_symbol(s) in wanted:
                root = gather(factors.root)
                env[covariance_symbol(s)] = root @ root.transpose(-1, -2)
            if factors.row is not None:
                env |= self._links(s, q, wanted)
            if factors.alpha is not None and factors.beta is not None:
                env[alpha_symbol(s)] = gather(factors.alpha)
                env[beta_symbol(s)] = gather(factors.beta)
        return env

    def _links(self, s: Symbol, q: Marginals, wanted: set[Symbol]) -> Environment:
        """Covariances with latents of the same factor at equal points, as far as wanted."""
        found = {}
        for t, (name, gather) in self.latent.items():
            link = link_symbol(s, t)
            if s != t and link in wanted:
                first, second = self.latent[s][1](_row(q, self.latent[s][0])), gather(_row(q, name))
                k = min(first.shape[-1], second.shape[-1])
                found[link] = (first[..., :k] * second[..., :k]).sum(-1)
        return found

    def log_weight(self, weights: Mapping[str, Tensor], wanted: Iterable[Symbol]) -> Tensor | None:
        """Σ of the log weights ``[S, P]`` of the latents that an integrand holds, per instance."""
        found: Tensor | None = None
        held = set(wanted)
        for s, (name, gather) in self.latent.items():
            if s in held and name in weights:
                each = gather(weights[name], 1)
                each = each.sum(tuple(range(2, each.dim()))) if each.dim() > 2 else each
                found = each if found is None else found + each
        return found

    def samples(self, values: Mapping[str, Tensor], wanted: Iterable[Symbol]) -> Environment:
        """Known values, and latents from tables ``[S, P]`` of values before the transform.

        Points of a simplex are themselves; their logarithms come with them.
        """
        wanted = set(wanted)
        env = dict(self.known)
        for s, (name, gather) in self.latent.items():
            if s in wanted:
                env[s] = gather(values[name], 1)
            if log_symbol(s) in wanted:
                env[log_symbol(s)] = gather(values[name], 1).log()
        return env
