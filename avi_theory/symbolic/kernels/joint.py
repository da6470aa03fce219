r"""A joint Gaussian prior over an index: each point given all others.

.. math:: f \sim N(\mu, K),\ P = K^{-1}: \quad
    E[\log p] = -\tfrac12 P_{nn} f_n^2
    + f_n \Big(P_{nn}\mu_n - \sum_{m \ne n} P_{nm}\, (E f_m - \mu_m)\Big) + \text{const}
"""

from __future__ import annotations

from dataclasses import replace

import sympy
from sympy import Expr

from avi_theory.spec import terms
from avi_theory.symbolic.instances import Instance
from avi_theory.symbolic.kernels.conjugate import gaussian
from avi_theory.symbolic.kernels.heads import expectation, precision, rest
from avi_theory.symbolic.kernels.site import Formula, Site
from avi_theory.symbolic.structure import opaque


def process(site: Site) -> Formula | None:
    """Normal: one joint prior, and factors that are quadratic in the point."""
    joint = [i for i in site.instances if isinstance(i.expr, opaque)]
    if site.support != "real" or len(joint) != 1:
        return None
    found = _prior(site, joint[0])
    if found is None:
        return None
    pulled, own = found
    factors = [i for i in site.instances if i is not joint[0]]
    likelihood = Site(site.analysis, site.verdict, site.atom, factors, site.links)
    moments = likelihood.moments({likelihood.z: "first", likelihood.z**2: "second"})
    if moments is None:
        return None
    made = gaussian(likelihood, "Normal", pulled + moments["first"], own - 2 * moments["second"])
    if made is None:
        return None
    cov, here, there, *_, name = own.args
    matrix = f"{name} = inverse({site.text(cov)} over {here}, {there})"
    tex = rf"\left[{site.latex(cov)}\right]_{{{site.latex(here)},{site.latex(there)}}}"
    return replace(
        made,
        text=f"{made.text}, {matrix}",
        latex=rf"{made.latex},\quad {name} = {tex}^{{-1}}",
    )


def _prior(site: Site, instance: Instance) -> tuple[Expr, Expr] | None:
    """The prior's share of the two natural parameters; None if its kernel is random."""
    _, first, second, cov, mean = instance.expr.args
    if len(first.indices) != 1:
        return None
    (here,), (there,) = first.indices, second.indices
    if site.latent(cov) or site.latent(mean) or len(instance.free) != 1:
        return None
    (other,) = instance.free
    if other.letter != there:
        return None
    name = terms.index_symbol(site.free_name("P", "Q"))
    entries = [
        precision(cov, here, there, other.low, other.high, here, j, name) for j in (here, there)
    ]
    far = mean.xreplace({here: there})
    gap: Expr = expectation(second) - far
    pulled = -rest(entries[1] * gap, there, other.low, other.high, here) + entries[0] * mean
    return sympy.sympify(pulled), entries[0]
