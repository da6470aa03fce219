r"""The evidence by importance sampling from F-VI's solution.

.. math:: \log p(x) \approx \log \tfrac1S \sum_s p(x, \theta_s, z_s) / q(\theta_s, z_s)
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric import laws
from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.evidence.marginal import summed
from avi_theory.numeric.fit import Fit

DRAWS = 20_000
CELLS = 10_000_000
LEAST = 1e-300
"""Of a Gamma draw, so that its logarithm exists."""


def by_importance_sampling(elbo: Elbo, fvi: Fit, seed: int) -> Evidence:
    """Always applies; without a value where too few draws carry the weight."""
    generator = torch.Generator().manual_seed(seed + 1)
    widest = max((f.count for f in elbo.factors), default=1)
    step = max(1, min(DRAWS, CELLS // widest))
    rounds = min(math.ceil(DRAWS / step), 40)
    with torch.no_grad():
        found = [_weights(elbo, fvi, step, generator) for _ in range(rounds)]
    weights = np.concatenate(found)
    if not np.any(np.isfinite(weights)):
        return Evidence.unknown("importance sampling found no draw with a finite density")
    return summed(np.where(np.isfinite(weights), weights, -np.inf), "importance sampling")


def _weights(elbo: Elbo, fvi: Fit, count: int, generator: torch.Generator) -> np.ndarray:
    """log p(x, θ, z) − log q(θ, z) at draws from q, ``[S]``."""
    q = elbo.marginals(fvi.tables)
    values: dict[str, Tensor] = {}
    categories: dict[str, Tensor] = {}
    noise: dict[str, Tensor] = {}
    log_q = torch.zeros(count, dtype=elbo.where.dtype, device=elbo.where.device)
    for name, family in elbo.families.items():
        factors = q[name]
        if family.discrete:
            assert factors.log_probability is not None
            p = factors.probability.detach().cpu().double()
            drawn = torch.multinomial(p, count, replacement=True, generator=generator).T
            drawn = drawn.to(elbo.where.device)
            categories[name] = drawn
            chosen = factors.log_probability.detach().T.gather(0, drawn)
            log_q = log_q + chosen.sum(1)
            continue
        if factors.concentration is not None:
            values[name], level = _on_simplex(factors.concentration.detach(), count, generator)
            log_q = log_q + level
            continue
        assert factors.mean is not None and factors.log_sd is not None
        shape = (count, *factors.mean.shape)
        if factors.alpha is not None and factors.beta is not None:
            uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
            uniform = uniform.to(elbo.where.device, elbo.where.dtype)
            pair = factors.alpha.detach(), factors.beta.detach()
            values[name], _, level = laws.proposed(factors.law, *pair, uniform)
            log_q = log_q + level.reshape(count, -1).sum(1)
            continue
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        noise[name] = x = x.to(elbo.where.device, elbo.where.dtype)
        joint = torch.stack([noise[n] for n in family.before], -1) if family.unit else x
        values[name] = factors.at(joint)[0]
        flat = x.reshape(count, -1)
        log_q = log_q - 0.5 * (flat**2).sum(1) + 0.5 * flat.shape[1] - family.entropy(factors)
    level = torch.stack([f.log_density(values, categories) for f in elbo.factors]).sum(0)
    return (level - log_q).cpu().double().numpy()


def _on_simplex(alpha: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws from Dirichlet factors ``[S, P, K]``, and their log density ``[S]``."""
    wide = alpha.cpu().double().expand(count, *alpha.shape).contiguous()
    gammas = torch._standard_gamma(wide, generator=generator).clamp_min(LEAST)
    drawn = (gammas / gammas.sum(-1, keepdim=True)).to(alpha.device, alpha.dtype)
    norm = torch.lgamma(alpha.sum(-1)).sum() - torch.lgamma(alpha).sum()
    return drawn, norm + ((alpha - 1) * drawn.log()).sum((-1, -2))
