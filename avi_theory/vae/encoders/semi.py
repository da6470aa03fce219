r"""Semi-amortized inference: a few steps on each image's own (µ, v) from where an encoder points.

.. math::
    \lambda_{k+1} = \lambda_k + \rho_k F(\lambda_k)^{-1} \nabla_\lambda
        \mathcal L(\lambda_k; x),\qquad \lambda = (\mu, v = \log \sigma^2)

with the Fisher information F = (e^{−v}, ½) of q, so that a step does not depend on q's scale, and
each image's ρ halved until its ELBO rises; where no step raises it the image stays.  The noise is
drawn once, balanced (`avi_theory.vae.noise`), and is the same for all images: on it every step is a
rise, and the mean of any quadratic is exact, so that few draws lead to the true optimum.  (Kim,
Wiseman, Miller, Sontag & Rush, ICML 2018, with plain gradient steps.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from avi_theory.errors import InputError
from avi_theory.vae.elbo import Decoder
from avi_theory.vae.likelihoods import Likelihood
from avi_theory.vae.noise import balanced
from avi_theory.vae.posteriors import Diagonal, posterior_of

HALVINGS = 12
MOST = 2.0
"""Most that a coordinate's mean moves, in its own standard deviations, and its log variance."""


@final
@dataclass(frozen=True, eq=False)
class Refined:
    """Where the steps led.

    Attributes:
        posterior: after the last step.
        trace: the ELBO on the fixed noise before and after each step, ``[steps + 1, B]``, in nats.
    """

    posterior: Diagonal
    trace: Tensor


def refine(
    decoder: Decoder,
    likelihood: Likelihood,
    start: Diagonal,
    images: Tensor,
    *,
    steps: int,
    draws: int = 32,
    seed: int = 0,
    through: bool = False,
) -> Refined:
    """Take steps.

    Args:
        decoder: of codes.
        likelihood: of images.
        start: what the encoder says.
        images: ``[B, …]``.
        steps: how many.
        draws: noise vectors per step, an even number; at least twice the codes are taken.
        seed: of the noise.
        through: whether gradients pass through the steps to the encoder and the decoder.

    Raises:
        InputError: no steps, or an odd number of draws.
    """
    if steps < 0 or draws < 2 or draws % 2:
        raise InputError(
            f"{steps} steps on {draws} draws cannot be taken. Give steps=5, and an even number."
        )
    mean, log_variance = start.mean, start.log_variance
    if not through:
        mean, log_variance = mean.detach(), log_variance.detach()
    generator = torch.Generator(mean.device).manual_seed(seed)
    noise = balanced(draws, mean.shape[-1], generator, mean).unsqueeze(1)

    def value(mean: Tensor, log_variance: Tensor) -> Tensor:
        q = Diagonal(mean, log_variance)
        return likelihood.log_prob(decoder(q.at(noise)), images).mean(0) - q.divergence()

    rate = torch.ones_like(mean[:, :1])
    trace = []
    for _ in range(steps):
        with torch.enable_grad():
            m, v = (x if x.requires_grad else x.requires_grad_() for x in (mean, log_variance))
            here = value(m, v)
            slopes = torch.autograd.grad(here.sum(), (m, v), create_graph=through)
            direction = _limited(v, *slopes)
        trace.append(here.detach())
        rate = _rate(value, (m, v), direction, here.detach(), (2 * rate).clamp(max=1.0))
        mean, log_variance = (x + rate * s for x, s in zip((m, v), direction, strict=True))
        if not through:
            mean, log_variance = mean.detach(), log_variance.detach()
    with torch.no_grad():
        trace.append(value(mean, log_variance))
    return Refined(Diagonal(mean, log_variance), torch.stack(trace))


@final
class SemiAmortized:
    """Any encoder with steps behind it, as an encoder: for `vae_gaps` and at test time.

    Args:
        encoder: what `posterior_of` takes; its q must be diagonal.
        decoder: of codes.
        likelihood: of images.
        steps: of `refine`.
        draws: of `refine`.
        seed: of `refine`.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: Decoder,
        likelihood: Likelihood,
        *,
        steps: int,
        draws: int = 32,
        seed: int = 0,
    ) -> None:
        self._encoder, self._decoder, self._likelihood = encoder, decoder, likelihood
        self._steps, self._draws, self._seed = steps, draws, seed

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance after the steps."""
        start = posterior_of(self._encoder, images)
        if not isinstance(start, Diagonal):
            raise InputError(
                f"Steps are taken on a mean and a log variance, but the encoder's q is a "
                f"{type(start).__name__}. Use one with diagonal posteriors."
            )
        found = refine(
            self._decoder,
            self._likelihood,
            start,
            images,
            steps=self._steps,
            draws=self._draws,
            seed=self._seed,
        ).posterior
        return found.mean, found.log_variance


def _limited(v: Tensor, by_mean: Tensor, by_log_variance: Tensor) -> tuple[Tensor, Tensor]:
    """The natural gradient, shortened image by image where it leads too far."""
    sd = torch.exp(0.5 * v)
    paces, turn = sd * by_mean, 2 * by_log_variance
    longest = torch.maximum(paces.abs(), turn.abs()).amax(-1, keepdim=True)
    short = (MOST / longest.clamp_min(MOST)).detach()
    return short * sd * paces, short * turn


@torch.no_grad()
def _rate(value: Any, at: Any, direction: Any, here: Tensor, rate: Tensor) -> Tensor:
    """The largest of ρ, ρ/2, … that raises each image's value; 0 where none does."""
    found, open_ = torch.zeros_like(rate), torch.ones_like(rate, dtype=torch.bool)
    for _ in range(HALVINGS):
        there = value(*(x + rate * s for x, s in zip(at, direction, strict=True)))
        rises = open_ & (there > here)[:, None]  # false for NaN
        found, open_ = torch.where(rises, rate, found), open_ & ~rises
        if not bool(open_.any()):
            break
        rate = torch.where(open_, 0.5 * rate, rate)
    return found
