"""Closed forms of the optimal factor: one file per family, one entry per closed form."""

from __future__ import annotations

from avi_theory.symbolic.kernels.conjugate import (
    beta,
    gamma,
    half_normal,
    inverse_gamma,
    log_normal,
    normal,
)
from avi_theory.symbolic.kernels.counts import poisson
from avi_theory.symbolic.kernels.discrete import bernoulli, categorical
from avi_theory.symbolic.kernels.gathering import ClosedForm, everywhere, site_of
from avi_theory.symbolic.kernels.joint import process
from avi_theory.symbolic.kernels.simplex import dirichlet
from avi_theory.symbolic.kernels.site import Formula, Site
from avi_theory.symbolic.kernels.vectors import vector_normal

CLOSED_FORMS: tuple[ClosedForm, ...] = tuple(
    everywhere(form)
    for form in (
        normal,
        vector_normal,
        process,
        gamma,
        inverse_gamma,
        beta,
        log_normal,
        half_normal,
        dirichlet,
        bernoulli,
        categorical,
        poisson,
    )
)
"""Tried in this order; the first that accepts the kernel names it."""

__all__ = ["CLOSED_FORMS", "ClosedForm", "Formula", "Site", "site_of"]
