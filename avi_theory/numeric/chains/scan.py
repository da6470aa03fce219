r"""The same messages by a parallel scan: a tree of products of transition matrices.

.. math:: M_t = A_t\,\mathrm{diag}(r_t), \qquad \alpha_t = \alpha_0 M_1 \cdots M_t, \qquad
    \beta_t = M_{t+1} \cdots M_{T-1} 1

Products are formed pairwise upwards; then messages are handed down the same tree, to each node the
one that enters from the left and the one that enters from the right.  Depth O(log T), work
O(T S³): for devices with many cores (Särkkä & García-Fernández, IEEE Trans. Automatic Control 66,
2021; Hassan, Särkkä & García-Fernández, IEEE Trans. Signal Processing 69, 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor

from avi_theory.numeric.chains.loop import Messages, Want
from avi_theory.numeric.chains.pieces import normalised
from avi_theory.numeric.chains.potentials import Potentials


def by_scan(p: Potentials, lengths: Tensor | None, want: Want) -> Messages:
    """As `by_loop`; for the evidence only the upward half of the tree is built."""
    log = p.every is None
    _, t, s = p.unary.shape
    first = p.unary[:, 0]
    neutral = torch.eye(s, dtype=first.dtype, device=first.device)
    neutral = neutral.log() if log else neutral
    elements = _elements(p, lengths, neutral)
    levels, sizes = _upwards(elements, neutral, log)
    ends = torch.stack([first, torch.full_like(first, 0.0 if log else 1.0)])[:, :, None]
    if levels:
        whole = _row(ends[0], levels[-1], log)[:, 0]
    else:
        whole = first
    if log:
        evidence = whole.logsumexp(-1) + p.shift
    else:
        evidence = whole.sum(-1).log() + p.shift
        if sizes:
            evidence += torch.cat(sizes, 1).log().sum(1)
    if want == "evidence":
        return first[:, None], first[:, None], evidence
    messages = _downwards(ends, levels, log)
    alpha, beta = messages
    if levels:
        left, right = messages[:, :, : t - 1]
        alpha = torch.cat([left, _row(left[:, -1:], elements[:, -1:], log)], 1)
        beta = torch.cat([_column(elements[:, :1], right[:, :1], log), right], 1)
    if want == "messages":
        return alpha, beta, evidence
    marginals = normalised(alpha + beta if log else alpha * beta, log=log)
    return marginals, marginals, evidence


def _elements(p: Potentials, lengths: Tensor | None, neutral: Tensor) -> Tensor:
    """M ``[B, T-1, S, S]``; neutral beyond a sequence's length."""
    after = p.unary[:, 1:, None, :]
    b, t, s = p.unary.shape
    a = p.transition.expand(b, t - 1, s, s)
    m = a + after if p.every is None else a * after
    if lengths is None:
        return m
    inside = torch.arange(1, t, device=m.device) < lengths.to(m.device)[:, None]
    return torch.where(inside[..., None, None], m, neutral)


def _upwards(elements: Tensor, neutral: Tensor, log: bool) -> tuple[list[Tensor], list[Tensor]]:
    """Every level of the tree, leaves first, root last, and the sizes divided out ``[B, n]``."""
    if elements.shape[1] == 0:
        return [], []
    levels, sizes = [elements], []
    while levels[-1].shape[1] > 1:
        m = levels[-1]
        if m.shape[1] % 2:
            m = torch.cat([m, neutral.expand(len(m), 1, -1, -1)], 1)
            levels[-1] = m
        m = _product(m[:, 0::2], m[:, 1::2], log)
        if not log:
            size = m.amax((-1, -2))
            m = m / size[..., None, None]
            sizes.append(size)
        levels.append(m)
    return levels, sizes


def _downwards(ends: Tensor, levels: list[Tensor], log: bool) -> Tensor:
    """Messages at both boundaries of every leaf, ``[2, B, leaves, S]``."""
    for m in reversed(levels[:-1]):
        half = m.shape[1] // 2
        left, right = ends[:, :, :half]
        middle = torch.stack([_row(left, m[:, 0::2], log), _column(m[:, 1::2], right, log)])
        if not log:
            middle = middle / middle.sum(-1, keepdim=True)
        from_left = torch.stack([left, middle[0]], 2).flatten(1, 2)
        from_right = torch.stack([middle[1], right], 2).flatten(1, 2)
        ends = torch.stack([from_left, from_right])
    return ends


def _product(a: Tensor, b: Tensor, log: bool) -> Tensor:
    if not log:
        return a @ b
    found = a[..., :, 0, None] + b[..., None, 0, :]
    for k in range(1, a.shape[-1]):  # S² at a time: the cube over all steps would not fit
        found = torch.logaddexp(found, a[..., :, k, None] + b[..., None, k, :])
    return found


def _row(x: Tensor, m: Tensor, log: bool) -> Tensor:
    """The row vectors ``[B, n, S]`` times the matrices."""
    if log:
        return torch.logsumexp(x[..., None] + m, -2)
    return (x[..., None, :] @ m)[..., 0, :]


def _column(m: Tensor, x: Tensor, log: bool) -> Tensor:
    """The matrices times the column vectors ``[B, n, S]``."""
    if log:
        return torch.logsumexp(m + x[..., None, :], -1)
    return (m @ x[..., None])[..., 0]
