"""What an evidence estimator returns."""

from __future__ import annotations

from dataclasses import dataclass

from avi_theory.results.base import Result


@dataclass(frozen=True)
class Evidence(Result):
    """log p(x).

    Attributes:
        value: in nats; None if unknown, and then `method` says why.
        method: how it was found.
        standard_error: 0 for exact methods, None without a value.
    """

    value: float | None
    method: str
    standard_error: float | None = 0.0

    @classmethod
    def unknown(cls, reason: str) -> Evidence:
        """No value, with the reason."""
        return cls(None, reason, None)
