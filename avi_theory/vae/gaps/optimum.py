r"""The best diagonal Gaussian of each image, q*_FFG.

.. math:: \max_{\mu, v}\ \tfrac1M \sum_m \log p(x \mid \mu + e^{v/2} \epsilon_m)
          - \mathrm{KL}\big(N(\mu, e^v)\,\|\,N(0, I)\big)

The optimiser is this project's choice.  The noise is held fixed and its first two moments are
exact (`noise`), so each image has a deterministic objective, which a quasi-Newton method in the
metric of the Fisher information (`ascent`) maximises in about ten evaluations where Adam at 1e-3
takes thousands of steps.  All images start from the encoder's factor and from the prior; the better
end starts once more on fresh and wider noise; a third, independent noise measures the gradient that
is left, and keeps the encoder's factor where it is still the better one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from avi_theory.vae.gaps.ascent import CONVERGED, STOPPED, ascend
from avi_theory.vae.gaps.problem import Problem
from avi_theory.vae.noise import balanced
from avi_theory.vae.posteriors import Diagonal

FIRST, SECOND = 100, 256
"""Noise samples per evaluation of the two rounds."""
TOLERANCE = 1e-3
"""Nats."""
EVALUATIONS = 300
LARGEST_NORM = 0.3
"""Of the gradient left on independent noise, for a run to be called converged: half its square,
0.045 nats, is about the distance to the optimum."""

Told = Callable[[str, int, int], None]
"""Called with (what, images done, images)."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best factor of each image.

    Attributes:
        q: it.
        status: ``[B]``, places in `ascent.STATUSES`.
        gradient_norm: ``[B]``, √(gᵀF⁻¹g) in the Fisher metric on independent noise, nats.
        evaluations: ``[B]``, of all rounds and both starts.
        start_spread: ``[B]``, the better start's end less the other's, on common noise, nats.
        from_zero: ``[B]``, whether the prior was the better start.
    """

    q: Diagonal
    status: Tensor
    gradient_norm: Tensor
    evaluations: Tensor
    start_spread: Tensor
    from_zero: Tensor


def optimum(
    problem: Problem, begin: Diagonal, *, seed: int, evaluations: int = EVALUATIONS,
    told: Told | None = None,
) -> Optimum:  # fmt: skip
    """q*_FFG of every image.

    Args:
        problem: the decoder and the images.
        begin: the encoder's factors.
        seed: of the noise.
        evaluations: at most, per image, start and round.
        told: progress.

    Returns:
        The better of both starts, never worse than `begin` on the third, independent noise.
    """
    device, count = problem.images.device, len(problem)
    generator = torch.Generator(device).manual_seed(seed)
    first, second, third = (
        balanced(m, problem.d, generator, problem.images) for m in (FIRST, SECOND, SECOND)
    )
    here = torch.cat([begin.mean, begin.log_variance], -1).detach().to(problem.images)

    def tell(what: str, total: int) -> Callable[[int, int], None] | None:
        return None if told is None else lambda left, _: told(what, total - left, total)

    both = ascend(
        on_noise(problem, first), torch.cat([here, torch.zeros_like(here)]), inverse_fisher,
        tolerance=TOLERANCE, evaluations=evaluations, told=tell("q*_FFG, two starts", 2 * count),
    )  # fmt: skip
    value = torch.nan_to_num(both.value, nan=-torch.inf).view(2, count)
    zero = value[1] > value[0]
    places = torch.arange(count, device=device) + count * zero
    fine = ascend(
        on_noise(problem, second), both.theta[places], inverse_fisher,
        tolerance=TOLERANCE, evaluations=evaluations, told=tell("q*_FFG, fresh noise", count),
    )  # fmt: skip
    end, slope, kept = _better(on_noise(problem, third), fine.theta, here)
    norm = (slope**2 * inverse_fisher(end)).sum(-1).sqrt()
    status = torch.where((fine.status <= 1) & (norm <= LARGEST_NORM), CONVERGED, fine.status)
    status = torch.where((status == CONVERGED) & (norm > LARGEST_NORM), STOPPED, status)
    return Optimum(
        Diagonal(*end.chunk(2, -1)),
        status,
        norm,
        both.evaluations.view(2, count).sum(0) + fine.evaluations,
        (value[0] - value[1]).abs(),
        zero & ~kept,
    )


def _better(
    objective: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], end: Tensor, begin: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The better of end and begin on noise that chose neither, its slope, and where begin is."""
    ids = torch.arange(len(end), device=end.device)
    values, slopes = zip(objective(end, ids), objective(begin, ids), strict=True)
    kept = values[1] > values[0]
    column = kept.unsqueeze(-1)
    return torch.where(column, begin, end), torch.where(column, slopes[1], slopes[0]), kept


def inverse_fisher(theta: Tensor) -> Tensor:
    """Of (µ, log variance): e^v and 2, ``[A, 2d]``."""
    _, v = theta.chunk(2, -1)
    return torch.cat([v.exp(), torch.full_like(v, 2.0)], -1)


def on_noise(problem: Problem, noise: Tensor) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The ELBO on fixed noise with its gradient; problem k is about image k modulo B."""

    def objective(theta: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        values, slopes = [], []
        for part in problem.portions(len(noise), len(ids)):
            some = problem.take(ids[part] % len(problem))
            at = theta[part].detach().requires_grad_(True)
            with torch.enable_grad():
                q = Diagonal(*at.chunk(2, -1))
                elbo = some.log_likelihood(q.at(noise.unsqueeze(1))).mean(0) - q.divergence()
                (slope,) = torch.autograd.grad(elbo.sum(), at)
            values.append(elbo.detach())
            slopes.append(slope)
        return torch.cat(values), torch.cat(slopes)

    return objective
