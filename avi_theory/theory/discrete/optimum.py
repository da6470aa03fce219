"""F-VI's optima of a discrete model on all its data sets, worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import logsumexp

from avi_theory.spec.bound import Bound
from avi_theory.theory.discrete.ascent import free_optimum
from avi_theory.theory.discrete.build import (
    NotDiscrete,
    drawn_data,
    every_data_set,
    given_data,
)
from avi_theory.theory.discrete.evidence import log_evidence
from avi_theory.theory.discrete.field import Field

MOST_UNCERTAIN = 2**12
"""Data sets that are tried from many starts, where optima are not certified."""
SITES, FEWEST, MOST = 100_000, 64, 2000
"""Sites of all drawn data sets to fit (as many are fresh), and limits to their number."""
UNCERTAIN = 20
"""So many times fewer where each needs several starts."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """What F-VI attains.

    Attributes:
        field: the conditional models.
        weights: the probability of each data set, ``[D]``; 1 for the given one, 0 for drawn ones
            that no table is fitted to.
        free: F-VI's factors, ``[D, n, K]``.
        elbo: theirs, ``[D]``.
        evidence: log p(x), ``[D]``; None where summing out is too expensive.
    """

    field: Field
    weights: np.ndarray
    free: np.ndarray
    elbo: np.ndarray
    evidence: np.ndarray | None

    @property
    def certified(self) -> bool:
        """Whether every optimum, free or of a table, is known to be the only one."""
        return self.field.contraction < 1

    @property
    def approximation_gap(self) -> float | None:
        r"""\(E\,\mathrm{KL}(q^\star \| p)\) in nats; None unless exact."""
        if self.evidence is None or not self.certified:
            return None
        return max(float(self.weights @ (self.evidence - self.elbo)), 0.0)


def optimum(bound: Bound, *, population: bool) -> Optimum:
    """F-VI's optimum at the given data, or at every data set with its probability.

    Raises:
        NotDiscrete: see `given_data` and `every_data_set`.
    """
    field = every_data_set(bound) if population else given_data(bound)
    if field.contraction >= 1 and len(field.data) > MOST_UNCERTAIN:
        raise NotDiscrete(
            f"it has more than {MOST_UNCERTAIN:,} possible data sets, each of which may have "
            "several optima"
        )
    evidence = log_evidence(field)
    weights = np.ones(1)
    if population:
        if evidence is None:
            raise NotDiscrete("summing its latents out is too expensive")
        weights = np.exp(evidence - logsumexp(evidence))
    free = free_optimum(field)
    return Optimum(field, weights, free, field.elbo(free), evidence)


@dataclass(frozen=True, eq=False)
class Drawn:
    """F-VI's optima on data sets drawn from the model: half to fit tables, half to evaluate them.

    Attributes:
        optimum: of all; only those to fit have weight.
        seed: of the draws.
    """

    optimum: Optimum
    seed: int

    @property
    def fresh(self) -> np.ndarray:
        """The data sets that no table is fitted to."""
        return np.flatnonzero(self.optimum.weights == 0)

    def over_fresh(self, values: np.ndarray) -> tuple[float, float]:
        """The mean over the fresh data sets, and its standard error."""
        found = values[self.fresh]
        return float(found.mean()), float(found.std(ddof=1) / np.sqrt(len(found)))


@lru_cache(maxsize=2)
def drawn_optimum(bound: Bound, seed: int = 0) -> Drawn:
    """F-VI's optima on draws of the observations.

    As many data sets as make `SITES` sites, within limits; fewer where optima are not certified.

    Raises:
        NotDiscrete: see `drawn_data`.
    """
    sites = max(bound.latents, 1)
    count = int(np.clip(SITES // sites, FEWEST, MOST))
    field = drawn_data(bound, 2 * count, seed)
    if field.contraction >= 1:
        count = int(np.clip(SITES // (UNCERTAIN * sites), FEWEST, MOST))
        field = field.of(np.arange(2 * count))
    weights = np.concatenate([np.full(count, 1 / count), np.zeros(count)])
    free = free_optimum(field)
    return Drawn(Optimum(field, weights, free, field.elbo(free), log_evidence(field)), seed)
