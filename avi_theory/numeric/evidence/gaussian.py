r"""The evidence and the true marginals of linear-Gaussian models.

.. math:: \log p(x) = \ell(\mu) + \tfrac D2 \log 2\pi - \tfrac12 \log|\Lambda|,\qquad
    \Lambda = -\nabla^2 \ell, \qquad p(z_n \mid x) = \mathcal N(\mu_n, (\Lambda^{-1})_{nn})

with ℓ the log joint density, quadratic in the D latents, and µ its maximum, where F-VI's means are.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.sparse import linalg

from avi_theory.numeric.chains import block_tridiagonal
from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.evidence.precision import DENSE, Precision, banded, precision_of
from avi_theory.numeric.fit import Fit
from avi_theory.numeric.solve import Status

BLOCK = 32
"""Side of the blocks that a narrow band is cut into: fewer steps of larger products."""
WIDEST = 300


def by_determinant(elbo: Elbo, fvi: Fit, seed: int) -> Evidence | None:
    """Exact for quadratic log densities; None elsewhere."""
    if not elbo.quadratic:
        return None
    if fvi.run.status is not Status.converged:
        return Evidence.unknown("F-VI did not converge to the mean that the determinant needs")
    precision = precision_of(elbo)
    if precision is None:
        return Evidence.unknown(f"more than {DENSE} latents in a dense precision matrix")
    log_det = _log_determinant(precision)
    if log_det is None:
        return Evidence.unknown(
            "the integral diverges: the precision matrix is not positive definite"
        )
    with torch.no_grad():
        q = elbo.marginals(fvi.tables)
        means = {n: f.mean[None] for n, f in q.items() if f.mean is not None}
        level = sum(float(f.log_density(means, {})) for f in elbo.factors)
    size = sum(f.points * f.coordinates for f in elbo.families.values())
    value = level + 0.5 * size * math.log(2 * math.pi) - 0.5 * log_det
    return Evidence(value, "exact: Gaussian integral")


def gaussian_sds(elbo: Elbo) -> dict[str, np.ndarray] | None:
    """√(Λ⁻¹)ₙₙ ``[P, d]`` by variable, for quadratic log densities with a band or a small size."""
    precision = precision_of(elbo) if elbo.quadratic else None
    if precision is None or _log_determinant(precision) is None:
        return None
    order, width = banded(precision.matrix)
    total = len(order)
    if width > WIDEST and total > DENSE:
        return None
    side = min(max(BLOCK, width), total)
    whole = -(-total // side) * side
    shuffled = precision.matrix[order][:, order].tocsr()
    diagonal, below = [], []
    for start in range(0, whole, side):
        rows = shuffled[start : start + side]
        block = np.eye(side)  # the last one is filled up with latents that touch no other
        block[: rows.shape[0], : rows.shape[0]] = rows[:, start : start + side].toarray()
        diagonal.append(block)
        if start:
            link = np.zeros((side, side))
            link[: rows.shape[0]] = rows[:, start - side : start].toarray()
            below.append(link)
    links = np.stack(below) if below else np.zeros((0, side, side))
    _, blocks = block_tridiagonal(torch.as_tensor(np.stack(diagonal)), torch.as_tensor(links))
    variance = np.empty(total)
    variance[order] = torch.diagonal(blocks, dim1=-2, dim2=-1).reshape(-1)[:total].numpy()
    sizes = [f.points * f.coordinates for f in elbo.families.values()]
    split = np.split(np.sqrt(variance), np.cumsum(sizes)[:-1])
    return {
        n: part.reshape(f.points, f.coordinates)
        for (n, f), part in zip(elbo.families.items(), split, strict=True)
    }


def _log_determinant(precision: Precision) -> float | None:
    """log|Λ|; None if Λ is not positive definite."""
    if precision.whole:
        dense = precision.matrix.toarray()
        sign, log_det = np.linalg.slogdet(dense)
        return float(log_det) if sign > 0 and np.linalg.eigvalsh(dense)[0] > 0 else None
    try:
        factors = linalg.splu(
            precision.matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )  # fmt: skip
    except RuntimeError:
        return None
    pivots = factors.U.diagonal()
    if np.any(pivots <= 1e-12 * precision.matrix.diagonal().max()):
        return None
    return float(np.log(pivots).sum())
