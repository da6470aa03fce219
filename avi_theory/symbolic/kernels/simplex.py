r"""Dirichlet locals: prior concentration plus counts.

.. math:: \log p = \sum_k (\alpha_k - 1)\log z_k + \sum_i \log z_{c_i},\qquad
    q^\star(z) = \mathrm{Dirichlet}\Big(\alpha_k + \sum_i q(c_i = k)\Big)
"""

from __future__ import annotations

import sympy
from sympy import Expr

from avi_theory.spec import terms
from avi_theory.symbolic.instances import Instance
from avi_theory.symbolic.kernels.classes import coupled, function_class
from avi_theory.symbolic.kernels.heads import chance, indicator
from avi_theory.symbolic.kernels.shapes import shape_of
from avi_theory.symbolic.kernels.site import Formula, Site


def dirichlet(site: Site) -> Formula | None:
    """Dirichlet: every factor is a sum of multiples of log z, or of one entry of it."""
    if site.support != "simplex":
        return None
    k = terms.index_symbol(site.free_name("k", "l", "j"))
    concentration: Expr = sympy.Integer(1)
    for instance in site.instances:
        for term in sympy.Add.make_args(sympy.expand(instance.expr)):
            if not term.has(site.atom):
                continue
            value = _pseudo_count(site, instance, term, k)
            if value is None:
                return None
            concentration += value
    kind = "none" if coupled(site) else function_class(site, [concentration], [], indicators=True)
    kind = "affine" if kind == "log-linear" else kind
    text = (
        f"q({site.name}) = Dirichlet(concentration[{k}] = {site.text(concentration)})"
        f"{site.statistics(concentration)}"
    )
    tex = (
        rf"q^\star\left({site.latex(site.atom)}\right) = \mathrm{{Dirichlet}}\left("
        rf"\alpha_{{{site.latex(k)}}} = {site.latex(concentration)}\right)"
    )
    return Formula("Dirichlet", kind, text, tex, (("concentration", concentration),))


def _pseudo_count(site: Site, instance: Instance, term: Expr, k: Expr) -> Expr | None:
    """What a factor adds to the k-th concentration; None if it is no multiple of log z."""
    coefficient, basis = term.as_independent(site.atom, as_Add=False)
    if isinstance(basis, terms.total):
        inner, head = sympy.factor_terms(basis.args[0]).as_independent(site.atom, as_Add=False)
        if head != sympy.log(site.atom):
            return None
        return site.expected(coefficient * sympy.expand(_entry(site, inner, k)), instance)
    if not (isinstance(basis, sympy.log) and isinstance(basis.args[0], terms.pick)):
        return None
    vector, which = basis.args[0].args
    if vector != site.atom:
        return None
    if site.role(which) in {"local", "global"}:
        if site.latent(coefficient):
            return None
        return site.summed(coefficient * chance(which, k), instance.free)
    return site.expected(coefficient * indicator(which, k), instance)


def _entry(site: Site, vector: Expr, k: Expr) -> Expr:
    """Entry k of an elementwise expression."""
    if isinstance(vector, terms.vector):
        same = len(set(vector.args)) == 1
        return vector.args[0] if same else terms.pick(vector, k)
    if shape_of(site.analysis.named.structure, vector) == "scalar":
        return vector
    if vector.is_Add or vector.is_Mul or vector.is_Pow:
        return vector.func(*(_entry(site, a, k) for a in vector.args))
    return terms.pick(vector, k)
