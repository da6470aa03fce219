r"""Discrete locals: the factor is the exponential of a table.

.. math:: q^\star(z_n = k) \propto \exp E_{q_{-n}}\Big[\sum_f \phi_f(z_n = k)\Big]
"""

from __future__ import annotations

import sympy
from sympy import Expr, Indexed

from avi_theory.spec import terms
from avi_theory.symbolic.kernels.site import Formula, Site


def categorical(site: Site) -> Formula | None:
    """Categorical: the logits at each value, up to a constant."""
    return _table(site, "Categorical") if site.support == "categories" else None


def bernoulli(site: Site) -> Formula | None:
    """Bernoulli: as categorical with the values 0 and 1."""
    return _table(site, "Bernoulli") if site.support == "binary" else None


def _table(site: Site, family: str) -> Formula | None:
    if site.is_vector:
        return None
    taken = {str(s) for s in site.atom.free_symbols}
    k = terms.index_symbol("k" if "k" not in taken else "k'")
    logits: Expr = sympy.Integer(0)
    for instance in site.instances:
        expr = sympy.expand(
            sympy.expand_log(sympy.expand(instance.expr.xreplace({site.atom: k})), force=True)
        )
        for term in sympy.Add.make_args(expr):
            if term.has(k):
                logits += site.expected(term, instance.free)
    kind = "none" if site.verdict.links else _class(site, logits)
    text = f"q({site.name} = {k}) ∝ exp({site.text(logits)})"
    tex = (
        rf"q^\star({site.latex(site.atom)} = {k}) \propto "
        rf"\exp\!\left({site.latex(logits)}\right)"
    )
    return Formula(family, kind, text, tex)


def _class(site: Site, logits: Expr) -> str:
    """Log-linear if the logits are affine in the observations or look a category up."""
    looked_up = any(site.data(s) for a in logits.atoms(Indexed) for s in a.indices)
    degree = site.degree(logits)
    if degree == 0 and not looked_up:
        return "constant"
    if looked_up or degree == 1:
        return "log-linear"
    return f"polynomial:{degree}" if degree else "none"
