r"""Scalar exponential families: Normal, LogNormal, HalfNormal, Gamma, InverseGamma, Beta kernels.

.. math:: \log q^\star(z) = \sum_k \bar\eta_k\, t_k(z) + \text{const}

The natural parameters \(\bar\eta_k = E_q[\eta_k]\) are sums over the factors that hold z.  A vector
whose density is a sum over coordinates has these factors coordinate by coordinate.
"""

from __future__ import annotations

import sympy
from sympy import Dummy, Expr, Indexed, log

from avi_theory.spec import terms
from avi_theory.symbolic.kernels.classes import coupled, function_class, gaussian_class
from avi_theory.symbolic.kernels.site import Formula, Site

POSITIVE = {"precision", "sd", "shape", "rate", "scale", "a", "b"}
"""Parameters that a proper factor has above 0."""


def normal(site: Site) -> Formula | None:
    r"""Normal: \(t(z) = (z, z^2)\); precision \(P = -2\bar\eta_2\), mean \(\bar\eta_1/P\)."""
    if site.support != "real":
        return None
    moments = site.moments({site.z: "first", site.z**2: "second"})
    if moments is None:
        return None
    return gaussian(site, "Normal", moments["first"], -2 * moments["second"])


def gaussian(site: Site, family: str, first: Expr, precision: Expr) -> Formula | None:
    """A factor that is Normal in z or in log z, from its two natural parameters."""
    kind = gaussian_class(site, [first], [precision])
    values = {"mean": first / precision, "sd": precision ** sympy.Rational(-1, 2)}
    return formula(site, family, values, kind, (first, precision))


def log_normal(site: Site) -> Formula | None:
    r"""LogNormal: \(t(z) = (\log z, \log^2 z)\); \(-\log z\) belongs to the base measure."""
    if site.support != "positive":
        return None
    moments = site.moments({log(site.z): "log", log(site.z) ** 2: "square"})
    if moments is None or coupled(site):
        return None
    return gaussian(site, "LogNormal", moments["log"] + 1, -2 * moments["square"])


def half_normal(site: Site) -> Formula | None:
    r"""HalfNormal: \(t(z) = z^2\) on the positive numbers; scale \((-2\bar\eta)^{-1/2}\)."""
    if site.support != "positive":
        return None
    moments = site.moments({site.z**2: "second"})
    if moments is None:
        return None
    precision = -2 * moments["second"]
    values = {"scale": precision ** sympy.Rational(-1, 2)}
    return formula(site, "HalfNormal", values, _natural(site, [precision]), (precision,))


def gamma(site: Site) -> Formula | None:
    r"""Gamma: \(t(z) = (\log z, z)\); shape \(1 + \bar\eta_1\), rate \(-\bar\eta_2\)."""
    if site.support != "positive":
        return None
    moments = site.moments({log(site.z): "log", site.z: "first"})
    if moments is None:
        return None
    values = {"shape": 1 + moments["log"], "rate": -moments["first"]}
    return formula(site, "Gamma", values, _natural(site, [*values.values()]))


def inverse_gamma(site: Site) -> Formula | None:
    r"""InverseGamma: \(t(z) = (\log z, 1/z)\); shape \(-1 - \bar\eta_1\), scale \(-\bar\eta_2\)."""
    if site.support != "positive":
        return None
    moments = site.moments({log(site.z): "log", 1 / site.z: "inverse"})
    if moments is None:
        return None
    values = {"shape": -1 - moments["log"], "scale": -moments["inverse"]}
    return formula(site, "InverseGamma", values, _natural(site, [*values.values()]))


def beta(site: Site) -> Formula | None:
    r"""Beta: \(t(z) = (\log z, \log(1-z))\); \(a = 1 + \bar\eta_1\), \(b = 1 + \bar\eta_2\).

    ``Uniform(0, 1)`` is Beta(1, 1).
    """
    bases: dict[Expr, str] = {log(site.z): "log", log(1 - site.z): "other"}
    if site.support == "interval":
        inside = terms.where_positive(site.z, terms.where_positive(1 - site.z, sympy.Integer(0)))
        bases[inside] = "support"
        if not any(basis == inside for basis, _, _ in site.parts()):
            return None
    elif site.support != "unit":
        return None
    moments = site.moments(bases)
    if moments is None:
        return None
    values = {"a": 1 + moments["log"], "b": 1 + moments["other"]}
    return formula(site, "Beta", values, _natural(site, [*values.values()]))


def _natural(site: Site, values: list[Expr]) -> str:
    """The class of the natural parameters in the observations; none for a coupled local."""
    return "none" if coupled(site) else function_class(site, values, [])


def formula(
    site: Site,
    family: str,
    values: dict[str, Expr],
    kind: str,
    natural: tuple[Expr, ...] = (),
) -> Formula | None:
    """A named distribution with its parameters; None where one is outside its domain.

    Args:
        site: the local.
        family: the distribution's name.
        values: its parameters in references and heads.
        kind: the class in the observations.
        natural: what to read the sufficient statistics from, if not the parameters.
    """
    if any(k in POSITIVE and v.is_number and not v.is_positive for k, v in values.items()):
        return None
    shown = {name: tidied(value) for name, value in values.items()}
    listed = ", ".join(f"{name} = {site.text(value)}" for name, value in shown.items())
    statistics = site.statistics(*(natural or values.values()))
    tex = r",\ ".join(
        rf"\mathrm{{{name}}} = {site.latex(value)}" for name, value in shown.items()
    )  # fmt: skip
    return Formula(
        family,
        kind,
        f"q({site.name}) = {family}({listed}){statistics}",
        rf"q^\star\left({site.latex(site.atom)}\right) = \mathrm{{{family}}}\left({tex}\right)",
        tuple(shown.items()),
    )


def tidied(value: Expr) -> Expr:
    """A parameter over one denominator."""
    names: dict[Expr, Expr] = {}

    def plain(expr: Expr) -> Expr:
        if isinstance(expr, (Indexed, sympy.Function)):
            return names.setdefault(expr, Dummy(f"d{len(names):03}", real=True))
        if not expr.args:
            return expr
        return expr.func(*(plain(a) for a in expr.args))

    flat = plain(value)
    if flat.is_rational_function():
        flat = sympy.together(flat)
    return flat.xreplace({d: e for e, d in names.items()})
