r"""Do a predicted and a measured amortization gap agree?

.. math:: \mathrm{tol} = 10^{-6}(1 + |\mathrm{ELBO}|) + 3\,\mathrm{s.e.} + d_F + d_A

with the runs' remaining distances :math:`d = \tfrac12 g^\top H^{-1} g` to their optima.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from avi_theory.results.comparison import Kind, Outcome

RELATIVE = 1e-6
"""Of the ELBO's size: what float64 sums over a data set leave open."""

NATS_PER_LATENT = 1e-3
"""What a trained network may fall short of the best function and still be said to agree."""


@dataclass(frozen=True)
class Run:
    """What the verdict needs to know of one run.

    Attributes:
        elbo: in nats.
        remaining: distance to its optimum in nats, or a bound on it; None if not known.
        certified: converged to an optimum known to be the only or the best one of its family.
    """

    elbo: float
    remaining: float | None = None
    certified: bool = False


def tolerance(fvi: Run, avi: Run, standard_error: float = 0.0) -> float:
    """How far apart two equal gaps may be found, in nats.

    Example:
        >>> tolerance(Run(-99.0), Run(-99.0), 0.001) == 1e-6 * 100 + 0.003
        True
    """
    size = max(abs(fvi.elbo), abs(avi.elbo))
    left = sum(r.remaining for r in (fvi, avi) if _number(r.remaining))  # type: ignore[misc]
    return RELATIVE * (1 + size) + 3 * standard_error + left


def judge(
    fvi: Run,
    avi: Run,
    predicted: float | None,
    kind: Kind,
    *,
    latents: int,
    standard_error: float = 0.0,
) -> Outcome:
    """The verdict on a predicted gap and the difference of two runs.

    A measured gap above the prediction says that A-VI fell short, or the theory is wrong; only a
    certified A-VI leaves the second.  One below says the same of F-VI.

    Args:
        fvi: the factorized run.
        avi: the amortized run.
        predicted: the gap by theory, in nats.
        kind: exact, upper or lower bound, none.
        latents: the number of scalar latents, for what a network may leave.
        standard_error: of the measured gap, in nats.

    Returns:
        ``agrees``, ``bound_respected``, ``contradicts`` (the certified side violates the theory)
        or ``inconclusive``.

    Example:
        >>> judge(Run(-10.0), Run(-12.0), 2.0, "exact", latents=5)
        'agrees'
        >>> judge(Run(-10.0), Run(-13.0), 2.0, "exact", latents=5)
        'inconclusive'
    """
    measured = fvi.elbo - avi.elbo
    if kind == "none" or not _number(predicted) or not math.isfinite(measured):
        return "inconclusive"
    assert predicted is not None
    tol = tolerance(fvi, avi, standard_error)
    above, below = measured > predicted + tol, measured < predicted - tol
    if kind == "lower" and not below:
        near = measured <= predicted + max(tol, NATS_PER_LATENT * latents)
        return "agrees" if near else "bound_respected"
    if kind == "upper" and not above:
        return "bound_respected"
    if kind == "exact" and not above and not below:
        return "agrees"
    certified = avi.certified if above else fvi.certified
    return "contradicts" if certified else "inconclusive"


def _number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
