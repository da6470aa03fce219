"""Closed forms of the optimal factor: one file per family, one entry per closed form."""

from __future__ import annotations

from collections.abc import Callable

from avi_theory.symbolic.kernels.conjugate import beta, gamma, inverse_gamma, log_normal, normal
from avi_theory.symbolic.kernels.discrete import bernoulli, categorical
from avi_theory.symbolic.kernels.simplex import dirichlet
from avi_theory.symbolic.kernels.site import Formula, Site, site_of

ClosedForm = Callable[[Site], Formula | None]

CLOSED_FORMS: tuple[ClosedForm, ...] = (
    normal,
    gamma,
    inverse_gamma,
    beta,
    log_normal,
    dirichlet,
    bernoulli,
    categorical,
)
"""Tried in this order; the first that accepts the kernel names it."""

__all__ = ["CLOSED_FORMS", "ClosedForm", "Formula", "Site", "site_of"]
