r"""Learning rates by epoch, as factors of the first.

``cld``: :math:`10^{-i/7}` for :math:`3^i` epochs, i = 0, 1, …; 3,280 epochs for i up to 7
(Burda, Grosse & Salakhutdinov, ICLR 2016; Cremer, Li & Duvenaud, ICML 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable


def cld(epoch: int, epochs: int) -> float:
    """The staircase, whatever the number of epochs.

    Example:
        >>> [round(cld(k, 3280), 3) for k in (0, 1, 3, 4, 3279)]
        [1.0, 0.72, 0.72, 0.518, 0.1]
    """
    stage, end = 0, 1
    while epoch >= end:
        stage += 1
        end += 3**stage
    return float(10 ** (-stage / 7))


def cosine(epoch: int, epochs: int) -> float:
    """From 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * epoch / epochs))


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": lambda epoch, epochs: 1.0,
    "cosine": cosine,
    "cld": cld,
}
"""By name: (epoch from 0, epochs) to a factor."""
