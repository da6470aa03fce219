r"""Linear-Gaussian chains: the Kalman filter and the Rauch-Tung-Striebel smoother, batched.

.. math:: z_1 \sim N(m, P),\quad z_t \sim N(F z_{t-1} + c, Q),\quad x_t \sim N(H z_t + e, R)

Linear in the length; states and observations are vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.errors import InputError


@dataclass(frozen=True, eq=False)
class GaussianChain:
    """B sequences of T steps with d-dimensional states and p-dimensional observations.

    Attributes:
        mean, covariance: m ``[d]`` and P ``[d, d]`` of the first state.
        transition, drift, noise: F ``[d, d]``, c ``[d]``, Q ``[d, d]``, or each with a leading axis
            of the T - 1 steps; covariances, not standard deviations.
        loading, offset, error: H ``[p, d]``, e ``[p]``, R ``[p, p]``, or each with a leading T.
        observations: x ``[B, T, p]``; NaN where nothing was seen (also beyond a sequence's end).

    Raises:
        InputError: shapes that do not fit.
    """

    mean: Tensor
    covariance: Tensor
    transition: Tensor
    drift: Tensor
    noise: Tensor
    loading: Tensor
    offset: Tensor
    error: Tensor
    observations: Tensor

    def __post_init__(self) -> None:
        if self.observations.ndim != 3 or 0 in self.observations.shape:
            found = list(self.observations.shape)
            raise InputError(f"The observations have shape {found}. Give [sequences, steps, p].")
        _, t, p = self.observations.shape
        d = self.mean.shape[0] if self.mean.ndim == 1 else 0
        if d < 1:
            raise InputError(f"The mean has shape {list(self.mean.shape)}. Give [d], d ≥ 1.")
        fixed: dict[str, tuple[int, ...]] = {"covariance": (d, d)}
        moving: dict[str, tuple[int, tuple[int, ...]]] = {
            "transition": (t - 1, (d, d)), "drift": (t - 1, (d,)), "noise": (t - 1, (d, d)),
            "loading": (t, (p, d)), "offset": (t, (p,)), "error": (t, (p, p)),
        }  # fmt: skip
        choices = {name: [shape] for name, shape in fixed.items()}
        choices |= {name: [shape, (n, *shape)] for name, (n, shape) in moving.items()}
        for name, shapes in choices.items():
            given = tuple(getattr(self, name).shape)
            if given not in shapes:
                wanted = " or ".join(str(list(x)) for x in shapes)
                raise InputError(f"The {name} has shape {list(given)}. Give {wanted}.")


@dataclass(frozen=True, eq=False)
class SmoothedGaussian:
    """What the two sweeps know.

    Attributes:
        log_evidence: log p(x) ``[B]``, in nats.
        mean, covariance: of z_t given x, ``[B, T, d]`` and ``[B, T, d, d]``.
        cross: Cov(z_t, z_{t+1} | x) ``[B, T-1, d, d]``.
    """

    log_evidence: Tensor
    mean: Tensor
    covariance: Tensor
    cross: Tensor


def kalman_smoother(chain: GaussianChain) -> SmoothedGaussian:
    """Log evidence and smoothing marginals of every sequence, exact up to rounding.

    Example:
        >>> one, zero = torch.eye(1), torch.zeros(1)
        >>> x = torch.tensor([[[1.0], [float("nan")]]])
        >>> found = kalman_smoother(GaussianChain(zero, one, one, zero, one, one, zero, one, x))
        >>> found.mean.flatten().tolist(), found.covariance.flatten().tolist()
        ([0.5, 0.5], [0.5, 1.5])
    """
    with torch.no_grad():
        evidence, predicted, filtered = _filter(chain)
        means, covs, crosses = [filtered[-1][0]], [filtered[-1][1]], []
        for t in range(len(filtered) - 2, -1, -1):
            mean, cov = filtered[t]
            ahead_mean, ahead_cov = predicted[t + 1]
            gain = _right_divided(cov @ _at(chain.transition, t, 2).mT, ahead_cov)
            crosses.append(gain @ covs[-1])
            means.append(mean + (gain @ (means[-1] - ahead_mean)[..., None])[..., 0])
            covs.append(_symmetric(cov + gain @ (covs[-1] - ahead_cov) @ gain.mT))
    b, t, _ = chain.observations.shape
    d = len(chain.mean)
    cross = torch.stack(crosses[::-1], 1) if crosses else covs[0].new_zeros(len(covs[0]), 0, d, d)
    return SmoothedGaussian(
        evidence,
        torch.stack(means[::-1], 1),
        torch.stack(covs[::-1], 1).expand(b, t, d, d),
        cross.expand(b, t - 1, d, d),
    )


Moments = tuple[Tensor, Tensor]


def _filter(chain: GaussianChain) -> tuple[Tensor, list[Moments], list[Moments]]:
    """Log evidence, and moments of z_t given x before t, and up to t.

    Covariances are shared by all sequences (a leading axis of 1) where nothing is missing.
    """
    x = chain.observations
    seen = ~x.isnan()
    b, steps, p = x.shape
    shared = bool(seen.all())
    mean, cov = chain.mean.expand(b, -1), chain.covariance[None]
    identity = torch.eye(len(chain.mean), dtype=x.dtype, device=x.device)
    evidence = x.new_zeros(b)
    predicted, filtered = [], []
    for t in range(steps):
        if t:
            f = _at(chain.transition, t - 1, 2)
            mean = mean @ f.mT + _at(chain.drift, t - 1, 1)
            cov = _symmetric(f @ cov @ f.mT + _at(chain.noise, t - 1, 2))
        predicted.append((mean, cov))
        h, r = _at(chain.loading, t, 2), _at(chain.error, t, 2)
        rest = x[:, t] - mean @ h.mT - _at(chain.offset, t, 1)
        if not shared:
            # A missing cell: an observation of nothing, with variance one and value zero.
            here = seen[:, t]
            rest = torch.where(here, rest, 0.0)
            h = torch.where(here[..., None], h, 0.0)
            both = here[:, :, None] & here[:, None, :]
            r = torch.where(both, r, torch.eye(p, dtype=x.dtype, device=x.device))
        root = torch.linalg.cholesky(_symmetric(h @ cov @ h.mT + r))
        gain = torch.cholesky_solve(h @ cov, root).mT
        white = torch.linalg.solve_triangular(root, rest[..., None], upper=False)[..., 0]
        count = seen[:, t].sum(-1).to(x.dtype)
        log_det = 2 * torch.diagonal(root, dim1=-2, dim2=-1).log().sum(-1)
        evidence = evidence - 0.5 * ((white**2).sum(-1) + log_det + count * math.log(2 * math.pi))
        mean = mean + (gain @ rest[..., None])[..., 0]
        left = identity - gain @ h
        cov = _symmetric(left @ cov @ left.mT + gain @ r @ gain.mT)  # Joseph's form stays definite
        filtered.append((mean, cov))
    return evidence, predicted, filtered


def _at(x: Tensor, t: int, rank: int) -> Tensor:
    return x if x.ndim == rank else x[t]


def _symmetric(x: Tensor) -> Tensor:
    return 0.5 * (x + x.mT)


def _right_divided(a: Tensor, b: Tensor) -> Tensor:
    """a b⁻¹ for a symmetric b, by the pseudo-inverse where b is singular (a step without noise)."""
    root, info = torch.linalg.cholesky_ex(b)
    if bool((info == 0).all()):
        return torch.cholesky_solve(a.mT.expand(len(root), -1, -1), root).mT
    return a @ torch.linalg.pinv(b, hermitian=True)
