"""What is minimised, how long, and how it ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from avi_theory.numeric.solve.colouring import Pattern


class Status(Enum):
    """How a run ended; the value is what to tell the user."""

    converged = "The gradient is below the tolerance."
    stopped_early = (
        "The iterations ran out before the gradient was below the tolerance. Allow more."
    )
    stalled = (
        "No step improves the ELBO any more, although the gradient is above the tolerance; "
        "rounding errors or a kink of the objective stop the descent here."
    )
    diverged = "The ELBO grows without bound or its parameters run away. Is every prior proper?"
    non_integrable = "The expected log density is not finite, so the ELBO does not exist."

    @property
    def message(self) -> str:
        """The explanation."""
        return str(self.value)


@dataclass(frozen=True, eq=False)
class Problem:
    """A function to minimise.

    Attributes:
        objective: parameters ``[n]`` to −ELBO, in nats.
        scales: parameters to the diagonal of a metric, ``[n]``, positive: the Fisher information
            of q.  Gradients are measured and steps limited in it, so units do not matter.
        zeros: makes the pattern of the Hessian's zeros; None where they are not known.
    """

    objective: Callable[[Tensor], Tensor]
    scales: Callable[[Tensor], Tensor]
    zeros: Callable[[], Pattern | None] | None = None

    @cached_property
    def pattern(self) -> Pattern | None:
        """How the Hessian is told by few products; None where it takes all."""
        return self.zeros() if self.zeros else None

    def gradient(self, p: Tensor, *, graph: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """(parameters, value, gradient); with `graph` the gradient can be differentiated."""
        p = p.detach().requires_grad_(True)
        value = self.objective(p)
        (g,) = torch.autograd.grad(value, p, create_graph=graph, materialize_grads=True)
        return p, value.detach(), g

    def value(self, p: Tensor) -> float:
        """The objective, infinite where it is not a number."""
        with torch.no_grad():
            value = float(self.objective(p))
        return value if math.isfinite(value) else math.inf


class Memory(Protocol):
    """Where runs leave their state, so that an interrupted one goes on from it.

    Attributes:
        spent: seconds that earlier attempts spent on what was read back, or gone on with.
    """

    spent: float

    def recall(self) -> Mapping[str, Any] | None:
        """The state of the run under way when it was interrupted; None for a new one."""

    def keep(self, state: Mapping[str, Any]) -> None:
        """Remember a state from which the run can go on; it may be changed afterwards."""

    def run(self, solve: Callable[[], Run]) -> Run:
        """Do one run; one that was finished before is not repeated."""

    def result(self, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Anything else that takes long: made once, and kept."""


@dataclass(frozen=True)
class Options:
    """When to stop.

    Attributes:
        tolerance: on the gradient's norm in the metric, in nats per whitened parameter.
        iterations: of the outer loop.
        dense: largest number of parameters for which the Hessian is formed.
        bound: a value that the objective cannot fall below (F-VI's, for A-VI), in nats: a run that
            is within `close` of it has converged, whatever its gradient.
        progress: called with (iteration, ELBO, gradient norm).
        memory: where states are kept; None keeps nothing.
    """

    tolerance: float = 1e-9
    iterations: int = 200
    dense: int = 150
    bound: float = -math.inf
    progress: Callable[[int, float, float], None] | None = None
    memory: Memory | None = None

    def recall(self, **fresh: Any) -> dict[str, Any]:
        """The state that an interrupted run left, or the given fresh one."""
        held = self.memory.recall() if self.memory else None
        return fresh if held is None else dict(held)

    def keep(self, **state: Any) -> None:
        """Leave a state behind."""
        if self.memory:
            self.memory.keep(state)

    def run(self, solve: Callable[[], Run]) -> Run:
        """Do one run, or read what it found where that is kept."""
        return self.memory.run(solve) if self.memory else solve()

    @property
    def spent(self) -> float:
        """Seconds of earlier attempts so far."""
        return self.memory.spent if self.memory else 0.0


AT_BOUND = "The ELBO is within 1e-8 of its own size of the bound that F-VI sets."


def close(value: float, bound: float) -> bool:
    """Whether nothing worth naming can be gained: 1e-8 of the objective's size is left."""
    return value - bound <= 1e-8 * (1 + abs(value))


@dataclass(frozen=True, eq=False)
class Run:
    """Where a run ended.

    Attributes:
        parameters: ``[n]``.
        value: −ELBO there, nats.
        gradient_norm: √(gᵀ D⁻¹ g) with the metric D.
        iterations: done.
        status: how it ended.
        remaining: ½ gᵀ H⁻¹ g, the distance to the optimum in nats to second order; None where the
            curvature is not positive.
        trace: the ELBO after each iteration.
        why: what to tell the user instead of the status's own message.
    """

    parameters: Tensor
    value: float
    gradient_norm: float
    iterations: int
    status: Status
    remaining: float | None = None
    trace: tuple[float, ...] = field(default_factory=tuple)
    why: str = ""
