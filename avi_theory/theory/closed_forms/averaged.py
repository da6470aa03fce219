r"""Linear-Gaussian models averaged over data: the static team problem with q(θ) free.

.. math:: \mathrm{gap} = \min_{f} \tfrac12 E \min_{m_\theta} (m-\mu)^\top \Lambda (m-\mu),
    \qquad m_z = F\beta + \Gamma m_\theta

Γ is how functions use the mean of q(θ): free in the population regime, 0 in reuse.  In the
variables d = m_z − Γ m_θ the coupling to θ is K = Λ_zθ + Λ_zz Γ with C = Λ_θθ + ΓᵀΛ_zθ + Λ_θzΓ +
ΓᵀΛ_zzΓ, and the system is E[Fᵀ(Λ_zz − K C⁻¹ Kᵀ)F] β = E[Fᵀ(h_z − K C⁻¹ h_θ')].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from avi_theory.theory.design import Design, variance_cost
from avi_theory.theory.forms import Matrix
from avi_theory.theory.gaussian import Posterior
from avi_theory.theory.moments import WIDEST, Draws, Moments
from avi_theory.theory.team import best_per_position, best_shared

DECOUPLED = 1e-12
MOST_FUNCTIONALS = 4000
MANY = 1000
"""Features from which a definite system is solved by Cholesky's method; eigenvalues take longer."""
FULL = 0.1
"""The share of entries from which a system counts as dense."""
SAME = 1e-8
"""How far, in their scales, moments of one distribution may differ by rounding."""
BLOCK = 2_000_000
"""Covariances that are compared at once."""
DEFINITE = 1e-9
"""The reciprocal condition number from which a scaled system counts as definite."""


class TooLarge(Exception):
    """A dense system that would not fit."""


@dataclass(frozen=True, eq=False)
class Average:
    """The averaged problem for one design.

    Attributes:
        draws: the distribution of the data.
        design: features of the locals' means.
    """

    draws: Draws
    design: Design

    @cached_property
    def moments(self) -> Moments:
        """Of the features."""
        return Moments(self.draws, self.design)

    @property
    def posterior(self) -> Posterior:
        """Λ; its linear term is b alone."""
        return self.draws.joint.posterior

    @cached_property
    def optimum(self) -> np.ndarray:
        """µ at the mean data: E µ = Λ⁻¹ E h, of (θ, z)."""
        joint, post = self.draws.joint, self.posterior
        h = post.linear + joint.b_matrix @ self.draws.mean[self.draws.locals :]
        return Posterior(post.layout, post.precision, h).mean

    @cached_property
    def free_energy(self) -> float:
        r"""½ tr(Λ Cov µ): half the covariance part of E[hᵀΛ⁻¹h].

        Given θ, Cov E[z|θ,x] = Cov(z|θ) − Λ_zz⁻¹ (law of total variance), hence
        tr(Λ_zz Cov(z|θ)) − N, plus what θ's own optimum moves.
        """
        draws, post = self.draws, self.posterior
        if draws.theta.size:
            return 0.5 * self._prior_energy()
        entries = post.zz.tocoo()
        cov = self.moments.covariance(entries.row, entries.col)
        value = float(entries.data @ cov) - draws.locals
        if draws.globals:
            moved = self.theta_functionals(-post.zz_inverse_zt)
            second = self.moments.cross(moved, moved)
            value += float(np.trace(np.linalg.solve(post.schur, second)))
        return 0.5 * value

    def _prior_energy(self) -> float:
        """tr(Λ Cov(θ, z)) − (number of coordinates): the same when θ is drawn too."""
        draws, post = self.draws, self.posterior
        entries = post.zz.tocoo()
        g = draws.spread[: draws.locals]
        value = float(entries.data @ self.moments.covariance(entries.row, entries.col))
        value += float(np.trace(post.tt @ draws.theta))
        value += 2 * float(np.trace(draws.theta @ (post.zt.T @ g)))
        return value - draws.locals - draws.globals

    def theta_functionals(self, gamma: np.ndarray) -> np.ndarray:
        """h_θ + Γᵀh_z as functionals of y (its random part); columns past θ's are Γᵀh_z alone."""
        g, b = self.draws.globals, self.draws.joint.b_matrix
        weights = np.asarray(b[g:].T @ gamma)
        weights[:, :g] += np.asarray(b[:g].todense()).T
        above = np.zeros((self.draws.locals, gamma.shape[1]))
        return np.concatenate([above, weights])

    @cached_property
    def plain(self) -> tuple[Matrix, np.ndarray]:
        """E[FᵀΛ_zzF] and E[Fᵀh_z], covariance part."""
        return self.moments.coupled(self.posterior.zz), self.moments.toward()

    def gap(self, gamma: np.ndarray | None) -> float:
        """The gap in nats for one way Γ of using the mean of q(θ), scales not counted.

        Args:
            gamma: Γ, ``[locals, globals]``; None for no use at all.

        Raises:
            TooLarge: θ couples more functions than a dense system holds.
        """
        draws, post = self.draws, self.posterior
        use = np.zeros((draws.locals, draws.globals)) if gamma is None else gamma
        offset = self.optimum[draws.globals :] - use @ self.optimum[: draws.globals]
        if draws.globals == 0:
            return self.free_energy + self._decoupled(offset)
        zt = post.zt.toarray()
        coupling = zt + post.zz @ use
        inner = post.tt + use.T @ zt + zt.T @ use + use.T @ (post.zz @ use)
        theta = self.theta_functionals(use)
        explained = np.linalg.solve(inner, self.moments.cross(theta, theta))
        constant = self.free_energy - 0.5 * float(np.trace(explained))
        if np.abs(coupling).max() <= DECOUPLED * max(post.diagonal.max(), 1.0):
            return constant + self._decoupled(offset)
        return constant + self._coupled(offset, coupling, np.linalg.inv(inner), theta)

    def _decoupled(self, offset: np.ndarray) -> float:
        """What β can still change where K = 0: a sparse system.

        Args:
            offset: E µ in the variables d = m_z − Γ m_θ.
        """
        f, zz = self.moments.features_mean, self.posterior.zz
        system, right = self.plain
        whole, pulled = sparse.csr_matrix(system + f.T @ (zz @ f)), right + f.T @ (zz @ offset)
        full = whole.shape[0] <= WIDEST and whole.nnz > FULL * whole.shape[0] ** 2
        beta = solved(whole.toarray(), pulled) if full else best_per_position(whole, pulled)
        miss = f @ beta - offset
        return float(0.5 * beta @ (system @ beta) - right @ beta + 0.5 * miss @ (zz @ miss))

    def _coupled(
        self, offset: np.ndarray, coupling: np.ndarray, inverse: np.ndarray, theta: np.ndarray
    ) -> float:
        """The same with E[Fᵀ K C⁻¹ Kᵀ F] taken off: a dense system.

        Args:
            offset: E µ in the variables d = m_z − Γ m_θ.
            coupling: K.
            inverse: C⁻¹.
            theta: h_θ + Γᵀh_z as functionals of the data.
        """
        f, zz, g = self.moments.features_mean, self.posterior.zz, self.draws.globals
        width = f.shape[1]
        if width * g > (WIDEST if self.moments.root is not None else MOST_FUNCTIONALS):
            raise TooLarge(width * g)
        system, right = self.plain
        seen = self.moments.functional(coupling)
        grid = self.moments.cross(seen, seen).reshape(width, g, width, g)
        toward = self.moments.cross(seen, theta).reshape(width, g, g)
        dense = system.toarray() - np.einsum("iajb,ab->ij", grid, inverse)
        right = right - np.einsum("iab,ab->i", toward, inverse)
        k = np.asarray(f.T @ coupling)
        means = (f.T @ (zz @ f)).toarray() - k @ inverse @ k.T
        pulled = f.T @ (zz @ offset) - k @ inverse @ (coupling.T @ offset)
        beta = solved(dense + means, right + pulled)
        miss = f @ beta - offset
        pull = coupling.T @ miss
        rest = miss @ (zz @ miss) - pull @ inverse @ pull
        return float(0.5 * beta @ dense @ beta - right @ beta + 0.5 * rest)

    @property
    def scales(self) -> float:
        """The price of shared scales, in nats."""
        return variance_cost(self.posterior.diagonal, self.design.classes)

    def same_law(self) -> bool:
        """Whether all positions that share a function see equally distributed inputs."""
        d = self.design
        for c in np.flatnonzero(np.bincount(d.classes) > 1):
            rows, features = np.flatnonzero(d.classes == c), np.flatnonzero(d.groups == c)
            first = self._laws(rows[:1], features)
            scale = np.sqrt(np.maximum(np.diagonal(first[1][0]), 0.0))
            scale = np.where(scale > 0, scale, 1.0)
            slack = SAME * (scale + np.abs(first[0][0])), SAME * np.outer(scale, scale)
            step = max(1, BLOCK // len(features) ** 2)
            for start in range(0, len(rows), step):
                found = self._laws(rows[start : start + step], features)
                for own, other, most in zip(first, found, slack, strict=True):
                    if np.any(np.abs(other - own) > most):
                        return False
        return True

    def _laws(self, rows: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and covariances of some features at some rows."""
        means = self.moments.features_mean[rows][:, features].toarray()
        return means, self.moments.within(rows, features)


def solved(system: np.ndarray, right: np.ndarray) -> np.ndarray:
    """β of a dense system; by Cholesky where it is large and clearly definite."""
    diagonal = np.diagonal(system)
    if len(right) < MANY or np.any(diagonal <= 0):
        return best_shared(system, right)
    scale = 1 / np.sqrt(diagonal)
    scaled = scale[:, None] * system * scale
    size = np.abs(scaled).sum(0).max()
    factor, failed = linalg.lapack.dpotrf(scaled, lower=1, clean=0)
    if failed or linalg.lapack.dpocon(factor, size, uplo="L")[0] < DEFINITE:
        return best_shared(system, right)
    return np.asarray(scale * linalg.cho_solve((factor, True), scale * right))
