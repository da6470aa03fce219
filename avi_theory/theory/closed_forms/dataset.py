r"""Linear-Gaussian models on one data set: least squares in the Λ-norm.

.. math:: \mathrm{gap} = \tfrac12 \min_\beta \lVert F\beta - \mu \rVert^2_{\Lambda_{\mathrm{eff}}}
    + \tfrac12\Big[N \log \overline{\Lambda_{nn}} - \sum \log \Lambda_{nn}\Big],
    \quad \Lambda_{\mathrm{eff}} = \Lambda_{zz} - \Lambda_{z\theta}\Lambda_{\theta\theta}^{-1}
    \Lambda_{\theta z}
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from avi_theory.theory.design import Design, clean, dataset_design, variance_cost
from avi_theory.theory.features import columns
from avi_theory.theory.gaussian import Posterior
from avi_theory.theory.linalg import Factor
from avi_theory.theory.question import Answer, Question
from avi_theory.theory.team import DENSE, best_shared


def least_squares_gap(posterior: Posterior, design: Design) -> float:
    r"""½ min over β of (Fβ−µ)ᵀΛ_eff(Fβ−µ), plus the price of shared scales; nats in total, exact.

    F-VI's mean µ = Λ⁻¹h; θ is profiled out, since q(θ) is free in both families.

    Args:
        posterior: Λ and h of (θ, z).
        design: features of the locals' means.
    """
    mean = posterior.mean[posterior.globals :]
    beta = _coefficients(posterior, design.known, mean)
    residual = design.known @ beta - mean
    scales = variance_cost(posterior.diagonal, design.classes)
    return posterior.profiled(residual) + scales


def _coefficients(posterior: Posterior, f: sparse.csr_matrix, mean: np.ndarray) -> np.ndarray:
    """β of FᵀΛ_eff F β = FᵀΛ_eff µ."""
    system = sparse.csr_matrix(f.T @ (posterior.zz @ f))
    right = f.T @ (posterior.zz @ mean)
    if posterior.globals == 0:
        if f.shape[1] <= DENSE:
            return best_shared(system.toarray(), right)
        return Factor(system).solve(right)
    across = np.asarray((posterior.zt.T @ f).T.todense()) if sparse.issparse(f) else None
    assert across is not None
    seen = np.linalg.solve(posterior.tt, across.T)
    right = right - seen.T @ (posterior.zt.T @ mean)
    if f.shape[1] <= DENSE:
        return best_shared(system.toarray() - across @ seen, right)
    # Woodbury: the sparse part and a correction of the rank of θ.
    factor = Factor(system)
    plain, thin = factor.solve(right), factor.solve(across)
    inner = posterior.tt - across.T @ thin
    return np.asarray(plain + thin @ np.linalg.solve(inner, across.T @ plain))


class GaussianDataset:
    """Exact on one data set, for polynomials and (through ties) for all functions."""

    def accepts(self, question: Question) -> str:
        """The dataset regime of a linear-Gaussian model."""
        if question.regime != "dataset":
            return "it is not asked about one data set"
        return question.posterior if isinstance(question.posterior, str) else ""

    def apply(self, question: Question) -> Answer:
        """Generalised least squares."""
        assert isinstance(question.posterior, Posterior)
        bound = question.bound
        found = {v.name: columns(bound, v, question.resolved[v.name]) for v in bound.model.locals}
        design = dataset_design(bound, found, question.function, question.per_position)
        gap = least_squares_gap(question.posterior, design)
        scale = (
            "Positions with equal inputs share mean and scale."
            if question.function.degree is None
            else "The mean is a polynomial of the inputs, the scale one shared constant; a "
            "position with missing inputs has its own."
        )
        return Answer(
            clean(gap, bound.latents),
            "exact",
            (scale, "The model is linear-Gaussian: the optimum is unique."),
            "least squares in the Λ-norm (docs/theory.md, linear-Gaussian models)",
        )
