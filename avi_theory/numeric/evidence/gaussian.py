r"""The evidence of linear-Gaussian models.

.. math:: \log p(x) = \ell(\mu) + \tfrac D2 \log 2\pi - \tfrac12 \log|\Lambda|,\qquad
    \Lambda = -\nabla^2 \ell

with ℓ the log joint density, quadratic in the D latents, and µ its maximum, where F-VI's means are.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import linalg
from torch import Tensor

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.fit import Fit
from avi_theory.numeric.lowering import second_derivatives
from avi_theory.numeric.solve import Status

DENSE = 1500


def by_determinant(elbo: Elbo, fvi: Fit, seed: int) -> Evidence | None:
    """Exact for quadratic log densities; None elsewhere."""
    if not elbo.quadratic:
        return None
    if fvi.run.status is not Status.converged:
        return Evidence.unknown("F-VI did not converge to the mean that the determinant needs")
    log_det = _log_determinant(elbo)
    if log_det is None:
        return Evidence.unknown(
            "the integral diverges: the precision matrix is not positive definite"
        )
    if math.isnan(log_det):
        return Evidence.unknown(f"more than {DENSE} latents in a dense precision matrix")
    means = {n: t[None, ..., 0] if elbo.families[n].vector else t[None, :, 0, 0]
             for n, t in fvi.tables.items()}  # fmt: skip
    with torch.no_grad():
        level = sum(float(f.log_density(means, {})) for f in elbo.factors)
    size = sum(f.points * f.dim for f in elbo.families.values())
    value = level + 0.5 * size * math.log(2 * math.pi) - 0.5 * log_det
    return Evidence(value, "exact: Gaussian integral")


def _log_determinant(elbo: Elbo) -> float | None:
    """log|Λ|; None if Λ is not positive definite, NaN if it is too large to form."""
    sizes = {n: f.points * f.dim for n, f in elbo.families.items()}
    offsets = dict(zip(sizes, np.cumsum([0, *sizes.values()])[:-1], strict=True))
    total = sum(sizes.values())
    matrix = sparse.csc_matrix((total, total))
    for factor in elbo.factors:
        entries = second_derivatives(factor)
        if entries is None:
            return _dense(elbo, total)
        for (a, at), (b, bt), values in entries:
            rows, columns = offsets[a] + at, offsets[b] + bt
            part = sparse.coo_matrix((-values, (rows, columns)), shape=(total, total))
            matrix = matrix + part.tocsc()
    try:
        factors = linalg.splu(
            matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )  # fmt: skip
    except RuntimeError:
        return None
    pivots = factors.U.diagonal()
    if np.any(pivots <= 1e-12 * matrix.diagonal().max()):
        return None
    return float(np.log(pivots).sum())


def _dense(elbo: Elbo, total: int) -> float | None:
    if total > DENSE:
        return math.nan
    shapes = {n: (f.points, f.dim) for n, f in elbo.families.items()}
    sizes = [f.points * f.dim for f in elbo.families.values()]

    def level(w: Tensor) -> Tensor:
        parts = dict(zip(shapes, torch.split(w, sizes), strict=True))
        values = {
            n: x.reshape(1, *shapes[n]) if elbo.families[n].vector else x.reshape(1, -1)
            for n, x in parts.items()
        }
        return torch.stack([f.log_density(values, {}).sum() for f in elbo.factors]).sum()

    w = torch.zeros(total, dtype=elbo.where.dtype, device=elbo.where.device, requires_grad=True)
    (g,) = torch.autograd.grad(level(w), w, create_graph=True)
    rows = [torch.autograd.grad(g[k], w, retain_graph=True)[0] for k in range(total)]
    precision = -torch.stack(rows).cpu().double().numpy()
    sign, log_det = np.linalg.slogdet(precision)
    smallest = np.linalg.eigvalsh(precision)[0]
    return float(log_det) if sign > 0 and smallest > 0 else None
