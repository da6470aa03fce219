r"""An encoder taken to its own optimum at a fixed decoder, so that its gap is its capacity's.

.. math:: \max_f\ \sum_n \mathcal L[q_{f(x_n)}](x_n)

Training moves decoder and encoder together in noisy steps and leaves the encoder short of what it
could be.  Two deterministic fits by L-BFGS follow it here: of the encoder's outputs to the images'
best factors q*, in the metric of the Fisher information, and of the ELBO itself on fixed balanced
noise.  The better of the trained and the refitted encoder is kept, by other noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from avi_theory.vae.gaps.optimum import SECOND, inverse_fisher, on_noise, optimum
from avi_theory.vae.gaps.problem import Problem
from avi_theory.vae.noise import balanced
from avi_theory.vae.posteriors import Diagonal

DRAWS = 64
"""Noise samples per evaluation of the ELBO."""
STEPS = {"outputs": 400, "elbo": 200}
"""L-BFGS iterations of the two fits, at most."""
MEMORY = 30

Told = Callable[[], None]


def refit(
    encoder: nn.Module,
    posterior: Callable[[Tensor], Diagonal],
    problem: Problem,
    *,
    seed: int = 0,
    told: Told | None = None,
) -> tuple[float, int]:
    """Fit an encoder's weights at a fixed decoder, in place.

    Args:
        encoder: what is fitted.
        posterior: its factors for images, with gradients to its weights.
        problem: the decoder and the images.
        seed: of the noise.
        told: called at every evaluation.

    Returns:
        By how much the total ELBO rose, in nats on noise that no fit saw (0 where the trained
        encoder was kept), and the number of evaluations.
    """
    generator = torch.Generator(problem.images.device).manual_seed(seed)
    fitted, fresh = (
        balanced(m, problem.d, generator, problem.images) for m in (DRAWS, SECOND)
    )  # fmt: skip
    ids = torch.arange(len(problem), device=problem.images.device)
    weights = [w for w in encoder.parameters() if w.requires_grad]
    before = [w.detach().clone() for w in weights]
    evaluations = 0

    def theta() -> Tensor:
        nonlocal evaluations
        evaluations += 1
        if told is not None:
            told()
        q = posterior(problem.images)
        return torch.cat([q.mean, q.log_variance], -1)

    @torch.no_grad()
    def total() -> float:
        value, _ = on_noise(problem, fresh)(theta(), ids)
        return float(value.double().sum())

    first = total()
    with torch.no_grad():
        begin = posterior(problem.images)
    best = optimum(problem, begin, seed=seed + 1).q
    goal = torch.cat([best.mean, best.log_variance], -1).detach()
    weight = 1 / inverse_fisher(goal)
    value_on = on_noise(problem, fitted)

    def distance(at: Tensor) -> tuple[Tensor, Tensor]:
        off = at.detach() - goal
        return (weight * off**2).sum() / 2, weight * off

    def loss(at: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = value_on(at, ids)
        return -value.sum(), -slope

    for steps, objective in ((STEPS["outputs"], distance), (STEPS["elbo"], loss)):
        _descend(weights, theta, objective, steps)
    gain = total() - first
    if not gain > 0:
        with torch.no_grad():
            for w, old in zip(weights, before, strict=True):
                w.copy_(old)
        return 0.0, evaluations
    return gain, evaluations


def _descend(
    weights: list[nn.Parameter],
    theta: Callable[[], Tensor],
    objective: Callable[[Tensor], tuple[Tensor, Tensor]],
    steps: int,
) -> None:
    """L-BFGS on the weights; the objective gives its value and its slope in theta."""
    solver = torch.optim.LBFGS(
        weights, max_iter=steps, max_eval=2 * steps, history_size=MEMORY,
        tolerance_grad=1e-6, tolerance_change=1e-9, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        solver.zero_grad()
        at = theta()
        value, slope = objective(at)
        at.backward(slope)
        return value

    solver.step(closure)
