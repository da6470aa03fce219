"""Step sizes, found by a pilot run and frozen before the estimate.

Steps that adapt to the chains they move would make the transitions depend on the chains' past: the
estimate would no longer be unbiased.  So other chains, with a seed of their own, go down a thinned
schedule first and adapt; the estimate's own chains then use those steps, which are constants to
them, and its mean weight is exactly unbiased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from avi_theory.numeric.annealing.transition import Bridge

TARGET = 0.65
"""Acceptance to aim at (Neal, 2011)."""
CHAINS = 4
LEAST = 100
"""Distributions of a pilot run, or a tenth of the schedule if that is more."""
WARM = 15
"""Transitions at the first temperature, before steps are recorded."""
RATE = 0.3
FIRST = 0.3


@dataclass(frozen=True)
class Steps:
    """Step sizes along a schedule.

    Attributes:
        log_step: ``[pilots, batch]``, at evenly spaced places of the schedule from first to last.
    """

    log_step: Tensor

    def at(self, share: float) -> Tensor:
        """Steps ``[batch]`` at a share of the schedule between 0 and 1, interpolated."""
        place = share * (len(self.log_step) - 1)
        low = min(math.floor(place), len(self.log_step) - 2)
        weight = place - low
        mixed = (1 - weight) * self.log_step[low] + weight * self.log_step[low + 1]
        return mixed.exp()


def pilot(bridge: Bridge, betas: Tensor, generator: Generator) -> Steps:
    """Steps whose acceptance is near `TARGET` for each batch element.

    Args:
        bridge: both ends.
        betas: the whole schedule.
        generator: not the one of the estimate.

    Returns:
        Steps, frozen.
    """
    count = min(len(betas), max(LEAST, len(betas) // 10))
    places = torch.linspace(0, len(betas) - 1, count).round().long()
    here = bridge.at(bridge.start.draw(CHAINS, generator))
    log_step = torch.full_like(here.start[0], math.log(FIRST))
    for _ in range(WARM):
        here, chance = bridge.move(here, float(betas[places[0]]), log_step.exp(), generator)
        log_step = log_step + RATE * (chance.mean(0) - TARGET)
    kept = []
    for place in places:
        here, chance = bridge.move(here, float(betas[place]), log_step.exp(), generator)
        log_step = log_step + RATE * (chance.mean(0) - TARGET)
        kept.append(log_step)
    return Steps(torch.stack(kept))
