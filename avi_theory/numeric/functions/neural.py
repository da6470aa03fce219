r"""Any network as an inference function.

.. math:: \nu_n = u \odot (A\, [1, h_\phi(w_n)])

h are the network's features, A a linear head that starts at the least-squares fit to F-VI's
factors, u the scale of the factors, so that data need not be rescaled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from avi_theory.numeric.families import Family
from avi_theory.numeric.functions.cases import Cases
from avi_theory.numeric.functions.reading import Batch, Reader
from avi_theory.numeric.layout import Layout
from avi_theory.numeric.lowering import Where

RIDGE = 1e-8
"""Of the first least-squares fit, as a share of the features' mean square."""
ROWS_AT_ONCE = 256

Trunk = Callable[[Batch, torch.Generator], nn.Module]


class Neural:
    """A network's features under a linear head.

    Args:
        trunk: makes the network (batch to ``[M, width]``) for the shapes of a batch.
        family: of the factors.
        rows: the fitted points' inputs ``[M, F]``.
        layout: how to read them.
        where: device and dtype.
        seed: of the network's weights.
    """

    smooth = False

    def __init__(
        self,
        trunk: Trunk,
        family: Family,
        rows: np.ndarray,
        layout: Layout,
        where: Where,
        seed: int,
    ) -> None:
        self.family = family
        self._reader = Reader(rows, layout, where)
        self.cases = Cases(rows, where)
        self._batch = self._reader(self.cases.rows)
        made = trunk(self._batch, torch.Generator().manual_seed(seed))
        self._net = made.to(where.device, where.dtype)
        parts = [p.detach() for p in self._net.parameters()]
        self._names = [n for n, _ in self._net.named_parameters()]
        self._shapes = [p.shape for p in parts]
        self._first = torch.cat([p.reshape(-1) for p in parts])
        self._outputs = family.dim * family.width
        self._inner = len(self._first)
        self._width = int(self._net.width) + 1  # type: ignore[arg-type]
        self.size = self._inner + self._width * self._outputs
        self.unit = torch.ones(1, family.dim, family.width, dtype=where.dtype, device=where.device)

    def _features(self, p: Tensor, batch: Batch) -> Tensor:
        flat = torch.split(p, [s.numel() for s in self._shapes])
        named = {n: x.reshape(s) for n, x, s in zip(self._names, flat, self._shapes, strict=True)}
        found = functional_call(self._net, named, (batch,))
        return torch.cat([torch.ones_like(found[:, :1]), found], -1)

    def _of(self, p: Tensor, batch: Batch) -> Tensor:
        features = self._features(p[: self._inner], batch)
        head = p[self._inner :].reshape(self._width, self._outputs)
        found = (features @ head).reshape(-1, self.family.dim, self.family.width)
        return self.unit * found

    def table(self, p: Tensor) -> Tensor:
        """``[M, dim, width]``."""
        return self.cases.spread(self._of(p, self._batch))

    def jacobian(self, p: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """``[C, dim·width, n]`` at some cases, by backpropagation through all units at once.

        Each unit is given weights of its own, equal to the others', so one pass serves a case of
        every unit.
        """
        inner, head = p[: self._inner].detach(), p[self._inner :].detach()
        points = torch.arange(len(self.cases), device=p.device)[rows]
        stacked, group, place = self._batch.apart(points)
        units, most = stacked[0].shape[:2]

        def unit_alone(q: Tensor, *parts: Any) -> Tensor:
            return self._features(q, Batch(*(*parts, self._batch.places)))

        each = vmap(unit_alone)
        pulled = vjp(lambda q: each(q, *stacked), inner.expand(units, -1))
        features, back = pulled[0], pulled[1]
        width, outputs, unit = self._width, self._outputs, self.unit.reshape(-1)
        wanted = torch.diag(torch.ones(most).to(p))[:, None, :, None]
        wanted = wanted * (head.reshape(width, outputs) * unit).T[None, :, None, :]
        cotangents = wanted.reshape(most * outputs, 1, most, width).expand(-1, units, -1, -1)
        parts = [
            vmap(lambda row: back(row)[0])(some)
            for some in torch.split(cotangents, max(1, ROWS_AT_ONCE // max(units, 1)))
        ]
        trunk = torch.cat(parts).reshape(most, outputs, units, -1)[place, :, group]
        found = p.new_zeros(len(points), outputs, width, outputs)
        for k in range(outputs):
            found[:, k, :, k] = unit[k] * features[group, place]
        return torch.cat([trunk, found.reshape(len(points), outputs, -1)], -1)

    def start(self, table: Tensor) -> Tensor:
        """Seeded features, and the head that is nearest to a table."""
        if self.family.gaussian:
            unit = torch.ones_like(self.unit)
            unit[..., 0] = table[..., 0].std(0, correction=0) + table[..., 1].exp().mean(0)
            self.unit = unit
        with torch.no_grad():
            features = self._features(self._first, self._batch)
        wanted = self.cases.pooled((table / self.unit).reshape(-1, self._outputs))
        gram = (features.T * self.cases.counts) @ features
        ridge = RIDGE * float(torch.diagonal(gram).mean()) if len(features) else 1.0
        eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        head = torch.linalg.solve(gram + ridge * eye, features.T @ wanted)
        return torch.cat([self._first, head.reshape(-1)])

    def scales(self, fisher: Tensor) -> Tensor:
        """The Euclidean metric."""
        return torch.ones(self.size, dtype=fisher.dtype, device=fisher.device)

    def apply(self, p: Tensor, values: np.ndarray) -> Tensor:
        """At new inputs, of any number of tokens."""
        return self._of(p, self._reader(values))
