r"""A discrete pairwise model at many data sets at once.

.. math:: \log p(z, x_d) = \sum_i u_{di}(z_i) + \sum_{i \sim j} \psi_{dij}(z_i, z_j)

Its ELBO for a product q is \(\sum_i q_i^\top u_i + \sum_{i\sim j} q_i^\top \psi_{ij} q_j
- \sum_i q_i^\top \log q_i\), and the best factor given the others is the softmax of
\(s_i = u_i + \sum_j \psi_{ij} q_j\).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import softmax, xlogy

NEVER = -1e30
"""The log probability of a state that a site does not have; its probability underflows to 0."""


@dataclass(frozen=True, eq=False)
class Field:
    """The conditional models of D data sets over n sites with at most K states.

    Attributes:
        unary: u, ``[D, n, K]``; `NEVER` where a site has fewer states.
        states: the number of states of each site, ``[n]``.
        first, second: the sites of each edge, ``[E]``, no pair twice.
        pair: ψ by edge, ``[D or 1, E, K, K]``; 0 beyond a site's states.
        data: the values of the drawn observations, ``[D, cells]``.
        cells: number of each drawn observation by (variable, position).
    """

    unary: np.ndarray
    states: np.ndarray
    first: np.ndarray
    second: np.ndarray
    pair: np.ndarray
    data: np.ndarray
    cells: dict[tuple[str, int], int]

    @property
    def sites(self) -> int:
        """n."""
        return int(self.unary.shape[1])

    @cached_property
    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours ``[n, R]`` and their ψ as ``[D or 1, n, R, K, K]``, own state first.

        Sites with fewer than R neighbours have themselves with ψ = 0.
        """
        ends = np.concatenate([self.first, self.second])
        others = np.concatenate([self.second, self.first])
        pair = np.concatenate([self.pair, self.pair.swapaxes(-1, -2)], 1)
        order = np.argsort(ends, kind="stable")
        ends, others, pair = ends[order], others[order], pair[:, order]
        degree = np.bincount(ends, minlength=self.sites)
        rank = np.arange(len(ends)) - np.repeat(np.cumsum(degree) - degree, degree)
        width = int(degree.max(initial=0))
        near = np.repeat(np.arange(self.sites)[:, None], width, 1)
        near[ends, rank] = others
        psi = np.zeros((len(pair), self.sites, width, *pair.shape[2:]))
        psi[:, ends, rank] = pair
        return near, psi

    @cached_property
    def colours(self) -> tuple[np.ndarray, ...]:
        """Groups of sites without an edge inside, which coordinate ascent may move at once."""
        near, _ = self.neighbours
        colour = np.full(self.sites, -1)
        for i in range(self.sites):
            taken = {int(colour[j]) for j in near[i] if j != i}
            colour[i] = next(c for c in range(self.sites) if c not in taken)
        return tuple(np.flatnonzero(colour == c) for c in range(int(colour.max()) + 1))

    def logits(self, q: np.ndarray, sites: np.ndarray | slice) -> np.ndarray:
        """s of some sites, ``[D, sites, K]``."""
        near, psi = self.neighbours
        if near.shape[1] == 0:
            return np.array(self.unary[:, sites])
        others = q[:, near[sites]]
        if len(psi) > 1:
            return self.unary[:, sites] + np.einsum("dnrkl,dnrl->dnk", psi[:, sites], others)
        # One matrix product for each site is far faster than a sum over five letters.
        stacked = others.reshape(*others.shape[:2], -1).transpose(1, 0, 2)
        return self.unary[:, sites] + (stacked @ self._gathered[sites]).transpose(1, 0, 2)

    @cached_property
    def _gathered(self) -> np.ndarray:
        """The ψ of each site's neighbours below one another, ``[n, R·K, K]``, own state last."""
        _, psi = self.neighbours
        sites, width, states, _ = psi.shape[1:]
        return np.ascontiguousarray(psi[0].swapaxes(-1, -2)).reshape(sites, width * states, states)

    def elbo(self, q: np.ndarray) -> np.ndarray:
        """The ELBO at each data set, in nats, ``[D]``."""
        single = np.einsum("dnk,dnk->d", q, self.unary) - xlogy(q, q).sum((1, 2))
        left, right = q[:, self.first], q[:, self.second]
        if len(self.pair) == 1:
            pulled = (left.transpose(1, 0, 2) @ self.pair[0]).transpose(1, 0, 2)
            return np.asarray(single + (pulled * right).sum((1, 2)))
        return np.asarray(single + np.einsum("dek,dekl,del->d", left, self.pair, right))

    def of(self, data_sets: np.ndarray) -> Field:
        """The same at some of the data sets."""
        pair = self.pair if len(self.pair) == 1 else self.pair[data_sets]
        return replace(self, unary=self.unary[data_sets], pair=pair, data=self.data[data_sets])

    def uniform(self) -> np.ndarray:
        """q with equal probabilities everywhere."""
        level = np.where(np.arange(self.unary.shape[2]) < self.states[:, None], 0.0, NEVER)
        return np.array(np.broadcast_to(softmax(level, -1), self.unary.shape))

    @cached_property
    def contraction(self) -> float:
        r"""A Lipschitz constant of the coordinate map, in total variation.

        .. math:: \max_d \max_i \sum_j \tfrac14 \max_{k,k',l,l'}
            |\psi_{ij}(k,l) - \psi_{ij}(k',l) - \psi_{ij}(k,l') + \psi_{ij}(k',l')|

        A softmax moves by at most a quarter of the range that its logits move by.  Below 1 the
        fixpoint, free or in any table, is unique (Banach), hence the optimum; for the two-state
        chain with stay probability p it is log(p/(1−p)).
        """
        strength = np.zeros(self.pair.shape[:2])
        for e, (i, j) in enumerate(zip(self.first, self.second, strict=True)):
            psi = self.pair[:, e, : self.states[i], : self.states[j]]
            rows = psi[:, :, None, :] - psi[:, None, :, :]
            strength[:, e] = (rows.max(3) - rows.min(3)).max((1, 2)) / 4
        total = np.zeros((len(strength), self.sites))
        for d in range(len(strength)):
            total[d] = np.bincount(self.first, strength[d], minlength=self.sites)
            total[d] += np.bincount(self.second, strength[d], minlength=self.sites)
        return float(total.max(initial=0.0))
