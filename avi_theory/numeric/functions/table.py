"""A table of the inputs' distinct values: the best of all functions on a data set."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric.families import Family
from avi_theory.numeric.functions.cases import Cases
from avi_theory.numeric.lowering import Where


class Table:
    """Own parameters for every distinct value of the inputs: the best of all functions."""

    smooth = True

    def __init__(self, family: Family, values: np.ndarray, where: Where) -> None:
        self.family, self._where = family, where
        self._cases = Cases(values, where)
        self._shape = (len(self._cases), family.dim, family.width)
        self.size = math.prod(self._shape)

    def table(self, p: Tensor) -> Tensor:
        """``[M, dim, width]``."""
        return self._cases.spread(p.reshape(self._shape))

    def start(self, table: Tensor) -> Tensor:
        """Averages over the points that share their inputs."""
        return (self._cases.pooled(table) / self._cases.counts[:, None, None]).reshape(-1)

    def scales(self, fisher: Tensor) -> Tensor:
        """Fisher information pooled over the points that share their inputs."""
        return self._cases.pooled(fisher).reshape(-1)

    def apply(self, p: Tensor, values: np.ndarray) -> Tensor:
        """At new inputs; NaN where the fitted data never showed them."""
        known = {tuple(r): k for k, r in enumerate(self._cases.rows.tolist())}
        rows = [known.get(tuple(v), -1) for v in values.tolist()]
        padded = torch.cat([p.reshape(self._shape), p.new_full((1, *self._shape[1:]), math.nan)])
        return padded.index_select(0, self._where.index(np.asarray(rows)))
