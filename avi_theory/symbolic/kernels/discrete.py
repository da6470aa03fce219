r"""Discrete locals: the factor is the exponential of a table.

.. math:: q^\star(z_n = k) \propto \exp E_{q_{-n}}\Big[\sum_f \phi_f(z_n = k)\Big]
"""

from __future__ import annotations

from collections.abc import Callable

import sympy
from sympy import Expr, Indexed

from avi_theory.spec import terms
from avi_theory.symbolic.kernels.classes import coupled, function_class
from avi_theory.symbolic.kernels.conjugate import tidied
from avi_theory.symbolic.kernels.site import Formula, Site, opened


def categorical(site: Site) -> Formula | None:
    r"""Categorical: the logits at each value k, up to a constant."""
    if site.support != "categories" or site.is_vector:
        return None
    k = terms.index_symbol(site.free_name("k", "l", "j"))

    def at_k(expr: Expr) -> Expr | None:
        value = _opened(site, expr.xreplace({site.atom: k}))
        return None if value is None else value.as_independent(k, as_Add=True)[1]

    logits = _expected(site, at_k)
    if logits is None:
        return None
    text = f"q({site.name} = {k}) ∝ exp({site.text(logits)}){site.statistics(logits)}"
    tex = (
        rf"q^\star\left({site.latex(site.atom)} = {site.latex(k)}\right) \propto "
        rf"\exp\left({site.latex(logits)}\right)"
    )
    return Formula("Categorical", _kind(site, logits), text, tex, (("logit", logits),))


def bernoulli(site: Site) -> Formula | None:
    r"""Bernoulli: the log odds, \(E[\sum_f \phi_f(1) - \phi_f(0)]\)."""
    if site.support != "binary" or site.is_vector:
        return None
    zero, one = sympy.Integer(0), sympy.Integer(1)

    def odds(expr: Expr) -> Expr | None:
        difference = expr.xreplace({site.atom: one}) - expr.xreplace({site.atom: zero})
        return _opened(site, difference)

    logit = _expected(site, odds)
    if logit is None:
        return None
    shown = tidied(logit)
    text = f"q({site.name} = 1) = sigmoid({site.text(shown)}){site.statistics(logit)}"
    tex = (
        rf"q^\star\left({site.latex(site.atom)} = 1\right) = "
        rf"\mathrm{{sigmoid}}\left({site.latex(shown)}\right)"
    )
    return Formula("Bernoulli", _kind(site, logit), text, tex, (("logit", shown),))


def _kind(site: Site, logits: Expr) -> str:
    """Log-linear if the logits are affine in numbers and in indicators of categories."""
    return "none" if coupled(site) else function_class(site, [logits], [], indicators=True)


def _expected(site: Site, values: Callable[[Expr], Expr | None]) -> Expr | None:
    """E_q of what each factor contributes, summed."""
    found: Expr = sympy.Integer(0)
    for instance in site.instances:
        value = values(instance.expr)
        expected = None if value is None else site.expected(value, instance)
        if expected is None:
            return None
        found += expected
    return found


def _opened(site: Site, expr: Expr) -> Expr | None:
    """An expression expanded, with literals read and log(1 + exp(-a)) as log(1 + exp(a)) - a."""
    tables = site.analysis.named.structure
    entries = {
        a: tables.looked_up(terms.name_of(a), list(a.indices))
        for a in expr.atoms(Indexed)
        if terms.name_of(a) in tables.tables
    }
    expr = expr.xreplace(entries).replace(terms.pick, _picked)
    expr = expr.replace(terms.softplus, _softplus)
    return site.without_vectors(opened(expr, site.z))


def _picked(vector: Expr, k: Expr) -> Expr:
    if isinstance(vector, terms.vector):
        if k.is_Integer:
            return vector.args[int(k)]
        if len(set(vector.args)) == 1:
            return vector.args[0]
    return terms.pick(vector, k)


def _softplus(a: Expr) -> Expr:
    return terms.softplus(-a) + a if a.could_extract_minus_sign() else terms.softplus(a)
