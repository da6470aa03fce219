r"""The population gap against the use Γ of the mean of q(θ), with all work in the size done once.

.. math:: \Gamma = \Gamma_0 + E \gamma, \qquad
    K = [\Lambda_{z\theta} + \Lambda_{zz}\Gamma_0,\ \Lambda_{zz} E]\, M, \qquad
    M = \begin{pmatrix} I \\ \gamma \end{pmatrix}

E marks the rows of each function whose γ is free.  K and h_θ + Γᵀh_z are linear in M, so moments of
the two factors on M's left give every gap by small dense algebra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

from avi_theory.theory.closed_forms.averaged import Average, solved
from avi_theory.theory.design import Design
from avi_theory.theory.forms import Matrix

SHARP = 1e-8
"""The gradient at which the search stops, nats."""


@dataclass(frozen=True, eq=False)
class Uses:
    """Moments from which the gap follows at any γ, ``[free functions, globals]``.

    Attributes:
        constant: the gap's part that neither γ nor the features change, nats.
        system, right: E[FᵀΛ_zzF] and E[Fᵀh_z], covariance part.
        grid, toward: covariances of the features' functionals ``[width, b, width, b]``, and of
            these with those of θ, ``[width, b, b]``; b runs over the rows of M.
        theta: of θ's functionals among themselves, ``[b, b]``.
        inner: C in the rows of M, ``[b, b]``.
        means, across, beyond: FᵀΛ_zzF, FᵀK and FᵀΛ_zz o of mean features, o = E µ_z.
        rest, pull: oᵀΛ_zz o and Kᵀo.
    """

    constant: float
    system: np.ndarray
    right: np.ndarray
    grid: np.ndarray
    toward: np.ndarray
    theta: np.ndarray
    inner: np.ndarray
    means: np.ndarray
    across: np.ndarray
    beyond: np.ndarray
    rest: float
    pull: np.ndarray

    @classmethod
    def of(cls, average: Average, start: np.ndarray, free: np.ndarray) -> Uses:
        """Work out the moments.

        Args:
            average: the averaged problem.
            start: Γ₀, ``[locals, globals]``.
            free: the classes of the design whose γ is free.
        """
        post, moments, design = average.posterior, average.moments, average.design
        mark = _marks(design)[:, free]
        wide = np.concatenate([start, mark.toarray()], 1)
        zz, zt = post.zz, post.zt.toarray()
        g, b = zt.shape[1], wide.shape[1]
        coupling = zz @ wide
        coupling[:, :g] += zt
        inner = wide.T @ coupling
        inner[:, :g] += (zt.T @ wide).T
        inner[:g, :g] += post.tt
        seen = moments.functional(coupling)
        theta = sparse.csr_matrix(average.theta_functionals(wide))
        both = moments.cross(*2 * [sparse.hstack([seen, theta], "csr")])
        system, right = average.plain
        f, offset = _centred(design, moments.features_mean), average.optimum[g:]
        offset = offset - _class_means(design, offset)[design.classes]
        width, pulled = f.shape[1], zz @ offset
        k = width * b
        return cls(
            average.free_energy,
            system.toarray(),
            right,
            both[:k, :k].reshape(width, b, width, b),
            both[:k, k:].reshape(width, b, b),
            both[k:, k:],
            inner,
            (f.T @ (zz @ f)).toarray(),
            np.asarray(f.T @ coupling),
            f.T @ pulled,
            float(offset @ pulled),
            coupling.T @ offset,
        )

    def gap(self, gamma: np.ndarray) -> float:
        """The gap at γ, in nats, scales not counted; equal to `Average.gap` at Γ₀ + Eγ."""
        m = np.concatenate([np.eye(gamma.shape[1]), gamma])
        inverse = np.linalg.inv(m.T @ self.inner @ m)
        weight = m @ inverse @ m.T
        dense = self.system - np.einsum("ibjc,bc->ij", self.grid, weight)
        right = self.right - np.einsum("ibc,bc->i", self.toward, weight)
        means = self.means - self.across @ weight @ self.across.T
        beyond = self.beyond - self.across @ weight @ self.pull
        beta = solved(dense + means, right + beyond)
        rest = self.rest - self.pull @ weight @ self.pull
        value = self.constant - 0.5 * float(np.einsum("bc,bc->", self.theta, weight))
        value += float(0.5 * beta @ (dense + means) @ beta - (right + beyond) @ beta)
        return value + 0.5 * float(rest)

    def search(self, starts: list[np.ndarray]) -> np.ndarray:
        """The γ of the smallest gap that quasi-Newton steps find from these starts."""
        found = [
            minimize(
                lambda flat, shape=s.shape: self.gap(flat.reshape(shape)),
                s.ravel(), jac="3-point", options={"gtol": SHARP},
            )
            for s in starts
        ]  # fmt: skip
        return np.asarray(min(found, key=lambda r: float(r.fun)).x).reshape(starts[0].shape)


def _marks(design: Design) -> Matrix:
    """The class of each row as indicators, ``[locals, classes]``."""
    rows = np.arange(len(design.classes))
    return sparse.csr_matrix((np.ones(len(rows)), (rows, design.classes)))


def _class_means(design: Design, values: np.ndarray) -> np.ndarray:
    return np.bincount(design.classes, values) / np.bincount(design.classes)


def _centred(design: Design, features: Matrix) -> Matrix:
    """Mean features less their class's average: the same span, since each class has a constant.

    A large common level would otherwise cost digits.
    """
    first = np.unique(design.groups, return_index=True)[1]
    level = np.asarray(features.sum(0)).ravel() / np.bincount(design.classes)[design.groups]
    level[first] = 0.0
    columns = np.arange(len(level))
    shift = sparse.csr_matrix((level, (design.groups, columns)))
    return sparse.csr_matrix(features - _marks(design) @ shift)
