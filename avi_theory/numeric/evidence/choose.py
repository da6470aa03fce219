"""The first method that applies, exact before sampled."""

from __future__ import annotations

from typing import Any

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.evidence.discrete import by_elimination
from avi_theory.numeric.evidence.gaussian import by_determinant
from avi_theory.numeric.evidence.marginal import by_local_integrals
from avi_theory.numeric.evidence.sampled import by_importance_sampling
from avi_theory.numeric.fit import Fit

METHODS = (by_determinant, by_elimination, by_local_integrals, by_importance_sampling)
"""Each returns None where it does not apply, else an `Evidence` with or without a value."""


def log_evidence(elbo: Elbo, fvi: Fit, *, seed: int) -> dict[str, Any]:
    """log p(x) in nats with its method and standard error; a flat global is integrated out.

    Args:
        elbo: the model with its data.
        fvi: the factorized solution, a centre and a proposal.
        seed: of sampled methods.

    Returns:
        ``value`` (None if unknown), ``method`` (then the reason), ``standard_error``.
    """
    if not all(f.gaussian or f.discrete for f in elbo.families.values()):
        return Evidence.unknown("no estimator for simplex latents yet").to_dict()
    for method in METHODS:
        found = method(elbo, fvi, seed)
        if found is not None:
            return found.to_dict()
    return Evidence.unknown("no method applies to this model").to_dict()
