r"""Scalar exponential families: Normal, Gamma, InverseGamma, Beta, LogNormal kernels.

.. math:: \log q^\star(z) = \sum_k \bar\eta_k\, t_k(z) + \text{const}

The natural parameters \(\bar\eta_k = E_q[\eta_k]\) are sums over the factors that hold z.
"""

from __future__ import annotations

import sympy
from sympy import Expr, log

from avi_theory.symbolic.kernels.site import Formula, Site, site_of


def function_class(site: Site, linear: list[Expr], fixed: list[Expr]) -> str:
    """The class in the observations, from the parameters that may and that may not move.

    Args:
        site: the local.
        linear: numerators that may depend on the observations polynomially.
        fixed: denominators; a dependence there leaves no polynomial class.
    """
    degrees = [site.degree(e) for e in linear]
    if any(d is None for d in degrees) or any(site.degree(e) != 0 for e in fixed):
        return "none"
    degree = max((d for d in degrees if d is not None), default=0)
    if site.verdict.component is not None and len(site.verdict.component.nodes) + len(
        site.verdict.links
    ) > 1:  # fmt: skip
        return "affine" if _jointly_affine(site) else "none"
    return {0: "constant", 1: "affine"}.get(degree, f"polynomial:{degree}")


def _jointly_affine(site: Site) -> bool:
    """Whether the fixpoint of a whole component is affine in the data.

    It is where every member has a Normal kernel whose precision is free of data and neighbours
    and whose mean is affine in the data and the neighbours' means.
    """
    component = site.verdict.component
    assert component is not None
    for name in sorted({node.name for node in component.nodes}):
        other = site_of(site.analysis, site.analysis.locals[name])
        if other is None or other.is_vector or other.support != "real":
            return False
        moments = other.moments({other.z: "first", other.z**2: "second"})
        if moments is None or other.degree(moments["second"], neighbours=True) != 0:
            return False
        if (other.degree(moments["first"], neighbours=True) or 0) > 1:
            return False
        if other.degree(moments["first"], neighbours=True) is None:
            return False
    return True


def _formula(
    site: Site, family: str, names: tuple[str, str], values: tuple[Expr, Expr], kind: str
) -> Formula:
    first, second = (sympy.together(v) if v.is_rational_function() else v for v in values)
    text = (
        f"q({site.name}) = {family}({names[0]} = {site.text(first)}, "
        f"{names[1]} = {site.text(second)})"
    )
    atom = site.latex(site.atom)
    tex = (
        rf"q^\star({atom}) = \mathrm{{{family}}}\!\left(\mathrm{{{names[0]}}} = "
        rf"{site.latex(first)},\ \mathrm{{{names[1]}}} = {site.latex(second)}\right)"
    )
    return Formula(family, kind, text, tex)


def normal(site: Site) -> Formula | None:
    r"""Normal: \(t(z) = (z, z^2)\); precision \(P = -2\bar\eta_2\), mean \(\bar\eta_1/P\)."""
    if site.support != "real":
        return None
    if site.is_vector:
        return None
    moments = site.moments({site.z: "first", site.z**2: "second"})
    if moments is None or moments["second"] == 0:
        return None
    precision = -2 * moments["second"]
    kind = function_class(site, [moments["first"]], [precision])
    values = (moments["first"] / precision, precision ** sympy.Rational(-1, 2))
    return _formula(site, "Normal", ("mean", "sd"), values, kind)


def gamma(site: Site) -> Formula | None:
    r"""Gamma: \(t(z) = (\log z, z)\); shape \(1 + \bar\eta_1\), rate \(-\bar\eta_2\)."""
    if site.support != "positive" or site.is_vector:
        return None
    moments = site.moments({log(site.z): "log", site.z: "first"})
    if moments is None or moments["first"] == 0:
        return None
    values = (1 + moments["log"], -moments["first"])
    return _formula(site, "Gamma", ("shape", "rate"), values, _natural(site, values))


def inverse_gamma(site: Site) -> Formula | None:
    r"""InverseGamma: \(t(z) = (\log z, 1/z)\); shape \(-1 - \bar\eta_1\), scale \(-\bar\eta_2\)."""
    if site.support != "positive" or site.is_vector:
        return None
    moments = site.moments({log(site.z): "log", 1 / site.z: "inverse"})
    if moments is None or moments["inverse"] == 0:
        return None
    values = (-1 - moments["log"], -moments["inverse"])
    return _formula(site, "InverseGamma", ("shape", "scale"), values, _natural(site, values))


def beta(site: Site) -> Formula | None:
    r"""Beta: \(t(z) = (\log z, \log(1-z))\); \(a = 1 + \bar\eta_1\), \(b = 1 + \bar\eta_2\)."""
    if site.support != "unit" or site.is_vector:
        return None
    moments = site.moments({log(site.z): "log", log(1 - site.z): "other"})
    if moments is None:
        return None
    values = (1 + moments["log"], 1 + moments["other"])
    return _formula(site, "Beta", ("a", "b"), values, _natural(site, values))


def log_normal(site: Site) -> Formula | None:
    r"""LogNormal: \(t(z) = (\log z, \log^2 z)\)."""
    if site.support != "positive" or site.is_vector:
        return None
    moments = site.moments({log(site.z): "log", log(site.z) ** 2: "square"})
    if moments is None or moments["square"] == 0:
        return None
    precision = -2 * moments["square"]
    kind = function_class(site, [moments["log"] + 1], [precision])
    values = ((moments["log"] + 1) / precision, precision ** sympy.Rational(-1, 2))
    return _formula(site, "LogNormal", ("mean", "sd"), values, kind)


def _natural(site: Site, values: tuple[Expr, Expr]) -> str:
    """The class of the natural parameters in the observations; none for a coupled local."""
    return "none" if site.verdict.links else function_class(site, list(values), [])
