r"""Potentials scaled so that plain multiplication cannot lose anything that matters.

.. math:: b_t(z) = e^{c_t} r_t(z),\quad \max_z r_t(z) = 1,\qquad
    A = e^{d} \tilde A,\quad \max \tilde A = 1,\quad a = \min \tilde A

**Why no underflow can matter.**  A message that sums to 1 has, after one transition, entries
between a and 1, so that after :math:`r_t` it still sums to at least a (the state with
:math:`r_t = 1` alone gives that) and at most S.  Over k steps without rescaling its sum stays
within :math:`[a^k, S^k]`.  What a rounding to zero can take from a state is below S times the
smallest normal number; any two states' futures (and pasts) differ by at most a factor 1/a, so
relative to the evidence, or to a product of a forward and a backward message, that is at most
:math:`T S\,\mathrm{tiny} / a^{2k+2}`.  `interval` chooses k so that this is below the dtype's own
rounding, and refuses where no k does, zeros among the transitions included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.numeric.chains.chain import DiscreteChain
from avi_theory.numeric.chains.pieces import exponentiate, pieces

SHARE = 0.25
"""The part of the dtype's exponent range that a message may use up between two rescalings."""


@dataclass(frozen=True, eq=False)
class Potentials:
    """A chain's potentials; the first step holds π.

    Attributes:
        unary: r ``[B, T, S]``, one beyond a sequence's length (zero in logarithms).
        transition: Ã, as in `DiscreteChain`.
        shift: Σ_t c_t + (length − 1) d ``[B]``, in nats.
        every: steps between rescalings; None for logarithms, which need none.
    """

    unary: Tensor
    transition: Tensor
    shift: Tensor
    every: int | None


def interval(chain: DiscreteChain) -> int | None:
    """Steps that may pass between two rescalings; None if scaling is not certified.

    Example:
        >>> import math, torch
        >>> stay, x = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).double(), torch.zeros(1, 5, 2).double()
        >>> interval(DiscreteChain(torch.zeros(2).double(), stay.log(), x))
        80
        >>> stay[1, 0] = 0.0  # a state that is never left
        >>> interval(DiscreteChain(torch.zeros(2).double(), stay.log(), x)) is None
        True
    """
    info = torch.finfo(chain.emission.dtype)
    smallest = -math.log(info.tiny)
    budget = SHARE * smallest
    if chain.steps == 1:
        return 1
    low, high = (float(x) for x in chain.transition.aminmax())
    loss = high - low
    room = smallest - 2 * budget + math.log(info.eps) - math.log(chain.steps * chain.states)
    if not (loss <= budget and 2 * loss <= room and math.isfinite(high)):
        return None
    return max(1, int(budget / max(loss, math.log(chain.states), 1e-3)))


def scaled(chain: DiscreteChain, every: int) -> Potentials | None:
    """Plain potentials; None where a step of a sequence is impossible for every state."""
    # Time first in memory: the loop takes the steps one by one.
    unary = chain.emission.new_empty(chain.steps, chain.sequences, chain.states)
    inside = chain.inside()
    shift = unary.new_zeros(chain.sequences)
    first = chain.emission[:, 0] + chain.initial
    at = 0
    for piece in pieces(unary):
        block = slice(at, at + len(piece))
        at = block.stop
        emission = chain.emission[:, block]
        top = emission.amax(-1)
        if block.start == 0:
            top[:, 0] = first.amax(-1)
        torch.sub(emission.transpose(0, 1), top.T[..., None], out=piece)
        if block.start == 0:
            piece[0] = first - top[:, :1]
        exponentiate(piece)
        if inside is not None:
            piece.masked_fill_(~inside[:, block].T[..., None], 1.0)
            top.masked_fill_(~inside[:, block], 0.0)
        shift += top.sum(1)
    if not bool(shift.isfinite().all()):
        return None
    unary = unary.transpose(0, 1)
    if chain.steps == 1:
        return Potentials(unary, chain.transition, shift, every)
    high = chain.transition.max()
    steps = chain.steps - 1 if chain.lengths is None else chain.lengths.to(top.device) - 1
    return Potentials(unary, (chain.transition - high).exp(), shift + high * steps, every)


def logarithmic(chain: DiscreteChain) -> Potentials:
    """The potentials as they are; sums are then log-sum-exp, and nothing can underflow."""
    emission = chain.emission.clone()
    emission[:, 0] += chain.initial
    inside = chain.inside()
    if inside is not None:
        emission = torch.where(inside[..., None], emission, 0.0)
    return Potentials(emission, chain.transition, emission.new_zeros(chain.sequences), None)
