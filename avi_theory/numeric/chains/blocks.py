r"""A Gaussian chain in terms of its precision: blocks on the diagonal and below it.

.. math:: S_1 = D_1,\quad S_t = D_t - E_t S_{t-1}^{-1} E_t^\top, \qquad
    \log|\Lambda| = \sum_t \log|S_t|

.. math:: \Sigma_n = S_n^{-1},\quad
    \Sigma_t = S_t^{-1} + S_t^{-1} E_{t+1}^\top \Sigma_{t+1} E_{t+1} S_t^{-1}

The first sweep is the Kalman filter in information form, the second the smoother.
"""

from __future__ import annotations

import torch
from torch import Tensor


def block_tridiagonal(diagonal: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
    """log|Λ| ``[…]`` and the diagonal blocks of Λ⁻¹ ``[…, T, d, d]``.

    Args:
        diagonal: D ``[…, T, d, d]``, symmetric.
        below: E ``[…, T-1, d, d]``, where E_t couples t (rows) to t - 1 (columns).

    Raises:
        torch.linalg.LinAlgError: Λ is not positive definite.

    Example:
        >>> d = torch.tensor([[[2.0]], [[2.0]]])
        >>> log_det, blocks = block_tridiagonal(d, torch.tensor([[[1.0]]]))
        >>> round(log_det.exp().item(), 5), [round(x, 5) for x in blocks.flatten().tolist()]
        (3.0, [0.66667, 0.66667])
    """
    roots: list[Tensor] = []
    gains: list[Tensor] = []
    for t, block in enumerate(diagonal.unbind(-3)):
        if t:
            link = below[..., t - 1, :, :]
            gains.append(torch.cholesky_solve(link.mT, roots[-1]))  # S⁻¹Eᵀ
            block = block - link @ gains[-1]
        roots.append(torch.linalg.cholesky(block))
    log_det = torch.stack(
        [2 * torch.diagonal(r, dim1=-2, dim2=-1).log().sum(-1) for r in roots], -1
    ).sum(-1)
    blocks = [torch.cholesky_inverse(roots[-1])]
    for root, gain in zip(roots[-2::-1], gains[::-1], strict=True):
        blocks.append(torch.cholesky_inverse(root) + gain @ blocks[-1] @ gain.mT)
    return log_det, torch.stack(blocks[::-1], -3)
