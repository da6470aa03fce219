"""What annealing returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Annealed:
    """Estimates of log Z, one per batch element.

    Attributes:
        log_evidence: ``[batch]``, nats.
        standard_error: ``[batch]``, nats, by the jackknife over chains; infinite for one chain.
            Chains of `anneal_back` share their exact draw, whose own spread it does not hold.
        effective_samples: ``[batch]``, (Σw)²/Σw², between 1 and the number of chains.
        acceptance: ``[batch]``, mean acceptance of all transitions.
        log_weights: ``[chains, batch]``.
        bound: ``lower`` or ``upper``: on which side of log Z the estimate's mean lies.
        distributions: how many, both ends included.
        seed: of the draws.
    """

    log_evidence: Tensor
    standard_error: Tensor
    effective_samples: Tensor
    acceptance: Tensor
    log_weights: Tensor
    bound: str
    distributions: int
    seed: int


def log_mean(log_weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""The logarithm of mean weights, its standard error and the effective sample size.

    .. math:: \ell = \log\tfrac1C\sum_c w_c,\qquad
              s^2 = \tfrac{C-1}{C}\sum_c (\ell_{-c} - \bar\ell)^2

    where :math:`\ell_{-c}` leaves chain c out (Efron and Stein, 1981): one chain that carries all
    the weight shows as a large error, which the delta method would hide.

    Args:
        log_weights: ``[chains, batch]``.

    Returns:
        Three tensors ``[batch]``; NaN where a weight is NaN.

    Example:
        >>> value, error, size = log_mean(torch.zeros(4, 1))
        >>> value.item(), error.item(), round(size.item(), 6)
        (0.0, 0.0, 4.0)
    """
    count = len(log_weights)
    total = torch.logsumexp(log_weights, 0)
    size = torch.exp(2 * total - torch.logsumexp(2 * log_weights, 0))
    if count == 1:
        return total, torch.full_like(total, torch.inf), size
    order = log_weights.sort(0).values
    # Without the largest the sum is taken anew: 1 − w/Σw would lose every digit.
    rest = torch.logsumexp(order[:-1], 0)
    others = total + torch.log1p(-torch.exp(order[:-1] - total).clamp(max=0.5))
    left_out = torch.cat([others, rest.unsqueeze(0)]) - math.log(count - 1)
    spread = ((left_out - left_out.mean(0)) ** 2).sum(0) * (count - 1) / count
    return total - math.log(count), spread.sqrt(), size
