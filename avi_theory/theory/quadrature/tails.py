"""Can the ELBO of an unbounded function of the data have no expectation?"""

from __future__ import annotations

import sympy
from sympy import Expr, Symbol

from avi_theory.theory.quadrature.elbo import Objective

BOUNDED = {"binary", "categories", "bounded_count", "unit"}
"""Supports of observations in which every polynomial is bounded."""


def exponential(target: Objective) -> bool:
    r"""Whether some term grows exponentially in the location of a local's factor.

    .. math:: E_q[e^{-z}] = e^{-m + s^2/2}

    With m a polynomial of unbounded data this need have no expectation: a Gaussian's square, or
    any power of a log-normal mixture, has no exponential moments.  Terms that are polynomials of
    z, or of log z for a positive z, and softplus and bounded functions of z are harmless.
    """
    size = target.layout.size
    for t in target.terms:
        for symbol, at in zip(t.symbols, t.latents, strict=False):
            local = at[0] % size >= target.globals
            if local and _grows(t.expression, symbol, bool(target.positive[at[0]])):
                return True
    return False


def _grows(e: Expr, z: Symbol, positive: bool) -> bool:
    if positive:
        inside = sympy.Dummy()
        in_log = sympy.expand_log(e).xreplace({sympy.log(z): inside})
        return z in in_log.free_symbols or not in_log.is_polynomial(inside)
    return any(z in a.free_symbols for a in e.atoms(sympy.exp)) or any(
        z in p.base.free_symbols and not (p.exp.is_Integer and p.exp > 0)
        for p in e.atoms(sympy.Pow)
    )
