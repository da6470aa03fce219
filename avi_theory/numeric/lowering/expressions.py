"""Questions about expressions that a derivation of expectations asks before it starts."""

from __future__ import annotations

import sympy
from sympy import Expr, Symbol

from avi_theory.numeric.lowering.covariance import COVARIANCES
from avi_theory.numeric.lowering.heads import mvn_trace
from avi_theory.spec import terms


def expanded(e: Expr) -> Expr:
    """Multiply out products and whole powers, and split kinks: max(a, b) = (a + b + |a − b|)/2."""
    e = e.replace(terms.maximum, lambda a, b: (a + b + sympy.Abs(a - b)) / 2)
    e = e.replace(terms.minimum, lambda a, b: (a + b - sympy.Abs(a - b)) / 2)
    return sympy.expand(e, log=False, power_base=False, power_exp=False, func=False)


def elementwise_in(e: Expr, latents: frozenset[Symbol]) -> bool:
    """Whether latents enter through elementwise operations only (no head mixes coordinates)."""
    if not e.free_symbols & latents:
        return True
    if isinstance(e, Symbol):
        return True
    mixing = (
        terms.total, terms.vector, terms.pick, terms.matvec, terms.logsumexp,
        terms.mvn_log_density, mvn_trace, *COVARIANCES,
    )  # fmt: skip
    if isinstance(e, (*mixing, sympy.core.function.AppliedUndef)):
        return False
    return all(elementwise_in(a, latents) for a in e.args)
