r"""Inference functions: from what a point's factor may see to the factor's parameters.

.. math:: \nu_n = f_\phi(w_n),\qquad f \in \mathcal F

One class per kind of function, registered in `FUNCTIONS`; each says how its parameters become a
table ``[M, dim, width]`` over the points it serves, and where to start.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError, nearest
from avi_theory.numeric.families import Family
from avi_theory.numeric.lowering import Where

MAX_MONOMIALS = 5000


class InferenceFunction(Protocol):
    """What the solver asks of a function.

    Attributes:
        size: number of free parameters.
        smooth: whether Newton's method serves it (few parameters, linear mean).
    """

    size: int
    smooth: bool

    def table(self, p: Tensor) -> Tensor:
        """Parameters of the factors at the fitted points, ``[M, dim, width]``."""

    def start(self, table: Tensor) -> Tensor:
        """Parameters whose table is near a given one."""

    def scales(self, fisher: Tensor) -> Tensor:
        """The metric of the parameters, from that of the table ``[M, dim, width]``."""

    def apply(self, p: Tensor, values: np.ndarray) -> Tensor:
        """Parameters of the factors at new inputs ``[M', F]``."""


def split_name(name: str) -> tuple[str, str]:
    """``polynomial:3`` to (``polynomial``, ``3``)."""
    head, _, tail = name.strip().partition(":")
    return head.strip(), tail.strip()


def _mean_width(family: Family) -> int:
    """How many of a factor's parameters are its location: one mean, or all logits."""
    return family.width if family.discrete else 1


class Polynomial:
    """The mean a polynomial of total degree ≤ D with all monomials; one shared scale.

    Monomials of the standardised inputs are made orthonormal over the fitted points, so the
    problem is well conditioned and linearly dependent monomials drop out; the span is that of the
    raw inputs' monomials.
    """

    smooth = True

    def __init__(self, degree: int, family: Family, values: np.ndarray, where: Where) -> None:
        self.family, self._where, self.degree = family, where, degree
        self._centre = values.mean(0) if len(values) else np.zeros(values.shape[1])
        spread = values.std(0) if len(values) else np.ones(values.shape[1])
        self._varies = spread > 1e-12 * (1 + np.abs(self._centre))
        self._spread = np.where(self._varies, spread, 1.0)
        inputs = int(self._varies.sum())
        count = math.comb(inputs + degree, degree)
        if count > MAX_MONOMIALS:
            raise InputError(
                f"A polynomial of degree {degree} in {inputs} inputs has {count:,} monomials. "
                "Use fewer inputs, a lower degree, or a network (mlp:32x32)."
            )
        self._exponents = [
            e for k in range(degree + 1)
            for e in itertools.combinations_with_replacement(range(inputs), k)
        ]  # fmt: skip
        raw = self._monomials(values)
        self._map = _orthonormal(raw)
        self.features = where.tensor(raw @ self._map)
        self._wide = _mean_width(family)
        self._rest = family.width - self._wide
        self.size = family.dim * (self.features.shape[1] * self._wide + self._rest)

    def _monomials(self, values: np.ndarray) -> np.ndarray:
        z = ((values - self._centre) / self._spread)[:, self._varies]
        return np.stack(
            [np.prod(z[:, list(e)], axis=1) if e else np.ones(len(z)) for e in self._exponents], 1
        )

    def table(self, p: Tensor) -> Tensor:
        """``[M, dim, width]``."""
        return self._of(p, self.features)

    def _of(self, p: Tensor, features: Tensor) -> Tensor:
        k, dim = features.shape[1], self.family.dim
        weights = p[: k * dim * self._wide].reshape(k, dim * self._wide)
        mean = (features @ weights).reshape(-1, dim, self._wide)
        if not self._rest:
            return mean
        scale = p[k * dim * self._wide :].reshape(1, dim, self._rest)
        return torch.cat([mean, scale.expand(len(mean), -1, -1)], -1)

    def start(self, table: Tensor) -> Tensor:
        """Least squares for the mean, the average log scale."""
        mean = table[..., : self._wide].reshape(len(table), -1)
        weights = self.features.T @ mean / max(len(table), 1)
        return torch.cat([weights.reshape(-1), table[..., self._wide :].mean(0).reshape(-1)])

    def scales(self, fisher: Tensor) -> Tensor:
        """Fisher information pulled back through the features, diagonal part."""
        mean = fisher[..., : self._wide].reshape(len(fisher), -1)
        weights = (self.features**2).T @ mean
        return torch.cat([weights.reshape(-1), fisher[..., self._wide :].sum(0).reshape(-1)])

    def apply(self, p: Tensor, values: np.ndarray) -> Tensor:
        """At new inputs."""
        return self._of(p, self._where.tensor(self._monomials(values) @ self._map))


def _orthonormal(raw: np.ndarray) -> np.ndarray:
    """A map of columns to mean-square-one orthogonal ones, dependent columns left out."""
    count = max(len(raw), 1)
    kept: list[int] = []
    basis = np.zeros((len(raw), 0))
    for k in range(raw.shape[1]):
        column = raw[:, k]
        left = column - basis @ (basis.T @ column)
        left = left - basis @ (basis.T @ left)
        size = float(np.linalg.norm(left))
        if size > 1e-9 * max(float(np.linalg.norm(column)), 1e-300) and len(kept) < len(raw):
            kept.append(k)
            basis = np.concatenate([basis, (left / size)[:, None]], 1)
    chosen = raw[:, kept]
    _, r = np.linalg.qr(chosen)
    found = np.zeros((raw.shape[1], len(kept)))
    found[kept] = np.linalg.inv(r) * math.sqrt(count)
    return found


class Table:
    """Own parameters for every distinct value of the inputs: the best of all functions."""

    smooth = True

    def __init__(self, family: Family, values: np.ndarray, where: Where) -> None:
        self.family, self._where = family, where
        self.rows, inverse = np.unique(values, axis=0, return_inverse=True)
        self._row = where.index(inverse.reshape(-1))
        self._counts = where.tensor(np.bincount(inverse.reshape(-1), minlength=len(self.rows)))
        self._shape = (len(self.rows), family.dim, family.width)
        self.size = math.prod(self._shape)

    def table(self, p: Tensor) -> Tensor:
        """``[M, dim, width]``."""
        return p.reshape(self._shape).index_select(0, self._row)

    def _pooled(self, table: Tensor) -> Tensor:
        return table.new_zeros(self._shape).index_add(0, self._row, table)

    def start(self, table: Tensor) -> Tensor:
        """Averages over the points that share their inputs."""
        return (self._pooled(table) / self._counts[:, None, None]).reshape(-1)

    def scales(self, fisher: Tensor) -> Tensor:
        """Fisher information pooled over the points that share their inputs."""
        return self._pooled(fisher).reshape(-1)

    def apply(self, p: Tensor, values: np.ndarray) -> Tensor:
        """At new inputs; NaN where the fitted data never showed them."""
        known = {tuple(r): k for k, r in enumerate(self.rows.tolist())}
        rows = [known.get(tuple(v), -1) for v in values.tolist()]
        padded = torch.cat([p.reshape(self._shape), p.new_full((1, *self._shape[1:]), math.nan)])
        return padded.index_select(0, self._where.index(np.asarray(rows)))


class Network:
    """An affine map plus a multilayer perceptron with tanh units, mean and log-sd heads.

    Inputs are standardised, those with heavy tails also through asinh; the perceptron's last layer
    starts at zero, so the network starts as the affine function it is given, and it works in units
    of the factors' scale, so data need not be rescaled.
    """

    smooth = False

    def __init__(
        self, widths: tuple[int, ...], family: Family, values: np.ndarray, where: Where, seed: int
    ) -> None:
        self.family, self._where = family, where
        self._skip = Polynomial(1, family, values, where)
        self._centre = np.median(values, 0) if len(values) else np.zeros(values.shape[1])
        spread = np.abs(values - self._centre).mean(0) if len(values) else np.ones(values.shape[1])
        self._spread = np.where(spread > 0, spread, 1.0)
        self._heavy = np.abs((values - self._centre) / self._spread).max(0, initial=0.0) > 6.0
        first = self._transformed(values)
        self._mean, std = first.mean(0), first.std(0)
        self._std = np.where(std > 1e-12, std, 1.0)
        self._features = where.tensor((first - self._mean) / self._std)
        outputs = family.dim * family.width
        sizes = [self._features.shape[1], *widths, outputs]
        self._shapes = list(itertools.pairwise(sizes))
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for k, (a, b) in enumerate(self._shapes):
            last = k == len(self._shapes) - 1
            gain = 0.0 if last else 1.0 / math.sqrt(max(a, 1))
            weights = gain * torch.randn(a, b, generator=generator, dtype=torch.float64)
            bias = torch.zeros(b, dtype=torch.float64) if last else 0.5 * torch.randn(
                b, generator=generator, dtype=torch.float64
            )  # fmt: skip
            parts += [weights.reshape(-1), bias]
        self._weights = torch.cat(parts).to(where.device, where.dtype)
        self.size = self._skip.size + len(self._weights)
        self.unit = torch.ones(1, family.dim, family.width, dtype=where.dtype, device=where.device)

    def _transformed(self, values: np.ndarray) -> np.ndarray:
        z = (values - self._centre) / self._spread
        return np.concatenate([z, np.arcsinh(5 * z[:, self._heavy])], 1)

    def _perceptron(self, p: Tensor, x: Tensor) -> Tensor:
        at = 0
        for k, (a, b) in enumerate(self._shapes):
            weights, bias = p[at : at + a * b].reshape(a, b), p[at + a * b : at + a * b + b]
            x = x @ weights + bias
            if k < len(self._shapes) - 1:
                x = torch.tanh(x)
            at += a * b + b
        return x.reshape(-1, self.family.dim, self.family.width)

    def table(self, p: Tensor) -> Tensor:
        """``[M, dim, width]``."""
        k = self._skip.size
        return self._skip.table(p[:k]) + self.unit * self._perceptron(p[k:], self._features)

    def start(self, table: Tensor) -> Tensor:
        """The affine start, seeded hidden layers, a silent last layer."""
        if not self.family.discrete:
            unit = torch.ones_like(self.unit)
            unit[..., 0] = table[..., 0].std(0, correction=0) + table[..., 1].exp().mean(0)
            self.unit = unit
        return torch.cat([self._skip.start(table), self._weights])

    def scales(self, fisher: Tensor) -> Tensor:
        """The Euclidean metric."""
        return torch.ones(self.size, dtype=fisher.dtype, device=fisher.device)

    def apply(self, p: Tensor, values: np.ndarray) -> Tensor:
        """At new inputs."""
        x = self._where.tensor((self._transformed(values) - self._mean) / self._std)
        k = self._skip.size
        return self._skip.apply(p[:k], values) + self.unit * self._perceptron(p[k:], x)


@dataclass(frozen=True)
class FunctionName:
    """A checked function name.

    Attributes:
        text: as written, e.g. ``polynomial:3``.
        pooled: whether it uses `Seen.pooled`, so that a set enters by its sum and size.
    """

    text: str
    pooled: bool

    def build(self, family: Family, values: np.ndarray, where: Where, seed: int) -> Any:
        """The function over the fitted points' inputs ``[M, F]``."""
        head, rest = split_name(self.text)
        return FUNCTIONS[head].build(rest, family, values, where, seed)


@dataclass(frozen=True)
class Entry:
    """A kind of function: its builder, its pattern of arguments, and whether sets are pooled."""

    build: Any
    arguments: str = ""
    pooled: bool = False
    example: str = ""


FUNCTIONS: Mapping[str, Entry] = {
    "constant": Entry(lambda rest, f, x, w, seed: Polynomial(0, f, x, w), pooled=True),
    "affine": Entry(lambda rest, f, x, w, seed: Polynomial(1, f, x, w), pooled=True),
    "polynomial": Entry(
        lambda rest, f, x, w, seed: Polynomial(int(rest), f, x, w), r"[0-9]|1[0-9]|20", True, ":3"
    ),
    "table": Entry(lambda rest, f, x, w, seed: Table(f, x, w)),
    "mlp": Entry(
        lambda rest, f, x, w, seed: Network(tuple(map(int, rest.split("x"))), f, x, w, seed),
        r"[1-9]\d{0,3}(x[1-9]\d{0,3})*", False, ":32x32",
    ),
}  # fmt: skip
"""Kinds of inference functions by the name users write; add one here."""


def function_named(text: str) -> FunctionName:
    """Check a function's name.

    Raises:
        InputError: no such kind, or arguments it does not take; the nearest is named.
    """
    head, rest = split_name(text)
    if head not in FUNCTIONS:
        kinds = ", ".join(k + e.example for k, e in FUNCTIONS.items())
        hint = nearest(head, FUNCTIONS)
        raise InputError(f"The function {text!r} is unknown. {hint} Known: {kinds}.")
    entry = FUNCTIONS[head]
    if not re.fullmatch(entry.arguments, rest):
        written = head + entry.example
        raise InputError(f"The function {text!r} cannot be built. Write it as {written}.")
    return FunctionName(f"{head}:{rest}" if rest else head, entry.pooled)
