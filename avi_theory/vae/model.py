r"""An encoder, a decoder and a likelihood: what is trained together.

.. math:: z \sim \mathcal N(0, I_d),\qquad x \sim p(x \mid \mathrm{decoder}(z)),\qquad
    q(z \mid x) = \mathrm{encoder}(x)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avi_theory.errors import InputError
from avi_theory.vae.encoders.semi import refine
from avi_theory.vae.likelihoods import Bernoulli, Categorical, Gaussian
from avi_theory.vae.posteriors import Diagonal, Posterior


class VAE(nn.Module):
    """A variational autoencoder.

    Args:
        encoder: one of `avi_theory.vae.encoders`, or a module that returns (mean, log variance).
        decoder: of codes.
        likelihood: of images.
        steps: of semi-amortized inference behind the encoder, trained through.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Bernoulli | Gaussian | Categorical,
        *,
        steps: int = 0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.likelihood, self.steps = (
            encoder,
            decoder,
            likelihood,
            steps,
        )

    def posterior(self, images: Tensor) -> Posterior:
        """q(z | x), after the steps if there are any; gradients pass through them in training."""
        if hasattr(self.encoder, "posterior"):
            found: Posterior = self.encoder.posterior(images)  # type: ignore[operator]
        else:
            mean, log_variance = self.encoder(images)
            found = (
                Diagonal(mean.float(), log_variance.float())
                if _half(mean)
                else Diagonal(mean, log_variance)
            )
        if not self.steps:
            return found
        if not isinstance(found, Diagonal):
            raise InputError("Semi-amortized steps need a diagonal posterior. Set steps = 0.")
        return refine(
            self.decoder,
            self.likelihood,
            found,
            images,
            steps=self.steps,
            through=self.training and torch.is_grad_enabled(),
        ).posterior

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of a diagonal q: the model as a plain encoder."""
        q = self.posterior(images)
        if not isinstance(q, Diagonal):
            raise InputError(
                f"q is a {type(q).__name__}, which a mean and a log variance do not describe. "
                "Use its posterior."
            )
        return q.mean, q.log_variance

    def penalty(self) -> Tensor | float:
        """What a random encoder costs all images together, in nats."""
        return self.encoder.penalty() if hasattr(self.encoder, "penalty") else 0.0  # type: ignore[operator]


def _half(x: Tensor) -> bool:
    return x.dtype in (torch.bfloat16, torch.float16)
