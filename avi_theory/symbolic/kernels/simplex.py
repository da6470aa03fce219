r"""Dirichlet locals: prior concentration plus expected counts."""

from __future__ import annotations

import sympy
from sympy import Expr

from avi_theory.spec import terms
from avi_theory.symbolic.kernels.site import Formula, Site


def dirichlet(site: Site) -> Formula | None:
    r"""Dirichlet: \(\log p = \sum_k (\alpha_k - 1)\log z_k + \sum_i \log z_{c_i}\).

    .. math:: q^\star(z) = \mathrm{Dirichlet}(\alpha_k + \textstyle\sum_i q(c_i = k))
    """
    if site.support != "simplex":
        return None
    prior: Expr | None = None
    counts: list[str] = []
    counts_tex: list[str] = []
    for instance in site.instances:
        for term in sympy.Add.make_args(instance.expr):
            if not term.has(site.atom):
                continue
            if isinstance(term, terms.total):
                prior = term.args[0].coeff(sympy.log(site.atom)) + 1
                continue
            inner = term.args[0] if isinstance(term, sympy.log) else None
            if not isinstance(inner, terms.pick) or inner.args[0] != site.atom:
                return None
            chosen = site.text(inner.args[1])
            over = ", ".join(str(g.letter) for g in instance.free)
            counts.append(f"sum(q({chosen} = k) for {over})" if over else f"q({chosen} = k)")
            tex = rf"q({site.latex(inner.args[1])} = k)"
            counts_tex.append(rf"\sum_{{{over}}} {tex}" if over else tex)
    if prior is None:
        return None
    alpha, alpha_tex = site.text(prior), site.latex(prior)
    text = f"q({site.name}) = Dirichlet({' + '.join([f'{alpha}[k]', *counts])})"
    tex = (
        rf"q^\star({site.latex(site.atom)}) = \mathrm{{Dirichlet}}\!\left("
        rf"{' + '.join([alpha_tex, *counts_tex])}\right)"
    )
    return Formula("Dirichlet", "none" if site.verdict.links else "affine", text, tex)
