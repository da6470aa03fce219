r"""Newton's method for the locals of one batch, all units side by side.

.. math:: \delta_u = -(D_u + \lambda I)^{-1} g_u,\qquad
    D_u = \partial^2(-E_k)/\partial\nu_u^2

Units do not interact given the globals' factors, so the Hessian is block-diagonal.  A product with
the vector that is one at the s-th parameter of every unit is the s-th column of every block: as
many products as one unit has parameters give all blocks exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.batches.shards import Shard
from avi_theory.numeric.parameters import fisher

MOST_CELLS = 60_000_000
STEPS, HALVINGS = 100, 30
REACH = 3.0
"""A step's length in posterior standard deviations of a unit, at first."""


class Local:
    """The locals' parameters of one batch as one vector, and which unit each belongs to.

    Attributes:
        size: of the vector; units, width: of the blocks.
    """

    def __init__(self, shard: Shard) -> None:
        self._shapes = {n: f.shape for n, f in shard.locals.items()}
        self._families = shard.locals
        owners, slots, width = [], [], 0
        for name, family in shard.locals.items():
            unit = shard.unit_of(name)
            each = family.dim * family.width
            order = np.argsort(unit, kind="stable")
            counts = np.bincount(unit)
            rank = np.empty(len(unit), np.int64)
            rank[order] = np.arange(len(unit)) - np.repeat(np.cumsum(counts) - counts, counts)
            owners.append(np.repeat(unit, each))
            slots.append(width + np.add.outer(rank * each, np.arange(each)).reshape(-1))
            width += int(counts.max()) * each
        where = shard.elbo.where
        self.unit = where.index(np.concatenate(owners) if owners else np.zeros(0))
        self.slot = where.index(np.concatenate(slots) if slots else np.zeros(0))
        self.size, self.width = len(self.unit), width
        self.units = int(self.unit.max()) + 1 if self.size else 0
        if self.units * width**2 > MOST_CELLS:
            least = max(1, MOST_CELLS // (2 * width**2))
            raise InputError(
                f"One unit has {width} parameters of its own, too many for {self.units:,} units "
                f"at a time. Use a smaller batch, e.g. batch={least}."
            )

    def tables(self, z: Tensor) -> dict[str, Tensor]:
        """Parameter tables by local."""
        parts = torch.split(z, [math.prod(s) for s in self._shapes.values()])
        return {n: x.reshape(s) for (n, s), x in zip(self._shapes.items(), parts, strict=True)}

    def fisher(self, z: Tensor) -> Tensor:
        """The diagonal metric of q."""
        tables = self.tables(z)
        parts = [fisher(f, tables[n]).reshape(-1) for n, f in self._families.items()]
        return torch.cat(parts).clamp_min(1e-12) if parts else z

    def rows(self, x: Tensor) -> Tensor:
        """Vectors ``[size, m]`` as ``[units, width, m]``, 0 where a unit has no such parameter."""
        found = x.new_zeros(self.units, self.width, x.shape[1])
        found[self.unit, self.slot] = x
        return found

    def flat(self, rows: Tensor) -> Tensor:
        """``[units, width]`` back to ``[size]``."""
        return rows[self.unit, self.slot]

    def blocks(self, g: Tensor, z: Tensor) -> Tensor:
        """∂g/∂z by unit, ``[units, width, width]``; the identity where there is no parameter."""
        found = torch.eye(self.width, dtype=z.dtype, device=z.device).repeat(self.units, 1, 1)
        if not g.requires_grad:
            found[self.unit, self.slot, self.slot] = 0.0
            return found
        for s in range(self.width):
            direction = (self.slot == s).to(z.dtype)
            (column,) = torch.autograd.grad(
                g, z, direction, retain_graph=True, materialize_grads=True
            )
            found[self.unit, self.slot, s] = column
        return found


@dataclass(frozen=True, eq=False)
class Settled:
    """Where Newton's method ended for one batch.

    Attributes:
        z: the locals' parameters.
        value: −E_k there; norm: of its gradient, in the metric of q.
        factor: Cholesky factors of the whitened blocks; scale: of the whitening, ``[size]``.
    """

    z: Tensor
    value: float
    norm: float
    factor: Tensor
    scale: Tensor

    def reduced(self, local: Local, across: Tensor) -> Tensor:
        """H_θz H_zz⁻¹ H_zθ, what optimising the locals takes off the globals' Hessian."""
        rows = local.rows((across / self.scale).T.contiguous())
        half = torch.linalg.solve_triangular(self.factor, rows, upper=False)
        return torch.einsum("uwi,uwj->ij", half, half)


def settled(
    objective: Callable[[Tensor], Tensor], local: Local, z: Tensor, tolerance: float
) -> Settled:
    """Minimise over the locals of one batch.

    Args:
        objective: −E_k of the locals' parameters, globals held.
        local: how they are laid out.
        z: where to start.
        tolerance: on the gradient's norm in the metric of q.
    """
    reach = REACH * math.sqrt(max(local.width, 1))
    z = z.detach()
    for _ in range(STEPS):
        z = z.requires_grad_(True)
        value = objective(z)
        (g,) = torch.autograd.grad(value, z, create_graph=True, materialize_grads=True)
        scale = local.fisher(z.detach()).sqrt()
        now, white = float(value.detach()), g.detach() / scale
        norm = float(white.norm())
        factor = _factored(local, local.blocks(g, z), scale)
        z = z.detach()
        if not math.isfinite(now) or not math.isfinite(norm):
            return Settled(z, math.inf, math.inf, factor, scale)
        if norm <= tolerance:
            break
        step = torch.cholesky_solve(local.rows(white[:, None]), factor)[..., 0]
        promised = float((local.rows(white[:, None])[..., 0] * step).sum())
        new, reach = _advanced(objective, local, z, step, scale, now, promised, reach)
        if new is None:
            break
        z = new
    return Settled(z, now, norm, factor, scale)


def _advanced(
    objective: Callable[[Tensor], Tensor],
    local: Local,
    z: Tensor,
    step: Tensor,
    scale: Tensor,
    now: float,
    promised: float,
    reach: float,
) -> tuple[Tensor | None, float]:
    """A step that lowers the objective, each unit's cut to the reach; None where rounding rules."""
    length = step.norm(dim=1, keepdim=True)
    tiny = promised <= 1e-12 * (1 + abs(now))
    for _ in range(HALVINGS):
        cut = step * torch.clamp(reach / length.clamp_min(1e-300), max=1.0)
        new = z - local.flat(cut) / scale
        with torch.no_grad():
            reached = float(objective(new))
        level = now + 2e-12 * (1 + abs(now)) if tiny else now
        if reached < level:
            full = bool((length <= reach).all())
            return new, reach if full else 2 * reach
        if tiny:
            return None, reach
        reach = min(reach, float(length.max())) / 4
    return None, reach


def _factored(local: Local, blocks: Tensor, scale: Tensor) -> Tensor:
    """Cholesky factors of the whitened blocks; where one is not positive, of its absolute value."""
    whole = torch.ones(local.units, local.width, dtype=scale.dtype, device=scale.device)
    whole[local.unit, local.slot] = scale
    blocks = blocks / whole[:, :, None] / whole[:, None, :]
    blocks = 0.5 * (blocks + blocks.mT)
    factor, info = torch.linalg.cholesky_ex(blocks)
    bad = (info > 0) | ~torch.isfinite(factor).all(-1).all(-1)
    if bool(bad.any()):
        values, vectors = torch.linalg.eigh(torch.nan_to_num(blocks[bad], nan=0.0))
        lifted = values.abs().clamp_min(1e-6)
        factor[bad] = torch.linalg.cholesky((vectors * lifted[:, None, :]) @ vectors.mT)
    return factor
