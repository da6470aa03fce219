r"""The static team problem: the best decisions when each decision maker sees only its own inputs.

.. math:: \min_{m_n = f_n(w_n)} \tfrac12 E (m - \mu)^\top \Lambda (m - \mu)
    \iff \sum_j \Lambda_{nj} E[m_j \mid w_n] = E[h_n \mid w_n] \quad\text{for all } n

Radner, *Team Decision Problems*, Annals of Mathematical Statistics 33 (1962), theorem 4: for a
positive-definite Λ the stationary decisions are optimal, and for Gaussian inputs they are affine.
With m = F β the condition becomes the linear system E[FᵀΛF] β = E[Fᵀh].  The regression E[µₙ | wₙ]
solves it only if the decisions are not coupled.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from avi_theory.theory.forms import Matrix
from avi_theory.theory.linalg import Factor, NotPositiveDefinite

DENSE = 2000
RANK = 1e-12
"""Directions of the scaled system below this fraction of the largest count as absent."""


def best_shared(system: np.ndarray, right: np.ndarray) -> np.ndarray:
    """β of E[FᵀΛF] β = E[Fᵀh] for a positive-semidefinite system; the smallest where not unique.

    Example:
        >>> best_shared(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([1.0, 0.0]))
        array([0.5, 0. ])
    """
    size = np.sqrt(np.maximum(np.diagonal(system), 0.0))
    scale = np.where(size > 0, 1 / np.where(size > 0, size, 1.0), 0.0)
    values, vectors = np.linalg.eigh(scale[:, None] * system * scale)
    if len(values) == 0:
        return np.zeros(0)
    keep = values > RANK * max(values[-1], 0.0)
    inverse = np.where(keep, 1 / np.where(keep, values, 1.0), 0.0)
    return np.asarray(scale * (vectors @ (inverse * (vectors.T @ (scale * right)))))


def best_per_position(system: Matrix, right: np.ndarray) -> np.ndarray:
    """β of a large sparse system, one block of features per position.

    Features without any effect (zero rows) get the coefficient 0.
    """
    if system.shape[0] <= DENSE:
        return best_shared(np.asarray(system.todense()), right)
    diagonal = system.diagonal()
    used = np.flatnonzero(diagonal > RANK * diagonal.max())
    scale = 1 / np.sqrt(diagonal[used])
    scaled = sparse.diags(scale) @ sparse.csr_matrix(system)[used][:, used] @ sparse.diags(scale)
    beta = np.zeros(len(right))
    try:
        factor = Factor(scaled)
    except NotPositiveDefinite:
        factor = Factor(scaled + RANK * sparse.eye(len(used)))
    beta[used] = scale * factor.solve(scale * right[used])
    return beta
