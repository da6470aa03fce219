r"""Inverse temperatures from the start (0) to the target (1).

.. math:: \pi_\beta(z) \propto \pi_0(z)^{1-\beta} f(z)^{\beta}
"""

from __future__ import annotations

import torch
from torch import Tensor

from avi_theory.errors import InputError

STEEPNESS = 4.0


def linear(count: int) -> Tensor:
    """Equal steps, both ends included.

    Args:
        count: how many distributions, at least 2.

    Returns:
        ``[count]``, float64.

    Example:
        >>> linear(3).tolist()
        [0.0, 0.5, 1.0]
    """
    return torch.linspace(0, 1, _enough(count), dtype=torch.float64)


def sigmoidal(count: int, steepness: float = STEEPNESS) -> Tensor:
    r"""Short steps at both ends, where the distributions change fastest.

    .. math:: \beta_t = \frac{s(u_t) - s(-\delta)}{s(\delta) - s(-\delta)},\quad
              u_t = \delta\,(2t/(T-1) - 1)

    with the logistic function s (Wu, Burda, Salakhutdinov and Grosse, 2017).

    Args:
        count: how many distributions, at least 2.
        steepness: δ; 4 as in the paper.

    Returns:
        ``[count]``, float64.
    """
    level = torch.sigmoid(steepness * (2 * linear(count) - 1))
    return (level - level[0]) / (level[-1] - level[0])


def checked(schedule: Tensor | int) -> Tensor:
    """A schedule from 0 to 1 that never falls, on the CPU in float64; a number means `linear`.

    Raises:
        InputError: it is none.
    """
    if isinstance(schedule, int):
        return linear(schedule)
    betas = schedule.detach().to("cpu", torch.float64)
    ends = betas.ndim == 1 and len(betas) > 1 and betas[0] == 0 and betas[-1] == 1
    if not ends or not bool((betas.diff() >= 0).all()):
        raise InputError(
            "A schedule must go from 0 to 1 in steps that are not negative. "
            "linear(1000) and sigmoidal(1000) make one."
        )
    return betas


def _enough(count: int) -> int:
    if count < 2:
        raise InputError(f"Annealing needs at least 2 distributions, not {count}.")
    return count
