r"""log p(x) batch by batch: given the globals, it is a sum over units.

.. math:: \log p(x, \theta) = \log p(\theta) + \sum_k \sum_{u \in k} \log \int p(z_u, x_u \mid
    \theta)\, dz_u

The integral over the globals is that of all data at once (`evidence.marginal`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from torch import Tensor

from avi_theory.numeric.batches.shards import Shard, Shards
from avi_theory.numeric.evidence.answer import Evidence
from avi_theory.numeric.evidence.marginal import (
    MOST_DRAWN,
    ROUNDS,
    Level,
    integrated,
    split,
)
from avi_theory.numeric.fit import Fit

Tables = Callable[[Shard], Mapping[str, Tensor]]


def evidence_of(shards: Shards, fvi: Fit, tables: Tables) -> Evidence:
    """log p(x), by integrals over the locals of one unit and over the globals.

    Args:
        shards: the batches.
        fvi: the factorized solution.
        tables: all factors of a batch, a centre of the integrals.
    """
    if not fvi.exists:
        return Evidence.unknown("no ELBO exists to start an estimate from")
    kinds = shards[0].elbo.families.values()
    if any(f.kind in ("Point", "Dirichlet") for f in kinds):
        return Evidence.unknown("not computed in batches for point or simplex factors")
    apart = [split(shards[k].elbo) for k in range(len(shards))]
    outer = {tuple(s[0]) if s is not None and s[2] is None else None for s in apart}
    if len(outer) > 1 or None in outer:
        return Evidence.unknown("not computed in batches where the locals of a unit interact")
    level = _Added(shards, fvi, tables)
    if sum(ROUNDS) * level.width > MOST_DRAWN:
        return Evidence.unknown(
            f"{level.width:,} nodes of the locals for every value of the globals take too long"
        )
    found = integrated(level, shards.seed)
    return found or Evidence.unknown("too many globals to integrate over in batches")


class _Added:
    """log p(x, θ) as the sum of the batches' own; what belongs to no unit counts once."""

    def __init__(self, shards: Shards, fvi: Fit, tables: Tables) -> None:
        self._shards, self._fvi, self._tables = shards, fvi, tables
        levels = [self._level(k) for k in range(len(shards))]
        self.size, self.points = levels[0].size, levels[0].points
        self.width = sum(level.width for level in levels)

    def _level(self, k: int) -> Level:
        shard = self._shards[k]
        elbo = shard.elbo
        if k:
            kept = tuple(f for f in elbo.factors if f.text in shard.repeated)
            elbo = replace(elbo, factors=kept)
        return Level(elbo, replace(self._fvi, tables=dict(self._tables(shard))))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """At rows ``[S, size]`` of standardised globals."""
        first = self._level(0)
        total = first(x)
        for k in range(1, len(self._shards)):
            total = total + self._level(k)(x) - first.log_scale
        return total
