"""The conditions under which amortization can be lossless, and the verb that judges them."""

from __future__ import annotations

from avi_theory.conditions.check import CONDITIONS, check

__all__ = ["CONDITIONS", "check"]
