"""What a ground factor is: one expression, and where the values of its placeholders come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sympy import Expr, Symbol

from avi_theory.spec.model import Density, Potential
from avi_theory.spec.tables import Ints


@dataclass(frozen=True, eq=False)
class Slot:
    """One placeholder of a ground factor.

    Attributes:
        symbol: the placeholder in the factor's expression.
        name: of the variable or given (of the letter for an explicit position).
        role: ``local``, ``global``, ``observed``, ``given`` or ``index``.
        positions: into the variable's table: ``[I]``; ``[I or 1, K, …]`` with selectors (one axis
            per selector, its categories); ``[I, L]`` for a whole row (``y[g,:]``, ``f[:]``).
            None for index letters and unindexed arrays.
        values: what is known: ``[I]`` numbers, ``[I, d]`` vectors, ``[I, K, …]`` with selectors,
            or an unindexed array as it is (then `positions` is None); None for latents.
        selectors: placeholders of the discrete latents that choose among the K axes, as in
            ``mu[c[n]]``.
        vector: whether the values are vectors (coordinates on the last axis).
        batched: False for an unindexed scalar or array, the same at every instance.
    """

    symbol: Symbol
    name: str
    role: str
    positions: Ints | None
    values: np.ndarray | None
    selectors: tuple[Symbol, ...] = ()
    vector: bool = False
    batched: bool = True

    @property
    def latent(self) -> bool:
        """Whether the values are unknown."""
        return self.values is None


@dataclass(frozen=True, eq=False)
class GroundSum:
    """A ``sum`` inside a factor: Σ over `segments` of an inner expression with its own slots."""

    symbol: Symbol
    expression: Expr
    slots: tuple[Slot, ...]
    segments: Ints


@dataclass(frozen=True, eq=False)
class Kernel:
    """A covariance ``[L, L]`` written as an expression: rows' and columns' slots broadcast.

    Slots hold ``[L, 1]`` (row letter) or ``[1, L]`` (column letter) values, or scalars.
    """

    symbol: Symbol
    expression: Expr
    slots: tuple[Slot, ...]


@dataclass(frozen=True, eq=False)
class GroundFactor:
    """One additive term of the log density at `count` instances.

    Attributes:
        expression: in the placeholders of `slots`, `sums` and `kernel`; scalar in nats.
        slots: where each placeholder's values come from.
        count: the number of instances I.
        source: the statement; `env`: letters to integers ``[I]``, to say which instance is which.
        target: the placeholder of the left side of a density (None for potentials, and where the
            left side is conditioned away).
    """

    expression: Expr
    slots: tuple[Slot, ...]
    count: int
    source: Density | Potential
    env: Mapping[str, Ints]
    target: Symbol | None = None
    sums: tuple[GroundSum, ...] = ()
    kernel: Kernel | None = None

    @property
    def latent_slots(self) -> tuple[Slot, ...]:
        """Slots with unknown values, those inside sums included."""
        inner = [s for g in self.sums for s in g.slots]
        kernel = list(self.kernel.slots) if self.kernel else []
        return tuple(s for s in [*self.slots, *inner, *kernel] if s.latent)
