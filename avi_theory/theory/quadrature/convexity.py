r"""Is the target log-concave?  Then the ELBO has one optimum.

With Normal factors the ELBO of a log-concave density is concave in means and standard deviations
together (Challis & Barber, JMLR 14, 2013), and stays so when the means are linear in the
parameters and scales are shared; so every stationary point is the optimum, free or of the class.
A strictly log-concave target has one optimum among all products (Arnese & Lacker, 2024).
"""

from __future__ import annotations

import numpy as np
import sympy
from sympy import Expr

from avi_theory.spec import terms
from avi_theory.theory.quadrature.elbo import Objective, Term

REFERENCE = "Challis & Barber, JMLR 14 (2013); Arnese & Lacker, arXiv:2404.08792"
CONVEX = (sympy.exp, terms.softplus)


def concave(target: Objective) -> bool:
    """Whether every term is concave in its latents by its form, and every latent is real.

    Recognised are affine terms and non-positive multiples of squares, exponentials and softplus of
    affine expressions; anything else counts as not concave.
    """
    return not target.positive.any() and all(_is_concave(t) for t in target.terms)


def _is_concave(t: Term) -> bool:
    latents = set(t.symbols[: len(t.latents)])
    factors = sympy.Mul.make_args(t.expression)
    moving = [a for a in factors if a.free_symbols & latents]
    if not moving:
        return True
    core = sympy.Mul(*moving)
    if _is_affine(core, t):
        return True
    base: Expr
    if core.is_Pow and core.exp == 2:
        base = core.base
    elif isinstance(core, CONVEX):
        base = core.args[0]
    else:
        return False
    weight = sympy.Mul(*(a for a in factors if not a.free_symbols & latents))
    return _is_affine(base, t) and bool(np.all(_known(weight, t) <= 0))


def _is_affine(e: Expr, t: Term) -> bool:
    latents = t.symbols[: len(t.latents)]
    return bool(e.is_polynomial(*latents) and sympy.Poly(e, *latents).total_degree() <= 1)


def _known(e: Expr, t: Term) -> np.ndarray:
    symbols = t.symbols[len(t.latents) :]
    function = sympy.lambdify(list(symbols), e, modules=[terms.numpy_functions(), "numpy"])
    return np.asarray(function(*t.known), float)
