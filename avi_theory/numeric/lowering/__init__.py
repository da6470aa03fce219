"""The one bridge between sympy and torch: declared densities as expectations on tensors."""

from avi_theory.numeric.lowering.expected import ExpectedFactor
from avi_theory.numeric.lowering.factors import expected_factors
from avi_theory.numeric.lowering.heads import Program
from avi_theory.numeric.lowering.hessian import second_derivatives
from avi_theory.numeric.lowering.values import Marginals, Where

__all__ = [
    "ExpectedFactor",
    "Marginals",
    "Program",
    "Where",
    "expected_factors",
    "second_derivatives",
]
