r"""Square roots of covariances that are sparse: few latents, many observations of each.

.. math:: y = (z, x) = \bar y + R \varepsilon, \qquad
    R = \begin{pmatrix} R_z & 0 \\ A R_z & D^{1/2} \end{pmatrix}, \qquad \mathrm{Cov}(y) = R R^\top

Given the locals, observations are independent with variances D and means A z.  Crossed and nested
effects have an R of a few entries a row although every two observations may be correlated, and then
E[FᵀWF] is a sum over the columns of R instead of one over pairs of observations.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from avi_theory.theory.forms import Matrix

MOST_LOCALS = 3000
"""Locals up to which matrices over them are held densely."""
MOST_ENTRIES = 20_000_000
DEEP = 32
"""The mean number of entries in a row of R_z up to which it counts as sparse."""
ROUNDING = 8 * np.finfo(float).eps
"""Entries of Cov(z)⁻¹ below this fraction of their two diagonal entries of P are cancellations."""
FEW = 48
"""Columns of R that so few features see are taken pair by pair, many columns at a time."""
SPARSE = 0.05
CHUNK = 1_000_000


def covariance_root(
    precision: Matrix, locals_: int, spread: np.ndarray, theta: np.ndarray
) -> Matrix | None:
    r"""R with RRᵀ = P⁻¹ + GVGᵀ, ``[y, r]``; None where observations depend on each other.

    R_z is the inverse of Cov(z)⁻¹'s Cholesky factor in reversed order: parents declared before
    their children then give a row its ancestors' columns only.

    Args:
        precision: P over y = (z, x).
        locals_: the number of coordinates of z.
        spread: G, ``[y, θ]``.
        theta: V, ``[θ, θ]``.
    """
    k = locals_
    own = precision[k:, k:]
    noise = own.diagonal()
    if k > MOST_LOCALS or np.any(noise <= 0) or (own - sparse.diags(noise)).count_nonzero():
        return None
    toward = sparse.csr_matrix(precision[:k, k:])
    slopes = sparse.csr_matrix(-(sparse.diags(1 / noise) @ toward.T))
    inner = sparse.coo_matrix(precision[:k, :k] + toward @ slopes)
    size = np.sqrt(precision.diagonal()[:k])
    kept = np.abs(inner.data) > ROUNDING * size[inner.row] * size[inner.col]
    reverse = sparse.csr_matrix(
        (inner.data[kept], (k - 1 - inner.row[kept], k - 1 - inner.col[kept])), (k, k)
    )
    if reverse.nnz > DEEP * k or elimination_depths(reverse).sum() > DEEP * k:
        return None
    try:
        lower = np.linalg.cholesky(reverse.toarray())
    except np.linalg.LinAlgError:
        return None
    inverse = linalg.solve_triangular(lower, np.eye(k), lower=True)
    of_locals = sparse.csr_matrix(inverse.T[::-1, ::-1])
    found = sparse.bmat(
        [[of_locals, None], [slopes @ of_locals, sparse.diags(1 / np.sqrt(noise))]], "csr"
    )
    if theta.size:
        found = sparse.hstack([found, sparse.csr_matrix(spread @ np.linalg.cholesky(theta))], "csr")
    return sparse.csr_matrix(found)


def elimination_depths(matrix: Matrix) -> np.ndarray:
    """The number of ancestors, itself included, of each coordinate in Cholesky elimination.

    Column j of the factor's inverse has entries at the ancestors of j only.  Liu, *The role of
    elimination trees in sparse factorization*, SIAM J. Matrix Anal. Appl. 11 (1990).

    Args:
        matrix: symmetric, sparse.

    Example:
        >>> elimination_depths(sparse.csr_matrix([[2.0, 0, 1], [0, 2, 1], [1, 1, 2]]))
        array([2, 2, 1])
    """
    n = matrix.shape[0]
    parent, top = [-1] * n, [-1] * n
    matrix = sparse.csr_matrix(matrix)
    for i in range(n):
        for j in matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]:
            at = int(j)
            while at != -1 and at < i:
                at, top[at], last = top[at], i, at
                if at == -1:
                    parent[last] = i
    depths = np.ones(n, np.int64)
    for i in range(n - 2, -1, -1):
        if parent[i] >= 0:
            depths[i] += depths[parent[i]]
    return depths


def row_products(root: Matrix, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The entries (a, b) of RRᵀ, pair by pair."""
    out = np.empty(len(a))
    for start in range(0, len(a), CHUNK):
        at = slice(start, start + CHUNK)
        out[at] = np.asarray(root[a[at]].multiply(root[b[at]]).sum(1)).ravel()
    return out


def products(left: Matrix, right: Matrix) -> np.ndarray:
    """left · rightᵀ, dense; columns that most rows see by dense products."""
    seen = left.getnnz(0) + right.getnnz(0)
    full = seen > SPARSE * (left.shape[0] + right.shape[0])
    columns_left, columns_right = left.tocsc(), right.tocsc()
    found = columns_left[:, full].toarray() @ columns_right[:, full].toarray().T
    thin = sparse.csr_matrix(columns_left[:, ~full]) @ sparse.csr_matrix(columns_right[:, ~full]).T
    return np.asarray(found + thin.toarray())


def paired(seen: Matrix, pulled: Matrix, row: np.ndarray) -> np.ndarray:
    """The products of row p of `seen` with row `row[p]` of `pulled`, for all p.

    Args:
        seen: ``[pairs, r]``.
        pulled: ``[locals, r]``.
        row: ``[pairs]``.
    """
    columns = seen.shape[1]
    pulled = sparse.csr_matrix(pulled)
    pulled.sort_indices()
    lines = np.repeat(np.arange(pulled.shape[0]), np.diff(pulled.indptr))
    keys = lines * columns + pulled.indices
    pair = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    wanted = row[pair] * columns + seen.indices
    at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    found = np.where(keys[at] == wanted, pulled.data[at], 0.0) if len(keys) else np.zeros(len(at))
    return np.bincount(pair, seen.data * found, minlength=seen.shape[0])


def cost(seen: Matrix, rows: int, width: int) -> float:
    """The number of products that `coupled` takes, about."""
    lengths = np.diff(seen.tocsc().indptr).astype(float)
    return float(lengths @ np.minimum(lengths, rows + width))


def coupled(
    seen: Matrix, row: np.ndarray, column: np.ndarray, width: int, weights: np.ndarray
) -> np.ndarray:
    r"""The covariance part of E[FᵀWF], dense ``[features, features]``.

    .. math:: \sum_r (F^r)^\top W F^r, \qquad F_{nk} = E F_{nk} + \sum_r F^r_{nk} \varepsilon_r

    Args:
        seen: F^r, ``[pairs (n, k), r]``.
        row: n of each pair.
        column: k of each pair.
        width: the number of features.
        weights: W, ``[locals, locals]``.
    """
    by_column = sparse.csc_matrix(seen)
    lengths = np.diff(by_column.indptr)
    out = np.zeros((width, width))
    few = np.flatnonzero((lengths > 0) & (lengths <= FEW))
    steps = np.cumsum(lengths[few] ** 2) // CHUNK
    for part in np.split(few, np.flatnonzero(np.diff(steps)) + 1):
        left, right = _pairs(by_column.indptr[part], lengths[part])
        p, q = by_column.indices[left], by_column.indices[right]
        value = by_column.data[left] * by_column.data[right] * weights[row[p], row[q]]
        np.add.at(out.reshape(-1), column[p] * width + column[q], value)
    for r in np.flatnonzero(lengths > FEW):
        at = slice(by_column.indptr[r], by_column.indptr[r + 1])
        p = by_column.indices[at]
        rows, i = np.unique(row[p], return_inverse=True)
        columns, j = np.unique(column[p], return_inverse=True)
        f = sparse.csr_matrix((by_column.data[at], (i, j)), (len(rows), len(columns)))
        if f.nnz > SPARSE * len(rows) * len(columns):
            f = f.toarray()
        out[np.ix_(columns, columns)] += f.T @ (weights[np.ix_(rows, rows)] @ f)
    return out


def _pairs(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All ordered pairs of positions inside each stretch."""
    work = lengths.astype(np.int64) ** 2
    at = np.repeat(np.arange(len(starts)), work)
    inside = np.arange(len(at)) - np.repeat(np.cumsum(work) - work, work)
    return starts[at] + inside // lengths[at], starts[at] + inside % lengths[at]
