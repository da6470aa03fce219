"""log p(x) where it is cheap: what the factorized family is held against."""

from __future__ import annotations

from typing import Any

from avi_theory.numeric.elbo import Elbo
from avi_theory.numeric.fit import Fit
from avi_theory.spec.bound import Bound


def log_evidence(bound: Bound, elbo: Elbo, fvi: Fit, *, seed: int) -> dict[str, Any]:
    """log p(x) in nats with its method and standard error."""
    return {"value": None, "method": "none", "standard_error": None}
