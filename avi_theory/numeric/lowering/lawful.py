r"""Moments of log-Gamma and logit-Beta latents, symbolically: every law by its generating function.

.. math:: \mathbb E[u^j e^{tu}] = M(t)\, \mathbb E_{\alpha + t}[u^j], \qquad
    M(t) = \frac{\Gamma(\alpha + t)}{\Gamma(\alpha)}\, \beta^{-t}

for u = log z with z ~ Gamma(α, β), so that E z^k, E 1/z, E log z and E z log z are one formula; it
is infinite where α + t ≤ 0.  For u = logit z with z ~ Beta(α, β),

.. math:: \mathbb E[z^p (1-z)^q \ell] = \frac{B(\alpha + p, \beta + q)}{B(\alpha, \beta)}\,
    \mathbb E_{\alpha+p,\, \beta+q}[\ell], \qquad \ell \in \{1, \log z, \log(1-z), \text{products}\}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy
from sympy import Expr, Symbol, polygamma

from avi_theory.numeric.lowering.latents import Latent, gaussian_moment
from avi_theory.spec import terms

MAX_POWER = 8


@dataclass
class Powers:
    """What one latent contributes to a product: uʲ e^{tu}, or zᵖ (1−z)^q (−log z)ʲ (−log(1−z))ᵏ.

    Attributes:
        tilt, other_tilt: t, or p and q.
        power: j of a u on the real line; logs: j and k of a logit-Beta.
    """

    tilt: Expr = sympy.S.Zero
    other_tilt: Expr = sympy.S.Zero
    power: int = 0
    logs: list[int] = field(default_factory=lambda: [0, 0])


def moment(latent: Latent, p: Powers) -> Expr | None:
    """E of one latent's part of a product; None where it has no closed form."""
    if p.power + sum(p.logs) > MAX_POWER:
        return None
    if latent.law == "beta":
        return None if p.power else _beta(latent, p)
    if p.other_tilt != 0 or any(p.logs):
        return None
    if latent.law == "normal":
        if not latent.gaussian:
            return None
        scale = sympy.exp(latent.mean * p.tilt + latent.variance * p.tilt**2 / 2)
        return scale * gaussian_moment(
            latent.mean + p.tilt * latent.variance, latent.variance, p.power
        )
    sign = 1 if latent.law == "gamma" else -1
    alpha, beta, r = latent.alpha, latent.beta, sign * p.tilt
    scale = rising(alpha, r) * sympy.exp(-r * sympy.log(beta))
    cumulants = [sign * (polygamma(0, alpha + r) - sympy.log(beta))]
    cumulants += [sign**n * polygamma(n - 1, alpha + r) for n in range(2, p.power + 1)]
    return scale * _raw(cumulants, p.power)


def rising(alpha: Expr, r: Expr) -> Expr:
    """Γ(α + r)/Γ(α), infinite where α + r ≤ 0."""
    if r == 0:
        return sympy.Integer(1)
    if r.is_Integer:
        size = abs(int(r))
        if r > 0:
            return sympy.Mul(*(alpha + i for i in range(size)))
        value = 1 / sympy.Mul(*(alpha - i for i in range(1, size + 1)))
    else:
        value = sympy.exp(sympy.loggamma(alpha + r) - sympy.loggamma(alpha))
        if r.is_nonnegative:
            return value
    return -terms.where_positive(alpha + r, -value)


def _raw(cumulants: Sequence[Expr], power: int) -> Expr:
    """E uʲ from cumulants: μⱼ = Σᵢ C(j−1, i−1) κᵢ μⱼ₋ᵢ."""
    found: list[Expr] = [sympy.Integer(1)]
    for j in range(1, power + 1):
        found.append(
            sympy.Add(
                *(
                    sympy.binomial(j - 1, i - 1) * cumulants[i - 1] * found[j - i]
                    for i in range(1, j + 1)
                )
            )
        )
    return found[power]


def _beta(latent: Latent, p: Powers) -> Expr | None:
    if sum(p.logs) > 2:
        return None
    a, b = latent.alpha + p.tilt, latent.beta + p.other_tilt
    both = p.tilt + p.other_tilt
    scale = rising(latent.alpha, p.tilt) * rising(latent.beta, p.other_tilt)
    scale = (-1) ** sum(p.logs) * scale / rising(latent.alpha + latent.beta, both)
    first = polygamma(0, a) - polygamma(0, a + b)
    second = polygamma(0, b) - polygamma(0, a + b)
    joint = polygamma(1, a + b)
    level = {
        (0, 0): sympy.Integer(1),
        (1, 0): first,
        (0, 1): second,
        (2, 0): first**2 + polygamma(1, a) - joint,
        (0, 2): second**2 + polygamma(1, b) - joint,
        (1, 1): first * second - joint,
    }[p.logs[0], p.logs[1]]
    return scale * level


def parts(e: Expr, latents: Mapping[Symbol, Latent]) -> tuple[Expr, dict[Symbol, Powers]] | None:
    """(known factor, what each latent contributes) of a product; None where it does not split."""
    found: dict[Symbol, Powers] = {}
    known: list[Expr] = []
    for a in sympy.Mul.make_args(e):
        held = a.free_symbols & latents.keys()
        if not held:
            known.append(a)
            continue
        if isinstance(a, sympy.exp):
            level = _tilts(sympy.expand(a.args[0]), held, latents, found)
            if level is None:
                return None
            known.append(sympy.exp(level))
            continue
        base, power = a.as_base_exp()
        if len(held) > 1 or power.free_symbols & latents.keys():
            return None
        (s,) = held
        if not _absorb(base, power, s, latents[s], found.setdefault(s, Powers())):
            return None
    return sympy.Mul(*known), found


def _tilts(
    exponent: Expr,
    held: set[Symbol],
    latents: Mapping[Symbol, Latent],
    found: dict[Symbol, Powers],
) -> Expr | None:
    """Add the slopes of an affine exponent to the tilts; its known part, or None if not affine."""
    level = exponent
    for s in sorted(held, key=str):
        slope = sympy.diff(exponent, s)
        if slope.free_symbols & held:
            return None
        part = found.setdefault(s, Powers())
        part.tilt += slope
        if latents[s].law == "beta":
            part.other_tilt -= slope
        level = level - slope * s
    level = sympy.expand(level)
    return None if level.free_symbols & held else level


def _absorb(base: Expr, power: Expr, s: Symbol, latent: Latent, part: Powers) -> bool:
    """Whether a power of one of the latent's own functions was added to its part."""
    if latent.law == "beta":
        if base == terms.sigmoid(s):
            part.tilt += power
            return True
        if base == terms.sigmoid(-s) or sympy.expand(base + terms.sigmoid(s)) == 1:
            part.other_tilt += power
            return True
    if not (power.is_Integer and power > 0):
        return False
    if latent.law == "beta" and base in (terms.softplus(-s), terms.softplus(s)):
        part.logs[0 if base == terms.softplus(-s) else 1] += int(power)
        return True
    if base == s and latent.law != "beta":
        part.power += int(power)
        return True
    return False
