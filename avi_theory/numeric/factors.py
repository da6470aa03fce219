"""The factors of all points of one variable, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.numeric import laws
from avi_theory.numeric.laws import Law


@dataclass(frozen=True, eq=False)
class Factors:
    """The factors of all points of one variable: moments, or category probabilities.

    Attributes:
        mean, log_sd: ``[P]``, or ``[P, d]`` for a vector, of u before its transform.
        law: of u; alpha, beta: its parameters where it is not Gaussian.
        root: ``[P, d, d]``, L with covariance LLᵀ, of a vector with all covariances.
        row: ``[P, k]``, the row of such an L that belongs to one of several variables.
        expected_log: ``[P, d]`` of a simplex, with its concentration; its mean is then its own.
        log_probability: ``[P, K]`` of a discrete variable; `weights` instead of its exponential
            where the derivative in the probabilities themselves is wanted.
    """

    mean: Tensor | None = None
    log_sd: Tensor | None = None
    law: Law = "normal"
    alpha: Tensor | None = None
    beta: Tensor | None = None
    root: Tensor | None = None
    row: Tensor | None = None
    expected_log: Tensor | None = None
    concentration: Tensor | None = None
    log_probability: Tensor | None = None
    weights: Tensor | None = None

    @property
    def probability(self) -> Tensor:
        """``[P, K]``."""
        if self.weights is not None:
            return self.weights
        assert self.log_probability is not None
        return self.log_probability.exp()

    def at(self, noise: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values of u, smooth in the parameters, from fixed noise, and their log weights.

        Args:
            noise: samples first; standard normals for a Gaussian u (then nothing is weighed; with a
                row one for each of its entries, last), else numbers between 0 and 1 for
                heavier-tailed proposals.
        """
        if self.alpha is not None and self.beta is not None:
            u, level, proposal = laws.proposed(self.law, self.alpha, self.beta, noise)
            return u, level - proposal
        assert self.mean is not None and self.log_sd is not None
        if self.root is not None:
            return self.mean + (self.root @ noise.unsqueeze(-1)).squeeze(-1), None
        if self.row is not None:
            return self.mean + (self.row * noise).sum(-1), None
        return self.mean + torch.exp(self.log_sd) * noise, None
