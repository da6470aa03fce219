"""Optimisers, and the one answer they give."""

from avi_theory.numeric.solve.gauss_newton import gauss_newton
from avi_theory.numeric.solve.newton import newton
from avi_theory.numeric.solve.problem import Options, Problem, Run, Status
from avi_theory.numeric.solve.quasi_newton import quasi_newton
from avi_theory.numeric.solve.whitened import whitened

__all__ = [
    "Options",
    "Problem",
    "Run",
    "Status",
    "gauss_newton",
    "newton",
    "quasi_newton",
    "whitened",
]
