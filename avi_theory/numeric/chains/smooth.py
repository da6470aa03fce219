r"""Evidence and smoothing marginals of discrete chains.

.. math:: p(z_t \mid x) \propto \alpha_t \beta_t, \qquad
    p(z_t, z_{t+1} \mid x) \propto \alpha_t(i)\, A_{t+1}(i, j)\, b_{t+1}(j)\, \beta_{t+1}(j)
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.chains.chain import DiscreteChain, Smoothed
from avi_theory.numeric.chains.loop import Messages, Want, by_loop
from avi_theory.numeric.chains.pieces import normalised
from avi_theory.numeric.chains.potentials import Potentials, interval, logarithmic, scaled
from avi_theory.numeric.chains.scan import by_scan

Order = Literal["loop", "scan"]
Arithmetic = Literal["scaled", "log"]


def forward_backward(
    chain: DiscreteChain,
    *,
    order: Order | None = None,
    arithmetic: Arithmetic | None = None,
    pairwise: bool = False,
) -> Smoothed:
    """Log evidence and smoothing marginals of every sequence, exact up to rounding.

    Args:
        chain: the sequences.
        order: a loop over time, or a parallel scan; None for the loop on a CPU and the scan on a
            GPU.
        arithmetic: plain numbers rescaled on the way, or logarithms; None for plain numbers where
            `avi_theory.numeric.chains.potentials` certifies that no underflow can matter.
        pairwise: whether to return the neighbours' joint marginals.

    Raises:
        InputError: plain numbers were asked for and are not certified.

    Example:
        >>> stay = torch.tensor([[0.7, 0.3], [0.3, 0.7]]).double().log()
        >>> seen = torch.tensor([[0.8, 0.2], [0.2, 0.8]]).double().log()
        >>> x = torch.tensor([[0, 0, 1]])
        >>> chain = DiscreteChain(torch.full((2,), 0.5).double().log(), stay, seen.T[x])
        >>> found = forward_backward(chain)
        >>> [round(p, 4) for p in found.marginals[0, :, 0].tolist()]
        [0.8489, 0.8, 0.3141]
    """
    with torch.no_grad():
        want: Want = "messages" if pairwise else "marginals"
        p, alpha, beta, evidence, method = _messages(chain, order, arithmetic, want)
        inside = chain.inside()
        marginals, joint = alpha, None
        if pairwise:
            joint = _pairwise(p, alpha, beta, inside)
            log = p.every is None
            marginals = normalised(alpha + beta if log else alpha * beta, log=log)
        if inside is not None:
            marginals = marginals.masked_fill_(~inside[..., None], 0.0)
    return Smoothed(evidence, marginals, joint, method)


def log_evidence(
    chain: DiscreteChain, *, order: Order | None = None, arithmetic: Arithmetic | None = None
) -> Tensor:
    """log Σ_z p(x, z) ``[B]`` alone, in nats, by the forward sweep."""
    with torch.no_grad():
        return _messages(chain, order, arithmetic, "evidence")[3]


def _messages(
    chain: DiscreteChain, order: Order | None, arithmetic: Arithmetic | None, want: Want
) -> tuple[Potentials, Tensor, Tensor, Tensor, str]:
    order = order or ("scan" if chain.emission.is_cuda else "loop")
    every = None if arithmetic == "log" else interval(chain)
    p = None if every is None else scaled(chain, every)
    if p is None and arithmetic == "scaled":
        raise InputError(
            "Plain numbers may underflow here: a transition is impossible or nearly so, or a step "
            "is impossible for every state. Use arithmetic='log'."
        )
    p = p or logarithmic(chain)
    run = by_loop if order == "loop" else by_scan
    found: Messages = run(p, chain.lengths, want)
    words = "logarithms" if p.every is None else "rescaled"
    return p, *found, f"message passing ({order}, {words})"


def _pairwise(p: Potentials, alpha: Tensor, beta: Tensor, inside: Tensor | None) -> Tensor:
    b, t, s = p.unary.shape
    a = p.transition.expand(b, t - 1, s, s)
    if p.every is None:
        ahead = p.unary[:, 1:] + beta[:, 1:]
        joint = alpha[:, :-1, :, None] + a + ahead[:, :, None, :]
        joint = torch.softmax(joint.flatten(2), -1).reshape(joint.shape)
    else:
        ahead = p.unary[:, 1:] * beta[:, 1:]
        joint = alpha[:, :-1, :, None] * a * ahead[:, :, None, :]
        joint = joint / joint.sum((-1, -2), keepdim=True)
    if inside is None:
        return joint
    return torch.where(inside[:, 1:, None, None], joint, 0.0)
