r"""One Hamiltonian transition that leaves :math:`\pi_\beta` invariant.

.. math:: H(z, p) = -(1-\beta)\log\pi_0(z) - \beta\log f(z) + \tfrac12 |p|^2

in coordinates z/scale; leapfrog steps, then accepted with probability :math:`e^{-\Delta H}`
(Neal, 2011).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from avi_theory.errors import InputError
from avi_theory.numeric.annealing.starts import Start

JITTER = 0.1
"""A step's length varies by this share, so that no orbit closes on itself."""


@dataclass(frozen=True)
class Point:
    """Where the chains are, with both log densities ``[chains, batch]`` and their gradients."""

    z: Tensor
    start: Tensor
    target: Tensor
    start_slope: Tensor
    target_slope: Tensor

    def level(self, beta: float) -> Tensor:
        """log π_β, not normalised."""
        return (1 - beta) * self.start + beta * self.target

    def slope(self, beta: float) -> Tensor:
        """Its gradient."""
        return (1 - beta) * self.start_slope + beta * self.target_slope

    def chosen(self, other: Point, accept: Tensor) -> Point:
        """The other point in those chains that accept it."""
        wide = accept.unsqueeze(-1)
        return Point(
            torch.where(wide, other.z, self.z),
            torch.where(accept, other.start, self.start),
            torch.where(accept, other.target, self.target),
            torch.where(wide, other.start_slope, self.start_slope),
            torch.where(wide, other.target_slope, self.target_slope),
        )


@dataclass(frozen=True)
class Bridge:
    """Both ends of the annealing.

    Attributes:
        target: log f, ``[chains, batch, d] -> [chains, batch]`` in nats, differentiable.
        start: π_0.
        scale: ``[batch, d]``, typical lengths of z; the metric of the transitions.
        leapfrog: steps in a transition.
    """

    target: Callable[[Tensor], Tensor]
    start: Start
    scale: Tensor
    leapfrog: int

    def at(self, z: Tensor) -> Point:
        """Both log densities with gradients at z."""
        z = z.detach().requires_grad_(True)
        with torch.enable_grad():
            start, target = self.start.log_density(z), self.target(z)
            for what, level in (("start", start), ("target", target)):
                if level.shape != z.shape[:-1]:
                    raise InputError(
                        f"The log density of the {what} has shape {tuple(level.shape)}; "
                        f"z of shape {tuple(z.shape)} needs {tuple(z.shape[:-1])}."
                    )
            (start_slope,) = torch.autograd.grad(start.sum(), z)
            (target_slope,) = torch.autograd.grad(target.sum(), z)
        return Point(z.detach(), start.detach(), target.detach(), start_slope, target_slope)

    def move(
        self, here: Point, beta: float, step: Tensor, generator: Generator
    ) -> tuple[Point, Tensor]:
        """One transition at β.

        Args:
            here: current points.
            beta: inverse temperature.
            step: of the leapfrog in units of `scale`, ``[batch]``.
            generator: of momenta, jitter and acceptance, on z's device.

        Returns:
            The new points and the acceptance probabilities ``[chains, batch]``; where a density is
            not finite the proposal is refused.
        """
        share = torch.empty_like(here.start).uniform_(1 - JITTER, 1 + JITTER, generator=generator)
        stride = (step * share).unsqueeze(-1) * self.scale
        first = torch.empty_like(here.z).normal_(generator=generator)
        momentum, there = first + 0.5 * stride * here.slope(beta), here
        for k in range(self.leapfrog):
            there = self.at(there.z + stride * momentum)
            part = 1.0 if k + 1 < self.leapfrog else 0.5
            momentum = momentum + part * stride * there.slope(beta)
        kinetic = 0.5 * (first**2 - momentum**2).sum(-1)
        change = there.level(beta) - here.level(beta) + kinetic
        chance = torch.nan_to_num(change, nan=-torch.inf, posinf=-torch.inf).clamp(max=0).exp()
        drawn = torch.empty_like(chance).uniform_(generator=generator)
        return here.chosen(there, drawn < chance), chance
