r"""The evidence by annealed importance sampling that starts at F-VI's solution.

.. math:: \pi_\beta(u) \propto q(u)^{1-\beta}\, p(x, u)^{\beta}

with the marginals of q in the coordinates u in which all latents are real (Neal, Statistics and
Computing 11, 2001).  The mean weight is unbiased, so its logarithm lies below log p(x) on average.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from avi_theory.numeric.annealing import Normal, anneal
from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.fit import Fit

CHAINS, LEAPFROG = 128, 5
ROUNDS = (100, 300, 900)
"""Distributions; more are taken while the standard error is large."""
WIDER = 1.5
"""The start, in F-VI's standard deviations, which are too small where latents are correlated."""
SMALL = 0.2
"""A standard error, in nats, to stop at."""
LEAST = 0.1
"""Share of the chains that must carry the weight."""
MOST_TERMS = 2_000_000_000
"""Of the log density, in all evaluations of a round: some ten seconds on one core."""


def by_annealing(elbo: Elbo, fvi: Fit, seed: int) -> Evidence | None:
    """For latents that are transforms of a Gaussian u; None where another is among them."""
    if not all(f.real and f.law == "normal" for f in elbo.families.values()):
        return None
    q = elbo.marginals(fvi.tables)
    means, log_sds, shapes = [], [], {}
    for name in elbo.families:
        mean, log_sd = q[name].mean, q[name].log_sd
        assert mean is not None and log_sd is not None
        means.append(mean.detach().reshape(1, -1))
        log_sds.append(log_sd.detach().reshape(1, -1))
        shapes[name] = mean.shape
    sd = torch.cat(log_sds, 1).exp()
    start = Normal(torch.cat(means, 1), WIDER * sd)
    sizes = [math.prod(s) for s in shapes.values()]

    def level(u: Tensor) -> Tensor:
        parts = torch.split(u[:, 0], sizes, -1)
        values = {n: x.reshape(len(u), *s) for (n, s), x in zip(shapes.items(), parts, strict=True)}
        found = torch.stack([f.log_density(values, {}) for f in elbo.factors]).sum(0)
        return found[:, None]

    terms = CHAINS * LEAPFROG * sum(f.count for f in elbo.factors)
    found = None
    for count in ROUNDS:
        if count * terms > MOST_TERMS:
            break
        found = anneal(
            level, start, schedule=count, chains=CHAINS, leapfrog=LEAPFROG, scale=sd, seed=seed
        )
        if float(found.standard_error) <= SMALL:
            break
    if found is None:
        return Evidence.unknown("the model is too large for annealed importance sampling")
    effective, value = float(found.effective_samples), float(found.log_evidence)
    if not (math.isfinite(value) and effective >= LEAST * CHAINS):
        return Evidence.unknown(
            f"importance sampling is unreliable here, and so is annealing: {effective:.0f} of "
            f"{CHAINS} chains carry the weight after {found.distributions} distributions"
        )
    how = f"{CHAINS} chains, {found.distributions} distributions, seed {seed}"
    return Evidence(value, f"annealed importance sampling ({how})", float(found.standard_error))
