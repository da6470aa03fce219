"""Points that see the same: a function is evaluated once for all of them."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from avi_theory.numeric.lowering import Where


class Cases:
    """The distinct rows of inputs, in the order of their first appearance.

    Attributes:
        rows: ``[C, F]``.
        first: ``[C]``, a point that sees each; counts: how many do.
    """

    def __init__(self, values: np.ndarray, where: Where) -> None:
        first, case = _numbered(values)
        self.rows, self.first = values[first], where.index(first)
        self._case = where.index(case)
        self._plain = len(self.rows) == len(values)
        self.counts = where.tensor(np.bincount(case, minlength=len(self.rows)))

    def __len__(self) -> int:
        return len(self.rows)

    def spread(self, found: Tensor) -> Tensor:
        """From the cases ``[C, …]`` to the points ``[M, …]``."""
        return found if self._plain else found.index_select(0, self._case)

    def pooled(self, values: Tensor) -> Tensor:
        """Sums over the points of each case: the transpose of `spread`."""
        if self._plain:
            return values
        return values.new_zeros(len(self), *values.shape[1:]).index_add(0, self._case, values)


def _numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first point of each case ``[C]``, and the case of each point ``[M]``."""
    if not values.shape[1]:
        return np.arange(len(values[:1])), np.zeros(len(values), np.int64)
    if values.shape[1] == 1:
        values = values[:, 0]
    _, first, case = np.unique(values, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return first[order], rank[case.reshape(-1)]
