r"""Features of inputs, fitted to one sample and applied to another.

.. math:: \phi(w) = B(w)\, T, \qquad T \text{ so that } \phi \text{ is orthonormal on the sample}

Polynomials for their classes; for all functions sums of piecewise linear functions of each input,
or one feature for each value where the inputs take few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avi_theory.theory.design import monomials

KNOTS = (0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.98)
FEWER_KNOTS = (0.1, 0.5, 0.9)
"""Quantiles of an input at which its function may bend, where the inputs are few or many."""
MANY_INPUTS = 4
FEW_VALUES = 12
MOST_CELLS, ROWS_OF_A_CELL = 40, 30
"""A table of joint values has at most so many cells, each with so many rows on average."""
SINGULAR = 1e-8

Expansion = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Basis:
    """Features of inputs ``[rows, inputs]``, the constant among their span.

    Attributes:
        expand: the features before they are made orthonormal.
        transform: T.
        typical: the mean of each input, for one that is missing.
    """

    expand: Expansion
    transform: np.ndarray
    typical: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """The features of each row."""
        return np.asarray(self.expand(inputs) @ self.transform)

    @property
    def width(self) -> int:
        """Their number."""
        return int(self.transform.shape[1])


def polynomial(inputs: np.ndarray, degree: int, *, clipped: bool = False) -> Basis:
    """All polynomials of a total degree; with `clipped`, constant beyond the inputs of the sample.

    Raises:
        InputError: too many monomials.

    Example:
        >>> polynomial(np.array([[0.0], [1.0], [2.0]]), 1).width
        2
    """
    centre, size = inputs.mean(0), inputs.std(0)
    size = np.where(size > 0, size, 1.0)
    low, high = (inputs.min(0), inputs.max(0)) if clipped else (-np.inf, np.inf)

    def expand(w: np.ndarray) -> np.ndarray:
        return monomials((np.clip(w, low, high) - centre) / size, degree)

    return _orthonormal(expand, inputs)


def flexible(inputs: np.ndarray) -> Basis:
    """A table of few joint values, else a sum of piecewise linear functions of each input."""
    if inputs.shape[1] == 0:
        return polynomial(inputs, 0)
    cells = np.unique(inputs, axis=0)
    if len(cells) <= min(MOST_CELLS, max(len(inputs) // ROWS_OF_A_CELL, 1)):
        return _orthonormal(lambda w: _constant(w, _same(w, cells)), inputs)
    knots = FEWER_KNOTS if inputs.shape[1] >= MANY_INPUTS else KNOTS
    parts = [_bent(column, knots) for column in inputs.T]

    def expand(w: np.ndarray) -> np.ndarray:
        return _constant(w, *(f(w[:, k]) for k, f in enumerate(parts)))

    return _orthonormal(expand, inputs)


def _bent(column: np.ndarray, quantiles: tuple[float, ...]) -> Expansion:
    """Features of one input: indicators of few values, or hinges on a scale that tames tails."""
    values = np.unique(column)
    if len(values) <= FEW_VALUES:
        return lambda x: (x[:, None] == values).astype(float)
    centre = np.median(column)
    unit = np.quantile(np.abs(column - centre), 0.1)
    unit = unit if unit > 0 else max(column.std(), 1e-300)
    knots = np.unique(np.quantile(np.arcsinh((column - centre) / unit), quantiles))
    width = max(column.std(), 1e-300)
    low, high = column.min(), column.max()

    def features(x: np.ndarray) -> np.ndarray:
        x = np.clip(x, low, high)  # nothing is known beyond
        tame = np.arcsinh((x - centre) / unit)[:, None]
        plain = ((x - centre) / width)[:, None]
        return np.concatenate([plain, tame, np.maximum(tame - knots, 0)], 1)

    return features


def _constant(inputs: np.ndarray, *features: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(inputs), 1)), *features], 1)


def _same(inputs: np.ndarray, cells: np.ndarray) -> np.ndarray:
    return np.asarray((inputs[:, None] == cells).all(2), float)


def _orthonormal(expand: Expansion, inputs: np.ndarray) -> Basis:
    features = expand(inputs) / np.sqrt(max(len(inputs), 1))
    values, vectors = np.linalg.eigh(features.T @ features)
    kept = values > SINGULAR * values.max(initial=0.0)
    return Basis(expand, vectors[:, kept] / np.sqrt(values[kept]), inputs.mean(0))
