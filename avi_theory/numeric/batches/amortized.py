r"""A-VI in batches: one function for all units, its parameters fitted by sums over batches.

.. math:: \max_{\nu_\theta, \phi}\; G(\nu_\theta) + \sum_k E_k(\nu_\theta, f_\phi(w_k)),
    \qquad \mathbb E_k\,[K\, E_k] = \sum_k E_k

Polynomials: Newton's method on the exact sum.  Networks: Adam on single batches scaled by their
number K, which is unbiased for the globals too, with the learning rate searched; then L-BFGS on the
exact sum, so that the gradient norm is that of all data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.batches.progress import Telling
from avi_theory.numeric.batches.shards import Shard, Shards
from avi_theory.numeric.batches.stream import Jet, Streamed
from avi_theory.numeric.functions import function_named
from avi_theory.numeric.inputs import Sight
from avi_theory.numeric.parameters import Amortized, Parametrisation
from avi_theory.numeric.solve import Options, Problem, Run, Status, newton, quasi_newton
from avi_theory.spec.bound import Bound
from avi_theory.spec.inputs import resolve

MOST_CURVED = 300
RATES = (1e-4, 1e-3, 1e-2)
NO_RATE = "no learning rate: second-order steps on the exact sum"
TRIAL, STEPS = 20, 300
"""Adam's steps for each rate that is tried, and with the one that is chosen."""


class Heads:
    """A-VI's parameters, laid out as on the pilot, applied to any batch.

    Args:
        shards: the batches.
        pilot: a parametrisation on a sample of the units, which fixes the class of functions.
        inputs: by local; function: their class.
        weight: how many times the pilot's units fit into all.
    """

    def __init__(
        self,
        shards: Shards,
        pilot: Parametrisation,
        inputs: Mapping[str, Sequence[str]],
        function: str,
        weight: float,
        tell: Telling,
    ) -> None:
        self._shards, self._pilot, self._inputs = shards, pilot, inputs
        self._name, self._weight, self._tell = function_named(function), weight, tell
        self._values: WeakKeyDictionary[Shard, dict[str, np.ndarray]] = WeakKeyDictionary()
        self.passes = 0
        self.tuning = NO_RATE

    def tables(self, shard: Shard, p: Tensor) -> dict[str, Tensor]:
        """All tables of one batch."""
        values = self._seen(shard)
        found = {}
        for name, block in self._pilot.blocks.items():
            own = self._pilot.part(p, name)
            found[name] = (
                block.function.apply(own, values[name])
                if isinstance(block, Amortized) else block.table(own)
            )  # fmt: skip
        return found

    def scales(self, p: Tensor) -> Tensor:
        """The metric of the parameters: the pilot's, as many times as its units fit into all."""
        own = self._pilot.scales(p)
        if not self._pilot.smooth:
            return own
        sizes = [b.size for b in self._pilot.blocks.values()]
        parts = [
            s * self._weight if isinstance(b, Amortized) else s
            for s, b in zip(torch.split(own, sizes), self._pilot.blocks.values(), strict=True)
        ]
        return torch.cat(parts)

    def run(self, start: Tensor, options: Options) -> Run:
        """Maximise the ELBO from parameters on the pilot's layout."""
        curved = self._pilot.smooth and len(start) <= MOST_CURVED
        problem = Problem(Streamed(self.jet, curved), self.scales)
        if curved:
            dense = replace(options, dense=MOST_CURVED)
            return options.run(lambda: newton(problem, start, dense))
        steps = None
        if not self._pilot.smooth and len(self._shards) > 1:
            steps = options.run(lambda: self._adam(start, options))
            self.tuning = steps.why
            start = min((start, steps.parameters), key=problem.value)
        then = options.run(lambda: quasi_newton(problem, start, options, adam=0))
        if steps is None:
            return then
        return replace(then, iterations=steps.iterations + then.iterations)

    def jet(self, p: Tensor, curved: bool) -> Jet:
        """−ELBO with its derivatives: one pass over the data."""
        found = Jet(p, curved)
        self.passes += 1
        for k in range(len(self._shards)):
            shard = self._shards[k]
            rows = sum(math.prod(f.shape) for f in shard.elbo.families.values())
            found.add(partial(self._minus, shard, k == 0), p, rows)
            self._tell("A-VI", self.passes, k + 1, len(self._shards), -float(found.value))
            if not math.isfinite(float(found.value)):
                break
        return found

    def _minus(self, shard: Shard, first: bool, p: Tensor) -> Tensor:
        """What one batch adds to −ELBO; the first brings what belongs to no unit."""
        tables = self.tables(shard, p)
        own = -shard.own(tables)
        return own - shard.shared(tables) if first else own

    def _estimate(self, k: int, p: Tensor) -> Tensor:
        """−ELBO from one batch alone, unbiased if the batch is drawn at random."""
        shard = self._shards[k]
        tables = self.tables(shard, p)
        return -(len(self._shards) * shard.own(tables) + shard.shared(tables))

    def _adam(self, start: Tensor, options: Options) -> Run:
        """Steps on single batches, with the best of a few learning rates."""
        began = options.recall(p=start, rate=None, done=0, inner={}, trace=[])
        rate = began["rate"]
        if rate is None:
            reached = {r: self._tried(start, r) for r in RATES}
            rate = min(reached, key=lambda r: reached[r])
        tried = ", ".join(f"{r:g}" for r in RATES)
        tuning = f"Adam: rates {tried} tried for {TRIAL} steps each, {rate:g} kept"
        p = began["p"].clone().requires_grad_(True)
        solver = torch.optim.Adam([p])
        solver.state[p] = dict(began["inner"])
        trace = list(began["trace"])
        status = Status.stopped_early
        for k in range(int(began["done"]), STEPS):
            options.keep(p=p.detach(), rate=rate, done=k, inner=solver.state[p], trace=trace)
            value = self._step(p, solver, k, 0.5 * rate * (1 + math.cos(math.pi * k / STEPS)))
            if not math.isfinite(value):
                status = Status.diverged
                break
            trace.append(-value)
            self._tell("A-VI, Adam", k, len(self._shards), len(self._shards), -value)
        kept = p.detach() if bool(torch.isfinite(p).all()) else start
        return Run(kept, math.inf, math.inf, len(trace), status, None, tuple(trace), tuning)

    def _tried(self, start: Tensor, rate: float) -> float:
        """The mean of the last half of a few steps' values: every rate sees the same batches."""
        p = start.clone().requires_grad_(True)
        solver = torch.optim.Adam([p])
        values = [self._step(p, solver, k, rate) for k in range(TRIAL)]
        mean = float(np.mean(values[TRIAL // 2 :]))
        return mean if math.isfinite(mean) else math.inf

    def _step(self, p: Tensor, solver: torch.optim.Adam, k: int, rate: float) -> float:
        """One step of Adam; batches in a fresh order each epoch, fixed by the seed."""
        epoch, place = divmod(k, len(self._shards))
        order = np.random.default_rng((self._shards.seed, epoch)).permutation(len(self._shards))
        solver.param_groups[0]["lr"] = rate
        solver.zero_grad()
        loss = self._estimate(int(order[place]), p)
        loss.backward()
        solver.step()
        return float(loss.detach())

    def _seen(self, shard: Shard) -> dict[str, np.ndarray]:
        """What the functions see at one batch's points, laid out as on the pilot."""
        if shard not in self._values:
            self._values[shard] = {
                name: self._checked(shard, name, block.inputs)
                for name, block in self._pilot.blocks.items()
                if isinstance(block, Amortized)
            }
        return self._values[shard]

    def _checked(self, shard: Shard, name: str, pilot: Sight) -> np.ndarray:
        texts = self._inputs.get(name, ())
        sees = self._name.look(shard.bound, shard.bound.model.variables[name], texts)
        rows, fitted = sees.rows, pilot.fitted
        if not sees.complete.all():
            raise InputError(
                f"Some {name} lack a value among {', '.join(texts)}, which functions without masks "
                "need in batches. Use set:32, or other inputs."
            )
        if sees.layout.tokens:
            return rows
        if rows.shape[1] != fitted.shape[1]:
            raise InputError(
                f"The inputs of {name} make {rows.shape[1]} numbers in one batch and "
                f"{fitted.shape[1]} in another: groups differ in size. Use set:32 (networks), "
                "affine or polynomial:D (sums), and a larger batch."
            )
        still = np.ptp(fitted, 0) == 0 if len(fitted) else np.zeros(0, bool)
        if np.any(rows[:, still] != fitted[:1, still]):
            raise InputError(
                f"An input of {name} varies in the data, but not among the {len(fitted):,} points "
                "that fix the class of functions. Use a larger batch."
            )
        return rows


def within_units(bound: Bound, inputs: Mapping[str, Sequence[str]], letter: str) -> None:
    """Refuse inputs that a batch cannot show: the unit's number, other units, whole arrays.

    Raises:
        InputError: the first such input.
    """
    for name, texts in inputs.items():
        local = bound.model.variables[name]
        for i in resolve(bound, local, texts):
            table = bound.tables.get(i.name)
            position = i.role == "position" and i.name == letter
            elsewhere = False
            if table is not None and letter in table.letters and i.cells is not None:
                own = bound.tables[name].points[:, local.letters.index(letter)]
                at = table.points[i.cells, table.letters.index(letter)]
                elsewhere = bool(np.any((i.cells >= 0) & (at != own[:, None])))
            if position or elsewhere:
                what = "is the unit's number" if position else "reaches other units"
                raise InputError(
                    f"The input {i.text!r} of {name} {what} [{letter}], which a batch does not "
                    "hold. Give inputs of one unit, or measure without batch."
                )
