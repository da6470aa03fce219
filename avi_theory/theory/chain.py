r"""The stationary Gaussian chain seen through noise: its limits in closed form.

.. math:: z_t = \varphi z_{t-1} + N(0, q), \qquad x_t = z_t + N(0, r)

Here q and r are variances (the notation takes scales).
"""

from __future__ import annotations

import math


def window_zero_limit(phi: float, q: float, r: float) -> float:
    r"""The gap per latent of f(xₜ), in nats, as the length grows; exact.

    .. math:: J_0 = \frac{\varphi^2}{(1-\varphi^2)
        \big[2 + r(1+\varphi^2)/q + q/(r(1-\varphi^2))\big]}

    Source: docs/theory.md: the static team problem (Radner 1962) with one coefficient.

    Args:
        phi: autoregression, |φ| < 1.
        q: variance of the step.
        r: variance of the noise.

    Returns:
        J₀ in nats per latent.

    Example:
        >>> round(window_zero_limit(0.9, 1.0, 1.0), 7)
        0.4698648
    """
    rest = 1 - phi**2
    return phi**2 / (rest * (2 + r * (1 + phi**2) / q + q / (r * rest)))


WINDOW_ZERO_LATEX = (
    r"J_0 = \frac{\varphi^2}{(1-\varphi^2)\left[2 + \frac{r(1+\varphi^2)}{q}"
    r" + \frac{q}{r(1-\varphi^2)}\right]}"
)


def decay_rate(phi: float, q: float, r: float) -> float:
    r"""ρ, by whose square each further neighbour on both sides shrinks the gap.

    .. math:: \rho + 1/\rho = \Big[\frac{1+\varphi^2}{q} + \frac1r\Big] \frac{q}{\varphi}

    The smaller root; influence in Λ⁻¹ decays like ρ^|n−m|.  Source: docs/theory.md.

    Example:
        >>> round(decay_rate(1.0, 1.0, 1.0), 6)
        0.381966
    """
    total = ((1 + phi**2) / q + 1 / r) * q / abs(phi)
    return (total - math.sqrt(total**2 - 4)) / 2
