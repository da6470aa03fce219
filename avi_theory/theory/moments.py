r"""Second moments of observations and latents, at short lags only.

.. math:: \mathrm{Cov}(y) = P_{yy}^{-1} + G V G^\top, \qquad y = (z, x)

P_yy is sparse; the second term, of low rank, is there only when θ is random too (reuse).  Only
entries that a prediction needs are computed: near the diagonal by a selected inverse, and for the
few functionals that see everything (a mean over all data) by solving for their columns.  Where each
latent sees so many observations that pairs of them are too many, a sparse root of Cov(y) takes the
place of its entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from avi_theory.theory import roots
from avi_theory.theory.design import Design
from avi_theory.theory.forms import Matrix
from avi_theory.theory.gaussian import Joint
from avi_theory.theory.linalg import (
    Factor,
    NotPositiveDefinite,
    SelectedInverse,
    selected_inverse,
)

CHUNK = 1_000_000
MANY = 3_000_000
"""Pairs of entries beyond which a sparse root is tried."""
LARGEST = 8_000_000
"""Numbers in the right-hand sides that are solved for at once."""
WIDEST = 6000
"""Features up to which a dense system is held."""


class Improper(Exception):
    """Data cannot be drawn from this model; says which variable is to blame."""


@dataclass(frozen=True, eq=False)
class Draws:
    """The distribution that data are drawn from.

    Attributes:
        joint: the Gaussian model.
        factor: of P_yy.
        mean: of y = (z, x).
        spread: G, ``[y, θ]``, and `theta`: V, the covariance of θ; empty where θ is given.
    """

    joint: Joint
    factor: Factor
    mean: np.ndarray
    spread: np.ndarray
    theta: np.ndarray
    theta_mean: np.ndarray

    @property
    def globals(self) -> int:
        """The number of coordinates of θ."""
        return self.joint.posterior.globals

    @property
    def locals(self) -> int:
        """The number of coordinates of z."""
        return self.joint.latents - self.globals

    @cached_property
    def precision(self) -> Matrix:
        """P_yy."""
        g = self.globals
        return sparse.csr_matrix(self.joint.precision[g:, g:])


def _factor(matrix: Matrix, joint: Joint, offset: int) -> Factor:
    try:
        return Factor(matrix)
    except NotPositiveDefinite as e:
        k = e.coordinate + offset
        coordinate = k if k < joint.latents else int(joint.drawn[k - joint.latents])
        name = joint.form.layout.label(coordinate)
        raise Improper(
            f"{name} has an improper prior given the globals, so no data can be drawn from it"
        ) from e


def draws_at(joint: Joint, theta: np.ndarray) -> Draws:
    """Data drawn at a given θ.

    Raises:
        Improper: the distribution of (z, x) given θ is improper.
    """
    g, p = joint.posterior.globals, joint.precision
    factor = _factor(p[g:, g:], joint, g)
    mean = factor.solve(joint.linear[g:] - p[g:, :g] @ theta)
    return Draws(joint, factor, mean, np.zeros((len(mean), 0)), np.zeros((0, 0)), theta)


def draws_from_prior(joint: Joint) -> Draws:
    """Data drawn with θ from its prior.

    Raises:
        Improper: θ, or (z, x) given θ, has an improper distribution.
    """
    g, p = joint.posterior.globals, joint.precision
    factor = _factor(p[g:, g:], joint, g)
    across = p[g:, :g].toarray()
    spread = -factor.solve(across)
    inner = factor.solve(joint.linear[g:])
    if g == 0:
        return Draws(joint, factor, inner, spread, np.zeros((0, 0)), np.zeros(0))
    marginal = p[:g, :g].toarray() + across.T @ spread
    try:
        pivots = np.diagonal(np.linalg.cholesky(marginal)) ** 2
    except np.linalg.LinAlgError:
        pivots = np.zeros(g)
    bad = ~(pivots > 1e-12 * np.maximum(np.diagonal(p[:g, :g].toarray()), 1e-300))
    if np.any(bad):
        name = joint.form.layout.label(int(np.flatnonzero(bad)[0]))
        raise Improper(f"{name} has an improper prior, so it cannot be averaged over")
    theta = np.linalg.inv(marginal)
    theta_mean = theta @ (joint.linear[:g] - across.T @ inner)
    return Draws(joint, factor, inner + spread @ theta_mean, spread, theta, theta_mean)


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of a design's features under a distribution of data.

    Everything is split into the covariance part and the part of the means.
    """

    draws: Draws
    design: Design

    @cached_property
    def _sources(self) -> np.ndarray:
        """The entries' sources as coordinates of y; functionals come after all of y."""
        drawn = len(self.draws.joint.drawn)
        source = self.design.source
        last = len(self.draws.mean) - drawn
        return np.where(source < drawn, source + self.draws.locals, source + last)

    @cached_property
    def _weights(self) -> Matrix:
        """The functionals' weights, ``[y, functionals]``."""
        below = sparse.csr_matrix(self.design.functionals)
        above = sparse.csr_matrix((self.draws.locals, below.shape[1]))
        return sparse.vstack([above, below], "csr")

    @cached_property
    def means(self) -> np.ndarray:
        """The mean of y, then of the functionals."""
        y = self.draws.mean
        return np.concatenate([y, self._weights.T @ y])

    @cached_property
    def _spread(self) -> np.ndarray:
        """G for y, then for the functionals."""
        g = self.draws.spread
        return np.concatenate([g, self._weights.T @ g])

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray]:
        """P_yy⁻¹ times the functionals' weights, and their own covariance."""
        weights = self._weights
        solved = self.draws.factor.solve(weights.toarray())
        return solved, np.asarray(weights.T @ solved)

    @cached_property
    def _near(self) -> SelectedInverse:
        """P_yy⁻¹ at all pairs of observations that coupled latents see."""
        draws, n = self.draws, len(self.draws.mean)
        posterior = draws.joint.posterior
        plain = self._sources < n
        seen = sparse.csr_matrix(
            (np.ones(plain.sum(), bool), (self.design.row[plain], self._sources[plain])),
            (draws.locals, n),
        )
        # Only where entries stand matters here, not their values.
        coupling = posterior.zz.astype(bool)
        toward = sparse.hstack([posterior.zz, self._b_of_locals], "csr").astype(bool)
        return selected_inverse(draws.precision, seen.T @ (coupling @ seen + toward))

    @cached_property
    def root(self) -> Matrix | None:
        """R with Cov = RRᵀ, for y and then the functionals, where it is cheaper; else None."""
        draws, d = self.draws, self.design
        lengths = np.bincount(d.row, minlength=draws.locals).astype(float)
        work = float(lengths @ (draws.joint.posterior.zz.astype(bool) @ lengths))
        if work < MANY or d.width > WIDEST:
            return None
        found = roots.covariance_root(draws.precision, draws.locals, draws.spread, draws.theta)
        if found is None:
            return None
        found = sparse.csr_matrix(sparse.vstack([found, self._weights.T @ found]))
        return found if self._pays(found, work) else None

    def _pays(self, root: Matrix, work: float) -> bool:
        """Whether a root's products are fewer than the pairs of entries."""
        if root.getnnz(1)[self._sources].sum() > min(work, roots.MOST_ENTRIES):
            return False
        seen, _, _ = self._seen_through(root)
        return roots.cost(seen, self.draws.locals, self.design.width) < work

    @cached_property
    def _seen(self) -> tuple[Matrix, np.ndarray, np.ndarray]:
        assert self.root is not None
        return self._seen_through(self.root)

    def _seen_through(self, root: Matrix) -> tuple[Matrix, np.ndarray, np.ndarray]:
        """The random parts of F_nk as rows over R's columns, and n and k of each row."""
        d = self.design
        pairs, place = np.unique(d.row * d.width + d.column, return_inverse=True)
        weights = sparse.csr_matrix(
            (d.weight, (place.reshape(-1), self._sources)), (len(pairs), root.shape[0])
        )
        return sparse.csr_matrix(weights @ root), pairs // d.width, pairs % d.width

    @property
    def _b_of_locals(self) -> Matrix:
        joint = self.draws.joint
        return joint.b_matrix[self.draws.globals :]

    def covariance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Covariances of coordinates of y or functionals, pair by pair."""
        n = len(self.draws.mean)
        a, b = np.broadcast_arrays(a, b)
        if self.root is not None:
            return roots.row_products(self.root, a, b)
        out = np.empty(a.shape)
        plain = (a < n) & (b < n)
        out[plain] = self._near(a[plain], b[plain])
        if not np.all(plain):
            solved, own = self._columns
            first, second = np.minimum(a, b), np.maximum(a, b)
            one = ~plain & (first < n)
            both = ~plain & (first >= n)
            out[one] = solved[first[one], second[one] - n]
            out[both] = own[first[both] - n, second[both] - n]
        if self.draws.theta.size:
            g = self._spread
            out += ((g @ self.draws.theta)[a] * g[b]).sum(-1)
        return out

    @cached_property
    def features_mean(self) -> Matrix:
        """E F, ``[locals, features]``."""
        d = self.design
        random = sparse.csr_matrix(
            (d.weight * self.means[self._sources], (d.row, d.column)), d.known.shape
        )
        return sparse.csr_matrix(d.known + random)

    def _by_row(self) -> tuple[np.ndarray, np.ndarray]:
        """The entries in the order of rows, and where each row starts."""
        order = np.argsort(self.design.row, kind="stable")
        starts = np.searchsorted(self.design.row[order], np.arange(self.draws.locals + 1))
        return order, starts

    def coupled(self, matrix: Matrix) -> Matrix:
        """Cov part of E[FᵀWF] for a sparse W on the pattern of Λ_zz, ``[features, features]``."""
        d = self.design
        if self.root is not None:
            return sparse.csr_matrix(roots.coupled(*self._seen, d.width, matrix.toarray()))
        order, starts = self._by_row()
        lengths = np.diff(starts)
        w = matrix.tocoo()
        work = lengths[w.row] * lengths[w.col]
        bounds = np.searchsorted(np.cumsum(work), np.arange(0, max(work.sum(), 1), CHUNK))
        total = sparse.csr_matrix((d.width, d.width))
        for low, high in zip(bounds, [*bounds[1:], len(work)], strict=True):
            n, m, value = w.row[low:high], w.col[low:high], w.data[low:high]
            pair, left, right = _expanded(starts, lengths, n, m)
            e, f = order[left], order[right]
            cov = self.covariance(self._sources[e], self._sources[f])
            data = value[pair] * d.weight[e] * d.weight[f] * cov
            total = total + sparse.csr_matrix(
                (data, (d.column[e], d.column[f])), (d.width, d.width)
            )
        return sparse.csr_matrix(total)

    def toward(self) -> np.ndarray:
        """Cov part of E[Fᵀh_z], with h_z = b + Bx, ``[features]``."""
        d = self.design
        b = sparse.csr_matrix(self._b_of_locals)
        if self.root is not None:
            seen, row, column = self._seen
            pulled = sparse.csr_matrix(b @ self.root[self.draws.locals : len(self.draws.mean)])
            return np.bincount(column, roots.paired(seen, pulled, row), minlength=d.width)
        order, starts = self._by_row()
        lengths = np.diff(starts)
        entries = b.tocoo()
        n = entries.row
        pair = np.repeat(np.arange(len(n)), lengths[n])
        inside = np.arange(len(pair)) - np.repeat(np.cumsum(lengths[n]) - lengths[n], lengths[n])
        e = order[starts[n][pair] + inside]
        cov = self.covariance(self._sources[e], entries.col[pair] + self.draws.locals)
        data = entries.data[pair] * d.weight[e] * cov
        return np.bincount(d.column[e], data, minlength=d.width)

    def within(self, rows: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Covariance matrices of some features at some rows, ``[rows, k, k]``."""
        d = self.design
        k = len(features)
        place = np.full(d.width, -1)
        place[features] = np.arange(k)
        if self.root is not None:
            return self._within_by_root(rows, place, k)
        order, starts = self._by_row()
        lengths = np.diff(starts)
        pair, left, right = _expanded(starts, lengths, rows, rows)
        e, f = order[left], order[right]
        keep = (place[d.column[e]] >= 0) & (place[d.column[f]] >= 0)
        e, f, pair = e[keep], f[keep], pair[keep]
        data = d.weight[e] * d.weight[f] * self.covariance(self._sources[e], self._sources[f])
        flat = (pair * k + place[d.column[e]]) * k + place[d.column[f]]
        return np.bincount(flat, data, minlength=len(rows) * k * k).reshape(-1, k, k)

    def _within_by_root(self, rows: np.ndarray, place: np.ndarray, k: int) -> np.ndarray:
        seen, row, column = self._seen
        out = np.zeros((len(rows), k, k))
        for i, n in enumerate(rows):
            pairs = np.arange(*np.searchsorted(row, [n, n + 1]))
            pairs = pairs[place[column[pairs]] >= 0]
            at = place[column[pairs]]
            out[i][np.ix_(at, at)] = (seen[pairs] @ seen[pairs].T).toarray()
        return out

    def functional(self, across: np.ndarray) -> Matrix:
        """Σₙ Fₙ · across[n, a] as functionals of y, ``[y, features · a]``, feature by feature."""
        d, n = self.design, len(self.draws.mean)
        width = across.shape[1]
        entry, a = np.nonzero(across[d.row])
        out = sparse.csr_matrix(
            (
                d.weight[entry] * across[d.row[entry], a],
                (self._sources[entry], d.column[entry] * width + a),
            ),
            (n + self._weights.shape[1], d.width * width),
        )
        return sparse.csr_matrix(out[:n] + self._weights @ out[n:])

    def cross(self, left: Matrix | np.ndarray, right: Matrix | np.ndarray) -> np.ndarray:
        """Covariances of functionals ``[y, r]`` and ``[y, s]``."""
        if self.root is not None:
            root = self.root[: len(self.draws.mean)]
            return roots.products(
                sparse.csr_matrix(sparse.csr_matrix(left).T @ root),
                sparse.csr_matrix(sparse.csr_matrix(right).T @ root),
            )
        right = sparse.csc_matrix(right)
        rows = sparse.csr_matrix(sparse.csc_matrix(left).T)
        used = np.flatnonzero(right.getnnz(0))
        found = np.zeros((rows.shape[0], right.shape[1]))
        step = max(1, LARGEST // max(right.shape[0], 1))
        for start in range(0, len(used), step):
            some = used[start : start + step]
            found[:, some] = rows @ self.draws.factor.solve(right[:, some].toarray(order="F"))
        if self.draws.theta.size:
            g = self.draws.spread
            found = found + (left.T @ g) @ self.draws.theta @ (g.T @ right)
        return np.asarray(found)


def _expanded(
    starts: np.ndarray, lengths: np.ndarray, n: np.ndarray, m: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of entries of rows n[i] and m[i]: i, position of the first, of the second."""
    work = lengths[n] * lengths[m]
    pair = np.repeat(np.arange(len(n)), work)
    inside = np.arange(len(pair)) - np.repeat(np.cumsum(work) - work, work)
    per = np.maximum(lengths[m], 1)[pair]
    return pair, starts[n][pair] + inside // per, starts[m][pair] + inside % per
