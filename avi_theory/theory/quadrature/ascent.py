r"""Maximise an ELBO over free factors, or over means that are linear in features.

.. math:: m_z = F\beta,\quad \log s_n = \lambda_{c(n)}; \qquad q(\theta) \text{ free in both}

Quasi-Newton steps in coordinates that are rescaled to the current factors and restarted until the
gradient is negligible.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.sparse.linalg import lsqr

from avi_theory.theory.design import Design
from avi_theory.theory.forms import Matrix
from avi_theory.theory.quadrature.convexity import concave
from avi_theory.theory.quadrature.elbo import Objective

ROUNDS = 30
MANY, FEW = 600, 120
"""Evaluations in a round; of a further start, which goes on only if it gets higher."""
REMAINING = 1e-9
"""Nats, relative to 1 + |ELBO|, that a converged run may lack by its gradient."""
DENSE = 400
WIDEST = 12.0
"""The largest change of a log scale in one round."""


class NotConverged(Exception):
    """The maximisation stopped early."""


@dataclass(frozen=True, eq=False)
class Reached:
    """An optimum: the ELBO, and means and log scales of all factors."""

    elbo: float
    mean: np.ndarray
    level: np.ndarray


def best_free(target: Objective) -> Reached:
    """F-VI's optimum: from one start where the ELBO is concave, else the best of several.

    Raises:
        NotConverged: the gradient stays above what counts as zero, or the ELBO diverges.
    """
    size = target.layout.size
    climb = _Climb(target, sparse.identity(size, format="csr"), np.arange(size))
    return climb.best(starts(target))


def best_of_design(target: Objective, design: Design, free: Reached) -> Reached:
    """The best factors with means Fβ and one scale for each class of the design.

    From F-VI's factors, and where the ELBO is not known to be concave from other starts too.

    Raises:
        NotConverged: as above.
    """
    g = target.globals
    features = sparse.block_diag([sparse.identity(g), design.known], "csr") if g else design.known
    classes = np.concatenate([np.arange(g), g + design.classes])
    return _Climb(target, sparse.csr_matrix(features), classes).best((free, *starts(target)))


def starts(target: Objective) -> tuple[Reached, ...]:
    """Where to begin: narrow, wide, and random factors."""
    size, stream = target.layout.size, np.random.default_rng(0)
    zeros = np.zeros(size)
    means = (zeros, zeros, stream.standard_normal(size))
    return tuple(
        Reached(-np.inf, m, zeros + w) for m, w in zip(means, (-1.0, 0.5, -0.5), strict=True)
    )


@dataclass(frozen=True, eq=False)
class _State:
    value: float
    beta: np.ndarray
    level: np.ndarray
    remaining: float


@dataclass(frozen=True, eq=False)
class _Climb:
    """One family of factors: means Fβ, and log scales by class."""

    target: Objective
    features: Matrix
    classes: np.ndarray

    def best(self, begin: tuple[Reached, ...]) -> Reached:
        """The optimum from the first start, or from a further one that gets higher."""
        best = self._settled(self._state(begin[0]))
        for start in () if concave(self.target) else begin[1:]:
            tried = self._round(self._state(start), FEW)
            if tried.value > best.value + REMAINING * (1 + abs(best.value)):
                with suppress(NotConverged):
                    best = max(best, self._settled(tried), key=lambda s: s.value)
        return Reached(best.value, self.features @ best.beta, best.level[self.classes])

    def _state(self, start: Reached) -> _State:
        beta = lsqr(self.features, start.mean, atol=1e-12, btol=1e-12)[0]
        counts = np.maximum(np.bincount(self.classes), 1)
        return _State(-np.inf, beta, np.bincount(self.classes, start.level) / counts, np.inf)

    def _settled(self, state: _State) -> _State:
        for _ in range(ROUNDS):
            before, state = state, self._round(state, MANY)
            small = REMAINING * (1 + abs(state.value))
            if state.remaining < small and state.value - before.value < small:
                return state
        raise NotConverged(
            f"the maximisation stopped {state.remaining:.1e} nats from the optimum by its gradient"
        )

    def _round(self, state: _State, evaluations: int) -> _State:
        """Quasi-Newton steps in coordinates scaled to the current factors."""
        classes, features, width = self.classes, self.features, len(state.beta)
        functions = len(state.level)
        spread = _preconditioner(features, np.exp(-2 * state.level)[classes])
        shrink = 1 / np.sqrt(2 * np.maximum(np.bincount(classes, minlength=functions), 1))

        def negative(u: np.ndarray) -> tuple[float, np.ndarray]:
            beta = state.beta + spread(u[:width], False)
            level = state.level + shrink * u[width:]
            with np.errstate(all="ignore"):
                elbo, by_mean, by_level = self.target(features @ beta, level[classes])
            if not np.isfinite(elbo):
                return 1e300, np.zeros(len(u))
            by_class = np.bincount(classes, by_level, minlength=functions)
            slope = np.concatenate([spread(features.T @ by_mean, True), shrink * by_class])
            return -elbo, -slope

        bounds = [(None, None)] * width + [(-w, w) for w in WIDEST / shrink]
        found = minimize(
            negative, np.zeros(width + functions), jac=True, method="L-BFGS-B", bounds=bounds,
            options={"maxiter": evaluations, "maxfun": evaluations, "ftol": 1e-16, "gtol": 1e-9,
                     "maxcor": 30},
        )  # fmt: skip
        return _State(
            -float(found.fun),
            state.beta + spread(found.x[:width], False),
            state.level + shrink * found.x[width:],
            0.5 * float(found.jac @ found.jac),
        )


def _preconditioner(
    features: Matrix, weights: np.ndarray
) -> Callable[[np.ndarray, bool], np.ndarray]:
    """u ↦ L⁻ᵀu (and g ↦ L⁻¹g) with LLᵀ = Fᵀ diag(weights) F, or its diagonal where F is wide."""
    gram = sparse.csr_matrix(features.T @ sparse.diags(weights) @ features)
    diagonal = np.sqrt(gram.diagonal())
    if gram.shape[0] > DENSE or gram.nnz == gram.shape[0]:
        return lambda u, _: u / diagonal
    dense = gram.toarray() / np.outer(diagonal, diagonal)
    values, vectors = np.linalg.eigh(dense)
    half = vectors / np.sqrt(np.maximum(values, 1e-10))

    def spread(u: np.ndarray, transposed: bool) -> np.ndarray:
        return half.T @ (u / diagonal) if transposed else (half @ u) / diagonal

    return spread
