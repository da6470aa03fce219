r"""Counts: the Poisson kernel, also shifted by an observed part.

.. math:: \log q^\star(z) = \bar\eta\, z - \log (z - x)! + \text{const}
    \;\Rightarrow\; z - x \sim \mathrm{Poisson}(e^{\bar\eta})
"""

from __future__ import annotations

import sympy
from sympy import Expr, loggamma

from avi_theory.symbolic.kernels.classes import coupled, function_class
from avi_theory.symbolic.kernels.conjugate import formula
from avi_theory.symbolic.kernels.site import Formula, Site


def poisson(site: Site) -> Formula | None:
    r"""Poisson: \(t(z) = z\) on \(-\log z!\); Binomial thinning leaves a Poisson remainder.

    .. math:: z \sim \mathrm{Poisson}(\lambda),\ x \sim \mathrm{Binomial}(z, p)
        \;\Rightarrow\; z - x \sim \mathrm{Poisson}(\lambda (1 - p))
    """
    if site.support != "count" or site.is_vector:
        return None
    found = _read(site)
    if found is None:
        return None
    linear, measure = found
    if set(measure.values()) != {-1} or len(measure) != 1:
        return None
    start = next(iter(measure))
    shift = sympy.expand(1 - start)
    kind = "none" if coupled(site) else function_class(site, [linear, shift], [])
    made = formula(site, "Poisson", {"rate": sympy.exp(linear)}, kind, (linear,))
    if made is None or shift == 0:
        return made
    return Formula(
        "Poisson",
        kind,
        made.text.replace(f"q({site.name})", f"q({site.name} - {site.text(shift)})", 1),
        made.latex.replace(
            rf"q^\star\left({site.latex(site.atom)}\right)",
            rf"q^\star\left({site.latex(site.atom)} - {site.latex(shift)}\right)",
            1,
        ),
        (("shift", shift), *made.parameters),
    )


def _read(site: Site) -> tuple[Expr, dict[Expr, Expr]] | None:
    """Expected coefficient of z, and of each log (z + start - 1)!; None if z enters otherwise."""
    linear: Expr = sympy.Integer(0)
    measure: dict[Expr, Expr] = {}
    for basis, coefficient, instance in site.parts():
        if basis == site.z:
            value = site.expected(coefficient, instance)
            if value is None:
                return None
            linear += value
            continue
        start = basis.args[0] - site.z if isinstance(basis, loggamma) else site.z
        if start.has(site.z) or site.latent(start) or not coefficient.is_number:
            return None
        if any(g.letter in start.free_symbols for g in instance.free):
            return None
        measure[start] = measure.get(start, sympy.Integer(0)) + coefficient * site.summed(
            sympy.Integer(1), instance.free
        )
    return linear, {start: c for start, c in measure.items() if c != 0}
