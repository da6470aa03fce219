r"""Optimal factors of discrete models: free ones, and the best table of the inputs.

.. math:: q_i = \operatorname{softmax}(s_i), \qquad
    q_c = \operatorname{softmax}\Big(\frac{\sum_{(d,i) \in c} w_d\, s_{di}}
    {\sum_{(d,i) \in c} w_d}\Big)

A table holds one factor for each value c of the inputs; the second equation is stationarity of the
averaged ELBO in it.  Sites that do not interact are moved at once, which is coordinate ascent;
where neighbours share a table entry all are moved together, damped until the ELBO grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from avi_theory.theory.discrete.field import NEVER, Field

TOLERANCE = 1e-13
MOST_SWEEPS, FEWER_SWEEPS = 5000, 400
"""Fewer where the optimum is a bound anyway."""
SMALLEST_STEP = 1e-6
"""Where only the rounding of the ELBO can be the reason that it does not grow."""
ROUND = 15
"""Sweeps after which the data sets that rest are left alone."""
STARTS = 12
"""Random starts for each data set where the optimum is not known to be unique."""
SOFT = 3.0


@dataclass(frozen=True, eq=False)
class Pool:
    """Which (data set, site) pairs share one factor.

    Attributes:
        classes: the number of each pair's factor, ``[D, n]``.
        weights: of the data sets, ``[D]``; 0 for those that are evaluated but not fitted.
        coarser: classes that hold whole classes of this pool: they tell the factor of a class
            that no fitted data set shows; None where every class has weight.
    """

    classes: np.ndarray
    weights: np.ndarray
    coarser: Pool | None = None

    @cached_property
    def mass(self) -> np.ndarray:
        """The weight of each class."""
        each = np.broadcast_to(self.weights[:, None], self.classes.shape)
        return np.bincount(self.classes.ravel(), each.ravel())

    def mean(self, values: np.ndarray, sites: np.ndarray | slice) -> np.ndarray:
        """Weighted means ``[D, sites, K]`` of values over the classes of some sites.

        The sites hold either all members of a class or none.
        """
        classes = self.classes[:, sites]
        flat = classes.ravel()
        each = np.broadcast_to(self.weights[:, None], classes.shape).ravel()
        mass = np.where(self.mass > 0, self.mass, 1.0)
        sums = [
            np.bincount(flat, each * values[..., k].ravel(), minlength=len(mass)) / mass
            for k in range(values.shape[2])
        ]
        means = np.stack(sums, -1)[classes]
        if self.coarser is None:
            return means
        seen = self.mass[classes] > 0
        return np.where(seen[..., None], means, self.coarser.mean(values, sites))

    @cached_property
    def across_sites(self) -> bool:
        """Whether a class holds several sites."""
        low = np.full(len(self.mass), self.classes.shape[1])
        high = np.full(len(self.mass), -1)
        where = np.broadcast_to(np.arange(self.classes.shape[1]), self.classes.shape)
        np.minimum.at(low, self.classes.ravel(), where.ravel())
        np.maximum.at(high, self.classes.ravel(), where.ravel())
        return bool(np.any(low < high))


def free_optimum(field: Field) -> np.ndarray:
    """F-VI's factors at each data set, ``[D, n, K]``; of several starts the best.

    One start where the coordinate map is a contraction: the optimum is unique then.
    """
    best = _climb(field, field.uniform(), None)
    if field.contraction < 1:
        return best
    value = field.elbo(best)
    for seed in range(STARTS):
        found = _climb(field, _random(field, seed), None)
        reached = field.elbo(found)
        better = reached > value
        best[better], value[better] = found[better], reached[better]
    return best


def table_optimum(
    field: Field, pool: Pool, free: np.ndarray, others: tuple[np.ndarray, ...] = ()
) -> np.ndarray:
    """The factors of the best table, ``[D, n, K]``, from F-VI's factors and from other starts."""
    logits = np.log(np.maximum(free, 1e-300))
    starts = [_softmax(field, pool.mean(logits, slice(None)))]
    if field.contraction >= 1:
        starts += [*others, field.uniform()]
    found = [_climb(field, q, pool) for q in starts]
    return max(found, key=lambda q: float(pool.weights @ field.elbo(q)))


def _random(field: Field, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(field.unary.shape)
    return _softmax(field, SOFT * noise)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, which is short: state by state, without reductions."""
    highest = logits[..., 0]
    for k in range(1, logits.shape[-1]):
        highest = np.maximum(highest, logits[..., k])
    powers = np.exp(logits - highest[..., None])
    total = powers[..., 0].copy()
    for k in range(1, logits.shape[-1]):
        total += powers[..., k]
    return np.asarray(powers / total[..., None])


def _softmax(field: Field, logits: np.ndarray) -> np.ndarray:
    inside = np.arange(field.unary.shape[2]) < field.states[:, None]
    return softmax(np.where(inside, logits, NEVER))


def _climb(field: Field, q: np.ndarray, pool: Pool | None) -> np.ndarray:
    sweeps = MOST_SWEEPS if field.contraction < 1 else FEWER_SWEEPS
    if pool is None:
        return _climb_free(field, q, sweeps)
    if pool.across_sites:
        return _climb_together(field, q, pool)
    q = q.copy()
    for _ in range(sweeps):
        if _sweep(field, q, pool).max(initial=0.0) < TOLERANCE:
            break
    return q


def _sweep(field: Field, q: np.ndarray, pool: Pool | None) -> np.ndarray:
    """Move every site once, in place; by how much a probability moved, ``[D]``."""
    moved = np.zeros(len(q))
    for sites in field.colours:
        s = field.logits(q, sites)
        new = softmax(s if pool is None else pool.mean(s, sites))
        moved = np.maximum(moved, np.abs(new - q[:, sites]).max((1, 2), initial=0.0))
        q[:, sites] = new
    return moved


def _climb_free(field: Field, q: np.ndarray, sweeps: int) -> np.ndarray:
    """Each data set by itself, until it rests: most do soon, few take long."""
    q = q.copy()
    left = np.arange(len(q))
    while sweeps > 0 and len(left):
        part, own = field.of(left), q[left]
        for _ in range(min(ROUND, sweeps)):
            moved = _sweep(part, own, None)
        sweeps -= ROUND
        q[left] = own
        left = left[moved >= TOLERANCE]
    return q


def _climb_together(field: Field, q: np.ndarray, pool: Pool) -> np.ndarray:
    """All factors at once: to the fixpoint of a contraction, else by natural-gradient steps."""
    if field.contraction >= 1:
        return _climb_damped(field, q, pool)
    everything = slice(None)
    for _ in range(MOST_SWEEPS):
        new = softmax(pool.mean(field.logits(q, everything), everything))
        moved, q = float(np.abs(new - q).max(initial=0.0)), new
        if moved < TOLERANCE:
            break
    return q


def _climb_damped(field: Field, q: np.ndarray, pool: Pool) -> np.ndarray:
    """Natural-gradient steps that are halved until the ELBO grows."""
    everything, step = slice(None), 1.0
    value = float(pool.weights @ field.elbo(q))
    slack = 1e-14 * (1 + abs(value))
    for _ in range(FEWER_SWEEPS):
        target = pool.mean(field.logits(q, everything), everything)
        level = np.log(np.maximum(q, 1e-300))
        while True:
            new = softmax((1 - step) * level + step * target)
            reached = float(pool.weights @ field.elbo(new))
            if reached >= value - slack or step < SMALLEST_STEP:
                break
            step /= 2
        moved = float(np.abs(new - q).max(initial=0.0)) / step
        q, value = new, reached
        if moved < TOLERANCE or step < SMALLEST_STEP:
            break
    return q
