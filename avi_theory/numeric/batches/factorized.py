r"""F-VI in batches: Newton's method for the globals, the locals always at their optimum.

.. math:: P(\nu_\theta) = G(\nu_\theta) + \sum_k \max_{\nu_{z \in k}} E_k(\nu_\theta, \nu_z),\qquad
    \nabla P = \partial_\theta\mathrm{ELBO},\quad
    \nabla^2 P = H_{\theta\theta} - H_{\theta z} H_{zz}^{-1} H_{z\theta}

by the envelope theorem (variable projection: Golub & Pereyra, SIAM J. Numer. Anal. 10, 1973).  The
optimum is that of all data at once; only the order of sums differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avi_theory.numeric.batches.blocks import Local, Settled, settled
from avi_theory.numeric.batches.progress import Telling
from avi_theory.numeric.batches.shards import Shard, Shards
from avi_theory.numeric.batches.stream import Jet, Streamed
from avi_theory.numeric.families import Family
from avi_theory.numeric.fit import starting_tables
from avi_theory.numeric.parameters import free
from avi_theory.numeric.solve import Options, Problem, Run, Status, newton, quasi_newton
from avi_theory.numeric.solve.colouring import jacobian
from avi_theory.numeric.solve.problem import Memory

MOST_GLOBALS = 400
"""Parameters of globals up to which their Hessian is formed."""


class _Beside:
    """A memory that also keeps the locals, which the outer solver does not see."""

    def __init__(self, memory: Memory | None, store: list[np.ndarray | None]) -> None:
        self._memory, self._store = memory, store
        self.spent = 0.0

    def recall(self) -> Mapping[str, Any] | None:
        """The outer solver's state; the locals are put back."""
        found = self._memory.recall() if self._memory else None
        if found is None:
            return None
        self._store[:] = found["store"]
        return {k: v for k, v in found.items() if k != "store"}

    def keep(self, state: Mapping[str, Any]) -> None:
        """The outer solver's state with the locals."""
        if self._memory:
            self._memory.keep({**state, "store": self._store})

    def run(self, solve: Callable[[], Run]) -> Run:
        """One run, and the locals that it left."""
        if self._memory is None:
            return solve()
        run = self._memory.run(solve)
        self._store[:] = self._memory.result(lambda: {"store": self._store})["store"]
        return run

    def result(self, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """As the memory beside which this stands."""
        return self._memory.result(make) if self._memory else dict(make())


class Factorized:
    """F-VI's objective as a function of the globals' factors alone.

    Args:
        shards: the batches.
        families: of the globals.
        tolerance: on the gradient of all locals together.
    """

    def __init__(
        self, shards: Shards, families: Mapping[str, Family], tolerance: float, tell: Telling
    ) -> None:
        self._shards, self._tell = shards, tell
        self.globals = free(families)
        self._tolerance = tolerance / (10 * math.sqrt(len(shards)))
        self.store: list[np.ndarray | None] = [None] * len(shards)
        self.norms = np.zeros(len(shards))
        self.passes = 0

    def run(self, start: Tensor, options: Options) -> Run:
        """Maximise the ELBO.

        Args:
            start: the globals' parameters.
            options: of the outer iterations.
        """
        options = replace(options, memory=_Beside(options.memory, self.store))
        curved = 0 < len(start) <= MOST_GLOBALS
        objective = Streamed(self.jet, curved)
        problem = Problem(objective, self.globals.scales)
        if not len(start):
            value = float(objective(start))
            run = Run(start, value, 0.0, 1, Status.converged, 0.0, (-value,))
        elif curved:
            dense = replace(options, dense=MOST_GLOBALS)
            run = options.run(lambda: newton(problem, start, dense))
        else:
            run = options.run(lambda: quasi_newton(problem, start, options, adam=0))
        self.jet(run.parameters, False)
        norm = math.hypot(run.gradient_norm, float(np.linalg.norm(self.norms)))
        unsettled = int((self.norms > max(1e3 * self._tolerance, 1e-6)).sum())
        if run.status is Status.converged and unsettled:
            why = f"The locals of {unsettled} batches did not converge."
            return replace(run, status=Status.stopped_early, gradient_norm=norm, why=why)
        return replace(run, gradient_norm=norm)

    def jet(self, theta: Tensor, curved: bool) -> Jet:
        """−P, its gradient and its Hessian: one pass over the data."""
        found = Jet(theta, curved)
        self.passes += 1
        for k in range(len(self._shards)):
            shard = self._shards[k]
            local, at = self._settled(shard, theta)
            self.norms[k] = at.norm
            self._add(found, shard, local, at, theta)
            if k == 0:
                found.add(partial(self._shared, shard), theta, len(theta))
            self._tell("F-VI", self.passes, k + 1, len(self._shards), -float(found.value))
            if not math.isfinite(float(found.value)):
                break
        return found

    def _shared(self, shard: Shard, theta: Tensor) -> Tensor:
        return -shard.shared(self.globals.tables(theta))

    def tables(self, shard: Shard, theta: Tensor) -> dict[str, Tensor]:
        """All tables of one batch, its locals as they were left."""
        z = torch.as_tensor(self.store[shard.number], dtype=theta.dtype, device=theta.device)
        return {**self.globals.tables(theta), **Local(shard).tables(z)}

    def begin_at(self, shard: Shard, tables: Mapping[str, Tensor]) -> None:
        """Start the locals of one batch at given tables."""
        flat = [tables[n].detach().reshape(-1) for n in shard.locals]
        self.store[shard.number] = torch.cat(flat).cpu().numpy()

    def _settled(self, shard: Shard, theta: Tensor) -> tuple[Local, Settled]:
        local = Local(shard)
        kept = self.store[shard.number]
        if kept is None:
            tables = starting_tables(shard.elbo, self._shards.seed + shard.number, 0.05)
            z = torch.cat([theta.new_zeros(0), *(tables[n].reshape(-1) for n in shard.locals)])
        else:
            z = torch.from_numpy(kept).to(theta.device, theta.dtype)
        fixed = {n: t.detach() for n, t in self.globals.tables(theta).items()}
        at = settled(lambda z: -shard.own({**fixed, **local.tables(z)}), local, z, self._tolerance)
        if math.isfinite(at.value):
            self.store[shard.number] = at.z.cpu().numpy()
        return local, at

    def _add(self, found: Jet, shard: Shard, local: Local, at: Settled, theta: Tensor) -> None:
        """Add one batch's −E_k and its derivatives in the globals."""
        p = torch.cat([theta, at.z]).requires_grad_(True)
        count = len(theta)
        value = -shard.own({**self.globals.tables(p[:count]), **local.tables(p[count:])})
        (g,) = torch.autograd.grad(
            value, p, create_graph=found.hessian is not None, materialize_grads=True
        )
        found.value = found.value + value.detach()
        found.gradient = found.gradient + g[:count].detach()
        if found.hessian is not None and g.requires_grad and count:
            rows = jacobian(g[:count], p, len(p))
            found.hessian = found.hessian + rows[:, :count] - at.reduced(local, rows[:, count:])
