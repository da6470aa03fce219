"""Is a log density quadratic, or concave, in its latents?  Decided by the shape of the expression.

A strictly log-concave target has one optimum among Normal factors (the ELBO is concave in means
and standard deviations: Challis & Barber, JMLR 14, 2013); a quadratic one is linear-Gaussian.
"""

from __future__ import annotations

import sympy
from sympy import Expr

from avi_theory.numeric.lowering.moments import Expectation
from avi_theory.spec import terms


def quadratic(e: Expr, derivation: Expectation) -> bool:
    """Whether an expression is a polynomial of degree two at most in its latents."""
    if isinstance(e, sympy.Add):
        return all(quadratic(a, derivation) for a in e.args)
    if isinstance(e, terms.total):
        return quadratic(e.args[0], derivation)
    if isinstance(e, terms.mvn_log_density):
        x, mean, cov = e.args
        return not derivation.random(cov) and _affine(x - mean, derivation)
    symbols = sorted(e.free_symbols & derivation.latents.keys(), key=str)
    if not symbols:
        return True
    if not e.is_polynomial(*symbols):
        return False
    return sympy.Poly(e, *symbols).total_degree() <= 2


def concave(e: Expr, derivation: Expectation) -> bool:
    """Whether an expression is known to be concave in its latents; False if not known."""
    if isinstance(e, terms.mvn_log_density):
        x, mean, cov = e.args
        return not derivation.random(cov) and _affine(x - mean, derivation)
    if isinstance(e, terms.minimum):
        return all(concave(a, derivation) for a in e.args)
    if isinstance(e, sympy.log):
        return concave(e.args[0], derivation)
    return _shape(e, derivation, convex=False)


def convex(e: Expr, derivation: Expectation) -> bool:
    """Whether an expression is known to be convex in its latents; False if not known."""
    if isinstance(e, (sympy.exp, terms.softplus)):
        return convex(e.args[0], derivation)
    if isinstance(e, sympy.Abs):
        return _affine(e.args[0], derivation)
    if isinstance(e, terms.maximum):
        return all(convex(a, derivation) for a in e.args)
    if isinstance(e, terms.logsumexp):
        return _affine(e.args[0], derivation)
    if e.is_Pow and e.exp.is_Integer and e.exp > 0 and e.exp % 2 == 0:
        return _affine(e.base, derivation)
    return _shape(e, derivation, convex=True)


def _shape(e: Expr, derivation: Expectation, *, convex: bool) -> bool:
    """Sums, coordinate sums and known multiples."""
    same, other = (_CONVEX, _CONCAVE) if convex else (_CONCAVE, _CONVEX)
    if not derivation.random(e) or _affine(e, derivation):
        return True
    if isinstance(e, (sympy.Add, terms.total, terms.vector)):
        return all(same(a, derivation) for a in e.args)
    if e.is_Mul:
        known = sympy.Mul(*(a for a in e.args if not derivation.random(a)))
        rest = sympy.Mul(*(a for a in e.args if derivation.random(a)))
        if known == 1:
            return False
        low, high = derivation.span(known)
        return (low >= 0 and same(rest, derivation)) or (high <= 0 and other(rest, derivation))
    return False


def _affine(e: Expr, derivation: Expectation) -> bool:
    symbols = sorted(e.free_symbols & derivation.latents.keys(), key=str)
    return derivation.slopes(e, symbols) is not None


_CONCAVE, _CONVEX = concave, convex
