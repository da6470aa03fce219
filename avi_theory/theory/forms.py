r"""Arithmetic of quadratic forms over many instances at once.

.. math:: e_i(y) = k_i + (A y)_i + \sum_{r:\, o(r) = i} w_r (L y)_r (R y)_r

A `Form` is what a log density becomes when it is read as a polynomial in the unknowns `y`: a value
per instance, or per instance and coordinate.  Products of more than two unknowns raise
`NotQuadratic`; nothing is ever approximated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

Matrix: TypeAlias = Any


class NotQuadratic(Exception):
    """A log density that is no polynomial of degree two in its unknowns; says which part."""


@dataclass(frozen=True, eq=False)
class Products:
    """Weighted products of linear rows: each belongs to an entry (`owner`) of the form."""

    owner: np.ndarray
    weight: np.ndarray
    left: Matrix
    right: Matrix


@dataclass(frozen=True, eq=False)
class Form:
    """A quadratic polynomial in y per entry; entries are instances ``[I]`` or ``[I, d]``.

    Attributes:
        constant: ``[I]`` for scalars, ``[I, d]`` for vectors.
        linear: one row per entry, in C order; None for a known value.
        products: the second-degree part.
    """

    constant: np.ndarray
    linear: Matrix | None = None
    products: tuple[Products, ...] = ()

    @property
    def known(self) -> bool:
        """Whether no unknown enters."""
        return self.linear is None and not self.products

    @property
    def is_vector(self) -> bool:
        """Whether the entries have coordinates."""
        return self.constant.ndim == 2

    def _as_vector(self, d: int) -> Form:
        if self.is_vector:
            return self
        count = len(self.constant)
        linear = None if self.linear is None else self.linear[np.repeat(np.arange(count), d)]
        if self.products:
            raise NotQuadratic("a square is multiplied into a vector")
        return Form(np.repeat(self.constant[:, None], d, 1), linear)

    def total(self) -> Form:
        """The sum over coordinates."""
        count, d = self.constant.shape
        linear = None
        if self.linear is not None:
            rows = np.repeat(np.arange(count), d)
            gather = sparse.csr_matrix(
                (np.ones(count * d), (rows, np.arange(count * d))), (count, count * d)
            )
            linear = gather @ self.linear
        products = tuple(replace(p, owner=p.owner // d) for p in self.products)
        return Form(self.constant.sum(1), linear, products)

    def picked(self, k: np.ndarray) -> Form:
        """Coordinate k of each instance."""
        count, d = self.constant.shape
        k = np.broadcast_to(np.asarray(k).astype(int), (count,))
        if self.products:
            raise NotQuadratic("a coordinate of a vector of squares is taken")
        rows = np.arange(count) * d + k
        linear = None if self.linear is None else self.linear[rows]
        return Form(self.constant[np.arange(count), k], linear)

    def through(self, matrix: np.ndarray) -> Form:
        """The matrix ``[m, d]`` times the vector."""
        count = len(self.constant)
        if self.products:
            raise NotQuadratic("a matrix multiplies a vector of squares")
        linear = None
        if self.linear is not None:
            linear = sparse.csr_matrix(sparse.kron(sparse.eye(count), matrix) @ self.linear)
        return Form(self.constant @ matrix.T, linear)

    def summed(self, segments: np.ndarray, count: int) -> Form:
        """Entries added up by segment."""
        constant = np.bincount(segments, self.constant, minlength=count)
        linear = None
        if self.linear is not None:
            size = len(segments)
            gather = sparse.csr_matrix((np.ones(size), (segments, np.arange(size))), (count, size))
            linear = gather @ self.linear
        products = tuple(replace(p, owner=segments[p.owner]) for p in self.products)
        return Form(constant, linear, products)


def stack(entries: list[Form]) -> Form:
    """Scalars as the coordinates of a vector."""
    if any(e.products for e in entries):
        raise NotQuadratic("a square is the coordinate of a vector")
    count, d = len(entries[0].constant), len(entries)
    constant = np.stack([e.constant for e in entries], 1)
    if all(e.linear is None for e in entries):
        return Form(constant)
    width = next(e.linear.shape[1] for e in entries if e.linear is not None)
    empty = sparse.csr_matrix((count, width))
    below = sparse.vstack([empty if e.linear is None else e.linear for e in entries], "csr")
    order = np.arange(count * d).reshape(d, count).T.ravel()
    return Form(constant, below[order])


def aligned(a: Form, b: Form) -> tuple[Form, Form]:
    """Both as vectors if one is."""
    if a.is_vector == b.is_vector:
        return a, b
    d = (a if a.is_vector else b).constant.shape[1]
    return a._as_vector(d), b._as_vector(d)


def add(a: Form, b: Form) -> Form:
    """a + b."""
    a, b = aligned(a, b)
    if a.linear is None or b.linear is None:
        linear = a.linear if b.linear is None else b.linear
    else:
        linear = sparse.csr_matrix(a.linear + b.linear)
    return Form(a.constant + b.constant, linear, a.products + b.products)


def scaled(rows: Matrix, weights: np.ndarray) -> Matrix:
    """Each row times its weight."""
    out = rows.copy()
    out.data = out.data * np.repeat(weights, np.diff(out.indptr))
    return out


def multiply(a: Form, b: Form) -> Form:
    """a · b, of degree two at most.

    Raises:
        NotQuadratic: the product has degree three or more.
    """
    a, b = aligned(a, b)
    if b.known:
        a, b = b, a
    if a.known:
        flat = a.constant.ravel()
        linear = None if b.linear is None else scaled(b.linear, flat)
        products = tuple(replace(p, weight=p.weight * flat[p.owner]) for p in b.products)
        return Form(a.constant * b.constant, linear, products)
    if a.products or b.products:
        raise NotQuadratic("three unknowns are multiplied")
    assert a.linear is not None and b.linear is not None
    size = a.constant.size
    linear = sparse.csr_matrix(
        scaled(a.linear, b.constant.ravel()) + scaled(b.linear, a.constant.ravel())
    )
    product = Products(np.arange(size), np.ones(size), a.linear, b.linear)
    return Form(a.constant * b.constant, linear, (product,))
