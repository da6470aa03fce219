"""Chains by message passing: evidence and smoothing marginals, exact and linear in the length."""

from avi_theory.numeric.chains.blocks import block_tridiagonal
from avi_theory.numeric.chains.chain import DiscreteChain, Smoothed
from avi_theory.numeric.chains.kalman import GaussianChain, SmoothedGaussian, kalman_smoother
from avi_theory.numeric.chains.smooth import forward_backward, log_evidence

__all__ = [
    "DiscreteChain",
    "GaussianChain",
    "Smoothed",
    "SmoothedGaussian",
    "block_tridiagonal",
    "forward_backward",
    "kalman_smoother",
    "log_evidence",
]
