"""A family read off its log density at a few points: parameters, and whether it is the family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import gammaln

from .brute import Cell, World

Read = dict[str, Any]
Bases = list[Callable[[np.ndarray], np.ndarray]]

POINTS = {
    "real": np.linspace(-1.5, 2.0, 7),
    "positive": np.linspace(0.3, 3.0, 7),
    "unit": np.linspace(0.1, 0.9, 7),
}
LOG, ONE = np.log, np.ones_like
SCALAR: dict[str, tuple[str, Bases, Callable[..., Read]]] = {
    "Normal": (
        "real", [lambda z: z, lambda z: z**2],
        lambda a, b: {"mean": -a / (2 * b), "sd": (-2 * b) ** -0.5},
    ),
    "LogNormal": (
        "positive", [LOG, lambda z: LOG(z) ** 2],
        lambda a, b: {"mean": -(a + 1) / (2 * b), "sd": (-2 * b) ** -0.5},
    ),
    "HalfNormal": ("positive", [lambda z: z**2], lambda b: {"scale": (-2 * b) ** -0.5}),
    "Gamma": ("positive", [LOG, lambda z: z], lambda a, b: {"shape": a + 1, "rate": -b}),
    "InverseGamma": (
        "positive", [LOG, lambda z: 1 / z], lambda a, b: {"shape": -a - 1, "scale": -b},
    ),
    "Beta": (
        "unit", [LOG, lambda z: LOG(1 - z)], lambda a, b: {"a": a + 1, "b": b + 1},
    ),
}  # fmt: skip
"""Per family: where to look, sufficient statistics, parameters from their coefficients."""


class NotTheFamily(AssertionError):
    """The log density is not spanned by the family's statistics."""


def natural(world: World, family: str, cell: Cell, dim: int | None = None) -> np.ndarray:
    """Coefficients of the family's statistics; logits of a discrete one; P and h of a vector.

    Raises:
        NotTheFamily: the log density at more points than parameters does not fit.
    """
    generator = np.random.default_rng(0)
    if family in {"Categorical", "Bernoulli"}:
        logits = world.energy(cell, list(range(len(world.atoms[cell]))))
        return logits - logits[0]
    if family == "Dirichlet":
        points = generator.dirichlet(np.full(dim or 2, 3.0), 2 * (dim or 2) + 3)
        columns = list(np.log(points).T)
        return _fitted(world.energy(cell, list(points)), columns)
    if dim is not None and family != "Normal":
        support, statistics, _ = SCALAR[family]
        points = generator.choice(POINTS[support], (dim * len(statistics) + 5, dim))
        columns = [s(points[:, i]) for s in statistics for i in range(dim)]
        return _fitted(world.energy(cell, list(points)), columns)
    if dim is not None:
        points = generator.normal(size=((dim + 1) * (dim + 2) // 2 + 4, dim))
        pairs = [(i, j) for i in range(dim) for j in range(i, dim)]
        columns = [*points.T, *(points[:, i] * points[:, j] for i, j in pairs)]
        return _fitted(world.energy(cell, list(points)), columns)
    if family == "Poisson":
        counts = np.arange(12)
        with np.errstate(divide="ignore", invalid="ignore"):
            energy = world.energy(cell, list(counts.astype(float)))
        inside = np.isfinite(energy)
        shift = int(np.argmax(inside))
        z = counts[inside].astype(float)
        base = energy[inside] + gammaln(z - shift + 1)
        return np.array([_fitted(base, [z])[0], shift])
    support, statistics, _ = SCALAR[family]
    z = POINTS[support]
    return _fitted(world.energy(cell, list(z)), [s(z) for s in statistics])


def _fitted(energy: np.ndarray, columns: list[np.ndarray]) -> np.ndarray:
    design = np.column_stack([*columns, np.ones(len(energy))])
    found, *_ = np.linalg.lstsq(design, energy, rcond=None)
    left = np.abs(design @ found - energy).max()
    if left > 1e-8 * (1 + np.abs(energy).max()):
        raise NotTheFamily(f"the log density leaves the family by {left:.3g} nats")
    return found[:-1]


def parameters(family: str, coefficients: np.ndarray, dim: int | None = None) -> Read:
    """The family's parameters as the formulas name them."""
    if family == "Categorical":
        return {"logit": coefficients}
    if family == "Bernoulli":
        return {"logit": coefficients[1]}
    if family == "Dirichlet":
        return {"concentration": coefficients + 1}
    if family == "Poisson":
        return {"rate": np.exp(coefficients[0]), "shift": coefficients[1]}
    if dim is not None and family != "Normal":
        return SCALAR[family][2](*coefficients.reshape(-1, dim))
    if dim is not None:
        linear, rest = coefficients[:dim], coefficients[dim:]
        precision = np.zeros((dim, dim))
        pairs = [(i, j) for i in range(dim) for j in range(i, dim)]
        for (i, j), c in zip(pairs, rest, strict=True):
            precision[i, j] -= c
            precision[j, i] -= c
        return {
            "mean": np.linalg.solve(precision, linear),
            "sd": np.diag(precision) ** -0.5,
        }
    return SCALAR[family][2](*coefficients)
