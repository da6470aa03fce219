r"""One inference function for many data sets: means and log scales linear in features.

.. math:: m_{dn} = \phi(w_{dn})^\top \beta + \gamma^\top (m_{\theta,d} - c), \qquad
    \log s_{dn} = \psi(w_{dn})^\top \eta, \qquad q_d(\theta) \text{ free}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import Input
from avi_theory.theory.features import Columns
from avi_theory.theory.forms import Matrix
from avi_theory.theory.functions import FunctionClass
from avi_theory.theory.quadrature.bases import Basis, flexible, polynomial

MOST_FEATURES = 700
"""Features of all functions together, beyond which simpler functions are taken."""
ROWS_OF_A_FEATURE = 15
"""Data sets for each feature of a function that a single point has for itself."""


class TooManyFunctions(Exception):
    """More functions than can be fitted to drawn data sets."""


@dataclass(frozen=True, eq=False)
class Group:
    """The points of one local that share a function.

    Attributes:
        points: their numbers.
        columns: the inputs that it sees.
        basis: its features; None for one that only has a constant.
        lent: points with missing inputs, which see typical values there and add a constant.
    """

    points: np.ndarray
    columns: np.ndarray
    basis: Basis | None
    lent: np.ndarray


def grouped(
    shown: np.ndarray, found: Columns, inputs: Sequence[Input], function: FunctionClass,
    per_position: bool,
) -> list[Group]:  # fmt: skip
    """Which points of a local share a function, with its features fitted to drawn data sets.

    Args:
        shown: the inputs at all data sets, ``[D, points, columns]``.
        found: the columns of one data set.
        inputs: as resolved.
        function: the class.
        per_position: whether each point has its own.

    Raises:
        TooManyFunctions: more than can be fitted.
        InputError: too many monomials.
    """
    count = shown.shape[1]
    every, complete = np.arange(count), found.complete
    if per_position:
        sets = [(every[n : n + 1], np.flatnonzero(~np.isnan(found.offset[n]))) for n in every]
        lent = np.zeros(0, np.int64)
    else:
        fixed = _deterministic(found, inputs)
        seen = np.arange(shown.shape[2])
        if function.degree is None:
            keys = np.concatenate([found.offset[:, fixed], found.reading], 1)[complete]
            _, kind = np.unique(keys, axis=0, return_inverse=True)
            kind = kind.reshape(-1)
            at = every[complete]
            sets = [(at[kind == k], seen[~fixed]) for k in range(int(kind.max(initial=-1)) + 1)]
        else:
            sets = [(every[complete], seen)] if np.any(complete) else []
        lent = every[~complete]
    bounded = function.degree is None
    for degree in (None, 1, 0) if bounded else (function.degree,):
        groups = [
            Group(points, seen, _fitted(shown[:, points][:, :, seen], degree, bounded), lent[:0])
            for points, seen in sets
        ]
        if sum(g.basis.width for g in groups if g.basis) <= MOST_FEATURES:
            break
    else:
        raise TooManyFunctions(f"{len(groups):,} functions are more than can be fitted")
    room = MOST_FEATURES - sum(g.basis.width for g in groups if g.basis)
    alone = [_alone(shown, found, int(n), function.degree, room // len(lent)) for n in lent]
    groups_alone = [g for g in alone if g is not None]
    lent = lent[[g is None for g in alone]] if len(lent) else lent
    if len(lent) > MOST_FEATURES // 4:
        raise TooManyFunctions(f"{len(lent):,} points with missing inputs are too many to fit")
    if len(groups) == 1 and not per_position:
        only = groups[0]
        return [Group(only.points, only.columns, only.basis, lent), *groups_alone]
    return [*groups, *groups_alone, *(Group(lent[k : k + 1], np.zeros(0, np.int64), None, lent[:0])
                       for k in range(len(lent)))]  # fmt: skip


def _alone(
    shown: np.ndarray, found: Columns, n: int, degree: int | None, room: int
) -> Group | None:
    """A point with missing inputs, with a function of those it has; None if data are too few."""
    seen = np.flatnonzero(~np.isnan(found.offset[n]))
    for simpler in dict.fromkeys((degree, min(1, 1 if degree is None else degree))):
        basis = _fitted(shown[:, n : n + 1][:, :, seen], simpler, degree is None)
        if ROWS_OF_A_FEATURE * basis.width <= len(shown) and basis.width <= room:
            return Group(np.array([n]), seen, basis, np.zeros(0, np.int64))
    return None


def _fitted(shown: np.ndarray, degree: int | None, bounded: bool) -> Basis:
    rows = shown.reshape(shown.shape[0] * shown.shape[1], shown.shape[2])
    return flexible(rows) if degree is None else polynomial(rows, degree, clipped=bounded)


def _deterministic(found: Columns, inputs: Sequence[Input]) -> np.ndarray:
    """Columns that are the same in every data set: covariates, positions, sizes."""
    known = [i.text for i in inputs if i.role != "observed"]
    return np.array(
        [
            name.startswith("size of ") or any(name == k or name.startswith(k + "#") for k in known)
            for name in found.names
        ],
        bool,
    )


def features(groups: Sequence[Group], shown: np.ndarray) -> np.ndarray:
    """The features of every point at every data set, ``[D, points, features]``."""
    copies, points, _ = shown.shape
    blocks = []
    for g in groups:
        width = g.basis.width if g.basis is not None else 1
        block = np.zeros((copies, points, width + len(g.lent)))
        if g.basis is None:
            block[:, g.points, 0] = 1
        else:
            at = np.concatenate([g.points, g.lent])
            seen = shown[:, at][:, :, g.columns]
            filled = np.where(np.isnan(seen), g.basis.typical, seen)
            filled = filled.reshape(copies * len(at), len(g.columns))
            block[:, at, :width] = g.basis(filled).reshape(copies, len(at), width)
        block[:, g.lent, width + np.arange(len(g.lent))] = 1
        blocks.append(block)
    return np.concatenate(blocks, 2) if blocks else np.zeros((copies, points, 0))


def intercepts(groups: Sequence[Group], copies: int, points: int) -> np.ndarray:
    """One constant for each function, ``[D, points, functions]``."""
    columns = []
    for g in groups:
        for at in (g.points, *(g.lent[k : k + 1] for k in range(len(g.lent)))):
            column = np.zeros((copies, points, 1))
            column[:, at] = 1
            columns.append(column)
    return np.concatenate(columns, 2)


@dataclass(frozen=True, eq=False)
class Shared:
    """A `newton.Family`: functions of inputs, and q(θ) free at each data set.

    Attributes:
        globals: the number of coordinates of θ.
        mean, level: features of the locals, ``[D, locals, …]``.
        owner: which variable a local belongs to, ``[locals]``.
        used: whether functions use the mean of q(θ).
        centre: c.
    """

    globals: int
    mean: np.ndarray
    level: np.ndarray
    owner: np.ndarray
    used: bool
    centre: np.ndarray

    @property
    def _widths(self) -> tuple[int, int]:
        return self.mean.shape[2], self.level.shape[2]

    @property
    def width(self) -> int:
        """The number of shared coefficients."""
        uses = (int(self.owner.max()) + 1) * self.globals if self.used else 0
        return sum(self._widths) + uses

    def _use(self, shared: np.ndarray) -> np.ndarray:
        """γ for each local, ``[locals, globals]``."""
        if not self.used:
            return np.zeros((len(self.owner), self.globals))
        return shared[sum(self._widths) :].reshape(-1, self.globals)[self.owner]

    def nearest(self, mean: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parameters whose factors are near given ones, by least squares: where to begin."""
        copies, g, (p, r) = len(self.mean), self.globals, self._widths
        means, levels = mean.reshape(copies, -1), level.reshape(copies, -1)
        moved = (means[:, :g] - self.centre) if self.used else np.zeros((copies, 0))
        uses = [
            np.where(self.owner[:, None] == v, moved[:, None], 0.0)
            for v in range(int(self.owner.max()) + 1)
        ]
        regressors = np.concatenate([self.mean, *uses], 2)
        rows = regressors.reshape(-1, regressors.shape[2])
        toward = np.linalg.lstsq(rows, means[:, g:].ravel(), rcond=None)[0]
        wide = np.linalg.lstsq(self.level.reshape(-1, r), levels[:, g:].ravel(), rcond=None)[0]
        shared = np.concatenate([toward[:p], wide, toward[p:]])
        return shared, np.concatenate([means[:, :g].ravel(), levels[:, :g].ravel()])

    def factors(self, shared: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and log scales of all factors of all data sets."""
        copies, (p, r) = len(self.mean), self._widths
        theta, spread = own.reshape(2, copies, self.globals)
        mean = self.mean @ shared[:p] + (theta - self.centre) @ self._use(shared).T
        level = self.level @ shared[p : p + r]
        return np.concatenate([theta, mean], 1).ravel(), np.concatenate([spread, level], 1).ravel()

    def slopes(self, shared: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, Matrix]:
        """Their derivatives, means first."""
        copies, points, p = self.mean.shape
        g, r = self.globals, self._widths[1]
        dense = np.zeros((2, copies, g + points, self.width))
        dense[0, :, g:, :p] = self.mean
        dense[1, :, g:, p : p + r] = self.level
        if self.used:
            theta = own.reshape(2, copies, g)[0] - self.centre
            for v in range(int(self.owner.max()) + 1):
                at = g + np.flatnonzero(self.owner == v)
                first = p + r + v * g
                dense[0, :, at, first : first + g] = theta
        once = np.concatenate([np.eye(g), self._use(shared)])
        alone = np.concatenate([np.eye(g), np.zeros((points, g))])
        many = sparse.identity(copies)
        thin = sparse.block_diag([sparse.kron(many, once), sparse.kron(many, alone)], "csr")
        return dense.reshape(2 * copies * (g + points), self.width), thin

    def mixed(self, by_mean: np.ndarray) -> np.ndarray:
        """Second derivatives of the means in γ and θ, times a slope in the means."""
        copies, points, p = self.mean.shape
        g, r = self.globals, self._widths[1]
        found = np.zeros((2, copies, g, self.width))
        if self.used:
            slope = by_mean.reshape(copies, g + points)[:, g:]
            for v in range(int(self.owner.max()) + 1):
                total = slope[:, self.owner == v].sum(1)
                for k in range(g):
                    found[0, :, k, p + r + v * g + k] = total
        return found.reshape(2 * copies * g, self.width)


def owners(bound: Bound) -> np.ndarray:
    """Which variable each local coordinate belongs to."""
    sizes = [bound.tables[v.name].size for v in bound.model.locals]
    return np.repeat(np.arange(len(sizes)), sizes)
