r"""Stationary linear-Gaussian models of infinite length: the weighted FIR problem.

.. math:: \lim_{N\to\infty} \frac{\mathrm{gap}}{N} = \min_A \frac{1}{2} \int_{-\pi}^{\pi}
    \operatorname{tr}\big[\Lambda(\omega)\, E(\omega)\, S_x(\omega)\, E(\omega)^*\big]
    \frac{d\omega}{2\pi}, \qquad E = A - \Lambda^{-1} B

An interior row of the precision gives the symbols Λ(ω), B(ω) and S(ω) = P(ω)⁻¹; an inference
function that sees a window is a finite filter A(ω) = Σ βⱼ e^{iωj}.  Integrands are analytic and
periodic, so the midpoint rule converges geometrically.  A unit root in S forces E(0) to vanish on
its direction.  Means and globals, constant along a data set, add a term at ω = 0 (`Level`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

GRID = 2048
FINEST = 2**17
AGREE = 1e-10
Filter = Mapping[tuple[int, int, int], float]
"""One column of features: (latent component, observed component, offset) to weight."""


@dataclass(frozen=True, eq=False)
class Stencil:
    """An interior row of a translation-invariant precision matrix over (z, x).

    Attributes:
        blocks: offset to the block P_d, ``[components, components]``, latents first.
        latents: the number of latent components per step.
    """

    blocks: Mapping[int, np.ndarray]
    latents: int

    def symbol(self, omega: np.ndarray) -> np.ndarray:
        """P(ω) = Σ_d P_d e^{iωd}, ``[grid, components, components]``."""
        return np.asarray(
            sum(b * np.exp(1j * omega * d)[:, None, None] for d, b in self.blocks.items())
        )

    @cached_property
    def unit_root(self) -> np.ndarray | None:
        """The direction in which the process wanders like a random walk, or None.

        Raises:
            NoLimit: it has several such directions, or wanders faster.
        """
        values, vectors = np.linalg.eigh(self.symbol(np.zeros(1))[0].real)
        size = max(values[-1], 1.0)
        flat = np.flatnonzero(values < 1e-9 * size)
        if len(flat) == 0:
            return None
        near, nearer = (np.linalg.eigvalsh(self.symbol(np.array([w]))[0])[0] for w in (2e-2, 1e-2))
        if len(flat) > 1 or not 3.5 < near / nearer < 4.5:
            raise NoLimit("the process wanders in more than one direction, or faster than a walk")
        return np.asarray(vectors[:, 0])

    def decay(self) -> float | None:
        """ρ: the largest root of det Λ(z) inside the unit circle; None without coupling.

        Each further position on both sides of a window shrinks the gap about by ρ².
        """
        d = self.latents
        lags = max((abs(k) for k, b in self.blocks.items() if np.any(b[:d, :d])), default=0)
        if lags == 0:
            return None
        zero = np.zeros((d, d))
        coefficients = [
            self.blocks[k][:d, :d] if k in self.blocks else zero for k in range(-lags, lags + 1)
        ]
        return _largest_inner_root(coefficients)


def _largest_inner_root(coefficients: Sequence[np.ndarray]) -> float | None:
    """Of det Σ Cₖ zᵏ, by the companion pencil."""
    from scipy.linalg import eigvals

    degree, d = len(coefficients) - 1, len(coefficients[0])
    a, b = np.zeros((degree * d, degree * d)), np.eye(degree * d)
    a[: (degree - 1) * d, d:] = np.eye((degree - 1) * d)
    for k in range(degree):
        a[(degree - 1) * d :, k * d : (k + 1) * d] = -coefficients[k]
    b[(degree - 1) * d :, (degree - 1) * d :] = coefficients[degree]
    alpha, beta = eigvals(a, b, homogeneous_eigvals=True)
    large = np.abs(alpha) > 1e9 * np.abs(beta)
    modulus = np.abs(alpha) / np.where(large, 1.0, np.abs(beta)) + 2.0 * large
    inner = modulus[modulus < 1 - 1e-9]
    return float(inner.max()) if len(inner) else None


@dataclass(frozen=True, eq=False)
class Level:
    r"""What varies between data sets but not along one: means, and the effects of θ.

    .. math:: \tfrac12 \operatorname{tr}[\Lambda_0 D D^\top], \qquad D = \sum_k \beta_k G_k - T

    Attributes:
        weight: Λ₀ ``[latents, latents]``: Λ(ω=0), less what a shift of q(θ) makes up for.
        gains: G of each column, ``[columns, latents, p]``.
        target: T, the latents' own, ``[latents, p]``.
    """

    weight: np.ndarray
    gains: np.ndarray
    target: np.ndarray

    def rows(self, beta: np.ndarray, target: float, weighted: bool) -> np.ndarray:
        """Entries whose squares add up to tr[Λ₀ D Dᵀ], of `target` times T."""
        missed = np.tensordot(beta, self.gains, 1) - target * self.target
        if not weighted:
            return np.asarray(missed.ravel())
        values, vectors = np.linalg.eigh(self.weight)
        return np.asarray(
            (np.sqrt(np.maximum(values, 0.0))[:, None] * (vectors.T @ missed)).ravel()
        )


class NoLimit(Exception):
    """The gap per latent has no limit; says why."""


def limit(
    stencil: Stencil,
    columns: Sequence[Filter],
    level: Level | None = None,
    *,
    regression: bool = False,
) -> tuple[float, np.ndarray]:
    """The gap per step as the length grows, in nats, and the filter's coefficients; exact.

    Args:
        stencil: the interior of the joint precision.
        columns: the features of the inference function.
        level: what is constant along a data set; None if features may follow all of that.
        regression: use the coefficients of the regression E[µₙ | wₙ] instead of the optimum: the
            trap of docs/theory.md, for comparison.

    Returns:
        Nats per step (all latent components), and the coefficients.

    Raises:
        NoLimit: a random walk that the inputs cannot follow, or no convergence.
    """
    grid, last = GRID, np.inf
    while grid <= FINEST:
        gap, beta = _solve(stencil, columns, level, grid, regression)
        if abs(gap - last) <= AGREE * max(abs(gap), 1e-6):
            return gap, beta
        last, grid = gap, 2 * grid
    raise NoLimit("the integral over frequencies does not settle: the process is nearly a walk")


def _solve(
    stencil: Stencil, columns: Sequence[Filter], level: Level | None, grid: int, regression: bool
) -> tuple[float, np.ndarray]:
    omega = (np.arange(grid) + 0.5) * np.pi / grid
    d = stencil.latents
    symbol = stencil.symbol(omega)
    spectrum = np.linalg.inv(symbol)[:, d:, d:]
    right = np.linalg.cholesky((spectrum + spectrum.conj().swapaxes(1, 2)) / 2)
    precision = symbol[:, :d, :d]
    left = np.linalg.cholesky(precision).conj().swapaxes(1, 2)
    ideal = np.linalg.solve(precision, -symbol[:, :d, d:])
    filters = np.stack([_response(c, omega, ideal.shape) for c in columns], 1) if columns else (
        np.zeros((grid, 0, *ideal.shape[1:]), complex)
    )  # fmt: skip
    base, directions = _feasible(stencil, columns)

    def rows(beta: np.ndarray, target: float, weighted: bool) -> np.ndarray:
        error = np.tensordot(filters, beta, (1, 0)) - target * ideal
        white = ((left @ error if weighted else error) @ right).reshape(grid, -1)
        found = np.concatenate([white.real, white.imag]).ravel() / np.sqrt(grid)
        if level is None:
            return found
        return np.concatenate([found, level.rows(beta, target, weighted)])

    def fit(weighted: bool) -> np.ndarray:
        if not directions.shape[1]:
            return base
        matrix = np.stack([rows(v, 0.0, weighted) for v in directions.T], 1)
        step = np.linalg.lstsq(matrix, -rows(base, 1.0, weighted), rcond=1e-13)[0]
        return np.asarray(base + directions @ step)

    beta = fit(not regression)
    residual = rows(beta, 1.0, True)
    return 0.5 * float(residual @ residual), beta


def _response(column: Filter, omega: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, complex)
    for (latent, observed, offset), weight in column.items():
        out[:, latent, observed] += weight * np.exp(1j * omega * offset)
    return out


def _feasible(stencil: Stencil, columns: Sequence[Filter]) -> tuple[np.ndarray, np.ndarray]:
    """A filter with E(0) = 0 on the unit root, and the directions that keep it so."""
    count, root, d = len(columns), stencil.unit_root, stencil.latents
    if root is None:
        return np.zeros(count), np.eye(count)
    gains = np.zeros((d, count))
    for k, column in enumerate(columns):
        for (latent, observed, _), weight in column.items():
            gains[latent, k] += weight * root[d + observed]
    base = np.linalg.lstsq(gains, root[:d], rcond=None)[0] if count else np.zeros(0)
    if np.abs(gains @ base - root[:d]).max() > 1e-9:
        raise NoLimit("the latents wander like a random walk, which these inputs do not follow")
    _, singular, vt = np.linalg.svd(gains)
    rank = int((singular > 1e-12 * max(singular[0], 1e-300)).sum())
    return base, vt[rank:].T
