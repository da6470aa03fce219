r"""Sparse symmetric positive-definite systems: factor, solve, log determinant, selected inverse.

Chains become banded matrices, whose cost is linear in their length; small matrices are dense; the
rest goes through a sparse LU.  A matrix that is not positive definite is refused with the
coordinate at which it fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.sparse.linalg import splu

from avi_theory.theory.forms import Matrix

WIDEST_BAND = 256
SMALL = 1200
SINGULAR = 2e-14
"""A pivot below this fraction of its diagonal entry counts as zero."""


class NotPositiveDefinite(Exception):
    """A matrix that is not positive definite; `coordinate` is where its factorization fails."""

    def __init__(self, coordinate: int) -> None:
        self.coordinate = coordinate
        super().__init__(f"not positive definite at coordinate {coordinate}")


def bandwidth(matrix: Matrix, order: np.ndarray) -> int:
    """The largest distance of an entry from the diagonal in a given order."""
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    entries = matrix.tocoo()
    if entries.nnz == 0:
        return 0
    return int(np.abs(position[entries.row] - position[entries.col]).max())


def banded_order(matrix: Matrix) -> tuple[np.ndarray, int]:
    """An order of small bandwidth, and that bandwidth; the natural one if it is nearly as good."""
    natural = np.arange(matrix.shape[0])
    width = bandwidth(matrix, natural)
    if width <= 3:
        return natural, width
    found = np.asarray(reverse_cuthill_mckee(sparse.csr_matrix(matrix), symmetric_mode=True))
    found = found.astype(np.int64)
    narrow = bandwidth(matrix, found)
    return (natural, width) if width <= narrow + 2 else (found, narrow)


def lower_band(matrix: Matrix, order: np.ndarray, width: int) -> np.ndarray:
    """The lower band ``[width + 1, n]`` of the reordered matrix, as LAPACK stores it."""
    n = len(order)
    position = np.empty_like(order)
    position[order] = np.arange(n)
    entries = matrix.tocoo()
    row, col = position[entries.row], position[entries.col]
    low = row >= col
    flat = (row[low] - col[low]) * n + col[low]
    return np.bincount(flat, entries.data[low], minlength=(width + 1) * n).reshape(width + 1, n)


class Factor:
    """A factorized symmetric positive-definite matrix.

    Args:
        matrix: symmetric, sparse.

    Raises:
        NotPositiveDefinite: it is not positive definite.
    """

    def __init__(self, matrix: Matrix) -> None:
        matrix = sparse.csr_matrix(matrix)
        self.size = matrix.shape[0]
        self.order, self.width = banded_order(matrix)
        self.diagonal = matrix.diagonal()
        self._lu: Any = None
        if self.size == 0:
            self.log_determinant = 0.0
        elif self.width <= WIDEST_BAND or self.size <= SMALL:
            self.width = min(self.width, self.size - 1)
            self._factor_band(matrix)
        else:
            self._factor_sparse(matrix)

    def _factor_band(self, matrix: Matrix) -> None:
        band = lower_band(matrix, self.order, self.width)
        self.band, info = linalg.lapack.dpbtrf(band, lower=1)
        if info > 0:
            raise NotPositiveDefinite(int(self.order[info - 1]))
        self._require(self.band[0] ** 2, self.order)
        self.log_determinant = float(2 * np.log(self.band[0]).sum())

    def _factor_sparse(self, matrix: Matrix) -> None:
        options = {"SymmetricMode": True}
        try:
            self._lu = splu(
                sparse.csc_matrix(matrix), "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options
            )
        except RuntimeError as e:
            raise NotPositiveDefinite(int(np.argmin(self.diagonal))) from e
        pivots = self._lu.U.diagonal()
        order = np.argsort(self._lu.perm_c)
        self._require(pivots, order)
        self.log_determinant = float(np.log(pivots).sum())

    def _require(self, pivots: np.ndarray, order: np.ndarray) -> None:
        bad = ~(pivots > SINGULAR * np.abs(self.diagonal[order]))
        if np.any(bad):
            raise NotPositiveDefinite(int(order[np.flatnonzero(bad)[0]]))

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution for one or several right-hand sides (columns)."""
        if self.size == 0 or right.size == 0:
            return np.zeros(right.shape)
        if self._lu is not None:
            return np.asarray(self._lu.solve(np.asarray(right, float)))
        ordered = np.asarray(right, float)[self.order].reshape(self.size, -1)
        solution, _ = linalg.lapack.dpbtrs(self.band, ordered, lower=1)
        out = np.empty(right.shape)
        out[self.order] = solution.reshape(right.shape)
        return out


@dataclass(frozen=True, eq=False)
class SelectedInverse:
    """Entries of an inverse near its diagonal, in a banded order.

    Attributes:
        position: of each coordinate in that order.
        band: ``band[k, i]`` is entry (i, i + k) of the reordered inverse.
    """

    position: np.ndarray
    band: np.ndarray

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The entries (a, b), coordinates broadcast against each other."""
        i, j = self.position[a], self.position[b]
        return np.asarray(self.band[np.abs(i - j), np.minimum(i, j)])


def selected_inverse(matrix: Matrix, wanted: Matrix) -> SelectedInverse:
    r"""The inverse's entries on the pattern of `matrix` and `wanted`.

    .. math:: \Sigma_{i,j} = \delta_{ij} / D_i - \sum_{k=1}^{w} L_{i+k,i}\, \Sigma_{i+k,j}

    Takahashi's recursion (Takahashi, Fagan & Chin 1973) in a banded order, run from the end in
    parallel segments: within a segment the window of covariances is an affine function of the
    next segment's first window.  Exact; memory and time linear in the size times the bandwidth.

    Raises:
        NotPositiveDefinite: the matrix is not positive definite.
    """
    matrix = sparse.csr_matrix(matrix)
    n = matrix.shape[0]
    pattern = _pattern(matrix) + _pattern(wanted)
    pattern = sparse.csr_matrix(pattern + pattern.T)
    order, width = banded_order(pattern)
    del pattern
    width = max(1, min(width, n - 1)) if n > 1 else 0
    position = np.empty_like(order)
    position[order] = np.arange(n)
    if n <= SMALL or width > WIDEST_BAND:
        return _dense_selected(matrix, order, position, width)
    count, length = _segments(n, width)
    padded = np.zeros((width + 1, count * length))
    padded[0, n:] = 1.0  # beyond the end: independent, variance one, coupled to nothing
    factor, info = linalg.lapack.dpbtrf(lower_band(matrix, order, width), lower=1, overwrite_ab=1)
    if info > 0:
        raise NotPositiveDefinite(int(order[info - 1]))
    padded[:, :n] = factor
    del factor
    padded[1:] /= padded[0]
    padded[0] **= -2
    band = _takahashi(padded.reshape(width + 1, count, length))
    return SelectedInverse(position, band.reshape(width + 1, -1)[:, :n])


def _pattern(matrix: Matrix) -> Matrix:
    """Where a matrix has entries, in one byte each."""
    matrix = sparse.csr_matrix(matrix)
    ones = np.ones(matrix.nnz, bool)
    return sparse.csr_matrix((ones, matrix.indices, matrix.indptr), matrix.shape)


def _segments(n: int, width: int) -> tuple[int, int]:
    """How many segments of which length a recursion of n steps is cut into."""
    length = max(width, int(np.ceil(np.sqrt(n))))
    return -(-n // length), length


def _dense_selected(
    matrix: Matrix, order: np.ndarray, position: np.ndarray, width: int
) -> SelectedInverse:
    """The same by solving for columns: for small matrices and those without a narrow band."""
    n = len(order)
    factor = Factor(matrix)
    band = np.zeros((width + 1, n))
    block = max(1, 20_000_000 // max(n, 1))
    for start in range(0, n, block):
        columns = np.arange(start, min(start + block, n))
        right = np.zeros((n, len(columns)))
        right[order[columns], np.arange(len(columns))] = 1
        inverse = factor.solve(right)[order]
        for k in range(width + 1):
            inside = columns + k < n
            band[k, columns[inside]] = inverse[columns[inside] + k, np.flatnonzero(inside)]
    return SelectedInverse(position, band)


def _takahashi(band: np.ndarray) -> np.ndarray:
    """The inverse's band, in place of the factor's: ``[w + 1, segments, length]``.

    Args:
        band: row 0 holds 1/D, row k the unit lower factor's L[i + k, i].
    """
    w, count, length = band.shape[0] - 1, band.shape[1], band.shape[2]
    across = np.broadcast_to(np.eye(w), (count, w, w)).copy()
    within = np.zeros((count, w, w))
    for i in range(length - 1, -1, -1):
        gain = -band[1:, :, i].T
        within, _, _ = _step(within, gain, band[0, :, i])
        across = np.concatenate([(gain[:, None, :] @ across), across[:, :-1]], 1)
    windows = np.zeros((count + 1, w, w))
    windows[count] = np.eye(w)
    for c in range(count - 1, -1, -1):
        windows[c] = across[c] @ windows[c + 1] @ across[c].T + within[c]
    window = windows[1:]
    for i in range(length - 1, -1, -1):
        gain = -band[1:, :, i].T
        window, row, own = _step(window, gain, band[0, :, i])
        band[0, :, i] = own
        band[1:, :, i] = row.T
    return band


def _step(
    window: np.ndarray, gain: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The window one coordinate earlier, that coordinate's covariances and its variance."""
    row = (gain[:, None, :] @ window)[:, 0]
    own = variance + (row * gain).sum(1)
    new = np.empty_like(window)
    new[:, 1:, 1:] = window[:, :-1, :-1]
    new[:, 0, 0] = own
    new[:, 0, 1:] = row[:, :-1]
    new[:, 1:, 0] = row[:, :-1]
    return new, row, own
