r"""What a function receives from neighbours that keep factors of their own.

.. math:: \nu_n = f_\phi(w_n) + \sum_j A_j\, m\big(q(z_{n + \delta_j})\big)

With a vertex cover of the ties un-amortized, the other latents close if f also receives the
variational parameters of their neighbours; where densities are conjugate, the optimal natural
parameters are affine in the neighbours' moments, so that the linear term is all that is needed.
m is the probabilities of a discrete factor, the parameters of any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric.families import Family
from avi_theory.numeric.lowering import Where

PASSES = 60
Tables = Mapping[str, Tensor]


class Own(Protocol):
    """A function by itself."""

    def table(self, p: Tensor) -> Tensor:
        """``[P, dim, width]``."""

    def start(self, table: Tensor) -> Tensor:
        """Parameters near a table."""


class Coupling:
    """The linear term of one local.

    Args:
        family: of the local.
        kinds: of all latents.
        points: the local's points that the function serves, ``[M]``.
        neighbours: for each, a variable and its cells at those points, ``[M, L]``; f receives their
            average.
        scale: whether the factors' scales depend on the neighbours as well, as in a network.
        where: device and dtype.
    """

    def __init__(
        self,
        family: Family,
        kinds: Mapping[str, Family],
        points: np.ndarray,
        neighbours: Sequence[tuple[str, np.ndarray]],
        *,
        scale: bool,
        where: Where,
    ) -> None:
        self._family, self._kinds = family, kinds
        self._points = where.index(points)
        self._cells = [(name, where.index(cells)) for name, cells in neighbours]
        self._wide = family.width if scale else family.location
        self._inputs = sum(
            kinds[n].width if kinds[n].discrete else kinds[n].dim * kinds[n].width
            for n, _ in neighbours
        )
        self._centre = torch.zeros(self._inputs, dtype=where.dtype, device=where.device)
        self._spread = torch.ones_like(self._centre)
        self.size = self._inputs * family.dim * self._wide

    def _moments(self, tables: Tables) -> Tensor:
        """``[M, K]``, standardised as they were at the start."""
        found = []
        for name, cells in self._cells:
            family, table = self._kinds[name], tables[name]
            each = family.factors(table).probability[:, :-1] if family.discrete else table
            found.append(each.reshape(len(table), -1)[cells].mean(1))
        return (torch.cat(found, 1) - self._centre) / self._spread

    def _term(self, moments: Tensor, p: Tensor) -> Tensor:
        term = (moments @ p.reshape(self._inputs, -1)).reshape(-1, self._family.dim, self._wide)
        return torch.nn.functional.pad(term, (0, self._family.width - self._wide))

    def added(self, table: Tensor, tables: Tables, p: Tensor) -> Tensor:
        """A table with the term added at the function's points."""
        return table.index_add(0, self._points, self._term(self._moments(tables), p))

    def start(self, table: Tensor, tables: Tables, block: Own) -> tuple[Tensor, Tensor]:
        """Parameters of a block and of the term that are together near given tables.

        Alternating least squares: the function of what the term leaves, the term of what the
        function leaves.
        """
        self._centre.zero_(), self._spread.fill_(1.0)
        raw = self._moments(tables)
        spread = raw.std(0, correction=0)
        self._centre = raw.mean(0)
        self._spread = torch.where(spread > 1e-12, spread, torch.ones_like(spread))
        moments = self._moments(tables)
        p = table.new_zeros(self.size)
        own = block.start(table)
        for _ in range(PASSES):
            left = (table - block.table(own))[self._points][..., : self._wide]
            flat = left.reshape(len(left), -1)
            p = torch.linalg.lstsq(moments, flat, driver="gelsd").solution.reshape(-1)
            rest = table.index_add(0, self._points, -self._term(moments, p))
            own = block.start(rest)
        return own, p

    def scales(self, fisher: Tensor) -> Tensor:
        """The metric pulled back through standardised moments."""
        total = fisher[self._points][..., : self._wide].sum(0).reshape(-1)
        return total.repeat(self._inputs)
