"""Continuous mean-field models by quadrature: the ELBO, its optima, certificates of concavity."""

from avi_theory.theory.quadrature.ascent import NotConverged, Reached, best_free, best_of_design
from avi_theory.theory.quadrature.convexity import concave
from avi_theory.theory.quadrature.elbo import NotIntegrable, Objective, objective

__all__ = [
    "NotConverged",
    "NotIntegrable",
    "Objective",
    "Reached",
    "best_free",
    "best_of_design",
    "concave",
    "objective",
]
