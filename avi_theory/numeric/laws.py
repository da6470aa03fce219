r"""What u is distributed like, where a factor's latent is a fixed transform z = T(u) of it.

.. math:: u \sim \mathcal N(m, s^2), \qquad
    q(u) \propto e^{\alpha u - \beta e^u} \ (\text{log-Gamma}), \qquad
    q(u) \propto \sigma(u)^\alpha\, \sigma(-u)^\beta \ (\text{logit-Beta})

A Gamma factor is z = exp(u) of a log-Gamma u, an inverse Gamma the same with −u, a Beta factor
z = sigmoid(u) of a logit-Beta u.  So transforms, supports and derivatives are those of LogNormal
and logit-Normal factors; only the law of u differs.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Law = Literal["normal", "gamma", "inverse", "beta"]
LARGE = 1000.0
REACH = 9.5
TAIL = 90.0
"""Nodes reach to where the log density has fallen by about half of this."""
NOTHING = 1e-60
"""A node of less weight is moved to the mode, so that no integrand overflows there."""
PROPOSAL = 0.8
"""Scale of the logistic proposals, in standard deviations of u: tails heavier than any law's."""


def mean(law: Law, alpha: Tensor, beta: Tensor) -> Tensor:
    """E u."""
    if law == "beta":
        return torch.digamma(alpha) - torch.digamma(beta)
    found = torch.digamma(alpha) - torch.log(beta)
    return found if law == "gamma" else -found


def variance(law: Law, alpha: Tensor, beta: Tensor) -> Tensor:
    """Var u."""
    found = torch.polygamma(1, alpha)
    return found + torch.polygamma(1, beta) if law == "beta" else found


def entropy(law: Law, alpha: Tensor, beta: Tensor) -> Tensor:
    r"""H[u] in nats, elementwise.

    .. math:: h(\alpha) = \alpha + \log\Gamma(\alpha) - \alpha\psi(\alpha), \qquad
        h(\alpha) + h(\beta) - h(\alpha + \beta) \text{ for a logit-Beta}
    """
    if law == "beta":
        return _kernel(alpha) + _kernel(beta) - _kernel(alpha + beta)
    return _kernel(alpha)


def _kernel(a: Tensor) -> Tensor:
    """a + log Γ(a) − a ψ(a), by its series where the terms would cancel."""
    small = a.clamp_max(LARGE)
    exact = small + torch.lgamma(small) - small * torch.digamma(small)
    big = a.clamp_min(LARGE)
    series = 0.5 * (math.log(2 * math.pi) + 1 - big.log()) + 1 / (6 * big) - 1 / (90 * big**3)
    return torch.where(a > LARGE, series, exact)


def log_density(law: Law, u: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """log q(u), normalised."""
    if law == "beta":
        level = _unnormalised(law, u, alpha, beta)
        return level - torch.lgamma(alpha) - torch.lgamma(beta) + torch.lgamma(alpha + beta)
    level = _unnormalised(law, u, alpha, beta)
    return level + alpha * torch.log(beta) - torch.lgamma(alpha)


def _unnormalised(law: Law, u: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    if law == "beta":
        zero = torch.zeros_like(u)
        return -alpha * torch.logaddexp(-u, zero) - beta * torch.logaddexp(u, zero)
    u = u if law == "gamma" else -u
    return alpha * u - beta * torch.exp(u)


def nodes(law: Law, alpha: Tensor, beta: Tensor, spacing: float) -> tuple[Tensor, Tensor]:
    r"""A trapezoidal rule for E f(u): nodes and weights ``[Q, *alpha.shape]``.

    The density falls exponentially on at least one side, so the rule is taken in t, where it falls
    doubly exponentially: u = u* + 2τ's map below, u* its mode.  Nodes do not carry gradients; the
    weights do, and the integral does not depend on where its nodes are.

    .. math:: u = u^* + \tau + 1 - e^{-\tau} \ (\text{log-Gamma}), \qquad
        u = u^* + \sinh \tau \ (\text{logit-Beta}), \qquad \tau = kt

    (Takahasi & Mori, Publications RIMS 9, 1974; Trefethen & Weideman, SIAM Review 56, 2014.)
    """
    a, b = alpha.detach(), beta.detach()
    if law == "beta":
        least = float(torch.minimum(a, b).min())
        k = (a * b / (a + b)).clamp_min(1.0).rsqrt()
        reach = max(REACH, math.log(TAIL / least) + 1) if least < 1 else REACH
    else:
        least = float(a.min())
        k = 0.5 * a.clamp_min(1.0).rsqrt()
        reach = max(REACH, 2 * math.log(TAIL / least) + 1) if least < 1 else REACH
    count = math.ceil(reach / spacing)
    t = torch.arange(-count, count + 1, dtype=torch.float64) * spacing
    t = t.to(a.device, a.dtype).reshape(-1, *[1] * a.dim())
    tau = k * t
    if law == "beta":
        u = torch.log(a / b) + torch.sinh(tau)
        slope = torch.log(torch.cosh(tau))
    else:
        u = torch.log(a / b) + tau - torch.expm1(-tau)
        slope = torch.log1p(torch.exp(-tau))
        u = u if law == "gamma" else -u
    weights = torch.softmax(_unnormalised(law, u, alpha, beta) + slope, 0)
    return torch.where(weights > NOTHING, u, u[count]), weights


def proposed(
    law: Law, alpha: Tensor, beta: Tensor, uniform: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Draws from a logistic proposal with the law's mean: (u, log q(u), log proposal(u)).

    Args:
        law: of u.
        alpha: its first parameter, ``[P]`` or ``[P, d]``.
        beta: its second.
        uniform: numbers between 0 and 1, samples first.
    """
    scale = PROPOSAL * variance(law, alpha, beta).sqrt()
    x = torch.logit(uniform)
    u = mean(law, alpha, beta) + scale * x
    zero = torch.zeros_like(x)
    level = -torch.logaddexp(x, zero) - torch.logaddexp(-x, zero) - torch.log(scale)
    return u, log_density(law, u, alpha, beta), level


def fisher(law: Law, alpha: Tensor, beta: Tensor) -> Tensor:
    r"""The diagonal Fisher information in (location, scale) of `families.natural`, last axis.

    .. math:: (\alpha,\; \alpha^2\psi'(\alpha) - \alpha) \text{ in log mean and log shape}, \qquad
        \Big(\tfrac{\alpha^2\beta^2}{n^2}[\psi'(\alpha) + \psi'(\beta)],\;
        \alpha^2\psi'(\alpha) + \beta^2\psi'(\beta) - n^2\psi'(n)\Big),\quad n = \alpha + \beta
    """
    if law != "beta":
        return torch.stack([alpha, _information(alpha) - alpha], -1)
    n = alpha + beta
    spread = torch.polygamma(1, alpha) + torch.polygamma(1, beta)
    location = (alpha * beta / n) ** 2 * spread
    return torch.stack([location, _information(alpha) + _information(beta) - _information(n)], -1)


def _information(a: Tensor) -> Tensor:
    """a² ψ'(a), by its series where differences of it would cancel."""
    big = a.clamp_min(LARGE)
    series = big + 0.5 + 1 / (6 * big)
    return torch.where(a > LARGE, series, a**2 * torch.polygamma(1, a.clamp_max(LARGE)))
