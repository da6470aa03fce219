"""The first method that applies, exact before sampled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.annealed import by_annealing
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.evidence.chain import by_message_passing, discrete_marginals
from avi_theory.numeric.evidence.discrete import by_elimination
from avi_theory.numeric.evidence.gaussian import by_determinant, gaussian_sds
from avi_theory.numeric.evidence.marginal import by_local_integrals
from avi_theory.numeric.evidence.sampled import by_importance_sampling
from avi_theory.numeric.fit import Fit
from avi_theory.numeric.solve import Status


def by_sampling(elbo: Elbo, fvi: Fit, seed: int) -> Evidence:
    """By importance sampling, or by annealing where too few of its draws carry the weight."""
    found = by_importance_sampling(elbo, fvi, seed)
    return found if found.value is not None else by_annealing(elbo, fvi, seed) or found


METHODS = (
    by_determinant,
    by_message_passing,
    by_elimination,
    by_local_integrals,
    by_sampling,
)
"""Each returns None where it does not apply, else an `Evidence` with or without a value."""
ON_A_SIMPLEX = (by_sampling,)
"""Those that know latents on a simplex."""
WITHOUT_FVI = (by_message_passing, by_elimination)
"""Those that do not start from the factorized solution."""


def log_evidence(elbo: Elbo, fvi: Fit, *, seed: int) -> dict[str, Any]:
    """log p(x) in nats with its method and standard error; a flat global is integrated out.

    Args:
        elbo: the model with its data.
        fvi: the factorized solution, a centre and a proposal; where its ELBO does not exist, sums
            over discrete latents still answer.
        seed: of sampled methods.

    Returns:
        ``value`` (None if unknown), ``method`` (then the reason), ``standard_error``.
    """
    if any(f.kind == "Point" for f in elbo.families.values()):
        reason = "with point factors the objective bounds log p(x, θ) at the point, not log p(x)"
        return Evidence.unknown(reason).to_dict()
    simplex = any(f.kind == "Dirichlet" for f in elbo.families.values())
    if simplex and any(f.discrete for f in elbo.families.values()):
        reason = "no estimator for simplex latents beside discrete ones yet"
        return Evidence.unknown(reason).to_dict()
    methods = ON_A_SIMPLEX if simplex else METHODS
    for method in methods if fvi.exists else WITHOUT_FVI:
        found = method(elbo, fvi, seed)
        if found is not None:
            return found.to_dict()
    if not fvi.exists:
        return Evidence.unknown("no ELBO exists to start an estimate from").to_dict()
    return Evidence.unknown("no method applies to this model").to_dict()


def exact_marginals(elbo: Elbo, fvi: Fit) -> Mapping[str, np.ndarray] | None:
    """The true marginals where they are cheap, as `summarise` takes them.

    Args:
        elbo: the model with its data.
        fvi: its factorized solution, whose means are the true ones in linear-Gaussian models.

    Returns:
        Probabilities ``[P, S]`` of discrete latents, standard deviations ``[P, d]`` of Gaussian
        ones, by variable; None where no method gives them.
    """
    if elbo.quadratic:
        return gaussian_sds(elbo) if fvi.run.status is Status.converged else None
    return discrete_marginals(elbo)
