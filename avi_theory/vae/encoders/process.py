r"""A Gaussian-process encoder in weight space: how sure is it of its own posterior?

.. math::
    q(z \mid x, W, U) = \mathcal N\big(z;\, b(x) + W\psi(x),\, \mathrm{diag}\, e^{2(c(x)
        + U\psi(x))}\big),\qquad W, U \sim \mathcal N(0, \sigma^2 I)

after the abstract of Kim & Pavlovic (2021, arXiv 2102.03151): mean and log standard deviation are
random functions with Gaussian-process priors, and their uncertainty tells how hard an image is for
a Gaussian posterior.  The weight-space form, with ψ the last hidden features and a diagonal
variational Normal over the entries of W and U, is this project's reconstruction (design).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from avi_theory.errors import InputError
from avi_theory.vae.encoders.adaptive import InstanceAdaptive
from avi_theory.vae.encoders.gaussian import GaussianEncoder
from avi_theory.vae.posteriors import Diagonal, Posterior


class ProcessEncoder(nn.Module):
    """An encoder whose last layer is random.

    Args:
        encoder: its heads are b and 2c, its features ψ.
        scale: σ, of the prior; one over the root of the number of features unless told.
        marginal: whether, outside training, the randomness of W and U widens q by its moments;
            otherwise their means are used.

    Raises:
        InputError: a scale that is not positive.
    """

    def __init__(
        self,
        encoder: GaussianEncoder | InstanceAdaptive,
        *,
        scale: float | None = None,
        marginal: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.marginal = encoder, marginal
        self.latents, self.width = encoder.latents, encoder.width
        self.scale = self.width**-0.5 if scale is None else scale
        if not self.scale > 0:
            raise InputError(f"The prior's scale {self.scale} is not positive. Give scale=0.1.")
        shape = (2 * self.latents, self.width)
        self.means = nn.Parameter(torch.zeros(shape))
        self.log_sds = nn.Parameter(torch.full(shape, self.scale).log() - 2.0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance at the means of W and U, or widened by their variances."""
        mean, log_sd, spread = self._functions(images)
        if not self.marginal:
            return mean, 2 * log_sd
        wide, unsure = spread.chunk(2, -1)
        return mean, torch.log(torch.exp(2 * (log_sd + unsure)) + wide)

    def posterior(self, images: Tensor) -> Posterior:
        """In training, q with W and U drawn anew for each code; otherwise `forward`'s."""
        if not self.training:
            return Diagonal(*self(images))
        mean, log_sd, spread = self._functions(images)
        return Random(mean, log_sd, spread)

    def penalty(self) -> Tensor:
        r"""KL(q(W, U) ‖ p) in nats, to be taken off the ELBO of all images together."""
        ratio = 2 * self.log_sds - 2 * torch.tensor(self.scale).log()
        return 0.5 * (ratio.exp() + (self.means / self.scale).square() - 1 - ratio).sum()

    @torch.no_grad()
    def difficulty(self, images: Tensor) -> Tensor:
        r"""S(x), ``[B]``: the variances of all coordinates' mean and log-sd functions, added up.

        .. math:: S(x) = \sum_j \psi(x)^\top V_j\, \psi(x)
        """
        return self._functions(images)[2].sum(-1)

    def _functions(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means of mean and log sd ``[B, d]`` and the variances of both ``[B, 2d]``."""
        b, twice_c, features = self.encoder.describe(images)
        shift, turn = nn.functional.linear(features, self.means).chunk(2, -1)
        spread = nn.functional.linear(features.square(), torch.exp(2 * self.log_sds))
        return b + shift, 0.5 * twice_c + turn, spread


@final
@dataclass(frozen=True, eq=False)
class Random:
    """Codes of randomly drawn W and U (local reparametrisation: Kingma et al., NeurIPS 2015)."""

    mean: Tensor
    log_sd: Tensor
    spread: Tensor

    def sample(self, k: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes, and their log densities given the W and U that they came with."""
        noise = torch.randn(
            (k, *self.spread.shape),
            generator=generator,
            dtype=self.mean.dtype,
            device=self.mean.device,
        )
        moved, turned = (self.spread.sqrt() * noise).chunk(2, -1)
        q = Diagonal(self.mean + moved, 2 * (self.log_sd + turned))
        z, log_q = q.sample(1, generator)
        return z[0], log_q[0]
