"""log p(x) and the true marginals where they are cheap: what F-VI is held against."""

from avi_theory.numeric.evidence.choose import exact_marginals, log_evidence

__all__ = ["exact_marginals", "log_evidence"]
