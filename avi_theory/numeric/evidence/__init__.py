"""log p(x) where it is cheap: what the factorized family is held against."""

from avi_theory.numeric.evidence.choose import log_evidence

__all__ = ["log_evidence"]
