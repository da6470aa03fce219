r"""The stationary Gaussian chain seen through noise: its limits in closed form.

.. math:: z_t = \varphi z_{t-1} + N(0, q), \qquad x_t = z_t + N(0, r)

Here q and r are variances (the notation takes scales).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from avi_theory.theory.spectral import Filter, Stencil

INTEGRAL_LATEX = (
    r"\min_A \frac12 \int_{-\pi}^{\pi} \operatorname{tr}\left[\Lambda(\omega) E(\omega)"
    r" S_x(\omega) E(\omega)^{*}\right] \frac{d\omega}{2\pi}, \qquad E = A - \Lambda^{-1} B"
)
LEVEL_LATEX = r" + \frac12 \operatorname{tr}\left[\Lambda_0 D D^\top\right]"
"""What θ adds where it differs between data sets: `avi_theory.theory.spectral.Level`."""
WINDOW_ZERO_LATEX = (
    r"J_0 = \frac{\varphi^2}{(1-\varphi^2)\left[2 + \frac{r(1+\varphi^2)}{q}"
    r" + \frac{q}{r(1-\varphi^2)}\right]}"
)


@dataclass(frozen=True)
class Chain:
    """φ, and the variances q of the step and r of the noise, with x in units of its loading."""

    phi: float
    q: float
    r: float

    @classmethod
    def of(cls, stencil: Stencil) -> Chain | None:
        """Read off an interior row of the precision; None where it is no such chain.

        Λ's entries are (1 + φ²)/q + 1/r and −φ/q.
        """
        own = stencil.blocks[0]
        if stencil.latents != 1 or own.shape != (2, 2) or set(stencil.blocks) != {-1, 0, 1}:
            return None
        near = stencil.blocks[1].copy()
        step, near[0, 0] = -float(near[0, 0]), 0.0
        told = float(own[0, 1] ** 2 / own[1, 1])
        if near.any() or step == 0 or told == 0:
            return None
        ratio = (float(own[0, 0]) - told) / abs(step)
        phi = _smaller_root(ratio)
        return cls(math.copysign(phi, step), phi / abs(step), 1 / told)


def closed_form(
    stencil: Stencil, filters: list[Filter], levels: bool
) -> tuple[str, tuple[str, ...]]:
    """The limit's formula in LaTeX, and remarks that give its symbols values.

    Args:
        stencil: the interior of the joint precision.
        filters: the random inputs.
        levels: whether data sets differ in θ.
    """
    if levels:
        integral, rest = INTEGRAL_LATEX.split(", \\qquad")
        return f"{integral}{LEVEL_LATEX}, \\qquad{rest}", ()
    chain = Chain.of(stencil)
    if chain is None or not all(set(f) <= {(0, 0, 0)} for f in filters) or not any(filters):
        return INTEGRAL_LATEX, ()
    values = f"φ = {chain.phi:.6g}, q = {chain.q:.6g}, r = {chain.r:.6g} (variances)"
    return WINDOW_ZERO_LATEX, (
        "The limit is J₀ = φ²/{(1−φ²)[2 + r(1+φ²)/q + q/(r(1−φ²))]} with " + values + ".",
    )


def window_zero_limit(phi: float, q: float, r: float) -> float:
    r"""The gap per latent of f(xₜ), in nats, as the length grows; exact.

    .. math:: J_0 = \frac{\varphi^2}{(1-\varphi^2)
        \big[2 + r(1+\varphi^2)/q + q/(r(1-\varphi^2))\big]}

    Source: docs/theory.md: the static team problem (Radner 1962) with one coefficient.

    Args:
        phi: autoregression, |φ| ≤ 1; 1 is the random walk, whose limit is r/q.
        q: variance of the step.
        r: variance of the noise.

    Returns:
        J₀ in nats per latent.

    Example:
        >>> round(window_zero_limit(0.9, 1.0, 1.0), 7)
        0.4698648
    """
    return phi**2 / ((1 - phi**2) * (2 + r * (1 + phi**2) / q) + q / r)


def decay_rate(phi: float, q: float, r: float) -> float:
    r"""ρ, by whose square each further neighbour on both sides shrinks the gap.

    .. math:: \rho + 1/\rho = \Big[\frac{1+\varphi^2}{q} + \frac1r\Big] \frac{q}{\varphi}

    The smaller root; influence in Λ⁻¹ decays like ρ^|n−m|.  Source: docs/theory.md.

    Example:
        >>> round(decay_rate(1.0, 1.0, 1.0), 6)
        0.381966
    """
    total = ((1 + phi**2) / q + 1 / r) * q / abs(phi)
    return _smaller_root(total)


def _smaller_root(total: float) -> float:
    """Of ρ + 1/ρ = total ≥ 2 (up to rounding), for totals of any size."""
    return 2 / (total * (1 + math.sqrt(max(1 - (2 / total) ** 2, 0.0))))
