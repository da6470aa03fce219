r"""A batch of discrete chains, and what message passing says about them.

.. math:: p(x, z) = \pi(z_0) \prod_{t \ge 1} A_t(z_{t-1}, z_t) \prod_t b_t(z_t)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.errors import InputError


@dataclass(frozen=True, eq=False)
class DiscreteChain:
    """B sequences of up to T steps over S states, as logarithms of potentials.

    The potentials need not be normalised: a model of conditional probabilities and one of
    undirected factors look the same here.

    Attributes:
        initial: log π ``[S]`` or ``[B, S]``.
        transition: log A, from row to column: ``[S, S]`` for all steps, ``[T-1, S, S]``, or
            ``[B, T-1, S, S]``.
        emission: log b ``[B, T, S]``; what lies beyond a sequence's length is ignored.
        lengths: ``[B]``, each from 1 to T; None where all are T.

    Raises:
        InputError: shapes that do not fit, NaN or +inf among the potentials, a length out of
            range.
    """

    initial: Tensor
    transition: Tensor
    emission: Tensor
    lengths: Tensor | None = None

    def __post_init__(self) -> None:
        if self.emission.ndim != 3 or 0 in self.emission.shape:
            raise InputError(
                f"The emission has shape {list(self.emission.shape)}. Give log likelihoods "
                "[sequences, steps, states], none of them empty."
            )
        b, t, s = self.emission.shape
        allowed = {"initial": {(s,), (b, s)},
                   "transition": {(s, s), (t - 1, s, s), (b, t - 1, s, s)}}  # fmt: skip
        for name, shapes in allowed.items():
            found = tuple(getattr(self, name).shape)
            if found not in shapes:
                wanted = " or ".join(str(list(x)) for x in sorted(shapes, key=len))
                raise InputError(f"The {name} has shape {list(found)}. Give {wanted}.")
        for name in ("initial", "transition", "emission"):
            tensor = getattr(self, name)
            # One pass tells both: the maximum of anything with NaN is NaN.
            if tensor.numel() and not _largest(tensor) < torch.inf:
                raise InputError(f"The {name} holds NaN or +inf. Log potentials are below +inf.")
        if self.lengths is not None:
            n = self.lengths
            if n.shape != (b,) or bool((n < 1).any()) or bool((n > t).any()):
                raise InputError(f"The lengths must be {b} whole numbers from 1 to {t}.")

    @property
    def sequences(self) -> int:
        """B."""
        return int(self.emission.shape[0])

    @property
    def steps(self) -> int:
        """T, of the longest sequence."""
        return int(self.emission.shape[1])

    @property
    def states(self) -> int:
        """S."""
        return int(self.emission.shape[2])

    def inside(self) -> Tensor | None:
        """Which steps belong to their sequence, ``[B, T]``; None where all do."""
        if self.lengths is None:
            return None
        steps = torch.arange(self.steps, device=self.emission.device)
        return steps < self.lengths.to(steps.device)[:, None]


def _largest(x: Tensor) -> float:
    return float(x.max()) if x.is_cuda else float(x.detach().numpy().max())


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What the two sweeps know.

    Attributes:
        log_evidence: log Σ_z p(x, z) ``[B]``, in nats.
        marginals: p(z_t | x) ``[B, T, S]``; zero beyond a sequence's length, NaN where the
            evidence is zero.  The loop leaves steps outermost in memory.
        pairwise: p(z_t, z_{t+1} | x) ``[B, T-1, S, S]``, or None if it was not asked for.
        method: the order and the arithmetic, in words.
    """

    log_evidence: Tensor
    marginals: Tensor
    pairwise: Tensor | None
    method: str
