"""Polynomials of the inputs, constant and affine functions among them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.families import Family
from avi_theory.numeric.lowering import Where

MAX_MONOMIALS = 5000


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
        self._wide = family.location
        self._rest = family.width - self._wide
        self.size = family.dim * (self.features.shape[1] * self._wide + self._rest)

    def _monomials(self, values: np.ndarray) -> np.ndarray:
        z = ((values - self._centre) / self._spread)[:, self._varies]
        return np.stack(
            [np.prod(z[:, list(e)], axis=1) if e else np.ones(len(z)) for e in self._exponents], 1
        )

    def table(self, p: Tensor) -> Tensor:
        """``[M, dim, width]``."""
        return self.at(p, self.features)

    def at(self, p: Tensor, features: Tensor) -> Tensor:
        """The rows of some features."""
        k, dim = features.shape[1], self.family.dim
        weights = p[: k * dim * self._wide].reshape(k, dim * self._wide)
        mean = (features @ weights).reshape(-1, dim, self._wide)
        if not self._rest:
            return mean
        scale = p[k * dim * self._wide :].reshape(1, dim, self._rest)
        return torch.cat([mean, scale.expand(len(mean), -1, -1)], -1)

    def jacobian(self, features: Tensor) -> Tensor:
        """Of the rows of some features in the parameters, ``[M, dim·width, n]``."""
        dim, wide, k = self.family.dim, self._wide, features.shape[1]
        outputs = dim * self.family.width
        places = torch.arange(outputs, device=features.device).reshape(dim, -1)
        found = features.new_zeros(len(features), outputs, self.size)
        for d in range(dim):
            for w in range(wide):
                column = d * wide + w
                at = torch.arange(k, device=features.device) * (dim * wide) + column
                found[:, places[d, w], at] = features
            for w in range(self._rest):
                found[:, places[d, wide + w], k * dim * wide + d * self._rest + w] = 1.0
        return found

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
        return self.at(p, self._where.tensor(self._monomials(values) @ self._map))


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
