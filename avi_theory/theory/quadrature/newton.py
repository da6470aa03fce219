r"""Newton steps for an ELBO over many data sets at once.

.. math:: m = m(\alpha, u),\quad \log s = \ell(\alpha, u); \qquad
    (J^\top H J)\,\Delta = -J^\top g

α are the coefficients that all data sets share (dense), u what each data set has for itself
(sparse): the system is an arrow, solved by its Schur complement.  In (m, log s) the ELBO of a
log-concave target with Normal factors is concave, so undamped steps are ascent steps there;
elsewhere the diagonal is raised until they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Protocol

import numpy as np
import sympy
from scipy import linalg, sparse
from scipy.sparse.linalg import splu

from avi_theory.spec import terms
from avi_theory.theory.forms import Matrix
from avi_theory.theory.linalg import NotPositiveDefinite
from avi_theory.theory.quadrature.ascent import NotConverged, Reached
from avi_theory.theory.quadrature.elbo import Objective, Term

STEPS = 100
REMAINING = 1e-9
"""Nats, relative to 1 + |ELBO|, that a converged run may lack by its Newton decrement."""
HALVINGS = 30
LONGEST = 3.0
"""The largest change of a log scale in one step."""
Function = Callable[..., np.ndarray]


class Family(Protocol):
    """Means and log scales as functions of shared and of separate parameters."""

    def factors(self, shared: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and log scales of all factors of all data sets."""
        ...

    def slopes(self, shared: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, Matrix]:
        """Their derivatives, means first: dense in the shared ones, sparse in the others."""
        ...

    def mixed(self, by_mean: np.ndarray) -> np.ndarray:
        """Second derivatives of the means, times a slope in them, ``[own, shared]``."""
        ...


@dataclass(frozen=True, eq=False)
class Separate:
    """Every factor free, or some of them: no shared parameters.

    Attributes:
        mean, level: of the factors that stay as they are.
        free: the coordinates that move.
        follow: how means follow the free parameters, ``[coordinates, free means]``.
    """

    mean: np.ndarray
    level: np.ndarray
    free: np.ndarray
    follow: Matrix

    def factors(self, shared: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and log scales."""
        count = len(self.free)
        level = self.level.copy()
        level[self.free] = own[count:]
        return self.mean + self.follow @ own[:count], level

    def slopes(self, shared: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, Matrix]:
        """Their derivatives."""
        size, count = len(self.mean), len(self.free)
        pick = sparse.csr_matrix((np.ones(count), (self.free, np.arange(count))), (size, count))
        return np.zeros((2 * size, 0)), sparse.block_diag([self.follow, pick], "csr")

    def mixed(self, by_mean: np.ndarray) -> np.ndarray:
        """None: means are linear."""
        return np.zeros((2 * len(self.free), 0))


@dataclass(frozen=True, eq=False)
class Curvature:
    """The second derivatives of an objective, compiled once."""

    target: Objective
    compiled: tuple[tuple[tuple[int, int, Function], ...], ...]

    @classmethod
    def of(cls, target: Objective) -> Curvature:
        """Compile them."""
        return cls(target, tuple(_second(t) for t in target.terms))

    def __call__(self, mean: np.ndarray, level: np.ndarray) -> Matrix:
        """In means and log scales, ``[2n, 2n]``, sparse."""
        target, size, scale = self.target, len(mean), np.exp(level)
        rows, columns, data = [], [], []

        def enter(row: np.ndarray, column: np.ndarray, value: np.ndarray, same: bool) -> None:
            rows.append(row)
            columns.append(column)
            data.append(value)
            if not same:
                enter(column, row, value, True)

        for t, second in zip(target.terms, self.compiled, strict=True):
            values, chains, stretches = target.points(t, mean, scale)
            shape = (t.count, len(t.weights))
            slopes = [
                np.broadcast_to(f(*values, *t.known) * c, shape)
                for f, c in zip(t.slopes, chains, strict=True)
            ]
            for a, b, function in second:
                bend = function(*values, *t.known) * chains[a] * chains[b]
                if a == b and target.positive[t.latents[a]][:1].any():
                    bend = bend + slopes[a]
                bend = np.broadcast_to(bend, shape)
                i, j, alone = t.latents[a], t.latents[b], a == b
                enter(i, j, bend @ t.weights, alone)
                enter(i, size + j, (bend * stretches[b]) @ t.weights, False)
                if not alone:
                    enter(size + i, j, (bend * stretches[a]) @ t.weights, False)
                both = bend * stretches[a] * stretches[b]
                if alone:
                    both = both + slopes[a] * stretches[a]
                enter(size + i, size + j, both @ t.weights, alone)
        if not data:
            return sparse.csr_matrix((2 * size, 2 * size))
        found = (np.concatenate(data), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.csr_matrix(found, (2 * size, 2 * size))


def _second(t: Term) -> tuple[tuple[int, int, Function], ...]:
    """Second derivatives that are not zero; of a latent with itself always, for its chain rule."""
    found = []
    symbols = list(t.symbols)
    modules = [terms.numpy_functions(), "numpy"]
    for a, b in combinations_with_replacement(range(len(t.latents)), 2):
        e = sympy.diff(t.expression, symbols[a], symbols[b])
        if e != 0 or a == b:
            found.append((a, b, sympy.lambdify(symbols, e, modules=modules)))
    return tuple(found)


def ascend(
    curvature: Curvature, family: Family, shared: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Reached]:
    """The optimum that damped Newton steps reach from a start.

    Args:
        curvature: of the objective.
        family: of the factors.
        shared: the first coefficients of all data sets.
        own: the first parameters of each.

    Raises:
        NotConverged: the steps stop short, or the ELBO diverges.
    """
    with np.errstate(all="ignore"):
        return _ascend(curvature, family, shared, own)


def _ascend(
    curvature: Curvature, family: Family, shared: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Reached]:
    target, raised = curvature.target, 0.0
    mean, level = family.factors(shared, own)
    value, by_mean, by_level = target(mean, level)
    if not np.isfinite(value):
        raise NotConverged("the ELBO overflows where the maximisation begins")
    for _ in range(STEPS):
        dense, thin = family.slopes(shared, own)
        slope = np.concatenate([by_mean, by_level])
        bend = curvature(mean, level)
        g = np.concatenate([dense.T @ slope, thin.T @ slope])
        arrow = _Arrow(bend, dense, thin, family.mixed(by_mean))
        while True:
            try:
                step = arrow.solve(g, raised)
                break
            except NotPositiveDefinite:
                raised = max(10 * raised, 1e-4)
                if raised > 1e12:
                    raise NotConverged("the maximisation found no direction to climb") from None
        decrement = 0.5 * float(g @ step)
        if decrement < REMAINING * (1 + abs(value)) and raised < 1e-2:
            return shared, own, Reached(value, mean, level)
        length = 1.0
        for _ in range(HALVINGS):
            split = len(shared)
            tried = (shared + length * step[:split], own + length * step[split:])
            new_mean, new_level = family.factors(*tried)
            if np.abs(new_level - level).max(initial=0.0) <= LONGEST:
                reached = target(new_mean, new_level)
                if np.isfinite(reached[0]) and reached[0] > value + 1e-4 * length * decrement:
                    break
            length /= 2
        else:
            if decrement < 1e3 * REMAINING * (1 + abs(value)):
                return shared, own, Reached(value, mean, level)
            raised = max(10 * raised, 1e-3)
            if raised > 1e12:
                raise NotConverged(f"the maximisation stopped {decrement:.1e} nats short")
            continue
        (shared, own), mean, level = tried, new_mean, new_level
        value, by_mean, by_level = reached
        raised = 0.0 if raised < 1e-6 else raised / 10
    raise NotConverged(f"the maximisation stopped after {STEPS} steps")


class _Arrow:
    """−JᵀHJ in blocks: shared with shared, shared with own, own with own."""

    def __init__(self, bend: Matrix, dense: np.ndarray, thin: Matrix, mixed: np.ndarray) -> None:
        pulled = bend @ dense
        self.corner = -(dense.T @ pulled)
        self.across = -(thin.T @ pulled) - mixed
        self.own = sparse.csr_matrix(-(thin.T @ bend @ thin))

    def solve(self, g: np.ndarray, raised: float) -> np.ndarray:
        """The step for a gradient, with the diagonal raised by a multiple of its size.

        Raises:
            NotPositiveDefinite: the ELBO is not concave here.
        """
        p = len(self.corner)
        size = max(np.abs(self.own.diagonal()).max(initial=0.0), 1.0)
        own = self.own + raised * size * sparse.identity(self.own.shape[0])
        if not (np.all(np.isfinite(own.data)) and np.all(np.isfinite(self.across))):
            raise NotConverged("the ELBO's curvature overflows")
        right = np.concatenate([self.across, g[p:, None]], 1)
        thin = _Sparse(own).solve(right) if len(right) else right
        if p == 0:
            return thin[:, 0]
        inner = self.corner - self.across.T @ thin[:, :p]
        lift = raised * np.abs(np.diagonal(inner)) + 1e-12 * np.abs(np.diagonal(inner)).max()
        try:
            root = linalg.cho_factor(inner + np.diag(lift))
        except linalg.LinAlgError:
            raise NotPositiveDefinite(0) from None
        shared = linalg.cho_solve(root, g[:p] - self.across.T @ thin[:, p])
        return np.concatenate([shared, thin[:, p] - thin[:, :p] @ shared])


class _Sparse:
    """A factorized positive-definite matrix whose graph is many small arrows, not a band."""

    def __init__(self, matrix: Matrix) -> None:
        try:
            self.lu = splu(
                sparse.csc_matrix(matrix), "MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )  # fmt: skip
        except RuntimeError as e:
            raise NotPositiveDefinite(0) from e
        if not np.all(self.lu.U.diagonal() > 0) or np.any(self.lu.perm_r != self.lu.perm_c):
            raise NotPositiveDefinite(0)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """The solution for one or several right-hand sides (columns)."""
        return np.asarray(self.lu.solve(right))
